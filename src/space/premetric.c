/* space/premetric.c - see premetric.h.
 *
 * With shares b_i of the corners, s_i the squared distance of corner i from y and l_ij the length of an edge in
 * R^count,
 *
 *   d^2 = sum_i b_i s_i - sum_{i<j} b_i b_j l_ij^2
 *
 * so that a face costs one distance in R^count, that of the corner that is new. */
#include "space/premetric.h"

#include "base/pool.h"
#include "graph/node.h"
#include "space/vector3.h"

#include <math.h>
#include <sched.h>

static const double least = 1e-3; /* kappa at which a curve has arrived */

/* In several sums, so that a compiler may take them side by side: a fifth of a training's time. */
static double square_between(int64_t count, const double *a, const double *b)
{
    enum { SIDE = 8 };
    double sum[SIDE] = {0};
    int64_t k = 0;
    for (; k + SIDE <= count; k += SIDE)
        for (int i = 0; i < SIDE; i++) sum[i] += (a[k + i] - b[k + i]) * (a[k + i] - b[k + i]);
    for (; k < count; k++) sum[0] += (a[k] - b[k]) * (a[k] - b[k]);
    for (int half = SIDE / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++) sum[i] += sum[i + half];
    return sum[0];
}

static const double *place_of(const tw_premetric *p, int64_t face, int corner)
{
    return p->place + p->count * p->mesh->face[3 * face + corner];
}

static double weight(tw_spectral kind, double tau, double lambda)
{
    switch (kind) {
    case TW_SPECTRAL_DIFFUSION: return exp(-2 * tau * lambda);
    case TW_SPECTRAL_COMMUTE: return 1 / lambda;
    default: return 1 / (lambda * lambda);
    }
}

static bool infer_path(void *user, int args_count, const tw_array *args, tw_array *results);
static void evaluate_path(void *user, int args_count, const tw_array *args, const tw_array *results);
static void no_derivative(void *user, tw_graph *g, int args_count, const tw_val *args, const tw_val *results,
                          const tw_val *tangents, tw_val *out_tangents)
{
    (void)user, (void)g, (void)args_count, (void)args, (void)results, (void)tangents, (void)out_tangents;
}

/* As many as threads that may ask at once; who finds none waits. */
static tw_status make_rooms(tw_premetric *p)
{
    p->rooms = tw_pool_threads(p->ctx->pool);
    p->room = tw_alloc(p->ctx, (size_t)p->rooms, sizeof *p->room);
    if (!p->room) return tw_fail_memory(p->ctx, (size_t)p->rooms * sizeof *p->room);
    for (int i = 0; i < p->rooms; i++) {
        tw_premetric_room *r = &p->room[i];
        atomic_flag_clear(&r->taken);
        r->work = tw_alloc(p->ctx, (size_t)tw_premetric_work(p), sizeof(double));
        if (!r->work) return tw_fail_memory(p->ctx, (size_t)tw_premetric_work(p) * sizeof(double));
        tw_status status = tw_mesh_route_create(p->mesh, &r->route);
        if (status != TW_OK) return status;
    }
    return TW_OK;
}

static void place_mesh(tw_premetric *p, tw_spectral kind, double tau)
{
    const double pi = 3.14159265358979323846;
    const tw_mesh_info *info = &p->mesh->info;
    for (int64_t k = 0; k < p->count; k++) {
        double root = sqrt(weight(kind, tau * info->area / (4 * pi), info->eigenvalue[k]));
        for (int64_t v = 0; v < info->vertices; v++)
            p->place[v * p->count + k] = root * info->eigenfunction[v * info->eigenpairs + k];
    }
    for (int64_t f = 0; f < info->faces; f++)
        for (int i = 0; i < 3; i++)
            p->square[3 * f + i] = square_between(p->count, place_of(p, f, (i + 1) % 3), place_of(p, f, (i + 2) % 3));
}

tw_status tw_premetric_create(tw_context *ctx, const tw_mesh *mesh, tw_spectral kind, double tau, int64_t count,
                              tw_premetric **out)
{
    const tw_mesh_info *info = &mesh->info;
    tw_status status = TW_OK;
    if (info->components != 1)
        return tw_fail(ctx, TW_ERR_INVALID, "mesh: %lld parts that no edge joins: a distance needs one",
                       (long long)info->components);
    if (count > info->eigenpairs)
        return tw_fail(ctx, TW_ERR_INVALID, "mesh: %lld eigenpairs are known, of %lld", (long long)info->eigenpairs,
                       (long long)count);
    tw_premetric *p = tw_alloc(ctx, 1, sizeof *p);
    if (!p) return tw_fail_memory(ctx, sizeof *p);
    *p = (tw_premetric){.ctx = ctx, .mesh = mesh, .count = count};
    p->path = (tw_custom){.name = "premetric_path",
                          .user = p,
                          .results_count = 2,
                          .infer = infer_path,
                          .evaluate = evaluate_path,
                          .jvp = no_derivative,
                          .by_rows = true};
    p->place = tw_alloc(ctx, (size_t)(info->vertices * count), sizeof(double));
    p->square = tw_alloc(ctx, (size_t)(3 * info->faces), sizeof(double));
    if (!p->place || !p->square) TW_TRY(tw_fail_memory(ctx, (size_t)(info->vertices * count) * sizeof(double)));
    TW_TRY(make_rooms(p));
    place_mesh(p, kind, tau);
    *out = p;
    p = NULL;
done:
    tw_premetric_destroy(p);
    return status;
}

void tw_premetric_destroy(tw_premetric *p)
{
    if (!p) return;
    for (int i = 0; p->room && i < p->rooms; i++) {
        tw_free(p->ctx, p->room[i].work);
        tw_mesh_route_free(&p->room[i].route);
    }
    tw_free(p->ctx, p->room);
    tw_free(p->ctx, p->place);
    tw_free(p->ctx, p->square);
    tw_free(p->ctx, p);
}

/* --- within a face ---------------------------------------------------------------------------------------------------
 */

/* Where the distance leads to, and squared distances of vertices from it as they become known. */
typedef struct target {
    const tw_premetric *p;
    const double *place; /* (count) */
    double *known;       /* (vertices), -1: not yet */
} target;

/* d^2 to a target as a quadratic of places of a face. */
typedef struct quadratic {
    const double *square; /* of edges */
    double corner[3], slope[9];
} quadratic;

static target make_target(const tw_premetric *p, const tw_mesh_place *at, double *work)
{
    const double *a = place_of(p, at->face, 0), *b = place_of(p, at->face, 1), *c = place_of(p, at->face, 2);
    for (int64_t k = 0; k < p->count; k++) work[k] = at->share[0] * a[k] + at->share[1] * b[k] + at->share[2] * c[k];
    for (int64_t k = p->count; k < tw_premetric_work(p); k++) work[k] = -1;
    return (target){p, work, work + p->count};
}

static quadratic quadratic_of(const target *y, int64_t face)
{
    const tw_premetric *p = y->p;
    quadratic q = {.square = p->square + 3 * face};
    for (int i = 0; i < 3; i++) {
        double *known = y->known + p->mesh->face[3 * face + i];
        if (*known < 0) *known = square_between(p->count, place_of(p, face, i), y->place);
        q.corner[i] = *known;
    }
    tw_mesh_slopes(p->mesh, face, q.slope);
    return q;
}

static double pairs(const quadratic *q, const double *b)
{
    return b[1] * b[2] * q->square[0] + b[2] * b[0] * q->square[1] + b[0] * b[1] * q->square[2];
}

static double value_at(const quadratic *q, const double *b)
{
    double sum = 0;
    for (int i = 0; i < 3; i++) sum += b[i] * q->corner[i];
    return sum - pairs(q, b);
}

static void gradient_at(const quadratic *q, const double *b, double out[3])
{
    out[0] = out[1] = out[2] = 0;
    for (int i = 0; i < 3; i++) {
        int j = (i + 1) % 3, k = (i + 2) % 3;
        v3_add(out, q->corner[i] - b[j] * q->square[k] - b[k] * q->square[j], q->slope + 3 * i);
    }
}

double tw_premetric_distance(const tw_premetric *p, const tw_mesh_place *x, const tw_mesh_place *y)
{
    double sum = 0;
    for (int64_t k = 0; k < p->count; k++) {
        double difference = 0;
        for (int i = 0; i < 3; i++)
            difference += x->share[i] * place_of(p, x->face, i)[k] - y->share[i] * place_of(p, y->face, i)[k];
        sum += difference * difference;
    }
    return sqrt(sum);
}

void tw_premetric_gradient(const tw_premetric *p, const tw_mesh_place *x, const tw_mesh_place *y, double *work,
                           double out[3])
{
    target to = make_target(p, y, work);
    quadratic q = quadratic_of(&to, x->face);
    gradient_at(&q, x->share, out);
    v3_scale(0.5 / tw_premetric_distance(p, x, y), out, out);
}

/* --- which way from a place ------------------------------------------------------------------------------------------
 */

/* The steepest way down: within a face, or along an edge that faces lead to. */
typedef struct way {
    tw_mesh_place at;
    quadratic q;
    double velocity[3]; /* minus the gradient, or its part along the edge */
    double steepness;   /* its length; 0: there is none */
    int along;          /* the edge opposite this corner, -1: within the face */
} way;

/* Whether a vector leads into the face from a place on its sides, of which it may go along one. */
static bool leads_in(const quadratic *q, const tw_mesh_place *at, const double *v, int along)
{
    for (int i = 0; i < 3; i++)
        if (i != along && at->share[i] == 0 && v3_dot(q->slope + 3 * i, v) < 0) return false;
    return true;
}

/* The ways within one face and along those of its sides that the place is on. */
static void consider(const target *to, const tw_mesh_place *at, way *best)
{
    const tw_mesh *m = to->p->mesh;
    quadratic q = quadratic_of(to, at->face);
    double g[3], steepness;
    gradient_at(&q, at->share, g);
    v3_scale(-1, g, g);
    steepness = sqrt(v3_dot(g, g));
    if (steepness > best->steepness && leads_in(&q, at, g, -1))
        *best = (way){.at = *at, .q = q, .velocity = {g[0], g[1], g[2]}, .steepness = steepness, .along = -1};
    for (int i = 0; i < 3; i++) {
        double edge[3];
        if (at->share[i] != 0) continue;
        v3_sub(tw_mesh_corner(m, at->face, (i + 2) % 3), tw_mesh_corner(m, at->face, (i + 1) % 3), edge);
        double part = v3_dot(g, edge) / v3_dot(edge, edge);
        v3_scale(part, edge, edge);
        steepness = sqrt(v3_dot(edge, edge));
        if (steepness > best->steepness && leads_in(&q, at, edge, i))
            *best =
                (way){.at = *at, .q = q, .velocity = {edge[0], edge[1], edge[2]}, .steepness = steepness, .along = i};
    }
}

static way find_way(const target *to, const tw_mesh_place *at)
{
    const tw_mesh *m = to->p->mesh;
    way best = {.at = *at};
    int zeros = 0, zero = 0, corner = 0, ignored;
    for (int i = 0; i < 3; i++) {
        if (at->share[i] == 0)
            zeros++, zero = i;
        else
            corner = i;
    }
    if (zeros < 2) {
        consider(to, at, &best);
        if (zeros == 0 || m->across[3 * at->face + zero] < 0) return best;
        tw_mesh_place other = tw_mesh_cross(m, at, zero, &ignored);
        consider(to, &other, &best);
        return best;
    }
    int32_t vertex = m->face[3 * at->face + corner];
    for (int32_t k = m->begin[vertex]; k < m->begin[vertex + 1]; k++) {
        tw_mesh_place around = {.face = m->ring[k]};
        for (int i = 0; i < 3; i++) around.share[i] = m->face[3 * around.face + i] == vertex;
        consider(to, &around, &best);
    }
    return best;
}

/* --- following it ----------------------------------------------------------------------------------------------------
 */

/* For how long a place may go along v, which changes shares by `change`, before it is on another side: *out_side. */
static double time_within(const way *w, const double *v, double most, double change[3], int *out_side)
{
    *out_side = -1;
    for (int i = 0; i < 3; i++) {
        change[i] = v3_dot(w->q.slope + 3 * i, v);
        if (i == w->along) change[i] = 0;
        if (!(change[i] < 0) || w->at.share[i] == 0) continue;
        double until = w->at.share[i] / -change[i];
        if (until >= most) continue;
        most = until;
        *out_side = i;
    }
    return most;
}

/* A line of the face: d^2 after a time is now + slope time + curve time^2. */
typedef struct line {
    double velocity[3], change[3], slope, curve, time;
    int side; /* on which it is after that time, -1: within, or at the goal */
    bool there;
} line;

/* Along v to the end of the face, a fifth of the way to the least value, or where d^2 is less by `below`. */
static line line_along(const way *w, const double *v, double below)
{
    const double share_of_newton = 0.2;
    line l = {.velocity = {v[0], v[1], v[2]}, .slope = -v3_dot(w->velocity, v)};
    time_within(w, v, 1, l.change, &l.side);
    l.curve = -pairs(&w->q, l.change);
    double most = l.curve > 0 ? share_of_newton * -l.slope / (2 * l.curve) : (double)INFINITY;
    double root = l.slope * l.slope - 4 * l.curve * below;
    double until = root >= 0 ? fmax(2 * below / (-l.slope + sqrt(root)), 0) : (double)INFINITY;
    l.time = time_within(w, v, most, l.change, &l.side);
    l.there = until <= l.time;
    if (l.there) l.time = until;
    if (l.there) l.side = -1;
    return l;
}

/* A step of the midpoint rule, true when d^2 is `goal` then. Where next to nothing of d^2 can still be gained, the way
 * ends: its steepness is 0 then. */
static bool step(way *w, double goal)
{
    const double rounding = 1e-13, nothing = 1e-9;
    double now = value_at(&w->q, w->at.share), below = now - goal, middle[3], g[3];
    line l = line_along(w, w->velocity, below);
    if (!l.there && l.curve > 0 && l.slope * l.slope < 4 * l.curve * nothing * now) {
        w->steepness = 0;
        return false;
    }
    if (w->along < 0) {
        for (int i = 0; i < 3; i++) middle[i] = w->at.share[i] + 0.5 * l.time * l.change[i];
        gradient_at(&w->q, middle, g);
        v3_scale(-1, g, g);
        if (leads_in(&w->q, &w->at, g, -1)) l = line_along(w, g, below);
    }
    for (int i = 0; i < 3; i++) {
        w->at.share[i] += l.time * l.change[i];
        if (i == l.side || w->at.share[i] < rounding) w->at.share[i] = 0;
    }
    return l.there;
}

/* On to where d^2 is a goal; false: it ends before. */
static bool follow(const target *to, way *w, double goal)
{
    enum { MOST = 20000 };
    bool there = value_at(&w->q, w->at.share) <= goal;
    for (int n = 0; n < MOST && !there && w->steepness > 0; n++) {
        there = step(w, goal);
        if (w->steepness > 0) *w = find_way(to, &w->at);
    }
    return there && w->steepness > 0;
}

tw_descent tw_premetric_descend(const tw_premetric *p, const tw_mesh_place *x0, const tw_mesh_place *x1, double kappa,
                                double *work)
{
    target to = make_target(p, x1, work);
    quadratic q = quadratic_of(&to, x0->face);
    double whole = value_at(&q, x0->share), left = fmin(fmax(kappa, least), 1), goal = left * left * whole;
    way w = find_way(&to, x0);
    bool there = w.steepness > 0 && follow(&to, &w, goal);
    tw_descent d = {.arrived = there, .at = w.at};
    if (!there) return d;
    v3_add(d.velocity, 2 * goal / (w.steepness * w.steepness), w.velocity);
    d.arrived = follow(&to, &w, least * least * whole);
    return d;
}

/* --- on a graph ------------------------------------------------------------------------------------------------------
 */

static tw_premetric_room *enter(tw_premetric *p)
{
    for (;; sched_yield())
        for (int i = 0; i < p->rooms; i++)
            if (!atomic_flag_test_and_set_explicit(&p->room[i].taken, memory_order_acquire)) return &p->room[i];
}

static void leave(tw_premetric_room *room)
{
    atomic_flag_clear_explicit(&room->taken, memory_order_release);
}

static void between(const tw_premetric *p, tw_premetric_room *room, const double *x0, const double *x1, double share,
                    double *out_x, double *out_velocity)
{
    tw_mesh_place a = tw_mesh_find(p->mesh, x0, NULL), b = tw_mesh_find(p->mesh, x1, NULL);
    double kappa = fmax(1 - share, least);
    tw_descent d = tw_premetric_descend(p, &a, &b, kappa, room->work);
    if (!d.arrived) {
        tw_mesh_route_between(&room->route, &a, &b, share, out_x, out_velocity);
        return;
    }
    tw_mesh_point(p->mesh, &d.at, out_x);
    v3_scale(1 / kappa, d.velocity, out_velocity);
}

static bool is_points(const tw_array *a, int64_t columns)
{
    return a->shape.rank == 2 && a->shape.dim[1] == columns && (a->dtype == TW_DTYPE_F32 || a->dtype == TW_DTYPE_F64);
}

static bool infer_path(void *user, int args_count, const tw_array *args, tw_array *results)
{
    (void)user;
    if (args_count != 3 || !is_points(&args[0], 3) || !is_points(&args[1], 3) || !is_points(&args[2], 1)) return false;
    results[0] = results[1] = args[0];
    return true;
}

static double number(const tw_array *a, int64_t i)
{
    return a->dtype == TW_DTYPE_F64 ? ((const double *)a->data)[i] : (double)((const float *)a->data)[i];
}

static void set_number(const tw_array *a, int64_t i, double value)
{
    if (a->dtype == TW_DTYPE_F64)
        ((double *)a->data)[i] = value;
    else
        ((float *)a->data)[i] = (float)value;
}

static void evaluate_path(void *user, int args_count, const tw_array *args, const tw_array *results)
{
    tw_premetric_room *room = enter(user);
    (void)args_count;
    for (int64_t i = 0; i < args[0].shape.dim[0]; i++) {
        double x0[3], x1[3], x[3], velocity[3];
        for (int j = 0; j < 3; j++) {
            x0[j] = number(&args[0], 3 * i + j);
            x1[j] = number(&args[1], 3 * i + j);
        }
        between(user, room, x0, x1, number(&args[2], i), x, velocity);
        for (int j = 0; j < 3; j++) {
            set_number(&results[0], 3 * i + j, x[j]);
            set_number(&results[1], 3 * i + j, velocity[j]);
        }
    }
    leave(room);
}

void tw_premetric_rows(const tw_premetric *p, tw_val x0, tw_val x1, tw_val share, tw_val *out_x, tw_val *out_velocity)
{
    tw_val made[2] = {TW_NONE, TW_NONE};
    if (!tw_is_none(x0) && !tw_is_none(x1) && !tw_is_none(share))
        tw_custom_call(x0.graph, &p->path, 3, (tw_val[]){x0, x1, share}, made);
    *out_x = made[0];
    *out_velocity = made[1];
}
