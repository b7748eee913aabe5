/* data/schema_write.c - cells as the file writes them, and what was found in it for people to read. */
#include "data/schema.h"

#include "io/csv.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ROOM = 400 };

/* --- rows -------------------------------------------------------------------------------------------------------- */

static void print_number(const tw_schema_column *c, double value, char out[ROOM])
{
    if (c->kind == TW_KIND_date) {
        tw_date_print(value, c->date, c->between, out);
        return;
    }
    if (c->decimals < 0) {
        snprintf(out, ROOM, "%.9g", value);
        return;
    }
    snprintf(out, ROOM, "%.*f", c->decimals, value);
    char *end = out + strlen(out);
    while (!c->padded && strchr(out, '.') && end[-1] == '0') *--end = 0;
    if (end > out && end[-1] == '.') *--end = 0;
    if (strcmp(out, "-0") == 0) strcpy(out, "0");
}

void tw_schema_write_cell(const tw_schema *schema, int column, double cell, tw_text *text)
{
    const tw_schema_column *c = &schema->column[column];
    char number[ROOM];
    if (isnan(cell)) {
        tw_text_add(text, "%s", c->gap ? c->gap : "");
    } else if (tw_kind_list((int)c->kind)->sort == TW_SORT_OF_LEVELS) {
        int level = (int)cell;
        if (level >= 0 && level < c->levels) tw_csv_add_field(text, c->level[level], schema->separator);
    } else {
        print_number(c, cell, number);
        tw_csv_add_field(text, number, schema->separator);
    }
}

/* Between two columns that are written. */
static void separate(const tw_schema *schema, bool *begun, tw_text *text)
{
    if (*begun) tw_text_add_bytes(text, &schema->separator, 1);
    *begun = true;
}

void tw_schema_write_row(const tw_schema *schema, const double *cells, tw_text *text)
{
    bool begun = false;
    for (int i = 0; i < schema->columns; i++) {
        if (schema->column[i].kind == TW_KIND_skip) continue;
        separate(schema, &begun, text);
        tw_schema_write_cell(schema, i, cells[i], text);
    }
    tw_text_add(text, "\n");
}

void tw_schema_write_header(const tw_schema *schema, tw_text *text)
{
    bool begun = false;
    for (int i = 0; i < schema->columns; i++) {
        if (schema->column[i].kind == TW_KIND_skip) continue;
        separate(schema, &begun, text);
        tw_csv_add_field(text, schema->column[i].name, schema->separator);
    }
    tw_text_add(text, "\n");
}

/* --- for people -------------------------------------------------------------------------------------------------- */

static void add_share(tw_text *text, double share)
{
    tw_text_add(text, share < 0.0995 ? " %.1f %%" : " %.0f %%", 100 * share);
}

/* The commonest levels first. */
static void describe_levels(const tw_schema_column *c, tw_text *text)
{
    enum { SHOWN = 3, LONGEST = 24 };
    double last = 2;
    int last_at = -1;
    tw_text_add(text, "%d level%s: ", c->levels, c->levels == 1 ? "" : "s");
    for (int n = 0; n < SHOWN && n < c->levels; n++) {
        int best = -1;
        for (int i = 0; i < c->levels; i++) {
            bool left = c->share[i] < last || (c->share[i] == last && i > last_at);
            if (left && (best < 0 || c->share[i] > c->share[best])) best = i;
        }
        if (best < 0) break;
        last = c->share[best];
        last_at = best;
        tw_text_add(text, "%s%.*s", n ? ", " : "", LONGEST, c->level[best]);
        add_share(text, last);
    }
    if (c->levels > SHOWN) tw_text_add(text, ", ...");
}

static void describe_numbers(const tw_schema_column *c, tw_text *text)
{
    enum { SHOWN = 3 };
    char low[ROOM], high[ROOM], spike[ROOM];
    print_number(c, c->low, low);
    print_number(c, c->high, high);
    if (c->low == c->high) {
        tw_text_add(text, "always %s", low);
        return;
    }
    tw_text_add(text, "%s to %s", low, high);
    if (!c->open) tw_text_add(text, ", %.0f values", c->distinct);
    if (c->step > 0 && c->decimals >= 0 && c->kind != TW_KIND_date &&
        fabs(c->step - pow(10, -c->decimals)) > 1e-9 * c->step)
        tw_text_add(text, " in steps of %g", c->step);
    if (c->heavy) tw_text_add(text, ", heavy tails");
    for (int i = 0; c->open && i < c->spikes && i < SHOWN; i++) {
        print_number(c, c->spike[i], spike);
        tw_text_add(text, "%s %s", i ? "," : "; often", spike);
        add_share(text, c->share[i]);
    }
    if (c->open && c->spikes > SHOWN) tw_text_add(text, ", ...");
}

void tw_schema_describe(const tw_schema *schema, tw_text *text)
{
    enum { LONGEST = 28 };
    int width = 6;
    for (int i = 0; i < schema->columns; i++) {
        int length = (int)strlen(schema->column[i].name);
        if (length > width) width = length < LONGEST ? length : LONGEST;
    }
    tw_text_add(text, "%-*s  %-9s  %7s  values\n", width, "column", "kind", "missing");
    for (int i = 0; i < schema->columns; i++) {
        const tw_schema_column *c = &schema->column[i];
        char gaps[16] = "-";
        if (c->gaps > 0)
            snprintf(gaps, sizeof gaps, "%.1f %%", 100.0 * (double)c->gaps / (double)(c->gaps + c->values));
        tw_text_add(text, "%-*.*s  %-9s  %7s  ", width, LONGEST, c->name, tw_kind_list((int)c->kind)->name, gaps);
        tw_kind_sort sort = tw_kind_list((int)c->kind)->sort;
        if (sort == TW_SORT_OF_LEVELS) describe_levels(c, text);
        if (sort == TW_SORT_OF_NUMBERS || sort == TW_SORT_OF_CYCLES) describe_numbers(c, text);
        if (c->why) tw_text_add(text, "%s", c->why);
        tw_text_add(text, "\n");
    }
}
