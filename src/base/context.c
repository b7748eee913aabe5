/* base/context.c - contexts: the failure sentence, memory through the caller's hook, the log.
 *
 * A failure sentence is formatted beside the old one and then copied, so that a new sentence may quote the old.
 * Aligned blocks keep the pointer the hook returned in the word before them. */
#include "base/base.h"

#include "base/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { BLOCK_ALIGNMENT = 64 };

static void *default_alloc(void *user, void *ptr, size_t size)
{
    (void)user;
    if (size == 0) {
        free(ptr);
        return NULL;
    }
    return realloc(ptr, size);
}

const char *tw_status_text(tw_status status)
{
    switch (status) {
#define STATUS_CASE(name, meaning)                                                                                     \
    case name:                                                                                                         \
        return meaning;
        TW_STATUS_LIST(STATUS_CASE)
#undef STATUS_CASE
    }
    return "unknown status";
}

const char *tw_version(void)
{
    return TW_VERSION;
}

tw_context *tw_context_create(const tw_context_desc *desc)
{
    tw_context_desc d = desc ? *desc : (tw_context_desc){0};
    if (!d.alloc) d.alloc = default_alloc;
    tw_context *ctx = d.alloc(d.alloc_user, NULL, sizeof *ctx);
    if (!ctx) return NULL;
    *ctx = (tw_context){
        .alloc = d.alloc, .alloc_user = d.alloc_user, .log = d.log, .log_user = d.log_user, .profile = d.profile};
    ctx->all_reduce = d.all_reduce;
    ctx->all_reduce_user = d.all_reduce_user;
    ctx->pool = tw_pool_create(ctx, d.threads > 0 ? d.threads : tw_cpus_available());
    if (!ctx->pool) {
        tw_context_destroy(ctx);
        return NULL;
    }
    return ctx;
}

void tw_context_destroy(tw_context *ctx)
{
    if (!ctx) return;
    tw_pool_destroy(ctx, ctx->pool);
    ctx->alloc(ctx->alloc_user, ctx, 0);
}

const char *tw_context_error(const tw_context *ctx)
{
    return ctx ? ctx->error : "";
}

int tw_context_threads(const tw_context *ctx)
{
    return ctx ? tw_pool_threads(ctx->pool) : 1;
}

tw_status tw_fail(tw_context *ctx, tw_status status, const char *format, ...)
{
    if (!ctx) return status;
    char sentence[sizeof ctx->error];
    va_list args;
    va_start(args, format);
    if (vsnprintf(sentence, sizeof sentence, format, args) < 0)
        snprintf(sentence, sizeof sentence, "%s", tw_status_text(status));
    va_end(args);
    memcpy(ctx->error, sentence, strlen(sentence) + 1);
    return status;
}

tw_status tw_fail_memory(tw_context *ctx, size_t size)
{
    return tw_fail(ctx, TW_ERR_MEMORY, "out of memory: %zu bytes could not be allocated", size);
}

void tw_report(tw_context *ctx, tw_log_level level, const char *format, ...)
{
    if (!ctx || !ctx->log) return;
    char message[1024];
    va_list args;
    va_start(args, format);
    int written = vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (written >= 0) ctx->log(ctx->log_user, level, message);
}

/* Bytes of count elements, at least 1; false on overflow. Blocks beyond PTRDIFF_MAX are refused as malloc does. */
static bool block_size(size_t count, size_t size, size_t *out_bytes)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > PTRDIFF_MAX) return false;
    *out_bytes = bytes ? bytes : 1;
    return true;
}

void *tw_alloc(tw_context *ctx, size_t count, size_t size)
{
    void *ptr = tw_resize(ctx, NULL, count, size);
    if (ptr) memset(ptr, 0, count * size);
    return ptr;
}

void *tw_resize(tw_context *ctx, void *ptr, size_t count, size_t size)
{
    size_t bytes;
    return block_size(count, size, &bytes) ? ctx->alloc(ctx->alloc_user, ptr, bytes) : NULL;
}

void tw_free(tw_context *ctx, void *ptr)
{
    if (ptr) ctx->alloc(ctx->alloc_user, ptr, 0);
}

char *tw_strdup(tw_context *ctx, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = tw_resize(ctx, NULL, size, 1);
    if (copy) memcpy(copy, text, size);
    return copy;
}

/* Large arrays are gone through in strides: with pages of 2 MiB a core finds their addresses without walking tables. Only
 * advice, for whole pages inside the block. */
static void advise_huge_pages(char *block, size_t size)
{
    enum { HUGE = 2 << 20, LARGE = 4 << 20 };
    if (size < LARGE) return;
    char *begin = block + (-(uintptr_t)block & (HUGE - 1)), *end = block + size;
    end -= (uintptr_t)end & (HUGE - 1);
    if (begin < end) (void)madvise(begin, (size_t)(end - begin), MADV_HUGEPAGE);
}

void *tw_alloc_aligned(tw_context *ctx, size_t size)
{
    if (size > PTRDIFF_MAX - BLOCK_ALIGNMENT - sizeof(void *)) return NULL;
    char *raw = tw_resize(ctx, NULL, size + BLOCK_ALIGNMENT + sizeof(void *), 1);
    if (!raw) return NULL;
    char *block = raw + sizeof(void *);
    block += -(uintptr_t)block & (BLOCK_ALIGNMENT - 1);
    memcpy(block - sizeof(void *), &raw, sizeof raw);
    advise_huge_pages(block, size);
    memset(block, 0, size);
    return block;
}

void tw_free_aligned(tw_context *ctx, void *ptr)
{
    if (!ptr) return;
    void *raw;
    memcpy(&raw, (char *)ptr - sizeof raw, sizeof raw);
    tw_free(ctx, raw);
}

tw_status tw_grow(tw_context *ctx, void *ptr, int64_t *capacity, int64_t need, size_t size)
{
    if (need <= *capacity) return TW_OK;
    int64_t target = tw_max_i64(need, *capacity > INT64_MAX / 2 ? need : 2 * *capacity);
    target = tw_max_i64(target, 8);
    void *old; /* ptr points at a pointer of any type; memcpy reads it without breaking aliasing rules */
    memcpy(&old, ptr, sizeof old);
    char *grown = tw_resize(ctx, old, (size_t)target, size);
    if (!grown) return tw_fail_memory(ctx, (size_t)target * size);
    memset(grown + (size_t)*capacity * size, 0, (size_t)(target - *capacity) * size);
    memcpy(ptr, &grown, sizeof grown);
    *capacity = target;
    return TW_OK;
}
