/* tests/graph/bodies.h - functions that tests call from graphs: bodies of loops and branches, a custom function. */
#ifndef TESTS_GRAPH_BODIES_H
#define TESTS_GRAPH_BODIES_H

#include "graph/function.h"
#include "graph/support.h"

/* (a, b) -> (a sin b, a + b^2) */
static inline void body_pair(void *user, tw_graph *g, const tw_val *in, tw_val *out)
{
    (void)user;
    (void)g;
    out[0] = tw_mul(in[0], tw_sin(in[1]));
    out[1] = tw_add(in[0], tw_square(in[1]));
}

/* (a, b) -> (b, a cos a): the second result does not depend on b */
static inline void body_other_pair(void *user, tw_graph *g, const tw_val *in, tw_val *out)
{
    (void)user;
    (void)g;
    out[0] = in[1];
    out[1] = tw_mul(in[0], tw_cos(in[0]));
}

/* Consts w, a whole number n; carries a, a counter, b; x -> a' = sin(a w) + x, counter + n, b' = b / 2 + a x;
 * y = a b + counter, the counter. */
static inline void body_step(void *user, tw_graph *g, const tw_val *in, tw_val *out)
{
    tw_val w = in[0], n = in[1], a = in[2], counter = in[3], b = in[4], x = in[5];
    (void)user;
    (void)g;
    out[0] = tw_add(tw_sin(tw_mul(a, w)), x);
    out[1] = tw_add(counter, n);
    out[2] = tw_add(tw_muls(b, 0.5), tw_mul(a, x));
    out[3] = tw_add(tw_mul(a, b), tw_cast(counter, tw_dtype_at(a)));
    out[4] = counter;
}

/* Carries: a counter, x; consts: w. Three steps of x = sin(x) w. */
static inline void body_below_three(void *user, tw_graph *g, const tw_val *in, tw_val *out)
{
    (void)user;
    out[0] = tw_lt(in[1], tw_const(g, TW_DTYPE_I32, 3.0));
}
static inline void body_count(void *user, tw_graph *g, const tw_val *in, tw_val *out)
{
    (void)user;
    out[0] = tw_add(in[1], tw_const(g, TW_DTYPE_I32, 1.0));
    out[1] = tw_mul(tw_sin(in[2]), in[0]);
}

/* --- x^3 as a custom function; its tangent 3 x^2 t as another, linear in t and its own transpose --- */

static inline bool infer_like_first(void *user, int count, const tw_array *args, tw_array *results)
{
    (void)user;
    for (int i = 0; i < count; i++)
        if (!tw_shape_equal(args[i].shape, args[0].shape) || args[i].dtype != args[0].dtype) return false;
    if (count < 1 || (args[0].dtype != TW_DTYPE_F32 && args[0].dtype != TW_DTYPE_F64)) return false;
    results[0] = args[0];
    return true;
}

static inline void cube_evaluate(void *user, int count, const tw_array *args, const tw_array *results)
{
    (void)user;
    for (int64_t i = 0, n = tw_shape_size(args[0].shape); i < n; i++) {
        double x = tw_load_element(args[0].data, args[0].dtype, i);
        double y = count == 1 ? x * x * x : 3.0 * x * x * tw_load_element(args[1].data, args[1].dtype, i);
        tw_store_element(results[0].data, results[0].dtype, i, y);
    }
}

/* user: a number the transpose is multiplied by; 1 is right */
static inline const tw_custom *cube_tangent(const double *scale);

static inline void cube_jvp(void *user, tw_graph *g, int count, const tw_val *args, const tw_val *results,
                            const tw_val *tangents, tw_val *out)
{
    (void)count;
    (void)results;
    tw_custom_call(g, cube_tangent(user), 2, (tw_val[]){args[0], tangents[0]}, out);
}

static inline void cube_tangent_jvp(void *user, tw_graph *g, int count, const tw_val *args, const tw_val *results,
                                    const tw_val *tangents, tw_val *out)
{
    tw_val parts[2] = {TW_NONE, TW_NONE};
    (void)count;
    (void)results;
    if (!tw_is_none(tangents[0])) parts[0] = tw_mul(tangents[0], tw_muls(tw_mul(args[0], args[1]), 6.0));
    if (!tw_is_none(tangents[1]))
        tw_custom_call(g, cube_tangent(user), 2, (tw_val[]){args[0], tangents[1]}, &parts[1]);
    out[0] = tw_is_none(parts[0]) ? parts[1] : tw_is_none(parts[1]) ? parts[0] : tw_add(parts[0], parts[1]);
}

static inline void cube_tangent_transpose(void *user, tw_graph *g, int count, const tw_val *args, const bool *wanted,
                                          const tw_val *cotangents, tw_val *out)
{
    const double *scale = user;
    (void)count;
    if (wanted[0]) tw_graph_fail(g, TW_ERR_INVALID, "cube_tangent is linear in its second argument only");
    tw_custom_call(g, cube_tangent(scale), 2, (tw_val[]){args[0], cotangents[0]}, &out[1]);
    if (*scale != 1.0) out[1] = tw_muls(out[1], *scale);
}

static const double right_scale = 1.0, wrong_scale = 1.001;

static inline const tw_custom *cube_tangent(const double *scale)
{
#define CUBE_TANGENT(scale_)                                                                                           \
    {.name = "cube_tangent",                                                                                           \
     .user = (void *)(uintptr_t)(scale_),                                                                              \
     .results_count = 1,                                                                                               \
     .infer = infer_like_first,                                                                                        \
     .evaluate = cube_evaluate,                                                                                        \
     .jvp = cube_tangent_jvp,                                                                                          \
     .transpose = cube_tangent_transpose,                                                                              \
     .by_rows = true}
    static const tw_custom right = CUBE_TANGENT(&right_scale), wrong = CUBE_TANGENT(&wrong_scale);
#undef CUBE_TANGENT
    return scale == &right_scale ? &right : &wrong;
}

static inline tw_custom cube(const double *scale)
{
    return (tw_custom){.name = "cube",
                       .user = (void *)(uintptr_t)scale,
                       .results_count = 1,
                       .infer = infer_like_first,
                       .evaluate = cube_evaluate,
                       .jvp = cube_jvp,
                       .by_rows = true};
}

/* What text with custom functions needs before it is parsed. */
static inline void declare_customs(tw_graph *g)
{
    tw_custom made = cube(&right_scale);
    check_status(g, tw_custom_declare(g, &made));
    check_status(g, tw_custom_declare(g, cube_tangent(&right_scale)));
}

static inline tw_shape stack_shape(tw_shape shape, int64_t length)
{
    tw_shape out = {.rank = shape.rank + 1, .dim = {length}};
    for (int i = 0; i < shape.rank; i++) out.dim[i + 1] = shape.dim[i];
    return out;
}

#endif
