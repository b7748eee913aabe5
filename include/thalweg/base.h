/* thalweg/base.h - context, status and library-wide conventions.
 *
 * Every fallible function returns a tw_status; results come through the last `out_` parameter, which is
 * left untouched on failure. The sentence that explains a failure (what, where, what was expected) is kept
 * in the context: tw_context_error(). The library never aborts, exits or prints.
 *
 * Threads: a context and the objects made from it belong to one thread at a time. Compiled programs are
 * read-only and may run on many threads at once, each with its own tw_state (thalweg/exec.h).
 */
#ifndef THALWEG_BASE_H
#define THALWEG_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define TW_API               __attribute__((visibility("default")))
#define TW_NODISCARD         __attribute__((warn_unused_result))
#define TW_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define TW_API
#define TW_NODISCARD
#define TW_PRINTF(fmt, args)
#endif

#define TW_VERSION_MAJOR 0
#define TW_VERSION_MINOR 1
#define TW_VERSION_PATCH 0
#define TW_VERSION       "0.1.0"

/* Every status the library returns: enumerator, one-word meaning. */
#define TW_STATUS_LIST(X)                                                                                              \
    X(TW_OK, "ok")                                                                                                     \
    X(TW_ERR_INVALID, "invalid argument")                                                                              \
    X(TW_ERR_SHAPE, "shapes do not fit")                                                                               \
    X(TW_ERR_DTYPE, "wrong number type")                                                                               \
    X(TW_ERR_MEMORY, "out of memory")                                                                                  \
    X(TW_ERR_IO, "input or output failed")                                                                             \
    X(TW_ERR_FORMAT, "malformed data")                                                                                 \
    X(TW_ERR_UNSUPPORTED, "not supported")                                                                             \
    X(TW_ERR_NUMERIC, "numerical failure")                                                                             \
    X(TW_ERR_CANCELLED, "cancelled")                                                                                   \
    X(TW_ERR_INTERNAL, "internal error")

typedef enum tw_status {
#define TW_STATUS_ENUM(name, meaning) name,
    TW_STATUS_LIST(TW_STATUS_ENUM)
#undef TW_STATUS_ENUM
} tw_status;

/* What rows are when they are pictures: height x width pixels of 1 (grey) or 3 (red, green, blue) channels, row after
 * row of pixels, channels last; numbers 0 to 255 in data units. Height 0: rows are no pictures. */
typedef struct tw_image {
    int height, width, channels;
} tw_image;

/* The meaning of a status, e.g. "out of memory". Never NULL. */
TW_API const char *tw_status_text(tw_status status);

/* Version of the library that is running, e.g. "0.1.0". */
TW_API const char *tw_version(void);

/* Allocator hook in the manner of realloc: ptr NULL allocates, size 0 frees (and returns NULL), otherwise
 * resizes. Returned blocks are aligned for any scalar (16 bytes). Called from one thread at a time. */
typedef void *(*tw_alloc_fn)(void *user, void *ptr, size_t size);

typedef enum tw_log_level { TW_LOG_DEBUG, TW_LOG_INFO, TW_LOG_WARNING } tw_log_level;

/* Receives messages (no trailing newline). Without one, messages are dropped. */
typedef void (*tw_log_fn)(void *user, tw_log_level level, const char *message);

/* Adds up `count` numbers (element_size 4: float, 8: double) over all processes of a group, in place and in an order
 * that does not change. Called by every process at the same points of the same programs, from the thread that runs
 * them. */
typedef void (*tw_all_reduce_fn)(void *user, void *data, int64_t count, size_t element_size);

/* Description of a context; all zero means the defaults. */
typedef struct tw_context_desc {
    tw_alloc_fn alloc; /* NULL: malloc, realloc, free */
    void *alloc_user;
    tw_log_fn log; /* NULL: no log */
    void *log_user;
    tw_all_reduce_fn all_reduce; /* what tw_all_reduce_sum does; NULL: this process is alone */
    void *all_reduce_user;
    int threads;  /* worker threads, the calling one included; 0: CPUs this process may use */
    bool profile; /* measure every instruction of programs; the table goes to the log when a program is destroyed */
} tw_context_desc;

typedef struct tw_context tw_context;

/* Creates a context (NULL desc: defaults), or returns NULL when memory or threads cannot be had. The
 * caller destroys it after everything made from it. */
TW_API tw_context *tw_context_create(const tw_context_desc *desc);
TW_API void tw_context_destroy(tw_context *ctx);

/* The sentence of the last failure in this context, "" when none happened. Valid until the next call
 * that takes the context. */
TW_API const char *tw_context_error(const tw_context *ctx);

/* Threads that work for this context, the calling one included. */
TW_API int tw_context_threads(const tw_context *ctx);

#ifdef __cplusplus
}
#endif
#endif
