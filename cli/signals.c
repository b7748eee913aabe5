/* signals.c - see signals.h. A handler may do nothing but set a flag; SA_RESETHAND makes the second signal final. */
#include "signals.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t caught;

static const int watched[] = {SIGINT, SIGTERM, SIGHUP};
enum { WATCHED = sizeof watched / sizeof watched[0] };

static struct sigaction before[WATCHED];

static void remember(int number)
{
    caught = number;
}

void signals_watch(void)
{
    for (int i = 0; i < WATCHED; i++) {
        struct sigaction action = {.sa_handler = remember, .sa_flags = (int)(SA_RESETHAND | SA_RESTART)};
        sigemptyset(&action.sa_mask);
        sigaction(watched[i], NULL, &before[i]);
        /* nohup and background jobs of a script have asked not to be stopped this way */
        if (before[i].sa_handler != SIG_IGN) sigaction(watched[i], &action, NULL);
    }
}

void signals_release(void)
{
    for (int i = 0; i < WATCHED; i++)
        if (before[i].sa_handler != SIG_IGN) sigaction(watched[i], &before[i], NULL);
}

int signals_caught(void)
{
    return caught;
}
