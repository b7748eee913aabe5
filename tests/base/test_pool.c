/* The thread pool: every item once, thread numbers, nesting, two callers, sleeping workers, and a machine whose cores
 * others want. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ITEMS = 500 };

typedef struct job {
    tw_pool *pool;
    atomic_int hits[ITEMS];
    atomic_int busy[8]; /* how many tasks run under a thread number: never 2 */
    atomic_int clashes;
    int64_t sum[ITEMS]; /* plain memory: visible to the caller after the run */
} job;

static void count_item(void *user, int64_t item, int thread)
{
    job *j = user;
    if (thread < 0 || thread >= tw_pool_threads(j->pool) || atomic_fetch_add(&j->busy[thread], 1) != 0) j->clashes++;
    j->hits[item]++;
    j->sum[item] += item;
    atomic_fetch_sub(&j->busy[thread], 1);
}

static void test_every_item_once(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 7; threads++) {
        tw_context *ctx = tw_context_create(&(tw_context_desc){.threads = threads});
        assert_non_null(ctx);
        assert_int_equal(tw_context_threads(ctx), threads);
        job *j = calloc(1, sizeof *j);
        j->pool = ctx->pool;
        enum { ROUNDS = 100 };
        for (int r = 0; r < ROUNDS; r++) tw_pool_run(ctx->pool, r % 2 ? ITEMS : 3, count_item, j);
        for (int i = 0; i < ITEMS; i++) {
            assert_int_equal(j->hits[i], i < 3 ? ROUNDS : ROUNDS / 2);
            assert_int_equal(j->sum[i], (int64_t)i * j->hits[i]);
        }
        assert_int_equal(j->clashes, 0);
        tw_pool_run(ctx->pool, 0, count_item, j);
        free(j);
        tw_context_destroy(ctx);
    }
}

static void test_without_a_pool(void **state)
{
    (void)state;
    job *j = calloc(1, sizeof *j);
    tw_pool_run(NULL, ITEMS, count_item, j);
    for (int i = 0; i < ITEMS; i++) assert_int_equal(j->hits[i], 1);
    assert_int_equal(j->clashes, 0);
    assert_int_equal(tw_pool_threads(NULL), 1);
    free(j);
}

typedef struct nest {
    tw_pool *pool;
    atomic_int hits;
    atomic_int wrong;
} nest;

static _Thread_local int outer_thread;

static void inner(void *user, int64_t item, int thread)
{
    (void)item;
    nest *n = user;
    n->hits++;
    n->wrong += thread != outer_thread;
}

static void outer(void *user, int64_t item, int thread)
{
    (void)item;
    outer_thread = thread;
    tw_pool_run(((nest *)user)->pool, 10, inner, user);
}

static void test_nesting(void **state)
{
    (void)state;
    tw_context *ctx = tw_context_create(&(tw_context_desc){.threads = 4});
    nest n = {.pool = ctx->pool};
    for (int r = 0; r < 50; r++) tw_pool_run(ctx->pool, 20, outer, &n);
    assert_int_equal(n.hits, 50 * 20 * 10);
    assert_int_equal(n.wrong, 0);
    tw_context_destroy(ctx);
}

static void *second_caller(void *argument)
{
    job *j = argument;
    for (int r = 0; r < 200; r++) tw_pool_run(j->pool, ITEMS, count_item, j);
    return NULL;
}

/* Programs may run on many threads: the pool serves one caller, the other works alone. */
static void test_two_callers(void **state)
{
    (void)state;
    tw_context *ctx = tw_context_create(&(tw_context_desc){.threads = 3});
    job *a = calloc(1, sizeof *a), *b = calloc(1, sizeof *b);
    a->pool = b->pool = ctx->pool;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, second_caller, a), 0);
    second_caller(b);
    pthread_join(thread, NULL);
    for (int i = 0; i < ITEMS; i++) {
        assert_int_equal(a->hits[i], 200);
        assert_int_equal(b->hits[i], 200);
    }
    assert_int_equal(a->clashes + b->clashes, 0);
    free(a), free(b);
    tw_context_destroy(ctx);
}

static void test_sleeping_workers(void **state)
{
    (void)state;
    tw_context *ctx = tw_context_create(&(tw_context_desc){.threads = 5});
    job *j = calloc(1, sizeof *j);
    j->pool = ctx->pool;
    for (int r = 0; r < 20; r++) {
        usleep(5000); /* long enough for all to sleep on the futex */
        tw_pool_run(ctx->pool, ITEMS, count_item, j);
    }
    for (int i = 0; i < ITEMS; i++) assert_int_equal(j->hits[i], 20);
    free(j);
    tw_context_destroy(ctx);
}

static void small_work(void *user, int64_t item, int thread)
{
    (void)thread;
    double *out = user, x = 1 + (double)item;
    for (int i = 0; i < 2000; i++) x = x * 0.999 + 0.5;
    out[item * 8] = x;
}

static double time_runs(tw_pool *pool, double *out)
{
    double begin = tw_clock();
    for (int r = 0; r < 2000; r++) tw_pool_run(pool, 16, small_work, out);
    return tw_clock() - begin;
}

/* With a busy process on every core, many small loops stay near what one thread alone takes under the same pressure: a
 * pool that waits for workers without a core is tens of times slower. The bound leaves a factor 3 and half a second for
 * the scheduler. */
static void test_contention(void **state)
{
    (void)state;
    int cpus = tw_cpus_available();
    tw_context *ctx = tw_context_create(&(tw_context_desc){.threads = cpus > 1 ? cpus : 2});
    double out[16 * 8];
    double idle = time_runs(ctx->pool, out);
    pid_t children[64];
    int count = cpus < 64 ? cpus : 64;
    for (int i = 0; i < count; i++) {
        children[i] = fork();
        if (children[i] == 0)
            for (volatile unsigned spin = 0;; spin++) {}
    }
    double alone = time_runs(NULL, out), pooled = time_runs(ctx->pool, out);
    for (int i = 0; i < count; i++) {
        kill(children[i], SIGKILL);
        waitpid(children[i], NULL, 0);
    }
    print_message("2000 loops: idle %.3f s; contended %.3f s, one thread contended %.3f s\n", idle, pooled, alone);
    assert_true(pooled <= 3 * alone + 0.5);
    tw_context_destroy(ctx);
}

static void test_limits(void **state)
{
    (void)state;
    assert_true(tw_cpus_available() >= 1);
    cpu_set_t one, old;
    assert_int_equal(sched_getaffinity(0, sizeof old, &old), 0);
    CPU_ZERO(&one);
    for (size_t i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &old)) {
            CPU_SET(i, &one);
            break;
        }
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(tw_cpus_available(), 1);
    tw_context *ctx = tw_context_create(NULL);
    assert_int_equal(tw_context_threads(ctx), 1);
    assert_null(tw_pool_create(ctx, 0));
    assert_non_null(strstr(tw_context_error(ctx), "0 threads"));
    tw_context_destroy(ctx);
    assert_int_equal(sched_setaffinity(0, sizeof old, &old), 0);
}

/* --- control groups: a root with files of our own --- */

static void write_under(const char *root, const char *path, const char *text)
{
    char full[512];
    snprintf(full, sizeof full, "%s/%s", root, path);
    for (char *at = full + strlen(root) + 1; (at = strchr(at, '/')); *at++ = '/') {
        *at = 0;
        mkdir(full, 0700);
    }
    FILE *file = fopen(full, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

typedef struct group_case {
    const char *cgroup;      /* /proc/self/cgroup */
    const char *files[3][2]; /* path under /sys/fs/cgroup, contents */
    int cpus;
} group_case;

static void test_groups(void **state)
{
    (void)state;
    static const group_case cases[] = {
        /* version 2: the least of the group and its parents, rounded up */
        {"0::/a/b\n", {{"a/b/cpu.max", "250000 100000\n"}}, 3},
        {"0::/a/b\n", {{"a/b/cpu.max", "400000 100000\n"}, {"a/cpu.max", "150000 100000\n"}}, 2},
        {"0::/a/b\n", {{"a/b/cpu.max", "max 100000\n"}, {"cpu.max", "50000 100000\n"}}, 1},
        {"0::/a/b\n", {{"a/b/cpu.max", "max 100000\n"}}, 0},
        {"0::/\n", {{"cpu.max", "200000 100000\n"}}, 2},
        /* in a container the path is that of the host: what is mounted is the group itself */
        {"0::/not/here\n", {{"cpu.max", "300000 100000\n"}}, 3},
        /* version 1 */
        {"4:cpu,cpuacct:/a\n3:memory:/m\n",
         {{"cpu/a/cpu.cfs_quota_us", "150000\n"}, {"cpu/a/cpu.cfs_period_us", "100000\n"}},
         2},
        {"4:cpuset:/a\n", {{"cpu/a/cpu.cfs_quota_us", "150000\n"}, {"cpu/a/cpu.cfs_period_us", "100000\n"}}, 0},
        {"4:cpu:/a\n", {{"cpu/a/cpu.cfs_quota_us", "-1\n"}, {"cpu/a/cpu.cfs_period_us", "100000\n"}}, 0},
        /* nonsense is no limit */
        {"0::/a\n", {{"a/cpu.max", "many\n"}}, 0},
        {"0::/a\n", {{"a/cpu.max", "100000\n"}}, 0},
        {"0::/a\n", {{"a/cpu.max", "-5 100000\n"}}, 0},
        {"0::/a\n", {{"a/cpu.max", ""}}, 0},
        {"0::/a\n", {{"a/cpu.max", "999999999999999 1\n"}}, 0},
        {"no colons\n:\n", {{"cpu.max", "100000 100000\n"}}, 0},
        {"", {{"cpu.max", "100000 100000\n"}}, 0},
    };
    assert_int_equal(tw_cpus_of_groups("/nowhere"), 0);
    for (int n = 0; n < TW_COUNT(cases); n++) {
        char root[] = "/tmp/thalweg-groups-XXXXXX", path[256], command[64];
        assert_non_null(mkdtemp(root));
        write_under(root, "proc/self/cgroup", cases[n].cgroup);
        for (int i = 0; i < 3 && cases[n].files[i][0]; i++) {
            snprintf(path, sizeof path, "sys/fs/cgroup/%s", cases[n].files[i][0]);
            write_under(root, path, cases[n].files[i][1]);
        }
        int cpus = tw_cpus_of_groups(root);
        snprintf(command, sizeof command, "rm -rf %s", root);
        assert_int_equal(system(command), 0);
        if (cpus != cases[n].cpus) fail_msg("case %d: %d CPUs, not %d", n, cpus, cases[n].cpus);
    }
}

/* A task may use another pool, or the same one from two levels down: all serial, nothing waits for itself. */
static void inner_of_other(void *user, int64_t item, int thread)
{
    nest *n = user;
    (void)item;
    (void)thread;
    n->hits++;
    tw_pool_run(n->pool, 3, inner, n);
}

static void outer_of_other(void *user, int64_t item, int thread)
{
    nest *n = user;
    (void)item;
    outer_thread = 0; /* of a pool that is not this task's, work is done under number 0 */
    tw_pool_run(n[1].pool, 4, inner_of_other, &n[1]);
    outer_thread = thread;
    tw_pool_run(n[0].pool, 4, inner, &n[0]);
}

static void test_two_pools(void **state)
{
    (void)state;
    tw_context *a = tw_context_create(&(tw_context_desc){.threads = 3});
    tw_context *b = tw_context_create(&(tw_context_desc){.threads = 2});
    nest n[2] = {{.pool = a->pool}, {.pool = b->pool}};
    for (int r = 0; r < 50; r++) tw_pool_run(a->pool, 12, outer_of_other, n);
    assert_int_equal(n[0].hits, 50 * 12 * 4);
    assert_int_equal(n[1].hits, 50 * 12 * 4 * 4);
    assert_int_equal(n[0].wrong + n[1].wrong, 0);
    tw_context_destroy(b);
    tw_context_destroy(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_item_once),  cmocka_unit_test(test_without_a_pool),
        cmocka_unit_test(test_nesting),          cmocka_unit_test(test_two_callers),
        cmocka_unit_test(test_sleeping_workers), cmocka_unit_test(test_contention),
        cmocka_unit_test(test_limits),           cmocka_unit_test(test_groups),
        cmocka_unit_test(test_two_pools),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
