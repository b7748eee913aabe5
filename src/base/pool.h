/* base/pool.h - the thread pool: one parallel loop at a time, caused and joined by the calling thread.
 *
 * Workers wait for work by pausing, then yielding, then sleeping on a futex: pure spinning collapses when another
 * process wants the core (measured 50x slower), and sleeping at once costs a wake-up per loop. Items are taken from
 * a shared counter, so which thread runs an item is not fixed: results must depend on the item only. */
#ifndef TW_BASE_POOL_H
#define TW_BASE_POOL_H

#include "base/base.h"

/* Does item `item` of `count`; `thread` in [0, tw_pool_threads) names the running thread, for scratch memory. */
typedef void (*tw_task)(void *user, int64_t item, int thread);

/* `threads` counts the caller. NULL when threads cannot be started. */
tw_pool *tw_pool_create(tw_context *ctx, int threads);
void tw_pool_destroy(tw_context *ctx, tw_pool *pool);
int tw_pool_threads(const tw_pool *pool);

/* Runs task for items 0..count-1 and returns when all are done. Called from inside a task it runs serially
 * on the calling thread, with that thread's number: nesting is safe. pool NULL also means serially, as does a pool
 * that another thread is using at the moment (thread number 0: bring scratch memory of your own, not the pool's). */
void tw_pool_run(tw_pool *pool, int64_t count, tw_task task, void *user);

/* CPUs this process may use: affinity mask and cgroup quota respected, at least 1. */
int tw_cpus_available(void);
/* The least quota of the control groups this process is in, in CPUs rounded up; 0: none. `root` is put before
 * /proc/self/cgroup and /sys/fs/cgroup (tests; "" otherwise). */
int tw_cpus_of_groups(const char *root);

#endif
