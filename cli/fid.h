/* fid.h - `eval --inception FILE`: the Frechet distance of FID, in features of the Inception network that the user has
 * (eval/inception.h). */
#ifndef THALWEG_CLI_FID_H
#define THALWEG_CLI_FID_H

#include "judge.h"

#include "eval/inception.h"

typedef struct fid {
    const char *file;      /* of --inception; NULL: not asked for, and nothing below is there */
    tw_inception *network; /* NULL again once it is measured */
    judged_pair distance;  /* the floor is NaN where fewer training pictures are known */
    int64_t pairs;         /* pictures on each side */
} fid;

/* Reads the network, early: a wrong file is told of before samples are drawn. */
TW_NODISCARD tw_status fid_open(cli *c, const model *m, fid *out);
/* Samples, and training pictures, against held-out ones. */
TW_NODISCARD tw_status fid_measure(const comparison *d, fid *f);
void fid_close(fid *f);
void fid_text(const fid *f, tw_text *out);
void fid_json(const fid *f, cJSON *object);

#endif
