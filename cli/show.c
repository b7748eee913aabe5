/* show.c - see show.h. */
#include "show.h"

#include "sequences.h"
#include "tokens.h"

#include "base/file.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

bool show_suits(const cli *c, const model *m)
{
    if (c->json) return cli_usage("--json and --show: both want standard output"), false;
    return is_texts(m) || (cli_usage("--show is for models of texts"), false);
}

static int terminal_height(void)
{
    struct winsize size;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 2 ? size.ws_row : 24;
}

tw_status show_open(cli *c, const model *m, show *out)
{
    const char *term = getenv("TERM"), *plain = getenv("NO_COLOR");
    bool live = isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0;
    *out = (show){.c = c,
                  .m = m,
                  .live = live,
                  .colour = live && !(plain && *plain),
                  .width = terminal_width(STDOUT_FILENO),
                  .height = terminal_height()};
    if (live) c->progress.quiet = true; /* it would stand in the texts */
    return model_tokeniser(c, m, &out->tokeniser);
}

void show_close(show *s)
{
    tw_tokeniser_destroy(s->tokeniser);
    *s = (show){.drawn = 0};
}

static bool are_lines(const show *s)
{
    return tw_tokeniser_special(s->tokeniser, TW_SPECIAL_PADDING) >= 0;
}

int64_t show_rows(const show *s)
{
    const int shortest = 32; /* a line of a text that has line ends, about */
    int columns = s->m->about->columns, lines = (columns + s->width - 1) / s->width;
    if (!are_lines(s)) lines = columns / (s->width < shortest ? s->width : shortest) + 2;
    return tw_max_i64(1, (s->height - 1) / lines);
}

/* --- a screenful ------------------------------------------------------------------------------------------------- */

typedef struct screen {
    const show *show;
    tw_text text;
    int line, column;
} screen;

static bool is_full(const screen *s)
{
    return s->line >= s->show->height - 1;
}

static void end_line(screen *s)
{
    if (is_full(s)) return;
    tw_text_add(&s->text, "\n");
    s->line++;
    s->column = 0;
}

/* Characters, each a column wide; what would move the cursor is a blank. */
static void put(screen *s, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        bool begins = (byte & 0xC0) != 0x80;
        if (byte == '\n') {
            end_line(s);
            continue;
        }
        if (begins && s->column == s->show->width) end_line(s);
        if (is_full(s)) return;
        s->column += begins;
        tw_text_add_bytes(&s->text, byte < 32 || byte == 127 ? " " : bytes + i, 1);
    }
}

static void put_token(screen *s, double value, bool fresh)
{
    char room[PIECE_BYTES];
    const char *piece, *style = "";
    size_t size;
    piece_kind kind = token_piece(s->show->m, s->show->tokeniser, value, room, &piece, &size);
    if (kind == PIECE_NOTHING) return;
    if (kind == PIECE_MASK)
        piece = "\xc2\xb7", size = 2, style = "\033[2m"; /* a dim dot */
    else if (fresh)
        style = "\033[1;36m";
    bool styled = s->show->colour && *style;
    if (styled) tw_text_add(&s->text, "%s", style);
    put(s, piece, size);
    if (styled) tw_text_add(&s->text, "\033[0m");
}

static void put_row(screen *s, int64_t row, const double *rows, const double *before)
{
    int64_t columns = s->show->m->about->columns;
    bool places = before && !is_sequences(s->show->m); /* the k-th token is the one it was */
    for (int64_t k = row * columns; k < (row + 1) * columns; k++) put_token(s, rows[k], places && rows[k] != before[k]);
    end_line(s);
}

/* Up to where the last screenful began, and nothing below. */
static void clear(show *s, tw_text *text)
{
    if (s->drawn > 0) tw_text_add(text, "\r\033[%dA\033[J", s->drawn);
    s->drawn = 0;
}

/* No more often than can be seen. */
static void wait_for_eyes(show *s)
{
    const double least = 0.04;
    double left = s->last + least - tw_clock();
    if (left > 0) nanosleep(&(struct timespec){.tv_nsec = (long)(left * 1e9)}, NULL);
    s->last = tw_clock();
}

void show_draw(show *s, int64_t n, const double *rows, const double *before)
{
    screen now = {.show = s, .text = tw_text_new(s->c->ctx)};
    if (!s->live) return;
    wait_for_eyes(s);
    clear(s, &now.text);
    for (int64_t i = 0; i < n && !is_full(&now); i++) {
        if (i > 0 && !are_lines(s)) put(&now, "--------\n", 9);
        put_row(&now, i, rows, before);
    }
    if (tw_text_check(&now.text) == TW_OK) {
        fwrite(now.text.data, 1, now.text.length, stdout);
        fflush(stdout);
        s->drawn = now.line;
    }
    tw_text_free(&now.text);
}

tw_status show_end(show *s, int64_t n, const double *rows)
{
    tw_text text = tw_text_new(s->c->ctx);
    clear(s, &text);
    if (text.length > 0) fwrite(text.data, 1, text.length, stdout);
    fflush(stdout);
    tw_text_free(&text);
    return write_texts(s->c, s->m, "-", n, rows);
}
