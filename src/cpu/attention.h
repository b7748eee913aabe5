/* cpu/attention.h - scaled dot-product attention of one batch row: the kernels' arguments.
 *
 * Every array holds tokens, and a token its heads: head h of token t begins at element t*step + h*head, so that q, k
 * and v may lie side by side in the result of one projection.
 *
 * y (queries, heads*width + heads) is the result: a token's outputs of all heads, then the heads' log-sum-exps of
 * scaled scores, from which the other kernels have the probabilities without maximum or sum. Both are 0 where a query
 * sees no key. Formulas: T. Dao, FlashAttention-2, 2023; the tangent follows from them. */
#ifndef TW_CPU_ATTENTION_H
#define TW_CPU_ATTENTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct tw_tokens {
    const void *at; /* NULL: zeros */
    int64_t step;   /* elements from one token to the next */
    int64_t head;   /* elements from one head to the next */
} tw_tokens;

typedef struct tw_attention_shape {
    int64_t queries, keys, heads, depth, width; /* depth: of q and k; width: of v */
    double scale;                               /* > 0 */
    bool causal;                                /* query i sees keys 0..i */
} tw_attention_shape;

typedef struct tw_attention_row {
    tw_tokens q, k, v;
    tw_tokens y;          /* tangent, gradient: the result of the forward kernel */
    tw_tokens dq, dk, dv; /* tangent */
    tw_tokens dy;         /* gradient: cotangents of y, without those of the log-sum-exps when `outputs_only` */
    bool outputs_only;
    const uint8_t *visible; /* NULL or one flag a key */
    int64_t length;         /* keys before this one are seen */
    int64_t first, heads;   /* the heads to compute: of each its part of the result */
    void *out;
    int64_t out_step;
    void *scratch; /* 64-byte aligned, tw_attention_scratch() bytes */
} tw_attention_row;

/* forward:  out = y.
 * tangent:  out = tangents of y along dq, dk, dv.
 * gradient: out (max(queries, keys), heads*depth + heads*depth + heads*width) = a token's gradients of q, k and v
 *           behind each other, zero where a token has none. */
typedef void (*tw_attention_fn)(const tw_attention_shape *a, const tw_attention_row *row);

typedef enum tw_attention_kind { TW_ATTENTION_FORWARD, TW_ATTENTION_TANGENT, TW_ATTENTION_GRADIENT } tw_attention_kind;

/* How tiles are cut: by shapes alone, whatever the instruction set. */
enum {
    TW_ATTENTION_KEYS = 384,    /* most keys of a tile, forward and tangent: a strip of scores stays in L1 */
    TW_ATTENTION_QUERIES = 112, /* queries that share a tile of keys; keys of a tile in the gradient */
    TW_ATTENTION_ACROSS = 192   /* most queries of a tile in the gradient, where two strips stay in L1 */
};

/* The size of nearly equal tiles of at most `most`, a multiple of 32. */
static inline int64_t tw_attention_tile(int64_t n, int64_t most)
{
    int64_t count = n > 0 ? (n + most - 1) / most : 1;
    return ((n + count - 1) / count + 31) / 32 * 32 + (n > 0 ? 0 : 32);
}

/* Bytes of scratch memory one call needs; grows with queries + keys, never with their product. */
size_t tw_attention_scratch(const tw_attention_shape *a, tw_attention_kind kind, size_t element);

#endif
