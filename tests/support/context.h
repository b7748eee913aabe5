/* tests/support/context.h - a group's setup and teardown for cmocka: *state is a context. */
#ifndef TESTS_SUPPORT_CONTEXT_H
#define TESTS_SUPPORT_CONTEXT_H

#include <thalweg/base.h>

static inline int open_context(void **state)
{
    *state = tw_context_create(&(tw_context_desc){.threads = 1});
    return *state ? 0 : -1;
}

/* With a pool of threads. */
static inline int open_pool(void **state)
{
    *state = tw_context_create(&(tw_context_desc){.threads = 3});
    return *state ? 0 : -1;
}

static inline int close_context(void **state)
{
    tw_context_destroy(*state);
    return 0;
}

#endif
