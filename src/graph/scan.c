/* graph/scan.c - a loop of known length over a carry, closed under both derivatives.
 *
 *     arguments  consts | carries before the first step | xs, each (T,...)
 *     body       consts, carries, rows of xs -> carries, rows of ys
 *     results    carries after the last step | ys, each (T,...) | the carry before every step, each (T,...)
 *
 * The last group, the history, costs nothing unless a derivative reads it. The tangent of a scan is a scan over the
 * tangents of the carry: its xs are the history, the xs and their tangents; it computes each primal step again and is
 * linear in everything else. A linear scan is transposed by scanning the transposed body the other way round; the
 * cotangents of its consts are carried along and summed. The scheme is that of JAX's scan (Bradbury et al., 2018) with
 * the whole step recomputed instead of saved residuals. */
#include "graph/function.h"
#include "graph/reference.h"
#include "graph/rules.h"

#include <string.h>

/* A scan node or draft, taken apart. */
typedef struct layout {
    const tw_function *f;
    int consts, carries, xs, ys;
    int64_t length;
    bool reversed;
} layout;

static layout layout_of(const tw_graph *g, const tw_attr *attr)
{
    layout l = {.f = tw_graph_function(g, attr->function[0]),
                .consts = attr->consts,
                .carries = attr->carries,
                .length = attr->length,
                .reversed = attr->reversed};
    if (!l.f) return l;
    l.xs = l.f->inputs_count - l.consts - l.carries;
    l.ys = l.f->outputs_count - l.carries;
    return l;
}

static layout layout_at(tw_val node)
{
    return layout_of(node.graph, tw_node_attr(node.graph, tw_node_at(node)));
}

/* --- builder --- */

static int64_t length_of(tw_graph *g, const tw_scan_desc *desc)
{
    if (desc->xs_count == 0 || desc->xs[0].id < 0) return desc->length;
    tw_shape first = tw_shape_at(desc->xs[0]);
    if (first.rank > 0) return first.dim[0];
    tw_graph_fail(g, TW_ERR_SHAPE, "scan: xs 1 is %s and has no rows to step through", tw_shape_show(first).text);
    return 0;
}

static tw_type row_type(tw_val xs)
{
    tw_type type = tw_type_of(xs);
    for (int i = 1; i < type.shape.rank; i++) type.shape.dim[i - 1] = type.shape.dim[i];
    if (type.shape.rank > 0) type.shape.dim[--type.shape.rank] = 0;
    return type;
}

void tw_scan(tw_graph *g, const tw_scan_desc *desc, tw_val *out_carries, tw_val *out_ys)
{
    int consts = desc->consts_count, carries = desc->carries_count, xs = desc->xs_count, count = consts + carries + xs;
    int64_t length = length_of(g, desc);
    if (desc->segment < 0)
        tw_graph_fail(g, TW_ERR_INVALID, "scan: a segment of %lld steps, expected 1 or more", (long long)desc->segment);
    if (desc->segment > 1 && desc->segment < length) {
        tw_scan_segments(g, desc, length, out_carries, out_ys);
        return;
    }
    tw_val *args = tw_alloc(g->ctx, (size_t)count, sizeof *args);
    tw_type *types = tw_alloc(g->ctx, (size_t)count, sizeof *types);
    if (!args || !types) tw_graph_fail(g, TW_ERR_MEMORY, "out of memory: scan with %d arguments", count);
    tw_val node = tw_val_of(g, -1);
    if (g->status == TW_OK) {
        tw_attr attr = {.consts = consts, .carries = carries, .length = length, .reversed = desc->reversed};
        for (int i = 0; i < consts; i++) args[i] = desc->consts[i];
        for (int i = 0; i < carries; i++) args[consts + i] = desc->init[i];
        for (int i = 0; i < xs; i++) args[consts + carries + i] = desc->xs[i];
        for (int i = 0; i < count; i++) types[i] = i < consts + carries ? tw_type_of(args[i]) : row_type(args[i]);
        attr.function[0] = tw_body_write(g, "scan", desc->body, desc->user, count, types, carries + desc->ys_count);
        node = tw_produce(g, TW_OP_scan, &attr, count, args);
    }
    tw_parts(node, carries, out_carries); /* may be where init was */
    for (int k = 0; k < desc->ys_count; k++) out_ys[k] = node.id < 0 ? node : tw_part_at(node, carries + k);
    tw_free(g->ctx, args);
    tw_free(g->ctx, types);
}

/* --- types --- */

static bool refuse(const tw_draft *d, const char *what, int i, tw_type given, tw_type taken)
{
    tw_graph_fail(d->graph, TW_ERR_SHAPE, "scan: %s %d is %s%s where %s%s is expected", what, i + 1,
                  tw_dtype_name(given.dtype), tw_shape_show(given.shape).text, tw_dtype_name(taken.dtype),
                  tw_shape_show(taken.shape).text);
    return false;
}

static bool check_stack(const tw_draft *d, tw_type row, int64_t length, const char *what, int i)
{
    if (tw_shape_is_valid(tw_stacked(row.shape, length))) return true;
    tw_graph_fail(d->graph, TW_ERR_SHAPE, "scan: %s %d of shape %s cannot be stacked %lld times", what, i + 1,
                  tw_shape_show(row.shape).text, (long long)length);
    return false;
}

bool tw_infer_scan(tw_draft *d)
{
    layout l = layout_of(d->graph, &d->attr);
    if (!l.f || !l.f->graph || l.consts < 0 || l.carries < 0 || l.xs < 0 || l.ys < 0 || l.length < 0 ||
        d->count != l.f->inputs_count) {
        tw_graph_fail(d->graph, TW_ERR_INVALID,
                      "scan: %d arguments, %d consts, %d carries and %lld steps do not fit the function", d->count,
                      l.consts, l.carries, (long long)l.length);
        return false;
    }
    for (int i = 0; i < d->count; i++) {
        tw_type given = tw_type_of(d->args[i]), taken = tw_function_input(l.f, i);
        int at = i < l.consts ? i : i < l.consts + l.carries ? i - l.consts : i - l.consts - l.carries;
        const char *what = i < l.consts ? "const" : i < l.consts + l.carries ? "carry" : "xs";
        if (i >= l.consts + l.carries) taken.shape = tw_stacked(taken.shape, l.length);
        if (!tw_type_equal(given, taken)) return refuse(d, what, at, given, taken);
    }
    for (int k = 0; k < l.carries; k++) {
        tw_type before = tw_function_input(l.f, l.consts + k), after = tw_function_output(l.f, k);
        if (!tw_type_equal(before, after)) return refuse(d, "the new carry", k, after, before);
        if (!check_stack(d, before, l.length, "carry", k)) return false;
    }
    for (int k = 0; k < l.ys; k++)
        if (!check_stack(d, tw_function_output(l.f, l.carries + k), l.length, "ys", k)) return false;
    return tw_infer_nothing(d);
}

int tw_results_scan(const tw_graph *g, const tw_node *node, int k, tw_type *out_type)
{
    layout l = layout_of(g, tw_node_attr(g, node));
    int stacked = l.carries + l.ys;
    if (k >= 0 && k < stacked + l.carries) {
        *out_type = tw_function_output(l.f, k < stacked ? k : k - stacked);
        if (k >= l.carries) out_type->shape = tw_stacked(out_type->shape, l.length);
    }
    return stacked + l.carries;
}

/* --- derivatives --- */

/* What a rule gathers for the new scan: groups of (input of the body, argument of the node). */
typedef struct group {
    int count;
    tw_val *in, *arg;
} group;

typedef struct rule {
    tw_graph *g, *body;
    layout l;
    int inputs, outputs;
    group consts, carries, xs;
    tw_val *x, *t;   /* inputs of the body, their tangents or cotangents */
    tw_val *y, *out; /* what the transformed body computes, outputs of the new body */
    tw_val *results;
    bool *active, *varies, *used;
    tw_val *memory;
} rule;

static group new_group(tw_val **at, int size)
{
    group made = {.in = *at, .arg = *at + size};
    *at += 2 * size;
    return made;
}

static bool rule_begin(rule *r, tw_val node)
{
    *r = (rule){.g = node.graph, .l = layout_at(node)};
    r->inputs = r->l.f->inputs_count;
    r->outputs = r->l.f->outputs_count;
    int most = 2 * r->inputs + 2 * r->outputs + r->l.carries;
    r->memory = tw_alloc(r->g->ctx, 11 * (size_t)most, sizeof *r->memory);
    r->active = tw_alloc(r->g->ctx, 3 * (size_t)most, sizeof *r->active);
    if (!r->memory || !r->active) {
        tw_graph_fail(r->g, TW_ERR_MEMORY, "out of memory: scan of a function of %d inputs", r->inputs);
        return false;
    }
    tw_val *at = r->memory;
    r->consts = new_group(&at, most);
    r->carries = new_group(&at, most);
    r->xs = new_group(&at, most);
    r->x = at;
    r->t = r->x + most;
    r->y = r->t + most;
    r->out = r->y + most;
    r->results = r->out + most;
    r->varies = r->active + most;
    r->used = r->varies + most;
    r->body = tw_body_begin(r->g);
    return r->body != NULL;
}

static void rule_end(rule *r)
{
    tw_graph_destroy(r->body);
    tw_free(r->g->ctx, r->memory);
    tw_free(r->g->ctx, r->active);
}

/* A new input of the body of the type of `like`, a value of either graph; `arg` is what the node is given for it. */
static tw_val take(rule *r, group *to, tw_type type, tw_val arg)
{
    tw_val in = tw_input(r->body, "", type.dtype, type.shape);
    to->in[to->count] = in;
    to->arg[to->count++] = arg;
    return in;
}

/* Consts and xs nothing depends on are left out: then the history is not kept for nothing. */
static void prune(rule *r, group *of, int outputs_count)
{
    int kept = 0;
    (void)tw_function_uses(r->body, of->count, of->in, outputs_count, r->out, r->used);
    for (int i = 0; i < of->count; i++) {
        if (!r->used[i]) continue;
        of->in[kept] = of->in[i];
        of->arg[kept++] = of->arg[i];
    }
    of->count = kept;
}

/* The new scan; its outputs are in r->out. */
static tw_val rule_node(rule *r, bool reversed, int outputs_count)
{
    tw_attr attr = {.length = r->l.length, .reversed = reversed, .carries = r->carries.count};
    prune(r, &r->consts, outputs_count);
    prune(r, &r->xs, outputs_count);
    attr.consts = r->consts.count;
    int count = 0;
    tw_val *in = r->x, *args = r->t; /* done with */
    const group *groups[] = {&r->consts, &r->carries, &r->xs};
    for (int i = 0; i < TW_COUNT(groups); i++) {
        for (int k = 0; k < groups[i]->count; k++) {
            in[count] = groups[i]->in[k];
            args[count++] = groups[i]->arg[k];
        }
    }
    attr.function[0] = tw_body_end(r->g, "scan", r->body, count, in, outputs_count, r->out);
    r->body = NULL;
    return tw_produce(r->g, TW_OP_scan, &attr, count, args);
}

/* Which carries come to depend on the active inputs, after any number of steps. */
static bool spread_activity(rule *r)
{
    const layout *l = &r->l;
    for (bool grown = true; grown;) {
        grown = false;
        if (!tw_function_varies(l->f, r->active, r->varies)) {
            tw_graph_fail(r->g, TW_ERR_MEMORY, "out of memory: scan of a function of %d inputs", r->inputs);
            return false;
        }
        for (int i = 0; i < l->carries; i++) {
            if (!r->varies[i] || r->active[l->consts + i]) continue;
            r->active[l->consts + i] = grown = true;
        }
    }
    return true;
}

/* Inputs of the tangent body: primal values - carries from the history - and tangents of what is active. */
static void take_tangents(rule *r, tw_val node, const tw_val *x, const tw_val *t)
{
    const layout *l = &r->l;
    for (int i = 0; i < r->inputs; i++) {
        int carry = i - l->consts;
        bool is_const = carry < 0, is_carry = !is_const && carry < l->carries;
        tw_type type = tw_function_input(l->f, i);
        tw_val arg = is_carry ? tw_part_at(node, l->carries + l->ys + carry) : x[i];
        r->x[i] = take(r, is_const ? &r->consts : &r->xs, type, arg);
        r->t[i] = TW_NONE;
        if (!r->active[i]) continue;
        tw_val tangent = t[i].id >= 0 ? t[i] : tw_zeros_like(x[i]); /* carries only */
        r->t[i] = take(r, is_const ? &r->consts : is_carry ? &r->carries : &r->xs, type, tangent);
    }
}

static tw_val zero_of(tw_graph *g, tw_type type)
{
    return tw_full(g, type.dtype, type.shape, 0.0);
}

/* Part `at` of the tangent scan, or zero, for every result of the primal one. */
static tw_val tangent_tuple(rule *r, tw_val node, tw_val made)
{
    const layout *l = &r->l;
    int total = tw_results_count(node), active = 0, at = 0;
    for (int i = 0; i < l->carries; i++) active += r->active[l->consts + i];
    for (int k = 0; k < total; k++) {
        int carry = k < l->carries ? k : k - l->carries - l->ys;
        bool there = carry >= 0 ? r->active[l->consts + carry] : r->y[k].id >= 0;
        r->results[k] = there && made.id >= 0 ? tw_part_at(made, at++) : zero_of(r->g, tw_result_type(node, k));
    }
    return tw_tuple(r->g, total, r->results);
}

tw_val tw_jvp_scan(tw_val node, const tw_val *x, const tw_val *t)
{
    rule r;
    tw_val tuple = TW_NONE;
    if (rule_begin(&r, node)) {
        const layout *l = &r.l;
        for (int i = 0; i < r.inputs; i++) r.active[i] = t[i].id >= 0;
        if (spread_activity(&r)) {
            take_tangents(&r, node, x, t);
            tw_function_tangents(l->f, r.body, r.x, r.t, r.y);
            int count = 0;
            for (int k = 0; k < r.outputs; k++) {
                bool active = k < l->carries && r.active[l->consts + k];
                if (r.y[k].id < 0 && active) r.y[k] = zero_of(r.body, tw_function_output(l->f, k));
                if (k < l->carries ? active : r.y[k].id >= 0) r.out[count++] = r.y[k];
            }
            if (count > 0 || r.body->status != TW_OK)
                tuple = tangent_tuple(&r, node, rule_node(&r, l->reversed, count));
        }
    }
    rule_end(&r);
    return tuple;
}

/* Inputs of the transposed body: what is not linear, and the cotangents of carries, ys and history; sums of the
 * cotangents of linear consts are carried along in front of those of the carries. */
static void take_cotangents(rule *r, const tw_val *x, tw_val ct)
{
    const layout *l = &r->l;
    for (int i = 0; i < r->inputs; i++) {
        bool is_const = i < l->consts;
        r->x[i] = TW_NONE;
        if (is_const && r->active[i]) (void)take(r, &r->carries, tw_function_input(l->f, i), tw_zeros_like(x[i]));
        if (!r->active[i]) r->x[i] = take(r, is_const ? &r->consts : &r->xs, tw_function_input(l->f, i), x[i]);
    }
    for (int k = 0; k < l->carries; k++) r->t[k] = take(r, &r->carries, tw_function_output(l->f, k), tw_part_at(ct, k));
    for (int k = l->carries; k < r->outputs + l->carries; k++) {
        tw_val given = tw_part_or_none(ct, k);
        r->t[k] = given.id < 0 ? given
                               : take(r, &r->xs, tw_function_output(l->f, k < r->outputs ? k : k - r->outputs), given);
    }
}

/* Outputs of the transposed body, in the order of its carries, then the cotangents of linear xs; returns how many. */
static int transposed_outputs(rule *r)
{
    const layout *l = &r->l;
    int count = 0;
    for (int i = 0; i < r->inputs; i++) {
        int carry = i - l->consts;
        bool is_const = carry < 0, is_carry = !is_const && carry < l->carries;
        if (!r->active[i]) continue;
        tw_val found = r->y[i], more = TW_NONE;
        if (is_const) more = r->carries.in[count];
        if (is_carry) more = r->t[r->outputs + carry];
        if (found.id >= 0 && more.id >= 0) found = tw_add(found, more);
        if (found.id < 0) found = more.id >= 0 ? more : zero_of(r->body, tw_function_input(l->f, i));
        r->out[count++] = found;
    }
    return count;
}

/* A carry that does not depend on the wanted arguments would have to be computed beside the transposed scan; scans made
 * by jvp have none. */
static bool check_linear(rule *r)
{
    const layout *l = &r->l;
    for (int i = 0; i < l->carries; i++) {
        if (r->active[l->consts + i]) continue;
        tw_graph_fail(r->g, TW_ERR_UNSUPPORTED,
                      "linear_transpose: carry %d of a scan does not depend on the inputs, while the scan does", i + 1);
        return false;
    }
    return true;
}

void tw_transpose_scan(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    rule r;
    if (rule_begin(&r, node)) {
        const layout *l = &r.l;
        for (int i = 0; i < r.inputs; i++) r.active[i] = wanted[i];
        if (spread_activity(&r) && check_linear(&r)) {
            take_cotangents(&r, x, ct);
            tw_function_cotangents(l->f, r.body, r.x, r.active, r.t, r.y);
            int count = r.body->status == TW_OK ? transposed_outputs(&r) : 0;
            tw_val made = rule_node(&r, !l->reversed, count);
            for (int i = 0, at = 0; i < r.inputs && made.id >= 0; i++) {
                if (wanted[i]) out[i] = tw_part_at(made, at);
                at += r.active[i];
            }
        }
    }
    rule_end(&r);
}

/* --- reference --- */

/* One step: gathers the inputs, runs the body, hands out the rows of ys; the new carries are left in `carry`. */
static tw_status run_step(const layout *l, int64_t t, const double *const *args, double *const *stacks, double *carry,
                          double *made, const double **in)
{
    int64_t at = 0;
    for (int i = 0; i < l->f->inputs_count; i++) {
        int64_t size = tw_shape_size(tw_function_input(l->f, i).shape);
        int k = i - l->consts;
        in[i] = k < 0 ? args[i] : k < l->carries ? carry + at : args[i] + t * size;
        if (k >= 0 && k < l->carries) at += size;
    }
    for (int k = 0; k < l->carries; k++) {
        int64_t size = tw_shape_size(tw_function_output(l->f, k).shape);
        if (size) memcpy(stacks[l->ys + k] + t * size, in[l->consts + k], (size_t)size * sizeof *made);
    }
    tw_status status = tw_reference_function(l->f, in, made);
    if (status != TW_OK) return status;
    if (at) memcpy(carry, made, (size_t)at * sizeof *made);
    for (int k = 0; k < l->ys; k++) {
        int64_t size = tw_shape_size(tw_function_output(l->f, l->carries + k).shape);
        if (size) memcpy(stacks[k] + t * size, made + at, (size_t)size * sizeof *made);
        at += size;
    }
    return TW_OK;
}

tw_status tw_produce_scan(tw_graph *g, const tw_node *node, const double *const *args, double *out)
{
    layout l = layout_of(g, tw_node_attr(g, node));
    tw_status status = TW_OK;
    int64_t made_size = 0, at = 0;
    for (int k = 0; k < l.f->outputs_count; k++) made_size += tw_shape_size(tw_function_output(l.f, k).shape);
    double *made = tw_alloc(g->ctx, (size_t)made_size, sizeof *made);
    const double **in = tw_alloc(g->ctx, (size_t)l.f->inputs_count, sizeof *in);
    double **stacks = tw_alloc(g->ctx, (size_t)(l.ys + l.carries), sizeof *stacks);
    if (!made || !in || !stacks) TW_TRY(tw_fail_memory(g->ctx, (size_t)made_size * sizeof *made));
    for (int k = 0; k < l.carries; k++) { /* the carry is worked on in the place of the final one */
        int64_t size = tw_shape_size(tw_function_output(l.f, k).shape);
        if (size) memcpy(out + at, args[l.consts + k], (size_t)size * sizeof *out);
        at += size;
    }
    for (int k = 0; k < l.ys + l.carries; k++) {
        stacks[k] = out + at;
        at += l.length * tw_shape_size(tw_function_output(l.f, k < l.ys ? l.carries + k : k - l.ys).shape);
    }
    for (int64_t t = 0; t < l.length; t++)
        TW_TRY(run_step(&l, l.reversed ? l.length - 1 - t : t, args, stacks, out, made, in));
done:
    tw_free(g->ctx, made);
    tw_free(g->ctx, in);
    tw_free(g->ctx, stacks);
    return status;
}
