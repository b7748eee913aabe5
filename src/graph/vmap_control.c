/* graph/vmap_control.c - batching of functions: the body is batched, the node stays one.
 *
 * Which results of a loop are batched is found as a fixed point: a carry is when its start is, or when the body makes
 * it from something that is - a step counter stays a number. A condition that differs between samples cannot choose:
 * cond computes both sides and selects, while goes on until no sample wants another step and holds the others still. */
#include "graph/function.h"
#include "graph/vmap.h"

/* A function to be batched: which inputs carry samples, and which outputs shall. */
typedef struct job {
    const tw_batch *b;
    const tw_function *f;
    const bool *inputs, *outputs; /* outputs NULL: all */
    const tw_function *condition; /* of while: samples for which it does not hold keep their carry */
    int consts;
} job;

static tw_type widened(const tw_batch *b, tw_type type, bool batched)
{
    return batched ? (tw_type){type.dtype, tw_batch_shape(b, type.shape)} : type;
}

/* f of plain inputs, with `in` - samples - in the place of those listed. */
static void write_samples(const job *j, const tw_function *f, tw_graph *to, const tw_val *in, tw_val *out)
{
    int inputs = f->inputs_count, outputs = f->outputs_count, listed = 0, wanted = 0;
    tw_val *memory = tw_alloc(to->ctx, 3 * (size_t)inputs + 3 * (size_t)outputs, sizeof *memory);
    if (!memory) {
        tw_graph_fail(to, TW_ERR_MEMORY, "out of memory: a function of %d inputs", inputs);
        return;
    }
    tw_val *plain = memory, *from = plain + inputs, *wide = from + inputs, *made = wide + inputs;
    tw_val *picked = made + outputs, *samples = picked + outputs;
    for (int i = 0; i < inputs; i++) {
        tw_type type = tw_function_input(f, i);
        plain[i] = j->inputs[i] ? tw_input(to, "", type.dtype, type.shape) : in[i];
        if (!j->inputs[i]) continue;
        from[listed] = plain[i];
        wide[listed++] = in[i];
    }
    if (tw_function_inline(f, to, plain, made)) {
        for (int k = 0; k < outputs; k++)
            if (!j->outputs || j->outputs[k]) picked[wanted++] = made[k];
        tw_status status = j->b->at ? tw_vmap_rows(listed, from, wide, wanted, picked, samples)
                                    : tw_vmap(listed, from, wide, wanted, picked, samples);
        if (status != TW_OK) tw_graph_fail(to, status, "%s", tw_context_error(to->ctx));
        for (int k = 0, at = 0; k < outputs && status == TW_OK; k++)
            out[k] = !j->outputs || j->outputs[k] ? samples[at++] : made[k];
    }
    tw_free(to->ctx, memory);
}

/* (K) as (K,1,...) beside values (K,...). */
static tw_val beside(tw_val condition, tw_val value)
{
    tw_shape shape = {.rank = tw_shape_at(value).rank};
    for (int i = 0; i < shape.rank; i++) shape.dim[i] = i == 0 ? tw_dim(condition, 0) : 1;
    return tw_reshape(condition, shape);
}

static void write_body(void *user, tw_graph *to, const tw_val *in, tw_val *out)
{
    const job *j = user;
    write_samples(j, j->f, to, in, out);
    if (!j->condition || to->status != TW_OK) return;
    job holds = {.b = j->b, .inputs = j->inputs};
    tw_val condition = TW_NONE;
    write_samples(&holds, j->condition, to, in, &condition);
    for (int k = 0; k < j->f->outputs_count && to->status == TW_OK; k++)
        out[k] = tw_select(beside(condition, out[k]), out[k], in[j->consts + k]);
}

/* One bool: whether any sample's condition holds. */
static void write_any(void *user, tw_graph *to, const tw_val *in, tw_val *out)
{
    tw_val condition = TW_NONE;
    write_samples(user, ((const job *)user)->f, to, in, &condition);
    if (to->status != TW_OK) return;
    out[0] = tw_lt(tw_const(to, TW_DTYPE_F32, 0.5), tw_sum_all(tw_cast(condition, TW_DTYPE_F32)));
}

static int32_t written(const tw_batch *b, job *j, tw_build_fn write)
{
    const tw_function *f = j->f;
    tw_type *types = tw_alloc(b->g->ctx, (size_t)f->inputs_count, sizeof *types);
    if (!types) {
        tw_graph_fail(b->g, TW_ERR_MEMORY, "out of memory: a function of %d inputs", f->inputs_count);
        return -1;
    }
    for (int i = 0; i < f->inputs_count; i++) types[i] = widened(b, tw_function_input(f, i), j->inputs[i]);
    int32_t number = tw_body_write(b->g, b->who, write, j, f->inputs_count, types, f->outputs_count);
    tw_free(b->g->ctx, types);
    return number;
}

/* --- call, cond --- */

static bool any(int count, const bool *flags)
{
    for (int i = 0; i < count; i++)
        if (flags[i]) return true;
    return false;
}

tw_val tw_vmap_call(const tw_batch *b, tw_draft *d)
{
    job j = {.b = b, .f = tw_graph_function(b->g, d->attr.function[0]), .inputs = b->batched};
    d->attr.function[0] = written(b, &j, write_body);
    return b->g->status == TW_OK ? tw_graph_append(d) : tw_val_of(b->g, -1);
}

/* Both sides for all samples, then each sample's own. */
static tw_val chosen(const tw_batch *b, tw_draft *d, bool batched)
{
    int count = tw_graph_function(b->g, d->attr.function[0])->outputs_count;
    tw_val *sides[2], *memory = tw_alloc(b->g->ctx, 2 * (size_t)count, sizeof *memory), made = TW_NONE;
    if (!memory) return tw_graph_fail(b->g, TW_ERR_MEMORY, "out of memory: cond of %d results", count);
    for (int s = 0; s < 2; s++) {
        tw_attr attr = {.function = {d->attr.function[s]}};
        sides[s] = memory + s * count;
        tw_parts(tw_produce(b->g, TW_OP_call, &attr, d->count - 1, d->args + 1), count, sides[s]);
        for (int k = 0; k < count && !batched && b->g->status == TW_OK; k++)
            sides[s][k] = tw_batch_stretch(b, sides[s][k]);
    }
    for (int k = 0; k < count && b->g->status == TW_OK; k++)
        sides[0][k] = tw_select(beside(d->args[0], sides[0][k]), sides[0][k], sides[1][k]);
    if (b->g->status == TW_OK) made = tw_tuple(b->g, count, sides[0]);
    tw_free(b->g->ctx, memory);
    return made;
}

tw_val tw_vmap_cond(const tw_batch *b, tw_draft *d)
{
    bool operands = any(d->count - 1, b->batched + 1);
    if (b->batched[0] && b->at == 1) return tw_batch_refuse(b, d, "has a condition that depends on the rows");
    for (int s = 0; s < 2 && operands; s++) {
        job j = {.b = b, .f = tw_graph_function(b->g, d->attr.function[s]), .inputs = b->batched + 1};
        d->attr.function[s] = written(b, &j, write_body);
        if (b->g->status != TW_OK) return tw_val_of(b->g, -1);
    }
    return b->batched[0] ? chosen(b, d, operands) : tw_graph_append(d);
}

/* --- loops --- */

/* Marks the outputs of f that depend on the marked inputs. */
static bool mark_outputs(const tw_batch *b, const tw_function *f, const bool *inputs, bool *outputs)
{
    bool *reach = tw_alloc(b->g->ctx, (size_t)f->graph->count, sizeof *reach);
    tw_val *marked = tw_alloc(b->g->ctx, (size_t)f->inputs_count, sizeof *marked);
    int count = 0;
    if (!reach || !marked) {
        tw_graph_fail(b->g, TW_ERR_MEMORY, "out of memory: a function of %d inputs", f->inputs_count);
    } else {
        for (int i = 0; i < f->inputs_count; i++)
            if (inputs[i]) marked[count++] = f->inputs[i];
        tw_mark_dependent(f->graph, count, marked, reach);
        for (int k = 0; k < f->outputs_count; k++) outputs[k] = reach[f->outputs[k].id];
    }
    tw_free(b->g->ctx, reach);
    tw_free(b->g->ctx, marked);
    return b->g->status == TW_OK;
}

/* Makes `inputs` (the carries begin at `consts`) and `outputs` agree with the body: samples stay samples. */
static bool settle_carries(const tw_batch *b, const tw_function *f, int consts, int carries, bool *inputs,
                           bool *outputs)
{
    for (bool changed = true; changed;) {
        changed = false;
        if (!mark_outputs(b, f, inputs, outputs)) return false;
        for (int k = 0; k < carries; k++) {
            changed = changed || (outputs[k] && !inputs[consts + k]);
            inputs[consts + k] = outputs[k] = inputs[consts + k] || outputs[k];
        }
    }
    return true;
}

static void stretch_carries(const tw_batch *b, int consts, int carries, const bool *inputs)
{
    for (int i = consts; i < consts + carries; i++)
        if (inputs[i] && !b->batched[i]) b->args[i] = tw_batch_stretch(b, b->args[i]);
}

static tw_val swap_front(tw_val x)
{
    int8_t permutation[TW_MAX_RANK] = {1, 0, 2, 3, 4, 5, 6, 7};
    return tw_transpose_axes(x, permutation);
}

/* Results as a tuple: carries, ys and histories, stacked over steps, with the samples in front of the steps. */
static tw_val scan_results(const tw_batch *b, tw_val node, int carries, int ys, const bool *outputs)
{
    int count = b->at ? carries : 2 * carries + ys;
    tw_val *results = tw_alloc(b->g->ctx, (size_t)count, sizeof *results), made = TW_NONE;
    if (!results) return tw_graph_fail(b->g, TW_ERR_MEMORY, "out of memory: scan of %d results", count);
    for (int k = 0; k < count && b->g->status == TW_OK; k++) {
        bool batched = outputs[k < carries + ys ? k : k - carries - ys];
        results[k] = tw_part_at(node, k);
        if (batched && k >= carries) results[k] = swap_front(results[k]);
        if (!batched && (k >= carries || b->at == 0)) results[k] = tw_batch_stretch(b, results[k]);
    }
    if (b->g->status == TW_OK) made = tw_tuple(b->g, count, results);
    tw_free(b->g->ctx, results);
    return made;
}

tw_val tw_vmap_scan(const tw_batch *b, tw_draft *d)
{
    const tw_function *f = tw_graph_function(b->g, d->attr.function[0]);
    int consts = d->attr.consts, carries = d->attr.carries, count = f->inputs_count, ys = f->outputs_count - carries;
    if (b->at == 1 && any(count - consts - carries, b->batched + consts + carries))
        return tw_batch_refuse(b, d, "steps along the rows");
    bool *flags = tw_alloc(b->g->ctx, (size_t)count + (size_t)f->outputs_count, sizeof *flags);
    if (!flags) return tw_graph_fail(b->g, TW_ERR_MEMORY, "out of memory: scan of %d arguments", count);
    tw_val made = tw_val_of(b->g, -1);
    for (int i = 0; i < count; i++) flags[i] = b->batched[i];
    if (settle_carries(b, f, consts, carries, flags, flags + count)) {
        job j = {.b = b, .f = f, .inputs = flags, .outputs = flags + count};
        d->attr.function[0] = written(b, &j, write_body);
        stretch_carries(b, consts, carries, flags);
        for (int i = consts + carries; i < count; i++)
            if (flags[i]) b->args[i] = swap_front(b->args[i]);
        if (b->g->status == TW_OK) made = tw_graph_append(d);
        if (made.id >= 0) made = scan_results(b, made, carries, ys, flags + count);
    }
    tw_free(b->g->ctx, flags);
    return made;
}

/* Results as a tuple, those that are the same for all samples stretched. */
static tw_val while_results(const tw_batch *b, tw_val node, int carries, const bool *outputs)
{
    tw_val *results = tw_alloc(b->g->ctx, (size_t)carries, sizeof *results), made = TW_NONE;
    if (!results) return tw_graph_fail(b->g, TW_ERR_MEMORY, "out of memory: while of %d results", carries);
    for (int k = 0; k < carries && b->g->status == TW_OK; k++) {
        results[k] = tw_part_at(node, k);
        if (!outputs[k]) results[k] = tw_batch_stretch(b, results[k]);
    }
    if (b->g->status == TW_OK) made = tw_tuple(b->g, carries, results);
    tw_free(b->g->ctx, results);
    return made;
}

static tw_val make_while(const tw_batch *b, tw_draft *d, bool *inputs, bool *outputs)
{
    const tw_function *condition = tw_graph_function(b->g, d->attr.function[0]);
    const tw_function *body = tw_graph_function(b->g, d->attr.function[1]);
    int consts = d->attr.consts, carries = d->attr.carries;
    bool differs = false;
    if (!settle_carries(b, body, consts, carries, inputs, outputs)) return TW_NONE;
    if (!mark_outputs(b, condition, inputs, &differs)) return TW_NONE;
    for (int k = 0; k < carries && differs; k++) inputs[consts + k] = outputs[k] = true;
    job holds = {.b = b, .f = condition, .inputs = inputs};
    job step = {.b = b, .f = body, .inputs = inputs, .outputs = outputs, .consts = consts};
    if (differs) step.condition = condition;
    bool nothing = false;
    if (!differs) holds.outputs = &nothing;
    d->attr.function[0] = written(b, &holds, differs ? write_any : write_body);
    if (b->g->status == TW_OK) d->attr.function[1] = written(b, &step, write_body);
    stretch_carries(b, consts, carries, inputs);
    tw_val made = b->g->status == TW_OK ? tw_graph_append(d) : TW_NONE;
    return made.id < 0 ? made : while_results(b, made, carries, outputs);
}

tw_val tw_vmap_while(const tw_batch *b, tw_draft *d)
{
    if (b->at == 1) return tw_batch_refuse(b, d, "cannot be batched behind the rows");
    size_t count = (size_t)d->count + (size_t)d->attr.carries;
    bool *flags = tw_alloc(b->g->ctx, count, sizeof *flags);
    if (!flags) return tw_graph_fail(b->g, TW_ERR_MEMORY, "out of memory: while of %d arguments", d->count);
    for (int i = 0; i < d->count; i++) flags[i] = b->batched[i];
    tw_val made = make_while(b, d, flags, flags + d->count);
    tw_free(b->g->ctx, flags);
    return made.id < 0 ? tw_val_of(b->g, -1) : made;
}
