/* examples/hello.c - the first program: learn where points lie, then draw new ones.
 *
 *     cc hello.c -o hello $(pkg-config --cflags --libs thalweg)
 *     ./hello                  learns two interleaved moons
 *     ./hello table.csv        learns the numbers of a table
 */
#include <stdio.h>
#include <stdlib.h>

#include <thalweg/thalweg.h>

static int show(void *user, const tw_train_progress *p)
{
    (void)user;
    fprintf(stderr, "\rstep %lld of %lld, loss %.3f ", (long long)p->step, (long long)p->steps, p->loss);
    return 0; /* anything else stops the training */
}

int main(int argc, char **argv)
{
    enum { ROWS = 10 };
    tw_context *ctx = tw_context_create(NULL);
    tw_dataset *data = NULL;
    tw_flow *flow = NULL;
    double *points = NULL;
    tw_status status = ctx ? tw_dataset_open(ctx, argc > 1 ? argv[1] : "moons", NULL, &data) : TW_ERR_MEMORY;
    if (status) goto done;

    int columns = tw_dataset_columns(data);
    tw_flow_desc about = {.columns = columns, .network = {.width = 64, .depth = 2}};
    status = tw_flow_create(ctx, &about, &flow);
    if (status) goto done;

    tw_train_result result;
    status = tw_train(flow, data, &(tw_train_desc){.steps = 1000, .batch = 256, .on_progress = show}, &result);
    if (status) goto done;
    fprintf(stderr, "\n%.0f steps a second\n", result.steps_per_second);

    points = malloc(sizeof(double) * ROWS * (size_t)columns);
    status = points ? tw_sample(flow, ROWS, &(tw_sample_desc){.seed = 1}, points, NULL, NULL) : TW_ERR_MEMORY;
    if (status) goto done;
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < columns; j++)
            printf("%.4f%c", points[i * columns + j], j + 1 < columns ? ',' : '\n');
    status = tw_flow_save(flow, "hello.safetensors");

done:
    if (status) fprintf(stderr, "%s: %s\n", tw_status_text(status), ctx ? tw_context_error(ctx) : "");
    free(points);
    tw_flow_destroy(flow);
    tw_dataset_destroy(data);
    tw_context_destroy(ctx);
    return status ? 1 : 0;
}
