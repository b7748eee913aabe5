/* eval/inception.c - see inception.h. The network of Szegedy et al. 2016 (Rethinking the Inception architecture) as FID
 * has it: average pools leave padding out of their means, the last block has a maximum in place of one, and pictures
 * are resized bilinearly without smoothing.
 *
 * Its blocks are a table of short texts, names in which are those of the file's tensors; kernels and channels are the
 * tensors' own. Batch norms are folded into the convolutions before them. */
#include "eval/inception.h"

#include "data/pictures.h"
#include "graph/node.h"
#include "io/weights.h"

#include <thalweg/exec.h>
#include <thalweg/nn.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BLOCK = 16, PARTS = 4, NAME = 64, SUFFIX = 24 };
static const double epsilon = 1e-3; /* of the batch norms */

struct tw_inception {
    tw_context *ctx;
    tw_image image;
    int side, features;
    tw_graph *graph;
    tw_params *params;
    tw_program *program;
    tw_state *state;
    float *weights; /* as tw_params lays them out */
    const void **inputs;
    float *pictures, *block; /* of BLOCK pictures, and their features */
};

/* --- the network -------------------------------------------------------------------------------------------------- */

/* Chains of layers that all begin at the block's input, "|" between them, their results side by side; "(...)" the same
 * within a chain. A layer is a convolution's name, "max" or "avg", 3 x 3 pixels; "/N" takes steps of N pixels and no
 * padding, else sizes stay. */
#define CONV_2(name) name "_1 " name "_2"
#define CONV_3(name) CONV_2(name) " " name "_3"
static const char stem[] = "Conv2d_1a_3x3/2 Conv2d_2a_3x3/1 Conv2d_2b_3x3 max/2 Conv2d_3b_1x1 Conv2d_4a_3x3/1 max/2";
static const char inception_a[] = "branch1x1|" CONV_2("branch5x5") "|" CONV_3("branch3x3dbl") "|avg branch_pool";
static const char inception_b[] = "branch3x3/2|" CONV_3("branch3x3dbl") "/2|max/2";
static const char inception_c[] =
    "branch1x1|" CONV_3("branch7x7") "|" CONV_3("branch7x7dbl") " branch7x7dbl_4 branch7x7dbl_5|avg branch_pool";
static const char inception_d[] = CONV_2("branch3x3") "/2|" CONV_3("branch7x7x3") " branch7x7x3_4/2|max/2";
#define INCEPTION_E(pool)                                                                                              \
    "branch1x1|branch3x3_1 (branch3x3_2a|branch3x3_2b)|" CONV_2(                                                       \
        "branch3x3dbl") " (branch3x3dbl_3a|branch3x3dbl_3b)|" pool " branch_pool"

static const struct {
    const char *name, *layers;
} blocks[] = {
    {"", stem},
    {"Mixed_5b.", inception_a},
    {"Mixed_5c.", inception_a},
    {"Mixed_5d.", inception_a},
    {"Mixed_6a.", inception_b},
    {"Mixed_6b.", inception_c},
    {"Mixed_6c.", inception_c},
    {"Mixed_6d.", inception_c},
    {"Mixed_6e.", inception_c},
    {"Mixed_7a.", inception_d},
    {"Mixed_7b.", INCEPTION_E("avg")},
    {"Mixed_7c.", INCEPTION_E("max")},
};

typedef struct reader {
    tw_inception *net;
    tw_weights file;
    const char *block, *at; /* which block is read, and where in its text */
    tw_status status;       /* the first failure, told in the context */
} reader;

/* --- pools ---------------------------------------------------------------------------------------------------------
 */

/* Three pixels in a row, joined, along an axis. */
static tw_val join_3(tw_val x, int axis, int64_t step, tw_val (*join)(tw_val, tw_val))
{
    tw_shape s = tw_shape_at(x);
    int64_t begin[4] = {0}, end[4], stride[4] = {1, 1, 1, 1}, steps = (s.dim[axis] - 3) / step;
    tw_val all = TW_NONE;
    memcpy(end, s.dim, sizeof end);
    stride[axis] = step;
    for (int k = 0; k < 3; k++) {
        begin[axis] = k;
        end[axis] = k + steps * step + 1;
        tw_val part = tw_slice_strided(x, begin, end, stride);
        all = k == 0 ? part : join(all, part);
    }
    return all;
}

static tw_val join_3x3(tw_val x, int64_t step, tw_val (*join)(tw_val, tw_val))
{
    return join_3(join_3(x, 1, step, join), 2, step, join);
}

static tw_val frame(tw_val x, double value)
{
    const int64_t one[4] = {0, 1, 1, 0}, none[4] = {0};
    return tw_pad(x, value, one, one, none);
}

static tw_val max_pool(tw_val x, int64_t step)
{
    return step > 0 ? join_3x3(x, step, tw_max) : join_3x3(frame(x, -(double)INFINITY), 1, tw_max);
}

static tw_val average_pool(tw_val x)
{
    tw_val ones = tw_full(x.graph, TW_DTYPE_F32, tw_shape_of(1, tw_dim(x, 1), tw_dim(x, 2), 1), 1);
    return tw_div(join_3x3(frame(x, 0), 1, tw_add), join_3x3(frame(ones, 0), 1, tw_add));
}

/* --- layers --------------------------------------------------------------------------------------------------------
 */

static tw_status find(const reader *r, const char *name, int64_t *out)
{
    for (int64_t i = 0; i < r->file.count; i++)
        if (strcmp(tw_weights_at(&r->file, i).name, name) == 0) return *out = i, TW_OK;
    return tw_fail(r->net->ctx, TW_ERR_FORMAT, "%s: not the Inception network of FID: tensor '%s' is missing",
                   r->file.path, name);
}

/* The shape of the kernel of layer `name`, which must read so many channels. */
static tw_status find_kernel(const reader *r, const char *name, int64_t inputs, tw_shape *out)
{
    char full[NAME + SUFFIX];
    int64_t i = 0;
    snprintf(full, sizeof full, "%s.conv.weight", name);
    tw_status status = find(r, full, &i);
    if (status != TW_OK) return status;
    tw_shape s = *out = tw_weights_at(&r->file, i).shape;
    if (s.rank != 4 || s.dim[0] < 1 || s.dim[1] != inputs || s.dim[2] % 2 == 0 || s.dim[3] % 2 == 0)
        return tw_fail(r->net->ctx, TW_ERR_SHAPE,
                       "%s: tensor '%s' is %s, expected (outputs,%lld,height,width) with odd sides", r->file.path, full,
                       tw_shape_show(s).text, (long long)inputs);
    return TW_OK;
}

/* max(0, convolution), with the batch norm between folded in. */
static tw_val convolve(reader *r, const char *name, int64_t step, tw_val x)
{
    tw_shape s;
    r->status = find_kernel(r, name, tw_last_dim(x), &s);
    if (r->status != TW_OK) return tw_graph_fail(x.graph, r->status, "%s", name);
    int64_t outputs = s.dim[0], inputs = s.dim[1], height = s.dim[2], width = s.dim[3];
    int64_t above = step > 0 ? 0 : height / 2, before = step > 0 ? 0 : width / 2;
    tw_conv_desc desc = {.stride = {step, step}, .low = {above, before}, .high = {above, before}};
    tw_scope scope = tw_in(tw_scope_root(r->net->params), name);
    tw_val weight = tw_param(scope, "weight", tw_shape_of(height, width, inputs, outputs), TW_INIT_ZERO, 0);
    tw_val bias = tw_param(scope, "bias", tw_shape_of(outputs), TW_INIT_ZERO, 0);
    return tw_max(tw_add(tw_conv(x, weight, &desc), bias), tw_const(x.graph, TW_DTYPE_F32, 0));
}

static bool is_word(const char *word, size_t length, const char *text)
{
    return length == strlen(text) && memcmp(word, text, length) == 0;
}

static tw_val layer(reader *r, tw_val x)
{
    const char *word = r->at;
    size_t length = strcspn(word, " /|()");
    int64_t step = 0;
    char name[NAME];
    r->at += length;
    if (*r->at == '/') {
        step = r->at[1] - '0';
        r->at += 2;
    }
    if (tw_is_none(x) || r->status != TW_OK) return x;
    if (is_word(word, length, "max")) return max_pool(x, step);
    if (is_word(word, length, "avg")) return average_pool(x);
    snprintf(name, sizeof name, "%s%.*s", r->block, (int)length, word);
    return convolve(r, name, step, x);
}

static tw_val parallel(reader *r, tw_val x);

static tw_val chain(reader *r, tw_val x)
{
    for (;; r->at += *r->at == ' ') {
        if (*r->at == '(') {
            r->at++;
            x = parallel(r, x);
            r->at++;
        } else if (*r->at == 0 || *r->at == '|' || *r->at == ')') {
            return x;
        } else if (*r->at != ' ') {
            x = layer(r, x);
        }
    }
}

static tw_val parallel(reader *r, tw_val x)
{
    tw_val part[PARTS];
    int count = 0;
    for (part[count++] = chain(r, x); *r->at == '|'; count++) {
        r->at++;
        part[count] = chain(r, x);
    }
    return count == 1 ? part[0] : tw_concat(3, count, part);
}

/* --- pictures ------------------------------------------------------------------------------------------------------
 */

/* x (B,size,...) -> (B,...,side): pixel centres of the result lie where they lie in the picture, values between two
 * pixels on the line through both, beyond the last ones theirs. */
static tw_val resize(tw_val x, int side)
{
    if (tw_is_none(x)) return x;
    int64_t size = tw_dim(x, 1);
    tw_context *ctx = x.graph->ctx;
    float *share = tw_alloc(ctx, (size_t)(side * size), sizeof *share);
    if (!share) return tw_graph_fail(x.graph, TW_ERR_MEMORY, "out of memory while resizing pictures");
    for (int64_t i = 0; i < side; i++) {
        double place = fmax(0, ((double)i + 0.5) * (double)size / side - 0.5);
        int64_t low = (int64_t)place, high = tw_min_i64(low + 1, size - 1);
        share[i * size + low] += (float)(1 - (place - (double)low));
        share[i * size + high] += (float)(place - (double)low);
    }
    tw_val shares = tw_const_data(x.graph, TW_DTYPE_F32, tw_shape_of(side, size), share);
    tw_free(ctx, share);
    return tw_dot_general(x, shares, 0, NULL, NULL, 1, (const int[]){1}, (const int[]){1});
}

/* x (B,H,W,C) of bytes -> features (B,F). */
static tw_val whole(reader *r, tw_val x)
{
    int side = r->net->side;
    x = tw_transpose(resize(resize(x, side), side), (const int[]){0, 2, 3, 1});
    x = tw_broadcast_to(tw_adds(tw_muls(x, 2 / 255.0), -1), tw_shape_of(BLOCK, side, side, 3));
    for (int i = 0; i < TW_COUNT(blocks); i++) {
        r->block = blocks[i].name;
        r->at = blocks[i].layers;
        x = parallel(r, x);
    }
    return tw_mean_axis(tw_mean_axis(x, 1), 1);
}

/* --- weights -------------------------------------------------------------------------------------------------------
 */

/* `length` letters of a layer's name and what follows. */
static tw_status read(reader *r, const char *name, size_t length, const char *rest, tw_shape wanted, float *out)
{
    char full[NAME + SUFFIX];
    int64_t i = 0;
    snprintf(full, sizeof full, "%.*s%s", (int)length, name, rest);
    tw_status status = find(r, full, &i);
    if (status != TW_OK) return status;
    tw_shape s = tw_weights_at(&r->file, i).shape;
    if (!tw_shape_equal(s, wanted))
        return tw_fail(r->net->ctx, TW_ERR_SHAPE, "%s: tensor '%s' is %s, expected %s", r->file.path, full,
                       tw_shape_show(s).text, tw_shape_show(wanted).text);
    return tw_weights_get(&r->file, i, out);
}

/* Parameters i and i + 1, weight and bias of a layer: w / s and shift - mean / s, 1 / s = scale / (variance +
 * epsilon)^(1/2). The file's kernels are (outputs, inputs, height, width). */
static tw_status fold(reader *r, int i)
{
    tw_inception *net = r->net;
    const char *name = tw_params_name(net->params, i);
    size_t length = strlen(name) - strlen(".weight");
    const int64_t *d = tw_shape_at(tw_params_value(net->params, i)).dim;
    int64_t pixels = d[0] * d[1], inputs = d[2], outputs = d[3];
    float *to = net->weights + tw_params_offset(net->params, i),
          *bias = net->weights + tw_params_offset(net->params, i + 1);
    tw_shape each = tw_shape_of(outputs);
    tw_status status = TW_OK;
    float *kernel = tw_alloc(net->ctx, (size_t)(pixels * inputs + 3) * (size_t)outputs, sizeof *kernel);
    if (!kernel) return tw_fail_memory(net->ctx, (size_t)(pixels * inputs * outputs) * sizeof *kernel);
    float *scale = kernel + pixels * inputs * outputs, *mean = scale + outputs, *variance = mean + outputs;
    TW_TRY(read(r, name, length, ".conv.weight", tw_shape_of(outputs, inputs, d[0], d[1]), kernel));
    TW_TRY(read(r, name, length, ".bn.weight", each, scale));
    TW_TRY(read(r, name, length, ".bn.bias", each, bias));
    TW_TRY(read(r, name, length, ".bn.running_mean", each, mean));
    TW_TRY(read(r, name, length, ".bn.running_var", each, variance));
    for (int64_t o = 0; o < outputs; o++) {
        double s = (double)scale[o] / sqrt((double)variance[o] + epsilon);
        bias[o] = (float)((double)bias[o] - s * (double)mean[o]);
        for (int64_t c = 0; c < inputs; c++)
            for (int64_t p = 0; p < pixels; p++)
                to[(p * inputs + c) * outputs + o] = (float)(s * (double)kernel[(o * inputs + c) * pixels + p]);
    }
done:
    tw_free(net->ctx, kernel);
    return status;
}

static tw_status reserve(tw_inception *net)
{
    tw_context *ctx = net->ctx;
    size_t count = (size_t)tw_params_count(net->params);
    size_t pictures = BLOCK * (size_t)tw_image_size(net->image), features = BLOCK * (size_t)net->features;
    net->weights = tw_alloc_aligned(ctx, (size_t)tw_params_size(net->params) * sizeof(float));
    net->inputs = tw_alloc(ctx, count + 1, sizeof *net->inputs);
    net->pictures = tw_alloc_aligned(ctx, pictures * sizeof(float));
    net->block = tw_alloc_aligned(ctx, features * sizeof(float));
    if (!net->weights || !net->inputs || !net->pictures || !net->block)
        return tw_fail_memory(ctx, (size_t)tw_params_size(net->params) * sizeof(float));
    for (size_t i = 0; i < count; i++) net->inputs[i] = net->weights + tw_params_offset(net->params, (int)i);
    net->inputs[count] = net->pictures;
    return TW_OK;
}

static tw_status compile(tw_inception *net, tw_val x, tw_val features)
{
    int count = tw_params_count(net->params);
    tw_status status = TW_OK;
    tw_val *inputs = tw_alloc(net->ctx, (size_t)count + 1, sizeof *inputs);
    bool *constants = tw_alloc(net->ctx, (size_t)count + 1, sizeof *constants);
    if (!inputs || !constants) TW_TRY(tw_fail_memory(net->ctx, (size_t)count * sizeof *inputs));
    for (int i = 0; i < count; i++) inputs[i] = tw_params_value(net->params, i), constants[i] = true;
    inputs[count] = x;
    tw_program_desc desc = {.name = "Inception",
                            .inputs_count = count + 1,
                            .inputs = inputs,
                            .outputs_count = 1,
                            .outputs = &features,
                            .constants = constants};
    TW_TRY(tw_program_compile(net->ctx, &desc, &net->program));
    TW_TRY(tw_state_create(net->program, 0, &net->state));
done:
    tw_free(net->ctx, inputs);
    tw_free(net->ctx, constants);
    return status;
}

/* --- all -----------------------------------------------------------------------------------------------------------
 */

tw_status tw_inception_open(tw_context *ctx, const char *path, tw_image image, int side, tw_inception **out_inception)
{
    reader r = {0};
    tw_status status = TW_OK;
    if (image.height < 1 || image.width < 1 || (image.channels != 1 && image.channels != 3) ||
        side < TW_INCEPTION_LEAST_SIDE)
        return tw_fail(
            ctx, TW_ERR_INVALID,
            "an Inception network takes grey pictures or pictures in colour, resized to %d pixels at least, not "
            "%d x %d of %d channels to %d",
            TW_INCEPTION_LEAST_SIDE, image.height, image.width, image.channels, side);
    tw_inception *net = r.net = tw_alloc(ctx, 1, sizeof *net);
    if (!net) return tw_fail_memory(ctx, sizeof *net);
    *net = (tw_inception){.ctx = ctx, .image = image, .side = side};
    TW_TRY(tw_weights_read(ctx, path, &r.file));
    TW_TRY(tw_graph_create(ctx, &net->graph));
    TW_TRY(tw_params_create(ctx, net->graph, TW_DTYPE_F32, &net->params));
    tw_val x =
        tw_input(net->graph, "pictures", TW_DTYPE_F32, tw_shape_of(BLOCK, image.height, image.width, image.channels));
    tw_val features = whole(&r, x);
    TW_TRY(r.status);
    TW_TRY(tw_graph_check(net->graph));
    net->features = (int)tw_last_dim(features);
    TW_TRY(reserve(net));
    for (int i = 0; i < tw_params_count(net->params); i += 2) TW_TRY(fold(&r, i));
    TW_TRY(compile(net, x, features));
    *out_inception = net;
    net = NULL;
done:
    tw_weights_free(&r.file);
    tw_inception_close(net);
    return status;
}

void tw_inception_close(tw_inception *net)
{
    if (!net) return;
    tw_context *ctx = net->ctx;
    tw_state_destroy(net->state);
    tw_program_destroy(net->program);
    tw_params_destroy(net->params);
    tw_graph_destroy(net->graph);
    tw_free_aligned(ctx, net->weights);
    tw_free_aligned(ctx, net->pictures);
    tw_free_aligned(ctx, net->block);
    tw_free(ctx, net->inputs);
    tw_free(ctx, net);
}

int tw_inception_features(const tw_inception *net)
{
    return net->features;
}

/* Blocks are always whole; what lies behind the last picture is the block's before. */
tw_status tw_inception_run(tw_inception *net, int64_t rows, const double *pictures,
                           int (*on_progress)(void *user, int64_t done, int64_t total), void *user,
                           double *out_features)
{
    int64_t numbers = tw_image_size(net->image), width = net->features;
    for (int64_t first = 0; first < rows; first += BLOCK) {
        int64_t count = tw_min_i64(BLOCK, rows - first);
        for (int64_t i = 0; i < count * numbers; i++)
            net->pictures[i] = (float)nearbyint(fmin(255, fmax(0, pictures[first * numbers + i])));
        tw_status status = tw_program_run(net->state, net->inputs, (void *[]){net->block}, 0);
        if (status != TW_OK) return status;
        for (int64_t i = 0; i < count * width; i++) out_features[first * width + i] = (double)net->block[i];
        if (on_progress && on_progress(user, first + count, rows) != 0)
            return tw_fail(net->ctx, TW_ERR_CANCELLED, "stopped after %lld of %lld pictures",
                           (long long)(first + count), (long long)rows);
    }
    return TW_OK;
}
