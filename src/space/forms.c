/* space/forms.c - how points of factors are written in columns of the data, and which columns make which factor: a
 * function for each row of space/spaces.def. */
#include "space/forms.h"

#include "space/spd.h"

#include <math.h>
#include <string.h>
#include <strings.h>

static const double pi = 3.14159265358979323846;

/* --- forms ------------------------------------------------------------------------------------------------------- */

static bool all_finite(const tw_factor *f, const double *columns)
{
    double sum = 0;
    for (int i = 0; i < f->columns; i++) sum += 0 * columns[i];
    return sum == 0;
}

static bool plain_read(const tw_factor *f, const double *columns, double *out)
{
    memcpy(out, columns, (size_t)f->numbers * sizeof(double));
    return all_finite(f, columns);
}
static void plain_write(const tw_factor *f, const double *x, double *out)
{
    memcpy(out, x, (size_t)f->columns * sizeof(double));
}
static const tw_form plain = {.read = plain_read, .write = plain_write, .expected = "finite numbers"};

static bool globe_read(const tw_factor *f, const double *columns, double *out)
{
    double longitude = columns[f->swapped] * pi / 180, latitude = columns[!f->swapped] * pi / 180;
    out[0] = cos(latitude) * cos(longitude);
    out[1] = cos(latitude) * sin(longitude);
    out[2] = sin(latitude);
    return all_finite(f, columns) && fabs(columns[!f->swapped]) <= 90;
}
static void globe_write(const tw_factor *f, const double *x, double *out)
{
    out[f->swapped] = atan2(x[1], x[0]) * 180 / pi;
    out[!f->swapped] = atan2(x[2], hypot(x[0], x[1])) * 180 / pi;
}
static const tw_form globe = {
    .read = globe_read, .write = globe_write, .expected = "a latitude from -90 to 90 degrees"};

static bool angles_read(const tw_factor *f, const double *columns, double *out)
{
    for (int i = 0; i < f->numbers; i++) out[i] = 2 * pi * (columns[i] - f->low) / f->period;
    tw_manifold_project(TW_MANIFOLD_torus, f->numbers, out, out);
    return all_finite(f, columns);
}
static void angles_write(const tw_factor *f, const double *x, double *out)
{
    tw_manifold_project(TW_MANIFOLD_torus, f->numbers, x, out);
    for (int i = 0; i < f->numbers; i++) out[i] = f->low + out[i] / (2 * pi) * f->period;
}
static const tw_form angles = {.read = angles_read, .write = angles_write, .expected = "finite angles"};

static bool unit_read(const tw_factor *f, const double *columns, double *out)
{
    double square = 0;
    for (int i = 0; i < f->numbers; i++) square += columns[i] * columns[i];
    for (int i = 0; i < f->numbers; i++) out[i] = columns[i] / sqrt(square);
    return square > 0 && isfinite(square);
}
static const tw_form unit = {
    .read = unit_read, .write = plain_write, .expected = "a vector that is not 0", .joint = true};

static void quaternion_write(const tw_factor *f, const double *x, double *out)
{
    for (int i = 0; i < f->numbers; i++) out[i] = x[0] < 0 ? -x[i] : x[i];
}
static const tw_form quaternion = {
    .read = unit_read, .write = quaternion_write, .expected = "a quaternion that is not 0", .joint = true};

static bool ball_read(const tw_factor *f, const double *columns, double *out)
{
    double square = 0;
    for (int i = 0; i < f->numbers; i++) square += columns[i] * columns[i];
    for (int i = 0; i < f->numbers; i++) out[i] = 2 * columns[i] / (1 - square);
    return square < 1;
}
static void ball_write(const tw_factor *f, const double *x, double *out)
{
    double square = 0;
    for (int i = 0; i < f->numbers; i++) square += x[i] * x[i];
    for (int i = 0; i < f->numbers; i++) out[i] = x[i] / (1 + sqrt(1 + square));
}
static const tw_form ball = {
    .read = ball_read, .write = ball_write, .expected = "a point within the unit ball", .joint = true};

/* Roots of shares. */
static bool shares_read(const tw_factor *f, const double *columns, double *out)
{
    const double slack = 1e-6; /* of shares that were rounded */
    double sum = 0;
    bool well = all_finite(f, columns);
    for (int i = 0; i < f->numbers; i++) sum += columns[i], well = well && columns[i] >= 0;
    for (int i = 0; i < f->numbers; i++) out[i] = sqrt(columns[i] / sum);
    return well && fabs(sum - 1) <= slack * f->numbers;
}
static void shares_write(const tw_factor *f, const double *x, double *out)
{
    double sum = 0;
    for (int i = 0; i < f->numbers; i++) sum += x[i] * x[i];
    for (int i = 0; i < f->numbers; i++) out[i] = x[i] * x[i] / sum;
}
static const tw_form shares = {
    .read = shares_read, .write = shares_write, .expected = "shares of at least 0 that sum to 1", .joint = true};

static bool box_read(const tw_factor *f, const double *columns, double *out)
{
    bool inside = true;
    for (int i = 0; i < f->numbers; i++) {
        out[i] = 2 * ((columns[i] - f->low) / f->period) - 1;
        inside = inside && fabs(out[i]) <= 1 + 1e-12;
        out[i] = fmin(1, fmax(-1, out[i]));
    }
    return inside;
}
static void box_write(const tw_factor *f, const double *x, double *out)
{
    tw_fold_point(f->fold, f->numbers, x, out);
    for (int i = 0; i < f->numbers; i++) out[i] = f->low + 0.5 * (out[i] + 1) * f->period;
}
static const tw_form box = {.read = box_read, .write = box_write, .expected = "numbers between the bounds of the box"};

static bool half_read(const tw_factor *f, const double *columns, double *out)
{
    bool inside = all_finite(f, columns);
    for (int i = 0; i < f->numbers; i++) {
        out[i] = (columns[i] - f->low) / f->period;
        inside = inside && out[i] >= 0;
    }
    return inside;
}
static void half_write(const tw_factor *f, const double *x, double *out)
{
    for (int i = 0; i < f->numbers; i++) out[i] = f->low + fabs(x[i]) * f->period;
}
static const tw_form half = {.read = half_read, .write = half_write, .expected = "numbers not below the bound"};

/* Lower triangles row by row. */
static bool spd_read(const tw_factor *f, const double *columns, double *out)
{
    tw_spd_from_triangle(f->numbers, columns, out);
    return tw_spd_is_positive(f->numbers, out);
}
static void spd_write(const tw_factor *f, const double *x, double *out)
{
    tw_spd_to_triangle(f->numbers, x, out);
}
static const tw_form spd = {.read = spd_read,
                            .write = spd_write,
                            .expected = "the lower triangle of a positive definite matrix",
                            .joint = true};

static bool log_spd_read(const tw_factor *f, const double *columns, double *out)
{
    bool well = spd_read(f, columns, out);
    tw_spd_map(TW_SPD_LOG, f->numbers, out, out);
    return well;
}
static void log_spd_write(const tw_factor *f, const double *x, double *out)
{
    tw_spd_map(TW_SPD_EXP, f->numbers, x, out);
    tw_spd_to_triangle(f->numbers, out, out);
}
static const tw_form log_spd = {.read = log_spd_read,
                                .write = log_spd_write,
                                .expected = "the lower triangle of a positive definite matrix",
                                .joint = true};

/* Points of a mesh, which numbers in a file are near. */
static bool surface_read(const tw_factor *f, const double *columns, double *out)
{
    const double slack = 0.01; /* of the mesh's size */
    return all_finite(f, columns) && tw_mesh_closest(f->mesh, columns, out) <= slack * f->mesh->info.size;
}
static const tw_form surface = {
    .read = surface_read, .write = plain_write, .expected = "a point on the mesh", .joint = true};

/* --- factors ------------------------------------------------------------------------------------------------------ */

/* The next factor, of the columns that follow. */
static tw_status add(tw_columns *c, tw_factor f)
{
    tw_space *s = c->space;
    if (f.symbols == 0 && f.numbers > TW_MANIFOLD_MOST)
        return tw_fail(c->ctx, TW_ERR_UNSUPPORTED, "space '%s': a point of %d numbers: at most %d", c->name, f.numbers,
                       TW_MANIFOLD_MOST);
    bool turns = f.manifold == TW_MANIFOLD_rotation;
    f.features = f.manifold == TW_MANIFOLD_torus ? 2 * f.harmonics * f.numbers : turns ? 9 : f.numbers;
    f.features += 2 * f.waves * f.numbers + (f.surface ? 3 : 0); /* and the normal there */
    f.outputs = turns ? 3 : f.numbers;
    f.column = s->columns;
    f.number = s->numbers;
    f.output = s->outputs;
    s->columns += f.columns;
    s->numbers += f.numbers;
    s->features += f.features;
    s->outputs += f.outputs;
    s->dims += tw_manifold_dims(f.manifold, f.numbers);
    s->factor[s->count++] = f;
    return TW_OK;
}

static tw_status refuse(const tw_columns *c, const char *takes)
{
    return tw_fail(c->ctx, TW_ERR_SHAPE, "space '%s' takes %s: there are %d", c->name, takes, c->count);
}

/* Any number of columns, as many factors as they need. */
static tw_status add_all(tw_columns *c, tw_factor f)
{
    enum { MOST_COLUMNS = 64 }; /* of a factor: that of models there are, as features come factor by factor */
    tw_status status = TW_OK;
    while (status == TW_OK && c->space->columns < c->count) {
        f.columns = f.numbers = (int)tw_min_i64(c->count - c->space->columns, MOST_COLUMNS);
        status = add(c, f);
    }
    return status;
}

static bool called(const tw_columns *c, int column, const char *beginning)
{
    return c->names && strncasecmp(c->names[column], beginning, strlen(beginning)) == 0;
}

tw_status tw_form_euclidean(tw_columns *c)
{
    return add_all(c, (tw_factor){.manifold = TW_MANIFOLD_euclidean, .form = &plain});
}

static bool token_read(const tw_factor *f, const double *columns, double *out)
{
    bool whole = true;
    for (int i = 0; i < f->numbers; i++) {
        out[i] = columns[i];
        whole = whole && columns[i] >= 0 && columns[i] < f->symbols && columns[i] == floor(columns[i]);
    }
    return whole;
}
static const tw_form token = {
    .read = token_read, .write = plain_write, .expected = "whole numbers from 0 on, less than the symbols there are"};

tw_status tw_form_tokens(tw_columns *c)
{
    int symbols = (int)c->piece->value[0];
    if (symbols < 1 || c->piece->value[0] != symbols)
        return tw_fail(c->ctx, TW_ERR_INVALID,
                       "space 'tokens': %g symbols, expected how many there are, such as tokens:256",
                       c->piece->value[0]);
    c->space->symbols = symbols;
    return add(c, (tw_factor){.manifold = TW_MANIFOLD_euclidean,
                              .form = &token,
                              .columns = c->count,
                              .numbers = c->count,
                              .symbols = symbols});
}

tw_status tw_form_product(tw_columns *c)
{
    return tw_fail(c->ctx, TW_ERR_INVALID,
                   "space 'product' is written as its factors with their columns, such as "
                   "'euclidean*3 + tokens:7*2'");
}

/* Tokens, then nothing but what fills up. */
static bool sequence_read(const tw_factor *f, const double *columns, double *out)
{
    int length = 0;
    while (length < f->columns && columns[length] != f->symbols) length++;
    for (int i = 0; i < f->numbers; i++) out[i] = i < length ? columns[i] : f->symbols;
    for (int i = length; i < f->columns; i++)
        if (columns[i] != f->symbols) return false;
    tw_factor row = {.symbols = f->symbols, .numbers = length};
    return token_read(&row, columns, out);
}
static const tw_form sequence = {
    .read = sequence_read,
    .write = plain_write,
    .expected = "whole numbers from 0 on, less than the symbols there are, then as many to the end"};

tw_status tw_form_sequences(tw_columns *c)
{
    int symbols = (int)c->piece->value[0];
    if (symbols < 1 || c->piece->value[0] != symbols)
        return tw_fail(c->ctx, TW_ERR_INVALID,
                       "space 'sequences': %g symbols, expected how many there are, such as sequences:26",
                       c->piece->value[0]);
    c->space->symbols = symbols;
    c->space->ragged = true;
    return add(c, (tw_factor){.manifold = TW_MANIFOLD_euclidean,
                              .form = &sequence,
                              .columns = c->count,
                              .numbers = c->count,
                              .symbols = symbols,
                              .ragged = true});
}

tw_status tw_form_sphere(tw_columns *c)
{
    tw_status status = TW_OK;
    if (c->count % 2) return refuse(c, "pairs of columns, longitude and latitude");
    for (int i = 0; i < c->count && status == TW_OK; i += 2)
        status = add(c, (tw_factor){.manifold = TW_MANIFOLD_sphere,
                                    .form = &globe,
                                    .columns = 2,
                                    .numbers = 3,
                                    .waves = (int)c->piece->value[0],
                                    .swapped = called(c, i, "lat") || called(c, i + 1, "lon")});
    return status;
}

tw_status tw_form_torus(tw_columns *c)
{
    return add_all(c, (tw_factor){.manifold = TW_MANIFOLD_torus,
                                  .form = &angles,
                                  .period = c->piece->value[0],
                                  .low = c->piece->value[1],
                                  .harmonics = (int)c->piece->value[2]});
}

tw_status tw_form_radians(tw_columns *c)
{
    return add_all(c, (tw_factor){.manifold = TW_MANIFOLD_torus,
                                  .form = &angles,
                                  .period = 2 * pi,
                                  .low = -pi,
                                  .harmonics = (int)c->piece->value[0]});
}

tw_status tw_form_directions(tw_columns *c)
{
    if (c->count < 2) return refuse(c, "two columns and more");
    return add(c, (tw_factor){.manifold = TW_MANIFOLD_sphere, .form = &unit, .columns = c->count, .numbers = c->count});
}

static const tw_factor turn = {.manifold = TW_MANIFOLD_rotation, .form = &quaternion, .columns = 4, .numbers = 4};

tw_status tw_form_so3(tw_columns *c)
{
    tw_status status = TW_OK;
    if (c->count % 4) return refuse(c, "fours of columns, w, x, y and z of quaternions");
    for (int i = 0; i < c->count && status == TW_OK; i += 4) status = add(c, turn);
    return status;
}

tw_status tw_form_se3(tw_columns *c)
{
    const tw_factor place = {.manifold = TW_MANIFOLD_euclidean, .form = &plain, .columns = 3, .numbers = 3};
    tw_status status = TW_OK;
    if (c->count % 7) return refuse(c, "sevens of columns, x, y, z of a place and w, x, y, z of a quaternion");
    for (int i = 0; i < c->count && status == TW_OK; i += 7) {
        status = add(c, place);
        if (status == TW_OK) status = add(c, turn);
    }
    return status;
}

static tw_status hyperbolic(tw_columns *c, const tw_form *form)
{
    return add(c,
               (tw_factor){.manifold = TW_MANIFOLD_hyperbolic, .form = form, .columns = c->count, .numbers = c->count});
}

tw_status tw_form_poincare(tw_columns *c)
{
    return hyperbolic(c, &ball);
}

tw_status tw_form_hyperboloid(tw_columns *c)
{
    return hyperbolic(c, &plain);
}

tw_status tw_form_simplex(tw_columns *c)
{
    if (c->count < 2) return refuse(c, "two columns and more");
    return add(c, (tw_factor){.manifold = TW_MANIFOLD_sphere,
                              .form = &shares,
                              .columns = c->count,
                              .numbers = c->count,
                              .fold = TW_FOLD_POSITIVE});
}

tw_status tw_form_box(tw_columns *c)
{
    double low = c->piece->value[0], high = c->piece->value[1];
    if (!(low < high))
        return tw_fail(c->ctx, TW_ERR_INVALID, "space 'box' from %g to %g: expected low below high", low, high);
    return add_all(c, (tw_factor){.manifold = TW_MANIFOLD_euclidean,
                                  .form = &box,
                                  .low = low,
                                  .period = high - low,
                                  .fold = TW_FOLD_BETWEEN,
                                  .chart = true});
}

tw_status tw_form_halfline(tw_columns *c)
{
    return add_all(c, (tw_factor){.manifold = TW_MANIFOLD_euclidean,
                                  .form = &half,
                                  .low = c->piece->value[0],
                                  .period = c->piece->value[1],
                                  .fold = TW_FOLD_POSITIVE,
                                  .chart = true});
}

static tw_status matrices(tw_columns *c, tw_manifold manifold, const tw_form *form)
{
    int side = tw_spd_side(c->count);
    if (side * (side + 1) / 2 != c->count)
        return refuse(c, "k (k + 1) / 2 columns, the lower triangle of a matrix of k rows");
    return add(
        c, (tw_factor){.manifold = manifold, .form = form, .columns = c->count, .numbers = c->count, .chart = true});
}

tw_status tw_form_spd(tw_columns *c)
{
    return matrices(c, TW_MANIFOLD_spd, &spd);
}

tw_status tw_form_log_spd(tw_columns *c)
{
    return matrices(c, TW_MANIFOLD_euclidean, &log_spd);
}

tw_status tw_form_mesh(tw_columns *c)
{
    if (c->count != 3) return refuse(c, "three columns, x, y and z");
    tw_status status = add(c, (tw_factor){.manifold = TW_MANIFOLD_euclidean,
                                          .form = &surface,
                                          .columns = 3,
                                          .numbers = 3,
                                          .waves = (int)c->piece->value[0],
                                          .surface = true,
                                          .chart = true});
    c->space->dims = 2;
    return status;
}
