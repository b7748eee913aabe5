/* changes.c - see changes.h. A row is an ordered list of lives: a token, the frame it appears in and the one it is gone
 * in. Tokens of a sequence are followed from frame to frame by an alignment with fewest edits. */
#include "changes.h"

#include "sequences.h"
#include "tokens.h"

#include "base/file.h"

#include <thalweg/edit.h>

#include <math.h>
#include <string.h>

enum { MOST_ROWS = 32, NOBODY = -1 };

static const char head[] =
    "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n<title>Tokens over time</title>\n<style>\n"
    ":root { color-scheme: light dark; --l: 40% } @media (prefers-color-scheme: dark) { :root { --l: 68% } }\n"
    "body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 0 auto; padding: 0 1rem 2rem }\n"
    "header { position: sticky; top: 0; padding: .8rem 0; background: Canvas; border-bottom: 1px solid #8886;\n"
    "  display: flex; gap: 1rem; align-items: center; flex-wrap: wrap }\n"
    "h1 { font-size: 1.1rem; margin: 0 } button { font: inherit; width: 5rem }\n"
    "input { flex: 1; min-width: 12rem } output { font-variant-numeric: tabular-nums; width: 5rem }\n"
    ".key { height: .5rem; width: 8rem; border-radius: .25rem }\n"
    ".row { font: 14px/1.6 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere;\n"
    "  padding: .6rem 0; border-bottom: 1px solid #8883 }\n"
    ".row span { color: hsl(var(--h) 75% var(--l)) } .row .s { color: #888 } .row .m { color: #8888 }\n"
    ".row .new { background: hsl(var(--h) 75% 60% / .3) } [hidden] { display: none }\n</style>\n";

static const char foot[] =
    "const $ = id => document.getElementById(id), last = D.times.length - 1, lives = [];\n"
    "const hue = f => 230 - 215 * f / last;\n"
    "for (const row of D.rows) {\n"
    "  const line = document.createElement('div'); line.className = 'row';\n"
    "  for (const [text, born, died] of row) {\n"
    "    const span = document.createElement('span');\n"
    "    span.textContent = text === 0 ? '\\u00b7' : D.apart && text !== '' ? text + ' ' : text;\n"
    "    span.style.setProperty('--h', hue(born));\n"
    "    const kind = text === 0 ? 'm' : born === 0 ? 's' : '';\n"
    "    lives.push([span, kind, born, died === undefined ? last + 1 : died]); line.append(span);\n"
    "  }\n"
    "  $('rows').append(line);\n"
    "}\n"
    "function show(f) {\n"
    "  $('at').value = f; $('t').textContent = 't = ' + D.times[f].toFixed(3);\n"
    "  for (const [span, kind, born, died] of lives) {\n"
    "    span.hidden = f < born || f >= died;\n"
    "    span.className = kind + (f === born && f > 0 && f < last ? ' new' : '');\n"
    "  }\n"
    "}\n"
    "let timer = 0;\n"
    "function stop() { clearInterval(timer); timer = 0; $('go').textContent = 'Play'; }\n"
    "function play() {\n"
    "  let f = +$('at').value; if (f >= last) f = 0;\n"
    "  $('go').textContent = 'Pause';\n"
    "  timer = setInterval(() => { show(f); if (f++ >= last) stop(); }, Math.max(40, 5000 / last));\n"
    "}\n"
    "$('at').max = last; $('at').oninput = () => { stop(); show(+$('at').value); };\n"
    "$('go').onclick = () => timer ? stop() : play();\n"
    "$('key').style.background = 'linear-gradient(90deg,' +\n"
    "  [0, .25, .5, .75, 1].map(s => `hsl(${hue(s * last)} 75% 50%)`) + ')';\n"
    "show(last);\n</script>\n</html>\n";

/* --- lives ---------------------------------------------------------------------------------------------------------
 */

typedef struct life {
    int32_t token;
    int born, died; /* NOBODY: it lives at the end */
    int64_t next;   /* behind it, NOBODY: it is the last */
} life;

typedef struct row_lives {
    tw_context *ctx;
    life *life; /* number 0 stands before the first */
    int64_t count, capacity;
} row_lives;

static tw_status insert_behind(row_lives *r, int64_t at, int32_t token, int frame, int64_t *out_number)
{
    tw_status status = tw_grow(r->ctx, &r->life, &r->capacity, r->count + 1, sizeof *r->life);
    if (status != TW_OK) return status;
    int64_t next = at == NOBODY ? NOBODY : r->life[at].next;
    r->life[r->count] = (life){token, frame, NOBODY, next};
    if (at != NOBODY) r->life[at].next = r->count;
    *out_number = r->count++;
    return TW_OK;
}

static int64_t next_alive(const row_lives *r, int64_t at)
{
    do at = r->life[at].next;
    while (r->life[at].died != NOBODY);
    return at;
}

/* What is gone and what is new in a frame, place by place of an alignment; blanks are below 0. */
static tw_status live_on(row_lives *r, int frame, int64_t places, const int32_t *before, const int32_t *now)
{
    int64_t at = 0;
    tw_status status = TW_OK;
    for (int64_t k = 0; k < places && status == TW_OK; k++) {
        if (before[k] >= 0) at = next_alive(r, at);
        if (before[k] == now[k]) continue;
        if (before[k] >= 0) r->life[at].died = frame;
        if (now[k] >= 0) status = insert_behind(r, at, now[k], frame, &at);
    }
    return status;
}

/* --- a row over all frames ------------------------------------------------------------------------------------------
 */

typedef struct following {
    cli *c;
    const model *m;
    int64_t n;
    int frames;
    const double *rows;
    int32_t *place; /* four rows of twice as many places as there are columns: x and z before and now */
} following;

/* The tokens of a row in a frame. */
static int32_t tokens_of(const following *f, int frame, int64_t row, int32_t *out)
{
    int columns = f->m->about->columns;
    const double *x = f->rows + ((int64_t)frame * f->n + row) * columns;
    int32_t count = 0;
    for (int k = 0; k < columns; k++)
        if (!is_sequences(f->m) || x[k] < token_symbols(f->m)) out[count++] = (int32_t)x[k];
    return count;
}

static tw_status follow(const following *f, int64_t row, row_lives *r)
{
    const int64_t wide = 2 * (int64_t)f->m->about->columns;
    int32_t *x0 = f->place, *x1 = x0 + wide, *z0 = x1 + wide, *z1 = z0 + wide, length[4] = {0};
    tw_align_desc align = {.kind = TW_ALIGN_LEVENSHTEIN};
    int64_t first;
    tw_status status = insert_behind(r, NOBODY, 0, 0, &first);
    for (int frame = 0; frame < f->frames && status == TW_OK; frame++) {
        length[1] = tokens_of(f, frame, row, x1);
        if (frame > 0 && !is_sequences(f->m)) {
            status = live_on(r, frame, length[1], x0, x1);
        } else {
            tw_sequences a = {1, wide, x0, &length[0]}, b = {1, wide, x1, &length[1]};
            tw_sequences za = {1, wide, z0, &length[2]}, zb = {1, wide, z1, &length[3]};
            status = tw_edit_align(f->c->ctx, &align, &a, &b, &za, &zb);
            if (status == TW_OK) status = live_on(r, frame, length[2], z0, z1);
        }
        memcpy(x0, x1, (size_t)wide * sizeof *x0);
        length[0] = length[1];
    }
    return status;
}

/* --- the page -------------------------------------------------------------------------------------------------------
 */

/* A JSON string that may stand in a script: nothing in it ends one. `scratch` is any text. */
static void add_piece(const char *piece, size_t size, tw_text *scratch, tw_text *out)
{
    scratch->length = 0;
    tw_text_add_bytes(scratch, piece, size);
    tw_text_add_bytes(scratch, "", 1);
    tw_text string = tw_text_new(out->ctx);
    if (!scratch->failed) tw_text_add_json_string(&string, scratch->data);
    out->failed = out->failed || scratch->failed || string.failed;
    for (size_t i = 0; i < string.length; i++)
        if (string.data[i] == '<')
            tw_text_add(out, "\\u003c");
        else
            tw_text_add_bytes(out, string.data + i, 1);
    tw_text_free(&string);
}

/* [["a",3],["b",0,3],...]: token, born, died. A mask is the number 0. */
static void add_row(const model *m, const tw_tokeniser *tokeniser, const row_lives *r, tw_text *out)
{
    const char *between = "";
    tw_text scratch = tw_text_new(out->ctx);
    tw_text_add(out, "[");
    for (int64_t at = r->life[0].next; at != NOBODY; at = r->life[at].next) {
        const life *l = &r->life[at];
        char room[PIECE_BYTES];
        const char *piece;
        size_t size;
        piece_kind kind = token_piece(m, tokeniser, (double)l->token, room, &piece, &size);
        if (kind == PIECE_NOTHING) continue;
        tw_text_add(out, "%s[", between);
        if (kind == PIECE_MASK)
            tw_text_add(out, "0");
        else
            add_piece(piece, size, &scratch, out);
        tw_text_add(out, l->died == NOBODY ? ",%d]" : ",%d,%d]", l->born, l->died);
        between = ",";
    }
    tw_text_add(out, "]");
    tw_text_free(&scratch);
}

static void add_head(const following *f, int64_t shown, bool apart, tw_text *out)
{
    tw_text_add_bytes(out, head, sizeof head - 1);
    tw_text_add(out,
                "<header><h1>Tokens over time</h1><button id=\"go\">Play</button>"
                "<input id=\"at\" type=\"range\" min=\"0\" value=\"0\" aria-label=\"time\"><output id=\"t\"></output>"
                "<span>fixed early</span><span class=\"key\" id=\"key\"></span><span>late</span></header>\n");
    const model *m = f->m;
    double until = opt_number(&f->c->set, OPT_UNTIL);
    tw_text_add(out, "<p>%s, source %s", strcmp(m->about->method, "ar") == 0 ? "Autoregression" : "Chains of tokens",
                m->about->source);
    if (shown < f->n) tw_text_add(out, "; the first %lld of %lld samples", (long long)shown, (long long)f->n);
    tw_text_add(out, ".</p>\n<div id=\"rows\"></div>\n<script>\nconst D = {\"apart\":%s,\"times\":[",
                apart ? "true" : "false");
    for (int i = 0; i < f->frames; i++) tw_text_add(out, "%s%.4g", i ? "," : "", until * i / (f->frames - 1));
    tw_text_add(out, "],\"rows\":[");
}

tw_status write_changes(cli *c, const model *m, const char *path, int64_t n, int frames, const double *rows)
{
    following f = {.c = c, .m = m, .n = n, .frames = frames, .rows = rows};
    int64_t shown = tw_min_i64(n, MOST_ROWS);
    tw_tokeniser *tokeniser = NULL;
    tw_writer writer = {0};
    row_lives lives = {.ctx = c->ctx};
    tw_text page = tw_text_new(c->ctx);
    tw_status status = TW_OK;
    TW_TRY(model_tokeniser(c, m, &tokeniser));
    f.place = tw_alloc(c->ctx, 8 * (size_t)m->about->columns, sizeof *f.place);
    if (!f.place) TW_TRY(tw_fail_memory(c->ctx, 8 * (size_t)m->about->columns * sizeof *f.place));
    add_head(&f, shown, !tokeniser, &page);
    for (int64_t i = 0; i < shown; i++) {
        lives.count = 0;
        TW_TRY(follow(&f, i, &lives));
        tw_text_add(&page, i ? ",\n" : "\n");
        add_row(m, tokeniser, &lives, &page);
    }
    tw_text_add(&page, "\n]};\n");
    tw_text_add_bytes(&page, foot, sizeof foot - 1);
    TW_TRY(tw_text_check(&page));
    TW_TRY(tw_writer_open(c->ctx, path, &writer));
    TW_TRY(tw_writer_write(&writer, page.data, page.length));
    TW_TRY(tw_writer_commit(&writer));
done:
    tw_writer_abandon(&writer);
    tw_text_free(&page);
    tw_free(c->ctx, lives.life);
    tw_free(c->ctx, f.place);
    tw_tokeniser_destroy(tokeniser);
    return status;
}
