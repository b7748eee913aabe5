/* train/code_book.h - numbers in eight bits: 256 values between -1 (or 0) and 1, and one scale for a block of numbers.
 *
 * Dettmers, Lewis, Shleifer & Zettlemoyer, 8-bit Optimizers via Block-wise Quantization, 2021: the dynamic book has
 * seven decades, each with twice as many values as the one below, so that small numbers keep their size and large ones
 * their digits; a block's scale is its largest magnitude, so that an outlier costs its own block only. */
#ifndef TW_TRAIN_CODE_BOOK_H
#define TW_TRAIN_CODE_BOOK_H

#include "base/base.h"

typedef struct tw_code_book {
    float value[256];  /* ascending */
    float border[255]; /* half way between neighbours: what lies on it takes the lower code */
} tw_code_book;

/* Signed (for numbers of both signs) or not. */
void tw_code_book_dynamic(bool has_sign, tw_code_book *out_book);
/* Equal distances, for comparison. */
void tw_code_book_linear(bool has_sign, tw_code_book *out_book);

/* Nearest codes of x[0..n) by its scale: the largest magnitude, which is returned; all zero gives 0. Needs finite x. */
float tw_quantise(const tw_code_book *book, int64_t n, const float *x, uint8_t *codes);
void tw_dequantise(const tw_code_book *book, int64_t n, const uint8_t *codes, float scale, float *out);

#endif
