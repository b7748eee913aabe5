/* exec/op_loop.c - scan, while, cond: instructions that run compiled bodies. See control.h. */
#include "exec/control.h"
#include "exec/inst.h"
#include "graph/function.h"

/* --- emitting --- */

/* The part node of result k of a producer, or -1 when nothing reads it. */
static int32_t part_of(const tw_build *b, int32_t producer, int k)
{
    for (int32_t i = producer + 1; i < b->n; i++) {
        const tw_node *n = tw_at_id(b, i);
        if (n->op == TW_OP_part && n->args[0] == producer && (int)tw_node_attr(b->g, n)->number == k) return i;
    }
    return -1;
}

tw_status tw_emit_producer(tw_build *b, tw_region *region, int32_t id, const tw_inst_kind *kind,
                           tw_control **out_control)
{
    const tw_node *node = tw_at_id(b, id);
    tw_program *p = b->p;
    tw_status status = TW_OK;
    int results = tw_results_count(tw_val_of(b->g, id));
    tw_inst *inst = tw_new_inst(b, region, id, kind);
    if (!inst) return TW_ERR_MEMORY;
    TW_TRY(tw_grow(b->ctx, &p->controls, &b->controls_capacity, p->controls_count + 1, sizeof *p->controls));
    p->controls[p->controls_count] = (tw_control){.args = node->args_count, .results = results};
    inst->control = p->controls_count++;
    inst->places_begin = p->places_count;
    for (int k = 0; k < node->args_count + results; k++) {
        tw_place place = {.home = TW_HOME_NONE};
        int32_t part = k < node->args_count ? -1 : part_of(b, id, k - node->args_count);
        if (k < node->args_count) place = tw_arg_place(b, region, id, k);
        if (part >= 0) place = tw_place_in(b, region, part, region->rows == 1);
        if (tw_new_place(b, place) < 0) return TW_ERR_MEMORY;
    }
    inst->places_count = p->places_count - inst->places_begin;
    *out_control = &p->controls[inst->control];
done:
    return status;
}

/* Compiles a body as one more child; its number goes to *out_child. The first `constants` inputs stay the same while a
 * loop runs. */
static tw_status compile_body(tw_build *b, const tw_function *f, int constants, int outputs_count,
                              const tw_val *outputs, const char *name, int32_t *out_child)
{
    tw_program *p = b->p, *child = NULL;
    tw_status status = TW_OK;
    bool *constant = tw_alloc(b->ctx, (size_t)f->inputs_count, sizeof *constant);
    if (!constant) return tw_fail_memory(b->ctx, (size_t)f->inputs_count);
    for (int i = 0; i < constants; i++) constant[i] = true;
    tw_program_desc desc = {.inputs_count = f->inputs_count,
                            .inputs = f->inputs,
                            .outputs_count = outputs_count,
                            .outputs = outputs,
                            .constants = constant,
                            .block_rows = b->asked_block_rows,
                            .unplanned = b->unplanned,
                            .name = name};
    TW_TRY(tw_grow(b->ctx, &p->children, &b->children_capacity, p->children_count + 1, sizeof(tw_program *)));
    TW_TRY(tw_program_compile(b->ctx, &desc, &child));
    *out_child = p->children_count;
    p->children[p->children_count++] = child;
done:
    tw_free(b->ctx, constant);
    return status;
}

static int64_t bytes_of(tw_type type)
{
    return tw_shape_size(type.shape) * (int64_t)tw_dtype_size(type.dtype);
}

/* Sizes of the inputs and the outputs kept, room for pointers to them, and places of the carries in the work memory.
 * keep[k]: result of the producer that output k of f is, -1 to leave it out. */
static tw_status lay_out(tw_build *b, tw_control *c, const tw_function *f, const int32_t *keep, tw_val *outputs)
{
    int carries = c->carries;
    c->inputs = f->inputs_count;
    size_t words = (size_t)f->inputs_count + 2 * (size_t)f->outputs_count + (size_t)carries;
    c->memory = c->size = tw_alloc(b->ctx, words, sizeof *c->size);
    if (!c->memory) return tw_fail_memory(b->ctx, words * sizeof *c->size);
    c->carry_at = c->size + f->inputs_count + f->outputs_count;
    c->result_of = (int32_t *)(c->carry_at + carries);
    for (int i = 0; i < f->inputs_count; i++) c->size[i] = bytes_of(tw_function_input(f, i));
    for (int k = 0; k < f->outputs_count; k++) {
        if (keep[k] < 0) continue;
        c->size[c->inputs + c->outputs] = bytes_of(tw_function_output(f, k));
        c->result_of[c->outputs] = keep[k];
        outputs[c->outputs++] = f->outputs[k];
    }
    int64_t at = tw_aligned((c->inputs + c->outputs) * (int64_t)sizeof(void *));
    for (int i = 0; i < carries; i++) {
        c->carry_at[i] = at + c->set_bytes;
        c->set_bytes += tw_aligned(c->size[c->consts + i]);
    }
    at += 2 * c->set_bytes + 64;
    if (at > b->p->control_bytes) b->p->control_bytes = at;
    return TW_OK;
}

static bool is_used(const tw_build *b, const tw_control *c, const tw_inst *inst, int result)
{
    return b->p->places[inst->places_begin + c->args + result].home != TW_HOME_NONE;
}

/* Compiles `count` functions of one signature - or the last of them - with the outputs that are read. */
static tw_status emit_bodies(tw_build *b, int32_t number, int first, int count, const int32_t *keep)
{
    tw_status status = TW_OK;
    tw_control *c = &b->p->controls[number];
    const tw_inst *inst = &b->p->insts[b->p->insts_count - 1];
    const tw_node *node = tw_at_id(b, inst->node);
    const tw_function *f = tw_node_function(b->g, node, first);
    tw_val *outputs = tw_alloc(b->ctx, (size_t)f->outputs_count, sizeof *outputs);
    if (!outputs) return tw_fail_memory(b->ctx, (size_t)f->outputs_count * sizeof *outputs);
    TW_TRY(lay_out(b, c, f, keep, outputs));
    for (int i = first; i < first + count; i++) {
        f = tw_node_function(b->g, node, i);
        for (int k = 0, at = 0; k < f->outputs_count; k++)
            if (keep[k] >= 0) outputs[at++] = f->outputs[k];
        int constants = node->op == TW_OP_scan ? c->consts : 0; /* the one child that runs in between no other */
        TW_TRY(compile_body(b, f, constants, c->outputs, outputs, tw_op_table[node->op].name, &c->child[i]));
    }
done:
    tw_free(b->ctx, outputs);
    return status;
}

/* --- running --- */

/* What a loop or branch works with. */
typedef struct loop {
    const tw_block *b;
    const tw_control *c;
    const tw_place *places;
    const void **in;
    void **out;
} loop;

static loop begin(const tw_block *b, const tw_inst *inst)
{
    const tw_control *c = &b->p->controls[inst->control];
    loop l = {.b = b, .c = c, .places = &b->p->places[inst->places_begin]};
    l.in = (const void **)(void *)b->control;
    l.out = (void **)(void *)b->control + c->inputs;
    return l;
}

static unsigned char *argument(const loop *l, int k)
{
    return tw_block_at(l->b, &l->places[k]);
}

/* Where result k goes; NULL when nothing reads it. */
static unsigned char *result(const loop *l, int k)
{
    return tw_block_at(l->b, &l->places[l->c->args + k]);
}

static unsigned char *carry_slot(const loop *l, int i, int64_t step)
{
    return l->b->control + l->c->carry_at[i] + (step & 1) * l->c->set_bytes;
}

/* The child is whole: every run does all its rows. */
static void run_child(const loop *l, int i, const void *const *in, void *const *out)
{
    tw_status status = tw_program_run(l->b->children[l->c->child[i]], in, out, 0);
    (void)status;
}

/* Where the carry of step `step` (counted in order of running) goes on to: to the history of the next step, which reads
 * it there, to the result after the last, else to the set whose turn it is. */
static unsigned char *next_carry(const loop *l, int i, int64_t step)
{
    const tw_control *c = l->c;
    unsigned char *last = result(l, i), *history = result(l, c->results - c->carries + i);
    int64_t size = c->size[c->consts + i], at = c->reversed ? c->length - 2 - step : step + 1;
    if (step == c->length - 1) return last ? last : carry_slot(l, i, step);
    return history ? history + at * size : carry_slot(l, i, step);
}

static void run_scan(const tw_block *b, const tw_inst *inst)
{
    loop l = begin(b, inst);
    const tw_control *c = l.c;
    int first_xs = c->consts + c->carries;
    tw_state_forget(b->children[c->child[0]]);
    for (int i = 0; i < first_xs; i++) l.in[i] = argument(&l, i);
    for (int i = 0; i < c->carries; i++) {
        unsigned char *history = result(&l, c->results - c->carries + i);
        size_t size = (size_t)c->size[c->consts + i];
        if (history && size)
            memcpy(history + (c->reversed ? (size_t)(c->length - 1) * size : 0), argument(&l, c->consts + i), size);
    }
    for (int64_t step = 0; step < c->length; step++) {
        int64_t t = c->reversed ? c->length - 1 - step : step;
        for (int i = 0; i < c->xs; i++) l.in[first_xs + i] = argument(&l, first_xs + i) + t * c->size[first_xs + i];
        for (int i = 0; i < c->carries; i++) l.out[i] = next_carry(&l, i, step);
        for (int k = c->carries; k < c->outputs; k++)
            l.out[k] = result(&l, c->result_of[k]) + t * c->size[c->inputs + k];
        run_child(&l, 0, l.in, l.out);
        for (int i = 0; i < c->carries; i++) l.in[c->consts + i] = l.out[i];
    }
}

static void run_while(const tw_block *b, const tw_inst *inst)
{
    loop l = begin(b, inst);
    const tw_control *c = l.c;
    bool holds = false;
    void *flag = &holds;
    for (int i = 0; i < c->args; i++) l.in[i] = argument(&l, i);
    run_child(&l, 0, l.in, &flag);
    for (int64_t step = 0; holds; step++) {
        for (int i = 0; i < c->carries; i++) l.out[i] = carry_slot(&l, i, step);
        run_child(&l, 1, l.in, l.out);
        for (int i = 0; i < c->carries; i++) l.in[c->consts + i] = l.out[i];
        run_child(&l, 0, l.in, &flag);
    }
    for (int i = 0; i < c->carries; i++) {
        unsigned char *to = result(&l, i);
        if (to && c->size[c->consts + i]) memcpy(to, l.in[c->consts + i], (size_t)c->size[c->consts + i]);
    }
}

static void run_cond(const tw_block *b, const tw_inst *inst)
{
    loop l = begin(b, inst);
    const tw_control *c = l.c;
    bool holds = *argument(&l, 0) != 0;
    for (int i = 0; i < c->inputs; i++) l.in[i] = argument(&l, 1 + i);
    for (int k = 0; k < c->outputs; k++) l.out[k] = result(&l, c->result_of[k]);
    run_child(&l, holds ? 0 : 1, l.in, l.out);
}

static const tw_inst_kind scan_kind = {.name = "scan", .run = run_scan};
static const tw_inst_kind while_kind = {.name = "while", .run = run_while};
static const tw_inst_kind cond_kind = {.name = "cond", .run = run_cond};

/* All carries go round whether their last value is read or not; other results are computed where they are read. */
tw_status tw_emit_loop(tw_build *b, tw_region *region, int32_t id)
{
    const tw_node *node = tw_at_id(b, id);
    const tw_attr *attr = tw_node_attr(b->g, node);
    tw_control *c = NULL;
    int32_t *keep = NULL;
    tw_status status = TW_OK;
    bool branch = node->op == TW_OP_cond, counted = node->op == TW_OP_scan;
    const tw_function *body = tw_node_function(b->g, node, node->op == TW_OP_while ? 1 : 0);
    TW_TRY(tw_emit_producer(b, region, id, branch ? &cond_kind : counted ? &scan_kind : &while_kind, &c));
    const tw_inst *inst = &b->p->insts[b->p->insts_count - 1];
    int32_t number = inst->control;
    c->consts = attr->consts;
    c->carries = attr->carries;
    c->xs = body->inputs_count - c->consts - c->carries;
    c->length = attr->length;
    c->reversed = attr->reversed;
    keep = tw_alloc(b->ctx, (size_t)body->outputs_count, sizeof *keep);
    if (!keep) TW_TRY(tw_fail_memory(b->ctx, (size_t)body->outputs_count * sizeof *keep));
    for (int k = 0; k < body->outputs_count; k++) keep[k] = k < c->carries || is_used(b, c, inst, k) ? k : -1;
    if (node->op == TW_OP_while) {
        const tw_function *condition = tw_node_function(b->g, node, 0);
        TW_TRY(compile_body(b, condition, 0, 1, condition->outputs, "while", &c->child[0]));
    }
    TW_TRY(emit_bodies(b, number, node->op == TW_OP_while ? 1 : 0, branch ? 2 : 1, keep));
done:
    tw_free(b->ctx, keep);
    return status;
}
