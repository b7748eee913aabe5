/* What a program tells about itself: profiles count every row of every instruction, dumps show each stage that is asked
 * for, and neither says anything unasked. */
#include "exec/profile.h"

#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 700, WIDTH = 32, RUNS = 3 };

static void keep(void *user, tw_log_level level, const char *message)
{
    tw_text *text = user;
    (void)level;
    tw_text_add(text, "%s\n", message);
}

typedef struct fixture {
    tw_context *ctx, *plain; /* plain: memory for the log itself */
    tw_text log;
    tw_graph *graph;
    tw_program *program;
} fixture;

static void begin(fixture *f, bool profile)
{
    *f = (fixture){.plain = tw_context_create(NULL)};
    f->log = tw_text_new(f->plain);
    f->ctx = tw_context_create(&(tw_context_desc){.log = keep, .log_user = &f->log, .threads = 2, .profile = profile});
    assert_int_equal(tw_graph_create(f->ctx, &f->graph), TW_OK);
    tw_val x = tw_input(f->graph, "x", TW_DTYPE_F32, tw_shape_of(ROWS, WIDTH));
    tw_val w = tw_input(f->graph, "w", TW_DTYPE_F32, tw_shape_of(WIDTH, WIDTH));
    tw_val loss = tw_sum_all(tw_square(tw_silu(tw_matmul(x, w)))), grad;
    assert_int_equal(tw_grad(loss, 1, &w, &grad), TW_OK);
    tw_program_desc desc = {.name = "a step",
                            .inputs_count = 2,
                            .inputs = (tw_val[]){x, w},
                            .outputs_count = 2,
                            .outputs = (tw_val[]){loss, grad}};
    assert_int_equal(tw_program_compile(f->ctx, &desc, &f->program), TW_OK);
}

static void run(fixture *f)
{
    static float x[ROWS * WIDTH], w[WIDTH * WIDTH], loss, grad[WIDTH * WIDTH];
    tw_state *state = NULL;
    assert_int_equal(tw_state_create(f->program, 0, &state), TW_OK);
    for (int i = 0; i < RUNS; i++)
        assert_int_equal(tw_program_run(state, (const void *[]){x, w}, (void *[]){&loss, grad}, 0), TW_OK);
    tw_state_destroy(state);
}

static void end(fixture *f)
{
    tw_graph_destroy(f->graph);
    tw_context_destroy(f->ctx);
    tw_text_free(&f->log);
    tw_context_destroy(f->plain);
}

static void counts_rows_and_flops(void **state)
{
    (void)state;
    fixture f;
    begin(&f, true);
    run(&f);
    const tw_program *p = f.program;
    double work = 0;
    for (int32_t r = 0; r < p->regions_count; r++)
        for (int32_t i = p->regions[r].inst_begin; i < p->regions[r].inst_begin + p->regions[r].inst_count; i++) {
            assert_int_equal(atomic_load(&p->profile->counter[i].rows), RUNS * p->regions[r].rows);
            work += p->insts[i].work;
        }
    /* x W, and its gradient to W: 2 ROWS WIDTH^2 each; elementwise work is far below a tenth of that */
    double products = 2 * 2.0 * ROWS * WIDTH * WIDTH;
    assert_true(work >= products && work < 1.2 * products);
    assert_int_equal(atomic_load(&p->profile->runs), RUNS);
    tw_program_destroy(f.program);
    assert_non_null(strstr(f.log.data, "profile of a step: 3 runs"));
    assert_non_null(strstr(f.log.data, "gemm"));
    assert_non_null(strstr(f.log.data, "% of the"));
    end(&f);
}

static void silent_unless_asked(void **state)
{
    (void)state;
    fixture f;
    unsetenv("THALWEG_DUMP");
    begin(&f, false);
    run(&f);
    assert_null(f.program->profile);
    tw_program_destroy(f.program);
    assert_null(f.log.data);
    end(&f);
}

static void dumps_what_is_asked(void **state)
{
    (void)state;
    static const struct {
        const char *asked, *shown, *not_shown;
    } cases[] = {{"graph", "dot_general(", "stage 0:"},
                 {"fused", "stage 0:", "dot_general("},
                 {"graph,plan", "bytes a row, region", "stage 0:"},
                 {"plan,grpah", "'grpah' is none of graph, fused, plan", "dot_general("}};
    for (int i = 0; i < TW_COUNT(cases); i++) {
        fixture f;
        setenv("THALWEG_DUMP", cases[i].asked, 1);
        begin(&f, false);
        unsetenv("THALWEG_DUMP");
        tw_program_destroy(f.program);
        assert_non_null(f.log.data);
        assert_non_null(strstr(f.log.data, cases[i].shown));
        assert_null(strstr(f.log.data, cases[i].not_shown));
        end(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(counts_rows_and_flops), cmocka_unit_test(silent_unless_asked),
                                       cmocka_unit_test(dumps_what_is_asked)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
