/* train/code_book.h - numbers in eight bits: 256 values between -1 (or 0) and 1, and one scale for a block of numbers.
 *
 * Dettmers, Lewis, Shleifer & Zettlemoyer, 8-bit Optimizers via Block-wise Quantization, 2021: the dynamic book has
 * seven decades, each with twice as many values as the one below, so that small numbers keep their size and large ones
 * their digits; a block's scale is its largest magnitude, so that an outlier costs its own block only. */
#ifndef TW_TRAIN_CODE_BOOK_H
#define TW_TRAIN_CODE_BOOK_H

#include "base/base.h"

enum { TW_CODE_CELLS = 2945 };

typedef struct tw_code_book {
    float value[256]; /* ascending */
    /* Magnitudes, from 0 to 1: borders half way between neighbours - what lies on one is the smaller -, and by the
     * upper half of a float's bits how many borders lie below the least float that has it; none has two between. */
    int magnitudes, zero; /* how many; the code of 0 */
    float border[256];
    uint8_t below[TW_CODE_CELLS];
} tw_code_book;

/* The dynamic book: signed (for numbers of both signs) or not. */
void tw_code_book_dynamic(bool has_sign, tw_code_book *out_book);

/* Nearest codes of x[0..n) by its scale: the largest magnitude, which is returned; all zero gives 0. Numbers that are
 * not finite give codes without meaning. */
float tw_quantise(const tw_code_book *book, int64_t n, const float *x, uint8_t *codes);
void tw_dequantise(const tw_code_book *book, int64_t n, const uint8_t *codes, float scale, float *out);

#endif
