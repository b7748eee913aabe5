/* train/pixels.h - pictures inside the training step: their table stays bytes, four to a word; what is drawn from it
 * becomes numbers in [-1,1], now and then mirrored.
 *
 * The graph has no bytes and no shifts, and needs none: a word masked to one of its bytes is that byte times a power of
 * 256, which floats hold exactly and are divided by exactly. */
#ifndef TW_TRAIN_PIXELS_H
#define TW_TRAIN_PIXELS_H

#include "data/normaliser.h"

#include <thalweg/graph.h>

/* Words of a row of bytes that is padded to whole words. */
static inline int64_t tw_pixel_words(int64_t columns)
{
    return (columns + 3) / 4;
}

/* words u32 (B, tw_pixel_words(columns)), bytes from the least significant on -> (B, columns) in [-1,1]. */
tw_val tw_pixels_unpack(tw_val words, int64_t columns, tw_dtype dtype);
/* Rows (B, H W C) whose coin (B), bool, is true, left and right swapped. */
tw_val tw_pixels_mirror(tw_val rows, tw_image image, tw_val coin);
/* Rows moved by offset (B,2), i32: pixel (y, x) becomes what pixel (y + offset_y, x + offset_x) was, or the nearest at
 * an edge. */
tw_val tw_pixels_shift(tw_val rows, tw_image image, tw_val offset);

#endif
