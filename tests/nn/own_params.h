/* tests/nn/own_params.h - a graph in double with the parameters of a network, made anew by setup and teardown of each
 * test, in a context of one thread. */
#ifndef TESTS_NN_OWN_PARAMS_H
#define TESTS_NN_OWN_PARAMS_H

#include <thalweg/nn.h>

static tw_context *ctx;
static tw_graph *graph;
static tw_params *params;

static int setup(void **state)
{
    (void)state;
    ctx = tw_context_create(&(tw_context_desc){.threads = 1});
    if (tw_graph_create(ctx, &graph) != TW_OK) return 1;
    return tw_params_create(ctx, graph, TW_DTYPE_F64, &params) != TW_OK;
}

static int teardown(void **state)
{
    (void)state;
    tw_params_destroy(params);
    tw_graph_destroy(graph);
    tw_context_destroy(ctx);
    return 0;
}

#endif
