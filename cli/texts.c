/* texts.c - see texts.h. */
#include "texts.h"

#include "files.h"
#include "sequences.h"
#include "tokens.h"

#include "base/text.h"
#include "io/csv.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool mostly_letters(const char *path)
{
    char start[4096];
    FILE *file = fopen(path, "rb");
    size_t size = file ? fread(start, 1, sizeof start, file) : 0, letters = 0;
    if (file) fclose(file);
    for (size_t i = 0; i < size; i++) letters += isalpha((unsigned char)start[i]) || start[i] == ' ';
    return size > 0 && 2 * letters > size;
}

bool is_text_data(const settings *s, const char *path)
{
    if (opt_given(s, OPT_TOKENISER) || opt_given(s, OPT_VOCABULARY) || opt_given(s, OPT_CHUNK) || is_builtin_text(path))
        return true;
    if (has_ending(path, ".txt") && wants_sequences(s)) return true;
    return has_ending(path, ".txt") && !opt_given(s, OPT_SPACE) && mostly_letters(path);
}

/* A text behind others. Where it becomes lines of letters, ends of lines are no symbols: a sample would hold some. */
static void add_text(tw_text *all, const char *text, size_t size, bool letters)
{
    for (size_t at = 0; at < size;) {
        const char *end = letters ? memchr(text + at, '\n', size - at) : NULL;
        size_t length = end ? (size_t)(end - text) - at : size - at, next = at + length + 1;
        if (letters && length > 0 && text[at + length - 1] == '\r') length--;
        tw_text_add_bytes(all, text + at, length);
        at = next;
    }
    if (!letters) tw_text_add(all, "\n");
}

/* --- tokenisers -------------------------------------------------------------------------------------------------- */

/* A table, one of whose columns holds the texts. */
static bool is_table_file(const char *path)
{
    static const char *const endings[] = {".csv", ".tsv", ".csv.gz", ".tsv.gz"};
    bool table = false;
    for (int i = 0; i < TW_COUNT(endings); i++) table = table || has_ending(path, endings[i]);
    return table;
}

/* The texts of one column, one a line. */
typedef struct column_reading {
    cli *c;
    const char *path, *wanted;
    int column; /* from 0; -1: not found yet */
    tw_text lines;
} column_reading;

static tw_status take_field(void *user, int64_t row, int64_t line, int count, const tw_csv_field *fields)
{
    column_reading *r = user;
    bool header = row == 0;
    if (header) r->column = tw_csv_find_column(count, fields, r->wanted, true);
    if (r->column < 0)
        return tw_fail(r->c->ctx, TW_ERR_INVALID, "%s: there is no column '%s' among its %d", r->path, r->wanted,
                       count);
    if (r->column >= count)
        return tw_fail(r->c->ctx, TW_ERR_FORMAT, "%s:%lld: %d fields, and texts are in field %d", r->path,
                       (long long)line, count, r->column + 1);
    if (!header) tw_text_add_bytes(&r->lines, fields[r->column].text, fields[r->column].length);
    if (!header) tw_text_add(&r->lines, "\n");
    return TW_OK;
}

/* A file as lines, to be freed with tw_string_free. */
static tw_status read_texts(cli *c, const settings *s, const char *path, char **out_text, size_t *out_size)
{
    if (!is_table_file(path)) return text_read(c, s, path, out_text, out_size);
    column_reading r = {
        .c = c, .path = path, .wanted = opt_text(s, OPT_COLUMNS), .column = -1, .lines = tw_text_new(c->ctx)};
    const tw_csv_desc csv = {0};
    tw_status status = tw_csv_read(c->ctx, path, &csv, take_field, &r, NULL);
    if (status == TW_OK) status = tw_text_check(&r.lines);
    if (status == TW_OK) *out_size = r.lines.length;
    if (status == TW_OK) *out_text = tw_strdup(c->ctx, r.lines.data ? r.lines.data : "");
    tw_text_free(&r.lines);
    return status == TW_OK && !*out_text ? tw_fail_memory(c->ctx, *out_size) : status;
}

static tw_status check_column(cli *c, const settings *s, const char *path)
{
    if (!is_table_file(path) || opt_text(s, OPT_COLUMNS)) return TW_OK;
    return tw_fail(c->ctx, TW_ERR_INVALID, "%s is a table: --columns NAME says which of its columns holds the texts",
                   path);
}

/* Lines are filled up; chunks are not. */
static tw_tokeniser_desc tokeniser_desc(const settings *s)
{
    tw_tokeniser_desc desc = {
        .kind = opt_text(s, OPT_TOKENISER), .symbols = opt_int(s, OPT_SYMBOLS), .min_count = opt_int(s, OPT_MIN_COUNT)};
    desc.special[TW_SPECIAL_PADDING] = opt_int(s, OPT_CHUNK) == 0;
    desc.special[TW_SPECIAL_UNKNOWN] = strcmp(opt_text(s, OPT_UNKNOWN), "token") == 0;
    return desc;
}

/* Of the file and of the texts that the flow begins at, when there are. */
static tw_status train_tokeniser(cli *c, const settings *s, const char *path, tw_tokeniser **out_tokeniser)
{
    const char *from = s->verb == 'T' ? opt_text(s, OPT_SOURCE_DATA) : NULL, *kind = opt_text(s, OPT_TOKENISER);
    const tw_tokeniser_desc desc = tokeniser_desc(s);
    bool lines = opt_int(s, OPT_CHUNK) == 0;
    bool letters = lines && (!kind || strcmp(kind, "characters") == 0 || strcmp(kind, "smiles") == 0);
    char *text = NULL, *more = NULL;
    size_t size = 0, more_size = 0;
    tw_text all = tw_text_new(c->ctx);
    tw_status status = TW_OK;
    if (!letters && !from && !is_builtin_text(path) && !is_table_file(path))
        return tw_tokeniser_train_files(c->ctx, &desc, 1, &path, out_tokeniser);
    TW_TRY(read_texts(c, s, path, &text, &size));
    if (from) TW_TRY(text_read(c, s, from, &more, &more_size));
    add_text(&all, text, size, letters);
    add_text(&all, more, more_size, letters);
    TW_TRY(tw_text_check(&all));
    TW_TRY(tw_tokeniser_train(c->ctx, &desc, all.data, all.length, out_tokeniser));
done:
    tw_string_free(c->ctx, text);
    tw_string_free(c->ctx, more);
    tw_text_free(&all);
    return status;
}

/* That of another program: vocab.json has merges.txt beside it. */
static tw_status open_tokeniser(cli *c, const settings *s, const char *vocabulary, tw_tokeniser **out_tokeniser)
{
    static const char vocab[] = "vocab.json";
    const tw_tokeniser_desc desc = tokeniser_desc(s);
    char merges[MODEL_PATH];
    bool two = has_ending(vocabulary, vocab);
    if (desc.kind || desc.symbols || desc.min_count)
        return tw_fail(c->ctx, TW_ERR_INVALID,
                       "--vocabulary has its symbols: --tokeniser, --symbols and --min-count are for one that is made "
                       "of the text");
    if (two) snprintf(merges, sizeof merges, "%.*smerges.txt", (int)(strlen(vocabulary) - strlen(vocab)), vocabulary);
    return tw_tokeniser_open(c->ctx, vocabulary, two ? merges : NULL, desc.special, out_tokeniser);
}

static tw_status make_tokeniser(cli *c, const settings *s, const char *path, tw_tokeniser **out_tokeniser)
{
    const char *vocabulary = opt_text(s, OPT_VOCABULARY);
    return vocabulary ? open_tokeniser(c, s, vocabulary, out_tokeniser) : train_tokeniser(c, s, path, out_tokeniser);
}

/* --- rows -------------------------------------------------------------------------------------------------------- */

enum { MOST_TOKENS = 4096 /* of a line */ };

/* The lines of a built-in text, in their order. */
static tw_status builtin_tokens(cli *c, const settings *s, const tw_tokeniser *tokeniser, const char *name, int longest,
                                int columns, int32_t padding, tw_tokens **out_tokens)
{
    const tw_tokens_desc in_order = {.chunk = 1};
    char *text = NULL;
    size_t size = 0;
    int64_t rows = 0;
    int32_t *token = NULL;
    tw_status status = TW_OK;
    TW_TRY(text_read(c, s, name, &text, &size));
    TW_TRY(text_rows(c, tokeniser, name, text, size, longest, padding, &columns, &rows, &token));
    status =
        tw_tokens_from_memory(c->ctx, rows, columns, NULL, token, tw_tokeniser_size(tokeniser), &in_order, out_tokens);
done:
    tw_string_free(c->ctx, text);
    tw_free(c->ctx, token);
    return status;
}

/* Conditions are other columns of the table that the texts are one of. */
static tw_status find_told(cli *c, const char *path, const tw_dataset_desc *desc, const char **out_told)
{
    bool told = desc->for_testing ? desc->known_conditions_count > 0
                                  : desc->conditions && strcmp(desc->conditions, "none") != 0;
    *out_told = told ? path : NULL;
    if (!told || is_table_file(path)) return TW_OK;
    return tw_fail(c->ctx, TW_ERR_INVALID,
                   "condition '%s' is a column of a table (CSV, TSV) beside the texts, and %s is no such",
                   desc->for_testing ? desc->known_conditions[0].name : desc->conditions, path);
}

tw_status open_text(cli *c, const settings *s, const char *path, int columns, tw_tokeniser **tokeniser,
                    const tw_dataset_desc *desc, tw_dataset **out_data)
{
    const char *told;
    tw_tokens *tokens = NULL;
    tw_tokeniser *made = NULL;
    tw_status status = TW_OK;
    TW_TRY(check_column(c, s, path));
    TW_TRY(find_told(c, path, desc, &told));
    if (!*tokeniser) TW_TRY(make_tokeniser(c, s, path, &made));
    const tw_tokeniser *used = made ? made : *tokeniser;
    int special = tw_tokeniser_special(used, TW_SPECIAL_PADDING), padding = special < 0 ? 0 : special;
    int64_t longest = s->verb == 'T' && opt_int(s, OPT_LONGEST) > 0 ? opt_int(s, OPT_LONGEST) : MOST_TOKENS;
    tw_tokens_desc cut = {.tokeniser = used,
                          .chunk = special >= 0  ? 0 /* of lines */
                                   : columns > 0 ? columns
                                                 : opt_int(s, OPT_CHUNK),
                          .column = is_table_file(path) ? opt_text(s, OPT_COLUMNS) : NULL,
                          .longest = columns > 0 ? columns : longest,
                          .too_long = TW_LONG_DROP};
    if (is_builtin_text(path))
        TW_TRY(builtin_tokens(c, s, used, path, (int)longest, columns, padding, &tokens));
    else
        TW_TRY(tw_tokens_open(c->ctx, 1, &path, &cut, &tokens));
    if (columns == 0) columns = (int)(cut.chunk > 0 ? cut.chunk : tw_tokens_width(tokens));
    tw_dataset_desc data = {.split = {desc->split[0], desc->split[1], desc->split[2]},
                            .seed = desc->seed,
                            .runs_on = cut.chunk > 0,
                            .conditions = desc->conditions,
                            .known_conditions = desc->known_conditions,
                            .known_conditions_count = desc->known_conditions_count,
                            .missing = desc->missing,
                            .for_testing = desc->for_testing};
    TW_TRY(tw_dataset_from_tokens(c->ctx, tokens, columns, padding, told, &data, out_data));
    if (made) *tokeniser = made;
    made = NULL;
done:
    tw_tokeniser_destroy(made);
    tw_tokens_destroy(tokens);
    return status;
}

tw_status open_texts(cli *c, const settings *s, const char *path, const tw_dataset_desc *desc, tw_tokeniser **tokeniser,
                     tw_dataset **data, tw_dataset **source)
{
    const char *begin = opt_text(s, OPT_SOURCE_DATA);
    tw_dataset_desc untold = *desc;
    untold.conditions = NULL;
    tw_status status = TW_OK;
    TW_TRY(open_text(c, s, path, 0, tokeniser, desc, data));
    if (!opt_given(s, OPT_SOURCE_DATA)) return TW_OK;
    TW_TRY(open_text(c, s, begin, 0, tokeniser, &untold, source));
    int columns = tw_dataset_columns(*data), others = tw_dataset_columns(*source);
    if (columns == others) return TW_OK;
    bool again = columns < others; /* the data, else the source */
    tw_dataset **narrow = again ? data : source;
    tw_dataset_destroy(*narrow);
    *narrow = NULL;
    TW_TRY(open_text(c, s, again ? path : begin, again ? others : columns, tokeniser, again ? desc : &untold, narrow));
done:
    return status;
}

tw_status open_text_like(cli *c, const model *m, const char *path, bool told, tw_dataset **out_data)
{
    char seed[32], error[256];
    settings s = {.verb = 'T'};
    tw_tokeniser *tokeniser = NULL;
    tw_status status = TW_OK;
    tw_dataset_desc desc = {.for_testing = true,
                            .known_conditions = m->about->conditions,
                            .known_conditions_count = told ? m->about->conditions_count : 0};
    snprintf(seed, sizeof seed, "%" PRIu64, opt_given(&c->set, OPT_SEED) ? opt_seed(&c->set, OPT_SEED) : FRESH_SEED);
    TW_TRY(model_tokeniser(c, m, &tokeniser));
    if (!tokeniser) TW_TRY(tw_fail(c->ctx, TW_ERR_INVALID, "%s: the model is none of texts", path));
    TW_TRY(model_settings(c->ctx, m, &s));
    if (!settings_set(&s, OPT_SEED, seed, ORIGIN_COMMAND, error, sizeof error))
        TW_TRY(tw_fail(c->ctx, TW_ERR_INTERNAL, "%s", error));
    TW_TRY(open_text(c, &s, path, m->about->columns, &tokeniser, &desc, out_data));
done:
    tw_tokeniser_destroy(tokeniser);
    settings_free(&s);
    return status;
}
