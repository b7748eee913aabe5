/* Random functions, compiled and run in every way a program can be, against the reference interpreter.
 *
 * As a test: 2,000 of them. test_exec_random_graphs --graphs N [--first SEED] runs more; a failure names its seed, and
 * --first SEED --graphs 1 --text prints that function. */
#include "exec/check.h"
#include "exec/fuzz.h"

#include <signal.h>
#include <unistd.h>

typedef struct options {
    int64_t first, graphs;
    bool text;
} options;

static options asked = {.first = 1, .graphs = 2000};
static volatile sig_atomic_t current;

/* A run of one function: what goes in, what the reference makes of it, and the sentence of the first failure. */
typedef struct trial {
    tw_context *ctx;
    fuzz f;
    void *in[FUZZ_INPUTS];
    double *reference_in[FUZZ_INPUTS], *reference_out[FUZZ_OUTPUTS];
    size_t offset[FUZZ_OUTPUTS], size;
    int overwrites[FUZZ_OUTPUTS];
    bool ill; /* rounding decides the result: nothing can be said */
    char failure[512];
} trial;

static bool failed(trial *t, const char *format, ...) TW_PRINTF(2, 3);
static bool failed(trial *t, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    if (!t->failure[0]) vsnprintf(t->failure, sizeof t->failure, format, list);
    va_end(list);
    return false;
}

static size_t bytes_at(tw_val v)
{
    return (size_t)size_at(v) * tw_dtype_size(tw_dtype_at(v));
}

static void fill(trial *t)
{
    fuzz *f = &t->f;
    tw_random r = {.seed = f->r.seed, .stream = 99};
    for (int i = 0; i < f->inputs_count; i++) {
        tw_dtype dtype = tw_dtype_at(f->inputs[i]);
        t->in[i] = aligned_alloc(64, (bytes_at(f->inputs[i]) + 127) / 64 * 64);
        t->reference_in[i] = new_array(size_at(f->inputs[i]));
        for (int64_t k = 0; k < size_at(f->inputs[i]); k++) {
            double whole = floor(f->low[i] + (f->high[i] - f->low[i]) * tw_random_uniform(&r));
            check_set(t->in[i], dtype, k, tw_dtype_is_real(dtype) ? tw_random_normal(&r) : whole);
            t->reference_in[i][k] = check_get(t->in[i], dtype, k);
        }
    }
    for (int k = 0; k < f->outputs_count; k++) {
        t->reference_out[k] = new_array(size_at(f->outputs[k]));
        t->offset[k] = t->size;
        t->size += bytes_at(f->outputs[k]) / 64 * 64 + 128;
    }
}

static bool run_reference(trial *t, double *const *out)
{
    fuzz *f = &t->f;
    tw_status status = tw_reference_run(t->ctx, f->inputs_count, f->inputs, (const double *const *)t->reference_in,
                                        f->outputs_count, f->outputs, out);
    return status == TW_OK || failed(t, "reference: %s", tw_context_error(t->ctx));
}

/* Outputs that may take the place of an input: each input once. */
static void choose_overwrites(trial *t)
{
    bool taken[FUZZ_INPUTS] = {false};
    for (int k = 0; k < t->f.outputs_count; k++) {
        t->overwrites[k] = -1;
        for (int i = 0; i < t->f.inputs_count && t->overwrites[k] < 0; i++) {
            tw_val in = t->f.inputs[i], out = t->f.outputs[k];
            if (taken[i] || tw_dtype_at(in) != tw_dtype_at(out) || !tw_shape_equal(tw_shape_at(in), tw_shape_at(out)))
                continue;
            taken[i] = true;
            t->overwrites[k] = i;
        }
    }
}

typedef struct way {
    tw_program_desc desc;
    int threads;
    int64_t rows; /* 0: all */
} way;

/* Runs twice on poisoned memory - the second run must not see what the first one left - and returns the outputs. */
static unsigned char *run(trial *t, const way *w)
{
    fuzz *f = &t->f;
    tw_program *program = NULL;
    tw_state *state = NULL;
    void *in[FUZZ_INPUTS], *out[FUZZ_OUTPUTS];
    tw_program_desc desc = w->desc;
    desc.inputs_count = f->inputs_count;
    desc.inputs = f->inputs;
    desc.outputs_count = f->outputs_count;
    desc.outputs = f->outputs;
    unsigned char *bytes = aligned_alloc(64, t->size);
    tw_status status = tw_program_compile(t->ctx, &desc, &program);
    if (status == TW_OK) status = tw_state_create(program, w->threads, &state);
    for (int r = 0; status == TW_OK && w->threads == 0 && r < program->regions_count; r++)
        program->regions[r].work = 1e18; /* wakes the pool for every stage, however small */
    for (int round = 0; round < 2 && status == TW_OK; round++) {
        memset(bytes, 0xAA, t->size);
        for (int i = 0; i < f->inputs_count; i++) in[i] = t->in[i];
        for (int k = 0; k < f->outputs_count; k++) {
            out[k] = bytes + t->offset[k];
            if (!desc.overwrites || desc.overwrites[k] < 0) continue;
            in[desc.overwrites[k]] = memcpy(out[k], t->in[desc.overwrites[k]], bytes_at(f->outputs[k]));
        }
        tw_state_poison(state);
        status = tw_program_run(state, (const void *const *)in, out, w->rows);
    }
    if (status != TW_OK) failed(t, "compile or run: %s", tw_context_error(t->ctx));
    tw_state_destroy(state);
    tw_program_destroy(program);
    return bytes;
}

/* The largest error of an output relative to its largest element. */
static double error_of(const trial *t, int k, const unsigned char *bytes, const double *other, int64_t *out_where)
{
    tw_val v = t->f.outputs[k];
    const double *want = t->reference_out[k];
    double scale = t->f.real == TW_DTYPE_F64 ? 1e-3 : 0.1, worst = 0.0; /* what is left of terms of order one */
    for (int64_t i = 0; i < size_at(v); i++)
        if (isfinite(want[i])) scale = fmax(scale, fabs(want[i]));
    for (int64_t i = 0; i < size_at(v); i++) {
        double have = other ? other[i] : check_get(bytes + t->offset[k], tw_dtype_at(v), i);
        double error = isfinite(want[i]) ? fabs(have - want[i]) / scale
                       : isnan(want[i])  ? !isnan(have)
                                         : have != want[i];
        if (error <= worst) continue;
        worst = error;
        *out_where = i;
    }
    return worst;
}

/* How far an output moves when the inputs move in their last digits, once. */
static double movement_once(trial *t, int k, double step, uint32_t stream)
{
    double *out[FUZZ_OUTPUTS], *kept[FUZZ_INPUTS], worst = 0.0;
    fuzz *f = &t->f;
    tw_random r = {.seed = f->r.seed, .stream = stream};
    for (int n = 0; n < f->outputs_count; n++) out[n] = new_array(size_at(f->outputs[n]));
    for (int i = 0; i < f->inputs_count; i++) {
        kept[i] = t->reference_in[i];
        t->reference_in[i] = new_array(size_at(f->inputs[i]));
        bool real = tw_dtype_is_real(tw_dtype_at(f->inputs[i]));
        for (int64_t n = 0; n < size_at(f->inputs[i]); n++)
            t->reference_in[i][n] = kept[i][n] * (1.0 + (real ? step * tw_random_normal(&r) : 0.0));
    }
    int64_t where = 0;
    if (run_reference(t, out)) worst = error_of(t, k, NULL, out[k], &where);
    for (int i = 0; i < f->inputs_count; i++) {
        free(t->reference_in[i]);
        t->reference_in[i] = kept[i];
    }
    for (int n = 0; n < f->outputs_count; n++) free(out[n]);
    return worst;
}

/* The largest of some: a jump nearby is crossed by every second one. */
static double movement(trial *t, int k, double step)
{
    double worst = 0.0;
    for (uint32_t stream = 100; stream < 110; stream++) worst = fmax(worst, movement_once(t, k, step, stream));
    return worst;
}

/* A few hundred roundings: 1e-10 and 1e-3 leave room for ordinary amplification; what amplifies more is told from a
 * mistake by moving the inputs. */
static bool compare(trial *t, const unsigned char *bytes, const char *what)
{
    double tolerance = t->f.real == TW_DTYPE_F64 ? 1e-10 : 1e-3, step = t->f.real == TW_DTYPE_F64 ? 1e-13 : 1e-5;
    for (int k = 0; k < t->f.outputs_count && !t->failure[0]; k++) {
        int64_t where = 0;
        double error = error_of(t, k, bytes, NULL, &where);
        if (error <= tolerance) continue;
        if (movement(t, k, step) > 0.01 * error) {
            t->ill = true;
            continue;
        }
        tw_dtype dtype = tw_dtype_at(t->f.outputs[k]);
        return failed(t, "%s: output %d%s, element %lld is %.9g, not %.9g (relative %.3g)", what, k,
                      tw_shape_show(tw_shape_at(t->f.outputs[k])).text, (long long)where,
                      check_get(bytes + t->offset[k], dtype, where), t->reference_out[k][where], error);
    }
    return !t->failure[0];
}

static bool same_bits(trial *t, const unsigned char *a, const unsigned char *b, int64_t rows, const char *what)
{
    for (int k = 0; k < t->f.outputs_count && !t->failure[0]; k++) {
        size_t bytes = bytes_at(t->f.outputs[k]);
        if (rows > 0) bytes = bytes / (size_t)tw_dim(t->f.outputs[k], 0) * (size_t)rows;
        if (memcmp(a + t->offset[k], b + t->offset[k], bytes) != 0)
            failed(t, "%s: output %d%s has other bits", what, k, tw_shape_show(tw_shape_at(t->f.outputs[k])).text);
    }
    return !t->failure[0];
}

static void check_way(trial *t, const unsigned char *first, way w, const char *what)
{
    if (t->failure[0]) return;
    unsigned char *bytes = run(t, &w);
    /* other blocks, and copies of inputs that are overwritten, may add up in another order */
    bool same = !w.desc.block_rows && !w.desc.overwrites;
    if (!t->failure[0] && !same) compare(t, bytes, what);
    if (!t->failure[0] && same) same_bits(t, first, bytes, w.rows, what);
    free(bytes);
}

static void all_ways(trial *t)
{
    choose_overwrites(t);
    unsigned char *first = run(t, &(way){.threads = 1});
    if (!t->failure[0]) compare(t, first, "one thread");
    check_way(t, first, (way){.threads = 0}, "three threads");
    check_way(t, first, (way){.threads = 1, .desc.unplanned = true}, "unplanned");
    check_way(t, first, (way){.threads = 0, .desc.block_rows = 1 + fuzz_below(&t->f, 5)}, "odd blocks");
    check_way(t, first, (way){.threads = 0, .desc.overwrites = t->overwrites}, "overwriting");
    free(first);
}

/* Row-wise functions: rows do not change with the number of rows that are run. */
static void fewer_rows(trial *t, int64_t rows, int batched)
{
    bool row_inputs[FUZZ_INPUTS] = {false};
    for (int i = 0; i < batched; i++) row_inputs[i] = true;
    tw_program_desc desc = {.rows = rows, .row_inputs = row_inputs};
    unsigned char *first = run(t, &(way){.desc = desc, .threads = 1});
    if (!t->failure[0]) compare(t, first, "rows");
    check_way(t, first, (way){.desc = desc, .threads = 0, .rows = 1 + fuzz_below(&t->f, rows)}, "fewer rows");
    check_way(t, first, (way){.desc = desc, .threads = 1, .rows = 1 + fuzz_below(&t->f, rows)}, "fewer rows");
    free(first);
}

static void print_function(trial *t)
{
    char *text = NULL;
    fuzz *f = &t->f;
    if (tw_graph_print(t->ctx, f->inputs_count, f->inputs, f->outputs_count, f->outputs, &text) == TW_OK) puts(text);
    tw_string_free(t->ctx, text);
}

/* Seeds decide everything: every eighth a batch of samples, every fourth in f32. */
static void try_seed(tw_context *ctx, int64_t seed, const bool runs[2][TW_OP_COUNT], trial *t)
{
    *t = (trial){.ctx = ctx, .f.r.seed = (uint64_t)seed, .f.real = seed % 4 == 3 ? TW_DTYPE_F32 : TW_DTYPE_F64};
    t->f.runs = runs;
    int64_t rows = seed % 8 == 0 ? 2 + seed / 8 % 90 : 0;
    int batched = 0;
    t->f.g = new_graph(ctx);
    tw_status status = rows ? fuzz_make_rows(&t->f, rows, &batched) : fuzz_make(&t->f);
    if (status == TW_OK) status = tw_graph_verify(t->f.g);
    if (status == TW_OK) {
        if (asked.text) print_function(t);
        fill(t);
        if (run_reference(t, t->reference_out)) {
            all_ways(t);
            if (rows && !t->failure[0]) fewer_rows(t, rows, batched);
        }
    } else {
        failed(t, "building: %s", tw_context_error(ctx));
    }
    for (int i = 0; i < FUZZ_INPUTS; i++) {
        free(t->in[i]);
        free(t->reference_in[i]);
    }
    for (int k = 0; k < FUZZ_OUTPUTS; k++) free(t->reference_out[k]);
    tw_graph_destroy(t->f.g);
}

#ifndef __SANITIZE_ADDRESS__ /* which tells more itself */
static void name_seed(int number)
{
    char line[64];
    int length = snprintf(line, sizeof line, "signal %d in seed %d\n", number, (int)current);
    if (write(2, line, (size_t)length) < 0) _exit(2);
    signal(number, SIG_DFL);
    raise(number);
}
#endif

static void random_graphs(void **state)
{
    (void)state;
#ifndef __SANITIZE_ADDRESS__
    signal(SIGFPE, name_seed); /* the test library has its own, which know no seeds */
    signal(SIGSEGV, name_seed);
#endif
    int64_t failures = 0, ill = 0;
    tw_context *ctx = tw_context_create(&(tw_context_desc){.threads = 3});
    trial *t = malloc(sizeof *t);
    bool runs[2][TW_OP_COUNT];
    print_message("%d of %d ops do not run and are not drawn:", fuzz_probe(ctx, runs), (int)TW_OP_COUNT);
    for (int op = 0; op < TW_OP_COUNT; op++)
        if (!runs[1][op]) print_message(" %s", tw_op_table[op].name);
    print_message("\n");
    for (int64_t seed = asked.first; seed < asked.first + asked.graphs; seed++) {
        current = (sig_atomic_t)seed;
        try_seed(ctx, seed, (const bool(*)[TW_OP_COUNT])runs, t);
        ill += t->ill;
        if (!t->failure[0]) continue;
        failures++;
        print_error("seed %lld: %s\n", (long long)seed, t->failure);
        if (failures == 20) break;
    }
    print_message("%lld functions, %lld decided by rounding, %lld failures\n", (long long)asked.graphs, (long long)ill,
                  (long long)failures);
    free(t);
    tw_context_destroy(ctx);
    assert_int_equal(failures, 0);
    assert_true(ill <= 5 + asked.graphs / 100); /* else the fuzzer proves little */
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--text")) asked.text = true;
        if (i + 1 < argc && !strcmp(argv[i], "--graphs")) asked.graphs = atoll(argv[i + 1]);
        if (i + 1 < argc && !strcmp(argv[i], "--first")) asked.first = atoll(argv[i + 1]);
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_graphs)};
    return cmocka_run_group_tests_name("exec/random_graphs", tests, NULL, NULL);
}
