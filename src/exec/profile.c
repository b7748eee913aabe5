/* exec/profile.c - the profile of a program as a table: instructions of one description together, the longest first,
 * with what each reaches in GFLOP/s and GB/s of one thread's time, and the whole against the product kernel's speed
 * measured at that moment on as many threads. */
#include "exec/profile.h"

#include "base/file.h"
#include "base/pool.h"
#include "exec/inst.h"

#include <stdlib.h>

enum { SHOWN = 24 };

int64_t tw_profile_now(void)
{
    return (int64_t)(tw_clock() * 1e9);
}

tw_status tw_profile_create(tw_program *p)
{
    size_t count = (size_t)p->insts_count + TW_PROFILE_EXTRA, bytes = sizeof *p->profile + count * sizeof(tw_counter);
    p->profile = tw_alloc(p->ctx, 1, bytes);
    if (!p->profile) return tw_fail_memory(p->ctx, bytes);
    p->profile->count = p->insts_count;
    return TW_OK;
}

/* --- the speed of light --------------------------------------------------------------------------------------------
 */

enum { PEAK_M = 192, PEAK_N = 256, PEAK_K = 256, PEAK_MILLISECONDS = 30 };

typedef struct peak_job {
    const tw_gemm *gemm;
    unsigned char *memory; /* one slice a thread */
    size_t slice;
    double flops[64]; /* a second, by item */
} peak_job;

static void measure(void *user, int64_t item, int thread)
{
    peak_job *job = user;
    (void)thread;
    float *a = (float *)(void *)(job->memory + (size_t)item * job->slice), *b = a + PEAK_M * PEAK_K,
          *c = b + PEAK_K * PEAK_N;
    void *workspace = c + PEAK_M * PEAK_N;
    double start = tw_clock(), best = 0, now = start, before;
    job->gemm->enter_thread();
    do {
        before = now;
        for (int i = 0; i < 8; i++)
            job->gemm->f32(false, false, PEAK_M, PEAK_N, PEAK_K, a, PEAK_K, b, PEAK_N, false, c, PEAK_N, workspace);
        now = tw_clock();
        double rate = 8.0 * 2 * PEAK_M * PEAK_N * PEAK_K / (now - before);
        if (rate > best) best = rate;
    } while (now - start < PEAK_MILLISECONDS * 1e-3);
    job->flops[item] = best;
}

/* Flops a second of the f32 product on `threads` threads at once, its best batch in some 30 ms; 0 when unknown. */
static double peak_flops(tw_context *ctx, int threads)
{
    int count = threads < 64 ? threads : 64;
    peak_job job = {.gemm = tw_gemm_best()};
    job.slice = (PEAK_M * PEAK_K + PEAK_K * PEAK_N + PEAK_M * PEAK_N) * sizeof(float) + job.gemm->workspace;
    job.slice = (size_t)tw_aligned((int64_t)job.slice);
    job.memory = tw_alloc_aligned(ctx, job.slice * (size_t)count);
    if (!job.memory) return 0;
    double sum = 0;
    tw_pool_run(ctx->pool, count, measure, &job);
    for (int i = 0; i < count; i++) sum += job.flops[i];
    tw_free_aligned(ctx, job.memory);
    return sum;
}

/* --- the table -------------------------------------------------------------------------------------------------- */

typedef struct group {
    char *what;
    int64_t ns, calls;
    double flops, bytes;
} group;

/* Bytes an instruction reads and writes for all rows of its region. */
static double bytes_of(const tw_program *p, const tw_inst *inst)
{
    const tw_node *node = tw_node_of(p->graph, inst->node);
    double bytes = 0;
    if (inst->kind != &tw_tile_kind) {
        bytes = (double)(tw_shape_size(node->shape) * (int64_t)tw_dtype_size((tw_dtype)node->dtype));
        for (int k = 0; k < node->args_count; k++) {
            const tw_node *arg = tw_node_of(p->graph, tw_node_args(p->graph, node)[k]);
            bytes += (double)(tw_shape_size(arg->shape) * (int64_t)tw_dtype_size((tw_dtype)arg->dtype));
        }
        return bytes;
    }
    double elements = (double)tw_shape_size(node->shape);
    for (int32_t i = 0; i < inst->tile_count; i++) {
        const tw_tile_inst *tile = &p->tiles[inst->tile_begin + i];
        if (tile->dst.place >= 0) bytes += elements / (tile->reduce ? (double)inst->line : 1.0) * tile->dst.size;
        for (int k = 0; k < 3; k++)
            if (tile->arg[k].place >= 0 && (k == 0 || tile->arg[k].place != tile->arg[k - 1].place))
                bytes += elements * tile->arg[k].size;
    }
    return bytes;
}

static int by_time(const void *x, const void *y)
{
    const group *a = x, *b = y;
    if (a->ns != b->ns) return a->ns > b->ns ? -1 : 1;
    return strcmp(a->what, b->what);
}

/* Adds the counter to the group of the same description, or makes one. Takes over `what`. */
static void add_to_group(tw_context *ctx, group *groups, int32_t *count, char *what, const tw_counter *c, double flops,
                         double bytes)
{
    int32_t at = 0;
    while (at < *count && strcmp(groups[at].what, what) != 0) at++;
    if (at == *count)
        groups[(*count)++] = (group){.what = what};
    else
        tw_free(ctx, what);
    groups[at].ns += atomic_load(&c->ns);
    groups[at].calls += atomic_load(&c->calls);
    groups[at].flops += flops;
    groups[at].bytes += bytes;
}

static double gather(const tw_program *p, group *groups, int32_t *count)
{
    const tw_profile *profile = p->profile;
    double flops = 0;
    for (int32_t r = 0; r < p->regions_count; r++) {
        const tw_region *region = &p->regions[r];
        for (int32_t i = region->inst_begin; i < region->inst_begin + region->inst_count; i++) {
            const tw_counter *c = &profile->counter[i];
            double share = (double)atomic_load(&c->rows) / (double)region->rows;
            tw_text what = tw_text_new(p->ctx);
            if (atomic_load(&c->calls) == 0) continue;
            tw_inst_describe(p, &p->insts[i], &what);
            if (!what.data) continue;
            if (!p->insts[i].kind->light) flops += share * p->insts[i].work;
            add_to_group(p->ctx, groups, count, what.data, c, share * p->insts[i].work,
                         share * bytes_of(p, &p->insts[i]));
        }
    }
    static const char *const extra[TW_PROFILE_EXTRA] = {"packing operands", "adding up sums over rows",
                                                        "copies at the end"};
    for (int i = 0; i < TW_PROFILE_EXTRA; i++) {
        const tw_counter *c = &profile->counter[profile->count + i];
        char *what = atomic_load(&c->calls) > 0 ? tw_strdup(p->ctx, extra[i]) : NULL;
        if (what) add_to_group(p->ctx, groups, count, what, c, 0, 0);
    }
    return flops;
}

static void tell_groups(const tw_program *p, const group *groups, int32_t count, double all_ns)
{
    tw_report(p->ctx, TW_LOG_DEBUG, "%10s %6s %9s %8s %7s  %s", "ms", "share", "calls", "GFLOP/s", "GB/s", "what");
    group rest = {0};
    for (int32_t i = 0; i < count; i++) {
        const group *g = &groups[i];
        double ns = g->ns > 0 ? (double)g->ns : 1;
        if (i >= SHOWN) {
            rest.ns += g->ns;
            rest.calls += g->calls;
            continue;
        }
        tw_report(p->ctx, TW_LOG_DEBUG, "%10.2f %5.1f%% %9lld %8.1f %7.1f  %.120s", ns * 1e-6, 100 * ns / all_ns,
                  (long long)g->calls, g->flops / ns, g->bytes / ns, g->what);
    }
    if (rest.calls > 0)
        tw_report(p->ctx, TW_LOG_DEBUG, "%10.2f %5.1f%% %9lld %8s %7s  %d more", (double)rest.ns * 1e-6,
                  100 * (double)rest.ns / all_ns, (long long)rest.calls, "", "", count - SHOWN);
}

void tw_profile_tell(const tw_program *p)
{
    const tw_profile *profile = p->profile;
    int64_t runs = atomic_load(&profile->runs);
    int32_t threads = atomic_load(&profile->threads), count = 0;
    if (runs == 0) return;
    group *groups = tw_alloc(p->ctx, (size_t)profile->count + TW_PROFILE_EXTRA, sizeof *groups);
    if (!groups) return;
    double flops = gather(p, groups, &count), all_ns = 1, wall = (double)atomic_load(&profile->wall_ns);
    for (int32_t i = 0; i < count; i++) all_ns += (double)groups[i].ns;
    qsort(groups, (size_t)count, sizeof *groups, by_time);
    tw_report(p->ctx, TW_LOG_DEBUG, "profile of %s: %lld runs, %.3f ms each, %d thread%s at work %.0f %% of the time",
              p->name[0] ? p->name : "a program", (long long)runs, wall / (double)runs * 1e-6, threads,
              threads == 1 ? "" : "s", 100 * all_ns / (wall * threads));
    tell_groups(p, groups, count, all_ns);
    double peak = flops > 0 ? peak_flops(p->ctx, threads) : 0;
    if (peak > 0)
        tw_report(p->ctx, TW_LOG_DEBUG, "%.1f GFLOP/s in products: %.0f %% of the %.1f that f32 products reach here",
                  flops / wall, 100 * flops / wall * 1e9 / peak, peak * 1e-9);
    for (int32_t i = 0; i < count; i++) tw_free(p->ctx, groups[i].what);
    tw_free(p->ctx, groups);
}
