/* train/code_book.c - see code_book.h. */
#include "train/code_book.h"

#include <math.h>
#include <string.h>

enum {
    CELL_BITS = 16,
    LOWEST_CELL = (127 - 23) << 7
}; /* cells of 1/128 of an octave from 2^-23, which is coded as 0 */

static int32_t bits_of(float x)
{
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float of_bits(int32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Decade i holds the middles of 2^i equal parts of [0.1, 1] on either side, or of 2^(i+1) on one; then 0 and 1. */
void tw_code_book_dynamic(bool has_sign, tw_code_book *book)
{
    int count = 0;
    float magnitude[256];
    magnitude[count++] = 0.0f;
    for (int decade = 0; decade < 7; decade++) {
        int parts = has_sign ? 1 << decade : 2 << decade;
        double scale = pow(10.0, decade - 6);
        for (int k = 0; k < parts; k++) magnitude[count++] = (float)(scale * (0.1 + 0.9 * (k + 0.5) / parts));
    }
    magnitude[count++] = 1.0f;
    book->magnitudes = count;
    book->zero = 256 - count;
    for (int i = 0; i < 256; i++)
        book->value[i] = i < book->zero ? -magnitude[book->zero - i] : magnitude[i - book->zero];
    for (int i = 0; i < 256; i++) book->border[i] = i < count - 1 ? 0.5f * (magnitude[i] + magnitude[i + 1]) : INFINITY;
    for (int cell = 0, below = 0; cell < TW_CODE_CELLS; cell++) {
        float least = of_bits((cell + LOWEST_CELL) << CELL_BITS);
        while (book->border[below] < least) below++;
        book->below[cell] = (uint8_t)below;
    }
}

static uint8_t nearest(const tw_code_book *book, float magnitude, bool negative)
{
    int32_t cell = (bits_of(magnitude) >> CELL_BITS) - LOWEST_CELL;
    cell = cell < 0 ? 0 : cell >= TW_CODE_CELLS ? TW_CODE_CELLS - 1 : cell;
    int rank = book->below[cell];
    rank += book->border[rank] < magnitude;
    if (!negative) return (uint8_t)(book->zero + rank);
    return (uint8_t)(rank > book->zero ? 0 : book->zero - rank); /* there is no -1 */
}

float tw_quantise(const tw_code_book *book, int64_t n, const float *x, uint8_t *codes)
{
    int32_t most = 0; /* magnitudes are ordered as their bits are */
    for (int64_t i = 0; i < n; i++) most = bits_of(fabsf(x[i])) > most ? bits_of(fabsf(x[i])) : most;
    float scale = of_bits(most), divisor = most > 0 ? scale : 1.0f;
    for (int64_t i = 0; i < n; i++) /* divided, not multiplied by an inverse: the largest is 1 exactly */
        codes[i] = nearest(book, fabsf(x[i]) / divisor, x[i] < 0.0f);
    return scale;
}

void tw_dequantise(const tw_code_book *book, int64_t n, const uint8_t *codes, float scale, float *out)
{
    for (int64_t i = 0; i < n; i++) out[i] = book->value[codes[i]] * scale;
}
