/* graph/types.c - number types and shapes: sizes, names, text, elements of constants. */
#include "graph/node.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

size_t tw_dtype_size(tw_dtype dtype)
{
    switch (dtype) {
    case TW_DTYPE_F64:
        return 8;
    case TW_DTYPE_BOOL:
        return 1;
    case TW_DTYPE_BF16:
        return 2;
    case TW_DTYPE_F32:
    case TW_DTYPE_I32:
    case TW_DTYPE_U32:
        break;
    }
    return 4;
}

const char *tw_dtype_name(tw_dtype dtype)
{
    switch (dtype) {
    case TW_DTYPE_F32:
        return "f32";
    case TW_DTYPE_F64:
        return "f64";
    case TW_DTYPE_I32:
        return "i32";
    case TW_DTYPE_U32:
        return "u32";
    case TW_DTYPE_BOOL:
        return "bool";
    case TW_DTYPE_BF16:
        return "bf16";
    }
    return "?";
}

tw_shape tw_shape_make(int rank, const int64_t *dim)
{
    tw_shape shape = {0};
    if (rank < 0 || rank > TW_MAX_RANK) {
        shape.rank = -1;
        return shape;
    }
    shape.rank = rank;
    for (int i = 0; i < rank; i++) shape.dim[i] = dim[i];
    return shape;
}

int64_t tw_shape_size(tw_shape shape)
{
    int64_t size = 1;
    for (int i = 0; i < shape.rank; i++) size *= shape.dim[i];
    return size;
}

bool tw_shape_equal(tw_shape a, tw_shape b)
{
    if (a.rank != b.rank) return false;
    for (int i = 0; i < a.rank; i++)
        if (a.dim[i] != b.dim[i]) return false;
    return true;
}

/* The product of the dims other than 0 is bounded, so that strides of empty arrays cannot overflow either. */
bool tw_shape_is_valid(tw_shape shape)
{
    if (shape.rank < 0 || shape.rank > TW_MAX_RANK) return false;
    int64_t product = 1;
    for (int i = 0; i < shape.rank; i++) {
        int64_t dim = shape.dim[i];
        if (dim < 0) return false;
        if (dim > 0 && __builtin_mul_overflow(product, dim, &product)) return false;
        if (product > INT64_MAX / 64) return false;
    }
    return true;
}

tw_shape_text tw_shape_show(tw_shape shape)
{
    tw_shape_text out = {"("};
    size_t at = 1;
    for (int i = 0; i < shape.rank && i < TW_MAX_RANK; i++) {
        int n = snprintf(out.text + at, sizeof out.text - at, i ? ",%" PRId64 : "%" PRId64, shape.dim[i]);
        if (n > 0) at += (size_t)n;
    }
    snprintf(out.text + at, sizeof out.text - at, ")");
    return out;
}

void tw_shape_unravel(tw_shape shape, int64_t i, int64_t *index)
{
    for (int k = shape.rank - 1; k >= 0; k--) {
        index[k] = i % shape.dim[k];
        i /= shape.dim[k];
    }
}

int64_t tw_shape_ravel(tw_shape shape, const int64_t *index)
{
    int64_t i = 0;
    for (int k = 0; k < shape.rank; k++) i = i * shape.dim[k] + index[k];
    return i;
}

double tw_load_element(const void *data, tw_dtype dtype, int64_t i)
{
    size_t size = tw_dtype_size(dtype);
    union {
        float f32;
        double f64;
        int32_t i32;
        uint32_t u32;
        uint8_t truth;
        uint16_t bf16;
    } element;
    memcpy(&element, (const unsigned char *)data + (size_t)i * size, size);
    switch (dtype) {
    case TW_DTYPE_F32:
        return (double)element.f32;
    case TW_DTYPE_F64:
        return element.f64;
    case TW_DTYPE_I32:
        return element.i32;
    case TW_DTYPE_U32:
        return element.u32;
    case TW_DTYPE_BOOL:
        return element.truth != 0;
    case TW_DTYPE_BF16:
        element.u32 = (uint32_t)element.bf16 << 16;
        return (double)element.f32;
    }
    return 0.0;
}

double tw_const_element(const tw_graph *g, const tw_node *node, int64_t i)
{
    return tw_load_element(tw_node_data(g, node), (tw_dtype)node->dtype, i);
}

/* Integers beyond the range wrap modulo 2^32, as arithmetic on the device does; what is no number becomes 0. */
static uint32_t wrap_u32(double value)
{
    if (!isfinite(value)) return 0;
    double rest = fmod(trunc(value), 0x1p32);
    return (uint32_t)(int64_t)rest;
}

uint16_t tw_bf16_round(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return (uint16_t)(bits >> 16 | 0x40); /* NaN stays one */
    return (uint16_t)((bits + 0x7FFFu + (bits >> 16 & 1)) >> 16);
}

void tw_store_element(void *data, tw_dtype dtype, int64_t i, double value)
{
    unsigned char *at = (unsigned char *)data + (size_t)i * tw_dtype_size(dtype);
    float narrow = (float)value;
    uint32_t word = wrap_u32(value);
    switch (dtype) {
    case TW_DTYPE_F32:
        memcpy(at, &narrow, sizeof narrow);
        break;
    case TW_DTYPE_F64:
        memcpy(at, &value, sizeof value);
        break;
    case TW_DTYPE_I32:
    case TW_DTYPE_U32:
        memcpy(at, &word, sizeof word);
        break;
    case TW_DTYPE_BOOL:
        *at = value != 0.0;
        break;
    case TW_DTYPE_BF16: {
        uint16_t half = tw_bf16_round(narrow);
        memcpy(at, &half, sizeof half);
        break;
    }
    }
}
