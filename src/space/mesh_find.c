/* space/mesh_find.c - the nearest place of a mesh: a tree of boxes, cut at the median of the faces' middles along the
 * longer axis, searched the nearer half first; the nearest point of a triangle (Ericson 2005, Real-time collision
 * detection, section 5.1.5). */
#include "space/mesh.h"
#include "space/vector3.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LEAF = 4, DEEPEST = 64 };

struct tw_mesh_box {
    double low[3], high[3];
    int32_t first, count; /* of the order of faces; count 0: two halves, the next box and box number `first` */
};

/* --- building --------------------------------------------------------------------------------------------------------
 */

typedef struct middle {
    double along;
    int32_t face;
} middle;

static int by_middle(const void *a, const void *b)
{
    const middle *x = a, *y = b;
    if (x->along != y->along) return x->along < y->along ? -1 : 1;
    return x->face < y->face ? -1 : x->face > y->face;
}

static double middle_of(const tw_mesh *m, int64_t face, int axis)
{
    double sum = 0;
    for (int i = 0; i < 3; i++) sum += tw_mesh_corner(m, face, i)[axis];
    return sum / 3;
}

static void bound(const tw_mesh *m, int64_t begin, int64_t end, tw_mesh_box *box)
{
    for (int j = 0; j < 3; j++) {
        box->low[j] = (double)INFINITY;
        box->high[j] = -(double)INFINITY;
    }
    for (int64_t k = begin; k < end; k++)
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 3; j++) {
                double x = tw_mesh_corner(m, m->order[k], i)[j];
                box->low[j] = fmin(box->low[j], x);
                box->high[j] = fmax(box->high[j], x);
            }
}

/* Boxes of faces begin to end - 1 of the order from box number `at` on; returns how many there are then. Halves differ
 * by one face at most, so that it is not deep. */
static int32_t build(tw_mesh *m, middle *sorted, int64_t begin, int64_t end, int32_t at)
{
    tw_mesh_box *box = &m->box[at];
    bound(m, begin, end, box);
    if (end - begin <= LEAF) {
        box->first = (int32_t)begin;
        box->count = (int32_t)(end - begin);
        return at + 1;
    }
    int axis = 0;
    for (int j = 1; j < 3; j++)
        if (box->high[j] - box->low[j] > box->high[axis] - box->low[axis]) axis = j;
    for (int64_t k = begin; k < end; k++) sorted[k] = (middle){middle_of(m, m->order[k], axis), m->order[k]};
    qsort(sorted + begin, (size_t)(end - begin), sizeof *sorted, by_middle);
    for (int64_t k = begin; k < end; k++) m->order[k] = sorted[k].face;
    int64_t half = (begin + end) / 2;
    box->first = build(m, sorted, begin, half, at + 1);
    return build(m, sorted, half, end, box->first);
}

tw_status tw_mesh_build_boxes(tw_mesh *m)
{
    size_t faces = (size_t)m->info.faces;
    middle *sorted = tw_alloc(m->ctx, faces, sizeof *sorted);
    m->order = tw_alloc(m->ctx, faces, sizeof *m->order);
    m->box = tw_alloc(m->ctx, 2 * faces, sizeof *m->box);
    if (sorted && m->order && m->box) {
        for (size_t f = 0; f < faces; f++) m->order[f] = (int32_t)f;
        build(m, sorted, 0, (int64_t)faces, 0);
    }
    bool made = sorted && m->order && m->box;
    tw_free(m->ctx, sorted);
    return made ? TW_OK : tw_fail_memory(m->ctx, 2 * faces * sizeof *m->box);
}

/* --- searching -------------------------------------------------------------------------------------------------------
 */

/* On the side from corner `from` to corner `to`, a share of the way. */
static void on_side(int from, int to, double share, double out[3])
{
    out[0] = out[1] = out[2] = 0;
    out[from] = 1 - share;
    out[to] = share;
}

/* Shares of the corners of the point of a triangle nearest to x. */
static void nearest(const double *a, const double *b, const double *c, const double *x, double out[3])
{
    double ab[3], ac[3], bc[3], ax[3], bx[3], cx[3];
    v3_sub(b, a, ab);
    v3_sub(c, a, ac);
    v3_sub(c, b, bc);
    v3_sub(x, a, ax);
    v3_sub(x, b, bx);
    v3_sub(x, c, cx);
    double d1 = v3_dot(ab, ax), d2 = v3_dot(ac, ax), d3 = v3_dot(ab, bx), d4 = v3_dot(ac, bx), d5 = v3_dot(ab, cx),
           d6 = v3_dot(ac, cx);
    double va = d3 * d6 - d5 * d4, vb = d5 * d2 - d1 * d6, vc = d1 * d4 - d3 * d2;
    if (d1 <= 0 && d2 <= 0)
        on_side(0, 1, 0, out);
    else if (d3 >= 0 && d4 <= d3)
        on_side(0, 1, 1, out);
    else if (d6 >= 0 && d5 <= d6)
        on_side(0, 2, 1, out);
    else if (vc <= 0 && d1 >= 0 && d3 <= 0)
        on_side(0, 1, d1 / (d1 - d3), out);
    else if (vb <= 0 && d2 >= 0 && d6 <= 0)
        on_side(0, 2, d2 / (d2 - d6), out);
    else if (va <= 0 && d4 - d3 >= 0 && d5 - d6 >= 0)
        on_side(1, 2, (d4 - d3) / ((d4 - d3) + (d5 - d6)), out);
    else {
        double sum = va + vb + vc;
        out[1] = vb / sum;
        out[2] = vc / sum;
        out[0] = 1 - out[1] - out[2];
    }
}

static double square_to(const tw_mesh_box *box, const double *x)
{
    double square = 0;
    for (int j = 0; j < 3; j++) {
        double out = fmax(fmax(box->low[j] - x[j], x[j] - box->high[j]), 0);
        square += out * out;
    }
    return square;
}

static void search_leaf(const tw_mesh *m, const tw_mesh_box *box, const double *x, double *best, tw_mesh_place *place)
{
    for (int32_t k = box->first; k < box->first + box->count; k++) {
        tw_mesh_place one = {.face = m->order[k]};
        double point[3];
        nearest(tw_mesh_corner(m, one.face, 0), tw_mesh_corner(m, one.face, 1), tw_mesh_corner(m, one.face, 2), x,
                one.share);
        tw_mesh_point(m, &one, point);
        v3_sub(point, x, point);
        double square = v3_dot(point, point);
        if (!(square < *best)) continue;
        *best = square;
        *place = one;
    }
}

tw_mesh_place tw_mesh_find(const tw_mesh *m, const double x[3], double *out_square)
{
    struct {
        int32_t box;
        double square;
    } waiting[DEEPEST];
    double best = (double)INFINITY;
    tw_mesh_place place = {.face = 0, .share = {1, 0, 0}}; /* of an x that is no number */
    int count = 1;
    waiting[0].box = 0;
    waiting[0].square = 0;
    while (count > 0) {
        count--;
        const tw_mesh_box *box = &m->box[waiting[count].box];
        if (!(waiting[count].square < best)) continue;
        if (box->count > 0) {
            search_leaf(m, box, x, &best, &place);
            continue;
        }
        int32_t left = (int32_t)(box - m->box) + 1, right = box->first;
        double to_left = square_to(&m->box[left], x), to_right = square_to(&m->box[right], x);
        bool swap = to_right > to_left; /* the nearer one is taken next */
        waiting[count].box = swap ? right : left;
        waiting[count++].square = swap ? to_right : to_left;
        waiting[count].box = swap ? left : right;
        waiting[count++].square = swap ? to_left : to_right;
    }
    if (out_square) *out_square = best;
    return place;
}

double tw_mesh_closest(const tw_mesh *mesh, const double x[3], double out[3])
{
    double square;
    tw_mesh_place place = tw_mesh_find(mesh, x, &square);
    tw_mesh_point(mesh, &place, out);
    return sqrt(square);
}

void tw_mesh_project(const tw_mesh *mesh, const double *x, double *out)
{
    tw_mesh_place place = tw_mesh_find(mesh, x, NULL);
    double point[3];
    tw_mesh_point(mesh, &place, point);
    memcpy(out, point, sizeof point);
}
