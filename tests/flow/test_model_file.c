/* A model file: bit-exact there and back, and refused with a sentence when anything about it is wrong. */
#include "flow/linear_flow.h"

#include "flow/checksum.h"
#include "flow/metadata.h"
#include "support/limited_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static tw_context *ctx;
static tw_flow *flow;
static char path[64], other[64];

static int setup(void **state)
{
    (void)state;
    ctx = tw_context_create(&(tw_context_desc){.threads = 1});
    snprintf(path, sizeof(path), "/tmp/tw-model-%d.safetensors", (int)getpid());
    snprintf(other, sizeof(other), "/tmp/tw-model-%d-b.safetensors", (int)getpid());
    if (linear_flow(ctx, &flow) != TW_OK || tw_flow_set_fact(flow, "data", "caf\xc3\xa9 \"x\"\n") != TW_OK) return 1;
    return tw_flow_set_fact(flow, "steps", "12") != TW_OK || tw_flow_save(flow, path) != TW_OK;
}

static int teardown(void **state)
{
    (void)state;
    tw_flow_destroy(flow);
    tw_context_destroy(ctx);
    unlink(path);
    unlink(other);
    return 0;
}

static char *slurp(const char *name, size_t *size)
{
    FILE *f = fopen(name, "rb");
    assert_non_null(f);
    char *bytes = malloc(1 << 20);
    *size = fread(bytes, 1, 1 << 20, f);
    fclose(f);
    return bytes;
}

static void spill(const char *name, const char *bytes, size_t size)
{
    FILE *f = fopen(name, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    fclose(f);
}

static void test_round_trip(void **state)
{
    (void)state;
    tw_flow *back = NULL;
    assert_int_equal(tw_flow_load(ctx, path, &back), TW_OK);
    const tw_flow_desc *a = tw_flow_about(flow), *b = tw_flow_about(back);
    assert_string_equal(a->method, b->method);
    assert_string_equal(b->schedule, "condot");
    assert_string_equal(b->coupling, "independent");
    assert_int_equal(b->columns, 2);
    assert_string_equal(b->names[1], "second \"quoted\"");
    assert_int_equal(b->decimals[0], 3);
    assert_int_equal(b->decimals[1], -1);
    assert_true(b->seed == 0xFFFFFFFFFFFFFFF1u);
    assert_int_equal(b->network.width, LINEAR_WIDTH);
    assert_string_equal(tw_flow_fact(back, "data"), "caf\xc3\xa9 \"x\"\n");
    assert_string_equal(tw_flow_fact(back, "steps"), "12");
    assert_null(tw_flow_fact(back, "nothing"));
    assert_int_equal(tw_flow_parameters(back), tw_flow_parameters(flow));
    assert_memory_equal(flow->weights, back->weights, (size_t)tw_params_size(flow->params) * sizeof(float));
    assert_memory_equal(flow->normaliser.shift, back->normaliser.shift, 2 * sizeof(double));
    assert_memory_equal(flow->normaliser.scale, back->normaliser.scale, 2 * sizeof(double));
    size_t size_a, size_b;
    assert_int_equal(tw_flow_save(back, other), TW_OK);
    char *bytes_a = slurp(path, &size_a), *bytes_b = slurp(other, &size_b);
    assert_int_equal(size_a, size_b);
    assert_memory_equal(bytes_a, bytes_b, size_a);
    free(bytes_a);
    free(bytes_b);
    tw_flow_destroy(back);
}

static void test_every_truncation_is_refused(void **state)
{
    (void)state;
    size_t size;
    char *bytes = slurp(path, &size);
    for (size_t keep = 0; keep < size; keep += 1 + keep / 16) {
        tw_flow *back = NULL;
        spill(other, bytes, keep);
        assert_int_not_equal(tw_flow_load(ctx, other, &back), TW_OK);
        assert_null(back);
        assert_non_null(strstr(tw_context_error(ctx), other));
    }
    free(bytes);
}

static void test_every_flipped_byte_is_refused(void **state)
{
    (void)state;
    size_t size;
    char *bytes = slurp(path, &size);
    for (size_t i = 0; i < size; i++) {
        tw_flow *back = NULL;
        char kept = bytes[i];
        bytes[i] = (char)(kept ^ (1 << (i % 7)));
        spill(other, bytes, size);
        if (tw_flow_load(ctx, other, &back) == TW_OK) {
            /* only blanks between the words of the header may differ without a change of meaning */
            assert_true(kept == ' ' || bytes[i] == ' ');
            tw_flow_destroy(back);
        }
        bytes[i] = kept;
    }
    free(bytes);
}

/* Reads the model, lets `change` alter it, writes it back with a right checksum. */
typedef void (*change_fn)(tw_tensor *tensors, int *count, tw_metadata *metadata);

static void set(tw_metadata *m, const char *key, const char *value)
{
    for (int64_t i = 0; i < m->count; i++) {
        if (strcmp(m->key[i], key) != 0) continue;
        tw_free(ctx, m->value[i]);
        m->value[i] = tw_strdup(ctx, value);
        return;
    }
    tw_metadata_add(m, key, value);
}

static tw_status load_changed(change_fn change)
{
    tw_tensor_file file = {0};
    tw_metadata metadata = {.ctx = ctx};
    tw_tensor tensors[32];
    tw_flow *back = NULL;
    assert_int_equal(tw_safetensors_read(ctx, path, &file), TW_OK);
    int count = file.count;
    memcpy(tensors, file.tensor, (size_t)count * sizeof(tw_tensor));
    for (int i = 0; i < file.keys_count; i++)
        if (strcmp(file.key[i], "checksum") != 0) tw_metadata_add(&metadata, file.key[i], file.value[i]);
    change(tensors, &count, &metadata);
    assert_int_equal(tw_metadata_write(&metadata, other, count, tensors), TW_OK);
    tw_metadata_free(&metadata);
    tw_safetensors_free(ctx, &file);
    tw_status status = tw_flow_load(ctx, other, &back);
    tw_flow_destroy(back);
    return status;
}

static void nothing(tw_tensor *t, int *n, tw_metadata *m)
{
    (void)t, (void)n, (void)m;
}
static void newer(tw_tensor *t, int *n, tw_metadata *m)
{
    (void)t, (void)n, set(m, "format_version", "3");
}
static void bad_version(tw_tensor *t, int *n, tw_metadata *m)
{
    (void)t, (void)n, set(m, "format_version", "1.5");
}
static void foreign(tw_tensor *t, int *n, tw_metadata *m)
{
    (void)t, (void)n, set(m, "format", "pt");
}
static void method(tw_tensor *t, int *n, tw_metadata *m)
{
    (void)t, (void)n, set(m, "method", "telepathy");
}
static void other_file(tw_tensor *t, int *n, tw_metadata *m)
{
    (void)t, (void)n, set(m, "schedule", "table:@/etc/passwd");
}
static void wider(tw_tensor *t, int *n, tw_metadata *m)
{
    (void)t, (void)n, set(m, "network.width", "16000");
}
static void text_width(tw_tensor *t, int *n, tw_metadata *m)
{
    (void)t, (void)n, set(m, "network.width", "wide");
}
static void columns(tw_tensor *t, int *n, tw_metadata *m)
{
    (void)t, (void)n, set(m, "columns", "[\"a\", 3]");
}
static void more_columns(tw_tensor *t, int *n, tw_metadata *m)
{
    (void)t, (void)n, set(m, "columns", "[\"a\",\"b\",\"c\"]");
}
static void no_array(tw_tensor *t, int *n, tw_metadata *m)
{
    (void)t, (void)n, set(m, "decimals", "{}");
}
static void decimals(tw_tensor *t, int *n, tw_metadata *m)
{
    (void)t, (void)n, set(m, "decimals", "[1, 99]");
}
static void fewer(tw_tensor *t, int *n, tw_metadata *m)
{
    (void)t, (void)m, (*n)--;
}
static void renamed(tw_tensor *t, int *n, tw_metadata *m)
{
    static char name[] = "extra";
    (void)m;
    t[*n] = t[0];
    t[(*n)++].name = name;
}
static void bent_scale(tw_tensor *t, int *n, tw_metadata *m)
{
    static const double zeros[2] = {1, 0};
    (void)m;
    for (int i = 0; i < *n; i++)
        if (strcmp(t[i].name, "normaliser.scale") == 0) t[i].data = zeros;
}
static void integers(tw_tensor *t, int *n, tw_metadata *m)
{
    (void)n, (void)m;
    strcpy(t[0].dtype, "I32");
}
static void transposed(tw_tensor *t, int *n, tw_metadata *m)
{
    (void)m;
    for (int i = 0; i < *n; i++)
        if (strcmp(t[i].name, "network.in.weight") == 0) t[i].shape = tw_shape_of(LINEAR_WIDTH, 2);
}

static void test_wrong_content_is_told(void **state)
{
    (void)state;
    const struct {
        change_fn change;
        tw_status status;
        const char *says;
    } cases[] = {
        {nothing, TW_OK, ""},
        {newer, TW_ERR_UNSUPPORTED, "newer"},
        {bad_version, TW_ERR_FORMAT, "format_version"},
        {foreign, TW_ERR_FORMAT, "not a Thalweg model"},
        {method, TW_ERR_FORMAT, "unknown method 'telepathy'"},
        {other_file, TW_ERR_FORMAT, "names a file"},
        {wider, TW_ERR_SHAPE, "elements where"},
        {text_width, TW_ERR_FORMAT, "network.width"},
        {columns, TW_ERR_FORMAT, "entry 2"},
        {more_columns, TW_ERR_FORMAT, "decimals"},
        {no_array, TW_ERR_FORMAT, "decimals"},
        {decimals, TW_ERR_FORMAT, "entry 2"},
        {fewer, TW_ERR_FORMAT, "normaliser.scale"},
        {renamed, TW_ERR_FORMAT, "tensors"},
        {bent_scale, TW_ERR_FORMAT, "second"},
        {integers, TW_ERR_DTYPE, "F32"},
        {transposed, TW_ERR_SHAPE, "network.in.weight"},
    };
    for (int i = 0; i < TW_COUNT(cases); i++) {
        tw_status status = load_changed(cases[i].change);
        if (cases[i].status == TW_OK) {
            assert_int_equal(status, TW_OK);
            continue;
        }
        if (status == TW_OK || !strstr(tw_context_error(ctx), cases[i].says) || !strstr(tw_context_error(ctx), other))
            fail_msg("case %d: %s: %s", i, tw_status_text(status), tw_context_error(ctx));
    }
}

static void test_other_files(void **state)
{
    (void)state;
    tw_flow *back = NULL;
    assert_int_equal(tw_flow_load(ctx, "/nonexistent/model", &back), TW_ERR_IO);
    assert_int_equal(tw_flow_load(ctx, "/tmp", &back), TW_ERR_IO);
    spill(other, "x,y\n1,2\n", 8);
    assert_int_equal(tw_flow_load(ctx, other, &back), TW_ERR_FORMAT);
    assert_int_equal(tw_flow_save(flow, "/nonexistent/folder/model"), TW_ERR_IO);
    assert_null(back);
}

static void test_creation(void **state)
{
    (void)state;
    tw_flow *f = NULL;
    assert_int_equal(tw_flow_create(ctx, &(tw_flow_desc){.columns = 0}, &f), TW_ERR_INVALID);
    assert_int_equal(tw_flow_create(ctx, &(tw_flow_desc){.columns = 2, .schedule = "condott"}, &f), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(ctx), "'condot'"));
    assert_int_equal(tw_flow_create(ctx, &(tw_flow_desc){.columns = 2, .coupling = "x"}, &f), TW_ERR_INVALID);
    assert_null(f);
    assert_int_equal(tw_flow_create(ctx, &(tw_flow_desc){.columns = 2, .network = {.width = 8}}, &f), TW_OK);
    assert_string_equal(tw_flow_about(f)->method, "fm");
    assert_string_equal(tw_flow_about(f)->names[1], "x2");
    assert_int_equal(tw_flow_about(f)->decimals[1], -1);
    tw_flow_destroy(f);
    tw_flow_destroy(NULL);
    for (const char *const *kind =
             (const char *const[]){"methods", "spaces", "sources", "paths", "schedules", "couplings", "networks",
                                   "predictions", "losses", "weights", "time-densities", "grids", NULL};
         *kind; kind++) {
        assert_non_null(tw_piece_list(*kind, 0));
        assert_true(strlen(tw_piece_list(*kind, 0)->source) > 0);
        assert_null(tw_piece_list(*kind, 1000));
    }
    assert_null(tw_piece_list("nonsense", 0));
}

static tw_status save_and_load(tw_context *c, void *user)
{
    tw_flow *a = NULL, *b = NULL;
    (void)user;
    tw_status status = linear_flow(c, &a);
    if (status == TW_OK) status = tw_flow_set_fact(a, "steps", "3");
    if (status == TW_OK) status = tw_flow_save(a, other);
    if (status == TW_OK) status = tw_flow_load(c, other, &b);
    tw_flow_destroy(a);
    tw_flow_destroy(b);
    return status;
}

static void test_memory_running_out(void **state)
{
    (void)state;
    run_with_limited_memory(save_and_load, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_every_truncation_is_refused),
        cmocka_unit_test(test_every_flipped_byte_is_refused),
        cmocka_unit_test(test_wrong_content_is_told),
        cmocka_unit_test(test_other_files),
        cmocka_unit_test(test_creation),
        cmocka_unit_test(test_memory_running_out),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
