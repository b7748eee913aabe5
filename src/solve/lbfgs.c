/* solve/lbfgs.c - see lbfgs.h. The inverse Hessian is that of the last pairs of steps s and changes of gradient y, by
 * the two-loop recursion; the step along it is found between brackets by cubic interpolation. */
#include "solve/lbfgs.h"

#include <math.h>
#include <string.h>

/* A place along the search line: x + a p. */
typedef struct place {
    double a, value, slope;
} place;

typedef struct search {
    tw_objective_fn f;
    void *user;
    int64_t size, evaluations;
    int history, kept, next; /* pairs in a ring */
    double *x, *g, *p;       /* where the line begins, the gradient there, its direction */
    double *there, *g_there; /* the place looked at last */
    double *s, *y, *rho, *alpha;
    void *memory;
} search;

static double dot(int64_t n, const double *a, const double *b)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static double largest(int64_t n, const double *g)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++) most = fmax(most, fabs(g[i]));
    return most;
}

static void add(int64_t n, double weight, const double *v, double *sum)
{
    for (int64_t i = 0; i < n; i++) sum[i] += weight * v[i];
}

static tw_status make_memory(tw_context *ctx, search *w)
{
    int64_t states = 0, numbers = 0;
    if (__builtin_mul_overflow(w->size, 2 * (int64_t)w->history + 5, &states) ||
        __builtin_add_overflow(states, 2 * (int64_t)w->history, &numbers) || numbers > INT64_MAX / 16)
        return tw_fail(ctx, TW_ERR_MEMORY, "L-BFGS over %lld numbers does not fit in memory", (long long)w->size);
    double *at = w->memory = tw_alloc_aligned(ctx, (size_t)numbers * sizeof *at);
    if (!at) return tw_fail_memory(ctx, (size_t)numbers * sizeof *at);
    double **of_states[] = {&w->x, &w->g, &w->p, &w->there, &w->g_there};
    for (int i = 0; i < TW_COUNT(of_states); i++, at += w->size) *of_states[i] = at;
    w->s = at;
    w->y = w->s + w->history * w->size;
    w->rho = w->y + w->history * w->size;
    w->alpha = w->rho + w->history;
    return TW_OK;
}

/* --- the direction -------------------------------------------------------------------------------------------------
 */

/* p = -H g, from the youngest pair to the oldest and back. */
static void choose_direction(search *w)
{
    int64_t n = w->size;
    for (int64_t i = 0; i < n; i++) w->p[i] = -w->g[i];
    for (int k = 1; k <= w->kept; k++) {
        int j = (w->next - k + w->history) % w->history;
        w->alpha[j] = w->rho[j] * dot(n, w->s + j * n, w->p);
        add(n, -w->alpha[j], w->y + j * n, w->p);
    }
    if (w->kept) {
        const double *s = w->s + (w->next - 1 + w->history) % w->history * n;
        const double *y = w->y + (w->next - 1 + w->history) % w->history * n;
        double scale = dot(n, s, y) / dot(n, y, y);
        for (int64_t i = 0; i < n; i++) w->p[i] *= scale;
    }
    for (int k = w->kept; k >= 1; k--) {
        int j = (w->next - k + w->history) % w->history;
        add(n, w->alpha[j] - w->rho[j] * dot(n, w->y + j * n, w->p), w->s + j * n, w->p);
    }
}

/* Moves to the place looked at last and keeps the pair that leads there, if the curvature along it is positive. */
static void move(search *w)
{
    int64_t n = w->size;
    double *s = w->s + w->next * n, *y = w->y + w->next * n;
    for (int64_t i = 0; i < n; i++) {
        s[i] = w->there[i] - w->x[i];
        y[i] = w->g_there[i] - w->g[i];
    }
    memcpy(w->x, w->there, (size_t)n * sizeof(double));
    memcpy(w->g, w->g_there, (size_t)n * sizeof(double));
    double curvature = dot(n, s, y);
    if (!(curvature > 1e-14 * dot(n, y, y))) return;
    w->rho[w->next] = 1 / curvature;
    w->next = (w->next + 1) % w->history;
    if (w->kept < w->history) w->kept++;
}

/* --- the line ------------------------------------------------------------------------------------------------------
 */

static tw_status look(search *w, double a, place *out)
{
    *out = (place){.a = a};
    for (int64_t i = 0; i < w->size; i++) w->there[i] = w->x[i] + a * w->p[i];
    tw_status status = w->f(w->user, w->there, &out->value, w->g_there);
    w->evaluations++;
    out->slope = dot(w->size, w->g_there, w->p);
    if (!isfinite(out->value) || !isfinite(out->slope)) out->value = HUGE_VAL;
    return status;
}

/* The minimum of the cubic through two places, kept a tenth away from both. */
static double between(const place *u, const place *v)
{
    double width = v->a - u->a, middle = u->a + 0.5 * width;
    if (!isfinite(v->value)) return u->a + 0.1 * width;
    double d1 = u->slope + v->slope - 3 * (u->value - v->value) / (u->a - v->a);
    double square = d1 * d1 - u->slope * v->slope;
    if (!(square >= 0)) return middle;
    double d2 = copysign(sqrt(square), width), a = v->a - width * (v->slope + d2 - d1) / (v->slope - u->slope + 2 * d2);
    double low = fmin(u->a, v->a) + 0.1 * fabs(width), high = fmax(u->a, v->a) - 0.1 * fabs(width);
    return isfinite(a) ? fmin(fmax(a, low), high) : middle;
}

static const double decrease = 1e-4, flattening = 0.9;

static bool is_low(const place *start, const place *at)
{
    return at->value <= start->value + decrease * at->a * start->slope;
}

static bool is_flat(const place *start, const place *at)
{
    return fabs(at->slope) <= -flattening * start->slope;
}

/* Between the lowest place so far and one beyond a minimum. */
static tw_status narrow(search *w, const place *start, place low, place high, place *out)
{
    tw_status status = TW_OK;
    for (int i = 0; i < 30; i++) {
        place at;
        TW_TRY(look(w, between(&low, &high), &at));
        if (!is_low(start, &at) || at.value >= low.value) {
            high = at;
            continue;
        }
        if (is_flat(start, &at)) {
            *out = at;
            goto done;
        }
        if (at.slope * (high.a - low.a) >= 0) high = low;
        low = at;
    }
    *out = low;
    if (low.a > 0) TW_TRY(look(w, low.a, out));
done:
    return status;
}

/* A step along p under the strong Wolfe conditions, or any that lowers the value; a = 0 when there is none. */
static tw_status search_line(search *w, const place *start, double first, place *out)
{
    tw_status status = TW_OK;
    place before = *start, at;
    for (int i = 0; i < 30; i++, first *= 2) {
        TW_TRY(look(w, first, &at));
        if (!is_low(start, &at) || (i > 0 && at.value >= before.value)) return narrow(w, start, before, at, out);
        *out = at;
        if (is_flat(start, &at)) break;
        if (at.slope >= 0) return narrow(w, start, at, before, out);
        before = at;
    }
done:
    return status;
}

/* --- all -----------------------------------------------------------------------------------------------------------
 */

static bool reached(const tw_lbfgs_desc *d, const search *w, double value)
{
    return largest(w->size, w->g) <= d->tolerance || (d->target != 0 && value <= d->target);
}

static tw_status descend(const tw_lbfgs_desc *d, search *w, tw_lbfgs_result *r)
{
    tw_status status = TW_OK;
    place start;
    memset(w->p, 0, (size_t)w->size * sizeof(double));
    TW_TRY(look(w, 0, &start));
    memcpy(w->g, w->g_there, (size_t)w->size * sizeof(double));
    r->value = start.value;
    for (; !reached(d, w, r->value) && isfinite(r->value) && r->iterations < d->iterations; r->iterations++) {
        place end = {0};
        choose_direction(w);
        start = (place){.value = r->value, .slope = dot(w->size, w->g, w->p)};
        /* the scale is unknown at first: a step whose entries sum to 1 at most */
        double sum = 0;
        for (int64_t i = 0; i < w->size; i++) sum += fabs(w->g[i]);
        if (start.slope < 0) TW_TRY(search_line(w, &start, w->kept ? 1 : fmin(1, 1 / sum), &end));
        if (!(end.a > 0)) {
            if (w->kept == 0) break;
            w->kept = 0; /* once more down the gradient */
            continue;
        }
        move(w);
        r->value = end.value;
    }
done:
    return status;
}

tw_status tw_lbfgs(tw_context *ctx, const tw_lbfgs_desc *desc, tw_objective_fn f, void *user, double *x,
                   tw_lbfgs_result *out_result)
{
    tw_lbfgs_desc d = *desc;
    tw_lbfgs_result r = {0};
    tw_status status = TW_OK;
    search w = {.f = f, .user = user, .size = d.size, .history = d.history > 0 ? d.history : 20};
    if (d.size < 0 || d.history < 0 || d.iterations < 0 || !(d.tolerance >= 0))
        return tw_fail(ctx, TW_ERR_INVALID, "L-BFGS over %lld numbers, %d pairs, %d iterations, tolerance %g",
                       (long long)d.size, d.history, d.iterations, d.tolerance);
    if (d.iterations == 0) d.iterations = 100;
    if (d.tolerance == 0) d.tolerance = 1e-8;
    TW_TRY(make_memory(ctx, &w));
    memcpy(w.x, x, (size_t)d.size * sizeof(double));
    status = descend(&d, &w, &r);
    r.slope = largest(d.size, w.g);
    r.evaluations = w.evaluations;
    r.reached = reached(&d, &w, r.value);
    memcpy(x, w.x, (size_t)d.size * sizeof(double));
    if (out_result) *out_result = r;
done:
    tw_free_aligned(ctx, w.memory);
    return status;
}
