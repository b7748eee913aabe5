/* nn/network.c - networks by name: look-up, defaults, dispatch. */
#include "nn/network.h"

#include "graph/node.h"
#include "nn/piece.h"

#include <string.h>

typedef tw_val (*build_fn)(tw_scope scope, const tw_network_desc *desc, tw_val x, tw_val t, tw_val condition,
                           int64_t outputs);

typedef struct network {
    tw_network_info info;
    build_fn build;
} network;

static const network networks[] = {
#define TW_NETWORK(name, about, source) {{#name, about, source, NULL}, tw_network_##name},
#include "nn/networks.def"
};

const tw_network_info *tw_network_list(int index)
{
    return index >= 0 && index < TW_COUNT(networks) ? &networks[index].info : NULL;
}

static tw_status check_range(tw_context *ctx, const char *what, int value, int low, int high)
{
    if (value >= low && value <= high) return TW_OK;
    return tw_fail(ctx, TW_ERR_INVALID, "network %s is %d, expected %d to %d", what, value, low, high);
}

tw_status tw_network_complete(tw_context *ctx, const tw_network_desc *desc, tw_network_desc *out_desc)
{
    tw_network_desc full = desc ? *desc : (tw_network_desc){0};
    const tw_piece_info *info = NULL;
    tw_status status = TW_OK;
    TW_TRY(tw_piece_find(ctx, "network", full.kind ? full.kind : "mlp", tw_network_list, &info));
    full.kind = info->name;
    if (full.width == 0) full.width = 256;
    if (full.depth == 0) full.depth = 4;
    if (full.time_features == 0) full.time_features = 16;
    TW_TRY(check_range(ctx, "width", full.width, 1, 16384));
    TW_TRY(check_range(ctx, "depth", full.depth, 1, 256));
    TW_TRY(check_range(ctx, "time features", full.time_features, 2, 4096));
    if (full.time_features % 2)
        TW_TRY(
            tw_fail(ctx, TW_ERR_INVALID, "network time features is %d, expected an even number", full.time_features));
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

tw_val tw_network(tw_scope scope, const tw_network_desc *desc, tw_val x, tw_val t, tw_val condition, int64_t outputs)
{
    if (tw_is_none(x)) return x;
    if (tw_is_none(t)) return t;
    if (tw_is_none(check_arguments(x, t, condition))) return TW_NONE;
    tw_context *ctx = x.graph->ctx;
    tw_network_desc full;
    tw_status status = tw_network_complete(ctx, desc, &full);
    for (int i = 0; status == TW_OK && i < TW_COUNT(networks); i++)
        if (strcmp(networks[i].info.name, full.kind) == 0)
            return networks[i].build(scope, &full, x, t, condition, outputs);
    return tw_graph_fail(x.graph, status, "%s", tw_context_error(ctx));
}
