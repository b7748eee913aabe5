/* pictures.h - the pictures several verbs draw: points and curves of tables, tiles for rows that are pictures; and
 * samples that are pictures as files. */
#ifndef THALWEG_CLI_PICTURES_H
#define THALWEG_CLI_PICTURES_H

#include "model.h"

/* Rows that are pictures of bytes, grey or in colour. Images of other numbers - latents of an autoencoder, values of -1
 * to 1 - are rows of numbers to the program: as bytes they would be cut off. */
bool is_pictures(const model *m);
/* Those, and pictures whose pixels are levels (--levels), which are tokens but where somebody looks at them. */
bool shows_pictures(const model *m);
/* The condition that says what class a picture is: the first that has classes, or -1. */
int class_condition(const tw_flow_desc *about);

/* Rows to draw, and what is known of them. */
typedef struct drawn {
    const model *m;
    int64_t n;
    const double *rows;       /* (n, columns), or of a flow (frames, n, columns) */
    const double *conditions; /* (n, conditions), or one row for all; NULL: nothing */
    bool same;
    int64_t between;            /* > 0: so many rows are between each two that were given (--interpolate) */
    const double *seen, *truth; /* what they were to agree with, and as they were, (n, columns); NULL: nothing */
} drawn;

/* Samples: points, or tiles with a line for each class; beside what was seen of them. */
TW_NODISCARD tw_status plot_samples(tw_context *ctx, const char *path, const drawn *d);
/* The flow from source to data in `frames` equal times, of which at most a few thousand rows are drawn; `moving`: as an
 * animation. */
TW_NODISCARD tw_status plot_flow(tw_context *ctx, const char *path, const drawn *d, int frames, bool moving);
/* Two sets of rows beside each other. */
TW_NODISCARD tw_status plot_both(tw_context *ctx, const char *path, const char *title, const drawn *d,
                                 const char *other_title, const drawn *other);

/* Pictures as they are, FOLDER/00001-CLASS.png, ...; or all as one array (n, H, W, C) of bytes. */
TW_NODISCARD tw_status write_picture_folder(tw_context *ctx, const char *folder, const drawn *d);
TW_NODISCARD tw_status write_picture_array(tw_context *ctx, const char *path, const drawn *d);

#endif
