/* base/base.h - the inside of a context: failures, memory, log. Everything else in the library stands on this. */
#ifndef TW_BASE_BASE_H
#define TW_BASE_BASE_H

#include <thalweg/base.h>

#include <stdarg.h>

typedef struct tw_pool tw_pool;

struct tw_context {
    tw_alloc_fn alloc;
    void *alloc_user;
    tw_log_fn log;
    void *log_user;
    tw_all_reduce_fn all_reduce;
    void *all_reduce_user;
    tw_pool *pool;
    bool profile;
    char error[1024];
};

/* Records the sentence of a failure and returns `status`, so that `return tw_fail(ctx, ...)` reads well. */
tw_status tw_fail(tw_context *ctx, tw_status status, const char *format, ...) TW_PRINTF(3, 4);
/* The same for an allocation of `size` bytes that failed. */
tw_status tw_fail_memory(tw_context *ctx, size_t size);

void tw_report(tw_context *ctx, tw_log_level level, const char *format, ...) TW_PRINTF(3, 4);

/* Memory through the context's hook. tw_alloc returns zeroed memory; all return NULL when it is used up or
 * when count * size overflows (count 0 is treated as 1 byte). tw_free accepts NULL. */
void *tw_alloc(tw_context *ctx, size_t count, size_t size);
void *tw_resize(tw_context *ctx, void *ptr, size_t count, size_t size);
void tw_free(tw_context *ctx, void *ptr);
char *tw_strdup(tw_context *ctx, const char *text);
/* Zeroed, 64-byte aligned blocks for numbers; to be given to tw_free_aligned only. */
void *tw_alloc_aligned(tw_context *ctx, size_t size);
void tw_free_aligned(tw_context *ctx, void *ptr);

/* Grows `*ptr` (element size `size`) so that it holds at least `need` elements, doubling. */
tw_status tw_grow(tw_context *ctx, void *ptr, int64_t *capacity, int64_t need, size_t size);

/* Evaluates an expression of type tw_status and leaves by `goto done` with `status` set when it failed. */
#define TW_TRY(expression)                                                                                             \
    do {                                                                                                               \
        status = (expression);                                                                                         \
        if (status != TW_OK) goto done;                                                                                \
    } while (0)

#define TW_COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* The greatest common divisor; that of 0 and b is b (Euclid). */
static inline uint64_t tw_gcd(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}
static inline int64_t tw_min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}
static inline int64_t tw_max_i64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}
/* Bytes up to the next multiple of 64, where aligned blocks, cache lines and vectors begin. */
static inline int64_t tw_aligned(int64_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

#endif
