/* progress.c - progress lines, and numbers as people say them. */
#include "progress.h"

#include "base/file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { BAR_CELLS = 28, LINE_BYTES = 1024 };

static bool locale_is_utf8(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = getenv(names[i]);
        if (value && *value) return strstr(value, "UTF-8") || strstr(value, "utf8") || strstr(value, "UTF8");
    }
    return false;
}

progress progress_new(bool quiet)
{
    const char *term = getenv("TERM"), *plain = getenv("NO_COLOR");
    bool able = isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
    return (progress){.quiet = quiet,
                      .terminal = able,
                      .colour = able && !(plain && *plain),
                      .unicode = able && locale_is_utf8(),
                      .begun = tw_clock(),
                      .last = -1e9};
}

void progress_begin(progress *p)
{
    p->begun = tw_clock();
    p->last = -1e9;
    p->lines = 0;
    p->ended = false;
}

int terminal_width(int fd)
{
    struct winsize size;
    if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
    const char *columns = getenv("COLUMNS");
    int width = columns ? atoi(columns) : 0;
    return width > 0 ? width : 80;
}

/* Writes up to `room` columns: the pieces that fit, two blanks between. Returns the columns used. */
static int join_pieces(const char *detail, int room, char *out, size_t size)
{
    int used = 0;
    *out = 0;
    for (const char *at = detail; *at;) {
        int length = (int)strcspn(at, "\t");
        int need = length + (used ? 2 : 0);
        if (used + need > room || (size_t)(used + need) >= size) break;
        used += snprintf(out + used, size - (size_t)used, "%s%.*s", used ? "  " : "", length, at);
        at += length;
        if (*at) at++;
    }
    return used;
}

static void draw_bar(const progress *p, int cells, double share)
{
    int full = (int)(share * cells);
    if (full > cells) full = cells;
    if (p->colour) fputs("\033[36m", stderr);
    for (int i = 0; i < full; i++) fputs(p->unicode ? "\xe2\x94\x81" : "=", stderr);
    if (p->colour) fputs("\033[0;2m", stderr);
    for (int i = full; i < cells; i++) fputs(p->unicode ? "\xe2\x94\x80" : "-", stderr);
    if (p->colour) fputs("\033[0m", stderr);
}

static void show_bar(progress *p, const char *label, double share, const char *detail)
{
    char text[LINE_BYTES];
    int width = terminal_width(STDERR_FILENO) - 1;
    int left = (int)strlen(label) + 2 + 6; /* label, blanks, "100 % " */
    int used = join_pieces(detail, width - left, text, sizeof text);
    int cells = width - left - used - 2;
    if (cells > BAR_CELLS) cells = BAR_CELLS;
    fputs("\r\033[K", stderr);
    fprintf(stderr, "%.*s  ", width > 0 ? width : 0, label);
    if (cells >= 6) {
        draw_bar(p, cells, share);
        fputc(' ', stderr);
    }
    fprintf(stderr, "%3.0f %%  %s", floor(100 * share), text);
    fflush(stderr);
    p->drawn = true;
}

void progress_show(progress *p, const char *label, double share, const char *detail, bool now)
{
    if (p->quiet || (p->ended && !p->terminal)) return;
    double time = tw_clock(), age = time - p->begun;
    double pause = p->terminal ? 0.1 : age < 60 ? 5 : age < 600 ? 15 : 60;
    if (p->lines == 0 && !p->terminal && age < 2) return; /* short work says nothing */
    if (!now && time - p->last < pause) return;
    share = share > 0 ? fmin(share, 1) : 0;
    if (p->terminal) {
        show_bar(p, label, share, detail);
    } else {
        char text[LINE_BYTES];
        join_pieces(detail, LINE_BYTES - 1, text, sizeof text);
        fprintf(stderr, "%s  %3.0f %%  %s\n", label, floor(100 * share), text);
    }
    p->last = time;
    p->lines++;
    p->ended = share >= 1;
}

void progress_clear(progress *p)
{
    if (p->drawn) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
    }
    p->drawn = false;
}

const char *human_time(double seconds, char *out, size_t size)
{
    if (!(seconds >= 0) || seconds > 1e9) {
        snprintf(out, size, "?");
        return out;
    }
    long whole = lround(seconds);
    if (seconds < 9.95)
        snprintf(out, size, "%.1f s", seconds);
    else if (whole < 60)
        snprintf(out, size, "%ld s", whole);
    else if (whole < 3600)
        snprintf(out, size, "%ld min %02ld s", whole / 60, whole % 60);
    else if (whole < 86400)
        snprintf(out, size, "%ld h %02ld min", whole / 3600, whole % 3600 / 60);
    else
        snprintf(out, size, "%ld d %ld h", whole / 86400, whole % 86400 / 3600);
    return out;
}

const char *human_count(double count, char *out, size_t size)
{
    if (count < 1000)
        snprintf(out, size, "%.0f", count);
    else if (count < 999999.5)
        snprintf(out, size, "%d,%03d", (int)((count + 0.5) / 1000), (int)(count + 0.5) % 1000);
    else if (count < 1e9)
        snprintf(out, size, "%.3g million", count / 1e6);
    else
        snprintf(out, size, "%.3g billion", count / 1e9);
    return out;
}

const char *human_bytes(double bytes, char *out, size_t size)
{
    static const char *const unit[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    int i = 0;
    while (bytes >= 1024 && i < 4) {
        bytes /= 1024;
        i++;
    }
    snprintf(out, size, i == 0 || bytes >= 9.95 ? "%.0f %s" : "%.1f %s", bytes, unit[i]);
    return out;
}

const char *human_rate(double rate, const char *noun, char *out, size_t size)
{
    char count[32];
    if (rate >= 10)
        snprintf(out, size, "%s %s/s", human_count(rate, count, sizeof count), noun);
    else
        snprintf(out, size, "%.2g %s/s", rate, noun);
    return out;
}
