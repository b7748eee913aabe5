/* flow/operator.c - linear operators on pictures, of which each is a product of three: along the height, the width and
 * the channels, A = R_h x R_w x R_c (Kronecker). With R = U S V' of each factor, U' A = (S V') x (S V') x (S V') has
 * orthogonal rows: so the large matrix is never decomposed (Kawar, Elad, Ermon, Song 2022, Denoising diffusion
 * restoration models, appendix D), and noise that is the same in every measure stays so. */
#include "flow/operator.h"

#include "base/base.h"
#include "cpu/eigen.h"
#include "nn/piece.h"

#include <math.h>
#include <string.h>

enum { AXES = 3, MOST_NUMBERS = 1 << 24 };

/* Along one axis, of `in` numbers to `out` numbers: itself (out, in), U' (out, out), and U' times itself. */
typedef struct factor {
    int in, out;
    double *direct, *turn, *turned;
} factor;

struct tw_operator {
    tw_context *ctx;
    factor factor[AXES]; /* of height, width, channels */
    double *matrix;      /* (measures, columns) */
};

/* --- the factors ---------------------------------------------------------------------------------------------------- */

/* Fills in `out`; a sentence when the picture does not suit, or NULL. */
typedef const char *(*operator_fn)(const double *value, int axis, factor *f);

static const char *operator_average(const double *value, int axis, factor *f)
{
    int side = (int)value[0];
    if (axis == 2) return NULL;
    f->out = f->in / side;
    if (value[0] != side || f->in % side) return "blocks must be whole: the sides of a picture multiples of theirs";
    for (int i = 0; f->direct && i < f->in; i++) f->direct[i / side * f->in + i] = 1.0 / side;
    return NULL;
}

static const char *operator_blur(const double *value, int axis, factor *f)
{
    if (axis == 2) return NULL;
    for (int i = 0; f->direct && i < f->in; i++) {
        double sum = 0, *row = f->direct + i * f->in;
        for (int j = 0; j < f->in; j++) sum += row[j] = exp(-0.5 * (i - j) * (i - j) / (value[0] * value[0]));
        for (int j = 0; j < f->in; j++) row[j] /= sum;
    }
    return NULL;
}

static const char *operator_gray(const double *value, int axis, factor *f)
{
    const double weight[3] = {0.299, 0.587, 0.114};
    (void)value;
    if (axis != 2) return NULL;
    if (f->in != 3) return "it needs pictures of three channels";
    f->out = 1;
    if (f->direct) memcpy(f->direct, weight, sizeof weight);
    return NULL;
}

static const struct {
    tw_piece_info info;
    operator_fn make;
} operators[] = {
#define TW_OPERATOR(name, about, source, parameters) {{#name, about, source, parameters}, operator_##name},
#include "flow/operators.def"
};

const tw_piece_info *tw_operator_list(int index)
{
    return index >= 0 && index < TW_COUNT(operators) ? &operators[index].info : NULL;
}

/* --- decomposed ----------------------------------------------------------------------------------------------------- */

/* U from R R' = U S^2 U'; measures of no length are rounding, and 0. */
static tw_status decompose(tw_context *ctx, factor *f)
{
    size_t square = (size_t)f->out * (size_t)f->out;
    double *gram = tw_alloc(ctx, 2 * square + (size_t)f->out, sizeof *gram), most = 0;
    if (!gram) return tw_fail_memory(ctx, 2 * square * sizeof *gram);
    double *vectors = gram + square, *value = vectors + square;
    for (int i = 0; i < f->out; i++)
        for (int j = 0; j < f->out; j++)
            for (int k = 0; k < f->in; k++)
                gram[i * f->out + j] += f->direct[i * f->in + k] * f->direct[j * f->in + k];
    tw_eigen_symmetric(f->out, gram, value, vectors);
    for (int i = 0; i < f->out; i++) most = fmax(most, value[i]);
    for (int i = 0; i < f->out; i++)
        for (int k = 0; k < f->out; k++) {
            double u = f->turn[i * f->out + k] = vectors[k * f->out + i];
            for (int j = 0; value[i] > 1e-12 * most && j < f->in; j++)
                f->turned[i * f->in + j] += u * f->direct[k * f->in + j];
        }
    tw_free(ctx, gram);
    return TW_OK;
}

/* How many numbers it takes and gives along each axis, and whether all of them can be kept, before any work. */
static tw_status size_factors(tw_operator *o, const tw_piece *piece, const int sides[AXES])
{
    double measures = 1, columns = 1;
    for (int axis = 0; axis < AXES; axis++) {
        factor *f = &o->factor[axis];
        *f = (factor){.in = sides[axis], .out = sides[axis]};
        const char *why = operators[piece->row].make(piece->value, axis, f);
        if (why)
            return tw_fail(o->ctx, TW_ERR_INVALID, "operator '%s' does not suit these pictures: %s", piece->info->name,
                           why);
        measures *= f->out;
        columns *= f->in;
    }
    if (measures * columns <= MOST_NUMBERS) return TW_OK;
    return tw_fail(o->ctx, TW_ERR_UNSUPPORTED, "%.0f measures of %.0f numbers are more than can be kept: %d in all",
                   measures, columns, MOST_NUMBERS);
}

static tw_status make_factor(tw_context *ctx, const tw_piece *piece, int axis, factor *f)
{
    int in = f->in;
    bool itself = true;
    f->direct = tw_alloc(ctx, (size_t)f->out * (size_t)in, sizeof(double));
    f->turn = tw_alloc(ctx, (size_t)f->out * (size_t)f->out, sizeof(double));
    f->turned = tw_alloc(ctx, (size_t)f->out * (size_t)in, sizeof(double));
    if (!f->direct || !f->turn || !f->turned) return tw_fail_memory(ctx, (size_t)f->out * (size_t)in * sizeof(double));
    operators[piece->row].make(piece->value, axis, f);
    for (int i = 0; i < f->out * in; i++) itself &= f->direct[i] == 0;
    for (int i = 0; itself && i < in; i++) f->direct[i * in + i] = 1; /* an axis that was left alone */
    return decompose(ctx, f);
}

static int64_t numbers_out(const tw_operator *o)
{
    return (int64_t)o->factor[0].out * o->factor[1].out * o->factor[2].out;
}

static int64_t numbers_in(const tw_operator *o)
{
    return (int64_t)o->factor[0].in * o->factor[1].in * o->factor[2].in;
}

static tw_status fill_matrix(tw_operator *o)
{
    const factor *h = &o->factor[0], *w = &o->factor[1], *c = &o->factor[2];
    int64_t measures = numbers_out(o), columns = numbers_in(o), at = 0;
    o->matrix = tw_alloc(o->ctx, (size_t)(measures * columns), sizeof(double));
    if (!o->matrix) return tw_fail_memory(o->ctx, (size_t)(measures * columns) * sizeof(double));
    for (int i = 0; i < h->out; i++)
        for (int j = 0; j < w->out; j++)
            for (int k = 0; k < c->out; k++)
                for (int y = 0; y < h->in; y++)
                    for (int x = 0; x < w->in; x++) {
                        double both = h->turned[i * h->in + y] * w->turned[j * w->in + x];
                        for (int z = 0; z < c->in; z++) o->matrix[at++] = both * c->turned[k * c->in + z];
                    }
    return TW_OK;
}

tw_status tw_operator_create(tw_context *ctx, const char *name, tw_image image, tw_operator **out_operator)
{
    const int sides[AXES] = {image.height, image.width, image.channels};
    tw_piece piece = {0};
    tw_status status = TW_OK;
    tw_operator *o = NULL;
    if (image.height < 1 || image.width < 1 || image.channels < 1)
        TW_TRY(tw_fail(ctx, TW_ERR_INVALID, "operators are for pictures"));
    TW_TRY(tw_piece_read(ctx, "operator", name, tw_operator_list, &piece));
    o = tw_alloc(ctx, 1, sizeof *o);
    if (!o) TW_TRY(tw_fail_memory(ctx, sizeof *o));
    o->ctx = ctx;
    TW_TRY(size_factors(o, &piece, sides));
    for (int axis = 0; axis < AXES; axis++) TW_TRY(make_factor(ctx, &piece, axis, &o->factor[axis]));
    TW_TRY(fill_matrix(o));
    *out_operator = o;
    o = NULL;
done:
    tw_piece_free(ctx, &piece);
    tw_operator_destroy(o);
    return status;
}

void tw_operator_destroy(tw_operator *o)
{
    if (!o) return;
    for (int axis = 0; axis < AXES; axis++) {
        tw_free(o->ctx, o->factor[axis].direct);
        tw_free(o->ctx, o->factor[axis].turn);
        tw_free(o->ctx, o->factor[axis].turned);
    }
    tw_free(o->ctx, o->matrix);
    tw_free(o->ctx, o);
}

/* --- applied -------------------------------------------------------------------------------------------------------- */

tw_image tw_operator_image(const tw_operator *o)
{
    return (tw_image){o->factor[0].out, o->factor[1].out, o->factor[2].out};
}

int tw_operator_measures(const tw_operator *o)
{
    return (int)numbers_out(o);
}

const double *tw_operator_matrix(const tw_operator *o)
{
    return o->matrix;
}

/* out (p, m, q) = the sum over n of a (m, n) x (p, n, q) */
static void along(int64_t p, int m, int n, int64_t q, const double *a, const double *x, double *out)
{
    memset(out, 0, (size_t)(p * m * q) * sizeof *out);
    for (int64_t i = 0; i < p; i++)
        for (int j = 0; j < m; j++)
            for (int k = 0; k < n; k++)
                for (int64_t l = 0; l < q; l++) out[(i * m + j) * q + l] += a[j * n + k] * x[(i * n + k) * q + l];
}

/* One matrix after another along each axis; the width between is the larger of both. */
static tw_status apply(const tw_operator *o, const double *const matrix[AXES], const int in[AXES], const double *x,
                       double *out)
{
    const factor *h = &o->factor[0], *w = &o->factor[1], *c = &o->factor[2];
    size_t first = (size_t)h->out * (size_t)in[1] * (size_t)in[2], second = (size_t)h->out * (size_t)w->out * (size_t)in[2];
    double *spare = tw_alloc(o->ctx, first + second, sizeof *spare);
    if (!spare) return tw_fail_memory(o->ctx, (first + second) * sizeof *spare);
    along(1, h->out, in[0], (int64_t)in[1] * in[2], matrix[0], x, spare);
    along(h->out, w->out, in[1], in[2], matrix[1], spare, spare + first);
    along((int64_t)h->out * w->out, c->out, in[2], 1, matrix[2], spare + first, out);
    tw_free(o->ctx, spare);
    return TW_OK;
}

tw_status tw_operator_apply(const tw_operator *o, const double *picture, double *out)
{
    const factor *f = o->factor;
    const double *const direct[AXES] = {f[0].direct, f[1].direct, f[2].direct};
    return apply(o, direct, (const int[]){f[0].in, f[1].in, f[2].in}, picture, out);
}

tw_status tw_operator_measure(const tw_operator *o, const double *observed, double *out)
{
    const factor *f = o->factor;
    const double *const turn[AXES] = {f[0].turn, f[1].turn, f[2].turn};
    return apply(o, turn, (const int[]){f[0].out, f[1].out, f[2].out}, observed, out);
}
