/* cli.c - the program's own context, and how it complains. */
#include "cli.h"

#include "signals.h"

#include <stdarg.h>
#include <string.h>

void cli_complain(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("thalweg: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

int cli_usage(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("thalweg: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return EXIT_USAGE;
}

void cli_say(cli *c, const char *format, ...)
{
    if (!c->say) return;
    progress_clear(&c->progress);
    va_list args;
    va_start(args, format);
    vfprintf(c->say, format, args);
    va_end(args);
    fputc('\n', c->say);
    fflush(c->say);
}

void cli_note(cli *c, const char *format, ...)
{
    char note[sizeof c->last_note];
    va_list args;
    va_start(args, format);
    vsnprintf(note, sizeof note, format, args);
    va_end(args);
    if (opt_flag(&c->set, OPT_QUIET) || strcmp(note, c->last_note) == 0) return;
    memcpy(c->last_note, note, sizeof note);
    progress_clear(&c->progress);
    fprintf(stderr, "note: %s\n", note);
}

static void on_log(void *user, tw_log_level level, const char *message)
{
    cli *c = user;
    if (level != TW_LOG_DEBUG) {
        cli_note(c, "%s", message);
        return;
    }
    /* what --profile or THALWEG_DUMP asked for, line by line */
    progress_clear(&c->progress);
    fprintf(stderr, "%s\n", message);
}

tw_status cli_start(cli *c)
{
    tw_context_desc desc = {.log = on_log,
                            .log_user = c,
                            .threads = (int)opt_int(&c->set, OPT_THREADS),
                            .profile = opt_flag(&c->set, OPT_PROFILE)};
    c->ctx = tw_context_create(&desc);
    return c->ctx ? TW_OK : TW_ERR_MEMORY;
}

void cli_finish(cli *c)
{
    progress_clear(&c->progress);
    tw_context_destroy(c->ctx);
    c->ctx = NULL;
}

int cli_exit(cli *c, tw_status status)
{
    if (status == TW_OK) return EXIT_DONE;
    progress_clear(&c->progress);
    int signal = signals_caught();
    if (status == TW_ERR_CANCELLED && signal) {
        cli_complain("stopped; nothing was written");
        return 128 + signal;
    }
    const char *why = c->ctx ? tw_context_error(c->ctx) : "cannot start: out of memory or threads";
    cli_complain("%s", *why ? why : tw_status_text(status));
    return EXIT_FAILED;
}
