/* quality_page.c - the quality report as one HTML page that needs nothing beside it: see quality.h. */
#include "quality.h"

#include <math.h>
#include <string.h>

static const char head[] =
    "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n<title>Quality of a synthetic table</title>\n<style>\n"
    "body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 64rem; margin: 2rem auto; padding: 0 1rem }\n"
    "h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem } p { color: #555 }\n"
    "table { border-collapse: collapse; width: 100% } th, td { padding: .3rem .6rem; text-align: left }\n"
    "th { border-bottom: 2px solid #bbb; font-weight: 600 } td { border-bottom: 1px solid #e4e4e4 }\n"
    "td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }\n"
    "td.w { font-weight: 600 } td.r { color: #777 } img { max-width: 100%; height: auto }\n</style>\n";

/* Text between tags. */
static void add_escaped(tw_text *out, const char *text)
{
    for (; *text; text++) {
        const char *instead = *text == '&' ? "&amp;" : *text == '<' ? "&lt;" : *text == '>' ? "&gt;" : NULL;
        if (instead)
            tw_text_add_bytes(out, instead, strlen(instead));
        else
            tw_text_add_bytes(out, text, 1);
    }
}

/* RFC 4648, section 4. */
static void add_base64(tw_text *out, const char *bytes, size_t size)
{
    static const char letter[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *b = (const unsigned char *)bytes;
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        uint32_t word = (uint32_t)b[i] << 16 | (left > 1 ? (uint32_t)b[i + 1] << 8 : 0) | (left > 2 ? b[i + 2] : 0u);
        char four[4] = {letter[word >> 18], letter[word >> 12 & 63], left > 1 ? letter[word >> 6 & 63] : '=',
                        left > 2 ? letter[word & 63] : '='};
        tw_text_add_bytes(out, four, 4);
    }
}

static void add_picture(tw_text *out, const char *title, const char *words, const char *png, size_t size)
{
    if (!png) return;
    tw_text_add(out, "<h2>%s</h2>\n<p>%s</p>\n<img alt=\"%s\" src=\"data:image/png;base64,", title, words, title);
    add_base64(out, png, size);
    tw_text_add(out, "\">\n");
}

static void add_lines(const quality_report *q, tw_text *out)
{
    quality_line lines[QUALITY_LINES];
    char value[48], floor_text[48];
    int count = quality_lines(q, lines);
    tw_text_add(out, "<table>\n<tr><th>measure<th class=\"n\">synthetic<th class=\"n\">floor<th>\n");
    for (int i = 0; i < count; i++) {
        quality_number(lines[i].value.value, lines[i].sd.value, value, sizeof value);
        quality_number(lines[i].value.floor, lines[i].sd.floor, floor_text, sizeof floor_text);
        tw_text_add(out, "<tr><td>");
        add_escaped(out, lines[i].name);
        tw_text_add(out, "<td class=\"n w\">%s<td class=\"n\">%s<td class=\"r\">%s\n", value, floor_text,
                    lines[i].best);
    }
    tw_text_add(out, "</table>\n");
}

static void add_columns(const quality_report *q, tw_text *out)
{
    char w1[48], w1_floor[48];
    const tw_quality *f = &q->found;
    tw_text_add(out, "<h2>Columns</h2>\n<p>Numbers by the largest difference of their distribution functions "
                     "(Kolmogorov-Smirnov) and the 1-Wasserstein distance in standard deviations, categories by total "
                     "variation.</p>\n<table>\n<tr><th>column<th>holds<th class=\"n\">KS or TV<th class=\"n\">floor"
                     "<th class=\"n\">W1 / sd<th class=\"n\">floor\n");
    for (int c = 0; c < f->columns; c++) {
        quality_number(f->w1[c].value, (double)NAN, w1, sizeof w1);
        quality_number(f->w1[c].floor, (double)NAN, w1_floor, sizeof w1_floor);
        tw_text_add(out, "<tr><td>");
        add_escaped(out, q->held.column[c].name);
        tw_text_add(out, "<td>%s<td class=\"n%s\">%.4f<td class=\"n\">%.4f<td class=\"n\">%s<td class=\"n\">%s\n",
                    q->held.column[c].levels ? "categories" : "numbers", c == f->worst_column ? " w" : "",
                    f->marginal[c].value, f->marginal[c].floor, w1, w1_floor);
    }
    tw_text_add(out, "</table>\n");
}

static void add_reading(const quality_report *q, tw_text *out)
{
    tw_text reading = tw_text_new(out->ctx);
    tw_schema_describe(q->schema, &reading);
    tw_text_add(out, "<h2>The columns as they were read</h2>\n<pre>");
    if (reading.data) add_escaped(out, reading.data);
    tw_text_add(out, "</pre>\n");
    if (tw_text_check(&reading) != TW_OK) out->failed = true;
    tw_text_free(&reading);
}

void quality_page(const quality_report *q, const char *marginals, size_t marginals_size, const char *associations,
                  size_t associations_size, tw_text *out)
{
    const tw_quality *f = &q->found;
    tw_text_add_bytes(out, head, sizeof head - 1);
    tw_text_add(out, "<h1>");
    add_escaped(out, q->title);
    tw_text_add(out, "</h1>\n<p>");
    add_escaped(out, q->floor_words);
    tw_text_add(out, "; %lld rows on each side, mean of %d.</p>\n", (long long)f->rows, f->repeats);
    add_lines(q, out);
    add_picture(out, "Columns beside each other", "Held-out rows filled, synthetic rows as lines and dark bars.",
                marginals, marginals_size);
    add_picture(
        out, "Associations of pairs",
        "Rank correlations of numbers (red above, blue below zero), correlation ratios of numbers with categories, "
        "Cramer's V of categories.",
        associations, associations_size);
    add_columns(q, out);
    add_reading(q, out);
    tw_text_add(out, "</html>\n");
}
