/* cpu/cpu.c - which kernels to run, and strided copies. */
#include "cpu/kernels.h"

#include <stdlib.h>
#include <string.h>

int tw_cpu_variants(const tw_cpu *out_variants[3])
{
    int count = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
    bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
              __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
    bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
              __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
              __builtin_cpu_supports("avx512vl");
    if (v4) out_variants[count++] = &tw_cpu_v4;
    if (v3) out_variants[count++] = &tw_cpu_v3;
#endif
    out_variants[count++] = &tw_cpu_generic;
    return count;
}

const tw_cpu *tw_cpu_best(void)
{
    const tw_cpu *variants[3];
    int count = tw_cpu_variants(variants);
    const char *wanted = getenv("TW_CPU");
    for (int i = 0; wanted && i < count; i++)
        if (strcmp(variants[i]->name, wanted) == 0) return variants[i];
    return variants[0];
}

bool tw_cpu_has_bf16(void)
{
#if defined(__x86_64__)
    return tw_cpu_best() == &tw_cpu_v4 && __builtin_cpu_supports("avx512bf16");
#else
    return false;
#endif
}

const tw_product *tw_cpu_product(tw_product_kind kind)
{
#if defined(__x86_64__)
    if (kind == TW_PRODUCT_BF16 && tw_cpu_has_bf16()) return &tw_product_bf16;
#endif
    return tw_cpu_best()->product[kind];
}

typedef struct walk {
    int rank;
    int64_t dim[TW_MAX_RANK], from[TW_MAX_RANK], to[TW_MAX_RANK]; /* from, to: strides in elements */
} walk;

/* Leaves out dims of 1 and joins neighbours that are contiguous in both arrays. False when there is nothing to copy. */
static bool simplify(int rank, const int64_t *dim, const int64_t *from, const int64_t *to, walk *out)
{
    out->rank = 0;
    for (int i = 0; i < rank; i++) {
        if (dim[i] <= 0) return false;
        if (dim[i] == 1) continue;
        int last = out->rank - 1;
        if (last >= 0 && out->from[last] == dim[i] * from[i] && out->to[last] == dim[i] * to[i]) {
            out->dim[last] *= dim[i];
        } else {
            last = out->rank++;
            out->dim[last] = dim[i];
        }
        out->from[last] = from[i];
        out->to[last] = to[i];
    }
    return true;
}

static void copy_4(int64_t n, const char *src, int64_t from, char *dst, int64_t to)
{
    for (int64_t i = 0; i < n; i++) memcpy(dst + 4 * i * to, src + 4 * i * from, 4);
}

static void copy_8(int64_t n, const char *src, int64_t from, char *dst, int64_t to)
{
    for (int64_t i = 0; i < n; i++) memcpy(dst + 8 * i * to, src + 8 * i * from, 8);
}

static void copy_row(size_t element, int64_t n, const char *src, int64_t from, char *dst, int64_t to)
{
    int64_t bytes = (int64_t)element;
    if (from == 1 && to == 1)
        memcpy(dst, src, (size_t)n * element);
    else if (element == 4)
        copy_4(n, src, from, dst, to);
    else if (element == 8)
        copy_8(n, src, from, dst, to);
    else
        for (int64_t i = 0; i < n; i++) memcpy(dst + bytes * i * to, src + bytes * i * from, element);
}

/* Two inner axes that run across each other (a transposition) are copied in squares that fit L1. */
static void copy_plane(size_t element, const walk *w, int axis, const char *src, char *dst)
{
    enum { SIDE = 32 };
    int64_t bytes = (int64_t)element, rows = w->dim[axis], columns = w->dim[axis + 1];
    int64_t side = w->from[axis + 1] != 1 || w->to[axis + 1] != 1 ? SIDE : columns;
    for (int64_t j = 0; j < columns; j += side)
        for (int64_t i = 0; i < rows; i++)
            copy_row(element, tw_min_i64(side, columns - j), src + bytes * (i * w->from[axis] + j * w->from[axis + 1]),
                     w->from[axis + 1], dst + bytes * (i * w->to[axis] + j * w->to[axis + 1]), w->to[axis + 1]);
}

static void copy_axis(size_t element, const walk *w, int axis, const char *src, char *dst)
{
    int64_t bytes = (int64_t)element;
    if (axis + 2 == w->rank) {
        copy_plane(element, w, axis, src, dst);
        return;
    }
    for (int64_t i = 0; i < w->dim[axis]; i++)
        copy_axis(element, w, axis + 1, src + bytes * i * w->from[axis], dst + bytes * i * w->to[axis]);
}

void tw_cpu_copy(size_t element, int rank, const int64_t *dim, const void *src, const int64_t *src_stride, void *dst,
                 const int64_t *dst_stride)
{
    walk w;
    if (!simplify(rank, dim, src_stride, dst_stride, &w)) return;
    if (w.rank == 0)
        memcpy(dst, src, element);
    else if (w.rank == 1)
        copy_row(element, w.dim[0], src, w.from[0], dst, w.to[0]);
    else
        copy_axis(element, &w, 0, src, dst);
}

/* The most any instruction set takes: panels of 32 columns, strips of 14 rows; 32 elements lost to rounding an array.
 */
size_t tw_attention_scratch(const tw_attention_shape *a, tw_attention_kind kind, size_t element)
{
    int64_t queries = (a->queries + 31) / 32 * 32, keys = (a->keys + 31) / 32 * 32, strip = 14;
    int64_t depth = (a->depth + 31) / 32 * 32, width = (a->width + 31) / 32 * 32, count;
    if (kind == TW_ATTENTION_GRADIENT)
        count = queries * (3 * depth + 2 * width + 2) + TW_ATTENTION_QUERIES * (2 * depth + width) +
                strip * (depth + width + 2 * TW_ATTENTION_ACROSS) + TW_ATTENTION_QUERIES * (TW_ATTENTION_ACROSS + 16);
    else
        count =
            keys * 2 * (depth + width) + strip * 2 * (depth + TW_ATTENTION_KEYS) + TW_ATTENTION_QUERIES * (width + 2);
    return (size_t)(count + 16 * 32) * element;
}
