/* train/moment8.h - moments of an optimiser in eight bits, as nodes of the step: a byte of state a weight instead of
 * four.
 *
 * Dettmers et al., 2021 (code_book.h). A moment is kept as u32 words, line by line of the last axis: the scales of the
 * line's blocks, then four codes a word. Lines rather than the paper's runs of 2048 numbers, so that the rows of a
 * weight, its gradient and its moments can be worked on together; blocks are smaller, and so are errors. The step reads
 * a moment, updates it in f32 by whatever rule, and keeps it again. */
#ifndef TW_TRAIN_MOMENT8_H
#define TW_TRAIN_MOMENT8_H

#include "train/code_book.h"

#include <thalweg/graph.h>

enum {
    TW_MOMENT8_BLOCK = 256, /* numbers a scale, at most */
    TW_MOMENT8_LINE = 32    /* vectors and what has shorter lines stay f32: little memory, which scales would eat up */
};

/* The codes of one moment: what its nodes read while a program runs, so it must outlive program and graph. */
typedef struct tw_moment8 {
    tw_code_book book;
    tw_custom read, keep;
} tw_moment8;

/* A moment of both signs, or of none below zero. `out` must not move afterwards. */
void tw_moment8_init(bool has_sign, tw_moment8 *out);

/* What keeps the moment of a weight: words (..., scales + codes), or the weight's own shape where that stays f32. */
bool tw_moment8_fits(tw_shape weight);
tw_shape tw_moment8_shape(tw_shape weight);

/* Numbers of the shape and type of `like` (the weight) from words; words of zero are zeros. */
tw_val tw_moment8_read(const tw_moment8 *moment, tw_val words, tw_val like);
/* Words from numbers. */
tw_val tw_moment8_keep(const tw_moment8 *moment, tw_val numbers);

#endif
