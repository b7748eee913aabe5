/* progress.h - how long work is shown: one line that renews itself on a terminal, plain lines now and then elsewhere.
 */
#ifndef THALWEG_CLI_PROGRESS_H
#define THALWEG_CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct progress {
    bool quiet, terminal, colour, unicode;
    bool drawn;   /* a bar stands on the current line */
    double begun; /* tw_clock() when this piece of work began */
    double last;  /* when it was last shown */
    int lines;    /* plain lines shown */
    bool ended;   /* the end was shown */
} progress;

/* Looks at standard error, TERM, NO_COLOR and the locale. */
progress progress_new(bool quiet);
/* Starts the clock of a piece of work. */
void progress_begin(progress *p);
/* Shows `share` in [0,1] done of `label`; `detail` are pieces parted by tabs, of which the last are left out where the
 * terminal is narrow. Shown at most ten times a second, unless `now`. */
void progress_show(progress *p, const char *label, double share, const char *detail, bool now);
/* Removes the bar, so that other text can be written. */
void progress_clear(progress *p);

/* Columns of the terminal behind file descriptor `fd`; 80 where there is none. */
int terminal_width(int fd);

/* "0.4 s", "12 s", "2 min 05 s", "1 h 03 min", "2 d 4 h". */
const char *human_time(double seconds, char *out, size_t size);
/* "640", "20,640", "1.5 million". */
const char *human_count(double count, char *out, size_t size);
/* "12 KiB", "3.4 MiB". */
const char *human_bytes(double bytes, char *out, size_t size);
/* "412 steps/s", "0.25 steps/s", "3,100 rows/s". */
const char *human_rate(double rate, const char *noun, char *out, size_t size);

#endif
