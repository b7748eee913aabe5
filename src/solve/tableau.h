/* solve/tableau.h - one-step methods as data.
 *
 * A method is its Butcher table; every solver in this room runs any table. Tests derive the order conditions from
 * rooted trees, so a wrong digit in a table cannot survive (Hairer, Norsett, Wanner: Solving ODEs I, II.2). */
#ifndef TW_SOLVE_TABLEAU_H
#define TW_SOLVE_TABLEAU_H

#include <thalweg/solve.h>

/* slots hold derivatives: those of the stages, of the end of the step and of nodes that only interpolation needs */
enum { TW_TABLEAU_STAGES = 13, TW_TABLEAU_NODES = 2, TW_TABLEAU_SLOTS = TW_TABLEAU_STAGES + 1 + TW_TABLEAU_NODES };

/* States within a step, x = theta h behind its start: the cubic Hermite polynomial through both ends, and
 * theta^2 (1-theta)^2 h sum_k theta^k sum_i d[k][i] slot_i on top, which changes neither end nor slope there. No terms:
 * Hermite alone, order 3. Slots: the stages, the derivative at the end of the step (the last stage where fsal says so),
 * the nodes. */
typedef struct tw_interpolant {
    int nodes, terms;
    double c[TW_TABLEAU_NODES];                   /* places of the nodes, and their states: */
    double a[TW_TABLEAU_NODES][TW_TABLEAU_SLOTS]; /* start + h sum_i a[i] slot_i */
    double d[3][TW_TABLEAU_SLOTS];
} tw_interpolant;

typedef enum tw_tableau_kind { TW_TABLEAU_EXPLICIT, TW_TABLEAU_IMPLICIT, TW_TABLEAU_ADAMS } tw_tableau_kind;

typedef struct tw_tableau {
    tw_ode_method_info info;
    tw_tableau_kind kind; /* Adams: several steps, no table (solve/adams.c) */
    bool fsal;            /* the last stage is the derivative at the end of the step */
    double c[TW_TABLEAU_STAGES];
    double a[TW_TABLEAU_STAGES][TW_TABLEAU_STAGES];
    double b[TW_TABLEAU_STAGES];
    double e[TW_TABLEAU_STAGES]; /* b minus the embedded row; zero in fixed-step methods */
    int error_power;             /* the error estimate is O(h^error_power); 0: info.order, the embedded row having one
                                    order less */
    double filter;               /* of an implicit method, g: the estimate also holds g h f(start) and is multiplied by
                                    (1 - g h J)^-1, or by the stages' own inverse where the first stage is explicit */
    const tw_interpolant *interpolant; /* NULL: Hermite */
} tw_tableau;

/* Tables by index in the order of tw_ode_method_list(), NULL past the end. */
const tw_tableau *tw_tableau_at(int index);
/* The table of that name, NULL when there is none. */
const tw_tableau *tw_tableau_find(const char *name);

/* Implicit tables (tableaux_implicit.c) by index. */
const tw_tableau *tw_implicit_tableau_at(int index);

#endif
