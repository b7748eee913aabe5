/* solve/sde_methods.c - SDE methods as data. A stochastic Runge-Kutta method is which of f and g is evaluated where,
 * and weights; one step (sde_step.c) and one way back (sde_gradient.c) run every table.
 *
 * sri and sra are Roessler's SRI1W1 and SRA1 (Runge-Kutta methods for the strong approximation of solutions of SDEs,
 * SIAM J. Numer. Anal. 48, 2010, tables 5.2 and 6.1), written without the stages whose drift equals another's or has no
 * weight: 2 drifts and 4 diffusions where the paper's loop has 4 and 4. */
#include "solve/sde.h"

#include <string.h>

#define W(x)    [TW_CONTROL_W] = (x)
#define ROOT(x) [TW_CONTROL_ROOT] = (x)
#define W2(x)   [TW_CONTROL_W2] = (x)
#define AREA(x) [TW_CONTROL_AREA] = (x)
#define W3(x)   [TW_CONTROL_W3] = (x)

static const tw_sde_tableau euler = {
    .stages = 1,
    .stage = {{true, true, 0, {{0}, {{0}}}}},
    .end = {{1}, {{W(1)}}},
};

/* The derivative is a central difference: the error of a one-sided one, of order sqrt(h), meets I_11, which in
 * Stratonovich's sense has a mean, and the order would be 1/2 (Kloeden, Platen 1992, 11.1.7, is of that kind). */
static const tw_sde_tableau milstein = {
    .stages = 3,
    .stage = {{true, true, 0, {{0}, {{0}}}},
              {false, true, 0, {{0}, {{ROOT(1)}}}},
              {false, true, 0, {{0}, {{ROOT(-1)}}}}},
    .end = {{1}, {{W(1)}, {W2(0.5)}, {W2(-0.5)}}},
};

static const tw_sde_tableau euler_heun = {
    .stages = 2,
    .stage = {{true, true, 0, {{0}, {{0}}}}, {false, true, 1, {{0}, {{W(1)}}}}},
    .end = {{1}, {{W(0.5)}, {W(0.5)}}},
};

static const tw_sde_tableau heun = {
    .stages = 2,
    .stage = {{true, true, 0, {{0}, {{0}}}}, {true, true, 1, {{1}, {{W(1)}}}}},
    .end = {{0.5, 0.5}, {{W(0.5)}, {W(0.5)}}},
};

static const tw_sde_tableau midpoint = {
    .stages = 2,
    .stage = {{true, true, 0, {{0}, {{0}}}}, {true, true, 0.5, {{0.5}, {{W(0.5)}}}}},
    .end = {{0, 1}, {{0}, {W(1)}}},
};

static const tw_sde_tableau sri = {
    .stages = 5,
    .stage = {{true, true, 0, {{0}, {{0}}}},
              {true, false, 3.0 / 4, {{3.0 / 4}, {{AREA(3.0 / 2)}}}},
              {false, true, 1.0 / 4, {{1.0 / 4}, {{ROOT(1.0 / 2)}}}},
              {false, true, 1, {{1}, {{ROOT(-1)}}}},
              {false, true, 1.0 / 4, {{1.0 / 4}, {{ROOT(-5)}, {0}, {ROOT(3)}, {ROOT(1.0 / 2)}}}}},
    .end = {{1.0 / 3, 2.0 / 3},
            {{W(-1), W2(-1), AREA(2), W3(-2)},
             {0},
             {W(4.0 / 3), W2(4.0 / 3), AREA(-4.0 / 3), W3(5.0 / 3)},
             {W(2.0 / 3), W2(-1.0 / 3), AREA(-2.0 / 3), W3(-2.0 / 3)},
             {W3(1)}}},
};

static const tw_sde_tableau sra = {
    .stages = 3,
    .stage = {{true, true, 0, {{0}, {{0}}}},
              {false, true, 1, {{0}, {{0}}}},
              {true, false, 3.0 / 4, {{3.0 / 4}, {{0}, {AREA(3.0 / 2)}}}}},
    .end = {{1.0 / 3, 0, 2.0 / 3}, {{AREA(1)}, {W(1), AREA(-1)}}},
};

enum { I = 1, S = 2, B = 3 };
#define UNPACK(a, b, c, d)                                                                                             \
    {                                                                                                                  \
        a, b, c, d                                                                                                     \
    }
#define CAN(a, b, c, d)                                                                                                \
    {                                                                                                                  \
        (a) > 0, (b) > 0, (c) > 0, (d) > 0                                                                             \
    }

static const tw_sde_method methods[] = {
#define TW_SDE_METHOD(name, about, source, senses, orders, weak, integrals, tableau, additive)                         \
    {{#name, about, source, (senses & I) != 0, (senses & S) != 0, CAN orders, UNPACK orders, weak, integrals},         \
     tableau,                                                                                                          \
     additive},
#include "solve/sde_methods.def"
};

const tw_sde_method_info *tw_sde_method_list(int index)
{
    return index >= 0 && index < TW_COUNT(methods) ? &methods[index].info : NULL;
}

const tw_sde_method *tw_sde_method_find(const char *name)
{
    for (int i = 0; i < TW_COUNT(methods); i++)
        if (strcmp(methods[i].info.name, name) == 0) return &methods[i];
    return NULL;
}

const tw_sde_tableau *tw_sde_euler_tableau(void)
{
    return &euler;
}
