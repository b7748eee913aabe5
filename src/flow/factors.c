/* flow/factors.c - see factors.h. */
#include "flow/factors.h"

#include "base/text.h"

#include <string.h>

static const char learned[] = "learned";

/* The next of the terms that are joined by +, without blanks around it; it is cut out of *rest. */
static char *next_term(char **rest)
{
    char *term = *rest + strspn(*rest, " "), *plus = strchr(term, '+');
    *rest = plus ? plus + 1 : NULL;
    if (plus) *plus = 0;
    for (size_t n = strlen(term); n > 0 && term[n - 1] == ' '; n--) term[n - 1] = 0;
    return term;
}

static int count_terms(const char *text)
{
    int count = 1;
    for (; *text; text++) count += *text == '+';
    return count;
}

/* One for every factor of a product with tokens, of which methods have several paths. */
static tw_status check_count(const tw_flow *flow, const char *what, const char *text)
{
    int count = count_terms(text), factors = flow->space.count;
    if (!flow->method->rules->mixed)
        return tw_fail(flow->ctx, TW_ERR_INVALID, "%s of factors are for method 'gm', not for '%s'", what,
                       flow->method->info.name);
    if (count == factors) return TW_OK;
    return tw_fail(flow->ctx, TW_ERR_INVALID, "%s '%s' are %d, and space '%s' has %d factors", what, text, count,
                   flow->piece[TW_PIECE_space].text, factors);
}

/* What factors go along: numbers between their own ends, tokens with alpha + sigma = 1. */
static tw_status check_schedule(tw_flow *flow, const tw_piece *schedule)
{
    tw_status status = tw_schedule_check(flow->ctx, schedule);
    if (status == TW_OK && !tw_schedule_is_convex(schedule))
        status = tw_fail(flow->ctx, TW_ERR_INVALID,
                         "schedule '%s' of a factor: expected one with alpha + sigma = 1, alpha from 0 to 1",
                         schedule->text);
    return status;
}

static tw_status take_schedules(tw_flow *flow, char *text)
{
    int factors = flow->space.count;
    char *rest = text;
    tw_status status = check_count(flow, "schedules", text);
    if (status != TW_OK) return status;
    tw_piece *schedule = tw_alloc(flow->ctx, (size_t)factors, sizeof *schedule);
    if (!schedule) return tw_fail_memory(flow->ctx, (size_t)factors * sizeof *schedule);
    flow->factor_schedule = schedule;
    for (int i = 0; i < factors && status == TW_OK; i++) {
        status = tw_piece_read(flow->ctx, "schedule", next_term(&rest), tw_schedule_list, &schedule[i]);
        if (status == TW_OK) status = check_schedule(flow, &schedule[i]);
    }
    flow->model.factor_schedule = schedule;
    return status;
}

static tw_status take_weights(tw_flow *flow, char *text)
{
    int factors = flow->space.count;
    char *rest = text;
    flow->model.balanced = strcmp(text, learned) == 0;
    if (flow->model.balanced && flow->method->rules->mixed) return TW_OK;
    tw_status status = check_count(flow, "weights", text);
    if (status != TW_OK) return status;
    double *weight = tw_alloc(flow->ctx, (size_t)factors, sizeof *weight);
    if (!weight) return tw_fail_memory(flow->ctx, (size_t)factors * sizeof *weight);
    flow->factor_weight = weight;
    for (int i = 0; i < factors; i++) {
        const char *term = next_term(&rest);
        if (!tw_parse_double(term, strlen(term), &weight[i]) || !(weight[i] > 0 && weight[i] <= 1e6))
            return tw_fail(flow->ctx, TW_ERR_INVALID,
                           "weight '%s' of a factor: expected a number above 0, at most 1e6, or 'learned' for all",
                           term);
    }
    flow->model.factor_weight = weight;
    return TW_OK;
}

tw_status tw_flow_take_factors(tw_flow *flow, const tw_flow_desc *desc)
{
    const char *given[] = {desc->factor_schedules, desc->factor_weights};
    const char **kept[] = {&flow->desc.factor_schedules, &flow->desc.factor_weights};
    tw_status (*const take[])(tw_flow *, char *) = {take_schedules, take_weights};
    tw_status status = TW_OK;
    for (int i = 0; i < TW_COUNT(given) && status == TW_OK; i++) {
        if (!given[i]) continue;
        char *copy = tw_strdup(flow->ctx, given[i]);
        *kept[i] = tw_strdup(flow->ctx, given[i]);
        status = copy && *kept[i] ? take[i](flow, copy) : tw_fail_memory(flow->ctx, strlen(given[i]) + 1);
        tw_free(flow->ctx, copy);
    }
    return status;
}

void tw_flow_free_factors(tw_flow *flow)
{
    for (int i = 0; flow->factor_schedule && i < flow->space.count; i++)
        tw_piece_free(flow->ctx, &flow->factor_schedule[i]);
    tw_free(flow->ctx, flow->factor_schedule);
    tw_free(flow->ctx, flow->factor_weight);
    tw_free(flow->ctx, (void *)(uintptr_t)flow->desc.factor_schedules);
    tw_free(flow->ctx, (void *)(uintptr_t)flow->desc.factor_weights);
}
