/* graph/print.c - a function as text: inputs in the given order, then what the outputs need, one node a line.
 *
 *     %0 = input("x") f32[64,2]
 *     %1 = const(0.5) f32[]
 *     %4 = dot_general(%0, %3) {batch_a=[], batch_b=[], contract_a=[1], contract_b=[0]} f32[64,3]
 *     return %4
 *
 * Numbers count lines, so the text does not depend on what else the graph holds. */
#include "base/text.h"
#include "graph/attr.h"

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

static void add_fields(tw_text *text, const tw_graph *g, const tw_node *n)
{
    const char *before = " {";
    for (int i = 0; i < tw_fields_count; i++) {
        if (tw_fields[i].op != n->op) continue;
        tw_field_value v = tw_field_get(tw_node_attr(g, n), tw_fields[i].kind, n->shape.rank);
        tw_text_add(text, "%s%s=", before, tw_fields[i].name);
        if (tw_fields[i].is_list)
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

static void add_node(tw_text *text, const tw_graph *g, int32_t id, const int32_t *number)
{
    const tw_node *n = tw_node_of(g, id);
    tw_text_add(text, "%%%d = %s(", number[id], tw_op_table[n->op].name);
    add_args(text, g, n, number);
    tw_text_add(text, ")");
    add_fields(text, g, n);
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

static tw_status add_function(tw_text *text, tw_graph *g, int inputs_count, const tw_val *inputs, int outputs_count,
                              const tw_val *outputs, const bool *need, int32_t *number)
{
    int32_t next = 0;
    for (int64_t id = 0; id < g->count; id++) number[id] = -1;
    for (int i = 0; i < inputs_count; i++) {
        if (number[inputs[i].id] >= 0)
            return tw_fail(g->ctx, TW_ERR_INVALID, "graph_print: inputs %d and %d are the same value",
                           number[inputs[i].id] + 1, i + 1);
        number[inputs[i].id] = next++;
        add_input(text, g, inputs[i].id, number[inputs[i].id]);
    }
    for (int32_t id = 0; id < g->count; id++) {
        if (!need[id] || number[id] >= 0) continue;
        const tw_node *n = tw_node_of(g, id);
        if (n->op == TW_OP_input)
            return tw_fail(g->ctx, TW_ERR_INVALID, "graph_print: input %s is needed but not among the inputs",
                           g->names + tw_node_attr(g, n)->name);
        number[id] = next++;
        add_node(text, g, id, number);
    }
    tw_text_add(text, "return");
    for (int k = 0; k < outputs_count; k++) tw_text_add(text, k ? ", %%%d" : " %%%d", number[outputs[k].id]);
    tw_text_add(text, "\n");
    return tw_text_check(text);
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
    bool *need = tw_alloc(ctx, (size_t)g->count, sizeof *need);
    int32_t *number = tw_alloc(ctx, (size_t)g->count, sizeof *number);
    if (!need || !number) TW_TRY(tw_fail_memory(ctx, (size_t)g->count * sizeof *number));
    tw_mark_between(g, inputs_count, inputs, outputs_count, outputs, need);
    TW_TRY(add_function(&text, g, inputs_count, inputs, outputs_count, outputs, need, number));
    *out_text = text.data;
    text.data = NULL;
done:
    tw_text_free(&text);
    tw_free(ctx, need);
    tw_free(ctx, number);
    return status;
}

void tw_string_free(tw_context *ctx, char *text)
{
    tw_free(ctx, text);
}
