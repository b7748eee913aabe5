/* study.h - a published result to reproduce: a YAML file that says which flows are trained, what is measured on them
 * and what must hold.
 *
 *   paper: Liu, Gong, Liu 2023, Flow straight and fast
 *   claim: after one reflow a single step is enough
 *   seeds: 3                          # how often everything is done [1]; the bars are for the mean
 *   flows:
 *     first: {data: 8gaussians, steps: 6000}          # keys are the options of `thalweg train`
 *     second: {data: 8gaussians, teacher: "@first"}    # "@first": the run folder of that flow with the same seed
 *   measures:
 *     one step: {measure: energy, flow: second, solver: euler, steps: 1, bar: "<= 0.01"}
 *                                     # keys beside measure, flow, over, paper and bar are the options of `thalweg
 * eval` quick:                            # what --quick sets differently seeds: 1 flows: {first: {steps: 500}}
 *
 * A measure with `over: NAME` is divided by the same measure of that flow, or by that other measure above. Data files
 * that are named without a folder lie where --data-folder says; without one of them a study is skipped. */
#ifndef THALWEG_CLI_STUDY_H
#define THALWEG_CLI_STUDY_H

#include "measures.h"

enum { STUDY_FLOWS = 32, STUDY_MEASURES = 64, STUDY_NAME = 64 };

typedef struct study_flow {
    char name[STUDY_NAME];
    settings set; /* of train */
} study_flow;

typedef struct study_measure {
    char name[STUDY_NAME];
    const measure *what;
    int flow;         /* index among the flows, -1: none */
    int over;         /* the same: this measure of another flow */
    int over_measure; /* index among the measures before this one, -1: none */
    char *paper;      /* the published number, NULL; owned */
    char *bar;        /* ">= 100", "<= 1.5 floors"; owned */
    settings set;     /* of eval */
} study_measure;

typedef struct study {
    char name[STUDY_NAME];
    char *paper, *claim; /* owned */
    int seeds;
    int flows_count, measures_count;
    study_flow flow[STUDY_FLOWS];
    study_measure measure[STUDY_MEASURES];
} study;

/* Reads a study, with what `quick` changes when asked for. Errors name file, line and column. Exit status. */
int study_read(const char *path, bool quick, study *out_study);
void study_free(study *s);

/* Whether `value` holds a bar ("<= 0.01", "> 3", "<= 1.5 floors"); what is no bar is refused when the study is read. */
bool bar_holds(const char *bar, double value, double floor_value);

#endif
