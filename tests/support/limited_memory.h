/* An allocator that fails from the n-th allocation on and counts what is alive: run a piece of work with n = 0, 1, 2,
 * ... until it succeeds; each failure must be TW_ERR_MEMORY and leave nothing behind. */
#ifndef TW_TESTS_SUPPORT_LIMITED_MEMORY_H
#define TW_TESTS_SUPPORT_LIMITED_MEMORY_H

#include <thalweg/base.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

typedef struct limited_memory {
    bool armed;
    int64_t left; /* allocations that still succeed while armed */
    int64_t alive, made;
} limited_memory;

static inline void *limited_alloc(void *user, void *ptr, size_t size)
{
    limited_memory *m = user;
    if (size == 0) {
        m->alive -= ptr != NULL;
        free(ptr);
        return NULL;
    }
    if (m->armed && m->left-- <= 0) return NULL;
    void *result = realloc(ptr, size);
    m->made++;
    if (result && !ptr) m->alive++;
    return result;
}

/* Does the work; what it makes it must destroy again. */
typedef tw_status (*limited_work)(tw_context *ctx, void *user);

static inline void try_limits(limited_work work, void *user, bool leaps)
{
    for (int64_t n = 0;; n += leaps ? 1 + n / 8 : 1) {
        assert_true(n < 100000);
        limited_memory memory = {0};
        tw_context *ctx =
            tw_context_create(&(tw_context_desc){.alloc = limited_alloc, .alloc_user = &memory, .threads = 1});
        assert_non_null(ctx);
        int64_t alive = memory.alive;
        memory.armed = true;
        memory.left = n;
        tw_status status = work(ctx, user);
        memory.armed = false;
        assert_int_equal(memory.alive, alive);
        tw_context_destroy(ctx);
        assert_int_equal(memory.alive, 0);
        if (status == TW_OK) return;
        assert_int_equal(status, TW_ERR_MEMORY);
    }
}

static inline void run_with_limited_memory(limited_work work, void *user)
{
    try_limits(work, user, false);
}

/* Where there are thousands of allocations: the first eight failures and then some, in growing leaps. */
static inline void run_with_limited_memory_in_leaps(limited_work work, void *user)
{
    try_limits(work, user, true);
}

#endif
