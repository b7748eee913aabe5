/* The problems of DETEST (Hull, Enright, Fellen, Sedgwick 1972) as fields, and what a peer makes of them
 * (tests/golden/detest.py). */
#ifndef TESTS_SOLVE_DETEST_H
#define TESTS_SOLVE_DETEST_H

#include <thalweg/solve.h>

#include <math.h>
#include <string.h>

enum { DETEST_COLUMNS = 51, DETEST_PROBLEMS = 25 };

typedef struct detest {
    const char *name;
    int columns;
    int64_t peer_nfe; /* evaluations of torchdiffeq's dopri5 at 1e-6 */
    double peer_error;
    double end[DETEST_COLUMNS]; /* at t = 20 */
} detest;

static const detest detest_problems[DETEST_PROBLEMS] = {
#include "golden/detest.inc"
};

static const double detest_planets[30] = {
    3.42947415189,    3.35386959711,   1.35494901715,   6.64145542550,   5.97156957878,   2.18231499728,
    11.2630437207,    14.6952576794,   6.27960525067,   -30.1552268759,  1.65699966404,   1.43785752721,
    -21.1238353380,   28.4465098142,   15.3882659679,   -0.557160570446, 0.505696783289,  0.230578543901,
    -0.415570776342,  0.365682722812,  0.169143213293,  -0.325325669158, 0.189706021964,  0.0877265322780,
    -0.0240476254170, -0.287659532608, -0.117219543175, -0.176860753121, -0.216393453025, -0.0148647893090};

static inline void detest_a(int number, double t, const double *y, double *f)
{
    const double x = y[0];
    f[0] = number == 1   ? -x
           : number == 2 ? -x * x * x / 2
           : number == 3 ? x * cos(t)
           : number == 4 ? x / 4 * (1 - x / 20)
                         : (x - t) / (x + t);
}

static inline void detest_b(int number, const double *y, double *f)
{
    double r = hypot(y[0], y[1]);
    switch (number) {
    case 1:
        f[0] = 2 * (y[0] - y[0] * y[1]), f[1] = -(y[1] - y[0] * y[1]);
        break;
    case 2:
        f[0] = -y[0] + y[1], f[1] = y[0] - 2 * y[1] + y[2], f[2] = y[1] - y[2];
        break;
    case 3:
        f[0] = -y[0], f[1] = y[0] - y[1] * y[1], f[2] = y[1] * y[1];
        break;
    case 4:
        f[0] = -y[1] - y[0] * y[2] / r, f[1] = y[0] - y[1] * y[2] / r, f[2] = y[0] / r;
        break;
    default:
        f[0] = y[1] * y[2], f[1] = -y[0] * y[2], f[2] = -0.51 * y[0] * y[1];
    }
}

static inline void detest_c5(const double *y, double *f)
{
    static const double sun = 1.00000597682, gravity = 2.95912208286;
    static const double mass[5] = {0.000954786104043, 0.000285583733151, 0.0000437273164546, 0.0000517759138449,
                                   0.00000277777777778};
    memcpy(f, y + 15, 15 * sizeof *f);
    for (int j = 0; j < 5; j++) {
        const double *p = y + 3 * j;
        double *a = f + 15 + 3 * j, r = sqrt(p[0] * p[0] + p[1] * p[1] + p[2] * p[2]);
        for (int i = 0; i < 3; i++) a[i] = -(sun + mass[j]) * p[i] / (r * r * r);
        for (int k = 0; k < 5; k++) {
            const double *q = y + 3 * k;
            double d[3] = {q[0] - p[0], q[1] - p[1], q[2] - p[2]}, s = sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2]);
            double far = sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2]);
            for (int i = 0; i < 3 && k != j; i++) a[i] += mass[k] * (d[i] / (far * far * far) - q[i] / (s * s * s));
        }
        for (int i = 0; i < 3; i++) a[i] *= gravity;
    }
}

static inline void detest_c(int number, int columns, const double *y, double *f)
{
    if (number == 5) {
        detest_c5(y, f);
        return;
    }
    for (int i = 0; i < columns; i++) {
        double before = i > 0 ? y[i - 1] : 0, after = i + 1 < columns ? y[i + 1] : 0;
        double in = number == 2 ? i : 1, out = i + 1 == columns ? 0 : number == 2 ? i + 1 : 1;
        f[i] = number < 3 ? in * before - out * y[i] : before - 2 * y[i] + after;
    }
}

static inline void detest_e(int number, double t, const double *y, double *f)
{
    double s = t + 1;
    f[0] = y[1];
    f[1] = number == 1   ? -(y[1] / s + (1 - 0.25 / (s * s)) * y[0])
           : number == 2 ? (1 - y[0] * y[0]) * y[1] - y[0]
           : number == 3 ? y[0] * y[0] * y[0] / 6 - y[0] + 2 * sin(2.78535 * t)
           : number == 4 ? 0.032 - 0.4 * y[1] * y[1]
                         : sqrt(1 + y[1] * y[1]) / (25 - t);
}

/* user: the problem. */
static inline tw_status detest_field(void *user, int64_t rows, const double *t, const double *y, double *f)
{
    const detest *p = user;
    int number = p->name[1] - '0';
    for (int64_t i = 0; i < rows; i++, y += p->columns, f += p->columns) {
        double r = hypot(y[0], p->columns > 1 ? y[1] : 0);
        switch (p->name[0]) {
        case 'A':
            detest_a(number, t[i], y, f);
            break;
        case 'B':
            detest_b(number, y, f);
            break;
        case 'C':
            detest_c(number, p->columns, y, f);
            break;
        case 'D':
            f[0] = y[2], f[1] = y[3], f[2] = -y[0] / (r * r * r), f[3] = -y[1] / (r * r * r);
            break;
        default:
            detest_e(number, t[i], y, f);
        }
    }
    return TW_OK;
}

static inline void detest_start(const detest *p, double *y)
{
    static const double b[5][3] = {{1, 3}, {2, 0, 1}, {1, 0, 0}, {3, 0, 0}, {0, 1, 1}};
    static const double e[5][2] = {{0.6713967071418030, 0.09540051444747446}, {2, 0}, {0, 0}, {30, 0}, {0, 0}};
    int number = p->name[1] - '1';
    double eccentricity = 0.1 + 0.2 * number;
    memset(y, 0, (size_t)p->columns * sizeof *y);
    switch (p->name[0]) {
    case 'A':
        y[0] = number == 4 ? 4 : 1;
        break;
    case 'B':
        memcpy(y, b[number], (size_t)p->columns * sizeof *y);
        break;
    case 'C':
        y[0] = 1;
        break;
    case 'D':
        y[0] = 1 - eccentricity, y[3] = sqrt((1 + eccentricity) / (1 - eccentricity));
        break;
    default:
        memcpy(y, e[number], 2 * sizeof *y);
    }
    if (p->columns == 30) memcpy(y, detest_planets, sizeof detest_planets);
}

#endif
