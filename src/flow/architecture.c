/* flow/architecture.c - see architecture.h. */
#include "flow/architecture.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* What is of a kind of network, whoever made it. */
enum { unet_convolves = true, dit_convolves = false };
static tw_status infer_unet(const tw_state_dict *s, tw_flow_desc *d);
static tw_status infer_dit(const tw_state_dict *s, tw_flow_desc *d);

static const tw_architecture architectures[] = {
#define TW_ARCHITECTURE(name, network, sign, split, table, null_class, bias, about, source)                            \
    {{#name, about, source, NULL}, #network,       sign, split, table, null_class, bias,                               \
     network##_convolves,          infer_##network},
#include "flow/architectures.def"
};

const tw_piece_info *tw_architecture_list(int index)
{
    return index >= 0 && index < TW_COUNT(architectures) ? &architectures[index].info : NULL;
}

tw_status tw_architecture_find(tw_context *ctx, const char *name, const tw_architecture **out_architecture)
{
    const tw_piece_info *info = NULL;
    tw_status status = tw_piece_find(ctx, "architecture", name, tw_architecture_list, &info);
    if (status == TW_OK) *out_architecture = (const tw_architecture *)info;
    return status;
}

/* --- layouts ------------------------------------------------------------------------------------------------------ */

static bool has(const char *name, const char *part)
{
    return strstr(name, part) != NULL;
}

static int heads_of(const tw_network_desc *network, int64_t channels)
{
    return network->head_channels > 0 ? (int)(channels / network->head_channels) : network->heads;
}

tw_foreign tw_architecture_tensor(const tw_architecture *a, const tw_network_desc *network, const char *name,
                                  tw_shape shape)
{
    tw_foreign f = {.name = name, .ours = shape, .theirs = shape};
    const int64_t *d = shape.dim;
    bool table = strcmp(name, a->table) == 0;
    f.turned = !table && shape.rank != 3;
    if (table)
        f.theirs = tw_shape_of(d[0] + a->null_class, d[1]);
    else if (shape.rank == 2 && a->convolves && (has(name, "qkv.") || has(name, "proj_out.")))
        f.theirs = tw_shape_of(d[1], d[0], 1);
    else if (shape.rank == 2)
        f.theirs = tw_shape_of(d[1], d[0]);
    else if (shape.rank == 4)
        f.theirs = tw_shape_of(d[3], d[2], d[0], d[1]);
    if (a->split && has(name, ".qkv.")) f.heads = heads_of(network, d[shape.rank - 1] / 3);
    return f;
}

/* Where output `o` of ours, q, k and v of each head together, is there: all q before all k before all v. */
static int64_t output_there(const tw_foreign *f, int64_t o, int64_t outputs)
{
    if (f->heads == 0) return o;
    int64_t all = outputs / 3, each = all / f->heads, head = o / (3 * each), part = o % (3 * each) / each;
    return part * all + head * each + o % each;
}

void tw_foreign_copy(const tw_foreign *f, const float *from, float *to, bool to_ours)
{
    const tw_shape *s = &f->ours;
    int64_t count = tw_shape_size(*s), outputs = s->dim[s->rank - 1], inputs = s->rank > 1 ? s->dim[s->rank - 2] : 1;
    int64_t pixels = count / inputs / outputs;
    for (int64_t here = 0; here < count; here++) {
        int64_t o = here % outputs, i = here / outputs % inputs, p = here / outputs / inputs;
        int64_t there = f->turned ? (output_there(f, o, outputs) * inputs + i) * pixels + p : here;
        to[to_ours ? here : there] = from[to_ours ? there : here];
    }
}

/* --- what shapes tell --------------------------------------------------------------------------------------------- */

int64_t tw_state_dict_find(const tw_state_dict *s, const char *name)
{
    size_t prefix = strlen(s->prefix);
    for (int64_t i = s->weights->count - 1; i >= 0; i--) {
        const char *full = tw_weights_at(s->weights, i).name;
        if (strncmp(full, s->prefix, prefix) == 0 && strcmp(full + prefix, name) == 0) return i;
    }
    return -1;
}

/* Axis `axis` of the tensor called as the format says, 0: there is none. */
static int64_t TW_PRINTF(3, 4) size_of(const tw_state_dict *s, int axis, const char *format, ...)
{
    char name[256];
    va_list list;
    va_start(list, format);
    vsnprintf(name, sizeof name, format, list);
    va_end(list);
    int64_t i = tw_state_dict_find(s, name);
    if (i < 0) return 0;
    tw_shape shape = tw_weights_at(s->weights, i).shape;
    return axis < shape.rank ? shape.dim[axis] : 0;
}

static bool there(const tw_state_dict *s, const char *list, int index, const char *rest)
{
    return size_of(s, 0, "%s.%d.%s", list, index, rest) > 0;
}

static void fill(int *field, int64_t value)
{
    if (*field == 0 && value > 0 && value <= INT32_MAX) *field = (int)value;
}

/* Levels of a UNet: one more than there are steps from one to the next. Those without weights are gaps in the numbers
 * of the way down. */
static int count_levels(const tw_state_dict *s, tw_network_desc *n, int outputs)
{
    int steps = 0, gaps = 0;
    for (int i = 0; i < outputs; i++) {
        bool residual = there(s, "output_blocks", i, "1.in_layers.2.weight") ||
                        there(s, "output_blocks", i, "2.in_layers.2.weight");
        bool convolved = there(s, "output_blocks", i, "1.conv.weight") || there(s, "output_blocks", i, "2.conv.weight");
        steps += residual || convolved;
        if (residual) n->residual_resample = 1;
    }
    for (int i = 1; i < outputs; i++)
        gaps += !there(s, "input_blocks", i, "0.in_layers.2.weight") && !there(s, "input_blocks", i, "0.op.weight");
    if (steps == 0 && gaps > 0) n->plain_resample = 1;
    return 1 + (steps > 0 ? steps : gaps);
}

static void infer_levels(const tw_state_dict *s, tw_flow_desc *d)
{
    tw_network_desc *n = &d->network;
    int outputs = 0, attends = 0;
    while (there(s, "output_blocks", outputs, "0.in_layers.2.weight")) outputs++;
    int levels = count_levels(s, n, outputs);
    if (outputs == 0 || levels > TW_NETWORK_LEVELS || outputs % levels || n->width == 0) return;
    int each = outputs / levels; /* residual blocks and the step behind them */
    fill(&n->blocks, each - 1);
    bool told = n->attention[0] != 0;
    for (int i = 0; i < levels; i++) {
        int first = 1 + i * each;
        fill(&n->mult[i], size_of(s, 0, "input_blocks.%d.0.out_layers.3.weight", first) / n->width);
        if (there(s, "input_blocks", first, "1.qkv.weight") && !told) n->attention[attends++] = d->image.height >> i;
    }
    if (n->attention[0] == 0) n->attention[0] = -1;
    if (size_of(s, 0, "input_blocks.1.0.emb_layers.1.weight") ==
        2 * size_of(s, 0, "input_blocks.1.0.out_layers.3.weight"))
        n->scale_shift = 1;
}

static tw_status infer_unet(const tw_state_dict *s, tw_flow_desc *d)
{
    if (d->image.height == 0)
        return tw_fail(s->ctx, TW_ERR_INVALID,
                       "the size of the images is not in the weights of a UNet: height and width are needed");
    fill(&d->network.width, size_of(s, 1, "time_embed.0.weight"));
    fill(&d->image.channels, size_of(s, 1, "input_blocks.0.0.weight"));
    infer_levels(s, d);
    return TW_OK;
}

static tw_status infer_dit(const tw_state_dict *s, tw_flow_desc *d)
{
    tw_network_desc *n = &d->network;
    int depth = 0;
    while (there(s, "blocks", depth, "attn.qkv.weight")) depth++;
    fill(&n->width, size_of(s, 0, "x_embedder.proj.weight"));
    fill(&n->patch, size_of(s, 2, "x_embedder.proj.weight"));
    fill(&d->image.channels, size_of(s, 1, "x_embedder.proj.weight"));
    fill(&n->depth, depth);
    int64_t patches = size_of(s, 1, "pos_embed");
    int side = 1;
    while (side < INT16_MAX && (int64_t)side * side < patches) side++; /* a file may say anything */
    fill(&d->image.height, (int64_t)side * n->patch);
    fill(&d->image.width, (int64_t)side * n->patch);
    double numbers = (double)n->patch * n->patch * d->image.channels; /* of a patch */
    if ((double)size_of(s, 0, "final_layer.linear.weight") == 2 * numbers) n->learn_sigma = 1;
    n->learn_positions = 1;
    return TW_OK;
}

tw_status tw_architecture_infer(const tw_architecture *a, const tw_state_dict *s, tw_flow_desc *desc, int *out_classes)
{
    int64_t classes = size_of(s, 0, "%s", a->table);
    tw_network_desc *n = &desc->network;
    n->kind = a->network;
    tw_status status = a->infer(s, desc);
    if (status != TW_OK) return status;
    if (n->heads == 0 && n->head_channels == 0)
        return tw_fail(
            s->ctx, TW_ERR_INVALID,
            "how many heads attention has is not in the weights: their number, or channels of each, is needed");
    *out_classes = classes > a->null_class && classes < INT32_MAX ? (int)classes - a->null_class : 0;
    return TW_OK;
}
