/* base/streams.h - who draws from which random stream. One seed, many independent uses; numbers never change
 * meaning, so that a seed keeps giving the same model. */
#ifndef TW_BASE_STREAMS_H
#define TW_BASE_STREAMS_H

typedef enum tw_stream {
    TW_STREAM_SPLIT = 1,      /* which row goes to train, validation, test */
    TW_STREAM_SYNTHETIC = 2,  /* built-in data sets (+ number << 8: texts) */
    TW_STREAM_INIT = 3,       /* initial weights (+ parameter number << 8) */
    TW_STREAM_TRAIN_ROW = 4,  /* rows of a batch */
    TW_STREAM_TRAIN_TIME = 5, /* times of a batch */
    TW_STREAM_TRAIN_SOURCE = 6,
    TW_STREAM_SAMPLE = 7,            /* source points when sampling */
    TW_STREAM_EVAL = 8,              /* projections, subsampling */
    TW_STREAM_PROBE = 9,             /* Hutchinson probes */
    TW_STREAM_STAND_IN = 10,         /* numbers in place of columns that never change */
    TW_STREAM_COUPLING = 11,         /* pairs drawn from a plan */
    TW_STREAM_TRAIN_NOISE = 12,      /* z of methods whose paths are noisy */
    TW_STREAM_TRAIN_TELL = 13,       /* which rows are told their condition */
    TW_STREAM_TEACHER = 14,          /* source points of a teacher's pairs */
    TW_STREAM_KINETIC = 15,          /* rows and noise that schedules are fitted to */
    TW_STREAM_NOISE = 16,            /* Brownian motions (+ level of the tree << 8 + number of the motion << 16) */
    TW_STREAM_GUESS = 17,            /* guesses that inverse problems begin with (+ 1 << 8: of the noise observed) */
    TW_STREAM_DROPOUT = 18,          /* units left out of a training step (+ number of the layer << 8) */
    TW_STREAM_DEQUANTISE = 19,       /* noise that whole numbers are scored with */
    TW_STREAM_TRAIN_FLIP = 20,       /* which pictures of a batch are mirrored */
    TW_STREAM_DEGRADE = 21,          /* noise that pictures are worsened with before they are restored */
    TW_STREAM_TRAIN_DEQUANTISE = 22, /* noise that whole numbers of a batch are trained with */
    TW_STREAM_TRAIN_SMOOTH = 23,     /* where around its data a row of a batch is */
    TW_STREAM_JUMP = 24, /* jumps of tokens (solve/jump_draw.h); + 1 << 8: tokens of a source; + 2 << 8: of bounds; + 3 << 8: of
                            those of edits */
    TW_STREAM_TRAIN_SHIFT = 29, /* how far pictures of a batch are moved */
    TW_STREAM_SPREAD = 30,      /* how a number of equal steps is spread over its step (+ its column << 8) */
    TW_STREAM_ALIGN = 32,       /* places of blanks, ties of alignments */
    TW_STREAM_EDIT_POINT = 33,  /* which of two aligned tokens a point has */
    TW_STREAM_EDIT = 34,        /* edits of a step */
    TW_STREAM_QUALITY = 40,     /* rows that tables are compared by (+ purpose << 8), folds of a classifier */
    TW_STREAM_MESH = 50,        /* points drawn on a mesh */
} tw_stream;

#endif
