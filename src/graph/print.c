/* graph/print.c - a function as text: inputs in the given order, then what the outputs need, one node a line.
 *
 *     %0 = input("x") f32[64,2]
 *     %1 = const(0.5) f32[]
 *     %4 = dot_general(%0, %3) {batch_a=[], batch_b=[], contract_a=[1], contract_b=[0]} f32[64,3]
 *     return %4
 *
 * Functions that nodes call stand before it, each after those it calls:
 *
 *     function @0 {
 *     %0 = input("") f32[2]
 *     ...
 *     return %3
 *     }
 *     custom @1 "name"
 *
 * Numbers count lines, so the text does not depend on what else the graph holds. */
#include "base/text.h"
#include "graph/attr.h"
#include "graph/function.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The shortest decimal that rounds to the same float, or the double itself. */
static void add_element(tw_text *text, tw_dtype dtype, double value)
{
    for (int digits = 1; dtype == TW_DTYPE_F32 && digits <= 9; digits++) {
        char raw[48];
        double candidate;
        int length = snprintf(raw, sizeof raw, "%.*e", digits - 1, value);
        if (digits > 1 && raw[1] == ',') raw[1] = '.'; /* the program's locale may say so */
        if (digits > 1 && raw[0] == '-' && raw[2] == ',') raw[2] = '.';
        if (length < 0 || !tw_parse_double(raw, (size_t)length, &candidate)) break;
        if ((float)candidate != (float)value) continue;
        value = candidate;
        break;
    }
    tw_text_add_double(text, value, false);
}

static void add_list(tw_text *text, const tw_field_value *v)
{
    tw_text_add(text, "[");
    for (int i = 0; i < v->count; i++) tw_text_add(text, i ? ",%" PRId64 : "%" PRId64, v->list[i]);
    tw_text_add(text, "]");
}

/* The functions of a text, in the order of their numbers. */
typedef struct catalogue {
    tw_context *ctx;
    const tw_function **list;
    int64_t count, capacity;
} catalogue;

static int64_t number_of(const catalogue *c, const tw_function *f)
{
    for (int64_t i = 0; i < c->count; i++)
        if (c->list[i] == f) return i;
    return -1;
}

static void add_fields(tw_text *text, const catalogue *c, const tw_graph *g, const tw_node *n)
{
    const char *before = " {";
    for (int i = 0; i < tw_fields_count; i++) {
        if (tw_fields[i].op != n->op) continue;
        tw_field_value v = tw_field_get(tw_node_attr(g, n), tw_fields[i].kind, n->shape.rank);
        tw_text_add(text, "%s%s=", before, tw_fields[i].name);
        if (tw_field_is_function(tw_fields[i].kind))
            tw_text_add(text, "@%" PRId64, number_of(c, tw_graph_function(g, (int32_t)v.number)));
        else if (tw_fields[i].is_list)
            add_list(text, &v);
        else
            tw_text_add_double(text, v.number, false);
        before = ", ";
    }
    if (before[0] == ',') tw_text_add(text, "}");
}

static void add_type(tw_text *text, const tw_node *n)
{
    tw_text_add(text, " %s[", tw_dtype_name((tw_dtype)n->dtype));
    for (int i = 0; i < n->shape.rank; i++) tw_text_add(text, i ? ",%" PRId64 : "%" PRId64, n->shape.dim[i]);
    tw_text_add(text, "]\n");
}

static void add_args(tw_text *text, const tw_graph *g, const tw_node *n, const int32_t *number)
{
    const int32_t *args = tw_node_args(g, n);
    bool swap = (tw_op_table[n->op].flags & TW_OPF_COMMUTES) && number[args[0]] > number[args[1]];
    for (int k = 0; k < n->args_count; k++) tw_text_add(text, k ? ", %%%d" : "%%%d", number[args[swap ? 1 - k : k]]);
    if (n->op != TW_OP_const) return;
    for (int64_t i = 0, size = tw_shape_size(n->shape); i < size; i++) {
        if (i) tw_text_add(text, ", ");
        add_element(text, (tw_dtype)n->dtype, tw_const_element(g, n, i));
    }
}

static void add_node(tw_text *text, const catalogue *c, const tw_graph *g, int32_t id, const int32_t *number)
{
    const tw_node *n = tw_node_of(g, id);
    tw_text_add(text, "%%%d = %s(", number[id], tw_op_table[n->op].name);
    add_args(text, g, n, number);
    tw_text_add(text, ")");
    add_fields(text, c, g, n);
    add_type(text, n);
}

/* A node given as an input is printed as one, whatever computes it. */
static void add_input(tw_text *text, const tw_graph *g, int32_t id, int32_t number)
{
    const tw_node *n = tw_node_of(g, id);
    tw_text_add(text, "%%%d = input(", number);
    tw_text_add_json_string(text, n->op == TW_OP_input ? g->names + tw_node_attr(g, n)->name : "");
    tw_text_add(text, ")");
    add_type(text, n);
}

/* What to print of a graph. */
typedef struct listing {
    tw_graph *g;
    int inputs_count, outputs_count;
    const tw_val *inputs, *outputs;
    bool *need;
    int32_t *number;
} listing;

static tw_status listing_create(listing *l, tw_graph *g, int inputs_count, const tw_val *inputs, int outputs_count,
                                const tw_val *outputs)
{
    *l = (listing){.g = g,
                   .inputs_count = inputs_count,
                   .outputs_count = outputs_count,
                   .inputs = inputs,
                   .outputs = outputs,
                   .need = tw_alloc(g->ctx, (size_t)g->count, sizeof *l->need),
                   .number = tw_alloc(g->ctx, (size_t)g->count, sizeof *l->number)};
    if (!l->need || !l->number) return tw_fail_memory(g->ctx, (size_t)g->count * sizeof *l->number);
    tw_mark_between(g, inputs_count, inputs, outputs_count, outputs, l->need);
    return TW_OK;
}

static void listing_free(listing *l)
{
    if (!l->g) return;
    tw_free(l->g->ctx, l->need);
    tw_free(l->g->ctx, l->number);
}

static tw_status add_lines(tw_text *text, const catalogue *c, const listing *l)
{
    tw_graph *g = l->g;
    int32_t next = 0, *number = l->number;
    for (int64_t id = 0; id < g->count; id++) number[id] = -1;
    for (int i = 0; i < l->inputs_count; i++) {
        int32_t id = l->inputs[i].id;
        if (number[id] >= 0)
            return tw_fail(g->ctx, TW_ERR_INVALID, "graph_print: inputs %d and %d are the same value", number[id] + 1,
                           i + 1);
        number[id] = next++;
        add_input(text, g, id, number[id]);
    }
    for (int32_t id = 0; id < g->count; id++) {
        if (!l->need[id] || number[id] >= 0) continue;
        const tw_node *n = tw_node_of(g, id);
        if (n->op == TW_OP_input)
            return tw_fail(g->ctx, TW_ERR_INVALID, "graph_print: input %s is needed but not among the inputs",
                           g->names + tw_node_attr(g, n)->name);
        number[id] = next++;
        add_node(text, c, g, id, number);
    }
    tw_text_add(text, "return");
    for (int k = 0; k < l->outputs_count; k++) tw_text_add(text, k ? ", %%%d" : " %%%d", number[l->outputs[k].id]);
    tw_text_add(text, "\n");
    return tw_text_check(text);
}

static tw_status add_functions(tw_text *text, catalogue *c, const listing *l);

/* A function and, before it, those it calls; nesting is bounded. */
static tw_status add_function(tw_text *text, catalogue *c, const tw_function *f)
{
    listing l = {0};
    tw_status status = TW_OK;
    if (number_of(c, f) >= 0) return TW_OK;
    if (f->graph) {
        TW_TRY(listing_create(&l, f->graph, f->inputs_count, f->inputs, f->outputs_count, f->outputs));
        TW_TRY(add_functions(text, c, &l));
    }
    TW_TRY(tw_grow(c->ctx, &c->list, &c->capacity, c->count + 1, sizeof *c->list));
    c->list[c->count++] = f;
    if (f->graph) {
        tw_text_add(text, "function @%" PRId64 " {\n", c->count - 1);
        TW_TRY(add_lines(text, c, &l));
        tw_text_add(text, "}\n");
    } else {
        tw_text_add(text, "custom @%" PRId64 " ", c->count - 1);
        tw_text_add_json_string(text, f->custom.name);
        tw_text_add(text, "\n");
    }
    status = tw_text_check(text);
done:
    listing_free(&l);
    return status;
}

static tw_status add_functions(tw_text *text, catalogue *c, const listing *l)
{
    tw_status status = TW_OK;
    for (int32_t id = 0; id < l->g->count && status == TW_OK; id++) {
        const tw_node *n = tw_node_of(l->g, id);
        for (int i = 0; l->need[id] && i < tw_fields_count && status == TW_OK; i++)
            if (tw_fields[i].op == n->op && tw_field_is_function(tw_fields[i].kind))
                status = add_function(text, c, tw_node_function(l->g, n, (int)tw_fields[i].kind - TW_FIELD_FUNCTION_A));
    }
    return status;
}

tw_status tw_graph_print(tw_context *ctx, int inputs_count, const tw_val *inputs, int outputs_count,
                         const tw_val *outputs, char **out_text)
{
    tw_graph *g = NULL, *same = NULL;
    if (outputs_count < 1) return tw_fail(ctx, TW_ERR_INVALID, "graph_print: a function without outputs");
    tw_status status = tw_graph_of("graph_print", outputs_count, outputs, &g);
    if (status == TW_OK && inputs_count > 0) status = tw_graph_of("graph_print", inputs_count, inputs, &same);
    if (status != TW_OK) return status;
    if (same && same != g) return tw_fail(ctx, TW_ERR_INVALID, "graph_print: values of two graphs");
    tw_text text = tw_text_new(ctx);
    catalogue functions = {.ctx = ctx};
    listing l = {0};
    TW_TRY(listing_create(&l, g, inputs_count, inputs, outputs_count, outputs));
    TW_TRY(add_functions(&text, &functions, &l));
    TW_TRY(add_lines(&text, &functions, &l));
    *out_text = text.data;
    text.data = NULL;
done:
    tw_text_free(&text);
    tw_free(ctx, functions.list);
    listing_free(&l);
    return status;
}

void tw_string_free(tw_context *ctx, char *text)
{
    tw_free(ctx, text);
}
