/* measures.h - what a study can measure: numbers about a trained flow, and numbers of algorithms alone. */
#ifndef THALWEG_CLI_MEASURES_H
#define THALWEG_CLI_MEASURES_H

#include "score.h"

/* What an experiment that serves several measures found; a study keeps the last ones. */
typedef struct finding {
    const char *of; /* a name that is the experiment's own; NULL: nothing yet */
    uint64_t seed;
    int64_t steps;
    double value[8];
} finding;

enum { FINDINGS = 4 };
typedef struct findings {
    int next;
    finding last[FINDINGS];
} findings;

/* What is known of it already, NULL: nothing; keeps what was found, in place of the oldest. */
const finding *finding_of(const findings *all, const char *of, uint64_t seed, int64_t steps);
const finding *finding_keep(findings *all, const finding *found);

/* What is measured now. */
typedef struct subject {
    cli *c; /* settings of eval; the context is there */
    findings *found;
    const char *folder; /* run of the flow, NULL for measures of algorithms; then what follows is empty */
    model m;
    held_out h;
    tw_ode_desc solver; /* that the settings ask for */
} subject;

typedef struct measured {
    double value;
    double floor; /* the best value to expect of finite data, NAN: not known */
} measured;

/* As many held-out rows as the settings ask for, to be freed with tw_free, and how likely they are, told what they are
 * told; without noise. */
TW_NODISCARD tw_status score_held_out(const subject *s, int64_t *out_n, double **out_rows, score *out_score);

/* The data of the flow that measures know exactly: eight normal bumps of deviation 0.3 on a circle of radius 4.
 * `centre` is memory of the mixture. */
enum { BUMPS = 8 };
struct tw_mixture;
void bumps_mixture(double centre[2 * BUMPS], struct tw_mixture *out);

typedef struct measure {
    const char *name, *about;
    enum { MEASURE_OF_NOTHING, MEASURE_OF_FLOW, MEASURE_OF_TRAINING, MEASURE_OF_SNAPSHOT } of; /* see measures.def */
    tw_status (*take)(const subject *s, measured *out);
} measure;

const measure *measure_list(int index); /* NULL past the end */
const measure *measure_find(const char *name);
/* Of the flow in now->folder, which is opened for it and closed, if the measure is of one. */
TW_NODISCARD tw_status measure_take(const measure *what, subject *now, measured *out);

#define MEASURE(name, of, about) tw_status measure_##name(const subject *s, measured *out);
#include "measures.def"

#endif
