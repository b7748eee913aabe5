/* exec/dump.c - see dump.h. */
#include "exec/dump.h"

#include "exec/inst.h"

#include <stdlib.h>

static const char *const stages[] = {"graph", "fused", "plan"};

/* Is `stage` among the comma-separated words asked for? Unknown words are named in a warning, once a program. */
static bool asked(const tw_build *b, const char *stage)
{
    const char *at = getenv("THALWEG_DUMP");
    bool found = false;
    while (at && *at) {
        size_t length = strcspn(at, ",");
        bool known = length == 0;
        for (int i = 0; i < TW_COUNT(stages); i++)
            known = known || (strlen(stages[i]) == length && memcmp(stages[i], at, length) == 0);
        if (!known && stage == stages[0])
            tw_report(b->ctx, TW_LOG_WARNING, "THALWEG_DUMP: '%.*s' is none of graph, fused, plan", (int)length, at);
        if (strlen(stage) == length && memcmp(stage, at, length) == 0) found = true;
        at += length + (at[length] == ',');
    }
    return found && b->ctx->log;
}

/* The log takes a line at a time. */
static void tell_lines(const tw_build *b, const char *text)
{
    while (text && *text) {
        size_t length = strcspn(text, "\n");
        tw_report(b->ctx, TW_LOG_DEBUG, "%.*s", (int)length, text);
        text += length + (text[length] == '\n');
    }
}

static void title(const tw_build *b, const char *stage)
{
    tw_report(b->ctx, TW_LOG_DEBUG, "--- %s of %s", stage, b->p->name[0] ? b->p->name : "a program");
}

void tw_dump_graph(const tw_build *b)
{
    char *text = NULL;
    if (!asked(b, stages[0])) return;
    title(b, stages[0]);
    if (tw_graph_print(b->ctx, b->p->inputs_count, b->inputs, b->p->outputs_count, b->outputs, &text) != TW_OK) return;
    tell_lines(b, text);
    tw_string_free(b->ctx, text);
}

static void dump_values(const tw_build *b)
{
    static const char *const homes[] = {"none", "input", "output", "const", "global", "local", "partial"};
    tw_report(b->ctx, TW_LOG_DEBUG, "%lld bytes shared, %lld a thread", (long long)b->p->global_bytes,
              (long long)b->p->local_bytes);
    for (int32_t i = 0; i < b->n; i++) {
        const tw_value *v = &b->value[i];
        if (!v->computed || !v->stored) continue;
        if (v->place.home == TW_HOME_LOCAL)
            tw_report(b->ctx, TW_LOG_DEBUG,
                      "%%%d %s: local at %lld, %lld bytes a row, region %d, instructions %d to %d", i,
                      tw_op_table[tw_at_id(b, i)->op].name, (long long)v->place.offset,
                      (long long)(tw_node_bytes(b, i) / b->p->regions[v->region].rows), v->region, v->first, v->last);
        else
            tw_report(b->ctx, TW_LOG_DEBUG, "%%%d %s: %s at %lld, %lld bytes, stages %d to %d", i,
                      tw_op_table[tw_at_id(b, i)->op].name, homes[v->place.home], (long long)v->place.offset,
                      (long long)tw_node_bytes(b, i), v->stage, v->last_stage);
    }
}

void tw_dump_plan(const tw_build *b)
{
    char *text = NULL;
    if (asked(b, stages[1]) && tw_program_print(b->p, &text) == TW_OK) {
        title(b, stages[1]);
        tell_lines(b, text);
        tw_string_free(b->ctx, text);
    }
    if (!asked(b, stages[2])) return;
    title(b, stages[2]);
    dump_values(b);
}
