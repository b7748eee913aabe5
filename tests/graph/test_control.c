/* Functions as values: loops against the same steps written out, a differential equation against its solution, an
 * implicit function, branches, custom functions with a wrong rule, checkpoints, text, sentences of errors, memory. */
#include "graph/bodies.h"
#include "support/limited_memory.h"
#include "support/context.h"

/* The same values to rounding: sums of a few hundred terms of order one. */
static void compare(int64_t size, const double *a, const double *b, const char *what)
{
    for (int64_t i = 0; i < size; i++) assert_near(a[i], b[i], 1e-12 * (1.0 + fabs(a[i])), what);
}

/* --- a scan and its steps written out --- */

enum { STEPS = 5 };

/* The scan of body_step over 5 rows, its last carries and ys; or, without segments, the same without a loop. */
static void step_loop(tw_graph *g, tw_val w, tw_val a, tw_val x, bool reversed, int segment, tw_val *carries, tw_val *y)
{
    tw_val n = tw_const(g, TW_DTYPE_I32, 2.0), zero = tw_const(g, TW_DTYPE_I32, 0.0), ys[2], rows[STEPS];
    tw_val init[3] = {a, zero, tw_muls(a, 0.3)};
    if (segment > 0) {
        tw_scan(g,
                &(tw_scan_desc){.consts_count = 2,
                                .consts = (tw_val[]){w, n},
                                .carries_count = 3,
                                .init = init,
                                .xs_count = 1,
                                .xs = &x,
                                .ys_count = 2,
                                .reversed = reversed,
                                .segment = segment,
                                .body = body_step},
                carries, ys);
        tw_shape column = {.rank = tw_shape_at(x).rank, .dim = {tw_dim(x, 0), 1, 1}};
        *y = tw_mul(ys[0], tw_reshape(tw_cast(ys[1], tw_dtype_at(a)), column));
        return;
    }
    for (int t = 0; t < STEPS; t++) {
        int64_t at = reversed ? STEPS - 1 - t : t;
        tw_val row = tw_reshape(tw_slice(x, 0, at, at + 1), tw_shape_at(a)), out[5];
        body_step(NULL, g, (tw_val[]){w, n, init[0], init[1], init[2], row}, out);
        memcpy(init, out, sizeof init);
        rows[at] = tw_mul(out[3], tw_cast(out[4], tw_dtype_at(a)));
        rows[at] = tw_reshape(rows[at], stack_shape(tw_shape_at(a), 1));
    }
    memcpy(carries, init, sizeof init);
    *y = tw_concat(0, STEPS, rows);
}

static void scan_equals_steps(void **state)
{
    for (int reversed = 0; reversed < 2; reversed++) {
        tw_graph *g = new_graph(*state);
        tw_shape shape = tw_shape_of(3, 2), stack = tw_shape_of(STEPS, 3, 2);
        tw_val in[3] = {tw_input(g, "w", TW_DTYPE_F64, shape), tw_input(g, "a", TW_DTYPE_F64, shape),
                        tw_input(g, "x", TW_DTYPE_F64, stack)};
        tw_val v[3] = {tw_input(g, "vw", TW_DTYPE_F64, shape), tw_input(g, "va", TW_DTYPE_F64, shape),
                       tw_input(g, "vx", TW_DTYPE_F64, stack)};
        tw_val found[STEPS + 2][12]; /* by the segment */
        for (int segment = 0; segment <= STEPS + 1; segment++) {
            tw_val carries[3], y, *out = found[segment];
            step_loop(g, in[0], in[1], in[2], reversed, segment, carries, &y);
            out[0] = carries[0];
            out[1] = y;
            tw_val loss =
                tw_sum_all(tw_add(tw_sin(tw_mul(carries[0], carries[2])), tw_sum(tw_square(y), 1, (int[]){0})));
            check_status(g, tw_jvp(3, in, v, 2, out, out + 2));
            check_status(g, tw_grad(loss, 3, in, out + 4));
            check_status(g, tw_hvp(loss, 3, in, v, out + 7));
            check_status(g, tw_jvp(3, in, v, 2, out + 2, out + 10)); /* forward over forward */
        }
        check_status(g, tw_graph_verify(g));
        tw_random r = {.seed = 3};
        tw_val all[6];
        double *values[6];
        for (int i = 0; i < 6; i++) {
            all[i] = i < 3 ? in[i] : v[i - 3];
            values[i] = random_array(&r, TW_DTYPE_F64, size_at(all[i]), -1.0, 1.0);
        }
        for (int k = 0; k < 12; k++) {
            double *b = evaluate(6, all, values, found[0][k]);
            for (int segment = 1; segment <= STEPS + 1; segment++) {
                double *a = evaluate(6, all, values, found[segment][k]);
                compare(size_at(found[0][k]), b, a, "scan");
                free(a);
            }
            free(b);
        }
        for (int i = 0; i < 6; i++) free(values[i]);
        tw_graph_destroy(g);
    }
}

/* No steps: carries as they were, empty ys, the gradient goes straight through. */
static void scan_of_nothing(void **state)
{
    tw_graph *g = new_graph(*state);
    tw_val w = tw_input(g, "w", TW_DTYPE_F64, tw_shape_of(2)), a = tw_input(g, "a", TW_DTYPE_F64, tw_shape_of(2));
    tw_val x = tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(0, 2)), carries[3], y, gradients[2], args[2] = {w, a};
    step_loop(g, w, a, x, false, 1, carries, &y);
    assert_int_equal(carries[0].id, a.id);
    assert_true(tw_shape_equal(tw_shape_at(y), tw_shape_of(0, 2)));
    check_status(g, tw_grad(tw_sum_all(tw_square(carries[0])), 2, args, gradients));
    assert_true(tw_node_is_full_of(g, gradients[0].id, 0.0));
    assert_int_equal(gradients[1].id, tw_muls(a, 2.0).id);
    tw_graph_destroy(g);
}

/* --- x' = -k x by exponential Euler steps is exact: x_T = x_0 exp(-k T h), dx_T/dk = -T h x_T --- */

static void decay(void *user, tw_graph *g, const tw_val *in, tw_val *out)
{
    const double *h = user;
    (void)g;
    out[0] = tw_mul(in[1], tw_exp(tw_muls(in[0], -*h)));
}

static void exponential_euler(void **state)
{
    enum { T = 50 };
    double h = 0.02;
    tw_graph *g = new_graph(*state);
    tw_val k = tw_input(g, "k", TW_DTYPE_F64, TW_SCALAR), x0 = tw_input(g, "x0", TW_DTYPE_F64, TW_SCALAR), xT;
    tw_scan(
        g,
        &(tw_scan_desc){
            .consts_count = 1, .consts = &k, .carries_count = 1, .init = &x0, .length = T, .body = decay, .user = &h},
        &xT, NULL);
    tw_val in[2] = {k, x0}, gradient[2], second, one = tw_ones_like(k), none = TW_NONE;
    check_status(g, tw_grad(xT, 2, in, gradient));
    check_status(g, tw_jvp(2, in, (tw_val[]){one, none}, 1, gradient, &second));
    double kv = 1.3, xv = 0.7, *values[2] = {&kv, &xv}, want = xv * exp(-kv * T * h);
    const struct {
        tw_val value;
        double expected;
    } rows[] = {{xT, want}, {gradient[0], -T * h * want}, {gradient[1], want / xv}, {second, T * h * T * h * want}};
    for (int i = 0; i < TW_COUNT(rows); i++) {
        double *found = evaluate(2, in, values, rows[i].value);
        assert_near(found[0], rows[i].expected, 1e-13, "exponential Euler"); /* 50 roundings */
        free(found);
    }
    tw_graph_destroy(g);
}

/* --- y^2 = a by Newton's method: dy/da = 1 / (2 y), d2y/da2 = -1 / (4 y^3) --- */

static void not_there_yet(void *user, tw_graph *g, const tw_val *in, tw_val *out)
{
    (void)user;
    out[0] = tw_lt(tw_const(g, TW_DTYPE_F64, 1e-15), tw_abs(tw_adds(tw_div(tw_square(in[1]), in[0]), -1.0)));
}
static void newton(void *user, tw_graph *g, const tw_val *in, tw_val *out)
{
    (void)user;
    (void)g;
    out[0] = tw_muls(tw_add(in[1], tw_div(in[0], in[1])), 0.5);
    out[1] = tw_adds(in[2], 1.0);
}

static void implicit_function(void **state)
{
    tw_graph *g = new_graph(*state);
    tw_val a = tw_input(g, "a", TW_DTYPE_F64, TW_SCALAR), one = tw_ones_like(a), y[2], first, second, gradient;
    tw_val init[2] = {tw_ones_like(a), tw_zeros_like(a)};
    tw_while(g, not_there_yet, newton, NULL, 1, &a, 2, init, y);
    check_status(g, tw_jvp(1, &a, &one, 1, y, &first));
    check_status(g, tw_jvp(1, &a, &one, 1, &first, &second));
    check_status(g, tw_graph_verify(g));
    double av = 2.0, *value = &av;
    double *root = evaluate(1, &a, &value, y[0]), *steps = evaluate(1, &a, &value, y[1]);
    double *d = evaluate(1, &a, &value, first), *dd = evaluate(1, &a, &value, second);
    assert_near(root[0], sqrt(2.0), 1e-15, "Newton");
    assert_true(steps[0] >= 4.0 && steps[0] <= 6.0);
    assert_near(d[0], 0.5 / sqrt(2.0), 1e-14, "first derivative");
    assert_near(dd[0], -0.25 / (2.0 * sqrt(2.0)), 1e-9, "second derivative"); /* converges a step later */
    free(root);
    free(steps);
    free(d);
    free(dd);
    assert_int_equal(tw_grad(y[0], 1, &a, &gradient), TW_ERR_UNSUPPORTED);
    assert_non_null(strstr(tw_context_error(*state), "a while loop cannot be reversed"));
    tw_graph_destroy(g);
}

/* --- a scan in a branch in a scan: x is multiplied by w twice while it is small, else halved --- */

static void times_w(void *user, tw_graph *g, const tw_val *in, tw_val *out)
{
    (void)user;
    (void)g;
    out[0] = tw_mul(in[1], in[0]);
}
static void twice_times_w(void *user, tw_graph *g, const tw_val *in, tw_val *out)
{
    (void)user;
    tw_scan(g,
            &(tw_scan_desc){
                .consts_count = 1, .consts = in, .carries_count = 1, .init = in + 1, .length = 2, .body = times_w},
            out, NULL);
}
static void halve(void *user, tw_graph *g, const tw_val *in, tw_val *out)
{
    (void)user;
    (void)g;
    out[0] = tw_muls(in[1], 0.5);
}
static void grow_or_halve(void *user, tw_graph *g, const tw_val *in, tw_val *out)
{
    (void)user;
    tw_val small = tw_lt(in[1], tw_const(g, TW_DTYPE_F64, 2.0));
    tw_cond(g, small, twice_times_w, halve, NULL, 2, in, 1, out);
}

static void nested(void **state)
{
    tw_graph *g = new_graph(*state);
    tw_val in[2] = {tw_input(g, "w", TW_DTYPE_F64, TW_SCALAR), tw_input(g, "x", TW_DTYPE_F64, TW_SCALAR)};
    tw_val x, gradient[2], product[2], v[2] = {tw_ones_like(in[0]), tw_zeros_like(in[1])};
    tw_scan(
        g,
        &(tw_scan_desc){
            .consts_count = 1, .consts = in, .carries_count = 1, .init = in + 1, .length = 6, .body = grow_or_halve},
        &x, NULL);
    check_status(g, tw_grad(x, 2, in, gradient));
    check_status(g, tw_hvp(x, 2, in, v, product));
    double wv = 1.5, xv = 0.9, *values[2] = {&wv, &xv}, at = xv;
    int powers = 0, halves = 0; /* x = x_0 w^powers / 2^halves */
    for (int t = 0; t < 6; t++) {
        if (at < 2.0) {
            at *= wv * wv;
            powers += 2;
        } else {
            at *= 0.5;
            halves++;
        }
    }
    assert_true(powers > 0 && halves > 0);
    double *value = evaluate(2, in, values, x), *dw = evaluate(2, in, values, gradient[0]);
    double *dx = evaluate(2, in, values, gradient[1]), *dww = evaluate(2, in, values, product[0]);
    assert_near(value[0], at, 1e-14, "nested");
    assert_near(dw[0], powers * at / wv, 1e-13, "nested, by w");
    assert_near(dx[0], at / xv, 1e-13, "nested, by x");
    assert_near(dww[0], powers * (powers - 1) * at / (wv * wv), 1e-12, "nested, by w twice");
    free(value);
    free(dw);
    free(dx);
    free(dww);
    char *text = NULL, *again = NULL;
    check_status(g, tw_graph_print(*state, 2, in, 2, product, &text));
    tw_graph *read = new_graph(*state);
    int inputs_count, outputs_count;
    const tw_val *inputs, *outputs;
    check_status(read, tw_graph_parse(read, text, &inputs_count, &inputs, &outputs_count, &outputs));
    check_status(read, tw_graph_verify(read));
    check_status(read, tw_graph_print(*state, inputs_count, inputs, outputs_count, outputs, &again));
    assert_string_equal(text, again);
    tw_string_free(*state, text);
    tw_string_free(*state, again);
    tw_graph_destroy(read);
    tw_graph_destroy(g);
}

/* --- custom functions: <w, J v> = <J' w, v> holds, and does not when the transpose is a thousandth off --- */

static void wrong_rules_are_caught(void **state)
{
    for (int wrong = 0; wrong < 2; wrong++) {
        tw_graph *g = new_graph(*state);
        tw_custom made = cube(wrong ? &wrong_scale : &right_scale);
        tw_shape shape = tw_shape_of(5);
        tw_val in[3] = {tw_input(g, "x", TW_DTYPE_F64, shape), tw_input(g, "v", TW_DTYPE_F64, shape),
                        tw_input(g, "w", TW_DTYPE_F64, shape)};
        tw_val y, tangent, gradient;
        tw_custom_call(g, &made, 1, in, &y);
        check_status(g, tw_jvp(1, in, in + 1, 1, &y, &tangent));
        check_status(g, tw_vjp(1, in, 1, &y, in + 2, &gradient));
        tw_random r = {.seed = 1};
        double *values[3];
        for (int i = 0; i < 3; i++) values[i] = random_array(&r, TW_DTYPE_F64, 5, 0.5, 1.5);
        double *forward = evaluate(3, in, values, tangent), *reverse = evaluate(3, in, values, gradient);
        double a = dot(5, values[2], forward), b = dot(5, values[1], reverse);
        assert_true(wrong == (fabs(a - b) > 1e-10 * fabs(a)));
        for (int i = 0; i < 3; i++) free(values[i]);
        free(forward);
        free(reverse);
        tw_graph_destroy(g);
    }
}

/* --- checkpoint: the same gradient, from a call that reads its residuals behind a barrier --- */

static void layer(void *user, tw_graph *g, const tw_val *in, tw_val *out)
{
    (void)user;
    (void)g;
    out[0] = tw_tanh(tw_matmul(in[0], in[1]));
}

static tw_val deep_loss(tw_graph *g, const tw_val *in, bool checkpointed)
{
    tw_val x = in[0];
    for (int i = 1; i <= 4; i++)
        (checkpointed ? tw_checkpoint : tw_call)(g, layer, NULL, 2, (tw_val[]){x, in[i]}, 1, &x);
    return tw_sum_all(tw_square(x));
}

static void deep(void *user, tw_graph *g, const tw_val *in, tw_val *out)
{
    out[0] = deep_loss(g, in, *(const bool *)user);
}

static void checkpoints(void **state)
{
    tw_graph *g = new_graph(*state);
    tw_val in[5] = {tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(3, 4))}, found[2][5], values_of[2];
    for (int i = 1; i < 5; i++) in[i] = tw_input(g, "w", TW_DTYPE_F64, tw_shape_of(4, 4));
    for (int c = 0; c < 2; c++) {
        bool checkpointed = c == 1;
        check_status(g, tw_value_and_grad(g, deep, &checkpointed, 5, in, &values_of[c], found[c]));
    }
    tw_random r = {.seed = 5};
    double *values[5];
    for (int i = 0; i < 5; i++) values[i] = random_array(&r, TW_DTYPE_F64, size_at(in[i]), -1.0, 1.0);
    for (int i = -1; i < 5; i++) {
        tw_val plain = i < 0 ? values_of[0] : found[0][i], checkpointed = i < 0 ? values_of[1] : found[1][i];
        double *a = evaluate(5, in, values, plain), *b = evaluate(5, in, values, checkpointed);
        assert_memory_equal(a, b, (size_t)size_at(plain) * sizeof *a);
        free(a);
        free(b);
    }
    for (int i = 0; i < 5; i++) free(values[i]);
    char *text = NULL;
    check_status(g, tw_graph_print(*state, 5, in, 5, found[1], &text));
    assert_non_null(strstr(text, "barrier"));
    tw_string_free(*state, text);
    tw_graph_destroy(g);
}

/* --- small graphs --- */

/* A known condition leaves one branch; what nothing reads costs nothing. */
static void simplified(void **state)
{
    tw_graph *g = new_graph(*state);
    tw_val x = tw_input(g, "x", TW_DTYPE_F64, TW_SCALAR), args[2] = {x, x}, out[2];
    tw_cond(g, tw_const(g, TW_DTYPE_BOOL, 0.0), body_pair, body_other_pair, NULL, 2, args, 2, out);
    const tw_node *made = tw_node_of(g, tw_node_at(out[0])->args[0]);
    assert_int_equal(made->op, TW_OP_call);
    double v = 0.4, *value = &v, *found = evaluate(1, &x, &value, out[1]);
    assert_near(found[0], 0.4 * cos(0.4), 1e-16, "the branch left");
    free(found);
    tw_val y = tw_exp(x), tuple = tw_tuple(g, 2, (tw_val[]){x, y});
    assert_int_equal(tw_part_at(tuple, 1).id, y.id);
    tw_graph_destroy(g);
}

static const char golden[] = "function @0 {\n"
                             "%0 = input(\"\") f64[]\n"
                             "%1 = input(\"\") f64[2]\n"
                             "%2 = reshape(%0) f64[1]\n"
                             "%3 = broadcast(%2) f64[2]\n"
                             "%4 = mul(%1, %3) f64[2]\n"
                             "return %4\n"
                             "}\n"
                             "custom @1 \"cube\"\n"
                             "%0 = input(\"w\") f64[]\n"
                             "%1 = input(\"x\") f64[2]\n"
                             "%2 = scan(%0, %1) {body=@0, consts=1, carries=1, length=3, reversed=0} bool[0]\n"
                             "%3 = part(%2) {number=0} f64[2]\n"
                             "%4 = custom_call(%3) {function=@1} bool[0]\n"
                             "%5 = part(%4) {number=0} f64[2]\n"
                             "return %5\n";

static void text(void **state)
{
    tw_graph *g = new_graph(*state);
    tw_val in[2] = {tw_input(g, "w", TW_DTYPE_F64, TW_SCALAR), tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(2))}, x, y;
    tw_custom made = cube(&right_scale);
    tw_scan(g,
            &(tw_scan_desc){
                .consts_count = 1, .consts = in, .carries_count = 1, .init = in + 1, .length = 3, .body = times_w},
            &x, NULL);
    tw_custom_call(g, &made, 1, &x, &y);
    char *printed = NULL;
    check_status(g, tw_graph_print(*state, 2, in, 1, &y, &printed));
    assert_string_equal(printed, golden);
    tw_string_free(*state, printed);
    tw_graph_destroy(g);
}

#define FUNCTION "function @0 {\n%0 = input(\"\") f64[2]\n%1 = exp(%0) f64[2]\nreturn %1\n}\n"

static void text_errors(void **state)
{
    const struct {
        const char *text, *sentence;
    } rows[] = {
        {"function @1 {\n", "graph text, line 1, column 10: expected @0: functions are numbered in order"},
        {"function @0\n", "graph text, line 1, column 12: expected '{'"},
        {"function @0 {\n%0 = exp(%0) f64[2]\n", "graph text, line 2, column 10: %0 is not defined yet"},
        {"function @0 {\n%0 = input(\"\") bool[2]\n%1 = exp(%0) f64[2]\nreturn %1\n}\n",
         "graph text, line 3: exp: argument 1 is bool(2), which is not f32 or f64"},
        {"function @0 {\n%0 = input(\"\") f64[2]\nreturn %0\n", "graph text, line 4, column 1: expected '}'"},
        {FUNCTION "custom @1 \"nobody\"\n",
         "graph text, line 6, column 11: no custom function of this name is declared in the graph"},
        {FUNCTION "%0 = input(\"\") f64[2]\n%1 = call(%0) {function=@1, recompute=0} bool[0]\nreturn %0\n",
         "graph text, line 7, column 1: function @1 is not defined yet"},
        {FUNCTION "%0 = input(\"\") f64[3]\n%1 = call(%0) {function=@0, recompute=0} bool[0]\nreturn %0\n",
         "graph text, line 7: call: argument 1 is f64(3), the function takes f64(2)"},
        {FUNCTION "%0 = input(\"\") f64[2]\n%1 = call(%0) {function=@0, recompute=0} bool[0]\n"
                  "%2 = part(%1) {number=1} f64[2]\nreturn %2\n",
         "graph text, line 8: part: call has 1 results, no number 1"},
        {FUNCTION "%0 = input(\"\") f64[2]\n%1 = call(%0) {function=@0, recompute=0} bool[0]\n%2 = not(%1) bool[0]\n",
         "graph text, line 8: not: argument 1 is a call of several results: take a part of it"},
        {FUNCTION "%0 = input(\"\") f64[2]\n"
                  "%1 = scan(%0) {body=@0, consts=0, carries=2, length=3, reversed=0} bool[0]\nreturn %0\n",
         "graph text, line 7: scan: 1 arguments, 0 consts, 2 carries and 3 steps do not fit the function"},
        {FUNCTION "%0 = input(\"\") f64[2]\n"
                  "%1 = scan(%0) {body=@0, consts=0, carries=1, length=9e15, reversed=0} bool[0]\nreturn %0\n",
         "graph text, line 7, column 1: the attributes of scan do not fit its 1 axes or are out of range"},
        {FUNCTION "%0 = input(\"\") f64[2]\nreturn %0\nfunction", "graph text, line 8, column 1: text after return"},
    };
    for (int i = 0; i < TW_COUNT(rows); i++) {
        tw_graph *g = new_graph(*state);
        int inputs_count, outputs_count;
        const tw_val *inputs, *outputs;
        assert_int_not_equal(tw_graph_parse(g, rows[i].text, &inputs_count, &inputs, &outputs_count, &outputs), TW_OK);
        const char *found = tw_context_error(*state);
        if (strcmp(found, rows[i].sentence) != 0) fail_msg("row %d: %s\nexpected: %s", i, found, rows[i].sentence);
        tw_graph_destroy(g);
    }
}

/* --- sentences --- */

static void uses_a_stranger(void *user, tw_graph *g, const tw_val *in, tw_val *out)
{
    (void)user;
    (void)g;
    out[0] = tw_add(in[0], *(tw_val *)user);
}
static void returns_a_stranger(void *user, tw_graph *g, const tw_val *in, tw_val *out)
{
    (void)g;
    (void)in;
    out[0] = *(tw_val *)user;
}
static void returns_an_input_of_its_own(void *user, tw_graph *g, const tw_val *in, tw_val *out)
{
    (void)user;
    (void)in;
    out[0] = tw_input(g, "mine", TW_DTYPE_F64, tw_shape_of(2));
}
static void returns_nothing(void *user, tw_graph *g, const tw_val *in, tw_val *out)
{
    (void)user;
    (void)g;
    (void)in;
    (void)out;
}
static void sum_of(void *user, tw_graph *g, const tw_val *in, tw_val *out)
{
    (void)user;
    (void)g;
    out[0] = tw_sum_all(in[0]);
}

static void expect_error(tw_graph *g, const char *sentence)
{
    assert_int_not_equal(tw_graph_check(g), TW_OK);
    assert_string_equal(tw_context_error(g->ctx), sentence);
    tw_graph_destroy(g);
}

static void sentences(void **state)
{
    static const struct {
        tw_build_fn body;
        const char *sentence;
    } rows[] = {
        {uses_a_stranger, "call: add: argument 2 is a value of another graph"},
        {returns_a_stranger, "call: output 1 is a value of another graph: hand it over as an argument"},
        {returns_an_input_of_its_own, "call: it depends on 'mine', which is not one of its inputs"},
        {returns_nothing, "call: output 1 is none"},
    };
    for (int i = 0; i < TW_COUNT(rows); i++) {
        tw_graph *g = new_graph(*state);
        tw_val x = tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(2)), outer = tw_exp(x), out;
        tw_call(g, rows[i].body, &outer, 1, &x, 1, &out);
        assert_true(tw_is_none(out));
        expect_error(g, rows[i].sentence);
    }
    tw_graph *g = new_graph(*state);
    tw_val x = tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(2)), out, flag = tw_lt(x, x);
    tw_scan(g, &(tw_scan_desc){.carries_count = 1, .init = &x, .length = 2, .body = sum_of}, &out, NULL);
    expect_error(g, "scan: the new carry 1 is f64() where f64(2) is expected");
    g = new_graph(*state);
    x = tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(2));
    tw_scan(g, &(tw_scan_desc){.carries_count = 1, .init = &x, .length = 2, .segment = -3, .body = sum_of}, &out, NULL);
    expect_error(g, "scan: a segment of -3 steps, expected 1 or more");
    g = new_graph(*state);
    x = tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(2));
    flag = tw_lt(x, x);
    tw_cond(g, flag, sum_of, sum_of, NULL, 1, &x, 1, &out);
    expect_error(g, "cond: the condition is bool(2), not one bool");
    g = new_graph(*state);
    x = tw_input(g, "x", TW_DTYPE_F64, TW_SCALAR);
    tw_while(g, sum_of, sum_of, NULL, 0, NULL, 1, &x, &out);
    expect_error(g, "while: the condition is f64(), not one bool");
    g = new_graph(*state);
    x = tw_input(g, "x", TW_DTYPE_I32, TW_SCALAR);
    tw_custom made = cube(&right_scale);
    tw_custom_call(g, &made, 1, &x, &out);
    expect_error(g, "custom_call: cube refuses these 1 arguments");
    g = new_graph(*state);
    x = tw_input(g, "x", TW_DTYPE_F64, TW_SCALAR);
    made.jvp = NULL;
    tw_custom_call(g, &made, 1, &x, &out);
    tw_val gradient;
    assert_int_equal(tw_grad(out, 1, &x, &gradient), TW_ERR_UNSUPPORTED);
    expect_error(g, "jvp: custom function cube has no derivative");
}

/* --- memory --- */

static tw_status everything(tw_context *ctx, void *user)
{
    tw_graph *g = NULL, *read = NULL;
    char *printed = NULL;
    (void)user;
    tw_status status = tw_graph_create(ctx, &g);
    if (status != TW_OK) return status;
    tw_val w = tw_input(g, "w", TW_DTYPE_F64, TW_SCALAR), a = tw_input(g, "a", TW_DTYPE_F64, TW_SCALAR);
    tw_val x = tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(STEPS)), flag = tw_input(g, "flag", TW_DTYPE_BOOL, TW_SCALAR);
    tw_val carries[3], y, pair[2], cubed, in[4] = {w, a, x, flag}, gradient[3], product[3], looped[2], tangent;
    tw_custom made = cube(&right_scale);
    step_loop(g, w, a, x, false, 1, carries, &y);
    tw_cond(g, flag, body_pair, body_other_pair, NULL, 2, (tw_val[]){carries[0], carries[2]}, 2, pair);
    tw_checkpoint(g, body_pair, NULL, 2, (tw_val[]){pair[0], pair[1]}, 2, pair);
    tw_custom_call(g, &made, 1, pair, &cubed);
    tw_while(g, not_there_yet, newton, NULL, 1, &w, 2, (tw_val[]){a, a}, looped);
    TW_TRY(tw_graph_check(g));
    TW_TRY(tw_jvp(1, &w, &a, 1, looped, &tangent));
    tw_val loss = tw_add(tw_mul(cubed, pair[1]), tw_sum_all(y));
    TW_TRY(tw_grad(loss, 3, in, gradient));
    TW_TRY(tw_hvp(loss, 3, in, in, product));
    TW_TRY(tw_graph_print(ctx, 4, in, 3, product, &printed));
    TW_TRY(tw_graph_create(ctx, &read));
    TW_TRY(tw_custom_declare(read, &made));
    TW_TRY(tw_custom_declare(read, cube_tangent(&right_scale)));
    int inputs_count, outputs_count;
    const tw_val *inputs, *outputs;
    TW_TRY(tw_graph_parse(read, printed, &inputs_count, &inputs, &outputs_count, &outputs));
    double v[STEPS] = {0.7, 0.2, 0.1, 0.4, 0.9}, out, *result = &out;
    const double *values[4] = {v, v, v, v};
    TW_TRY(tw_reference_run(ctx, 4, in, values, 1, product, &result));
done:
    tw_string_free(ctx, printed);
    tw_graph_destroy(read);
    tw_graph_destroy(g);
    return status;
}

static void every_allocation_fails_once(void **state)
{
    (void)state;
    run_with_limited_memory(everything, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scan_equals_steps),
        cmocka_unit_test(scan_of_nothing),
        cmocka_unit_test(exponential_euler),
        cmocka_unit_test(implicit_function),
        cmocka_unit_test(nested),
        cmocka_unit_test(wrong_rules_are_caught),
        cmocka_unit_test(checkpoints),
        cmocka_unit_test(simplified),
        cmocka_unit_test(text),
        cmocka_unit_test(text_errors),
        cmocka_unit_test(sentences),
        cmocka_unit_test(every_allocation_fails_once),
    };
    return cmocka_run_group_tests_name("graph/control", tests, open_context, close_context);
}
