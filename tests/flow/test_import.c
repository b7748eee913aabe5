/* Networks of other programs: the same numbers as PyTorch gives (tests/golden/make_import.py), also where attention
 * takes another row's values, names and layouts on the way back, which of several networks in a file is taken, and what
 * is refused. */
#include <thalweg/import.h>

#include "flow/architecture.h"
#include "support/context.h"
#include "support/golden.h"
#include "support/limited_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MOST = 300 };

typedef struct example {
    const char *name, *as;
    tw_flow_desc flow; /* what is not in the file */
    bool waves;        /* pos_embed is not by name */
} example;

static const example examples[] = {
    {"torchcfm", "torchcfm", {.network = {.heads = 2}, .image = {8, 8, 0}}, false},
    {"torchcfm_plain", "torchcfm", {.network = {.head_channels = 16}, .image = {8, 4, 0}}, false},
    {"flow_matching", "flow_matching", {.network = {.heads = 4}, .image = {4, 4, 0}}, false},
    {"flow_matching_residual", "flow_matching", {.network = {.head_channels = 16}, .image = {4, 4, 0}}, false},
    {"sit", "sit", {.network = {.heads = 3}}, true},
    {"sit_learned", "sit", {.network = {.heads = 2}}, false},
};

/* The file's weights, as the script's value() has them. */
typedef struct state_dict {
    tw_tensor_file golden;
    tw_tensor tensor[MOST];
    int count;
    const double *x, *t, *class, *told, *untold;
    int64_t rows, channels, height, width;
} state_dict;

static const double *get(tw_context *ctx, state_dict *s, const char *name)
{
    const void *data = NULL;
    if (!tw_safetensors_find(&s->golden, name)) return NULL;
    assert_int_equal(tw_safetensors_get(ctx, &s->golden, "golden", name, "F64", -1, &data), TW_OK);
    return data;
}

static void fill(const char *name, tw_shape shape, float *out)
{
    int64_t n = tw_shape_size(shape), outputs = shape.rank > 0 ? shape.dim[0] : 1;
    size_t length = strlen(name);
    bool scale = length >= 6 && strcmp(name + length - 6, "weight") == 0;
    for (int64_t i = 0; i < n; i++) {
        double x = golden_number(name, i);
        x = shape.rank >= 2 ? x * sqrt(3.0 * (double)outputs / (double)n) : scale ? 1 + 0.2 * x : 0.2 * x;
        out[i] = (float)x;
    }
}

/* Sines and cosines of the column, then of the row, as the script's positions(). */
static void fill_waves(tw_shape shape, float *out)
{
    int64_t side = (int64_t)sqrt((double)shape.dim[1]), width = shape.dim[2], quarter = width / 4;
    for (int64_t i = 0; i < shape.dim[1]; i++)
        for (int64_t k = 0; k < width; k++) {
            double f = pow(10000, -(double)(k % quarter) / (double)quarter);
            double angle = f * (double)(k < width / 2 ? i % side : i / side);
            out[i * width + k] = (float)(k / quarter % 2 ? cos(angle) : sin(angle));
        }
}

static void open_example(tw_context *ctx, const example *e, state_dict *s)
{
    char path[300];
    *s = (state_dict){0};
    snprintf(path, sizeof path, "%s/tests/golden/import_%s.safetensors", TW_SOURCE_DIR, e->name);
    assert_int_equal(tw_safetensors_read(ctx, path, &s->golden), TW_OK);
    for (int i = 0; i < s->golden.count; i++) {
        const tw_tensor *g = &s->golden.tensor[i];
        const char *name = g->name + strlen("shape.");
        if (strncmp(g->name, "shape.", strlen("shape.")) != 0) continue;
        tw_shape shape = {.rank = (int8_t)g->shape.dim[0]};
        for (int k = 0; k < shape.rank; k++) shape.dim[k] = (int64_t)((const double *)g->data)[k];
        float *data = malloc((size_t)tw_shape_size(shape) * sizeof *data);
        if (e->waves && strcmp(name, "pos_embed") == 0)
            fill_waves(shape, data);
        else
            fill(name, shape, data);
        assert_true(s->count < MOST);
        s->tensor[s->count++] = (tw_tensor){.name = (char *)(uintptr_t)name,
                                            .dtype = "F32",
                                            .shape = shape,
                                            .data = data,
                                            .size = (size_t)tw_shape_size(shape) * sizeof *data};
    }
    const tw_shape *shape = &tw_safetensors_find(&s->golden, "x")->shape;
    s->rows = shape->dim[0];
    s->channels = shape->dim[1];
    s->height = shape->dim[2];
    s->width = shape->dim[3];
    s->x = get(ctx, s, "x");
    s->t = get(ctx, s, "t");
    s->class = get(ctx, s, "class");
    s->told = get(ctx, s, "told");
    s->untold = get(ctx, s, "untold");
}

static void close_example(tw_context *ctx, state_dict *s)
{
    for (int i = 0; i < s->count; i++) free((void *)(uintptr_t)s->tensor[i].data);
    tw_safetensors_free(ctx, &s->golden);
}

static void make_path(char path[100], const char *name)
{
    snprintf(path, 100, "/tmp/thalweg-test-import-%d-%s", (int)getpid(), name);
}

static tw_flow *import_example(tw_context *ctx, const example *e, const state_dict *s)
{
    char path[100];
    tw_flow *flow = NULL;
    make_path(path, e->name);
    assert_int_equal(tw_safetensors_write(ctx, path, s->count, s->tensor, 0, NULL, NULL), TW_OK);
    tw_import_desc desc = {.as = e->as, .flow = e->flow, .scale = 1};
    if (tw_flow_import(ctx, path, &desc, &flow) != TW_OK) fail_msg("%s: %s", e->name, tw_context_error(ctx));
    unlink(path);
    return flow;
}

/* Between PyTorch's channels first and ours. */
static void turn(const state_dict *s, const double *from, double *to, bool to_ours)
{
    int64_t pixels = s->height * s->width, n = s->rows * pixels * s->channels;
    for (int64_t i = 0; i < n; i++) {
        int64_t c = i % s->channels, p = i / s->channels % pixels, row = i / s->channels / pixels;
        int64_t theirs = (row * s->channels + c) * pixels + p;
        to[to_ours ? i : theirs] = from[to_ours ? theirs : i];
    }
}

/* Largest difference as a share of the largest number. */
static double off(const state_dict *s, tw_flow *flow, const double *class, const double *want, bool wide)
{
    int64_t n = s->rows * s->height * s->width * s->channels;
    double *x = malloc((size_t)n * sizeof *x), *u = malloc((size_t)n * sizeof *u), most = 0, largest = 0;
    turn(s, s->x, x, true);
    tw_sample_desc desc = {.conditions = class, .double_precision = wide};
    assert_int_equal(tw_velocity(flow, s->rows, s->t, x, &desc, u), TW_OK);
    turn(s, u, x, false);
    for (int64_t i = 0; i < n; i++) {
        largest = fmax(largest, fabs(want[i]));
        most = fmax(most, fabs(x[i] - want[i]));
    }
    free(x);
    free(u);
    return most / largest;
}

/* In double precision what is left is the rounding of a null class that was moved, in single 2e-5 of the largest
 * number. */
static void compare(const state_dict *s, const char *name, tw_flow *flow)
{
    for (int wide = 0; wide < 2; wide++) {
        double bound = wide ? 1e-6 : 2e-5, untold = off(s, flow, NULL, s->untold, wide);
        double told = s->told ? off(s, flow, s->class, s->told, wide) : 0;
        if (!(untold < bound && told < bound)) fail_msg("%s: off by %g and %g", name, untold, told);
    }
}

static void gives_pytorchs_numbers(void **state)
{
    for (int i = 0; i < TW_COUNT(examples); i++) {
        state_dict s;
        open_example(*state, &examples[i], &s);
        tw_flow *flow = import_example(*state, &examples[i], &s);
        const tw_flow_desc *about = tw_flow_about(flow);
        assert_int_equal(about->image.height, s.height);
        assert_int_equal(about->image.channels, s.channels);
        assert_int_equal(about->conditions_count, s.class != NULL);
        assert_int_equal(about->network.learn_positions, i == 5);
        compare(&s, examples[i].name, flow);
        tw_flow_destroy(flow);
        close_example(*state, &s);
    }
}

/* Five of Euler's steps either way, some of them with values of attention from the row as it was in some layers. */
static void edits_as_pytorch(void **state)
{
    static const struct {
        const char *golden;
        double share;
        int layers;
    } cases[] = {{"edited.0.2", 0, 0}, {"edited.2.2", 0.4, 2}, {"edited.2.2", 0.4, 0}, {"edited.5.1", 1, 1}};
    const example *e = &examples[4];
    double was[2], now[2], *x, *got;
    state_dict s;
    open_example(*state, e, &s);
    tw_flow *flow = import_example(*state, e, &s);
    int64_t n = s.rows * s.height * s.width * s.channels;
    assert_int_equal(s.rows, TW_COUNT(was));
    for (int i = 0; i < TW_COUNT(was); i++) was[i] = s.class[i], now[i] = (double)(((int)was[i] + 2) % 3);
    x = malloc((size_t)n * sizeof *x);
    got = malloc((size_t)n * sizeof *got);
    turn(&s, s.x, x, true);
    for (int c = 0; c < TW_COUNT(cases); c++) {
        const tw_flow_edit_desc edit = {.conditions = now, .share = cases[c].share, .share_layers = cases[c].layers};
        const tw_sample_desc desc = {
            .from = x, .conditions = was, .double_precision = true, .solver = {.method = "euler", .steps = 5}};
        const double *want = get(*state, &s, cases[c].golden);
        tw_ode_stats stats;
        double most = 0;
        assert_int_equal(tw_flow_edit(flow, s.rows, &desc, &edit, got, &stats), TW_OK);
        assert_int_equal(stats.nfe, 10);
        for (int64_t i = 0; i < n; i++) {
            int64_t k = i % s.channels, p = i / s.channels % (s.height * s.width), row = i / (n / s.rows);
            most = fmax(most, fabs(got[i] - want[(row * s.channels + k) * s.height * s.width + p]));
        }
        if (!(most < 1e-6)) fail_msg("%s: off by %g", cases[c].golden, most);
    }
    free(x);
    free(got);
    tw_flow_destroy(flow);
    close_example(*state, &s);
}

/* The same names, shapes and numbers come back - a null class as the zero row that it may as well be - and a flow that
 * was written and read again is the same. */
static void goes_back(void **state)
{
    for (int i = 0; i < TW_COUNT(examples); i++) {
        state_dict s;
        tw_tensor_file file;
        char path[100];
        open_example(*state, &examples[i], &s);
        tw_flow *flow = import_example(*state, &examples[i], &s), *again = NULL;
        make_path(path, "back");
        assert_int_equal(tw_flow_export(flow, examples[i].as, path), TW_OK);
        assert_int_equal(tw_safetensors_read(*state, path, &file), TW_OK);
        assert_int_equal(file.count, s.count);
        for (int k = 0; k < s.count; k++) {
            const tw_tensor *want = &s.tensor[k], *got = tw_safetensors_find(&file, want->name);
            assert_non_null(got);
            assert_true(tw_shape_equal(got->shape, want->shape));
            if (strstr(want->name, "embed.2.bias") || strstr(want->name, "embedder") || strstr(want->name, "label_emb"))
                continue; /* where a null class is, or was moved to */
            double most = 0;
            for (size_t n = 0; n < want->size / sizeof(float); n++)
                most = fmax(most, fabs((double)((const float *)got->data)[n] - (double)((const float *)want->data)[n]));
            assert_true(most < (strcmp(want->name, "pos_embed") == 0 ? 1e-6 : 1e-30));
        }
        tw_import_desc desc = {.as = examples[i].as, .flow = examples[i].flow, .scale = 1};
        assert_int_equal(tw_flow_import(*state, path, &desc, &again), TW_OK);
        compare(&s, examples[i].name, again);
        tw_flow_destroy(again);
        assert_int_equal(tw_flow_save(flow, path), TW_OK);
        assert_int_equal(tw_flow_load(*state, path, &again), TW_OK);
        compare(&s, examples[i].name, again);
        tw_flow_destroy(again);
        tw_flow_destroy(flow);
        tw_safetensors_free(*state, &file);
        unlink(path);
        close_example(*state, &s);
    }
}

/* --- which network of a file ----------------------------------------------------------------------------------------
 */

/* A checkpoint of PyTorch has zeros under "model.module." and the network under "ema.". */
static void prefers_averages(void **state)
{
    static const char path[] = TW_SOURCE_DIR "/tests/golden/sit.pt";
    tw_import_desc desc = {.as = "sit", .flow = {.network = {.heads = 2}}};
    tw_flow *flow = NULL;
    assert_int_equal(tw_flow_import(*state, path, &desc, &flow), TW_OK);
    assert_int_equal(flow->desc.image.height, 4);
    assert_int_equal(flow->desc.conditions[0].classes, 2);
    assert_string_equal(flow->desc.conditions[0].level[1], "1");
    assert_true(flow->normaliser.shift[0] == 127.5); /* one channel: pixels */
    double sum = 0, x[16] = {0.5}, t[1] = {0.5}, u[16];
    assert_int_equal(tw_velocity(flow, 1, t, x, NULL, u), TW_OK);
    for (int i = 0; i < 16; i++) sum += fabs(u[i]);
    assert_true(sum > 0.1);
    tw_flow_destroy(flow);
    desc.prefix = "model.module.";
    assert_int_equal(tw_flow_import(*state, path, &desc, &flow), TW_OK);
    assert_int_equal(tw_velocity(flow, 1, t, x, NULL, u), TW_OK);
    for (int i = 0; i < 16; i++) assert_true(u[i] == 0);
    tw_flow_destroy(flow);
}

/* flow_matching keeps averages in a list beside the network. */
static void finds_shadow_parameters(void **state)
{
    state_dict s;
    tw_tensor tensor[2 * MOST + 1];
    char path[100];
    static char name[2 * MOST][200];
    static const float updates = 7;
    int count = 0;
    open_example(*state, &examples[2], &s);
    float *zeros = calloc(1 << 20, sizeof *zeros);
    for (int i = 0; i < s.count; i++) {
        snprintf(name[i], sizeof name[i], "model.model.%s", s.tensor[i].name);
        tensor[count] = s.tensor[i];
        tensor[count].data = zeros;
        tensor[count++].name = name[i];
    }
    tensor[count++] =
        (tw_tensor){.name = (char *)(uintptr_t) "model.num_updates", .dtype = "F32", .data = &updates, .size = 4};
    for (int i = 0; i < s.count; i++) {
        snprintf(name[MOST + i], sizeof name[i], "model.shadow_params.%d", i);
        tensor[count] = s.tensor[i];
        tensor[count++].name = name[MOST + i];
    }
    make_path(path, "shadow");
    assert_int_equal(tw_safetensors_write(*state, path, count, tensor, 0, NULL, NULL), TW_OK);
    tw_import_desc desc = {.as = "flow_matching", .flow = examples[2].flow, .scale = 1};
    tw_flow *flow = NULL;
    assert_int_equal(tw_flow_import(*state, path, &desc, &flow), TW_OK);
    compare(&s, "shadow", flow);
    tw_flow_destroy(flow);
    unlink(path);
    free(zeros);
    close_example(*state, &s);
}

/* --- what is wrong --------------------------------------------------------------------------------------------------
 */

static void refuses(void **state)
{
    static const struct {
        tw_import_desc desc;
        const char *word;
    } cases[] = {
        {{.as = "sti", .flow = {.network = {.heads = 2}}}, "'sit'"},
        {{.as = NULL}, "architecture"},
        {{.as = "torchcfm", .flow = {.network = {.heads = 2}, .image = {4, 4, 1}}},
         "there is no tensor 'time_embed.0.weight'"},
        {{.as = "sit"}, "heads"},
        {{.as = "sit", .flow = {.network = {.heads = 3}}}, "3 heads"},
        {{.as = "sit", .flow = {.network = {.heads = 2, .depth = 2}}},
         "'ema.blocks.1.adaLN_modulation.1.weight' is missing"},
        {{.as = "sit", .flow = {.network = {.heads = 2, .width = 16}}}, "is (8,1,2,2), expected (16,1,2,2)"},
        {{.as = "sit", .flow = {.network = {.heads = 2}}, .prefix = "model."}, "missing"},
        {{.as = "sit", .flow = {.network = {.heads = 2}, .schedule = "cond"}}, "condot"},
    };
    static const char path[] = TW_SOURCE_DIR "/tests/golden/sit.pt";
    tw_flow *flow = NULL;
    for (int i = 0; i < TW_COUNT(cases); i++) {
        assert_int_not_equal(tw_flow_import(*state, path, &cases[i].desc, &flow), TW_OK);
        if (!strstr(tw_context_error(*state), cases[i].word)) fail_msg("%d: %s", i, tw_context_error(*state));
    }
    tw_import_desc unet = {.as = "torchcfm", .flow = {.network = {.heads = 2}}};
    state_dict s;
    char other[100];
    open_example(*state, &examples[0], &s);
    make_path(other, "refuses");
    assert_int_equal(tw_safetensors_write(*state, other, s.count, s.tensor, 0, NULL, NULL), TW_OK);
    assert_int_not_equal(tw_flow_import(*state, other, &unet, &flow), TW_OK);
    assert_non_null(strstr(tw_context_error(*state), "height and width"));
    unlink(other);
    close_example(*state, &s);
    assert_int_equal(tw_flow_create(*state, &(tw_flow_desc){.columns = 2}, &flow), TW_OK);
    assert_int_equal(tw_flow_export(flow, "sit", other), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(*state), "network 'dit'"));
    tw_flow_destroy(flow);
}

static tw_status there_and_back(tw_context *ctx, void *user)
{
    tw_import_desc desc = {.as = "sit", .flow = {.network = {.heads = 2}}};
    tw_flow *flow = NULL;
    tw_status status = tw_flow_import(ctx, TW_SOURCE_DIR "/tests/golden/sit.pt", &desc, &flow);
    if (status == TW_OK) status = tw_flow_export(flow, "sit", user);
    tw_flow_destroy(flow);
    return status;
}

static void survives_lack_of_memory(void **state)
{
    (void)state;
    char path[100];
    make_path(path, "memory");
    run_with_limited_memory(there_and_back, path);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_pytorchs_numbers),
        cmocka_unit_test(edits_as_pytorch),
        cmocka_unit_test(goes_back),
        cmocka_unit_test(prefers_averages),
        cmocka_unit_test(finds_shadow_parameters),
        cmocka_unit_test(refuses),
        cmocka_unit_test(survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, open_pool, close_context);
}
