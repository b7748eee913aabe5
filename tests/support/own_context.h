/* tests/support/own_context.h - `ctx`, a context of one thread, or of OWN_CONTEXT_THREADS, for the tests of a file, and
 * the setup and teardown of a group or of each test. */
#ifndef TESTS_SUPPORT_OWN_CONTEXT_H
#define TESTS_SUPPORT_OWN_CONTEXT_H

#include <thalweg/base.h>

#ifndef OWN_CONTEXT_THREADS
#define OWN_CONTEXT_THREADS 1
#endif

static tw_context *ctx;

static int setup(void **state)
{
    (void)state;
    ctx = tw_context_create(&(tw_context_desc){.threads = OWN_CONTEXT_THREADS});
    return ctx == NULL;
}

static int teardown(void **state)
{
    (void)state;
    tw_context_destroy(ctx);
    return 0;
}

#endif
