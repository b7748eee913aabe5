/* exec/regions.c - rows, stages, regions and depths: which nodes can be computed block of rows by block of rows
 * together.
 *
 * Forward pass: the earliest stage of each node (a new stage begins where a value is needed whole). Backward pass: each
 * node moves to the latest stage its readers allow, so that values live briefly. Nodes with one stage and one number of
 * rows make a region. */
#include "exec/inst.h"
#include "graph/function.h"

#include <stdlib.h>

static int64_t lead(tw_shape shape)
{
    return shape.rank == 0 || shape.dim[0] == 0 ? 1 : shape.dim[0];
}

tw_row_kind tw_row_kind_of(const tw_graph *g, const tw_node *node)
{
    const tw_exec_op *op = &tw_exec_table[node->op];
    return op->rows ? op->rows(g, node) : TW_ROW_SLICED;
}

bool tw_row_arg_sliced(const tw_graph *g, const tw_node *node, int k)
{
    const tw_exec_op *op = &tw_exec_table[node->op];
    return op->sliced ? op->sliced(g, node, k) : true;
}

static bool is_one_element(const tw_build *b, const tw_node *wide)
{
    return tw_shape_size(tw_at_id(b, tw_node_args(b->g, wide)[0])->shape) == 1;
}

/* An elementwise reader may take a broadcast through an index map when each of its rows begins a row of the broadcast:
 * reshaped, the two may be cut differently. One element fits anything. */
static bool can_stretch(const tw_build *b, int32_t reader, const tw_node *wide)
{
    int64_t rows = b->value[reader].rows;
    return rows <= 1 || is_one_element(b, wide) || wide->shape.dim[0] % rows == 0;
}

tw_view tw_view_of(const tw_build *b, int32_t id, int k)
{
    const tw_node *node = tw_at_id(b, id);
    int32_t arg = tw_node_args(b->g, node)[k];
    tw_view view = {.source = b->base[arg], .stretch = -1, .slice = -1, .whole = true};
    const tw_node *wide = tw_at_id(b, view.source);
    if (tw_is_elementwise(b, id) && wide->op == TW_OP_broadcast && can_stretch(b, id, wide)) {
        view.stretch = view.source;
        view.source = b->base[tw_node_args(b->g, wide)[0]];
        view.whole = is_one_element(b, wide) || !tw_row_arg_sliced(b->g, wide, 0);
    } else if (b->value[id].rows > 1) {
        view.whole = !tw_row_arg_sliced(b->g, node, k);
    }
    if (b->value[id].rows == 1) view.whole = true;
    if (b->value[view.source].in_place) {
        view.slice = view.source;
        view.source = b->base[tw_node_args(b->g, tw_at_id(b, view.slice))[0]];
    }
    return view;
}

/* Rows of a node: those of its first sliced, computed argument where they fit, else its leading dimension. */
static int64_t rows_of(const tw_build *b, int32_t id)
{
    const tw_node *node = tw_at_id(b, id);
    tw_row_kind kind = tw_row_kind_of(b->g, node);
    if (node->op == TW_OP_part) return b->value[tw_node_args(b->g, node)[0]].rows;
    if (kind == TW_ROW_WHOLE) return tw_exec_table[node->op].pieces ? tw_exec_table[node->op].pieces(b->g, node) : 1;
    tw_shape shape = kind == TW_ROW_SUMS ? tw_at_id(b, tw_node_args(b->g, node)[0])->shape : node->shape;
    if (tw_op_table[node->op].flags & TW_OPF_PRODUCER) shape = tw_result_type(tw_val_of(b->g, id), 0).shape;
    int64_t own = lead(shape);
    if (kind == TW_ROW_SLICED && shape.rank == 0) return 1;
    for (int k = 0; k < node->args_count; k++) {
        if (!tw_row_arg_sliced(b->g, node, k)) continue;
        int32_t source = b->base[tw_node_args(b->g, node)[k]];
        if (tw_is_leaf(b, source)) continue;
        int64_t rows = b->value[source].pieced ? 1 : b->value[source].rows;
        if (rows > 1 && own % rows == 0 && !b->value[source].sums) return rows;
    }
    return own;
}

/* True when a reader in the same stage and of the same rows may take the value block by block. */
static bool joins(const tw_build *b, int32_t reader, const tw_view *view)
{
    const tw_value *r = &b->value[reader], *s = &b->value[view->source];
    return r->rows == s->rows && r->pieced == s->pieced && r->alone == s->alone && !s->sums &&
           (!view->whole || r->rows == 1);
}

/* --- barriers: what reads bytes through one waits for its token too --- */

/* A broadcast or slice without bytes of its own, which readers look through. */
static bool is_seen_through(const tw_build *b, int32_t base)
{
    return b->value[base].in_place || (tw_at_id(b, base)->op == TW_OP_broadcast && !b->value[base].computed);
}

/* The barrier nearest to a node among those it reads its bytes through, or -1. */
static int32_t barrier_of(const tw_build *b, int32_t id)
{
    while (b->after[id] < 0 && is_seen_through(b, b->base[id])) id = tw_node_args(b->g, tw_at_id(b, b->base[id]))[0];
    return b->after[id];
}

static int32_t first_barrier(const tw_build *b, int32_t id, int k)
{
    return barrier_of(b, tw_node_args(b->g, tw_at_id(b, id))[k]);
}

static int32_t next_barrier(const tw_build *b, int32_t barrier)
{
    return first_barrier(b, barrier, 0);
}

/* The computed value a barrier waits for; false when it has not to be waited for. */
static bool token_of(const tw_build *b, int32_t barrier, tw_view *out_view)
{
    int32_t source = b->base[tw_node_args(b->g, tw_at_id(b, barrier))[1]];
    while (is_seen_through(b, source)) source = b->base[tw_node_args(b->g, tw_at_id(b, source))[0]];
    *out_view = (tw_view){.source = source, .stretch = -1, .slice = -1};
    return b->value[source].computed;
}

/* Which nodes make bytes: all but inputs, constants, reshapes, and broadcasts that only elementwise nodes read. */
static void find_computed(tw_build *b)
{
    for (int32_t i = 0; i < b->n; i++) {
        const tw_node *node = tw_at_id(b, i);
        int32_t arg = node->args_count ? tw_node_args(b->g, node)[0] : -1;
        bool alias = node->op == TW_OP_reshape || node->op == TW_OP_stop_gradient || node->op == TW_OP_barrier ||
                     (node->op == TW_OP_cast && tw_at_id(b, arg)->dtype == node->dtype);
        b->base[i] = alias ? b->base[arg] : i;
        b->thrifty = b->thrifty || node->op == TW_OP_barrier;
        b->after[i] = node->op == TW_OP_barrier ? i : alias ? b->after[arg] : -1;
        b->value[i].computed = !alias && !tw_is_leaf(b, i) && node->op != TW_OP_broadcast;
    }
    for (int i = 0; i < b->p->outputs_count; i++) {
        int32_t base = b->base[b->outputs[i].id];
        if (!tw_is_leaf(b, base)) b->value[base].computed = true;
    }
    for (int32_t i = b->n - 1; i >= 0; i--) {
        if (!b->value[i].computed || tw_is_elementwise(b, i)) continue;
        const tw_node *node = tw_at_id(b, i);
        for (int k = 0; k < node->args_count; k++) {
            int32_t base = b->base[tw_node_args(b->g, node)[k]];
            if (tw_at_id(b, base)->op == TW_OP_broadcast) b->value[base].computed = true;
        }
    }
    /* a broadcast read through a broadcast by an elementwise node must exist as well */
    for (int32_t i = 0; i < b->n; i++) {
        const tw_node *node = tw_at_id(b, i);
        if (node->op != TW_OP_broadcast) continue;
        int32_t source = b->base[tw_node_args(b->g, node)[0]];
        if (tw_at_id(b, source)->op == TW_OP_broadcast) b->value[source].computed = true;
    }
}

static bool sums_over_batch(const tw_build *b, const tw_node *node)
{
    for (int k = 0; k < node->args_count; k++)
        if (tw_row_arg_sliced(b->g, node, k) && b->value[b->base[tw_node_args(b->g, node)[k]]].batch) return true;
    return false;
}

/* A slice of the last axis alone. */
static bool is_part_of_last(const tw_build *b, int32_t id)
{
    const tw_node *node = tw_at_id(b, id);
    if (node->op != TW_OP_slice || node->shape.rank < 2 || tw_node_size(b, id) == 0) return false;
    tw_shape whole = tw_at_id(b, tw_node_args(b->g, node)[0])->shape;
    const tw_attr *at = tw_node_attr(b->g, node);
    for (int i = 0; i < whole.rank - 1; i++)
        if (whole.dim[i] != node->shape.dim[i]) return false;
    return at->stride[whole.rank - 1] == 1;
}

/* Slices that every reader can take in place make no bytes. */
static void find_in_place(tw_build *b)
{
    for (int32_t i = 0; i < b->n; i++) {
        if (!b->value[i].computed || !is_part_of_last(b, i)) continue;
        int op = tw_at_id(b, b->base[tw_node_args(b->g, tw_at_id(b, i))[0]])->op;
        b->value[i].in_place = op != TW_OP_broadcast;
    }
    for (int i = 0; i < b->p->outputs_count; i++) b->value[b->base[b->outputs[i].id]].in_place = false;
    for (int32_t i = 0; i < b->n; i++) {
        const tw_node *node = tw_at_id(b, i);
        if (b->base[i] != i) continue;
        for (int k = 0; k < node->args_count; k++) {
            int32_t source = b->base[tw_node_args(b->g, node)[k]];
            const tw_exec_op *op = &tw_exec_table[node->op];
            if (!op->strided || !op->strided(b->g, node, k, tw_at_id(b, source))) b->value[source].in_place = false;
        }
    }
    for (int32_t i = 0; i < b->n; i++)
        if (b->value[i].in_place) b->value[i].computed = false;
}

static void assign_rows(tw_build *b)
{
    for (int32_t i = 0; i < b->n; i++) {
        tw_value *v = &b->value[i];
        const tw_node *node = tw_at_id(b, i);
        if (tw_is_leaf(b, i)) {
            v->rows = 0;
            int32_t number = b->input_number[i];
            v->batch = number >= 0 && b->p->rows > 0 && b->row_inputs[number];
            continue;
        }
        if (b->base[i] != i) {
            v->rows = b->value[b->base[i]].rows;
            v->batch = b->value[b->base[i]].batch;
            continue;
        }
        v->rows = rows_of(b, i);
        v->alone =
            tw_exec_table[node->op].alone || (node->op == TW_OP_part && b->value[tw_node_args(b->g, node)[0]].alone);
        v->sums = tw_row_kind_of(b->g, node) == TW_ROW_SUMS && v->rows > 1;
        for (int k = 0; k < node->args_count && !v->sums; k++)
            if (tw_row_arg_sliced(b->g, node, k) && b->value[b->base[tw_node_args(b->g, node)[k]]].batch)
                v->batch = true;
        if (tw_row_kind_of(b->g, node) != TW_ROW_WHOLE) continue;
        v->batch = false;
        v->pieced = v->rows > 1;
    }
}

/* Nodes that have as many rows as the batch by chance must not be cut short: they are computed whole. */
static void keep_whole(tw_build *b)
{
    if (b->p->rows <= 1) return;
    for (int i = 0; i < b->p->outputs_count; i++) {
        tw_value *v = &b->value[b->base[b->outputs[i].id]];
        if (!v->batch && !v->sums && !v->pieced && v->rows == b->p->rows) v->rows = 1;
    }
    for (int32_t i = b->n - 1; i >= 0; i--) {
        const tw_node *node = tw_at_id(b, i);
        tw_value *v = &b->value[i];
        if (tw_is_leaf(b, i)) continue;
        if (v->sums && v->rows == b->p->rows && !sums_over_batch(b, node)) {
            v->rows = 1;
            v->sums = false;
        }
        for (int k = 0; k < node->args_count; k++) {
            int32_t source = b->base[tw_node_args(b->g, node)[k]];
            tw_value *s = &b->value[source];
            if (tw_is_leaf(b, source) || s->batch || s->sums || s->pieced || s->rows != b->p->rows) continue;
            if (v->rows != s->rows || !tw_row_arg_sliced(b->g, node, k)) s->rows = 1;
        }
    }
}

/* Broadcasts that some elementwise reader cannot take through an index map make bytes after all. Readers stand behind
 * what they read, so that one pass from the back finds broadcasts of broadcasts too. */
static void compute_odd_broadcasts(tw_build *b)
{
    for (int32_t i = b->n - 1; i >= 0; i--) {
        const tw_node *node = tw_at_id(b, i);
        if (!b->value[i].computed) continue;
        for (int k = 0; k < node->args_count; k++) {
            int32_t source = b->base[tw_node_args(b->g, node)[k]];
            if (tw_at_id(b, source)->op == TW_OP_broadcast && tw_view_of(b, i, k).stretch < 0)
                b->value[source].computed = true;
        }
    }
    for (int32_t i = 0; i < b->n; i++)
        if (tw_at_id(b, i)->op == TW_OP_part) b->value[i].rows = rows_of(b, i);
}

static void raise_to(int32_t *at_least, int32_t value)
{
    if (value > *at_least) *at_least = value;
}

static void lower_to(int32_t *at_most, int32_t value)
{
    if (value < *at_most) *at_most = value;
}

static void assign_stages(tw_build *b)
{
    int32_t last = 0;
    for (int32_t i = 0; i < b->n; i++) {
        tw_value *v = &b->value[i];
        if (!v->computed) continue;
        for (int k = 0; k < tw_at_id(b, i)->args_count; k++) {
            tw_view view = tw_view_of(b, i, k), token;
            for (int32_t at = first_barrier(b, i, k); at >= 0; at = next_barrier(b, at))
                if (token_of(b, at, &token))
                    raise_to(&v->stage, b->value[token.source].stage + (joins(b, i, &token) ? 0 : 1));
            if (tw_is_leaf(b, view.source)) continue;
            raise_to(&v->stage, b->value[view.source].stage + (joins(b, i, &view) ? 0 : 1));
        }
        if (v->stage > last) last = v->stage;
        v->last_stage = INT32_MAX; /* here: the latest stage readers allow */
    }
    for (int32_t i = b->n - 1; i >= 0; i--) {
        tw_value *v = &b->value[i];
        if (!v->computed) continue;
        if (v->last_stage != INT32_MAX && !v->output && v->last_stage > v->stage) v->stage = v->last_stage;
        for (int k = 0; k < tw_at_id(b, i)->args_count; k++) {
            tw_view view = tw_view_of(b, i, k), token;
            for (int32_t at = first_barrier(b, i, k); at >= 0; at = next_barrier(b, at))
                if (token_of(b, at, &token))
                    lower_to(&b->value[token.source].last_stage, v->stage - (joins(b, i, &token) ? 0 : 1));
            if (tw_is_leaf(b, view.source)) continue;
            lower_to(&b->value[view.source].last_stage, v->stage - (joins(b, i, &view) ? 0 : 1));
        }
    }
    for (int32_t i = 0; i < b->n; i++) /* parts are there when their producer has run */
        if (tw_at_id(b, i)->op == TW_OP_part) b->value[i].stage = b->value[tw_node_args(b->g, tw_at_id(b, i))[0]].stage;
    b->p->stages_count = last + 1;
}

/* Elementwise nodes of one size at one depth become one tile program; anything else deepens. */
static void assign_depths(tw_build *b)
{
    for (int32_t i = 0; i < b->n; i++) {
        tw_value *v = &b->value[i];
        if (!v->computed) continue;
        v->depth = 0;
        bool elementwise = tw_is_elementwise(b, i);
        for (int k = 0; k < tw_at_id(b, i)->args_count; k++) {
            tw_view view = tw_view_of(b, i, k), token;
            const tw_value *s = &b->value[view.source];
            for (int32_t at = first_barrier(b, i, k); at >= 0; at = next_barrier(b, at))
                if (token_of(b, at, &token) && b->value[token.source].region == v->region)
                    raise_to(&v->depth, b->value[token.source].depth + 1);
            if (tw_is_leaf(b, view.source) || s->region != v->region) continue;
            bool fuses = elementwise && view.stretch < 0 && tw_is_elementwise(b, view.source) &&
                         tw_node_size(b, view.source) == tw_node_size(b, i);
            raise_to(&v->depth, s->depth + (fuses ? 0 : 1));
        }
    }
}

/* Elementwise nodes that need nothing of their own region (an optimiser's moments before the gradient is there) wait
 * for their readers: what is made from leaves alone keeps nothing alive, and is part of the readers' tile program. */
static tw_status let_readers_wait(tw_build *b)
{
    int32_t *latest = tw_alloc(b->ctx, (size_t)b->n, sizeof *latest);
    if (!latest) return tw_fail_memory(b->ctx, (size_t)b->n * sizeof *latest);
    for (int32_t i = 0; i < b->n; i++) latest[i] = INT32_MAX;
    for (int32_t i = b->n - 1; i >= 0; i--) {
        tw_value *v = &b->value[i];
        if (!v->computed) continue;
        bool elementwise = tw_is_elementwise(b, i);
        if (elementwise && v->depth == 0 && !v->output && latest[i] != INT32_MAX) v->depth = latest[i];
        for (int k = 0; k < tw_at_id(b, i)->args_count; k++) {
            tw_view view = tw_view_of(b, i, k), token;
            for (int32_t at = first_barrier(b, i, k); at >= 0; at = next_barrier(b, at))
                if (token_of(b, at, &token)) lower_to(&latest[token.source], 0);
            if (tw_is_leaf(b, view.source) || b->value[view.source].region != v->region) continue;
            bool fuses = elementwise && view.stretch < 0 && tw_is_elementwise(b, view.source) &&
                         tw_node_size(b, view.source) == tw_node_size(b, i);
            lower_to(&latest[view.source], v->depth - (fuses ? 0 : 1));
        }
    }
    tw_free(b->ctx, latest);
    return TW_OK;
}

/* Reductions of lines short enough for a tile are done by the tile program that makes the line, which then needs not be
 * stored. One program has lines of one length. */
static void find_in_tile(tw_build *b)
{
    for (int32_t i = 0; i < b->n; i++) {
        tw_value *v = &b->value[i];
        if (!v->computed || v->sums || v->pieced || tw_node_size(b, i) == 0 || tw_at_id(b, i)->dtype > TW_DTYPE_F64)
            continue;
        int64_t line = tw_line_of(b, i);
        if (line < 1 || line > TW_TILE) continue;
        tw_view view = tw_view_of(b, i, 0);
        const tw_value *s = &b->value[view.source];
        bool joined = s->computed && s->region == v->region && s->depth + 1 == v->depth && view.slice < 0 &&
                      tw_is_elementwise(b, view.source) && joins(b, i, &view);
        for (int32_t j = 0; j < i && joined; j++) {
            if (!b->value[j].in_tile || b->value[j].region != v->region || b->value[j].depth != v->depth) continue;
            int32_t other = tw_view_of(b, j, 0).source;
            joined = tw_node_size(b, other) != tw_node_size(b, view.source) || tw_line_of(b, j) == line;
        }
        v->in_tile = joined;
    }
}

typedef struct region_key {
    int32_t stage;
    bool pieced, alone;
    int64_t rows;
    int32_t node;
} region_key;

static int by_stage_and_rows(const void *x, const void *y)
{
    const region_key *a = x, *b = y;
    if (a->stage != b->stage) return a->stage < b->stage ? -1 : 1;
    if (a->pieced != b->pieced) return a->pieced ? -1 : 1;
    if (a->alone != b->alone) return a->alone ? 1 : -1;
    if (a->rows != b->rows) return a->rows > b->rows ? -1 : 1;
    return a->node < b->node ? -1 : a->node > b->node;
}

static tw_status make_regions(tw_build *b)
{
    tw_status status = TW_OK;
    tw_program *p = b->p;
    region_key *keys = tw_alloc(b->ctx, (size_t)b->n, sizeof *keys);
    int32_t count = 0;
    if (!keys) return tw_fail_memory(b->ctx, (size_t)b->n * sizeof *keys);
    for (int32_t i = 0; i < b->n; i++)
        if (b->value[i].computed)
            keys[count++] = (region_key){b->value[i].stage, b->value[i].pieced, b->value[i].alone, b->value[i].rows, i};
    qsort(keys, (size_t)count, sizeof *keys, by_stage_and_rows);
    for (int32_t i = 0; i < count; i++) {
        tw_region *region = p->regions_count ? &p->regions[p->regions_count - 1] : NULL;
        if (!region || region->stage != keys[i].stage || region->rows != keys[i].rows ||
            region->pieces != keys[i].pieced || region->alone != keys[i].alone) {
            TW_TRY(tw_grow(b->ctx, &p->regions, &b->regions_capacity, p->regions_count + 1, sizeof *region));
            region = &p->regions[p->regions_count++];
            *region = (tw_region){
                .stage = keys[i].stage, .rows = keys[i].rows, .pieces = keys[i].pieced, .alone = keys[i].alone};
        }
        tw_value *v = &b->value[keys[i].node];
        v->region = p->regions_count - 1;
        if (v->sums) region->sums = true;
        if (v->batch && region->rows == p->rows) region->batch = true;
    }
done:
    tw_free(b->ctx, keys);
    return status;
}

tw_status tw_build_regions(tw_build *b)
{
    tw_status status = TW_OK;
    for (int32_t i = 0; i < b->n; i++) b->value[i] = (tw_value){.region = -1};
    find_computed(b);
    find_in_place(b);
    for (int i = 0; i < b->p->outputs_count; i++) b->value[b->base[b->outputs[i].id]].output = true;
    assign_rows(b);
    keep_whole(b);
    compute_odd_broadcasts(b);
    assign_stages(b);
    TW_TRY(make_regions(b));
    assign_depths(b);
    TW_TRY(let_readers_wait(b));
    find_in_tile(b);
done:
    return status;
}
