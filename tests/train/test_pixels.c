/* Pictures in the training step: bytes unpacked to the last bit, mirrored by the toss of a coin, and a training on
 * bytes that is the training on the same numbers as a table. */
#include "train/pixels.h"

#include "support/context.h"
#include "support/picture_files.h"
#include "train/batch.h"
#include "train/producer.h"
#include "train/trainer.h"

#include <thalweg/thalweg.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEIGHT = 3, WIDTH = 5, COLUMNS = HEIGHT * WIDTH, STRIDE = 16, ROWS = 64 };

static char folder[64];

static tw_program *compile(tw_context *ctx, int inputs, const tw_val *input, tw_val output)
{
    tw_program *program = NULL;
    tw_program_desc desc = {
        .name = "pixels", .inputs_count = inputs, .inputs = input, .outputs_count = 1, .outputs = &output};
    if (tw_program_compile(ctx, &desc, &program) != TW_OK) fail_msg("%s", tw_context_error(ctx));
    return program;
}

static void run(tw_program *program, const void **inputs, void *output)
{
    tw_state *state = NULL;
    assert_int_equal(tw_state_create(program, 0, &state), TW_OK);
    assert_int_equal(tw_program_run(state, inputs, &output, 0), TW_OK);
    tw_state_destroy(state);
    tw_program_destroy(program);
}

/* Every byte in every place of a word. */
static void bytes_come_out_as_they_are(void **state)
{
    enum { BYTES = 1024 };
    uint8_t bytes[BYTES];
    float out[BYTES];
    tw_graph *graph = NULL;
    for (int i = 0; i < BYTES; i++) bytes[i] = (uint8_t)(i / 4 + 67 * (i % 4));
    assert_int_equal(tw_graph_create(*state, &graph), TW_OK);
    tw_val words = tw_input(graph, "words", TW_DTYPE_U32, tw_shape_of(2, BYTES / 8));
    tw_program *program = compile(*state, 1, &words, tw_pixels_unpack(words, BYTES / 2 - 1, TW_DTYPE_F32));
    run(program, (const void *[]){bytes}, out);
    for (int r = 0; r < 2; r++)
        for (int j = 0; j < BYTES / 2 - 1; j++) {
            double expected = (bytes[r * BYTES / 2 + j] - 127.5) / 127.5;
            assert_true(fabs((double)out[r * (BYTES / 2 - 1) + j] - expected) < 1.2e-7); /* two roundings of a float */
        }
    tw_graph_destroy(graph);
}

/* The pictures of step number `step`, drawn from a table. */
static void draw_batch(tw_context *ctx, const tw_batch_desc *desc, const uint8_t *table, uint32_t step, float *out)
{
    tw_graph *graph = NULL;
    tw_piece source = {0};
    const tw_space plain = {.flat = true, .numbers = COLUMNS};
    assert_int_equal(tw_graph_create(ctx, &graph), TW_OK);
    tw_val feed[TW_FEEDS], input[3] = {TW_NONE, tw_input(graph, "key", TW_DTYPE_U32, tw_shape_of(2)),
                                       tw_input(graph, "counter", TW_DTYPE_U32, tw_shape_of(2))};
    tw_batch_tables(graph, desc, feed);
    input[0] = feed[TW_FEED_DATA];
    assert_int_equal(tw_piece_read(ctx, "source", "normal", tw_source_list, &source), TW_OK);
    tw_val x1 = tw_batch_draw(&plain, &source, desc, feed, input[1], input[2]).x1;
    run(compile(ctx, 3, input, x1), (const void *[]){table, (uint32_t[]){5, 0}, (uint32_t[]){step, 0}}, out);
    tw_piece_free(ctx, &source);
    tw_graph_destroy(graph);
}

/* A batch of many rows: each is its picture or that one mirrored, in about equal numbers, and depends on the step. */
static void half_of_a_batch_is_mirrored(void **state)
{
    enum { BATCH = 2000 };
    static float out[BATCH * COLUMNS], again[BATCH * COLUMNS];
    uint8_t table[ROWS * STRIDE] = {0};
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLUMNS; j++) table[i * STRIDE + j] = (uint8_t)(i + 64 * (j % 3) + (j > 6));
    tw_batch_desc desc = {.batch = BATCH,
                          .columns = COLUMNS,
                          .rows = ROWS,
                          .dtype = TW_DTYPE_F32,
                          .image = {HEIGHT, WIDTH, 1},
                          .packed = {true},
                          .flip = true};
    draw_batch(*state, &desc, table, 9, out);
    draw_batch(*state, &desc, table, 10, again);
    assert_memory_not_equal(out, again, sizeof out);
    int mirrored = 0;
    for (int i = 0; i < BATCH; i++) {
        const float *x = out + i * COLUMNS;
        bool straight = false, turned = false;
        for (int r = 0; r < ROWS; r++) {
            bool same = true, other = true;
            for (int j = 0; j < COLUMNS; j++) {
                int k = j / WIDTH * WIDTH + WIDTH - 1 - j % WIDTH;
                same = same && lround(127.5 * ((double)x[j] + 1)) == table[r * STRIDE + j];
                other = other && lround(127.5 * ((double)x[j] + 1)) == table[r * STRIDE + k];
            }
            straight = straight || same;
            turned = turned || other;
        }
        assert_true(straight != turned);
        mirrored += turned;
    }
    assert_true(abs(mirrored - BATCH / 2) < 100); /* 4.5 deviations of a fair coin */
}

/* Every picture of a large batch is one of the table moved by one of the 3 x 3 offsets, each about equally often. */
static void pictures_are_moved(void **state)
{
    enum { BATCH = 1800, ONE = 1 };
    static float out[BATCH * COLUMNS];
    uint8_t table[STRIDE];
    for (int j = 0; j < STRIDE; j++) table[j] = (uint8_t)(j * j);
    tw_batch_desc desc = {.batch = BATCH,
                          .columns = COLUMNS,
                          .rows = ONE,
                          .dtype = TW_DTYPE_F32,
                          .image = {HEIGHT, WIDTH, 1},
                          .packed = {true},
                          .shift = 1};
    draw_batch(*state, &desc, table, 9, out);
    int seen[9] = {0};
    for (int i = 0; i < BATCH; i++) {
        int found = 0;
        for (int k = 0; k < 9; k++) {
            bool same = true;
            for (int j = 0; j < COLUMNS; j++) {
                int y = j / WIDTH + k / 3 - 1, x = j % WIDTH + k % 3 - 1;
                y = y < 0 ? 0 : y >= HEIGHT ? HEIGHT - 1 : y;
                x = x < 0 ? 0 : x >= WIDTH ? WIDTH - 1 : x;
                same = same && lround(127.5 * ((double)out[i * COLUMNS + j] + 1)) == table[y * WIDTH + x];
            }
            seen[k] += same;
            found += same;
        }
        assert_int_equal(found, 1);
    }
    for (int k = 0; k < 9; k++) assert_true(abs(seen[k] - BATCH / 9) < 60); /* 4.5 deviations of 13.3 */
}

/* --- training ----------------------------------------------------------------------------------------------------- */

static tw_train_result train_on(tw_context *ctx, const tw_dataset *data, const char *coupling, bool flip,
                                float *weights)
{
    tw_flow_desc desc = {.columns = COLUMNS,
                         .image = {HEIGHT, WIDTH, 1},
                         .coupling = coupling,
                         .seed = 2,
                         .network = {.width = 24, .depth = 2}};
    tw_train_desc how = {.steps = 30, .batch = 32, .seed = 6, .flip = flip};
    tw_train_result result;
    tw_flow *flow = NULL;
    if (tw_flow_create(ctx, &desc, &flow) != TW_OK || tw_train(flow, data, &how, &result) != TW_OK)
        fail_msg("%s", tw_context_error(ctx));
    memcpy(weights, flow->weights, 24 * sizeof(float));
    for (int j = 0; j < COLUMNS; j++) {
        assert_true(flow->normaliser.shift[j] == 127.5 && flow->normaliser.scale[j] == 127.5);
        assert_false(tw_flow_is_constant(flow, j));
    }
    tw_flow_destroy(flow);
    return result;
}

static void bytes_train_as_their_numbers_do(void **state)
{
    tw_dataset_desc desc = {.seed = 3};
    tw_dataset *bytes = NULL, *table = NULL;
    write_idx_pictures("a-images-idx3-ubyte", NULL, 1, ROWS, HEIGHT, WIDTH);
    double values[ROWS * COLUMNS];
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLUMNS; j++) values[i * COLUMNS + j] = pixel_of(1, i, j);
    assert_int_equal(tw_dataset_open(*state, "a-images-idx3-ubyte", &desc, &bytes), TW_OK);
    assert_int_equal(tw_dataset_from_memory(*state, ROWS, COLUMNS, values, NULL, &desc, &table), TW_OK);
    float of_bytes[24], of_table[24], of_flipped[24];
    static const char *const couplings[] = {"independent", "ot"};
    for (int i = 0; i < 2; i++) {
        tw_train_result a = train_on(*state, bytes, couplings[i], false, of_bytes);
        tw_train_result b = train_on(*state, table, couplings[i], false, of_table);
        /* numbers differ by a rounding of floats, which decides between equal rows of a batch that is paired */
        double near = i == 0 ? 1e-6 : 1e-3;
        assert_true(fabs(a.loss - b.loss) < near && fabs(a.validation - b.validation) < near);
        train_on(*state, bytes, couplings[i], true, of_flipped);
        assert_memory_not_equal(of_bytes, of_flipped, sizeof of_bytes);
        train_on(*state, table, couplings[i], true, of_table);
        for (int k = 0; k < 24; k++) assert_true(fabsf(of_flipped[k] - of_table[k]) < 2e-3F); /* of about 0.05 to 0.3 */
    }
    tw_dataset_destroy(bytes);
    tw_dataset_destroy(table);
}

static void what_does_not_fit_is_refused(void **state)
{
    tw_context *ctx = *state;
    tw_dataset *data = NULL;
    tw_flow *flow = NULL;
    tw_flow_desc desc = {.columns = COLUMNS, .network = {.width = 8, .depth = 1}};
    write_idx_pictures("a-images-idx3-ubyte", NULL, 1, ROWS, HEIGHT, WIDTH);
    assert_int_equal(tw_dataset_open(ctx, "a-images-idx3-ubyte", NULL, &data), TW_OK);
    assert_int_equal(tw_flow_create(ctx, &desc, &flow), TW_OK);
    assert_int_equal(tw_train(flow, data, &(tw_train_desc){.steps = 1}, NULL), TW_ERR_SHAPE);
    assert_string_equal(tw_context_error(ctx), "the data's pictures are 3 x 5 x 1, the flow's 0 x 0 x 0");
    assert_int_equal(tw_train(flow, data, &(tw_train_desc){.steps = 1, .batch = 64, .accumulate = 5}, NULL),
                     TW_ERR_INVALID);
    assert_string_equal(tw_context_error(ctx), "training: a batch of 64 rows is not 5 equal pieces (accumulate)");
    tw_train_desc whole = {0}; /* a batch of one's own choosing is whole pieces */
    assert_int_equal(
        tw_train_complete(ctx, &(tw_train_desc){.accumulate = 3}, 400, &(tw_flow_desc){.columns = 2}, &whole), TW_OK);
    assert_int_equal(whole.batch, 402);
    assert_int_equal(tw_train(flow, data, &(tw_train_desc){.steps = 1, .flip = true}, NULL), TW_ERR_INVALID);
    assert_string_equal(tw_context_error(ctx), "only pictures can be mirrored (flip), and these rows are none");
    tw_flow_destroy(flow);
    tw_dataset_destroy(data);
}

static int setup(void **state)
{
    snprintf(folder, sizeof folder, "/tmp/thalweg-test-pixels-XXXXXX");
    return mkdtemp(folder) && chdir(folder) == 0 ? open_pool(state) : -1;
}

static int teardown(void **state)
{
    unlink("a-images-idx3-ubyte");
    return rmdir(folder) == 0 ? close_context(state) : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_come_out_as_they_are),   cmocka_unit_test(half_of_a_batch_is_mirrored),

        cmocka_unit_test(pictures_are_moved),           cmocka_unit_test(bytes_train_as_their_numbers_do),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
