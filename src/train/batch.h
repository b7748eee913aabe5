/* train/batch.h - what a batch is made of, as values of a graph: rows of the data, source points, conditions. They are
 * drawn inside the training step, or by the producer's small program when a coupling has to see the points first. */
#ifndef TW_TRAIN_BATCH_H
#define TW_TRAIN_BATCH_H

#include "space/space.h"

/* What is fed from outside: tables that rows are drawn from, or the batch itself. */
enum { TW_FEED_DATA, TW_FEED_SOURCE, TW_FEED_CONDITION, TW_FEED_WIDTH, TW_FEEDS };

typedef struct tw_batch_desc {
    int batch, columns;  /* rows; numbers of a point */
    int64_t rows;        /* of the data */
    int64_t source_rows; /* of a table of source points; 0: the flow's source draws them */
    bool given;          /* source row i belongs to data row i */
    int conditions;      /* columns of the conditions, 0: none */
    tw_dtype dtype;
    tw_image image;        /* what rows are when they are pictures */
    bool packed[TW_FEEDS]; /* tables of their bytes (train/pixels.h), not of numbers */
    bool runs_on;          /* a row of data goes on in the next one: rows begin anywhere */
    const float *noise;    /* (columns) width of uniform noise around the data, NULL: none */
    bool smooth;           /* rows are drawn around those of the data, each by its width (train/widths.h), */
    bool kernels;          /* or, of methods that know the law around each, stay where they are and have widths */
    bool flip;             /* half of the pictures, by seed and step, are mirrored */
    int shift;             /* and all moved by up to so many pixels either way */
} tw_batch_desc;

typedef struct tw_batch {
    tw_val x0, x1;    /* (batch, columns) */
    tw_val condition; /* (batch, conditions), or TW_NONE */
    tw_val width;     /* (batch, 1), or TW_NONE */
    /* for methods of kernels, all of few data that are points as the table has them: (rows, columns), (rows, 1) */
    tw_val data, all_widths;
} tw_batch;

/* Inputs for tables, TW_NONE where there is none, and a batch drawn from them by key and counter. */
void tw_batch_tables(tw_graph *graph, const tw_batch_desc *desc, tw_val out_feed[TW_FEEDS]);
tw_batch tw_batch_draw(const tw_space *space, const tw_piece *source, const tw_batch_desc *desc,
                       const tw_val feed[TW_FEEDS], tw_val key, tw_val counter);
/* Inputs for a batch that is drawn elsewhere. */
tw_batch tw_batch_inputs(tw_graph *graph, const tw_batch_desc *desc, tw_val out_feed[TW_FEEDS]);

#endif
