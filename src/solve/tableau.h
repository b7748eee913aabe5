/* solve/tableau.h - explicit Runge-Kutta methods as data.
 *
 * A method is its Butcher table; every solver in this room runs any table. Tests derive the order conditions from
 * rooted trees, so a wrong digit in a table cannot survive (Hairer, Norsett, Wanner: Solving ODEs I, II.2). */
#ifndef TW_SOLVE_TABLEAU_H
#define TW_SOLVE_TABLEAU_H

#include <thalweg/solve.h>

enum { TW_TABLEAU_STAGES = 13 };

typedef struct tw_tableau {
    tw_ode_method_info info;
    bool fsal; /* the last stage is the derivative at the end of the step */
    double c[TW_TABLEAU_STAGES];
    double a[TW_TABLEAU_STAGES][TW_TABLEAU_STAGES];
    double b[TW_TABLEAU_STAGES];
    double e[TW_TABLEAU_STAGES]; /* b minus the embedded row of order `order - 1`; zero in fixed-step methods */
} tw_tableau;

/* Tables by index in the order of tw_ode_method_list(), NULL past the end. */
const tw_tableau *tw_tableau_at(int index);
/* The table of that name, NULL when there is none. */
const tw_tableau *tw_tableau_find(const char *name);

#endif
