/* measures.h - what a study can measure: numbers about a trained flow, and numbers of algorithms alone. */
#ifndef THALWEG_CLI_MEASURES_H
#define THALWEG_CLI_MEASURES_H

#include "model.h"

/* What an experiment that serves several measures found; a study keeps the last ones. */
typedef struct finding {
    const char *of; /* a name that is the experiment's own; NULL: nothing yet */
    uint64_t seed;
    int64_t steps;
    double value[4];
} finding;

enum { FINDINGS = 4 };
typedef struct findings {
    int next;
    finding last[FINDINGS];
} findings;

/* What is measured now. */
typedef struct subject {
    cli *c;             /* settings of eval; the context is there */
    const char *folder; /* run of the flow, NULL for measures of algorithms */
    findings *found;
} subject;

typedef struct measured {
    double value;
    double floor; /* the best value to expect of finite data, NAN: not known */
} measured;

/* The flow, its held-out rows and the solver that the settings ask for; close both. */
TW_NODISCARD tw_status subject_open(const subject *s, bool training, model *m, held_out *h, tw_ode_desc *solver);

/* The data of the flow that measures know exactly: eight normal bumps of deviation 0.3 on a circle of radius 4.
 * `centre` is memory of the mixture. */
enum { BUMPS = 8 };
struct tw_mixture;
void bumps_mixture(double centre[2 * BUMPS], struct tw_mixture *out);

typedef struct measure {
    const char *name, *about;
    bool of_flow; /* needs a flow */
    tw_status (*take)(const subject *s, measured *out);
} measure;

const measure *measure_list(int index); /* NULL past the end */
const measure *measure_find(const char *name);

#define MEASURE(name, of_flow, about) tw_status measure_##name(const subject *s, measured *out);
#include "measures.def"

#endif
