/* graph/graph.c - the graph object: creation, errors, hash-consed append, reachability.
 *
 * Nodes live in one growing array and are found again through an open-addressing table of ids, so a value computed
 * twice is one node. Inputs are the exception: each is a node of its own. The first error poisons the graph; builders
 * then return invalid values and cost nothing. */
#include "graph/function.h"

#include <stdio.h>
#include <string.h>

tw_status tw_graph_create(tw_context *ctx, tw_graph **out_graph)
{
    tw_graph *g = tw_alloc(ctx, 1, sizeof *g);
    if (!g) return tw_fail_memory(ctx, sizeof *g);
    g->ctx = ctx;
    *out_graph = g;
    return TW_OK;
}

void tw_graph_destroy(tw_graph *g)
{
    if (!g) return;
    tw_context *ctx = g->ctx;
    tw_free(ctx, g->nodes);
    tw_free(ctx, g->attrs);
    tw_free(ctx, g->extra);
    tw_free(ctx, g->names);
    tw_free(ctx, g->data);
    tw_free(ctx, g->table);
    tw_free(ctx, g->parsed);
    for (int64_t i = 0; i < g->functions_count; i++) tw_function_release(g->functions[i]);
    tw_free(ctx, g->functions);
    tw_free(ctx, g);
}

tw_status tw_graph_check(tw_graph *g)
{
    return g->status == TW_OK ? TW_OK : tw_fail(g->ctx, g->status, "%s", g->error);
}

tw_val tw_graph_fail(tw_graph *g, tw_status status, const char *format, ...)
{
    if (!g) return TW_NONE;
    if (g->status == TW_OK && status != TW_OK) {
        va_list args;
        va_start(args, format);
        if (vsnprintf(g->error, sizeof g->error, format, args) < 0)
            snprintf(g->error, sizeof g->error, "%s", tw_status_text(status));
        va_end(args);
        size_t used = strlen(g->error);
        if (g->place[0]) snprintf(g->error + used, sizeof g->error - used, " (near %s)", g->place);
        g->status = status;
    }
    return tw_val_of(g, -1);
}

void tw_graph_set_place(tw_graph *g, const char *path)
{
    snprintf(g->place, sizeof g->place, "%s", path);
}

tw_status tw_graph_of(const char *who, int count, const tw_val *values, tw_graph **out_graph)
{
    tw_graph *g = NULL;
    for (int i = 0; i < count && !g; i++) g = values[i].graph;
    if (!g) return TW_ERR_INVALID;
    if (g->status != TW_OK) return tw_graph_check(g);
    for (int i = 0; i < count; i++) {
        if (values[i].graph != g || values[i].id < 0 || values[i].id >= g->count)
            return tw_fail(g->ctx, TW_ERR_INVALID, "%s: value %d of %d is none or of another graph", who, i + 1, count);
    }
    *out_graph = g;
    return TW_OK;
}

tw_shape tw_shape_at(tw_val v)
{
    return v.id < 0 ? TW_SCALAR : tw_node_at(v)->shape;
}

tw_dtype tw_dtype_at(tw_val v)
{
    return v.id < 0 ? TW_DTYPE_F32 : (tw_dtype)tw_node_at(v)->dtype;
}

/* Invalid values answer 1, so that model code may go on computing sizes until the error is looked at. */
int64_t tw_dim(tw_val v, int axis)
{
    if (v.id < 0) return 1;
    tw_shape shape = tw_shape_at(v);
    int at = axis < 0 ? axis + shape.rank : axis;
    if (at >= 0 && at < shape.rank) return shape.dim[at];
    tw_graph_fail(v.graph, TW_ERR_SHAPE, "dim: axis %d is not one of %s", axis, tw_shape_show(shape).text);
    return 1;
}

int64_t tw_last_dim(tw_val v)
{
    return tw_dim(v, -1);
}

/* --- storage --- */

static bool grow(tw_graph *g, void *ptr, int64_t *capacity, int64_t need, size_t size)
{
    if (tw_grow(g->ctx, ptr, capacity, need, size) == TW_OK) return true;
    tw_graph_fail(g, TW_ERR_MEMORY, "out of memory: a graph of %lld nodes could not grow", (long long)g->count);
    return false;
}

int64_t tw_graph_store(tw_graph *g, const void *data, int64_t size)
{
    int64_t offset = (g->data_count + 15) & ~(int64_t)15;
    if (!grow(g, &g->data, &g->data_capacity, offset + tw_max_i64(size, 1), 1)) return -1;
    if (size > 0) {
        if (data)
            memcpy(g->data + offset, data, (size_t)size);
        else
            memset(g->data + offset, 0, (size_t)size);
    }
    g->data_count = offset + size;
    return offset;
}

int64_t tw_graph_store_name(tw_graph *g, const char *name)
{
    int64_t offset = g->names_count, size = (int64_t)strlen(name) + 1;
    if (!grow(g, &g->names, &g->names_capacity, offset + size, 1)) return -1;
    memcpy(g->names + offset, name, (size_t)size);
    g->names_count += size;
    return offset;
}

/* --- hash-consing --- */

static uint64_t mix(uint64_t h, uint64_t word)
{
    h = (h ^ word) * 0x9E3779B97F4A7C15u;
    return h ^ (h >> 29);
}

static uint64_t mix_bytes(uint64_t h, const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    for (; size >= 8; size -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        h = mix(h, word);
    }
    uint64_t rest = 0;
    if (size) memcpy(&rest, at, size);
    return mix(h, rest);
}

static size_t data_size(const tw_draft *d)
{
    return (size_t)tw_shape_size(d->shape) * tw_dtype_size(d->dtype);
}

static uint64_t hash_attr(uint64_t h, const tw_draft *d)
{
    const tw_attr *a = &d->attr;
    if (d->op == TW_OP_const) return mix_bytes(h, d->graph->data + a->data, data_size(d));
    h = mix_bytes(h, a->begin, sizeof a->begin);
    h = mix_bytes(h, a->end, sizeof a->end);
    h = mix_bytes(h, a->stride, sizeof a->stride);
    h = mix_bytes(h, a->dilation, sizeof a->dilation);
    h = mix_bytes(h, a->axis, sizeof a->axis);
    h = mix_bytes(h, a->axis_b, sizeof a->axis_b);
    h = mix(h, (uint64_t)(uint8_t)a->batch_count << 8 | (uint8_t)a->contract_count);
    h = mix(h, (uint64_t)a->axis_mask << 32 | a->number);
    h = mix(h, a->option);
    h = mix_bytes(h, a->function, sizeof a->function);
    h = mix(h, (uint64_t)(uint32_t)a->consts << 32 | (uint32_t)a->carries);
    h = mix(h, (uint64_t)a->length << 2 | (uint64_t)a->reversed << 1 | (uint64_t)a->recompute);
    return mix_bytes(h, &a->value, sizeof a->value);
}

static uint32_t hash_draft(const tw_draft *d)
{
    uint64_t h = mix((uint64_t)d->op << 8 | (uint64_t)d->dtype, (uint64_t)d->count);
    for (int i = 0; i < d->shape.rank; i++) h = mix(h, (uint64_t)d->shape.dim[i]);
    for (int i = 0; i < d->count; i++) h = mix(h, (uint64_t)d->args[i].id);
    if (tw_op_table[d->op].flags & TW_OPF_ATTR) h = hash_attr(h, d);
    return (uint32_t)(h ^ h >> 32);
}

static bool attr_equal(const tw_attr *a, const tw_attr *b)
{
    return memcmp(a->begin, b->begin, sizeof a->begin) == 0 && memcmp(a->end, b->end, sizeof a->end) == 0 &&
           memcmp(a->stride, b->stride, sizeof a->stride) == 0 &&
           memcmp(a->dilation, b->dilation, sizeof a->dilation) == 0 && memcmp(a->axis, b->axis, sizeof a->axis) == 0 &&
           memcmp(a->axis_b, b->axis_b, sizeof a->axis_b) == 0 && a->batch_count == b->batch_count &&
           a->contract_count == b->contract_count && a->axis_mask == b->axis_mask && a->number == b->number &&
           memcmp(a->function, b->function, sizeof a->function) == 0 && a->consts == b->consts &&
           a->carries == b->carries && a->length == b->length && a->reversed == b->reversed &&
           a->recompute == b->recompute && a->option == b->option && memcmp(&a->value, &b->value, sizeof a->value) == 0;
}

static bool same_node(const tw_draft *d, uint32_t hash, const tw_node *n)
{
    const tw_graph *g = d->graph;
    if (n->hash != hash || n->op != d->op || n->dtype != d->dtype || n->args_count != d->count ||
        !tw_shape_equal(n->shape, d->shape))
        return false;
    const int32_t *args = tw_node_args(g, n);
    for (int i = 0; i < d->count; i++)
        if (args[i] != d->args[i].id) return false;
    if (n->attr < 0) return true;
    if (d->op == TW_OP_const) return memcmp(tw_node_data(g, n), g->data + d->attr.data, data_size(d)) == 0;
    return attr_equal(tw_node_attr(g, n), &d->attr);
}

/* The slot of an equal node, or the empty slot where the draft belongs. The table is never full. */
static int64_t find_slot(const tw_draft *d, uint32_t hash)
{
    const tw_graph *g = d->graph;
    int64_t mask = g->table_size - 1, slot = hash & mask;
    while (g->table[slot] >= 0 && !same_node(d, hash, tw_node_of(g, g->table[slot]))) slot = (slot + 1) & mask;
    return slot;
}

static bool grow_table(tw_graph *g)
{
    if (g->table_size && g->count * 2 < g->table_size) return true;
    int64_t size = g->table_size ? g->table_size * 2 : 64;
    int32_t *table = tw_resize(g->ctx, NULL, (size_t)size, sizeof *table);
    if (!table) {
        tw_graph_fail(g, TW_ERR_MEMORY, "out of memory: a graph of %lld nodes could not grow", (long long)g->count);
        return false;
    }
    for (int64_t i = 0; i < size; i++) table[i] = -1;
    for (int64_t id = 0; id < g->count; id++) {
        if (g->nodes[id].op == TW_OP_input) continue;
        int64_t slot = g->nodes[id].hash & (size - 1);
        while (table[slot] >= 0) slot = (slot + 1) & (size - 1);
        table[slot] = (int32_t)id;
    }
    tw_free(g->ctx, g->table);
    g->table = table;
    g->table_size = size;
    return true;
}

static bool store_args(tw_graph *g, const tw_draft *d, tw_node *node)
{
    node->args_count = d->count;
    if (d->count <= TW_MAX_ARGS) {
        for (int i = 0; i < d->count; i++) node->args[i] = d->args[i].id;
        return true;
    }
    if (!grow(g, &g->extra, &g->extra_capacity, g->extra_count + d->count, sizeof *g->extra)) return false;
    node->args[0] = (int32_t)g->extra_count;
    for (int i = 0; i < d->count; i++) g->extra[g->extra_count + i] = d->args[i].id;
    return true;
}

static tw_val push(const tw_draft *d, uint32_t hash)
{
    tw_graph *g = d->graph;
    tw_node node = {.op = (uint8_t)d->op, .dtype = (uint8_t)d->dtype, .attr = -1, .hash = hash, .shape = d->shape};
    if (g->count >= INT32_MAX / 2) return tw_graph_fail(g, TW_ERR_UNSUPPORTED, "the graph has too many nodes");
    if (!grow(g, &g->nodes, &g->capacity, g->count + 1, sizeof *g->nodes)) return tw_val_of(g, -1);
    if (!store_args(g, d, &node)) return tw_val_of(g, -1);
    if (tw_op_table[d->op].flags & TW_OPF_ATTR) {
        if (!grow(g, &g->attrs, &g->attrs_capacity, g->attrs_count + 1, sizeof *g->attrs)) return tw_val_of(g, -1);
        node.attr = (int32_t)g->attrs_count;
        g->attrs[g->attrs_count++] = d->attr;
    }
    if (d->count > TW_MAX_ARGS) g->extra_count += d->count;
    g->nodes[g->count] = node;
    return tw_val_of(g, (int32_t)g->count++);
}

static tw_val intern(const tw_draft *d)
{
    tw_graph *g = d->graph;
    if (!grow_table(g)) return tw_val_of(g, -1);
    uint32_t hash = hash_draft(d);
    if (d->op == TW_OP_input) return push(d, hash);
    int64_t slot = find_slot(d, hash);
    if (g->table[slot] >= 0) {
        if (d->op == TW_OP_const) g->data_count = d->attr.data; /* the copy just stored is not needed */
        return tw_val_of(g, g->table[slot]);
    }
    tw_val made = push(d, hash);
    if (made.id >= 0) g->table[slot] = made.id;
    return made;
}

/* --- append --- */

static bool args_are_valid(tw_draft *d)
{
    tw_graph *g = d->graph;
    for (int i = 0; i < d->count && !g; i++) g = d->args[i].graph;
    d->graph = g;
    if (!g || g->status != TW_OK) return false;
    for (int i = 0; i < d->count; i++) {
        if (d->args[i].graph == g && d->args[i].id >= 0) {
            const tw_op_info *from = &tw_op_table[tw_node_at(d->args[i])->op];
            if (!(from->flags & TW_OPF_PRODUCER) || d->op == TW_OP_part) continue;
            tw_graph_fail(g, TW_ERR_INVALID, "%s: argument %d is a %s of several results: take a part of it",
                          tw_op_table[d->op].name, i + 1, from->name);
            return false;
        }
        tw_graph_fail(g, TW_ERR_INVALID, "%s: argument %d is %s", tw_op_table[d->op].name, i + 1,
                      d->args[i].id < 0 ? "none" : "a value of another graph");
        return false;
    }
    int arity = tw_op_table[d->op].arity;
    if (arity < 0 || d->count == arity) return true;
    tw_graph_fail(g, TW_ERR_INVALID, "%s: takes %d arguments, not %d", tw_op_table[d->op].name, arity, d->count);
    return false;
}

/* Sentences name arguments in the caller's order, so commuting ones are sorted after inference. */
static tw_val append(tw_draft *d, bool simplify)
{
    if (!args_are_valid(d)) return d->graph ? tw_val_of(d->graph, -1) : TW_NONE;
    if (!tw_op_table[d->op].infer(d)) return tw_val_of(d->graph, -1);
    tw_val instead = d->graph->rewrite ? d->graph->rewrite(d) : TW_NONE;
    if (instead.id >= 0 || d->graph->status != TW_OK) return tw_val_of(d->graph, instead.id);
    tw_val swapped[2];
    const tw_val *given = d->args;
    if ((tw_op_table[d->op].flags & TW_OPF_COMMUTES) && given[0].id > given[1].id) {
        swapped[0] = given[1];
        swapped[1] = given[0];
        d->args = swapped;
    }
    tw_val made = simplify ? tw_simplify(d) : tw_val_of(d->graph, -1);
    if (made.id < 0 && d->graph->status == TW_OK) made = intern(d);
    d->args = given;
    return made.id < 0 ? tw_val_of(d->graph, -1) : made;
}

tw_val tw_graph_append(tw_draft *draft)
{
    return append(draft, true);
}

tw_val tw_graph_append_as_is(tw_draft *draft)
{
    return append(draft, false);
}

tw_draft tw_draft_of(tw_val node, const tw_val *args)
{
    const tw_node *n = tw_node_at(node);
    tw_draft draft = {.graph = node.graph, .op = (tw_op)n->op, .count = n->args_count, .args = args};
    draft.dtype = (tw_dtype)n->dtype;
    draft.shape = n->shape;
    if (n->attr >= 0) draft.attr = node.graph->attrs[n->attr];
    return draft;
}

tw_val tw_graph_remake(tw_val node, const tw_val *args)
{
    tw_draft draft = tw_draft_of(node, args);
    return tw_graph_append(&draft);
}

/* --- reachability --- */

void tw_mark_dependent(const tw_graph *g, int count, const tw_val *inputs, bool *reach)
{
    for (int i = 0; i < count; i++) reach[inputs[i].id] = true;
    for (int64_t id = 0; id < g->count; id++) {
        const tw_node *n = &g->nodes[id];
        const int32_t *args = tw_node_args(g, n);
        for (int k = 0; k < n->args_count && !reach[id]; k++) reach[id] = reach[args[k]];
    }
}

void tw_mark_between(const tw_graph *g, int inputs_count, const tw_val *inputs, int outputs_count,
                     const tw_val *outputs, bool *need)
{
    int32_t last = -1;
    for (int i = 0; i < outputs_count; i++) {
        need[outputs[i].id] = true;
        if (outputs[i].id > last) last = outputs[i].id;
    }
    for (int32_t id = last; id >= 0; id--) {
        if (!need[id]) continue;
        bool is_input = false;
        for (int i = 0; i < inputs_count && !is_input; i++) is_input = inputs[i].id == id;
        if (is_input) continue;
        const tw_node *n = &g->nodes[id];
        const int32_t *args = tw_node_args(g, n);
        for (int k = 0; k < n->args_count; k++) need[args[k]] = true;
    }
}

void tw_mark_needed(const tw_graph *g, int count, const tw_val *outputs, bool *need)
{
    tw_mark_between(g, 0, NULL, count, outputs, need);
}

int32_t tw_graph_max_args(const tw_graph *g)
{
    int32_t most = 1;
    for (int64_t id = 0; id < g->count; id++)
        if (g->nodes[id].args_count > most) most = g->nodes[id].args_count;
    return most;
}
