/* bench/kernels.c - nanoseconds an element of every elementwise kernel on tiles in L1, and of sums and random bits.
 * Lower quartiles of 101 short repeats (the machine may be shared); one thread. */
#include "base/file.h"
#include "cpu/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPEATS = 101, LENGTH = TW_TILE };

static float x32[LENGTH], y32[LENGTH], z32[LENGTH];
static double x64[LENGTH], y64[LENGTH], z64[LENGTH];
static uint32_t bits[LENGTH];
static uint8_t flags[LENGTH];

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double time_tile(tw_tile_fn f, void *dst, const void *a, const void *b, const void *c)
{
    double times[REPEATS];
    int rounds = 100;
    for (int r = 0; r < REPEATS; r++) {
        double begin = tw_clock();
        for (int i = 0; i < rounds; i++) f(dst, a, b, c, LENGTH);
        times[r] = (tw_clock() - begin) / rounds / LENGTH * 1e9;
    }
    qsort(times, REPEATS, sizeof *times, by_value);
    return times[REPEATS / 4];
}

static void fill(void)
{
    for (int i = 0; i < LENGTH; i++) {
        x32[i] = 0.01f * (float)(i + 1);
        y32[i] = 1.5f - 0.003f * (float)i;
        z32[i] = 0.5f;
        x64[i] = (double)x32[i];
        y64[i] = (double)y32[i];
        z64[i] = 0.5;
        bits[i] = (uint32_t)i * 2654435761u;
        flags[i] = (uint8_t)(i * 7 % 3 == 0);
    }
}

static void print_tiles(const tw_cpu *cpu)
{
    static const char *const names[] = {
#define NAME(name, arity) #name,
        TW_TILE_OPS(NAME)
#undef NAME
    };
    static float to32[LENGTH];
    static double to64[LENGTH];
    printf("%-14s %8s %8s   ns an element (%s)\n", "kernel", "f32", "f64", cpu->name);
    for (int op = 0; op < TW_TILE_OP_COUNT; op++) {
        if (!cpu->tile[op][TW_DTYPE_F32]) continue;
        const void *first32 = op == TW_TILE_SELECT ? (const void *)flags : x32;
        const void *first64 = op == TW_TILE_SELECT ? (const void *)flags : x64;
        printf("%-14s %8.3f %8.3f\n", names[op], time_tile(cpu->tile[op][TW_DTYPE_F32], to32, first32, y32, z32),
               time_tile(cpu->tile[op][TW_DTYPE_F64], to64, first64, y64, z64));
    }
    printf("%-14s %8.3f %8.3f\n", "bits_to_uniform",
           time_tile(cpu->bits_to_uniform[TW_DTYPE_F32], to32, bits, NULL, NULL),
           time_tile(cpu->bits_to_uniform[TW_DTYPE_F64], to64, bits, NULL, NULL));
    printf("%-14s %8.3f %8.3f\n", "bits_to_normal",
           time_tile(cpu->bits_to_normal[TW_DTYPE_F32], to32, bits, NULL, NULL),
           time_tile(cpu->bits_to_normal[TW_DTYPE_F64], to64, bits, NULL, NULL));
}

static void print_others(const tw_cpu *cpu)
{
    enum { N = 1 << 14 };
    static float data[N], out[N];
    static uint32_t words[N];
    double times[4][REPEATS];
    for (int i = 0; i < N; i++) data[i] = (float)i;
    for (int r = 0; r < REPEATS; r++) {
        double t0 = tw_clock();
        for (int i = 0; i < 50; i++) cpu->philox((uint32_t[]){1, 2}, (uint32_t[]){3, 4}, 5, i, N, words);
        double t1 = tw_clock();
        for (int i = 0; i < 50; i++) cpu->sum_inner[0](data, N / 256, 256, out);
        double t2 = tw_clock();
        for (int i = 0; i < 50; i++) cpu->sum_outer[0](data, N / 256, 256, false, out);
        double t3 = tw_clock();
        for (int i = 0; i < 50; i++) cpu->max_inner[0](data, N / 256, 256, out);
        double t4 = tw_clock();
        times[0][r] = t1 - t0;
        times[1][r] = t2 - t1;
        times[2][r] = t3 - t2;
        times[3][r] = t4 - t3;
    }
    static const char *const names[] = {"philox", "sum_inner", "sum_outer", "max_inner"};
    for (int k = 0; k < 4; k++) {
        qsort(times[k], REPEATS, sizeof(double), by_value);
        printf("%-14s %8.3f\n", names[k], times[k][REPEATS / 4] / 50 / N * 1e9);
    }
}

int main(void)
{
    fill();
    const tw_cpu *cpu = tw_cpu_best();
    print_tiles(cpu);
    print_others(cpu);
    return 0;
}
