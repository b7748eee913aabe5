/* Every allocation fails in turn while a function of each op is built, transformed, compiled and prepared for running:
 * a status, a sentence, nothing left behind. */
#include "exec/fuzz.h"
#include "support/limited_memory.h"

typedef struct job {
    tw_op op;
    tw_shape shape;
    int variant;
} job;

/* Forward, reverse, second derivative, batch; what cannot be differentiated is batched only. */
static tw_status transform(tw_graph *g, const job *j, const test_case *c, tw_val *inputs, int *count, tw_val *outputs,
                           int *outputs_count)
{
    tw_status status = TW_OK;
    tw_val real[CASE_INPUTS], slots[CASE_INPUTS], wide[CASE_INPUTS], made[CASE_INPUTS];
    int reals = 0;
    for (int i = 0; i < c->count; i++) {
        tw_shape shape = tw_shape_at(c->inputs[i]), many = {.rank = shape.rank + 1, .dim = {2}};
        memcpy(many.dim + 1, shape.dim, (size_t)shape.rank * sizeof *shape.dim);
        wide[i] = inputs[(*count)++] = tw_input(g, "w", tw_dtype_at(c->inputs[i]), many);
        if (!tw_dtype_is_real(tw_dtype_at(c->inputs[i]))) continue;
        real[reals] = c->inputs[i];
        slots[reals++] = inputs[(*count)++] = tw_input(g, "v", tw_dtype_at(c->inputs[i]), shape);
    }
    TW_TRY(tw_graph_check(g));
    TW_TRY(tw_vmap(c->count, c->inputs, wide, 1, &c->output, &outputs[(*outputs_count)++]));
    if (reals == 0 || !tw_dtype_is_real(tw_dtype_at(c->output))) return TW_OK;
    TW_TRY(tw_jvp(reals, real, slots, 1, &c->output, made));
    if (!tw_is_none(made[0])) outputs[(*outputs_count)++] = made[0];
    if (j->op == TW_OP_while) return TW_OK;
    TW_TRY(tw_hvp(tw_sum_all(tw_sin(c->output)), reals, real, slots, made));
    for (int i = 0; i < reals; i++) outputs[(*outputs_count)++] = made[i];
    TW_TRY(tw_jacobian(TW_MODE_AUTO, real[0], tw_sum_all(c->output), &outputs[(*outputs_count)++]));
done:
    return status;
}

static tw_status work(tw_context *ctx, void *user)
{
    const job *j = user;
    tw_graph *g = NULL;
    tw_program *program = NULL;
    tw_state *run = NULL;
    test_case c = {0};
    tw_val inputs[4 * CASE_INPUTS], outputs[2 * CASE_INPUTS + 4];
    int count = 0, outputs_count = 0;
    tw_status status = tw_graph_create(ctx, &g);
    if (status != TW_OK) return status;
    (void)build_case(g, j->op, TW_DTYPE_F32, j->shape, j->variant, &c);
    TW_TRY(tw_graph_check(g));
    for (int i = 0; i < c.count; i++) inputs[count++] = c.inputs[i];
    outputs[outputs_count++] = c.output;
    TW_TRY(transform(g, j, &c, inputs, &count, outputs, &outputs_count));
    tw_program_desc desc = {.inputs_count = count, .inputs = inputs, .outputs_count = outputs_count};
    desc.outputs = outputs;
    TW_TRY(tw_program_compile(ctx, &desc, &program));
    TW_TRY(tw_state_create(program, 0, &run));
done:
    if (status != TW_OK) assert_true(tw_context_error(ctx)[0] != 0);
    if (status != TW_OK && status != TW_ERR_MEMORY)
        fail_msg("%s %s: %s", tw_op_table[j->op].name, tw_shape_show(j->shape).text, tw_context_error(ctx));
    tw_state_destroy(run);
    tw_program_destroy(program);
    tw_graph_destroy(g);
    return status;
}

/* The first case of each op that has two axes or, failing that, any. */
static void every_op(void **state)
{
    (void)state;
    const tw_shape shapes[] = {tw_shape_of(5, 3), tw_shape_of(2, 1, 3), tw_shape_of(7), TW_SCALAR};
    tw_context *ctx = tw_context_create(&(tw_context_desc){.threads = 1});
    int done = 0;
    for (int op = 0; op < TW_OP_COUNT; op++) {
        if (!fuzz_compiles(ctx, (tw_op)op, TW_DTYPE_F32)) continue;
        for (int s = 0; s < TW_COUNT(shapes); s++) {
            tw_graph *g = new_graph(ctx);
            test_case c;
            bool there = build_case(g, (tw_op)op, TW_DTYPE_F32, shapes[s], 0, &c);
            tw_graph_destroy(g);
            if (!there) continue;
            job j = {.op = (tw_op)op, .shape = shapes[s]};
            run_with_limited_memory(work, &j);
            done++;
            break;
        }
    }
    print_message("%d ops\n", done);
    tw_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_op)};
    return cmocka_run_group_tests_name("exec/allocations", tests, NULL, NULL);
}
