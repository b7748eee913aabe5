/* The oracle "eight Gaussians": source N(0, I) in the plane, data a mixture of 8 Gaussians of deviation 0.3 with centres on
 * a circle of radius 4, along x_t = alpha x_1 + sigma x_0. Everything about it is known in closed form:
 *
 *   V = sigma^2 + alpha^2 s^2,  w_k ~ exp(-|x - alpha m_k|^2 / 2V)
 *   E[x_1 | x] = sum w_k (m_k + alpha s^2 / V (x - alpha m_k)),  E[x_0 | x] = sum w_k sigma / V (x - alpha m_k) */
#ifndef TW_TESTS_G8_H
#define TW_TESTS_G8_H

#include <math.h>

static inline void g8_means(double alpha, double sigma, const double x[2], double x1[2], double x0[2])
{
    const double s = 0.3, variance = sigma * sigma + alpha * alpha * s * s;
    double weight[8], largest = -1e300, sum = 0;
    for (int k = 0; k < 8; k++) {
        double angle = 0.78539816339744830962 * k, dx = x[0] - alpha * 4 * cos(angle), dy = x[1] - alpha * 4 * sin(angle);
        weight[k] = -(dx * dx + dy * dy) / (2 * variance);
        largest = fmax(largest, weight[k]);
    }
    for (int k = 0; k < 8; k++) sum += weight[k] = exp(weight[k] - largest);
    for (int j = 0; j < 2; j++) {
        x1[j] = x0[j] = 0;
        for (int k = 0; k < 8; k++) {
            double angle = 0.78539816339744830962 * k, m = j == 0 ? 4 * cos(angle) : 4 * sin(angle);
            double off = x[j] - alpha * m;
            x1[j] += weight[k] / sum * (m + alpha * s * s / variance * off);
            x0[j] += weight[k] / sum * sigma / variance * off;
        }
    }
}

/* log p_t(x) of the mixture with component variance V. */
static inline double g8_log_density(double alpha, double sigma, const double x[2])
{
    const double s = 0.3, variance = sigma * sigma + alpha * alpha * s * s;
    double sum = 0;
    for (int k = 0; k < 8; k++) {
        double angle = 0.78539816339744830962 * k, dx = x[0] - alpha * 4 * cos(angle), dy = x[1] - alpha * 4 * sin(angle);
        sum += exp(-(dx * dx + dy * dy) / (2 * variance)) / 8;
    }
    return log(sum) - log(2 * 3.14159265358979323846 * variance);
}

#endif
