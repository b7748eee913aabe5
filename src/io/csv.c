/* io/csv.c - the streaming reader: blocks of 64 KiB (unpacked by zlib) are checked to be UTF-8 and fed to libcsv.
 *
 * libcsv tells neither lines nor whether a field was quoted. So the text is fed in pieces that begin at a separator or
 * a line end: between two calls the parser's public `quoted` and `entry_pos` and our line counter are exact. Runs of
 * blanks as a separator are folded into one blank here. libcsv's own buffer (one field) comes from malloc, as it takes
 * no user pointer. */
#include "io/csv.h"

#include "io/utf8.h"

#include <csv.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define BLOCK_BYTES 65536

typedef struct span {
    size_t offset, length;
    bool quoted;
} span;

typedef struct reader {
    tw_context *ctx;
    const char *label;
    tw_csv_row_fn on_row;
    void *user;
    tw_status status;
    char separator, quote;
    struct csv_parser parser;
    tw_utf8 utf8;
    char *bytes; /* the texts of the row under construction, each zero-terminated */
    int64_t bytes_count, bytes_capacity;
    span *spans;
    int64_t count, spans_capacity;
    tw_csv_field *fields;
    int64_t fields_capacity;
    int64_t row, line, row_line, quote_line;
    bool after_return, pending_blank; /* pending_blank: a run of blanks was swallowed, its separator not yet fed */
    bool was_quoted;                  /* of the field that the next piece may end */
} reader;

static bool row_begun(const reader *r)
{
    return r->count > 0 || r->parser.quoted || r->parser.entry_pos > 0;
}

/* Between an opening quote and the one that may close it. libcsv names its states only inside; 2 is FIELD_BEGUN in
 * every release of version 3, and the tests of unclosed quotes would notice another. */
static bool inside_quotes(const reader *r)
{
    return r->parser.quoted && r->parser.pstate == 2;
}

static void take_field(void *text, size_t length, void *user)
{
    reader *r = user;
    if (r->status != TW_OK) return;
    if (r->count == TW_CSV_MAX_FIELDS) {
        r->status = tw_fail(r->ctx, TW_ERR_UNSUPPORTED, "%s:%lld: more than %d fields in one row", r->label,
                            (long long)r->row_line, TW_CSV_MAX_FIELDS);
        return;
    }
    int64_t end = r->bytes_count + (int64_t)length + 1;
    r->status = tw_grow(r->ctx, &r->bytes, &r->bytes_capacity, end, 1);
    if (r->status != TW_OK) return;
    r->status = tw_grow(r->ctx, &r->spans, &r->spans_capacity, r->count + 1, sizeof(span));
    if (r->status != TW_OK) return;
    r->spans[r->count++] = (span){(size_t)r->bytes_count, length, r->was_quoted};
    if (length) memcpy(r->bytes + r->bytes_count, text, length);
    r->bytes[end - 1] = 0;
    r->bytes_count = end;
}

static void take_row(int terminator, void *user)
{
    (void)terminator;
    reader *r = user;
    if (r->status != TW_OK) return;
    r->status = tw_grow(r->ctx, &r->fields, &r->fields_capacity, r->count, sizeof(tw_csv_field));
    if (r->status != TW_OK) return;
    for (int64_t i = 0; i < r->count; i++)
        r->fields[i] = (tw_csv_field){r->bytes + r->spans[i].offset, r->spans[i].length, r->spans[i].quoted};
    int count = (int)r->count;
    r->count = r->bytes_count = 0;
    r->status = r->on_row(r->user, r->row++, r->row_line, count, r->fields);
}

/* Feeds bytes that hold at most one separator or line end, at their front. */
static tw_status feed_piece(reader *r, const char *piece, size_t length)
{
    if (!row_begun(r)) r->row_line = r->line;
    r->was_quoted = r->parser.quoted;
    int64_t count_before = r->count;
    if (csv_parse(&r->parser, piece, length, take_field, take_row, r) != length && r->status == TW_OK)
        return tw_fail(r->ctx, TW_ERR_MEMORY, "%s:%lld: out of memory reading a field", r->label, (long long)r->line);
    bool fresh = r->count != count_before || !r->was_quoted;
    if (r->parser.quoted && fresh) r->quote_line = r->line;
    if (r->status == TW_OK && (size_t)r->bytes_count + r->parser.entry_pos > TW_CSV_MAX_ROW_BYTES) {
        if (r->parser.quoted)
            return tw_fail(r->ctx, TW_ERR_FORMAT, "%s:%lld: the quote that opens here is not closed within %u MiB",
                           r->label, (long long)r->quote_line, TW_CSV_MAX_ROW_BYTES >> 20);
        return tw_fail(r->ctx, TW_ERR_UNSUPPORTED, "%s:%lld: a row longer than %u MiB", r->label,
                       (long long)r->row_line, TW_CSV_MAX_ROW_BYTES >> 20);
    }
    return r->status;
}

static tw_status feed_line_end(reader *r, const char *c)
{
    r->pending_blank = false;
    tw_status status = feed_piece(r, c, 1);
    if (*c == '\r' || !r->after_return) r->line++;
    return status;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static tw_status feed(reader *r, const char *p, size_t size)
{
    const char *end = p + size;
    bool folding = r->separator == ' ';
    while (p < end) {
        tw_status status = TW_OK;
        bool inside = inside_quotes(r);
        if (*p == '\n' || *p == '\r') {
            status = feed_line_end(r, p);
            r->after_return = *p++ == '\r';
            if (status != TW_OK) return status;
            continue;
        }
        r->after_return = false;
        if (folding && !inside && is_blank(*p)) {
            r->pending_blank = true;
            p++;
            continue;
        }
        if (r->pending_blank && row_begun(r)) status = feed_piece(r, " ", 1);
        r->pending_blank = false;
        if (status != TW_OK) return status;
        const char *start = p;
        p++;
        while (p < end && *p != '\n' && *p != '\r' && *p != r->separator && !(folding && *p == '\t')) p++;
        status = feed_piece(r, start, (size_t)(p - start));
        if (status != TW_OK) return status;
    }
    return TW_OK;
}

static tw_status fail_text(reader *r)
{
    if (r->utf8.byte == 0)
        return tw_fail(r->ctx, TW_ERR_FORMAT, "%s:%lld: a zero byte at column %lld: this is not a text file", r->label,
                       (long long)r->utf8.line, (long long)r->utf8.column);
    return tw_fail(r->ctx, TW_ERR_FORMAT,
                   "%s:%lld: byte 0x%02X at column %lld is not UTF-8 text: save the file as UTF-8", r->label,
                   (long long)r->utf8.line, r->utf8.byte, (long long)r->utf8.column);
}

/* The first block: byte order marks, then the settings that are still to be guessed. */
static tw_status begin(reader *r, const tw_csv_desc *desc, const char **data, size_t *size)
{
    const unsigned char *b = (const unsigned char *)*data;
    if (*size == 0) return tw_fail(r->ctx, TW_ERR_FORMAT, "%s: empty file", r->label);
    if (*size >= 2 && ((b[0] == 0xFF && b[1] == 0xFE) || (b[0] == 0xFE && b[1] == 0xFF)))
        return tw_fail(r->ctx, TW_ERR_UNSUPPORTED, "%s: UTF-16 text is not supported: save the file as UTF-8",
                       r->label);
    if (*size >= 3 && b[0] == 0xEF && b[1] == 0xBB && b[2] == 0xBF) {
        *data += 3;
        *size -= 3;
    }
    r->quote = desc && desc->quote ? desc->quote : '"';
    r->separator = desc && desc->separator
                       ? desc->separator
                       : tw_csv_guess_separator(*data, *size < BLOCK_BYTES ? *size : BLOCK_BYTES, r->quote);
    if (r->separator == r->quote || r->separator == '\n' || r->separator == '\r' || r->quote == '\n' ||
        r->quote == '\r')
        return tw_fail(r->ctx, TW_ERR_INVALID,
                       "%s: the separator and the quote must be two characters other than line ends", r->label);
    csv_set_delim(&r->parser, (unsigned char)r->separator);
    csv_set_quote(&r->parser, (unsigned char)r->quote);
    return TW_OK;
}

static tw_status take_block(reader *r, const char *data, size_t size)
{
    if (!tw_utf8_check(&r->utf8, data, size)) return fail_text(r);
    return feed(r, data, size);
}

static tw_status finish(reader *r)
{
    if (!tw_utf8_finish(&r->utf8)) return fail_text(r);
    if (inside_quotes(r))
        return tw_fail(r->ctx, TW_ERR_FORMAT, "%s:%lld: the quote that opens here is never closed", r->label,
                       (long long)r->quote_line);
    r->was_quoted = r->parser.quoted;
    if (csv_fini(&r->parser, take_field, take_row, r) != 0 && r->status == TW_OK)
        return tw_fail(r->ctx, TW_ERR_MEMORY, "%s:%lld: out of memory reading a field", r->label, (long long)r->line);
    if (r->status == TW_OK && r->row == 0)
        return tw_fail(r->ctx, TW_ERR_FORMAT, "%s: nothing but blank lines", r->label);
    return r->status;
}

static void reader_init(reader *r, tw_context *ctx, const char *label, tw_csv_row_fn on_row, void *user)
{
    *r =
        (reader){.ctx = ctx, .label = label, .on_row = on_row, .user = user, .line = 1, .row_line = 1, .quote_line = 1};
    r->utf8 = TW_UTF8_START;
    csv_init(&r->parser, 0);
    csv_set_blk_size(&r->parser, BLOCK_BYTES); /* it grows by blocks: small ones make long fields quadratic */
}

static void reader_free(reader *r)
{
    csv_free(&r->parser);
    tw_free(r->ctx, r->bytes);
    tw_free(r->ctx, r->spans);
    tw_free(r->ctx, r->fields);
}

static void tell_used(const reader *r, tw_csv_desc *out_used)
{
    if (out_used) *out_used = (tw_csv_desc){.separator = r->separator, .quote = r->quote};
}

tw_status tw_csv_parse(tw_context *ctx, const char *label, const void *bytes, size_t size, const tw_csv_desc *desc,
                       tw_csv_row_fn on_row, void *user, tw_csv_desc *out_used)
{
    reader r;
    tw_status status = TW_OK;
    reader_init(&r, ctx, label, on_row, user);
    const char *data = bytes;
    if (desc && desc->fraction) *desc->fraction = 1.0;
    TW_TRY(begin(&r, desc, &data, &size));
    TW_TRY(take_block(&r, data, size));
    TW_TRY(finish(&r));
    tell_used(&r, out_used);
done:
    reader_free(&r);
    return status;
}

/* --- files ------------------------------------------------------------------------------------------------ */

typedef struct source {
    tw_context *ctx;
    const char *path;
    gzFile file;
    int64_t size; /* bytes on disk, 0 when it is no regular file */
} source;

static tw_status source_open(source *s)
{
    int fd = open(s->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        const char *why = errno == ENOENT ? "no such file" : strerror(errno);
        return tw_fail(s->ctx, TW_ERR_IO, "cannot open '%s': %s", s->path, why);
    }
    struct stat info;
    if (fstat(fd, &info) == 0 && S_ISDIR(info.st_mode)) {
        close(fd);
        return tw_fail(s->ctx, TW_ERR_IO, "'%s' is a directory", s->path);
    }
    s->size = S_ISREG(info.st_mode) ? info.st_size : 0;
    s->file = gzdopen(fd, "rb");
    if (!s->file) {
        close(fd);
        return tw_fail_memory(s->ctx, BLOCK_BYTES);
    }
    gzbuffer(s->file, BLOCK_BYTES);
    return TW_OK;
}

/* A full block, less only at the end of the file. */
static tw_status source_read(source *s, char *block, size_t *out_size)
{
    size_t got = 0;
    while (got < BLOCK_BYTES) {
        int n = gzread(s->file, block + got, (unsigned)(BLOCK_BYTES - got));
        int problem = Z_OK;
        const char *why = n <= 0 ? gzerror(s->file, &problem) : NULL;
        if (problem == Z_BUF_ERROR)
            return tw_fail(s->ctx, TW_ERR_FORMAT, "'%s' is cut short: the gzip data end early", s->path);
        if (problem == Z_DATA_ERROR)
            return tw_fail(s->ctx, TW_ERR_FORMAT, "'%s' is not a sound gzip file: damaged", s->path);
        if (n < 0 || (problem != Z_OK && problem != Z_STREAM_END))
            return tw_fail(s->ctx, TW_ERR_IO, "cannot read '%s': %s", s->path,
                           problem == Z_ERRNO ? strerror(errno) : why);
        if (n == 0) break;
        got += (size_t)n;
    }
    *out_size = got;
    return TW_OK;
}

static void tell_fraction(const source *s, const tw_csv_desc *desc)
{
    if (!desc || !desc->fraction) return;
    int64_t at = s->size > 0 ? (int64_t)gzoffset(s->file) : 0;
    *desc->fraction = at > 0 ? (double)at / (double)s->size : 0.0;
}

tw_status tw_csv_read(tw_context *ctx, const char *path, const tw_csv_desc *desc, tw_csv_row_fn on_row, void *user,
                      tw_csv_desc *out_used)
{
    reader r;
    source s = {.ctx = ctx, .path = path};
    char *block = NULL;
    tw_status status = TW_OK;
    reader_init(&r, ctx, path, on_row, user);
    TW_TRY(source_open(&s));
    block = tw_alloc(ctx, BLOCK_BYTES, 1);
    if (!block) {
        status = tw_fail_memory(ctx, BLOCK_BYTES);
        goto done;
    }
    for (int64_t index = 0;; index++) {
        size_t size = 0;
        TW_TRY(source_read(&s, block, &size));
        tell_fraction(&s, desc);
        bool last = size < BLOCK_BYTES;
        const char *data = block;
        if (index == 0) TW_TRY(begin(&r, desc, &data, &size));
        TW_TRY(take_block(&r, data, size));
        if (last) break;
    }
    TW_TRY(finish(&r));
    tell_used(&r, out_used);
done:
    reader_free(&r);
    if (s.file) gzclose(s.file);
    tw_free(ctx, block);
    return status;
}

/* --- writing ---------------------------------------------------------------------------------------------- */

int tw_csv_find_column(int count, const tw_csv_field *first, const char *wanted, bool header)
{
    char *end = NULL;
    for (int i = 0; header && i < count; i++)
        if (strcmp(first[i].text, wanted) == 0) return i;
    long number = strtol(wanted, &end, 10);
    return end != wanted && *end == 0 && number >= 1 && number <= count ? (int)number - 1 : -1;
}

void tw_csv_add_field(tw_text *text, const char *value, char separator)
{
    size_t length = strlen(value);
    bool quote = length == 0 || is_blank(value[0]) || is_blank(value[length - 1]);
    for (size_t i = 0; i < length && !quote; i++)
        quote = value[i] == separator || value[i] == '"' || value[i] == '\n' || value[i] == '\r' ||
                (separator == ' ' && is_blank(value[i]));
    if (!quote) {
        tw_text_add_bytes(text, value, length);
        return;
    }
    tw_text_add_bytes(text, "\"", 1);
    for (size_t i = 0; i < length; i++) {
        if (value[i] == '"') tw_text_add_bytes(text, "\"", 1);
        tw_text_add_bytes(text, value + i, 1);
    }
    tw_text_add_bytes(text, "\"", 1);
}
