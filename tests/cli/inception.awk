# tests/cli/inception.awk - Inception-v3 as FID has it, a channel a layer, for a .safetensors file: the header, and its
# numbers in the file `data`. Numbers are repeated letters - "=" is 0.05, ">" 0.19, "?" 0.75 as bytes of floats - so that
# every layer keeps about the size of what it is given.

function tensor(name, shape, count, letter,    i, text) {
    header = header sprintf("%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%d,%d]}", header ? "," : "{",
                            name, shape, at, at + 4 * count)
    at += 4 * count
    for (i = 0; i < count; i++) text = text letter letter letter letter
    printf "%s", text >data
}
function conv(name, inputs, height, width,    n) {
    n = inputs * height * width
    tensor(name ".conv.weight", "1," inputs "," height "," width, n, n == 1 ? "?" : n < 20 ? ">" : "=")
    tensor(name ".bn.weight", 1, 1, "?")
    tensor(name ".bn.bias", 1, 1, "=")
    tensor(name ".bn.running_mean", 1, 1, "=")
    tensor(name ".bn.running_var", 1, 1, "?")
}
# Layers "NAME HEIGHT WIDTH" after each other; the first reads so many channels.
function chain(block, inputs, layers,    part, count, i) {
    count = split(layers, part, " ")
    for (i = 1; i < count; i += 3) conv("Mixed_" block ".branch" part[i], i == 1 ? inputs : 1, part[i + 1], part[i + 2])
}
function block_a(name, inputs) {
    chain(name, inputs, "1x1 1 1")
    chain(name, inputs, "5x5_1 1 1 5x5_2 5 5")
    chain(name, inputs, "3x3dbl_1 1 1 3x3dbl_2 3 3 3x3dbl_3 3 3")
    chain(name, inputs, "_pool 1 1")
}
function block_c(name, inputs) {
    chain(name, inputs, "1x1 1 1")
    chain(name, inputs, "7x7_1 1 1 7x7_2 1 7 7x7_3 7 1")
    chain(name, inputs, "7x7dbl_1 1 1 7x7dbl_2 7 1 7x7dbl_3 1 7 7x7dbl_4 7 1 7x7dbl_5 1 7")
    chain(name, inputs, "_pool 1 1")
}
function block_e(name, inputs) {
    chain(name, inputs, "1x1 1 1")
    chain(name, inputs, "3x3_1 1 1 3x3_2a 1 3 3x3_2b 3 1")
    chain(name, inputs, "3x3dbl_1 1 1 3x3dbl_2 3 3 3x3dbl_3a 1 3 3x3dbl_3b 3 1")
    chain(name, inputs, "_pool 1 1")
}
BEGIN {
    conv("Conv2d_1a_3x3", 3, 3, 3)
    conv("Conv2d_2a_3x3", 1, 3, 3)
    conv("Conv2d_2b_3x3", 1, 3, 3)
    conv("Conv2d_3b_1x1", 1, 1, 1)
    conv("Conv2d_4a_3x3", 1, 3, 3)
    block_a("5b", 1)
    block_a("5c", 4)
    block_a("5d", 4)
    chain("6a", 4, "3x3 3 3")
    chain("6a", 4, "3x3dbl_1 1 1 3x3dbl_2 3 3 3x3dbl_3 3 3")
    block_c("6b", 6)
    block_c("6c", 4)
    block_c("6d", 4)
    block_c("6e", 4)
    chain("7a", 4, "3x3_1 1 1 3x3_2 3 3")
    chain("7a", 4, "7x7x3_1 1 1 7x7x3_2 1 7 7x7x3_3 7 1 7x7x3_4 3 3")
    block_e("7b", 6)
    block_e("7c", 6)
    header = header "}"
    while (length(header) % 8) header = header " "
    printf "%s", header
}
