/* measure_edits.c - measures of flows of sequences: whether samples obey the rule of their text, how long they are, and
 * how many edits they took. */
#include "measures.h"

#include "begin.h"
#include "lines.h"
#include "sequences.h"
#include "tokens.h"

#include <thalweg/edit.h>

#include <math.h>

/* Samples, as many as eval's -n says; the rows they began at, for flows that begin at rows. */
typedef struct drawn_lines {
    int64_t n;
    int columns, symbols; /* symbols: how many tokens there are, and what fills rows up */
    double *rows;
    int32_t *edits;
    begin begin;
    tw_tokeniser *tokeniser;
} drawn_lines;

static void lines_free(const subject *s, drawn_lines *d)
{
    begin_close(s->c, &d->begin);
    tw_tokeniser_destroy(d->tokeniser);
    tw_free(s->c->ctx, d->rows);
    tw_free(s->c->ctx, d->edits);
}

static tw_status draw_lines(const subject *s, drawn_lines *out)
{
    cli *c = s->c;
    row_bar bar = {.c = c, .label = "sample"};
    drawn_lines d = {.n = opt_int(&c->set, OPT_N_EVAL), .columns = s->m.about->columns};
    tw_token_options jumps = {.tolerance = opt_number(&c->set, OPT_TOLERANCE)};
    tw_sample_desc desc = {.solver = s->solver,
                           .seed = opt_seed(&c->set, OPT_SEED),
                           .tokens = &jumps,
                           .on_progress = on_rows,
                           .user = &bar};
    tw_status status = TW_OK;
    if (!is_sequences(&s->m)) TW_TRY(tw_fail(c->ctx, TW_ERR_INVALID, "this is measured of flows of sequences"));
    TW_TRY(model_tokeniser(c, &s->m, &d.tokeniser));
    if (!d.tokeniser) TW_TRY(tw_fail(c->ctx, TW_ERR_INVALID, "this is measured of flows of texts"));
    d.symbols = token_symbols(&s->m);
    TW_TRY(begin_open(c, &s->m, NULL, d.n, &d.begin));
    d.rows = tw_alloc(c->ctx, (size_t)d.n, (size_t)d.columns * sizeof *d.rows);
    d.edits = jumps.edits = tw_alloc(c->ctx, (size_t)d.n, sizeof *d.edits);
    if (!d.rows || !d.edits) TW_TRY(tw_fail_memory(c->ctx, (size_t)d.n * (size_t)d.columns * sizeof *d.rows));
    begin_set(&d.begin, &desc);
    progress_begin(&c->progress);
    TW_TRY(tw_sample(s->m.flow, d.n, &desc, d.rows, NULL, NULL));
    progress_clear(&c->progress);
    *out = d;
    d = (drawn_lines){.n = 0};
done:
    lines_free(s, &d);
    return status;
}

/* The tokens of a row; returns how many. */
static int64_t take_row(const drawn_lines *d, const double *row, int32_t *out)
{
    int64_t length = 0;
    for (; length < d->columns && row[length] < d->symbols; length++) out[length] = (int32_t)row[length];
    return length;
}

tw_status measure_rule_kept(const subject *s, measured *out)
{
    const char *data = tw_flow_fact(s->m.flow, FACT_DATA);
    cli *c = s->c;
    drawn_lines d;
    int64_t kept = 0;
    bool holds;
    if (!data || !tw_builtin_text_holds(data, "", &holds))
        return tw_fail(c->ctx, TW_ERR_INVALID, "'%s' is no built-in text with a rule", data ? data : "");
    tw_status status = draw_lines(s, &d);
    if (status != TW_OK) return status;
    size_t bytes = 8 * (size_t)d.columns + 1;
    int32_t *token = tw_alloc(c->ctx, (size_t)d.columns, sizeof *token);
    char *line = tw_alloc(c->ctx, bytes, 1);
    if (!token || !line) TW_TRY(tw_fail_memory(c->ctx, bytes));
    for (int64_t i = 0; i < d.n; i++) {
        tw_tokeniser_decode(d.tokeniser, token, take_row(&d, d.rows + i * d.columns, token), false, line, bytes);
        kept += tw_builtin_text_holds(data, line, &holds) && holds;
    }
    *out = (measured){(double)kept / (double)d.n, (double)NAN};
done:
    tw_free(c->ctx, token);
    tw_free(c->ctx, line);
    lines_free(s, &d);
    return status;
}

tw_status measure_length_tv(const subject *s, measured *out)
{
    drawn_lines d;
    lines_pair lengths;
    tw_status status = draw_lines(s, &d);
    if (status != TW_OK) return status;
    TW_TRY(lines_lengths(s->c, &s->m, &s->h, d.n, d.rows, &lengths));
    *out = (measured){lengths.samples, lengths.floor};
done:
    lines_free(s, &d);
    return status;
}

tw_status measure_edits_made(const subject *s, measured *out)
{
    cli *c = s->c;
    drawn_lines d;
    double made = 0, fewest = 0;
    tw_status status = draw_lines(s, &d);
    if (status != TW_OK) return status;
    int32_t *token = tw_alloc(c->ctx, 2 * (size_t)d.columns, sizeof *token);
    if (!token) TW_TRY(tw_fail_memory(c->ctx, 2 * (size_t)d.columns * sizeof *token));
    for (int64_t i = 0; i < d.n; i++) {
        int64_t distance, after = take_row(&d, d.rows + i * d.columns, token), before = 0;
        if (d.begin.from) before = take_row(&d, d.begin.from + i * d.columns, token + d.columns);
        TW_TRY(tw_edit_distance(c->ctx, before, token + d.columns, after, token, &distance));
        fewest += (double)distance;
        made += d.edits[i];
    }
    *out = (measured){made / fewest, 1};
done:
    tw_free(c->ctx, token);
    lines_free(s, &d);
    return status;
}
