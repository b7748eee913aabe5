/* train/moment8.c - see moment8.h. */
#include "train/moment8.h"

#include <string.h>

static int64_t line_of(tw_shape shape)
{
    return shape.dim[shape.rank - 1];
}

static int64_t scales_of(int64_t line)
{
    return (line + TW_MOMENT8_BLOCK - 1) / TW_MOMENT8_BLOCK;
}

bool tw_moment8_fits(tw_shape weight)
{
    return weight.rank > 1 && line_of(weight) >= TW_MOMENT8_LINE;
}

tw_shape tw_moment8_shape(tw_shape weight)
{
    if (!tw_moment8_fits(weight)) return weight;
    int64_t line = line_of(weight);
    weight.dim[weight.rank - 1] = scales_of(line) + (line + 3) / 4;
    return weight;
}

/* --- the nodes' functions: numbers may be f64, as the reference interpreter has them --- */

static void read_line(const tw_code_book *book, int64_t line, const uint32_t *words, tw_array *out, int64_t at)
{
    const float *scales = (const float *)(const void *)words;
    const uint8_t *codes = (const uint8_t *)(words + scales_of(line));
    for (int64_t begin = 0; begin < line; begin += TW_MOMENT8_BLOCK) {
        int64_t n = tw_min_i64(TW_MOMENT8_BLOCK, line - begin);
        float block[TW_MOMENT8_BLOCK];
        float *to = out->dtype == TW_DTYPE_F32 ? (float *)out->data + at + begin : block;
        tw_dequantise(book, n, codes + begin, scales[begin / TW_MOMENT8_BLOCK], to);
        if (to == block)
            for (int64_t i = 0; i < n; i++) ((double *)out->data)[at + begin + i] = (double)block[i];
    }
}

static void keep_line(const tw_code_book *book, int64_t line, const tw_array *in, int64_t at, uint32_t *words)
{
    float *scales = (float *)(void *)words;
    uint8_t *codes = (uint8_t *)(words + scales_of(line));
    for (int64_t begin = 0; begin < line; begin += TW_MOMENT8_BLOCK) {
        int64_t n = tw_min_i64(TW_MOMENT8_BLOCK, line - begin);
        float block[TW_MOMENT8_BLOCK];
        const float *from = in->dtype == TW_DTYPE_F32 ? (const float *)in->data + at + begin : block;
        if (from == block)
            for (int64_t i = 0; i < n; i++) block[i] = (float)((const double *)in->data)[at + begin + i];
        scales[begin / TW_MOMENT8_BLOCK] = tw_quantise(book, n, from, codes + begin);
    }
    if (line % 4 != 0) memset(codes + line, 0, (size_t)(4 - line % 4));
}

static void evaluate_read(void *user, int args_count, const tw_array *args, const tw_array *results)
{
    const tw_moment8 *moment = user;
    tw_array out = results[0];
    int64_t line = line_of(out.shape), width = line_of(args[0].shape), lines = tw_shape_size(out.shape) / line;
    (void)args_count;
    for (int64_t i = 0; i < lines; i++)
        read_line(&moment->book, line, (const uint32_t *)args[0].data + i * width, &out, i * line);
}

static void evaluate_keep(void *user, int args_count, const tw_array *args, const tw_array *results)
{
    const tw_moment8 *moment = user;
    int64_t line = line_of(args[0].shape), width = line_of(results[0].shape);
    int64_t lines = tw_shape_size(args[0].shape) / line;
    (void)args_count;
    for (int64_t i = 0; i < lines; i++)
        keep_line(&moment->book, line, &args[0], i * line, (uint32_t *)results[0].data + i * width);
}

static bool is_real(tw_dtype dtype)
{
    return dtype == TW_DTYPE_F32 || dtype == TW_DTYPE_F64;
}

static bool infer_read(void *user, int args_count, const tw_array *args, tw_array *results)
{
    (void)user;
    if (args_count != 2 || args[0].dtype != TW_DTYPE_U32 || !is_real(args[1].dtype)) return false;
    results[0] = args[1];
    return tw_moment8_fits(args[1].shape) && tw_shape_equal(args[0].shape, tw_moment8_shape(args[1].shape));
}

static bool infer_keep(void *user, int args_count, const tw_array *args, tw_array *results)
{
    (void)user;
    if (args_count != 1 || !is_real(args[0].dtype) || !tw_moment8_fits(args[0].shape)) return false;
    results[0] = (tw_array){.dtype = TW_DTYPE_U32, .shape = tw_moment8_shape(args[0].shape)};
    return true;
}

/* --- the nodes --- */

void tw_moment8_init(bool has_sign, tw_moment8 *out)
{
    tw_code_book_dynamic(has_sign, &out->book);
    out->read = (tw_custom){.name = has_sign ? "read_moment" : "read_square",
                            .user = out,
                            .results_count = 1,
                            .infer = infer_read,
                            .evaluate = evaluate_read,
                            .by_rows = true};
    out->keep = out->read;
    out->keep.name = has_sign ? "keep_moment" : "keep_square";
    out->keep.infer = infer_keep;
    out->keep.evaluate = evaluate_keep;
}

tw_val tw_moment8_read(const tw_moment8 *moment, tw_val words, tw_val like)
{
    tw_val numbers = TW_NONE;
    tw_custom_call(like.graph, &moment->read, 2, (tw_val[]){words, like}, &numbers);
    return numbers;
}

tw_val tw_moment8_keep(const tw_moment8 *moment, tw_val numbers)
{
    tw_val words = TW_NONE;
    tw_custom_call(numbers.graph, &moment->keep, 1, &numbers, &words);
    return words;
}
