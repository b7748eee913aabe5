/* exec/run.c - running a program: stage by stage, items of work (chunks of blocks) taken by the pool's threads, sums
 * over rows added in chunk order afterwards. Nothing is allocated here. */
#include "base/pool.h"
#include "exec/inst.h"
#include "exec/profile.h"

struct tw_state {
    tw_program *program;
    int threads;
    bool pooled, packed;   /* packed: constant operands of products are */
    bool owner;            /* of the memory: not the state of a child */
    unsigned char *memory; /* global arena, scratch, work memory of loops, memory of children, one behind another */
    size_t bytes;
    unsigned char *global;
    unsigned char *scratch; /* one slice a thread: locals, registers, memory of instructions, resolved places */
    size_t slice;
    size_t registers_at, scratch_at, pointers_at;
    unsigned char *control;
    tw_state **children; /* one runs at a time: all have the same memory */
};

typedef struct run {
    const tw_program *p;
    tw_state *state;
    const void *const *in;
    void *const *out;
    int64_t rows;
    int32_t first, count; /* regions of the stage */
} run;

static void layout(const tw_program *p, tw_state *s)
{
    s->registers_at = (size_t)tw_aligned(p->local_bytes);
    s->scratch_at = s->registers_at + (size_t)tw_aligned(p->register_bytes);
    s->pointers_at = s->scratch_at + (size_t)tw_aligned(p->scratch_bytes);
    s->slice = s->pointers_at + (size_t)tw_aligned(p->places_count * (int64_t)sizeof(void *)) + 64;
}

/* Bytes of a state before those of its children. */
static size_t own_bytes(const tw_program *p, int threads, tw_state *out_layout)
{
    layout(p, out_layout);
    return (size_t)tw_aligned(p->global_bytes + 64) + out_layout->slice * (size_t)threads +
           (size_t)tw_aligned(p->control_bytes);
}

size_t tw_program_bytes(const tw_program *program, int threads)
{
    tw_state s = {0};
    size_t children = 0;
    if (threads < 1) threads = 1;
    for (int32_t i = 0; i < program->children_count; i++) {
        size_t child = tw_program_bytes(program->children[i], threads);
        if (child > children) children = child;
    }
    return own_bytes(program, threads, &s) + children;
}

/* `memory` NULL: the state brings its own. */
static tw_status create(tw_program *program, bool pooled, int threads, unsigned char *memory, tw_state **out_state)
{
    tw_context *ctx = program->ctx;
    tw_status status = TW_OK;
    tw_state *s = tw_alloc(ctx, 1, sizeof *s);
    if (!s) return tw_fail_memory(ctx, sizeof *s);
    s->program = program;
    s->pooled = pooled;
    s->threads = threads;
    s->owner = !memory;
    s->bytes = tw_program_bytes(program, threads);
    size_t own = own_bytes(program, threads, s);
    s->children = tw_alloc(ctx, (size_t)program->children_count, sizeof(tw_state *));
    s->memory = memory ? memory : tw_alloc_aligned(ctx, s->bytes);
    if (!s->children || !s->memory) TW_TRY(tw_fail_memory(ctx, s->bytes));
    s->global = s->memory;
    s->scratch = s->global + (size_t)tw_aligned(program->global_bytes + 64);
    s->control = s->scratch + s->slice * (size_t)threads;
    for (int32_t i = 0; i < program->children_count; i++)
        TW_TRY(create(program->children[i], pooled, threads, s->memory + own, &s->children[i]));
    *out_state = s;
    s = NULL;
done:
    tw_state_destroy(s);
    return status;
}

tw_status tw_state_create(tw_program *program, int threads, tw_state **out_state)
{
    if (threads < 0 || threads > 1)
        return tw_fail(program->ctx, TW_ERR_INVALID, "a state works with 0 (the pool) or 1 thread, not %d", threads);
    bool pooled = threads == 0;
    return create(program, pooled, pooled ? tw_context_threads(program->ctx) : 1, NULL, out_state);
}

void tw_state_destroy(tw_state *state)
{
    if (!state) return;
    tw_context *ctx = state->program->ctx;
    for (int32_t i = 0; state->children && i < state->program->children_count; i++)
        tw_state_destroy(state->children[i]);
    tw_free(ctx, state->children);
    if (state->owner) tw_free_aligned(ctx, state->memory);
    tw_free(ctx, state);
}

void tw_state_forget(tw_state *state)
{
    state->packed = false;
}

void tw_state_poison(tw_state *state)
{
    memset(state->memory, 0xff, state->bytes);
    tw_state_forget(state);
}

void *tw_block_at(const tw_block *b, const tw_place *place)
{
    int64_t at = place->offset + place->skip + b->row * place->row_bytes;
    switch (place->home) {
    case TW_HOME_INPUT:
        return (unsigned char *)(uintptr_t)b->in[place->index] + at;
    case TW_HOME_OUTPUT:
        return (unsigned char *)b->out[place->index] + at;
    case TW_HOME_CONST:
        return b->p->graph->data + at;
    case TW_HOME_GLOBAL:
        return b->global + at;
    case TW_HOME_LOCAL:
        return b->local + place->offset + place->skip;
    case TW_HOME_BLOCK:
        return b->local + place->offset + place->skip + (b->row - b->block_row) * place->row_bytes;
    case TW_HOME_PACKED:
        return b->global + b->p->prepacks[place->index].offset;
    case TW_HOME_PARTIAL:
        return b->global + place->offset + b->chunk * place->chunk_bytes;
    case TW_HOME_NONE:
        break;
    }
    return NULL;
}

/* What is the same for every block of a run. */
static tw_block whole(const run *r)
{
    return (tw_block){.p = r->p,
                      .in = r->in,
                      .out = r->out,
                      .global = r->state->global,
                      .children = r->state->children,
                      .control = r->state->control};
}

static int64_t active_rows(const run *r, const tw_region *region)
{
    return region->batch ? tw_min_i64(r->rows, region->rows) : region->rows;
}

static int64_t active_chunks(const run *r, const tw_region *region)
{
    if (region->alone) return 0;
    return (active_rows(r, region) + region->chunk_rows - 1) / region->chunk_rows;
}

/* Instructions [from, to) of the region on what `b` describes. */
static void run_insts(const tw_block *b, int32_t from, int32_t to)
{
    const tw_inst *inst = &b->p->insts[b->region->inst_begin];
    if (!b->p->profile) {
        for (int32_t i = from; i < to; i++) inst[i].kind->run(b, &inst[i]);
        return;
    }
    tw_counter *counter = &b->p->profile->counter[b->region->inst_begin];
    for (int32_t i = from; i < to; i++) {
        int64_t start = tw_profile_now();
        inst[i].kind->run(b, &inst[i]);
        tw_profile_add(&counter[i], start, b->rows);
    }
}

/* Rows [begin, end), strip by strip, then what sums over them. */
static void run_block(tw_block *b, int64_t begin, int64_t end, bool first)
{
    int32_t early = b->region->inst_count - b->region->late;
    b->block_row = begin;
    for (b->row = begin; b->row < end; b->row += b->region->strip_rows) {
        b->rows = tw_min_i64(b->region->strip_rows, end - b->row);
        b->first = first && b->row == begin;
        run_insts(b, 0, early);
    }
    b->row = begin;
    b->rows = end - begin;
    b->first = first;
    run_insts(b, early, b->region->inst_count);
}

static void run_chunk(const run *r, const tw_region *region, int64_t item, int thread)
{
    r->p->gemm->enter_thread();
    unsigned char *slice = r->state->scratch + (size_t)(r->state->threads > 1 ? thread : 0) * r->state->slice;
    tw_block b = whole(r);
    b.region = region;
    b.chunk = item;
    b.local = slice;
    b.registers = slice + r->state->registers_at;
    b.scratch = slice + r->state->scratch_at;
    b.pointer = (unsigned char **)(void *)(slice + r->state->pointers_at);
    int64_t rows = active_rows(r, region), step = region->block_rows;
    int64_t begin = item * region->chunk_rows, end = tw_min_i64(begin + region->chunk_rows, rows);
    for (int64_t row = begin; row < end; row += step) run_block(&b, row, tw_min_i64(row + step, end), row == begin);
}

enum { PACK_ROWS = 2 * TW_PACK_ROWS }; /* of one piece of packing */

static int64_t pack_pieces(const tw_prepack *q)
{
    return q->conv ? 1 : ((q->tb ? q->n : q->k) + PACK_ROWS - 1) / PACK_ROWS;
}

/* Is operand q packed now? A constant one is, once. */
static bool packs_now(const run *r, const tw_prepack *q)
{
    return q->stage == r->p->regions[r->first].stage && !(q->constant && r->state->packed);
}

enum { PACKED_ALONE = 1 << 18 }; /* bytes the calling thread packs sooner than others wake */

static void pack_piece(const run *r, int64_t item)
{
    const tw_prepack *q = r->p->prepacks;
    for (;; q++) {
        if (!packs_now(r, q)) continue;
        if (item < pack_pieces(q)) break;
        item -= pack_pieces(q);
    }
    tw_block b = whole(r);
    if (q->conv) {
        q->conv->prepare(q->conv, tw_block_at(&b, &q->src), b.global + q->offset);
        return;
    }
    q->product->pack(q->tb, q->n, q->k, tw_block_at(&b, &q->src), q->tb ? q->k : q->n, b.global + q->offset,
                     item * PACK_ROWS, (item + 1) * PACK_ROWS);
}

static void pack_item(void *user, int64_t item, int thread)
{
    const run *r = user;
    (void)thread;
    int64_t start = r->p->profile ? tw_profile_now() : 0;
    pack_piece(r, item);
    if (r->p->profile) tw_profile_add(&r->p->profile->counter[r->p->insts_count + TW_PROFILE_PACK], start, 0);
}

/* Operands of this stage's products and convolutions. */
static void pack_operands(const run *r, tw_pool *pool)
{
    int64_t pieces = 0, bytes = 0;
    for (int32_t i = 0; i < r->p->prepacks_count; i++) {
        const tw_prepack *q = &r->p->prepacks[i];
        if (!packs_now(r, q)) continue;
        pieces += pack_pieces(q);
        bytes += q->bytes;
    }
    if (pieces > 0) tw_pool_run(bytes > PACKED_ALONE ? pool : NULL, pieces, pack_item, (void *)(uintptr_t)r);
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
    run_chunk(r, region, item, thread);
}

enum { COMBINE = 8192 }; /* elements of one piece of adding up */

/* Adds up piece `item` of the sums of a stage, chunk after chunk. */
static void combine_piece(const run *r, int64_t item)
{
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
    tw_block b = whole(r);
    unsigned char *out = (unsigned char *)tw_block_at(&b, &c->dst) + skip;
    if (chunks == 0) memset(out, 0, (size_t)n * size);
    for (int64_t k = 0; k < chunks; k++) {
        b.chunk = k;
        const unsigned char *part = (unsigned char *)tw_block_at(&b, &c->src) + skip;
        if (k == 0)
            memcpy(out, part, (size_t)n * size);
        else
            r->p->cpu->tile[TW_TILE_ADD][c->dtype](out, out, part, out, n);
    }
}

static void combine_item(void *user, int64_t item, int thread)
{
    const run *r = user;
    (void)thread;
    int64_t start = r->p->profile ? tw_profile_now() : 0;
    combine_piece(r, item);
    if (r->p->profile) tw_profile_add(&r->p->profile->counter[r->p->insts_count + TW_PROFILE_COMBINE], start, 0);
}

static void finish(const run *r)
{
    const tw_block b = whole(r);
    for (int32_t i = 0; i < r->p->finals_count; i++) {
        const tw_final_copy *f = &r->p->finals[i];
        void *dst = r->out[f->dst.index];
        const void *src = tw_block_at(&b, &f->src);
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
    int64_t start = p->profile ? tw_profile_now() : 0;
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
        pack_operands(&r, pool);
        if (items > 0) tw_pool_run(work > WORTH_WAKING ? pool : NULL, items, run_item, &r);
        for (int32_t k = r.first; k < i; k++)
            if (p->regions[k].alone) run_chunk(&r, &p->regions[k], 0, 0);
        int64_t elements = 0;
        for (int32_t c = 0; c < p->combines_count; c++) {
            if (p->combines[c].region < r.first || p->combines[c].region >= i) continue;
            pieces += (p->combines[c].elements + COMBINE - 1) / COMBINE;
            elements += p->combines[c].elements;
        }
        if (pieces > 0) tw_pool_run(elements > 2 * COMBINE ? pool : NULL, pieces, combine_item, &r);
    }
    state->packed = true;
    int64_t last = p->profile ? tw_profile_now() : 0;
    finish(&r);
    if (p->profile) {
        tw_profile *profile = p->profile;
        if (p->finals_count > 0) tw_profile_add(&profile->counter[p->insts_count + TW_PROFILE_FINISH], last, rows);
        if (state->threads > atomic_load(&profile->threads)) atomic_store(&profile->threads, state->threads);
        atomic_fetch_add(&profile->runs, 1);
        atomic_fetch_add(&profile->wall_ns, tw_profile_now() - start);
    }
    return TW_OK;
}
