/* flow/observation.h - what was observed of rows, y = A x + noise, in the flow's normalised units and turned so that
 * all that inverse problems ask is a sum over measures.
 *
 * A's measures are replaced by U' A with the eigenvectors U of A A': rows that are orthogonal, under noise that is the
 * same as before. Then A' (S + r^2 A A')^{-1} (y - A x) is one pass over them whatever r is. Columns that are observed
 * themselves are such rows already, another set for every row of the data. */
#ifndef TW_FLOW_OBSERVATION_H
#define TW_FLOW_OBSERVATION_H

#include <thalweg/steer.h>

typedef struct tw_observation {
    int columns, width; /* of x, of y */
    bool same;          /* one y for all */
    double *y;          /* (n or 1, width); NaN: not observed */
    double *variance;   /* (width) of the noise */
    double *row;        /* (width, columns), orthogonal; NULL: the columns themselves */
    double *length2;    /* (width) squares of their lengths; NULL likewise */
} tw_observation;

TW_NODISCARD tw_status tw_observation_make(tw_flow *flow, int64_t n, const tw_inverse_desc *desc, tw_observation *out);
void tw_observation_free(tw_context *ctx, tw_observation *o);

/* out = A' (S + spread A A')^{-1} (y - A x + shake), with spread < 0: A' (y - A x + shake). x, out (columns); shake
 * (width) or NULL. Returns |y - A x + shake|^2. */
double tw_observation_pull(const tw_observation *o, int64_t row, const double *x, double spread, const double *shake,
                           double *out);

#endif
