/* flow/mixture.h - flows known exactly: data of a Gaussian mixture, source N(0, I), any affine path. What guidance,
 * inverse problems and samplers do can be held to closed forms on them, in tests and in studies (cli/measures.def).
 *
 *   V = alpha^2 s^2 + sigma^2,  w_k ~ exp(-|x - alpha m_k|^2 / 2V) over the components of the class told, if any,
 *   E[x_1 | x] = sum w_k (m_k + alpha s^2 / V (x - alpha m_k)),  E[x_0 | x] = sum w_k sigma / V (x - alpha m_k) */
#ifndef TW_FLOW_MIXTURE_H
#define TW_FLOW_MIXTURE_H

#include "method/method.h"

#include <thalweg/flow.h>

enum { TW_MIXTURE_COMPONENTS = 16 };

typedef struct tw_mixture {
    int columns, components;
    double deviation;     /* s, of every component in every column */
    const double *centre; /* (components, columns), NULL: all 0 */
    int classes;          /* 0: no condition */
    const int *class_of;  /* (components), with classes */
    const char *predict;  /* what a network would know of it, NULL: "velocity" */
} tw_mixture;

/* A flow with the mixture's velocity, in the units of the mixture and without weights worth the name; `schedule` NULL:
 * "condot". The mixture must outlive it. With classes it is told one condition, "class". */
TW_NODISCARD tw_status tw_flow_create_exact(tw_context *ctx, const tw_mixture *mixture, const char *schedule,
                                            tw_flow **out_flow);
/* Its velocity at x (B,D), t (B) along the model's schedule, told by what the model predicts; `condition` ones of
 * classes (B,C), zeros or TW_NONE: told nothing. */
tw_val tw_mixture_velocity(const tw_mixture *mixture, const tw_model *model, tw_val condition, tw_val x, tw_val t);

#endif
