/* exec/tile.c - a group of elementwise nodes as a tile program: straight-line code over registers of TW_TILE elements
 * that stay in L1. Broadcast arguments are read through index maps, a*b+c becomes one instruction, values needed later
 * are written straight to their place. Sums and maxima of lines no longer than a tile end the program: its tiles are
 * then whole lines. */
#include "exec/build.h"

static const struct {
    uint8_t op;
    uint8_t tile;
} tile_ops[] = {{TW_OP_neg, TW_TILE_NEG},
                {TW_OP_exp, TW_TILE_EXP},
                {TW_OP_expm1, TW_TILE_EXPM1},
                {TW_OP_log, TW_TILE_LOG},
                {TW_OP_log1p, TW_TILE_LOG1P},
                {TW_OP_sin, TW_TILE_SIN},
                {TW_OP_cos, TW_TILE_COS},
                {TW_OP_tanh, TW_TILE_TANH},
                {TW_OP_erf, TW_TILE_ERF},
                {TW_OP_sqrt, TW_TILE_SQRT},
                {TW_OP_rsqrt, TW_TILE_RSQRT},
                {TW_OP_abs, TW_TILE_ABS},
                {TW_OP_sigmoid, TW_TILE_SIGMOID},
                {TW_OP_gelu, TW_TILE_GELU},
                {TW_OP_gelu_slope, TW_TILE_GELU_SLOPE},
                {TW_OP_sign, TW_TILE_SIGN},
                {TW_OP_floor, TW_TILE_FLOOR},
                {TW_OP_is_finite, TW_TILE_IS_FINITE},
                {TW_OP_not, TW_TILE_NOT},
                {TW_OP_add, TW_TILE_ADD},
                {TW_OP_sub, TW_TILE_SUB},
                {TW_OP_mul, TW_TILE_MUL},
                {TW_OP_div, TW_TILE_DIV},
                {TW_OP_pow, TW_TILE_POW},
                {TW_OP_max, TW_TILE_MAX},
                {TW_OP_min, TW_TILE_MIN},
                {TW_OP_lt, TW_TILE_LT},
                {TW_OP_eq, TW_TILE_EQ},
                {TW_OP_and, TW_TILE_AND},
                {TW_OP_xor, TW_TILE_XOR},
                {TW_OP_select, TW_TILE_SELECT},
                {TW_OP_stop_gradient, TW_TILE_COPY},
                {TW_OP_sinh, TW_TILE_SINH},
                {TW_OP_cosh, TW_TILE_COSH},
                {TW_OP_asin, TW_TILE_ASIN},
                {TW_OP_acos, TW_TILE_ACOS},
                {TW_OP_atan, TW_TILE_ATAN},
                {TW_OP_exp2, TW_TILE_EXP2},
                {TW_OP_log2, TW_TILE_LOG2},
                {TW_OP_erfinv, TW_TILE_ERFINV},
                {TW_OP_lgamma, TW_TILE_LGAMMA},
                {TW_OP_round, TW_TILE_ROUND},
                {TW_OP_atan2, TW_TILE_ATAN2},
                {TW_OP_rem, TW_TILE_REM},
                {TW_OP_polygamma, TW_TILE_POLYGAMMA},
                {TW_OP_bitcast, TW_TILE_COPY}};

/* What is known of a group while its code is written. */
typedef struct codegen {
    tw_build *b;
    tw_region *region;
    int32_t count;
    const int32_t *nodes;
    int32_t *absorbed;       /* node -> the add or sub that swallowed it, +1; 0: none */
    tw_tile_operand *result; /* node -> where its value is */
    int32_t first, loads_first;
    int32_t registers; /* virtual ones, one a value */
} codegen;

static tw_tile_fn kernel_of(const tw_build *b, int32_t id)
{
    const tw_node *node = tw_at_id(b, id);
    const tw_cpu *cpu = b->p->cpu;
    int32_t count = node->args_count;
    int from = tw_at_id(b, tw_node_args(b->g, node)[count - 1])->dtype;
    if (node->op == TW_OP_cast) return cpu->cast[from][node->dtype];
    if (node->op == TW_OP_bits_to_uniform) return cpu->bits_to_uniform[node->dtype];
    if (node->op == TW_OP_bits_to_normal) return cpu->bits_to_normal[node->dtype];
    for (int i = 0; i < TW_COUNT(tile_ops); i++)
        if (tile_ops[i].op == node->op) return cpu->tile[tile_ops[i].tile][from];
    return NULL;
}

static bool in_group(const codegen *c, int32_t id)
{
    const tw_value *v = &c->b->value[id], *own = &c->b->value[c->nodes[0]];
    return v->computed && v->region == own->region && v->depth == own->depth && tw_is_elementwise(c->b, id) &&
           tw_node_size(c->b, id) == tw_node_size(c->b, c->nodes[0]);
}

static int new_place(codegen *c, tw_place place)
{
    return tw_new_place(c->b, place);
}

/* Collapses neighbouring axes of a broadcast that walk the argument alike. */
static tw_stretch stretch_of(const tw_build *b, int32_t wide)
{
    const tw_node *node = tw_at_id(b, wide);
    tw_shape in = tw_at_id(b, tw_node_args(b->g, node)[0])->shape, out = node->shape;
    int64_t step = 1, stride[TW_MAX_RANK];
    for (int i = in.rank - 1; i >= 0; i--) {
        stride[i] = in.dim[i] == 1 ? 0 : step;
        step *= in.dim[i];
    }
    tw_stretch s = {.rank = 0};
    for (int i = 0; i < out.rank; i++) {
        if (out.dim[i] == 1 && i > 0) continue;
        int last = s.rank - 1;
        /* runs merge when the outer step equals the inner extent */
        if (s.rank > 0 && s.stride[last] == stride[i] * out.dim[i] && (stride[i] != 0 || s.stride[last] == 0)) {
            s.dim[last] *= out.dim[i];
            s.stride[last] = stride[i];
        } else {
            s.dim[s.rank] = out.dim[i];
            s.stride[s.rank++] = stride[i];
        }
    }
    if (s.rank == 0) s = (tw_stretch){.rank = 1, .dim = {1}, .stride = {0}};
    return s;
}

static tw_tile_operand new_load(codegen *c, tw_place place, tw_stretch stretch, size_t size)
{
    tw_program *p = c->b->p;
    tw_tile_operand none = {-1, -1, 0};
    int number = new_place(c, place);
    if (number < 0) return none;
    if (tw_grow(c->b->ctx, &p->loads, &c->b->loads_capacity, p->loads_count + 1, sizeof *p->loads) != TW_OK)
        return none;
    int64_t period = 1;
    for (int i = 1; i < stretch.rank; i++) period *= stretch.dim[i];
    bool steady = stretch.stride[0] == 0 && period > 0 && TW_TILE % period == 0;
    for (int32_t i = c->loads_first; i < p->loads_count; i++) {
        const tw_tile_load *l = &p->loads[i];
        const tw_place *q = &p->places[l->place];
        if (l->steady == steady && l->size == size && l->stretch.rank == stretch.rank && q->home == place.home &&
            q->index == place.index && q->offset == place.offset && q->row_bytes == place.row_bytes) {
            bool same = true;
            for (int k = 0; k < stretch.rank; k++)
                if (l->stretch.dim[k] != stretch.dim[k] || l->stretch.stride[k] != stretch.stride[k]) same = false;
            if (same) {
                p->places_count--;
                return (tw_tile_operand){.slot = l->slot, .place = -1, .size = (uint8_t)size};
            }
        }
    }
    tw_tile_load *load = &p->loads[p->loads_count++];
    *load = (tw_tile_load){
        .slot = c->registers++, .place = number, .steady = steady, .size = (uint8_t)size, .stretch = stretch};
    return (tw_tile_operand){.slot = load->slot, .place = -1, .size = (uint8_t)size};
}

/* An input that a node of this group overwrites is read into a register first, when a later node still wants the old
 * value. */
static bool overwritten_here(const codegen *c, int32_t source, int32_t reader)
{
    const tw_build *b = c->b;
    if (!b->overwrites || b->input_number[source] < 0) return false;
    for (int i = 0; i < b->p->outputs_count; i++) {
        if (b->overwrites[i] != b->input_number[source]) continue;
        int32_t writer = b->base[b->outputs[i].id];
        if (writer < reader && in_group(c, writer)) return true;
    }
    return false;
}

static tw_tile_operand operand_of(codegen *c, int32_t id, int k)
{
    tw_build *b = c->b;
    tw_view view = tw_view_of(b, id, k);
    int32_t arg = tw_node_args(b->g, tw_at_id(b, id))[k];
    size_t size = tw_dtype_size((tw_dtype)tw_at_id(b, arg)->dtype);
    if (view.stretch < 0 && in_group(c, view.source) && !tw_is_leaf(b, view.source)) return c->result[view.source];
    tw_place place = tw_place_in(b, c->region, view.source, view.whole);
    if (view.stretch >= 0) return new_load(c, place, stretch_of(b, view.stretch), size);
    if (overwritten_here(c, view.source, id)) {
        tw_stretch plain = {.rank = 1, .dim = {tw_node_size(b, id)}, .stride = {1}};
        return new_load(c, place, plain, size);
    }
    int number = new_place(c, place);
    return (tw_tile_operand){.slot = -1, .place = number, .size = (uint8_t)size};
}

static bool is_single_mul(const codegen *c, int32_t id)
{
    const tw_build *b = c->b;
    return tw_at_id(b, id)->op == TW_OP_mul && in_group(c, id) && b->value[id].uses == 1 && !b->value[id].stored &&
           !c->absorbed[id] && b->base[id] == id;
}

static void absorb_products(codegen *c)
{
    const tw_build *b = c->b;
    for (int32_t i = 0; i < c->count; i++) {
        const tw_node *node = tw_at_id(b, c->nodes[i]);
        if ((node->op != TW_OP_add && node->op != TW_OP_sub) || node->dtype > TW_DTYPE_F64) continue;
        for (int k = 0; k < 2; k++) {
            tw_view view = tw_view_of(b, c->nodes[i], k);
            if (view.stretch >= 0 || !is_single_mul(c, view.source)) continue;
            c->absorbed[view.source] = c->nodes[i] + 1;
            break;
        }
    }
}

/* x * sigmoid(x) with nobody else reading the sigmoid. */
static bool absorb_silu(codegen *c, int32_t id)
{
    const tw_build *b = c->b;
    if (tw_at_id(b, id)->op != TW_OP_mul || c->absorbed[id] || tw_at_id(b, id)->dtype > TW_DTYPE_F64) return false;
    for (int k = 0; k < 2; k++) {
        tw_view gate = tw_view_of(b, id, k), other = tw_view_of(b, id, 1 - k);
        if (gate.stretch >= 0 || other.stretch >= 0 || tw_at_id(b, gate.source)->op != TW_OP_sigmoid) continue;
        if (!in_group(c, gate.source) || b->value[gate.source].uses != 1 || b->value[gate.source].stored) continue;
        tw_view inner = tw_view_of(b, gate.source, 0);
        if (inner.source != other.source || inner.stretch >= 0) continue;
        c->absorbed[gate.source] = id + 1;
        return true;
    }
    return false;
}

static tw_status emit_code(codegen *c, int32_t id)
{
    tw_build *b = c->b;
    tw_program *p = b->p;
    const tw_node *node = tw_at_id(b, id);
    tw_tile_inst inst = {.node = id, .fn = kernel_of(b, id)};
    int count = node->args_count, product = -1, gate = -1;
    for (int k = 0; k < count; k++) {
        int32_t source = tw_view_of(b, id, k).source;
        if (c->absorbed[source] != id + 1) continue;
        if (node->op == TW_OP_mul)
            gate = k;
        else
            product = k;
    }
    if (gate >= 0) {
        inst.fn = p->cpu->tile[TW_TILE_SILU][node->dtype];
        inst.arg[0] = operand_of(c, id, 1 - gate);
        inst.arg[1] = inst.arg[2] = inst.arg[0];
    } else if (product >= 0) {
        int32_t mul = tw_view_of(b, id, product).source;
        tw_tile_op op = node->op == TW_OP_add ? TW_TILE_MUL_ADD : product == 0 ? TW_TILE_MUL_SUB : TW_TILE_NEG_MUL_ADD;
        inst.fn = p->cpu->tile[op][node->dtype];
        inst.arg[0] = operand_of(c, mul, 0);
        inst.arg[1] = operand_of(c, mul, 1);
        inst.arg[2] = operand_of(c, id, 1 - product);
    } else {
        for (int k = 0; k < 3; k++) inst.arg[k] = k < count ? operand_of(c, id, k) : inst.arg[0];
    }
    if (!inst.fn)
        return tw_fail(b->ctx, TW_ERR_UNSUPPORTED, "%s of %s values has no kernel", tw_op_table[node->op].name,
                       tw_dtype_name((tw_dtype)tw_at_id(b, tw_node_args(b->g, node)[count - 1])->dtype));
    inst.dst = (tw_tile_operand){.slot = -1, .place = -1, .size = (uint8_t)tw_dtype_size((tw_dtype)node->dtype)};
    if (b->value[id].stored)
        inst.dst.place = new_place(c, tw_place_in(b, c->region, id, c->region->rows == 1));
    else
        inst.dst.slot = c->registers++;
    for (int k = 0; k < 3; k++)
        if (inst.arg[k].slot < 0 && inst.arg[k].place < 0) return tw_fail_memory(b->ctx, sizeof inst);
    if (inst.dst.slot < 0 && inst.dst.place < 0) return tw_fail_memory(b->ctx, sizeof inst);
    tw_status status = tw_grow(b->ctx, &p->tiles, &b->tiles_capacity, p->tiles_count + 1, sizeof *p->tiles);
    if (status != TW_OK) return status;
    p->tiles[p->tiles_count++] = inst;
    c->result[id] = inst.dst;
    return TW_OK;
}

static tw_status emit_line(codegen *c, int32_t id)
{
    tw_build *b = c->b;
    tw_program *p = b->p;
    const tw_node *node = tw_at_id(b, id);
    bool sums = node->op == TW_OP_sum;
    tw_tile_inst inst = {.node = id, .reduce = (sums ? p->cpu->sum_inner : p->cpu->max_inner)[node->dtype]};
    for (int k = 0; k < 3; k++) inst.arg[k] = c->result[tw_view_of(b, id, 0).source];
    inst.dst = (tw_tile_operand){.slot = -1, .size = (uint8_t)tw_dtype_size((tw_dtype)node->dtype)};
    inst.dst.place = new_place(c, tw_place_in(b, c->region, id, c->region->rows == 1));
    if (inst.dst.place < 0) return tw_fail_memory(b->ctx, sizeof inst);
    tw_status status = tw_grow(b->ctx, &p->tiles, &b->tiles_capacity, p->tiles_count + 1, sizeof *p->tiles);
    if (status == TW_OK) p->tiles[p->tiles_count++] = inst;
    return status;
}

/* Virtual registers to slots: steady loads keep theirs, others are reused last freed first. Returns slots needed, -1 on
 * failure. */
static int32_t assign_slots(codegen *c)
{
    tw_program *p = c->b->p;
    int32_t n = c->registers, used = 0, spare = 0, total = p->tiles_count - c->first;
    int32_t *last = tw_alloc(c->b->ctx, (size_t)n + 1, sizeof *last),
            *slot = tw_alloc(c->b->ctx, (size_t)n + 1, sizeof *slot);
    int32_t *stack = tw_alloc(c->b->ctx, (size_t)n + 1, sizeof *stack);
    if (!last || !slot || !stack) {
        used = -1;
        goto done;
    }
    for (int32_t r = 0; r < n; r++) last[r] = slot[r] = -1;
    for (int32_t i = 0; i < total; i++)
        for (int k = 0; k < 3; k++)
            if (p->tiles[c->first + i].arg[k].slot >= 0) last[p->tiles[c->first + i].arg[k].slot] = i;
    for (int32_t i = c->loads_first; i < p->loads_count; i++) {
        if (p->loads[i].steady) last[p->loads[i].slot] = INT32_MAX;
        slot[p->loads[i].slot] = used;
        p->loads[i].slot = used++;
    }
    for (int32_t i = 0; i < total; i++) {
        tw_tile_inst *inst = &p->tiles[c->first + i];
        int32_t later[3];
        int count = 0;
        for (int k = 0; k < 3; k++) {
            int32_t r = inst->arg[k].slot;
            if (r < 0) continue;
            if (last[r] == i) {
                last[r] = -2; /* freed once; elements of another size may not be overwritten while they are read */
                if (inst->arg[k].size == inst->dst.size)
                    stack[spare++] = slot[r];
                else
                    later[count++] = slot[r];
            }
            inst->arg[k].slot = slot[r];
        }
        if (inst->dst.slot >= 0) {
            int32_t r = inst->dst.slot;
            slot[r] = spare > 0 ? stack[--spare] : used++;
            inst->dst.slot = slot[r];
            if (last[r] < 0) stack[spare++] = slot[r];
        }
        for (int k = 0; k < count; k++) stack[spare++] = later[k];
    }
done:
    tw_free(c->b->ctx, last);
    tw_free(c->b->ctx, slot);
    tw_free(c->b->ctx, stack);
    return used;
}

tw_status tw_emit_tile(tw_build *b, tw_region *region, int32_t count, int32_t reductions, const int32_t *nodes)
{
    tw_status status = TW_OK;
    tw_program *p = b->p;
    int32_t number = p->insts_count - 1;
    codegen c = {.b = b,
                 .region = region,
                 .count = count,
                 .nodes = nodes,
                 .first = p->tiles_count,
                 .loads_first = p->loads_count};
    c.absorbed = tw_alloc(b->ctx, (size_t)b->n, sizeof *c.absorbed);
    c.result = tw_alloc(b->ctx, (size_t)b->n, sizeof *c.result);
    if (!c.absorbed || !c.result) TW_TRY(tw_fail_memory(b->ctx, (size_t)b->n * sizeof *c.result));
    absorb_products(&c);
    for (int32_t i = 0; i < count; i++) absorb_silu(&c, nodes[i]);
    for (int32_t i = 0; i < count; i++)
        if (!c.absorbed[nodes[i]]) TW_TRY(emit_code(&c, nodes[i]));
    for (int32_t i = count; i < count + reductions; i++) TW_TRY(emit_line(&c, nodes[i]));
    tw_inst *inst = &p->insts[number];
    inst->line = reductions > 0 ? tw_line_of(b, nodes[count]) : 1;
    inst->tile_begin = c.first;
    inst->tile_count = p->tiles_count - c.first;
    inst->load_begin = c.loads_first;
    inst->load_count = p->loads_count - c.loads_first;
    inst->slots = assign_slots(&c);
    if (inst->slots < 0) TW_TRY(tw_fail_memory(b->ctx, 0));
    int64_t bytes = (int64_t)inst->slots * TW_TILE * (int64_t)sizeof(double);
    if (bytes > p->register_bytes) p->register_bytes = bytes;
done:
    tw_free(b->ctx, c.absorbed);
    tw_free(b->ctx, c.result);
    return status;
}
