/* Programs and threads: a training step on a machine whose cores others want, programs run by tasks of the pool, the
 * number of threads that was asked for. */
#include "exec/check.h"

#include "base/file.h"
#include "base/pool.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BATCH = 256, COLUMNS = 8, WIDTH = 64, PARAMS = 4 };

typedef struct step {
    tw_context *ctx;
    tw_graph *g;
    tw_program *program;
    tw_state *state;
    float *values[2 + PARAMS], *loss;
    const void *in[2 + PARAMS];
    void *out[1 + PARAMS];
} step;

/* Loss, gradient and update of a small network: several stages with sums over the batch. */
static step make_step(int threads)
{
    step s = {.ctx = tw_context_create(&(tw_context_desc){.threads = threads})};
    assert_non_null(s.ctx);
    assert_int_equal(tw_graph_create(s.ctx, &s.g), TW_OK);
    const tw_shape shapes[2 + PARAMS] = {tw_shape_of(BATCH, COLUMNS), tw_shape_of(BATCH, COLUMNS),
                                         tw_shape_of(COLUMNS, WIDTH), tw_shape_of(WIDTH),
                                         tw_shape_of(WIDTH, WIDTH),   tw_shape_of(WIDTH, COLUMNS)};
    tw_val x[2 + PARAMS], gradient[PARAMS], out[1 + PARAMS];
    tw_random r = {.seed = 4};
    for (int i = 0; i < 2 + PARAMS; i++) {
        int64_t size = tw_shape_size(shapes[i]);
        x[i] = tw_input(s.g, "x", TW_DTYPE_F32, shapes[i]);
        s.in[i] = s.values[i] = calloc((size_t)size, sizeof(float));
        for (int64_t k = 0; k < size; k++) s.values[i][k] = 0.2f * (float)tw_random_normal(&r);
    }
    tw_val h = tw_silu(tw_add(tw_matmul(x[0], x[2]), x[3]));
    tw_val y = tw_matmul(tw_silu(tw_matmul(h, x[4])), x[5]);
    out[0] = tw_mean_all(tw_square(tw_sub(y, x[1])));
    assert_int_equal(tw_grad(out[0], PARAMS, x + 2, gradient), TW_OK);
    for (int i = 0; i < PARAMS; i++) out[1 + i] = tw_sub(x[2 + i], tw_muls(gradient[i], 1e-3));
    tw_program_desc desc = {.inputs_count = 2 + PARAMS, .inputs = x, .outputs_count = 1 + PARAMS, .outputs = out};
    desc.overwrites = (int[]){-1, 2, 3, 4, 5};
    if (tw_program_compile(s.ctx, &desc, &s.program) != TW_OK) fail_msg("%s", tw_context_error(s.ctx));
    assert_int_equal(tw_state_create(s.program, 0, &s.state), TW_OK);
    s.out[0] = s.loss = calloc(1, sizeof(float));
    for (int i = 0; i < PARAMS; i++) s.out[1 + i] = s.values[2 + i];
    return s;
}

static void free_step(step *s)
{
    tw_state_destroy(s->state);
    tw_program_destroy(s->program);
    tw_graph_destroy(s->g);
    tw_context_destroy(s->ctx);
    for (int i = 0; i < 2 + PARAMS; i++) free(s->values[i]);
    free(s->loss);
}

static double seconds_of(step *s, int count)
{
    double begin = tw_clock();
    for (int i = 0; i < count; i++) assert_int_equal(tw_program_run(s->state, s->in, s->out, 0), TW_OK);
    return tw_clock() - begin;
}

/* A process per core that never sleeps; it dies with its parent. */
static int start_busy(pid_t *children)
{
    int cpus = tw_cpus_available(), count = cpus < 64 ? cpus : 64;
    for (int i = 0; i < count; i++) {
        children[i] = fork();
        if (children[i] != 0) continue;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (volatile unsigned spin = 0;; spin++) {}
    }
    return count;
}

static void stop_busy(const pid_t *children, int count)
{
    for (int i = 0; i < count; i++) {
        kill(children[i], SIGKILL);
        waitpid(children[i], NULL, 0);
    }
}

/* With another busy process on every core a fair half of the machine is left: a step takes twice as long, and may take
 * three times. Others may be busy too, and differently while one or the other is measured: the best of three. */
static void contention(void **state)
{
    (void)state;
    step s = make_step(0);
    seconds_of(&s, 50); /* warm */
    double best = INFINITY, once = seconds_of(&s, 50) / 50;
    int count = (int)fmax(20, fmin(0.25 / once, 5000));
    for (int round = 0; round < 3 && best > 3; round++) {
        pid_t children[64];
        double alone = seconds_of(&s, count);
        int busy = start_busy(children);
        double contended = seconds_of(&s, count);
        stop_busy(children, busy);
        best = fmin(best, contended / alone);
        print_message("%d steps: alone %.3f s, with %d busy processes %.3f s\n", count, alone, busy, contended);
    }
    assert_true(best <= 3);
    assert_true(isfinite((double)*s.loss));
    free_step(&s);
}

/* Every task of the pool runs a program with a state of its own, made for that same pool. */
typedef struct crew {
    step *steps;
    atomic_int failures;
} crew;

static void run_inside(void *user, int64_t item, int thread)
{
    crew *c = user;
    step *s = &c->steps[item];
    (void)thread;
    for (int i = 0; i < 5; i++)
        if (tw_program_run(s->state, s->in, s->out, 0) != TW_OK) c->failures++;
}

static void programs_inside_tasks(void **state)
{
    (void)state;
    enum { TASKS = 6 };
    step steps[TASKS], outside = make_step(3);
    for (int i = 0; i < TASKS; i++) steps[i] = make_step(3);
    /* states of one context: the pool that runs the tasks is the one the programs would use */
    for (int i = 1; i < TASKS; i++) {
        tw_state_destroy(steps[i].state);
        assert_int_equal(tw_state_create(steps[0].program, 0, &steps[i].state), TW_OK);
    }
    crew c = {.steps = steps};
    tw_pool_run(steps[0].ctx->pool, TASKS, run_inside, &c);
    seconds_of(&outside, 5);
    assert_int_equal(c.failures, 0);
    for (int i = 0; i < TASKS; i++) {
        assert_memory_equal(steps[i].loss, outside.loss, sizeof(float));
        assert_memory_equal(steps[i].values[4], outside.values[4], WIDTH * WIDTH * sizeof(float));
    }
    for (int i = 1; i < TASKS; i++) { /* the state belongs to the first one's program */
        tw_state_destroy(steps[i].state);
        steps[i].state = NULL;
    }
    for (int i = TASKS - 1; i >= 0; i--) free_step(&steps[i]);
    free_step(&outside);
}

/* Steps are the same bits for any number of threads; the context has the number that was asked for. */
static void numbers_of_threads(void **state)
{
    (void)state;
    step one = make_step(1);
    seconds_of(&one, 7);
    for (int threads = 2; threads <= 7; threads += threads == 3 ? 4 : 1) {
        step s = make_step(threads);
        assert_int_equal(tw_context_threads(s.ctx), threads);
        seconds_of(&s, 7);
        for (int i = 0; i < PARAMS; i++) {
            int64_t size = tw_shape_size(tw_shape_at(tw_val_of(s.g, 2 + i)));
            assert_memory_equal(one.values[2 + i], s.values[2 + i], (size_t)size * sizeof(float));
        }
        free_step(&s);
    }
    free_step(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contention),
        cmocka_unit_test(programs_inside_tasks),
        cmocka_unit_test(numbers_of_threads),
    };
    return cmocka_run_group_tests_name("exec/threads", tests, NULL, NULL);
}
