/* graph/closure.c - functions of values that stand in a graph already: what the outputs need beside the inputs is found
 * and becomes an argument, as functions see their arguments only. So a network, whose parameters are inputs of the
 * calling graph, can be the body of a loop. */
#include "graph/function.h"

static bool is_input(const tw_closure *c, int32_t id)
{
    for (int i = 0; i < c->inputs_count; i++)
        if (c->inputs[i].id == id) return true;
    return false;
}

/* depends[id]: on an input. */
static void mark_dependent(const tw_closure *c, const tw_graph *g, bool *depends)
{
    for (int32_t id = 0; id < g->count; id++) {
        const tw_node *n = tw_node_of(g, id);
        depends[id] = is_input(c, id);
        for (int k = 0; k < n->args_count; k++) depends[id] |= depends[tw_node_args(g, n)[k]];
    }
}

/* Constants are written again, anything else that does not depend on an input is handed over. */
static bool is_captured(const tw_graph *g, int32_t id, const bool *depends)
{
    int op = tw_node_of(g, id)->op;
    return !depends[id] && op != TW_OP_const && op != TW_OP_iota;
}

static void find(tw_closure *c, const tw_graph *g, const bool *depends, bool *wanted)
{
    for (int32_t id = 0; id < g->count; id++) {
        const tw_node *n = tw_node_of(g, id);
        for (int k = 0; depends[id] && !is_input(c, id) && k < n->args_count; k++) wanted[tw_node_args(g, n)[k]] = true;
    }
    for (int k = 0; k < c->outputs_count; k++) wanted[c->outputs[k].id] = true;
    c->captures_count = 0;
    for (int32_t id = 0; id < g->count; id++)
        if (wanted[id] && is_captured(g, id, depends))
            c->args[c->captures_count++] = tw_val_of((tw_graph *)(uintptr_t)g, id);
    for (int i = 0; i < c->inputs_count; i++) c->args[c->captures_count + i] = c->inputs[i];
}

bool tw_closure_open(tw_closure *c, tw_graph *g)
{
    if (g->status != TW_OK) return false;
    size_t count = (size_t)g->count;
    bool *needed = tw_alloc(g->ctx, 2 * count, sizeof *needed), *depends = needed ? needed + count : NULL;
    bool *wanted = tw_alloc(g->ctx, count, sizeof *wanted);
    c->args = tw_alloc(g->ctx, count + (size_t)c->inputs_count, sizeof *c->args);
    if (needed && wanted && c->args) {
        mark_dependent(c, g, depends);
        tw_mark_between(g, c->inputs_count, c->inputs, c->outputs_count, c->outputs, needed);
        for (size_t id = 0; id < count; id++) depends[id] &= needed[id];
        find(c, g, depends, wanted);
    } else {
        tw_graph_fail(g, TW_ERR_MEMORY, "out of memory: a function of values of %lld nodes", (long long)g->count);
    }
    tw_free(g->ctx, needed);
    tw_free(g->ctx, wanted);
    if (g->status != TW_OK) tw_closure_close(c, g);
    return g->status == TW_OK;
}

void tw_closure_close(tw_closure *c, const tw_graph *g)
{
    tw_free(g->ctx, c->args);
    c->args = NULL;
}

void tw_closure_body(void *user, tw_graph *g, const tw_val *inputs, tw_val *outputs)
{
    const tw_closure *c = user;
    const tw_function f = {.graph = c->outputs[0].graph,
                           .inputs_count = c->captures_count + c->inputs_count,
                           .inputs = c->args,
                           .outputs_count = c->outputs_count,
                           .outputs = c->outputs};
    tw_function_inline(&f, g, inputs, outputs);
}
