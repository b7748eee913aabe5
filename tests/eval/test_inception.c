/* The features of FID: the same numbers as PyTorch gives (tests/golden/inception.py) of pictures in colour and grey
 * ones, of a picture whatever stands beside it, by any number of threads; files that are not that network. */
#include "eval/inception.h"

#include "io/safetensors.h"
#include "support/context.h"
#include "support/golden.h"
#include "support/limited_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct golden_conv {
    const char *name;
    int64_t shape[4]; /* outputs, inputs, height, width */
} golden_conv;
#include "golden/inception.inc"

enum { SIDE = 107, FEATURES = 128, CONVS = TW_COUNT(golden_convs), TENSORS = 5 * CONVS };
static const tw_image colour = {40, 30, 3}, grey = {130, 28, 1};
static char path[64], wrong_path[64];

/* Tensor 5 i + part of the script's state dict, with its value(). */
static tw_tensor make_tensor(int i, int part)
{
    static const char *const parts[5] = {"conv.weight", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"};
    const golden_conv *c = &golden_convs[i];
    tw_shape shape = part == 0 ? tw_shape_make(4, c->shape) : tw_shape_of(c->shape[0]);
    int64_t size = tw_shape_size(shape);
    float *data = malloc((size_t)size * sizeof *data);
    char *name = malloc(64);
    snprintf(name, 64, "%s.%s", c->name, parts[part]);
    for (int64_t k = 0; k < size; k++) {
        double x = golden_number(name, k);
        x = part == 0 ? x * sqrt(6.0 * (double)c->shape[0] / (double)size) : part % 3 == 1 ? 1 + 0.2 * x : 0.02 * x;
        data[k] = (float)x;
    }
    return (tw_tensor){.name = name, .dtype = "F32", .shape = shape, .data = data, .size = (size_t)size * sizeof *data};
}

/* The network's file; with tensor `without` left out, or `wrong` of another shape (-1: none). */
static void write_network(tw_context *ctx, const char *to, int without, int wrong)
{
    tw_tensor tensor[TENSORS];
    int count = 0;
    for (int i = 0; i < TENSORS; i++) {
        if (i == without) continue;
        tensor[count] = make_tensor(i / 5, i % 5);
        if (i == wrong) {
            tw_shape *s = &tensor[count].shape;
            s->dim[s->rank] = 1;
            s->rank++;
        }
        count++;
    }
    assert_int_equal(tw_safetensors_write(ctx, to, count, tensor, 0, NULL, NULL), TW_OK);
    for (int i = 0; i < count; i++) free(tensor[i].name), free((void *)(uintptr_t)tensor[i].data);
}

static int open_network(void **state)
{
    if (open_pool(state) != 0) return -1;
    write_network(*state, path, -1, -1);
    return 0;
}

/* The script's pictures(). */
static double *pictures(const char *name, int64_t n, tw_image s)
{
    int64_t rows = (s.height + 7) / 8, columns = (s.width + 7) / 8, size = (int64_t)s.height * s.width * s.channels;
    double *x = malloc((size_t)(n * size) * sizeof *x);
    for (int64_t i = 0; i < n * size; i++) {
        int64_t c = i % s.channels, w = i / s.channels % s.width, h = i / s.channels / s.width % s.height, k = i / size;
        int64_t at = ((k * rows + h / 8) * columns + w / 8) * s.channels + c;
        x[i] = floor(golden_number(name, at) * 128 + 128);
    }
    return x;
}

static void check(int64_t count, const double *got, const double *want)
{
    double largest = 0;
    for (int64_t i = 0; i < count; i++) largest = fmax(largest, fabs(want[i]));
    for (int64_t i = 0; i < count; i++) assert_true(fabs(got[i] - want[i]) < 1e-5 * largest); /* single precision */
}

static void as_pytorch(void **state)
{
    double got[3 * FEATURES], *in_colour = pictures("colour", 3, colour), *in_grey = pictures("grey", 2, grey);
    tw_inception *net;
    assert_int_equal(tw_inception_open(*state, path, colour, SIDE, &net), TW_OK);
    assert_int_equal(tw_inception_features(net), FEATURES);
    assert_int_equal(tw_inception_run(net, 3, in_colour, NULL, NULL, got), TW_OK);
    check(3 * FEATURES, got, golden_colour);
    tw_inception_close(net);
    assert_int_equal(tw_inception_open(*state, path, grey, SIDE, &net), TW_OK);
    assert_int_equal(tw_inception_run(net, 2, in_grey, NULL, NULL, got), TW_OK);
    check(2 * FEATURES, got, golden_grey);
    /* numbers between bytes and beyond them are what a file would hold */
    for (int64_t i = 0; i < 2 * 130 * 28; i++)
        in_grey[i] += in_grey[i] == 0 ? -3.5 : in_grey[i] == 255 ? 1000 : i % 2 ? 0.4 : -0.4;
    assert_int_equal(tw_inception_run(net, 2, in_grey, NULL, NULL, got), TW_OK);
    check(2 * FEATURES, got, golden_grey);
    tw_inception_close(net);
    free(in_colour), free(in_grey);
}

/* More pictures than a block holds, by one and three threads; each alone. */
static void of_a_picture_alone(void **state)
{
    enum { ROWS = 20 };
    const tw_image image = {24, 16, 1};
    double *x = pictures("alone", ROWS, image), *got[2], one[FEATURES];
    (void)state;
    for (int k = 0; k < 2; k++) {
        tw_context *ctx = tw_context_create(&(tw_context_desc){.threads = k ? 3 : 1});
        tw_inception *net;
        got[k] = malloc(sizeof *got[k] * ROWS * FEATURES);
        assert_int_equal(tw_inception_open(ctx, path, image, TW_INCEPTION_LEAST_SIDE, &net), TW_OK);
        assert_int_equal(tw_inception_run(net, ROWS, x, NULL, NULL, got[k]), TW_OK);
        for (int i = 3; i < ROWS; i += 15) {
            assert_int_equal(tw_inception_run(net, 1, x + (int64_t)i * 24 * 16, NULL, NULL, one), TW_OK);
            assert_memory_equal(one, got[k] + (int64_t)i * FEATURES, sizeof one);
        }
        tw_inception_close(net);
        tw_context_destroy(ctx);
    }
    assert_memory_equal(got[0], got[1], sizeof *got[0] * ROWS * FEATURES);
    assert_memory_not_equal(got[0], got[0] + FEATURES, sizeof *got[0] * FEATURES);
    free(x), free(got[0]), free(got[1]);
}

static int stop_at_32(void *user, int64_t done, int64_t total)
{
    *(int64_t *)user = done;
    assert_int_equal(total, 40);
    return done >= 32;
}

static void can_be_stopped(void **state)
{
    const tw_image image = {8, 8, 1};
    double *x = pictures("stop", 40, image), *got = malloc(sizeof *got * 40 * FEATURES);
    int64_t done = 0;
    tw_inception *net;
    assert_int_equal(tw_inception_open(*state, path, image, TW_INCEPTION_LEAST_SIDE, &net), TW_OK);
    assert_int_equal(tw_inception_run(net, 40, x, stop_at_32, &done, got), TW_ERR_CANCELLED);
    assert_true(done >= 32 && done < 40);
    tw_inception_close(net);
    free(x), free(got);
}

static void expect(tw_context *ctx, tw_status wanted, const char *file, const char *words)
{
    tw_inception *net = NULL;
    assert_int_equal(tw_inception_open(ctx, file, colour, SIDE, &net), wanted);
    assert_null(net);
    if (!strstr(tw_context_error(ctx), words) || !strstr(tw_context_error(ctx), file))
        fail_msg("'%s' lacks '%s' or the file", tw_context_error(ctx), words);
}

static void other_files(void **state)
{
    tw_inception *net = NULL;
    for (int part = 0; part < 5; part++) {
        int i = 5 * 40 + part;
        tw_tensor t = make_tensor(i / 5, part);
        write_network(*state, wrong_path, i, -1);
        expect(*state, TW_ERR_FORMAT, wrong_path, t.name);
        write_network(*state, wrong_path, -1, i);
        expect(*state, TW_ERR_SHAPE, wrong_path, t.name);
        free(t.name), free((void *)(uintptr_t)t.data);
    }
    expect(*state, TW_ERR_SHAPE, wrong_path, "is (12,1), expected (12)");
    assert_int_equal(tw_inception_open(*state, "/nowhere.pth", colour, SIDE, &net), TW_ERR_IO);
    assert_int_equal(tw_inception_open(*state, path, (tw_image){8, 8, 2}, SIDE, &net), TW_ERR_INVALID);
    assert_int_equal(tw_inception_open(*state, path, colour, TW_INCEPTION_LEAST_SIDE - 1, &net), TW_ERR_INVALID);
    assert_null(net);
}

static tw_status open_and_close(tw_context *ctx, void *user)
{
    tw_inception *net = NULL;
    (void)user;
    tw_status status = tw_inception_open(ctx, path, colour, TW_INCEPTION_LEAST_SIDE, &net);
    tw_inception_close(net);
    return status;
}

static void allocations_may_fail(void **state)
{
    (void)state;
    run_with_limited_memory_in_leaps(open_and_close, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_pytorch), cmocka_unit_test(of_a_picture_alone),
                                       cmocka_unit_test(can_be_stopped), cmocka_unit_test(other_files),
                                       cmocka_unit_test(allocations_may_fail)};
    snprintf(path, sizeof path, "/tmp/thalweg-test-inception-%d.safetensors", (int)getpid());
    snprintf(wrong_path, sizeof wrong_path, "/tmp/thalweg-test-inception-%d-wrong.safetensors", (int)getpid());
    int failed = cmocka_run_group_tests(tests, open_network, close_context);
    unlink(path), unlink(wrong_path);
    return failed;
}
