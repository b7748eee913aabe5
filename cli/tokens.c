/* tokens.c - see tokens.h. */
#include "tokens.h"

#include "files.h"
#include "sequences.h"
#include "tables.h"

#include "base/file.h"
#include "base/text.h"
#include "flow/flow.h"

#include <math.h>
#include <string.h>

bool is_tokens(const model *m)
{
    return strncmp(m->about->space, "tokens", 6) == 0 || is_sequences(m); /* in products they come last */
}

bool is_texts(const model *m)
{
    return tw_flow_fact(m->flow, FACT_TOKENISER) != NULL;
}

const char *at_most(const model *m)
{
    return is_tokens(m) && strcmp(m->about->method, "ar") != 0 ? "at most " : "";
}

tw_status model_tokeniser(cli *c, const model *m, tw_tokeniser **out_tokeniser)
{
    const char *text = tw_flow_fact(m->flow, FACT_TOKENISER);
    *out_tokeniser = NULL;
    return text ? tw_tokeniser_from_text(c->ctx, m->path, text, out_tokeniser) : TW_OK;
}

tw_status space_text(cli *c, const tw_dataset *data, const tw_tokeniser *tokeniser, char out[64],
                     const char **out_space)
{
    const char *space = opt_text(&c->set, OPT_SPACE);
    tw_status status = TW_OK;
    double *read = NULL, most = 0;
    const double *values;
    *out_space = out;
    if (tokeniser) {
        bool fills = wants_sequences(&c->set), padded = tw_tokeniser_special(tokeniser, TW_SPECIAL_PADDING) >= 0;
        snprintf(out, 64, "%s:%d", fills ? "sequences" : "tokens", tw_tokeniser_size(tokeniser) - (fills && padded));
        return TW_OK;
    }
    *out_space = space;
    if (tw_dataset_bins(data)) {
        if (c->set.value[OPT_SPACE].from > ORIGIN_RUN && strcmp(space, "tokens") != 0)
            return tw_fail(c->ctx, TW_ERR_INVALID, "--levels makes tokens, and --space %s has none", space);
        snprintf(out, 64, "tokens:%d", tw_dataset_bins(data)->count);
        *out_space = out;
        return TW_OK;
    }
    if (!space || strcmp(space, "tokens") != 0) return TW_OK;
    TW_TRY(part_values(c, data, TW_PART_ALL, &read, &values));
    for (int64_t i = 0; i < tw_dataset_rows(data, TW_PART_ALL) * tw_dataset_columns(data); i++)
        most = fmax(most, floor(values[i]));
    snprintf(out, 64, "tokens:%.0f", most + 1);
    *out_space = out;
done:
    tw_free(c->ctx, read);
    return status;
}

/* --- jumping ----------------------------------------------------------------------------------------------------- */

/* c, a and b of "c,a,b"; a and b may be missing. */
static tw_status read_refresh(cli *c, double out[3])
{
    const char *text = opt_text(&c->set, OPT_REFRESH);
    for (int i = 0; text && i < 3; i++) {
        size_t length = strcspn(text, ",");
        if (!tw_parse_double(text, length, &out[i]) || (i == 2 && text[length]))
            return tw_fail(c->ctx, TW_ERR_INVALID, "--refresh: '%s' given, expected up to three numbers c,a,b",
                           opt_text(&c->set, OPT_REFRESH));
        text = text[length] ? text + length + 1 : NULL;
    }
    return TW_OK;
}

/* The first tokens of every row. */
static tw_status read_prompt(cli *c, const model *m, const char *prompt, double *known)
{
    tw_tokeniser *tokeniser = NULL;
    int32_t *token = NULL;
    int64_t count = 0;
    size_t size = strlen(prompt);
    tw_status status = TW_OK;
    TW_TRY(model_tokeniser(c, m, &tokeniser));
    if (!tokeniser) TW_TRY(tw_fail(c->ctx, TW_ERR_INVALID, "--prompt is for models of texts"));
    token = tw_alloc(c->ctx, size + 1, sizeof *token);
    if (!token) TW_TRY(tw_fail_memory(c->ctx, size * sizeof *token));
    TW_TRY(tw_tokeniser_encode(c->ctx, tokeniser, "--prompt", 1, prompt, size, token, &count));
    if (count > m->about->columns)
        TW_TRY(tw_fail(c->ctx, TW_ERR_INVALID, "--prompt: %lld tokens, and the model's texts have %d", (long long)count,
                       m->about->columns));
    for (int64_t i = 0; i < count; i++) known[i] = (double)token[i];
done:
    tw_free(c->ctx, token);
    tw_tokeniser_destroy(tokeniser);
    return status;
}

tw_status jumping_open(cli *c, const model *m, const double *observed, bool same, jumping *out)
{
    const settings *s = &c->set;
    const char *prompt = opt_text(s, OPT_PROMPT);
    jumping j = {.options = {.tolerance = opt_number(s, OPT_TOLERANCE),
                             .temperature = opt_number(s, OPT_TEMPERATURE),
                             .top_k = (int)opt_int(s, OPT_TOP_K),
                             .top_p = opt_number(s, OPT_TOP_P),
                             .argmax = opt_flag(s, OPT_ARGMAX),
                             .remask = opt_number(s, OPT_REMASK),
                             .stratified = opt_flag(s, OPT_STRATIFIED_DRAWS),
                             .known = observed,
                             .same_known = same}};
    tw_status status = TW_OK;
    if (prompt && observed) TW_TRY(tw_fail(c->ctx, TW_ERR_INVALID, "--prompt and --observe: give one of them"));
    TW_TRY(read_refresh(c, j.options.refresh));
    if (prompt) {
        j.known = tw_alloc(c->ctx, (size_t)m->about->columns, sizeof(double));
        if (!j.known) TW_TRY(tw_fail_memory(c->ctx, (size_t)m->about->columns * sizeof(double)));
        for (int i = 0; i < m->about->columns; i++) j.known[i] = (double)NAN;
        TW_TRY(read_prompt(c, m, prompt, j.known));
        j.options.known = j.known;
        j.options.same_known = true;
    }
    *out = j;
    j.known = NULL;
done:
    tw_free(c->ctx, j.known);
    return status;
}

void jumping_close(cli *c, jumping *j)
{
    tw_free(c->ctx, j->known);
    *j = (jumping){.known = NULL};
}

/* --- tokens for people ------------------------------------------------------------------------------------------- */

int token_symbols(const model *m)
{
    return m->flow->space.symbols;
}

piece_kind token_piece(const model *m, const tw_tokeniser *tokeniser, double value, char room[PIECE_BYTES],
                       const char **out_text, size_t *out_size)
{
    int symbols = token_symbols(m), token = (int)value;
    if (!(value >= 0)) return PIECE_MASK;
    if (token >= symbols) return is_sequences(m) ? PIECE_NOTHING : PIECE_MASK;
    if (tokeniser && token == tw_tokeniser_special(tokeniser, TW_SPECIAL_PADDING)) return PIECE_NOTHING;
    *out_text = tokeniser ? tw_tokeniser_symbol(tokeniser, token, out_size) : NULL;
    if (*out_text) return PIECE_TEXT;
    *out_size = (size_t)snprintf(room, PIECE_BYTES, tokeniser ? "<%d>" : "%d", token);
    *out_text = room;
    return PIECE_TEXT;
}

/* --- samples as text --------------------------------------------------------------------------------------------- */

tw_status write_texts(cli *c, const model *m, const char *path, int64_t n, const double *rows)
{
    enum { USUAL_BYTES = 8 };
    tw_tokeniser *tokeniser = NULL;
    tw_writer writer = {0};
    size_t columns = (size_t)m->about->columns, capacity = columns * USUAL_BYTES + 1;
    int32_t *token = tw_alloc(c->ctx, columns, sizeof *token);
    char *line = tw_alloc(c->ctx, capacity, 1);
    tw_text text = tw_text_new(c->ctx);
    bool json = has_ending(path, ".jsonl");
    tw_status status = TW_OK;
    if (!token || !line) TW_TRY(tw_fail_memory(c->ctx, capacity));
    TW_TRY(model_tokeniser(c, m, &tokeniser));
    bool masks = opt_given(&c->set, OPT_UNTIL); /* tokens may be left */
    bool lines = tw_tokeniser_special(tokeniser, TW_SPECIAL_PADDING) >= 0;
    TW_TRY(tw_writer_open(c->ctx, path, &writer));
    for (int64_t i = 0; i < n; i++) {
        for (size_t k = 0; k < columns; k++) token[k] = (int32_t)rows[(size_t)i * columns + k];
        size_t length = tw_tokeniser_decode(tokeniser, token, (int64_t)columns, masks, line, capacity);
        if (length >= capacity) { /* a piece has as many bytes as the tokeniser found worth it */
            tw_free(c->ctx, line);
            capacity = 2 * length;
            if (!(line = tw_alloc(c->ctx, capacity, 1))) TW_TRY(tw_fail_memory(c->ctx, capacity));
            tw_tokeniser_decode(tokeniser, token, (int64_t)columns, masks, line, capacity);
        }
        if (json) {
            tw_text_add(&text, "{\"text\": ");
            tw_text_add_json_string(&text, line);
            tw_text_add(&text, "}\n");
        } else {
            tw_text_add(&text, "%s%s\n", i > 0 && !lines ? "--------\n" : "", line);
        }
        TW_TRY(tw_text_check(&text));
        TW_TRY(tw_writer_write(&writer, text.data, text.length));
        text.length = 0;
    }
    TW_TRY(tw_writer_commit(&writer));
done:
    tw_writer_abandon(&writer);
    tw_text_free(&text);
    tw_tokeniser_destroy(tokeniser);
    tw_free(c->ctx, token);
    tw_free(c->ctx, line);
    return status;
}
