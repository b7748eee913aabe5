/* tests/support/flow_checks.h - what tests of flows ask of a status, and of a description that is refused; `ctx` is the
 * file's own. Included behind it. */
#ifndef TESTS_SUPPORT_FLOW_CHECKS_H
#define TESTS_SUPPORT_FLOW_CHECKS_H

#include <thalweg/flow.h>

#include <string.h>

static void check(tw_status status)
{
    if (status != TW_OK) fail_msg("%s", tw_context_error(ctx));
}

static void refused(const tw_flow_desc *desc, const char *says)
{
    tw_flow *flow = NULL;
    tw_status status = tw_flow_create(ctx, desc, &flow);
    assert_int_not_equal(status, TW_OK);
    if (!strstr(tw_context_error(ctx), says)) fail_msg("'%s' does not say '%s'", tw_context_error(ctx), says);
}

#endif
