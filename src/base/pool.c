/* base/pool.c - the thread pool.
 *
 * A run is "open" while its items are being taken. A worker enters an open run, takes items until none are left and
 * leaves; the caller takes items too, closes the run, and waits only for the workers that entered. A worker that lost
 * its core to another process therefore never holds up a run it has not entered: at worst the caller does all the work
 * itself.
 *
 * `state` is OPEN plus the number of workers inside. Sleeping uses the two-flag rule: the sleeper announces itself,
 * then looks again; the waker changes the word, then looks for sleepers (all sequentially consistent). */
#include "base/pool.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    OPEN = 1 << 24,
    PAUSES = 2000, /* about 30 us: longer than the gap between two loops of a training step */
    YIELDS = 64,
};

typedef struct worker {
    tw_pool *pool;
    pthread_t thread;
    int number;
} worker;

struct tw_pool {
    int threads;
    int started; /* workers to join */
    int pauses;
    worker *workers;
    tw_task task;
    void *user;
    int64_t count;
    _Alignas(64) atomic_llong next; /* item to take */
    _Alignas(64) atomic_uint state;
    atomic_int caller_sleeps;
    _Alignas(64) atomic_uint signal; /* counts runs; workers wait for it to change */
    atomic_int sleepers;
    atomic_bool stop;
    _Alignas(64) atomic_flag busy; /* a run is under way */
};

/* Which pool the running task belongs to, and the number of this thread in it. */
static _Thread_local struct {
    const tw_pool *pool;
    int thread;
} here;

static void futex_wait(atomic_uint *word, unsigned expected)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

static void futex_wake(atomic_uint *word, int count)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

static void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* One step of waiting; false when it is time to sleep. */
static bool wait_awake(const tw_pool *pool, int step)
{
    if (step < pool->pauses)
        pause_briefly();
    else if (step < pool->pauses + YIELDS)
        sched_yield();
    else
        return false;
    return true;
}

static void take_items(tw_pool *pool, int thread)
{
    here.pool = pool;
    here.thread = thread;
    int64_t count = pool->count;
    for (;;) {
        int64_t item = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (item >= count) break;
        pool->task(pool->user, item, thread);
    }
    here.pool = NULL;
}

static bool enter_run(tw_pool *pool)
{
    unsigned state = atomic_load_explicit(&pool->state, memory_order_relaxed);
    while (state & OPEN)
        if (atomic_compare_exchange_weak_explicit(&pool->state, &state, state + 1, memory_order_acquire,
                                                  memory_order_relaxed))
            return true;
    return false;
}

static void leave_run(tw_pool *pool)
{
    if (atomic_fetch_sub(&pool->state, 1) == 1 && atomic_load(&pool->caller_sleeps)) futex_wake(&pool->state, 1);
}

static void *work(void *argument)
{
    const worker *me = argument;
    tw_pool *pool = me->pool;
    unsigned seen = 0;
    for (;;) {
        unsigned now;
        for (int step = 0; (now = atomic_load(&pool->signal)) == seen; step++) {
            if (wait_awake(pool, step)) continue;
            atomic_fetch_add(&pool->sleepers, 1);
            if (atomic_load(&pool->signal) == seen) futex_wait(&pool->signal, seen);
            atomic_fetch_sub(&pool->sleepers, 1);
        }
        seen = now;
        if (atomic_load(&pool->stop)) return NULL;
        if (enter_run(pool)) {
            take_items(pool, me->number);
            leave_run(pool);
        }
    }
}

static void announce(tw_pool *pool, int wanted)
{
    atomic_fetch_add(&pool->signal, 1);
    if (atomic_load(&pool->sleepers) > 0) futex_wake(&pool->signal, wanted);
}

static void wait_for_workers(tw_pool *pool)
{
    unsigned state;
    for (int step = 0; (state = atomic_load_explicit(&pool->state, memory_order_acquire)) != 0; step++) {
        if (wait_awake(pool, step)) continue;
        atomic_store(&pool->caller_sleeps, 1);
        state = atomic_load(&pool->state);
        if (state != 0) futex_wait(&pool->state, state);
        atomic_store(&pool->caller_sleeps, 0);
    }
}

void tw_pool_run(tw_pool *pool, int64_t count, tw_task task, void *user)
{
    bool nested = here.pool != NULL;
    /* A second thread may run a program of the same context: the pool serves the first, the other works alone. */
    if (!pool || nested || pool->threads == 1 || count <= 1 || atomic_flag_test_and_set(&pool->busy)) {
        int thread = nested && here.pool == pool ? here.thread : 0;
        for (int64_t item = 0; item < count; item++) task(user, item, thread);
        return;
    }
    pool->task = task;
    pool->user = user;
    pool->count = count;
    atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
    atomic_store_explicit(&pool->state, OPEN, memory_order_release);
    announce(pool, (int)tw_min_i64(count - 1, pool->threads - 1));
    take_items(pool, 0);
    atomic_fetch_and(&pool->state, ~(unsigned)OPEN);
    wait_for_workers(pool);
    atomic_flag_clear(&pool->busy);
}

/* Workers leave signals to the threads of the program: a handler must not run on a stack it does not expect. */
static bool start_worker(worker *w)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    bool ok = pthread_create(&w->thread, NULL, work, w) == 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return ok;
}

tw_pool *tw_pool_create(tw_context *ctx, int threads)
{
    if (threads < 1 || threads > 4096) {
        (void)tw_fail(ctx, TW_ERR_INVALID, "%d threads asked for: 1 to 4096 are possible", threads);
        return NULL;
    }
    tw_pool *pool = tw_alloc_aligned(ctx, sizeof *pool);
    worker *workers = pool ? tw_alloc(ctx, (size_t)threads, sizeof *workers) : NULL;
    if (!workers) {
        (void)tw_fail_memory(ctx, sizeof *pool + (size_t)threads * sizeof *workers);
        tw_free_aligned(ctx, pool);
        return NULL;
    }
    pool->threads = threads;
    pool->workers = workers;
    pool->pauses = threads <= tw_cpus_available() ? PAUSES : 0;
    atomic_init(&pool->next, 0);
    atomic_init(&pool->state, 0);
    atomic_init(&pool->signal, 0);
    atomic_init(&pool->caller_sleeps, 0);
    atomic_init(&pool->sleepers, 0);
    atomic_init(&pool->stop, false);
    atomic_flag_clear(&pool->busy);
    for (int i = 1; i < threads; i++) {
        workers[i] = (worker){.pool = pool, .number = i};
        if (!start_worker(&workers[i])) {
            tw_pool_destroy(ctx, pool);
            (void)tw_fail(ctx, TW_ERR_UNSUPPORTED, "cannot start %d threads", threads);
            return NULL;
        }
        pool->started = i;
    }
    return pool;
}

void tw_pool_destroy(tw_context *ctx, tw_pool *pool)
{
    if (!pool) return;
    atomic_store(&pool->stop, true);
    announce(pool, pool->threads);
    for (int i = 1; i <= pool->started; i++) pthread_join(pool->workers[i].thread, NULL);
    tw_free(ctx, pool->workers);
    tw_free_aligned(ctx, pool);
}

int tw_pool_threads(const tw_pool *pool)
{
    return pool ? pool->threads : 1;
}
