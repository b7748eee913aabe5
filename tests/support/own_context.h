/* tests/support/own_context.h - `ctx`, one context of one thread for all tests of a file, and the setup and teardown of
 * its group. */
#ifndef TESTS_SUPPORT_OWN_CONTEXT_H
#define TESTS_SUPPORT_OWN_CONTEXT_H

#include <thalweg/base.h>

static tw_context *ctx;

static int setup(void **state)
{
    (void)state;
    ctx = tw_context_create(&(tw_context_desc){.threads = 1});
    return ctx == NULL;
}

static int teardown(void **state)
{
    (void)state;
    tw_context_destroy(ctx);
    return 0;
}

#endif
