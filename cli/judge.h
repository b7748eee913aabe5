/* judge.h - what eval asks of pictures: a classifier of the training data judges them and gives the features in which
 * samples are compared with held-out pictures; and which training pictures are nearest to samples. */
#ifndef THALWEG_CLI_JUDGE_H
#define THALWEG_CLI_JUDGE_H

#include "distances.h"
#include "pictures.h"

/* Of samples against held-out pictures, and of as many training pictures; NaN: not known. */
typedef struct judged_pair {
    double value, floor;
} judged_pair;

/* The line above such pairs in a report, a pair's line, with the ratio of both where that means something, and "NAME"
 * and "NAME_floor". */
void judged_pair_head(tw_text *out);
void judged_pair_text(tw_text *out, const char *name, judged_pair p, bool ratio);
void judged_pair_json(cJSON *object, const char *name, judged_pair p);

typedef struct judgement {
    bool judged;           /* else there were no classes to learn */
    char file[MODEL_PATH]; /* of the classifier */
    double accuracy;       /* of the classifier, on held-out pictures */
    judged_pair right;     /* share of pictures taken for what they were to be; the floor is the held-out pictures' */
    judged_pair frechet, precision, recall;
    int64_t pairs; /* pictures on each side */
    /* median distance in pixels, root mean square, of samples and of held-out pictures to the nearest training picture
     */
    judged_pair nearest;
    char neighbours[MODEL_PATH]; /* the picture of samples and their nearest training pictures; "": none */
} judgement;

/* Judges d's samples. The classifier is read from --classifier, else from FOLDER, or trained and written there; the
 * picture of neighbours goes to FOLDER too. Both need the training data. */
TW_NODISCARD tw_status judge_pictures(comparison *d, const char *folder, judgement *out);
void judgement_text(const judgement *j, tw_text *out);
void judgement_json(const judgement *j, cJSON *object);

#endif
