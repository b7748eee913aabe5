/* train/code_book.c - see code_book.h. */
#include "train/code_book.h"

#include <math.h>
#include <stdlib.h>

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void finish(tw_code_book *book)
{
    qsort(book->value, 256, sizeof *book->value, by_value);
    for (int i = 0; i < 255; i++) book->border[i] = 0.5f * (book->value[i] + book->value[i + 1]);
}

/* Decade i holds the middles of 2^i equal parts of [0.1, 1] on either side, or of 2^(i+1) on one; then 0 and 1. */
void tw_code_book_dynamic(bool has_sign, tw_code_book *book)
{
    int count = 0;
    for (int decade = 0; decade < 7; decade++) {
        int parts = has_sign ? 1 << decade : 2 << decade;
        double scale = pow(10.0, decade - 6);
        for (int k = 0; k < parts; k++) {
            float value = (float)(scale * (0.1 + 0.9 * (k + 0.5) / parts));
            book->value[count++] = value;
            if (has_sign) book->value[count++] = -value;
        }
    }
    book->value[count++] = 0.0f;
    book->value[count++] = 1.0f;
    finish(book);
}

void tw_code_book_linear(bool has_sign, tw_code_book *book)
{
    for (int i = 0; i < 256; i++) book->value[i] = has_sign ? (float)(2.0 * i / 255.0 - 1.0) : (float)(i / 255.0);
    finish(book);
}

/* The number of borders below x, by halving. */
static uint8_t nearest(const tw_code_book *book, float x)
{
    int code = 0;
    for (int step = 128; step > 0; step /= 2) code += book->border[code + step - 1] < x ? step : 0;
    return (uint8_t)code;
}

float tw_quantise(const tw_code_book *book, int64_t n, const float *x, uint8_t *codes)
{
    float most = 0.0f;
    for (int64_t i = 0; i < n; i++) most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
    if (most > 0.0f) /* divided, not multiplied by an inverse: the largest is 1 exactly */
        for (int64_t i = 0; i < n; i++) codes[i] = nearest(book, x[i] / most);
    else
        for (int64_t i = 0; i < n; i++) codes[i] = nearest(book, 0.0f);
    return most;
}

void tw_dequantise(const tw_code_book *book, int64_t n, const uint8_t *codes, float scale, float *out)
{
    for (int64_t i = 0; i < n; i++) out[i] = book->value[codes[i]] * scale;
}
