/* train/tables.h - what a training reads, as tables of normalised floats: rows of the data, source points, conditions,
 * each for training and held out; or pairs that a teacher makes. Pictures stay the bytes of their data set.
 *
 * Reflow (Liu, Gong, Liu 2023, Flow straight and fast, algorithm 1): the pairs are source points and where a trained
 * flow takes them. They are made once, in the teacher's normalised units, which the student takes over. */
#ifndef TW_TRAIN_TABLES_H
#define TW_TRAIN_TABLES_H

#include "flow/flow.h"
#include "train/batch.h"

#include <thalweg/train.h>

typedef struct tw_table_set {
    int64_t rows, source_rows;       /* of data and conditions, of source points (0: the flow's source draws them) */
    float *feed[TW_FEEDS];           /* NULL where there is none */
    const uint8_t *packed[TW_FEEDS]; /* instead: pictures (train/pixels.h), of the data set */
    bool runs_on;                    /* a row of tokens goes on in the next one: rows may begin anywhere */
} tw_table_set;

typedef struct tw_tables {
    tw_table_set train, held; /* held.rows is 0 without held-out rows */
    tw_normaliser normaliser;
    int *constant; /* columns, see flow/flow.h */
    float *noise;  /* (columns) width of a whole number in normalised units, NULL: rows are not dequantised */
    uint64_t hash; /* of all that is read */
} tw_tables;

/* Checks data, source and teacher against the flow, then reads or makes the tables. Options have their defaults. Free
 * what was made, also after a failure. */
TW_NODISCARD tw_status tw_tables_make(tw_flow *flow, const tw_dataset *data, const tw_train_desc *options,
                                      tw_tables *out_tables);
/* The tables as programs take them. */
void tw_table_set_feeds(const tw_table_set *set, const void *out_feed[TW_FEEDS]);
/* Row `row` of a table of points in normalised units. */
void tw_table_set_point(const tw_table_set *set, int feed, int64_t row, int columns, float *out);
void tw_table_set_free(tw_context *ctx, tw_table_set *set);
void tw_tables_free(tw_context *ctx, tw_tables *tables);

#endif
