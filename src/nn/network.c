/* nn/network.c - networks by name: look-up, defaults, dispatch. */
#include "nn/network.h"

#include "graph/node.h"
#include "nn/piece.h"

#include <string.h>

typedef tw_val (*build_fn)(tw_scope scope, const tw_network_desc *desc, tw_val x, tw_val t, tw_val condition,
                           int64_t outputs);

enum { MOST_FIELDS = 16 };

typedef struct network {
    tw_network_info info;
    build_fn build;
    enum { OF_ROWS, OF_IMAGES, OF_TOKENS, OF_RAGGED } takes;
    tw_field_default field[MOST_FIELDS];
    int fields_count;
} network;

#define TW_F(field, ...) {TW_FIELD_##field, {__VA_ARGS__}},
#define COUNT(...)       (int)(sizeof((const tw_field_default[]){__VA_ARGS__}) / sizeof(tw_field_default))
#define TW_ROW(name, about, source, takes, ...)                                                                        \
    {{#name, about, source, NULL}, tw_network_##name, takes, {__VA_ARGS__}, COUNT(__VA_ARGS__)},
#define TW_NETWORK(name, about, source, fields)        TW_ROW(name, about, source, OF_ROWS, fields)
#define TW_IMAGE_NETWORK(name, about, source, fields)  TW_ROW(name, about, source, OF_IMAGES, fields)
#define TW_TOKEN_NETWORK(name, about, source, fields)  TW_ROW(name, about, source, OF_TOKENS, fields)
#define TW_RAGGED_NETWORK(name, about, source, fields) TW_ROW(name, about, source, OF_RAGGED, fields)
static const network networks[] = {
#include "nn/networks.def"
};

const tw_network_info *tw_network_list(int index)
{
    return index >= 0 && index < TW_COUNT(networks) ? &networks[index].info : NULL;
}

static const network *find(const char *kind)
{
    for (int i = 0; i < TW_COUNT(networks); i++)
        if (strcmp(networks[i].info.name, kind) == 0) return &networks[i];
    return NULL;
}

const tw_field_default *tw_network_fields_of(const char *kind, int *out_count)
{
    const network *n = find(kind);
    *out_count = n ? n->fields_count : 0;
    return n ? n->field : NULL;
}

tw_status tw_network_complete(tw_context *ctx, const tw_network_desc *desc, tw_network_desc *out_desc)
{
    tw_network_desc full = desc ? *desc : (tw_network_desc){0};
    const tw_piece_info *info = NULL;
    tw_status status = TW_OK;
    TW_TRY(tw_piece_find(ctx, "network",
                         full.kind         ? full.kind
                         : full.states > 0 ? "token_mlp"
                                           : "mlp",
                         tw_network_list, &info));
    full.kind = info->name;
    const network *n = find(full.kind);
    if (n->takes == OF_IMAGES && full.image.height < 1)
        TW_TRY(tw_fail(ctx, TW_ERR_INVALID, "network '%s' is for pictures, and the rows are none", full.kind));
    if ((n->takes >= OF_TOKENS) != (full.states > 0))
        TW_TRY(tw_fail(ctx, TW_ERR_INVALID, "network '%s' is %s tokens, and the rows are %s", full.kind,
                       full.states > 0 ? "not for" : "for", full.states > 0 ? "some" : "none"));
    if (full.blank > 0 && n->takes != OF_RAGGED)
        TW_TRY(tw_fail(ctx, TW_ERR_INVALID, "network '%s' is for rows of one length, not for sequences of any",
                       full.kind));
    if (full.blank > 0 && full.tied)
        TW_TRY(tw_fail(ctx, TW_ERR_INVALID, "network '%s': what is said of edits is no product with embeddings (tied)",
                       full.kind));
    TW_TRY(tw_fields_complete(ctx, full.kind, n->fields_count, n->field, &full));
    int levels = 0;
    while (levels < TW_NETWORK_LEVELS && full.mult[levels] > 0) levels++;
    if (levels > 0 && full.attention[0] == 0)
        full.attention[0] = full.image.height / (full.patch > 0 ? full.patch : 1) >> (levels - 1);
    *out_desc = full;
done:
    return status;
}

static tw_val check_arguments(tw_val x, tw_val t, tw_val condition)
{
    tw_shape xs = tw_shape_at(x), ts = tw_shape_at(t);
    if (!tw_is_none(condition)) {
        tw_shape cs = tw_shape_at(condition);
        if (cs.rank != 2 || cs.dim[0] != xs.dim[0])
            return tw_graph_fail(x.graph, TW_ERR_SHAPE, "network: the condition has rank %d, expected (B,C)",
                                 (int)cs.rank);
    }
    if (xs.rank != 2 || ts.rank != 1 || xs.dim[0] != ts.dim[0])
        return tw_graph_fail(x.graph, TW_ERR_SHAPE, "network: x and t have ranks %d and %d, expected x (B,D) and t (B)",
                             (int)xs.rank, (int)ts.rank);
    return x;
}

/* Rows as images and back. Several outputs of a row stand one behind another, not pixel by pixel. */
static tw_val of_images(const network *n, tw_scope scope, const tw_network_desc *desc, tw_val x, tw_val t,
                        tw_val condition, int64_t outputs)
{
    const tw_image *i = &desc->image;
    int64_t rows = tw_dim(x, 0), size = (int64_t)i->height * i->width, each = size * i->channels, many = outputs / each;
    if (tw_last_dim(x) != each || outputs % each)
        return tw_graph_fail(x.graph, TW_ERR_SHAPE, "network: rows of %lld and %lld numbers, images have %lld",
                             (long long)tw_last_dim(x), (long long)outputs, (long long)each);
    tw_val h = tw_reshape(x, tw_shape_of(rows, i->height, i->width, i->channels));
    h = n->build(scope, desc, h, t, condition, many * i->channels);
    if (many == 1 || tw_is_none(h)) return tw_is_none(h) ? h : tw_reshape(h, tw_shape_of(rows, outputs));
    h = tw_reshape(h, tw_shape_of(rows, size, many, i->channels));
    return tw_reshape(tw_transpose(h, (const int[]){0, 2, 1, 3}), tw_shape_of(rows, outputs));
}

tw_val tw_network(tw_scope scope, const tw_network_desc *desc, tw_val x, tw_val t, tw_val condition, int64_t outputs)
{
    if (tw_is_none(x)) return x;
    if (tw_is_none(t)) return t;
    if (tw_is_none(check_arguments(x, t, condition))) return TW_NONE;
    tw_context *ctx = x.graph->ctx;
    tw_network_desc full;
    tw_status status = tw_network_complete(ctx, desc, &full);
    if (status != TW_OK) return tw_graph_fail(x.graph, status, "%s", tw_context_error(ctx));
    const network *n = find(full.kind);
    if (n->takes == OF_IMAGES) return of_images(n, scope, &full, x, t, condition, outputs);
    if (n->takes >= OF_TOKENS) x = tw_cast(x, TW_DTYPE_I32);
    if (full.timeless) t = tw_zeros_like(t);
    return n->build(scope, &full, x, t, condition, outputs);
}
