/* Samplers on whole flows: a flow known in closed form, there and back; the end reached exactly whatever the network
 * predicts; the same bits for any number of threads; what they cannot do is said. */
#include "flow/linear_flow.h"
#include "flow/mixture.h"

#include "base/streams.h"
#define OWN_CONTEXT_THREADS 2
#include "support/own_context.h"

#include <stdlib.h>

enum { N = 600 };

static double largest(const double *a, const double *b)
{
    double worst = 0;
    for (int i = 0; i < 2 * N; i++) worst = fmax(worst, fabs(a[i] - b[i]) / linear_scale[i % 2]);
    return worst;
}

static void a_known_flow_there_and_back(void **state)
{
    (void)state;
    static double got[2 * N], want[2 * N], back[2 * N];
    tw_flow *flow = NULL;
    assert_int_equal(linear_flow(ctx, &flow), TW_OK);
    for (int i = 0; i < N; i++) {
        double x0[2];
        tw_source_row(flow->model.source, 5, TW_STREAM_SAMPLE, i, 2, x0);
        linear_map(x0, want + 2 * i);
        for (int j = 0; j < 2; j++) {
            want[2 * i + j] = linear_shift[j] + linear_scale[j] * want[2 * i + j];
            back[2 * i + j] = linear_shift[j] + linear_scale[j] * x0[j];
        }
    }
    for (int m = 0; tw_sampler_list(m); m++) {
        const tw_ode_method_info *info = tw_sampler_list(m);
        double bar = info->order == 1 ? 0.3 : 2e-2;
        static double source[2 * N];
        tw_ode_stats stats;
        tw_sample_desc desc = {.seed = 5, .solver = {.method = info->name, .steps = 40}};
        assert_int_equal(tw_sample(flow, N, &desc, got, NULL, &stats), TW_OK);
        if (!(largest(got, want) < bar)) print_error("%s: %g\n", info->name, largest(got, want));
        assert_true(largest(got, want) < bar);
        assert_true(stats.nfe >= 40 && stats.nfe <= 80);
        desc.solver.t0 = 1;
        desc.from = want;
        assert_int_equal(tw_sample(flow, N, &desc, source, NULL, NULL), TW_OK);
        if (!(largest(source, back) < bar)) print_error("%s back: %g\n", info->name, largest(source, back));
        assert_true(largest(source, back) < bar);
        /* a grid goes both ways, and frames stop on the way */
        static double frames[3 * 2 * N];
        desc.grid = "shift:2";
        assert_int_equal(tw_sample(flow, N, &desc, source, NULL, NULL), TW_OK);
        assert_true(largest(source, back) < 2 * bar);
        desc = (tw_sample_desc){.seed = 5, .frames = 3, .solver = {.method = info->name, .steps = 40}};
        assert_int_equal(tw_sample(flow, N, &desc, got, frames, NULL), TW_OK);
        assert_true(largest(got, want) < 2 * bar);
        assert_memory_equal(frames + 4 * N, got, sizeof got);
    }
    tw_flow_destroy(flow);
}

static void threads_change_nothing(void **state)
{
    (void)state;
    static double one[2 * N], two[2 * N];
    tw_context *alone = tw_context_create(&(tw_context_desc){.threads = 1});
    tw_flow *a = NULL, *b = NULL;
    assert_int_equal(linear_flow(alone, &a), TW_OK);
    assert_int_equal(linear_flow(ctx, &b), TW_OK);
    for (int m = 0; tw_sampler_list(m); m++) {
        tw_sample_desc desc = {.seed = 2, .solver = {.method = tw_sampler_list(m)->name, .steps = 5}};
        assert_int_equal(tw_sample(a, N, &desc, one, NULL, NULL), TW_OK);
        assert_int_equal(tw_sample(b, N, &desc, two, NULL, NULL), TW_OK);
        assert_memory_equal(one, two, sizeof one);
    }
    tw_flow_destroy(a);
    tw_flow_destroy(b);
    tw_context_destroy(alone);
}

static const double mean[2] = {1.5, -0.75};

/* A network that says "x_1 = mean" wherever it is asked, in the words of a prediction where that is a constant. */
static tw_flow *point_flow(const char *schedule, const char *predict)
{
    tw_flow *f = NULL;
    tw_flow_desc desc = {.columns = 2,
                         .schedule = schedule,
                         .predict = predict,
                         .network = {.width = 4, .depth = 1, .time_features = 2}};
    assert_int_equal(tw_flow_create(ctx, &desc, &f), TW_OK);
    memset(f->weights, 0, (size_t)tw_params_size(f->params) * sizeof(float));
    for (int j = 0; j < 2; j++) {
        linear_piece(f, "network.out.bias")[j] = (float)mean[j];
        f->normaliser.shift[j] = 0;
        f->normaliser.scale[j] = 1;
    }
    return f;
}

/* A network of data leaves the end by a margin where a velocity would be infinite; samplers do not. */
static void the_end_is_reached(void **state)
{
    (void)state;
    const char *const schedules[] = {"condot", "cosine", "vp", "linear_vp", "polynomial:2"};
    const char *const methods[] = {"ddim", "dpmpp_2m", "unipc", "vab"};
    for (int k = 0; k < 5; k++) {
        tw_flow *f = point_flow(schedules[k], "x1");
        double got[2 * 8];
        for (int m = 0; m < 4; m++) {
            tw_sample_desc desc = {.seed = 1, .double_precision = true, .solver = {.method = methods[m], .steps = 6}};
            assert_int_equal(tw_sample(f, 8, &desc, got, NULL, NULL), TW_OK);
            double bar = k == 4 ? 0.1 : 1e-6; /* a velocity of zero at the start of polynomial tells nothing of data */
            for (int i = 0; i < 16; i++) {
                if (!(fabs(got[i] - mean[i % 2]) < bar))
                    print_error("%s %s: %g\n", schedules[k], methods[m], got[i] - mean[i % 2]);
                assert_true(fabs(got[i] - mean[i % 2]) < bar);
            }
            desc.schedule = "gvp"; /* along another one */
            assert_int_equal(tw_sample(f, 8, &desc, got, NULL, NULL), TW_OK);
            for (int i = 0; i < 16; i++) assert_true(fabs(got[i] - mean[i % 2]) < fmax(bar, 1e-3));
        }
        tw_flow_destroy(f);
    }
}

static void what_is_not_possible_is_said(void **state)
{
    (void)state;
    tw_flow *flow = NULL;
    double x[2] = {1, 2}, density;
    assert_int_equal(linear_flow(ctx, &flow), TW_OK);
    tw_sample_desc desc = {.solver = {.method = "unipc"}};
    assert_int_equal(tw_log_density(flow, 1, x, &desc, &density, NULL), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(ctx), "unipc draws samples and follows no density"));
    desc.solver.t0 = 1;
    assert_int_equal(tw_sample(flow, 1, &desc, x, NULL, NULL), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(ctx), "it needs rows of data to begin at"));
    desc.solver = (tw_ode_desc){.method = "unipc", .steps = 5, .step_size = 0.1};
    assert_int_equal(tw_sample(flow, 1, &desc, x, NULL, NULL), TW_ERR_INVALID);
    desc.solver = (tw_ode_desc){.method = "unipc", .steps = -5};
    assert_int_equal(tw_sample(flow, 1, &desc, x, NULL, NULL), TW_ERR_INVALID);
    /* a path that has no alpha and sigma */
    tw_path other = *flow->model.path;
    const tw_path *affine = flow->model.path;
    other.info.name = "geodesic";
    flow->model.path = &other;
    desc.solver = (tw_ode_desc){.method = "ddim"};
    assert_int_equal(tw_sample(flow, 1, &desc, x, NULL, NULL), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(ctx), "solver ddim is for affine paths, not for path 'geodesic'"));
    flow->model.path = affine;
    tw_flow_destroy(flow);
}

/* Rows that are told different things, guided or not, go where dopri5 takes them; told something else on the way
 * forward than on the way back, they change their class. */
static void conditions_and_guidance(void **state)
{
    (void)state;
    const double centre[] = {-2, 0, 2, 0};
    const int class_of[] = {0, 1};
    const tw_mixture mixture = {
        .columns = 2, .components = 2, .deviation = 0.5, .centre = centre, .classes = 2, .class_of = class_of};
    static double told[N], other[N], want[2 * N], got[2 * N];
    tw_flow *flow = NULL;
    assert_int_equal(tw_flow_create_exact(ctx, &mixture, "cosine", &flow), TW_OK);
    for (int i = 0; i < N; i++) told[i] = i % 2;
    for (int i = 0; i < N; i++) other[i] = (i + 1) % 2;
    for (int m = 0; tw_sampler_list(m); m++) {
        const tw_ode_method_info *info = tw_sampler_list(m);
        for (int w = 0; w < 2; w++) {
            tw_sample_desc desc = {.seed = 4, .conditions = told, .guidance = w, .double_precision = true};
            desc.solver = (tw_ode_desc){.rtol = 1e-8, .atol = 1e-8};
            assert_int_equal(tw_sample(flow, N, &desc, want, NULL, NULL), TW_OK);
            desc.solver = (tw_ode_desc){.method = info->name, .steps = 100};
            assert_int_equal(tw_sample(flow, N, &desc, got, NULL, NULL), TW_OK);
            double worst = 0;
            for (int i = 0; i < 2 * N; i++) worst = fmax(worst, fabs(got[i] - want[i]));
            if (!(worst < (info->order == 1 ? 0.1 : 5e-3))) print_error("%s, w = %d: %g\n", info->name, w, worst);
            assert_true(worst < (info->order == 1 ? 0.1 : 5e-3));
        }
        tw_sample_desc back = {
            .conditions = told, .from = want, .solver = {.method = info->name, .steps = 50, .t0 = 1}};
        assert_int_equal(tw_sample(flow, N, &back, got, NULL, NULL), TW_OK);
        tw_sample_desc forth = {.conditions = other, .from = got, .solver = {.method = info->name, .steps = 50}};
        assert_int_equal(tw_sample(flow, N, &forth, got, NULL, NULL), TW_OK);
        for (int i = 0; i < N; i++) {
            assert_true(got[2 * i] * (other[i] > 0 ? 1 : -1) > 0);
            assert_true(fabs(got[2 * i + 1] - want[2 * i + 1]) < 0.2); /* what the class says nothing of stays */
        }
    }
    tw_flow_destroy(flow);
}

/* Along the sphere in normalised units: half-way between points of one length, that length; the points themselves stay.
 */
static void points_between_lie_on_the_sphere(void **state)
{
    (void)state;
    enum { ROWS = 4, BETWEEN = 3, COUNT = (ROWS - 1) * (BETWEEN + 1) + 1 };
    const double z[2 * ROWS] = {3, 4, -4, 3, -4, 3, 8, -6};
    double points[2 * ROWS], out[2 * COUNT], x[2];
    tw_flow *flow = NULL;
    assert_int_equal(linear_flow(ctx, &flow), TW_OK);
    for (int i = 0; i < 2 * ROWS; i++) points[i] = linear_shift[i % 2] + linear_scale[i % 2] * z[i];
    assert_int_equal(tw_interpolate(flow, ROWS, points, BETWEEN, out), TW_OK);
    for (int k = 0; k < COUNT; k++) {
        for (int j = 0; j < 2; j++) x[j] = (out[2 * k + j] - linear_shift[j]) / linear_scale[j];
        int row = k / (BETWEEN + 1), step = k % (BETWEEN + 1);
        if (step == 0) assert_true(fabs(x[0] - z[2 * row]) < 1e-12 && fabs(x[1] - z[2 * row + 1]) < 1e-12);
        if (row == 0) { /* a quarter of the circle of radius 5, in equal angles */
            double angle = atan2(4, 3) + step * 1.57079632679489661923 / (BETWEEN + 1);
            assert_true(fabs(x[0] - 5 * cos(angle)) < 1e-12 && fabs(x[1] - 5 * sin(angle)) < 1e-12);
        }
        if (row == 1) assert_true(fabs(x[0] + 4) < 1e-12 && fabs(x[1] - 3) < 1e-12); /* the same point twice */
        /* opposite points: straight */
        if (row == 2) assert_true(fabs(x[0] + 4 - step * 3) < 1e-9 && fabs(x[1] - 3 + step * 2.25) < 1e-9);
    }
    assert_int_equal(tw_interpolate(flow, 1, points, BETWEEN, out), TW_ERR_INVALID);
    assert_int_equal(tw_interpolate(flow, 2, points, -1, out), TW_ERR_INVALID);
    tw_flow_destroy(flow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_known_flow_there_and_back),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(the_end_is_reached),
        cmocka_unit_test(conditions_and_guidance),
        cmocka_unit_test(points_between_lie_on_the_sphere),
        cmocka_unit_test(what_is_not_possible_is_said),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
