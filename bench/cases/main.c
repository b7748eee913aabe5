/* bench/cases/main.c - bench_cases CASE [THREADS]: prepares a case, then answers on standard output what is asked on
 * standard input, a line each:
 *
 *   (ready)       ready {"flops": F}
 *   go SECONDS    time {"median": S, "best": S, "runs": N}   after running for SECONDS, at least once
 *   loss N        loss VALUE    mean loss of the last tenth of N steps
 *   end           bytes B       largest resident set of this process
 *
 * Without a case: the names of all of them. With TW_BENCH_PROFILE in the environment a case that is one program tells
 * on standard error where its time went. */
#include "bench.h"

#include <string.h>
#include <sys/resource.h>

enum { MOST_RUNS = 100000 };

static const bench_case cases[] = {
    {.name = "peak", .prepare = bench_peak},
    {.name = "step-4096", .prepare = bench_mlp_step, .network = "plain", .batch = 4096, .width = 512, .depth = 4},
    {.name = "step-4096-bf16",
     .prepare = bench_mlp_step,
     .network = "plain",
     .batch = 4096,
     .width = 512,
     .depth = 4,
     .low = true},
    {.name = "step-256-bf16",
     .prepare = bench_mlp_step,
     .network = "plain",
     .batch = 256,
     .width = 512,
     .depth = 4,
     .low = true},
    {.name = "step-256", .prepare = bench_mlp_step, .network = "plain", .batch = 256, .width = 512, .depth = 4},
    {.name = "step-small", .prepare = bench_mlp_step, .network = "selu", .batch = 256, .width = 64, .depth = 3},
    {.name = "sample",
     .prepare = bench_sample,
     .network = "plain",
     .batch = 10000,
     .width = 512,
     .depth = 4,
     .steps = 50},
    {.name = "ode-1", .prepare = bench_sample, .network = "selu", .batch = 1, .width = 64, .depth = 3},
    {.name = "ode-100", .prepare = bench_sample, .network = "selu", .batch = 100, .width = 64, .depth = 3},
    {.name = "ode-1000", .prepare = bench_sample, .network = "selu", .batch = 1000, .width = 64, .depth = 3},
    {.name = "ode-256", .prepare = bench_sample, .network = "selu", .batch = 256, .width = 64, .depth = 3},
    {.name = "ode-256-dopri8",
     .prepare = bench_sample,
     .network = "selu",
     .solver = "dopri8",
     .batch = 256,
     .width = 64,
     .depth = 3},
    {.name = "ode-scalar", .prepare = bench_scalar},
    {.name = "likelihood",
     .prepare = bench_likelihood,
     .network = "plain",
     .batch = 10000,
     .width = 512,
     .depth = 4,
     .steps = 20},
    {.name = "sde", .prepare = bench_sde, .batch = 1024, .width = 2, .steps = 100},
    {.name = "unet-train", .prepare = bench_unet_step, .network = "mnist", .batch = 128},
    {.name = "unet-forward", .prepare = bench_unet_forward, .network = "mnist", .batch = 128},
    {.name = "unet-jvp", .prepare = bench_unet_jvp, .network = "mnist", .batch = 128},
    {.name = "patch-train", .prepare = bench_unet_step, .network = "patch", .batch = 128},
    {.name = "patch-train-bf16", .prepare = bench_unet_step, .network = "patch", .batch = 128, .low = true},
    {.name = "patch-forward", .prepare = bench_unet_forward, .network = "patch", .batch = 128},
    {.name = "cifar-train-again", .prepare = bench_unet_step, .network = "cifar", .batch = 8, .recompute = true},
    {.name = "cifar-train", .prepare = bench_unet_step, .network = "cifar", .batch = 8},
    {.name = "dit-train", .prepare = bench_text_step, .batch = 16},
    {.name = "dit-forward", .prepare = bench_text_forward, .batch = 16},
};

void bench_check(tw_context *ctx, tw_status status)
{
    if (status == TW_OK) return;
    printf("none %s\n", tw_context_error(ctx));
    exit(0);
}

float bench_number(uint32_t p, uint32_t i)
{
    uint32_t h = i * 0x9E3779B1u + p * 0x85EBCA77u;
    h = (h ^ h >> 15) * 0x2C1B3C6Du;
    h = (h ^ h >> 12) * 0x297A2D39u;
    h ^= h >> 15;
    return ((float)(h >> 8) + 0.5f) * 0x1p-23f - 1;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void go(bench *b, double seconds)
{
    static double time[MOST_RUNS];
    int runs = 0;
    for (double begin = tw_clock(), last = begin; runs < MOST_RUNS && (runs == 0 || last - begin < seconds); runs++) {
        b->run(b);
        double now = tw_clock();
        time[runs] = now - last;
        last = now;
    }
    qsort(time, (size_t)runs, sizeof *time, by_value);
    double median = (time[runs / 2] + time[(runs - 1) / 2]) / 2;
    printf("time {\"median\": %.9g, \"best\": %.9g, \"runs\": %d}\n", median, time[0], runs);
}

static void train(bench *b, long steps)
{
    double sum = 0;
    long tail = steps / 10 + 1;
    for (long i = 0; i < steps; i++) {
        b->run(b);
        if (i >= steps - tail && b->loss) sum += (double)*b->loss;
    }
    printf("loss %.9g\n", sum / (double)tail);
}

static void answer(bench *b)
{
    char line[128];
    struct rusage usage;
    printf("ready {\"flops\": %.17g}\n", b->flops);
    while (fflush(stdout) == 0 && fgets(line, sizeof line, stdin) && strncmp(line, "end", 3) != 0) {
        if (strncmp(line, "go ", 3) == 0) go(b, atof(line + 3));
        if (strncmp(line, "loss ", 5) == 0) train(b, atol(line + 5));
    }
    getrusage(RUSAGE_SELF, &usage);
    printf("bytes %ld\n", usage.ru_maxrss * 1024);
}

static void tell(void *user, tw_log_level level, const char *message)
{
    (void)user;
    (void)level;
    fprintf(stderr, "%s\n", message);
}

int main(int argc, char **argv)
{
    for (int i = 0; i < TW_COUNT(cases); i++) {
        if (argc < 2) puts(cases[i].name);
        if (argc < 2 || strcmp(argv[1], cases[i].name) != 0) continue;
        tw_context_desc desc = {
            .threads = argc > 2 ? atoi(argv[2]) : 0, .log = tell, .profile = getenv("TW_BENCH_PROFILE") != NULL};
        bench b = {.ctx = tw_context_create(&desc)};
        if (!b.ctx) return 1;
        cases[i].prepare(&b, &cases[i]);
        b.run(&b);
        answer(&b);
        if (desc.profile && b.program) {
            tw_state_destroy(b.program->state);
            tw_program_destroy(b.program->program);
        }
        return 0;
    }
    if (argc >= 2) printf("none no such case\n");
    return 0;
}
