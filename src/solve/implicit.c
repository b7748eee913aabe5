/* solve/implicit.c - the place of Newton's iteration; no table asks for it yet. */
#include "solve/ode.h"
struct tw_newton {
    int x;
};
tw_status tw_newton_create(tw_ode *ode)
{
    (void)ode;
    return TW_OK;
}
void tw_newton_destroy(tw_context *ctx, tw_newton *newton)
{
    (void)ctx;
    (void)newton;
}
tw_status tw_ode_step_implicit(tw_ode *ode)
{
    (void)ode;
    return TW_ERR_INVALID;
}
const tw_tableau *tw_implicit_tableau_at(int index)
{
    (void)index;
    return NULL;
}
