/* solve/tableaux_implicit.c - tables of methods that solve equations in every step: Gauss and Radau IIA collocation,
 * all stages at once, and diagonally implicit ones, stage by stage with one matrix (Hairer, Wanner: Solving ODEs II,
 * IV.5, IV.8). Square roots are written out to more digits than a double holds. The error row of radauIIA5 is that of
 * RADAU5: with its filter the difference to a row of order 3 that also weighs the derivative at the start. */
#include "solve/tableau.h"

static const tw_tableau tables[] = {
    {.info = {"implicit_euler", "fixed steps, implicit, order 1, L-stable", "Cauchy 1824", 1, 1, false, 3, true},
     .kind = TW_TABLEAU_IMPLICIT,
     .fsal = true,
     .c = {1},
     .a = {{1}},
     .b = {1}},

    {.info = {"implicit_midpoint", "fixed steps, implicit, order 2, symplectic", "Gauss 1", 2, 1, false, 3, true},
     .kind = TW_TABLEAU_IMPLICIT,
     .c = {1.0 / 2},
     .a = {{1.0 / 2}},
     .b = {1}},

    {.info = {"trapezoid", "fixed steps, implicit, order 2, A-stable", "Crank, Nicolson 1947", 2, 2, false, 3, true},
     .kind = TW_TABLEAU_IMPLICIT,
     .fsal = true,
     .c = {0, 1},
     .a = {{0}, {1.0 / 2, 1.0 / 2}},
     .b = {1.0 / 2, 1.0 / 2}},

    {.info = {"gl4", "fixed steps, implicit, order 4, symplectic (Gauss-Legendre)", "Hammer, Hollingsworth 1955", 4, 2,
              false, 3, true},
     .kind = TW_TABLEAU_IMPLICIT,
     .c = {0.21132486540518711775, 0.78867513459481288225},
     .a = {{1.0 / 4, -0.038675134594812882255}, {0.53867513459481288225, 1.0 / 4}},
     .b = {1.0 / 2, 1.0 / 2}},

    {.info = {"gl6", "fixed steps, implicit, order 6, symplectic (Gauss-Legendre)", "Kuntzmann 1961; Butcher 1964", 6,
              3, false, 3, true},
     .kind = TW_TABLEAU_IMPLICIT,
     .c = {0.11270166537925831148, 1.0 / 2, 0.88729833462074168852},
     .a = {{5.0 / 36, -0.035976667524938903456, 0.0097894440153083260496},
           {0.30026319498086459244, 2.0 / 9, -0.02248541720308681466},
           {0.26798833376246945173, 0.4804211119693833479, 5.0 / 36}},
     .b = {5.0 / 18, 4.0 / 9, 5.0 / 18}},

    {.info = {"radauIIA3", "fixed steps, implicit, order 3, L-stable", "Ehle 1969; Axelsson 1969", 3, 2, false, 3,
              true},
     .kind = TW_TABLEAU_IMPLICIT,
     .fsal = true,
     .c = {1.0 / 3, 1},
     .a = {{5.0 / 12, -1.0 / 12}, {3.0 / 4, 1.0 / 4}},
     .b = {3.0 / 4, 1.0 / 4}},

    {.info = {"radauIIA5", "adaptive, implicit, order 5(3), L-stable; for stiff fields", "Hairer, Wanner 1999", 5, 3,
              true, 3, true},
     .kind = TW_TABLEAU_IMPLICIT,
     .fsal = true,
     .c = {0.15505102572168219018, 0.64494897427831780982, 1},
     .a = {{0.19681547722366042587, -0.065535425850198388109, 0.02377097434822015242},
           {0.394424314739087277, 0.29207341166522846302, -0.041548752125997930198},
           {0.37640306270046727505, 0.51248582618842161384, 1.0 / 9}},
     .b = {0.37640306270046727505, 0.51248582618842161384, 1.0 / 9},
     .e = {0.4282982941153681045584, -0.2450390743849165260599, 0.09162960986522578924928},
     .error_power = 4,
     .filter = 0.2748888295956773677478},

    {.info = {"sdirk2", "adaptive, implicit, order 2(1), L-stable, two equal matrices", "Alexander 1977", 2, 2, true, 3,
              true},
     .kind = TW_TABLEAU_IMPLICIT,
     .fsal = true,
     .c = {0.2928932188134524756, 1},
     .a = {{0.2928932188134524756}, {0.7071067811865475244, 0.2928932188134524756}},
     .b = {0.7071067811865475244, 0.2928932188134524756},
     .e = {-0.2928932188134524756, 0.2928932188134524756}},

    {.info = {"trbdf2", "adaptive, implicit, order 2(3), L-stable", "Bank et al. 1985; Hosea, Shampine 1996", 2, 3,
              true, 3, true},
     .kind = TW_TABLEAU_IMPLICIT,
     .fsal = true,
     .c = {0, 0.5857864376269049512, 1},
     .a = {{0},
           {0.2928932188134524756, 0.2928932188134524756},
           {0.3535533905932737622, 0.3535533905932737622, 0.2928932188134524756}},
     .b = {0.3535533905932737622, 0.3535533905932737622, 0.2928932188134524756},
     .e = {0.3535533905932737622 - 0.2154822031355754126, 0.3535533905932737622 - 0.6868867239266070954,
           0.2928932188134524756 - 0.0976310729378174919},
     .error_power = 3},
};

const tw_tableau *tw_implicit_tableau_at(int index)
{
    return index >= 0 && index < (int)(sizeof(tables) / sizeof(tables[0])) ? &tables[index] : NULL;
}
