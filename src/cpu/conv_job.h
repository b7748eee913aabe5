/* cpu/conv_job.h - how our convolution is cut: correlations along three axes, bands of pixels, padded windows, tables.
 *
 * Along an axis, target pixel first + j*jump sums source pixels j*step + offset + t*delta, each with weight
 * tap + t*tap_step, t < taps. Forward that is the definition with jump 1. For the gradient in the image (the transposed
 * convolution) the pixels first = 0 .. stride-1 modulo the stride each meet their own, evenly spaced subset of the
 * weights: one correlation of step 1 for each such phase, and nothing is scattered. */
#ifndef TW_CPU_CONV_JOB_H
#define TW_CPU_CONV_JOB_H

#include "cpu/conv.h"

typedef struct tw_conv_line {
    int64_t source, target; /* pixels of the two sides */
    int64_t count, first, jump;
    int64_t step, offset, delta; /* delta >= 1 */
    int64_t taps, tap, tap_step;
} tw_conv_line;

/* One phase, cut into bands: `rows` rows of `line[2].count` pixels of one plane of the target (the gradient in the
 * weights: of several images). Strides and offsets are in elements, the places of the parts of scratch memory in bytes. */
typedef struct tw_conv_job {
    tw_conv_line line[TW_MAX_SPATIAL];
    int64_t kernel[TW_MAX_SPATIAL];
    int64_t groups, channels, targets; /* of the source and of the target: all groups together */
    int64_t from, to;                  /* the same of one group */
    bool direct;                       /* the source is read where it lies */
    bool merged;                       /* a row of the kernel is one run of memory */
    bool depthwise;                    /* every channel a group */
    int64_t row, plane, image;         /* of what is read; plane: from one of the kernel to the next */
    int64_t rows, images;              /* of a band */
    int64_t segments, depth;           /* runs of memory under the kernel, and their length */
    int64_t size;                      /* bytes of an element */
    int64_t panel_at, window_at, bytes;
} tw_conv_job;

/* Bytes of a row of packed weights, at most: two vectors. */
enum { TW_CONV_PANEL = 128 };
/* So few channels of a result are computed one by one. */
enum { TW_CONV_FEW = 4 };

/* The number of phases along an axis, and the job of one. */
int64_t tw_conv_phases(tw_conv_pass pass, const tw_conv_sizes *z, int axis);
void tw_conv_job_make(tw_conv_job *j, tw_conv_pass pass, const tw_conv_sizes *z, const int64_t *phase, int64_t images,
                      size_t size);
/* Scratch memory of all phases. */
int64_t tw_conv_job_bytes(tw_conv_pass pass, const tw_conv_sizes *z, int64_t images, size_t size);

/* What the band of `rows` rows from `row` of target plane `plane` reads of `images` images at src: the address of the
 * first pixel's first value; a window in scratch memory unless the job is direct. */
const void *tw_conv_window(const tw_conv_job *j, const void *src, int64_t images, int64_t plane, int64_t row,
                           int64_t rows, void *scratch);
/* Each pixel of a band: where it reads relative to the first, and where it goes relative to the target's first pixel of
 * the band's first row. */
void tw_conv_pixels(const tw_conv_job *j, int64_t *source, int64_t *target);
/* Where each segment is relative to the pixel. */
void tw_conv_segments(const tw_conv_job *j, int64_t *source);
/* The first kernel position of a segment. */
int64_t tw_conv_weight(const tw_conv_job *j, int64_t segment);
/* Weights of all columns packed for one phase; 0: they are not (few channels, or one a group). */
int64_t tw_conv_packed(const tw_conv_job *j, int64_t columns);
/* Bytes of the weights of all phases packed. */
int64_t tw_conv_packed_bytes(tw_conv_pass pass, const tw_conv_sizes *z, size_t size);
/* Target element of the first pixel of a band. */
int64_t tw_conv_target(const tw_conv_job *j, int64_t plane, int64_t row);

#endif
