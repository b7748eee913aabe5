/* tests/path/schedule_of.h - a schedule by its text, or the test fails: tests/support/own_context.h's `ctx` has its
 * memory. */
#ifndef TESTS_PATH_SCHEDULE_OF_H
#define TESTS_PATH_SCHEDULE_OF_H

#include "path/path.h"
#include "support/own_context.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static tw_schedule schedule_of(const char *text)
{
    tw_schedule schedule;
    tw_status status = tw_piece_read(ctx, "schedule", text, tw_schedule_list, &schedule);
    if (status != TW_OK) fail_msg("%s: %s", text, tw_context_error(ctx));
    return schedule;
}

#endif
