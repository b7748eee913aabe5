/* exec/run.c - running a program: stage by stage, items of work (chunks of blocks) taken by the pool's threads, sums
 * over rows added in chunk order afterwards. Nothing is allocated here. */
#include "base/pool.h"
#include "exec/program.h"

#include <string.h>

struct tw_state {
    tw_program *program;
    int threads;
    bool pooled;
    unsigned char *global;
    unsigned char *scratch; /* one slice a thread: locals, registers, product workspace, resolved places */
    size_t slice;
    size_t registers_at, workspace_at, pointers_at;
};

typedef struct run {
    const tw_program *p;
    tw_state *state;
    const void *const *in;
    void *const *out;
    int64_t rows;
    int32_t first, count; /* regions of the stage */
} run;

/* A block being worked on. */
typedef struct block {
    const run *r;
    const tw_region *region;
    int64_t row, rows, chunk;
    bool first; /* of its chunk: sums start here */
    unsigned char *local, *registers;
    void *workspace;
    unsigned char **pointer;
} block;

static size_t aligned(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static void layout(const tw_program *p, tw_state *s)
{
    s->registers_at = aligned((size_t)p->local_bytes);
    s->workspace_at = s->registers_at + aligned((size_t)p->register_bytes);
    s->pointers_at = s->workspace_at + aligned(p->gemm->workspace);
    s->slice = s->pointers_at + aligned((size_t)p->places_count * sizeof(void *)) + 64;
}

size_t tw_program_bytes(const tw_program *program, int threads)
{
    tw_state s = {0};
    layout(program, &s);
    return (size_t)program->global_bytes + s.slice * (size_t)(threads < 1 ? 1 : threads);
}

tw_status tw_state_create(tw_program *program, int threads, tw_state **out_state)
{
    tw_context *ctx = program->ctx;
    tw_status status = TW_OK;
    if (threads < 0 || threads > 1)
        return tw_fail(ctx, TW_ERR_INVALID, "a state works with 0 (the pool) or 1 thread, not %d", threads);
    tw_state *s = tw_alloc(ctx, 1, sizeof *s);
    if (!s) return tw_fail_memory(ctx, sizeof *s);
    s->program = program;
    s->pooled = threads == 0;
    s->threads = s->pooled ? tw_context_threads(ctx) : 1;
    layout(program, s);
    s->global = tw_alloc_aligned(ctx, (size_t)program->global_bytes + 64);
    s->scratch = tw_alloc_aligned(ctx, s->slice * (size_t)s->threads);
    if (!s->global || !s->scratch) TW_TRY(tw_fail_memory(ctx, tw_program_bytes(program, s->threads)));
    *out_state = s;
    s = NULL;
done:
    tw_state_destroy(s);
    return status;
}

void tw_state_destroy(tw_state *state)
{
    if (!state) return;
    tw_context *ctx = state->program->ctx;
    tw_free_aligned(ctx, state->global);
    tw_free_aligned(ctx, state->scratch);
    tw_free(ctx, state);
}

void tw_state_poison(tw_state *state)
{
    memset(state->global, 0xff, (size_t)state->program->global_bytes);
    for (int t = 0; t < state->threads; t++)
        memset(state->scratch + (size_t)t * state->slice, 0xff, state->pointers_at);
}

static unsigned char *resolve(const run *r, unsigned char *local, const tw_place *place, int64_t row, int64_t chunk)
{
    int64_t at = place->offset + row * place->row_bytes;
    switch (place->home) {
    case TW_HOME_INPUT:
        return (unsigned char *)(uintptr_t)r->in[place->index] + at;
    case TW_HOME_OUTPUT:
        return (unsigned char *)r->out[place->index] + at;
    case TW_HOME_CONST:
        return r->p->graph->data + place->offset;
    case TW_HOME_GLOBAL:
        return r->state->global + at;
    case TW_HOME_LOCAL:
        return local + place->offset;
    case TW_HOME_PARTIAL:
        return r->state->global + place->offset + chunk * place->chunk_bytes;
    case TW_HOME_NONE:
        break;
    }
    return NULL;
}

static void *at(const block *b, const tw_place *place)
{
    return resolve(b->r, b->local, place, b->row, b->chunk);
}

static void fill(void *dst, const void *value, int64_t n, size_t size)
{
    if (size == 4) {
        uint32_t v, *d = dst;
        memcpy(&v, value, 4);
        for (int64_t i = 0; i < n; i++) d[i] = v;
    } else if (size == 8) {
        uint64_t v, *d = dst;
        memcpy(&v, value, 8);
        for (int64_t i = 0; i < n; i++) d[i] = v;
    } else {
        memset(dst, *(const unsigned char *)value, (size_t)n);
    }
}

/* dst[i] = src[index map of element begin + i]: runs of the innermost axis, outer axes counted up. */
static void stretch(unsigned char *dst, const unsigned char *src, const tw_stretch *s, int64_t begin, int64_t n,
                    size_t size)
{
    int64_t digit[TW_MAX_RANK] = {0}, rest = begin, offset = 0;
    int inner = s->rank - 1;
    for (int i = inner; i > 0; i--) {
        digit[i] = rest % s->dim[i];
        rest /= s->dim[i];
    }
    digit[0] = rest;
    for (int i = 0; i <= inner; i++) offset += digit[i] * s->stride[i];
    int64_t length = inner > 0 ? s->dim[inner] : INT64_MAX;
    while (n > 0) {
        int64_t run_length = tw_min_i64(length - digit[inner], n);
        if (s->stride[inner] == 0)
            fill(dst, src + (size_t)offset * size, run_length, size);
        else
            memcpy(dst, src + (size_t)offset * size, (size_t)run_length * size);
        dst += (size_t)run_length * size;
        n -= run_length;
        if (n == 0) break;
        offset -= digit[inner] * s->stride[inner];
        digit[inner] = 0;
        for (int i = inner - 1; i >= 0; i--) {
            digit[i]++;
            offset += s->stride[i];
            if (i == 0 || digit[i] < s->dim[i]) break;
            offset -= digit[i] * s->stride[i];
            digit[i] = 0;
        }
    }
}

static void run_tile(const block *b, const tw_inst *inst)
{
    const tw_program *p = b->r->p;
    enum { SLOT = TW_TILE * (int)sizeof(double) };
    int64_t total = b->rows * inst->per_row;
    for (int32_t t = 0; t < inst->tile_count; t++) {
        const tw_tile_inst *tile = &p->tiles[inst->tile_begin + t];
        if (tile->dst.place >= 0) b->pointer[tile->dst.place] = at(b, &p->places[tile->dst.place]);
        for (int k = 0; k < 3; k++)
            if (tile->arg[k].place >= 0) b->pointer[tile->arg[k].place] = at(b, &p->places[tile->arg[k].place]);
    }
    for (int32_t l = 0; l < inst->load_count; l++) {
        const tw_tile_load *load = &p->loads[inst->load_begin + l];
        b->pointer[load->place] = at(b, &p->places[load->place]);
        if (load->scalar)
            fill(b->registers + (size_t)load->slot * SLOT, b->pointer[load->place], tw_min_i64(total, TW_TILE),
                 load->size);
    }
    for (int64_t e = 0; e < total; e += TW_TILE) {
        int64_t n = tw_min_i64(total - e, TW_TILE);
        for (int32_t l = 0; l < inst->load_count; l++) {
            const tw_tile_load *load = &p->loads[inst->load_begin + l];
            if (!load->scalar)
                stretch(b->registers + (size_t)load->slot * SLOT, b->pointer[load->place], &load->stretch, e, n,
                        load->size);
        }
        for (int32_t t = 0; t < inst->tile_count; t++) {
            const tw_tile_inst *tile = &p->tiles[inst->tile_begin + t];
            const unsigned char *arg[3];
            for (int k = 0; k < 3; k++)
                arg[k] = tile->arg[k].slot >= 0 ? b->registers + (size_t)tile->arg[k].slot * SLOT
                                                : b->pointer[tile->arg[k].place] + (size_t)e * tile->arg[k].size;
            unsigned char *dst = tile->dst.slot >= 0 ? b->registers + (size_t)tile->dst.slot * SLOT
                                                     : b->pointer[tile->dst.place] + (size_t)e * tile->dst.size;
            tile->fn(dst, arg[0], arg[1], arg[2], n);
        }
    }
}

static void gemm(const block *b, const tw_inst *inst, int64_t m, int64_t k, const void *x, const void *y,
                 bool accumulate, void *c)
{
    const tw_gemm *g = b->r->p->gemm;
    int64_t lda = inst->ta ? m : k, ldb = inst->tb ? k : inst->n;
    if (m == 0 || inst->n == 0) return;
    if (inst->dtype == TW_DTYPE_F32)
        g->f32(inst->ta, inst->tb, m, inst->n, k, x, lda, y, ldb, accumulate, c, inst->n, b->workspace);
    else
        g->f64(inst->ta, inst->tb, m, inst->n, k, x, lda, y, ldb, accumulate, c, inst->n, b->workspace);
}

static void run_gemm(const block *b, const tw_inst *inst)
{
    const unsigned char *x = at(b, &inst->arg[0]), *y = at(b, &inst->arg[1]);
    unsigned char *c = at(b, &inst->dst);
    size_t size = tw_dtype_size((tw_dtype)inst->dtype);
    if (inst->kind == TW_INST_GEMM) {
        gemm(b, inst, inst->m * b->rows, inst->k, x, y, false, c);
    } else if (inst->kind == TW_INST_GEMM_SUM) {
        /* A is stored (rows*k, m): its leading dimension is m whatever the number of rows */
        gemm(b, inst, inst->m, inst->k * b->rows, x, y, !b->first, c);
    } else {
        for (int64_t i = 0; i < inst->batch * b->rows; i++)
            gemm(b, inst, inst->m, inst->k, x + (size_t)(i * inst->m * inst->k) * size,
                 y + (size_t)(i * inst->k * inst->n) * size, false, c + (size_t)(i * inst->m * inst->n) * size);
    }
}

static void run_reduction(const block *b, const tw_inst *inst)
{
    const tw_cpu *cpu = b->r->p->cpu;
    int wide = inst->dtype == TW_DTYPE_F64;
    size_t size = tw_dtype_size((tw_dtype)inst->dtype);
    const unsigned char *x = at(b, &inst->arg[0]);
    unsigned char *out = at(b, &inst->dst);
    int64_t outer = inst->m * b->rows, step = inst->k * inst->n;
    switch (inst->kind) {
    case TW_INST_SUM_INNER:
        cpu->sum_inner[wide](x, outer, inst->k, out);
        break;
    case TW_INST_MAX_INNER:
        cpu->max_inner[wide](x, outer, inst->k, out);
        break;
    case TW_INST_SUM_OUTER:
    case TW_INST_MAX_OUTER:
        for (int64_t i = 0; i < outer; i++) {
            void *to = out + (size_t)(i * inst->n) * size;
            if (inst->kind == TW_INST_SUM_OUTER)
                cpu->sum_outer[wide](x + (size_t)(i * step) * size, inst->k, inst->n, false, to);
            else
                cpu->max_outer[wide](x + (size_t)(i * step) * size, inst->k, inst->n, to);
        }
        break;
    case TW_INST_SUM_ROWS:
        if (inst->n == 1) {
            double sum, before = 0.0; /* room for either type */
            cpu->sum_inner[wide](x, 1, inst->k * b->rows, &sum);
            if (!b->first) memcpy(&before, out, size);
            cpu->tile[TW_TILE_ADD][inst->dtype](out, &before, &sum, &sum, 1);
        } else {
            cpu->sum_outer[wide](x, inst->k * b->rows, inst->n, !b->first, out);
        }
        break;
    case TW_INST_CUMSUM:
        for (int64_t i = 0; i < outer; i++)
            cpu->cumsum_outer[wide](x + (size_t)(i * step) * size, inst->k, inst->n, out + (size_t)(i * step) * size);
        break;
    default:
        break;
    }
}

/* First of the largest along the middle axis. */
static void run_argmax(const block *b, const tw_inst *inst)
{
    const unsigned char *x = at(b, &inst->arg[0]);
    int32_t *out = at(b, &inst->dst);
    int64_t outer = inst->m * b->rows;
    bool wide = inst->dtype == TW_DTYPE_F64;
    if (inst->n == 1) {
        b->r->p->cpu->argmax_inner[wide](x, outer, inst->k, out);
        return;
    }
    for (int64_t i = 0; i < outer; i++)
        for (int64_t j = 0; j < inst->n; j++) {
            int64_t best = 0, base = i * inst->k * inst->n + j;
            for (int64_t k = 1; k < inst->k; k++) {
                int64_t here = base + k * inst->n, there = base + best * inst->n;
                bool more = wide ? ((const double *)x)[here] > ((const double *)x)[there]
                                 : ((const float *)x)[here] > ((const float *)x)[there];
                if (more) best = k;
            }
            out[i * inst->n + j] = (int32_t)best;
        }
}

static void run_rearrange(const block *b, const tw_inst *inst)
{
    unsigned char *out = at(b, &inst->dst);
    size_t size = tw_dtype_size((tw_dtype)inst->dtype);
    if (inst->kind == TW_INST_FILL) {
        double value;
        tw_store_element(&value, (tw_dtype)inst->dtype, 0, inst->value);
        fill(out, &value, b->rows * inst->per_row, size);
        return;
    }
    int64_t dim[TW_MAX_RANK];
    memcpy(dim, inst->dim, sizeof dim);
    dim[0] *= b->rows;
    tw_cpu_copy(size, inst->rank, dim, (unsigned char *)at(b, &inst->arg[0]) + inst->src_offset * (int64_t)size,
                inst->src_stride, out + inst->dst_offset * (int64_t)size, inst->dst_stride);
}

static void run_iota(const block *b, const tw_inst *inst)
{
    void *out = at(b, &inst->dst);
    int64_t begin = b->row * inst->per_row, count = b->rows * inst->per_row;
    for (int64_t i = 0; i < count; i++)
        tw_store_element(out, (tw_dtype)inst->dtype, i, (double)((begin + i) / inst->n % inst->k));
}

/* Row numbers are clamped into the table. */
static int64_t clamp_index(const void *index, int64_t i, int64_t rows)
{
    int64_t v = ((const int32_t *)index)[i];
    return v < 0 ? 0 : v >= rows ? rows - 1 : v;
}

static void run_take(const block *b, const tw_inst *inst)
{
    const unsigned char *table = at(b, &inst->arg[0]);
    const void *index = at(b, &inst->arg[1]);
    unsigned char *out = at(b, &inst->dst);
    size_t bytes = (size_t)inst->n * tw_dtype_size((tw_dtype)inst->dtype);
    for (int64_t i = 0; i < b->rows * inst->k; i++)
        memcpy(out + (size_t)i * bytes, table + (size_t)clamp_index(index, i, inst->m) * bytes, bytes);
}

static void run_scatter(const block *b, const tw_inst *inst)
{
    const void *rows = at(b, &inst->arg[0]), *index = at(b, &inst->arg[1]);
    void *out = at(b, &inst->dst);
    memset(out, 0, (size_t)(inst->m * inst->n) * tw_dtype_size((tw_dtype)inst->dtype));
    for (int64_t i = 0; i < inst->k; i++) {
        int64_t to = clamp_index(index, i, inst->m) * inst->n;
        for (int64_t j = 0; j < inst->n; j++) {
            if (inst->dtype == TW_DTYPE_F32)
                ((float *)out)[to + j] += ((const float *)rows)[i * inst->n + j];
            else
                ((double *)out)[to + j] += ((const double *)rows)[i * inst->n + j];
        }
    }
}

static void run_random(const block *b, const tw_inst *inst)
{
    b->r->p->cpu->philox(at(b, &inst->arg[0]), at(b, &inst->arg[1]), inst->stream, b->row * inst->per_row,
                         b->rows * inst->per_row, at(b, &inst->dst));
}

static void run_block(const block *b)
{
    const tw_program *p = b->r->p;
    for (int32_t i = 0; i < b->region->inst_count; i++) {
        const tw_inst *inst = &p->insts[b->region->inst_begin + i];
        switch (inst->kind) {
        case TW_INST_TILE:
            run_tile(b, inst);
            break;
        case TW_INST_GEMM:
        case TW_INST_GEMM_SUM:
        case TW_INST_GEMM_BATCH:
            run_gemm(b, inst);
            break;
        case TW_INST_ARGMAX:
            run_argmax(b, inst);
            break;
        case TW_INST_COPY:
        case TW_INST_FILL:
            run_rearrange(b, inst);
            break;
        case TW_INST_IOTA:
            run_iota(b, inst);
            break;
        case TW_INST_RANDOM:
            run_random(b, inst);
            break;
        case TW_INST_TAKE:
            run_take(b, inst);
            break;
        case TW_INST_SCATTER:
            run_scatter(b, inst);
            break;
        default:
            run_reduction(b, inst);
            break;
        }
    }
}

static int64_t active_rows(const run *r, const tw_region *region)
{
    return region->batch ? tw_min_i64(r->rows, region->rows) : region->rows;
}

static int64_t active_chunks(const run *r, const tw_region *region)
{
    int64_t rows_a_chunk = region->block_rows * region->blocks_per_chunk;
    return (active_rows(r, region) + rows_a_chunk - 1) / rows_a_chunk;
}

static void run_item(void *user, int64_t item, int thread)
{
    const run *r = user;
    const tw_region *region = &r->p->regions[r->first];
    for (;; region++) {
        int64_t items = active_chunks(r, region);
        if (item < items) break;
        item -= items;
    }
    r->p->gemm->enter_thread();
    unsigned char *slice = r->state->scratch + (size_t)(r->state->threads > 1 ? thread : 0) * r->state->slice;
    block b = {.r = r,
               .region = region,
               .chunk = item,
               .local = slice,
               .registers = slice + r->state->registers_at,
               .workspace = slice + r->state->workspace_at,
               .pointer = (unsigned char **)(void *)(slice + r->state->pointers_at)};
    int64_t rows = active_rows(r, region), step = region->block_rows;
    int64_t begin = item * region->blocks_per_chunk * step,
            end = tw_min_i64(begin + region->blocks_per_chunk * step, rows);
    for (b.row = begin; b.row < end; b.row += step) {
        b.rows = tw_min_i64(step, end - b.row);
        b.first = b.row == begin;
        run_block(&b);
    }
}

enum { COMBINE = 8192 }; /* elements of one piece of adding up */

/* Adds up piece `item` of the sums of a stage, chunk after chunk. */
static void combine_item(void *user, int64_t item, int thread)
{
    const run *r = user;
    (void)thread;
    const tw_combine *c = r->p->combines;
    for (;; c++) {
        if (c->region < r->first || c->region >= r->first + r->count) continue;
        int64_t items = (c->elements + COMBINE - 1) / COMBINE;
        if (item < items) break;
        item -= items;
    }
    int64_t chunks = active_chunks(r, &r->p->regions[c->region]), begin = item * COMBINE;
    int64_t n = tw_min_i64(COMBINE, c->elements - begin);
    size_t size = tw_dtype_size((tw_dtype)c->dtype), skip = (size_t)begin * size;
    unsigned char *out = resolve(r, NULL, &c->dst, 0, 0) + skip;
    if (chunks == 0) memset(out, 0, (size_t)n * size);
    for (int64_t k = 0; k < chunks; k++) {
        const unsigned char *part = resolve(r, NULL, &c->src, 0, k) + skip;
        if (k == 0)
            memcpy(out, part, (size_t)n * size);
        else
            r->p->cpu->tile[TW_TILE_ADD][c->dtype](out, out, part, out, n);
    }
}

static void finish(const run *r)
{
    for (int32_t i = 0; i < r->p->finals_count; i++) {
        const tw_final_copy *f = &r->p->finals[i];
        void *dst = r->out[f->dst.index];
        const void *src = resolve(r, NULL, &f->src, 0, 0);
        int64_t bytes = f->dst.row_bytes ? f->dst.row_bytes * r->rows : f->bytes;
        if (dst != src && bytes > 0) memmove(dst, src, (size_t)bytes);
    }
}

/* Below so many flops waking other threads costs more than it saves. */
static const double WORTH_WAKING = 40000.0;

tw_status tw_program_run(tw_state *state, const void *const *inputs, void *const *outputs, int64_t rows)
{
    const tw_program *p = state->program;
    if (rows <= 0 || p->rows == 0) rows = p->rows;
    if (rows > p->rows) return TW_ERR_SHAPE;
    run r = {.p = p, .state = state, .in = inputs, .out = outputs, .rows = rows};
    for (int32_t i = 0; i < p->regions_count;) {
        int64_t items = 0, pieces = 0;
        double work = 0.0;
        r.first = i;
        for (; i < p->regions_count && p->regions[i].stage == p->regions[r.first].stage; i++) {
            items += active_chunks(&r, &p->regions[i]);
            work += p->regions[i].work;
        }
        r.count = i - r.first;
        tw_pool *pool = state->pooled ? p->ctx->pool : NULL;
        tw_pool_run(work > WORTH_WAKING ? pool : NULL, items, run_item, &r);
        int64_t elements = 0;
        for (int32_t c = 0; c < p->combines_count; c++) {
            if (p->combines[c].region < r.first || p->combines[c].region >= i) continue;
            pieces += (p->combines[c].elements + COMBINE - 1) / COMBINE;
            elements += p->combines[c].elements;
        }
        if (pieces > 0) tw_pool_run(elements > 2 * COMBINE ? pool : NULL, pieces, combine_item, &r);
    }
    finish(&r);
    return TW_OK;
}
