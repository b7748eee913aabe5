/* path/token_path.c - laws, rates and moves of token paths on the host: see token_path.h. */
#include "path/token_path.h"

#include "base/base.h"

#include <math.h>

bool tw_schedule_is_convex(const tw_schedule *schedule)
{
    const double rounding = 1e-12;
    bool convex = tw_schedule_at(schedule, 0).alpha == 0 && tw_schedule_at(schedule, 1).sigma == 0;
    for (int i = 0; i <= 16; i++) {
        tw_schedule_point at = tw_schedule_at(schedule, i / 16.0);
        convex = convex && fabs(at.alpha + at.sigma - 1) < rounding;
    }
    return convex;
}

static double length_between(int width, const double *a, const double *b)
{
    double sum = 0;
    for (int k = 0; k < width; k++) sum += (a[k] - b[k]) * (a[k] - b[k]);
    return sqrt(sum);
}

void tw_token_distances(int symbols, int width, const double *place, double exponent, double *out)
{
    double unit = 0;
    for (int i = 0; i < symbols; i++) {
        double nearest = (double)INFINITY;
        for (int j = 0; j < symbols; j++) {
            double d = place ? length_between(width, place + i * width, place + j * width) : fabs((double)(i - j));
            out[i * symbols + j] = d;
            if (i != j) nearest = fmin(nearest, d);
        }
        unit += nearest / symbols;
    }
    for (int i = 0; i < symbols * symbols; i++) out[i] = pow(place ? out[i] / unit : out[i], exponent);
}

/* --- the clock --------------------------------------------------------------------------------------------------- */

/* Shares of the three components of a mixture, and where its chain jumps to: u = tau' (data delta_{x_1} + rest U -
 * delta_x). */
typedef struct mixture {
    double source, noise, data; /* sum 1 */
    double to_noise, to_data;   /* sum 1 */
} mixture;

static mixture mixture_at(const tw_token_path *path, double t)
{
    tw_schedule_point at = tw_schedule_at(path->schedule, t);
    double c = path->noise, below = 1 + c - 2 * c * at.alpha;
    double away = below > 0 ? c * at.sigma * at.sigma / below : 0; /* 0 / 0 at the end of c = 1 */
    return (mixture){.source = at.sigma * (1 - c * at.alpha),
                     .noise = c * at.alpha * at.sigma,
                     .data = at.alpha,
                     .to_noise = away,
                     .to_data = 1 - away};
}

static double beta_at(const tw_token_path *path, double t)
{
    return path->scale * pow(t / (1 - t), path->power);
}

double tw_token_clock(const tw_token_path *path, double t)
{
    return path->distance ? beta_at(path, t) : -log(mixture_at(path, t).source);
}

double tw_token_time(const tw_token_path *path, double clock)
{
    if (isinf(clock)) return 1;
    if (!path->distance) { /* (1 - kappa) (1 - c kappa) = e^-tau, for kappa and for 1 - kappa: nothing cancels */
        double c = path->noise, gone = -expm1(-clock), left = exp(-clock);
        double data = 2 * gone / (1 + c + sqrt((1 + c) * (1 + c) - 4 * c * gone));
        double rest = 2 * left / (1 - c + sqrt((1 - c) * (1 - c) + 4 * c * left));
        return tw_schedule_time(path->schedule, 2 * log(data / rest));
    }
    double ratio = pow(clock / path->scale, 1 / path->power);
    return ratio / (1 + ratio);
}

double tw_token_least_distance(const tw_token_path *path)
{
    if (!path->distance) return 1;
    double least = (double)INFINITY;
    for (int i = 0; i < path->symbols * path->symbols; i++)
        if (i % (path->symbols + 1)) least = fmin(least, path->distance[i]);
    return least;
}

double tw_token_pace(const tw_token_path *path, double t)
{
    if (path->distance) return beta_at(path, t) * path->power / (t * (1 - t));
    tw_schedule_point at = tw_schedule_at(path->schedule, t);
    return at.d_alpha * (1 / at.sigma + path->noise / (1 - path->noise * at.alpha));
}

/* --- laws -------------------------------------------------------------------------------------------------------- */

static const double *distances(const tw_token_path *path, int x1)
{
    return path->distance + (int64_t)x1 * path->symbols;
}

/* 1 / sum_y exp(-beta d(y, x_1)), and the mean distance */
static double metric_norm(const tw_token_path *path, double beta, int x1, double *out_mean)
{
    const double *d = distances(path, x1);
    double sum = 1, mean = 0; /* x_1 itself, even at beta infinite */
    for (int y = 0; y < path->symbols; y++) {
        double p = y == x1 ? 0 : exp(-beta * d[y]);
        sum += p;
        mean += p * d[y];
    }
    *out_mean = mean / sum;
    return 1 / sum;
}

static void metric_law(const tw_token_path *path, double t, int x1, double *p, double *slope)
{
    const double *d = distances(path, x1);
    double beta = beta_at(path, t), mean, norm = metric_norm(path, beta, x1, &mean);
    for (int y = 0; y < path->symbols; y++) {
        double at = y == x1 ? norm : norm * exp(-beta * d[y]);
        if (p) p[y] = at;
        if (slope) slope[y] = at * (mean - d[y]);
    }
}

void tw_token_law(const tw_token_path *path, double t, int x0, int x1, double *out_p, double *out_slope)
{
    if (path->distance) {
        metric_law(path, t, x1, out_p, out_slope);
        return;
    }
    mixture m = mixture_at(path, t);
    double each = 1.0 / path->symbols;
    bool masked = path->states > path->symbols;
    for (int y = 0; y < path->states; y++) {
        double uniform = y < path->symbols ? each : 0, data = y == x1;
        double source = x0 >= 0 ? y == x0 : masked ? y == path->symbols : uniform;
        if (out_p) out_p[y] = m.source * source + m.noise * uniform + m.data * data;
        if (out_slope)
            out_slope[y] = -m.source * source + (m.to_noise - m.noise) * uniform + (m.to_data - m.data) * data;
    }
}

static int draw_symbol(int symbols, double uniform)
{
    return (int)fmin(uniform * symbols, symbols - 1);
}

static int draw_metric(const tw_token_path *path, double t, int x1, double uniform)
{
    const double *d = distances(path, x1);
    double beta = beta_at(path, t), mean, norm = metric_norm(path, beta, x1, &mean), sum = 0;
    for (int y = 0; y < path->symbols; y++) {
        sum += y == x1 ? norm : norm * exp(-beta * d[y]);
        if (uniform < sum) return y;
    }
    return x1;
}

int tw_token_draw(const tw_token_path *path, double t, int x0, int x1, double uniform)
{
    if (path->distance) return draw_metric(path, t, x1, uniform);
    mixture m = mixture_at(path, t);
    if (uniform >= m.source + m.noise) return x1;
    if (uniform >= m.source) return draw_symbol(path->symbols, (uniform - m.source) / m.noise);
    if (x0 >= 0) return x0;
    return path->states > path->symbols ? path->symbols : draw_symbol(path->symbols, uniform / m.source);
}

/* --- rates ------------------------------------------------------------------------------------------------------- */

/* Towards x_1 only: p_t(y | x_1) [d(x, x_1) - d(y, x_1)]_+, `weight` times, added to out. Returns their sum. */
static double add_metric_rates(const tw_token_path *path, double beta, double weight, int x, int x1, double *out)
{
    const double *d = distances(path, x1);
    double mean, norm = weight * metric_norm(path, beta, x1, &mean), sum = 0;
    for (int y = 0; y < path->symbols; y++) {
        if (!(d[x] > d[y])) continue;
        double rate = (y == x1 ? norm : norm * exp(-beta * d[y])) * (d[x] - d[y]);
        if (out) out[y] += rate;
        sum += rate;
    }
    return sum;
}

void tw_token_rates_mean(const tw_token_path *path, double t, int x, const double *posterior, double *out)
{
    for (int y = 0; y < path->states; y++) out[y] = 0;
    if (path->distance) {
        double beta = beta_at(path, t);
        for (int x1 = 0; x1 < path->symbols; x1++)
            if (posterior[x1] > 0) add_metric_rates(path, beta, posterior[x1], x, x1, out);
        return;
    }
    mixture m = mixture_at(path, t);
    for (int y = 0; y < path->symbols; y++) out[y] = m.to_data * posterior[y] + m.to_noise / path->symbols;
    out[x] = 0;
}

void tw_token_rates(const tw_token_path *path, double t, int x, int x1, double *out)
{
    for (int y = 0; y < path->states; y++) out[y] = 0;
    if (path->distance) {
        add_metric_rates(path, beta_at(path, t), 1, x, x1, out);
        return;
    }
    mixture m = mixture_at(path, t);
    for (int y = 0; y < path->symbols; y++) out[y] = m.to_noise / path->symbols + (y == x1 ? m.to_data : 0);
    out[x] = 0;
}

double tw_token_divergence(const tw_token_path *path, double t, int x, int x1, const double *log_p, double *scratch)
{
    double own = x < path->symbols ? exp(log_p[x]) : 0;
    if (!path->distance && path->noise == 0) return x == x1 ? 1 - own : -own - log_p[x1];
    double *r = scratch, *q = r + path->states, *p = q + path->states, sum = 0;
    for (int y = 0; y < path->symbols; y++) p[y] = exp(log_p[y]);
    tw_token_rates(path, t, x, x1, r);
    tw_token_rates_mean(path, t, x, p, q);
    for (int y = 0; y < path->states; y++)
        if (y != x) sum += q[y] - r[y] + (r[y] > 0 ? r[y] * log(r[y] / q[y]) : 0);
    return sum;
}

/* --- moves ------------------------------------------------------------------------------------------------------- */

double tw_token_stay(const tw_token_path *path, double t, double s)
{
    return path->distance || s >= 1 ? 0 : mixture_at(path, s).source / mixture_at(path, t).source;
}

/* x stays with probability rho = kappa0(s) / kappa0(t), and what becomes of it otherwise is what p_s has of the other
 * components beyond rho times what p_t had. */
static int move_mixture(const tw_token_path *path, double t, double s, double mass, int x, int x1, double uniform,
                        double uniform_target)
{
    mixture from = mixture_at(path, t), to = mixture_at(path, s);
    double rho = to.source / from.source, stay = mass == 1 ? rho : pow(rho, mass);
    if (uniform < stay) return x;
    if (path->noise == 0) return x1;
    double noise = to.noise - rho * from.noise, data = to.data - rho * from.data,
           place = uniform_target * (noise + data);
    return place < noise ? draw_symbol(path->symbols, place / noise) : x1;
}

static int move_metric(const tw_token_path *path, double t, double s, double mass, int x, int x1, double uniform,
                       double uniform_target)
{
    const double *d = distances(path, x1);
    double beta = beta_at(path, t), clock = beta_at(path, s) - beta;
    if (x == x1 || isinf(clock)) return x1;
    double mean, norm = metric_norm(path, beta, x1, &mean);
    double sum = add_metric_rates(path, beta, 1, x, x1, NULL), seen = 0;
    if (uniform < exp(-mass * clock * sum)) return x;
    for (int y = 0; y < path->symbols; y++) {
        if (!(d[x] > d[y])) continue;
        seen += (y == x1 ? norm : norm * exp(-beta * d[y])) * (d[x] - d[y]);
        if (uniform_target * sum < seen) return y;
    }
    return x1;
}

int tw_token_move(const tw_token_path *path, double t, double s, double mass, int x, int x1, double uniform,
                  double uniform_target)
{
    if (s >= 1) return x1;
    return path->distance ? move_metric(path, t, s, mass, x, x1, uniform, uniform_target)
                          : move_mixture(path, t, s, mass, x, x1, uniform, uniform_target);
}

/* --- any path ---------------------------------------------------------------------------------------------------- */

void tw_kinetic_rates(int states, const double *p, const double *dp, int x, double *out)
{
    for (int y = 0; y < states; y++) out[y] = y != x && p[x] > 0 ? fmax(p[x] * dp[y] - p[y] * dp[x], 0) / p[x] : 0;
}

void tw_components_velocity(int count, const double *kappa, const double *slope, double *out_a, double *out_b)
{
    double least = 0;
    for (int j = 0; j < count; j++)
        if (kappa[j] > 0) least = fmin(least, slope[j] / kappa[j]);
    for (int j = 0; j < count; j++) out_a[j] = fmax(slope[j] - kappa[j] * least, 0);
    *out_b = least;
}
