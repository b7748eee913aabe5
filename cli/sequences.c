/* sequences.c - see sequences.h. */
#include "sequences.h"

#include "files.h"
#include "tokens.h"

#include "base/file.h"

#include <string.h>

bool is_sequences(const model *m)
{
    return strncmp(m->about->space, "sequences", 9) == 0;
}

bool wants_sequences(const settings *s)
{
    const char *method = opt_text(s, OPT_METHOD), *space = opt_text(s, OPT_SPACE);
    return (method && strcmp(method, "edit") == 0) || (space && strncmp(space, "sequences", 9) == 0);
}

bool is_builtin_text(const char *name)
{
    for (int i = 0; tw_builtin_text_list(i); i++)
        if (strcmp(tw_builtin_text_list(i)->name, name) == 0) return true;
    return false;
}

tw_status text_read(cli *c, const settings *s, const char *path, char **out_text, size_t *out_size)
{
    enum { LINES = 20000 };
    int64_t lines = opt_given(s, OPT_ROWS) ? opt_int(s, OPT_ROWS) : LINES;
    if (is_builtin_text(path)) return tw_builtin_text(c->ctx, path, lines, opt_seed(s, OPT_SEED), out_text, out_size);
    return tw_file_read(c->ctx, path, true, 0, out_text, out_size);
}

/* The next line that is not empty, from *at on, without its end; false at the end of the text. */
static bool next_line(const char *text, size_t size, size_t *at, int64_t *number, const char **out_line,
                      size_t *out_size)
{
    while (*at < size) {
        const char *line = text + *at, *end = memchr(line, '\n', size - *at);
        size_t length = end ? (size_t)(end - line) : size - *at;
        *at += length + 1;
        ++*number;
        if (length > 0 && line[length - 1] == '\r') length--;
        if (length == 0) continue;
        *out_line = line;
        *out_size = length;
        return true;
    }
    return false;
}

static tw_status encode(cli *c, const tw_tokeniser *tokeniser, const char *name, int64_t number, const char *line,
                        size_t size, int longest, int32_t *token, int64_t *out_count)
{
    tw_status status = tw_tokeniser_encode(c->ctx, tokeniser, name, number, line, size, token, out_count);
    if (status == TW_OK && *out_count > longest)
        return tw_fail(c->ctx, TW_ERR_INVALID, "%s:%lld: %lld tokens, at most %d are allowed", name, (long long)number,
                       (long long)*out_count, longest);
    return status;
}

tw_status text_rows(cli *c, const tw_tokeniser *tokeniser, const char *name, const char *text, size_t size, int longest,
                    int32_t padding, int *columns, int64_t *out_rows, int32_t **out_tokens)
{
    const char *line;
    size_t at = 0, length;
    int64_t number = 0, count, rows = 0, row = 0;
    int width = 0;
    int32_t *all = NULL;
    tw_status status = TW_OK;
    int32_t *token = tw_alloc(c->ctx, size + 1, sizeof *token);
    if (!token) TW_TRY(tw_fail_memory(c->ctx, size * sizeof *token));
    for (; next_line(text, size, &at, &number, &line, &length); rows++) {
        TW_TRY(encode(c, tokeniser, name, number, line, length, *columns > 0 ? *columns : longest, token, &count));
        width = count > width ? (int)count : width;
    }
    if (rows == 0) TW_TRY(tw_fail(c->ctx, TW_ERR_FORMAT, "%s: not one line of text", name));
    if (*columns > 0) width = *columns;
    all = tw_alloc(c->ctx, (size_t)rows * (size_t)width, sizeof *all);
    if (!all) TW_TRY(tw_fail_memory(c->ctx, (size_t)rows * (size_t)width * sizeof *all));
    at = 0;
    number = 0;
    for (; next_line(text, size, &at, &number, &line, &length); row++) {
        TW_TRY(encode(c, tokeniser, name, number, line, length, width, token, &count));
        for (int64_t k = 0; k < width; k++) all[row * width + k] = k < count ? token[k] : padding;
    }
    *columns = width;
    *out_rows = rows;
    *out_tokens = all;
    all = NULL;
done:
    tw_free(c->ctx, token);
    tw_free(c->ctx, all);
    return status;
}

tw_status model_read_lines(cli *c, const model *m, const char *path, int64_t *out_rows, double **out_values)
{
    int columns = m->about->columns;
    size_t size, numbers;
    char *text = NULL;
    int32_t *token = NULL;
    tw_tokeniser *tokeniser = NULL;
    tw_status status = TW_OK;
    TW_TRY(model_tokeniser(c, m, &tokeniser));
    TW_TRY(text_read(c, &c->set, path, &text, &size));
    TW_TRY(text_rows(c, tokeniser, path, text, size, columns, tw_tokeniser_special(tokeniser, TW_SPECIAL_PADDING),
                     &columns, out_rows, &token));
    numbers = (size_t)(*out_rows * columns);
    *out_values = tw_alloc(c->ctx, numbers, sizeof **out_values);
    if (!*out_values) TW_TRY(tw_fail_memory(c->ctx, numbers * sizeof **out_values));
    for (size_t i = 0; i < numbers; i++) (*out_values)[i] = token[i];
done:
    tw_string_free(c->ctx, text);
    tw_free(c->ctx, token);
    tw_tokeniser_destroy(tokeniser);
    return status;
}
