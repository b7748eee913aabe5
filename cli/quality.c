/* quality.c - see quality.h. */
#include "quality.h"

#include "files.h"
#include "signals.h"

#include "base/file.h"
#include "plot/tables.h"

#include <math.h>
#include <string.h>

enum { MOST_NOTE = 96 };

/* --- the numbers as lines ---------------------------------------------------------------------------------------- */

void quality_number(double value, double sd, char *out, size_t size)
{
    if (!isfinite(value))
        snprintf(out, size, "-");
    else if (isfinite(sd))
        snprintf(out, size, "%.4f +- %.2g", value, sd);
    else
        snprintf(out, size, "%.4f", value);
}

static void add_line(quality_line *lines, int *count, tw_beside value, tw_beside sd, const char *best,
                     const char *format, ...) TW_PRINTF(6, 7);
static void add_line(quality_line *lines, int *count, tw_beside value, tw_beside sd, const char *best,
                     const char *format, ...)
{
    quality_line *l = &lines[(*count)++];
    va_list args;
    va_start(args, format);
    vsnprintf(l->name, sizeof l->name, format, args);
    va_end(args);
    l->value = value;
    l->sd = sd;
    l->best = best;
}

static int target_lines(const quality_report *q, quality_line *lines, int count)
{
    const tw_quality *f = &q->found;
    const tw_beside no = {(double)NAN, (double)NAN};
    const tw_utility *s = &f->by_samples, *r = &f->by_training;
    if (q->target < 0) return count;
    const char *name = q->held.column[q->target].name;
    if (s->classes) {
        add_line(lines, &count, (tw_beside){s->area, r->area}, no, "the floor is learnt from training rows",
                 "predicting %.40s: AUC", name);
        add_line(lines, &count, (tw_beside){s->accuracy, r->accuracy}, no, "likewise", "predicting %.40s: accuracy",
                 name);
    } else {
        add_line(lines, &count, (tw_beside){s->r2, r->r2}, no, "the floor is learnt from training rows",
                 "predicting %.40s: R^2", name);
    }
    return count;
}

int quality_lines(const quality_report *q, quality_line *lines)
{
    const tw_quality *f = &q->found;
    const tw_beside no = {(double)NAN, (double)NAN};
    int count = 0;
    add_line(lines, &count, f->marginal_mean, no, "0: the same", "columns: mean KS or total variation");
    if (f->columns > 1)
        add_line(lines, &count, f->association, no, "0: the same", "pairs: mean difference of associations");
    add_line(lines, &count, f->detection, f->detection_sd, "0.5: cannot be told apart",
             "detection by boosted trees: AUC");
    add_line(lines, &count, f->logistic, f->logistic_sd, "0.5: cannot be told apart",
             "detection by logistic regression: AUC");
    count = target_lines(q, lines, count);
    add_line(lines, &count, f->closest, no, "as held-out rows", "closest training row: median distance");
    add_line(lines, &count, (tw_beside){f->closer, 0.5}, no, "above 0.5: nearer to them than held-out rows",
             "closer to training rows than held-out");
    add_line(lines, &count, f->copies, no, "as held-out rows", "copies of training rows: share");
    return count;
}

/* --- text -------------------------------------------------------------------------------------------------------- */

static const char *measure_of(const quality_report *q, int c)
{
    return q->held.column[c].levels ? "TV" : "KS";
}

static void quality_text(const quality_report *q, tw_text *out)
{
    quality_line lines[QUALITY_LINES];
    char value[48], floor_text[48];
    const tw_quality *f = &q->found;
    int count = quality_lines(q, lines);
    tw_text_add(out, "%s\n%s; %lld rows on each side, mean of %d\n\n  %-44s %-18s %s\n", q->title, q->floor_words,
                (long long)f->rows, f->repeats, "", "synthetic", "floor");
    for (int i = 0; i < count; i++) {
        quality_number(lines[i].value.value, lines[i].sd.value, value, sizeof value);
        quality_number(lines[i].value.floor, lines[i].sd.floor, floor_text, sizeof floor_text);
        tw_text_add(out, "  %-44s %-18s %-18s %s\n", lines[i].name, value, floor_text, lines[i].best);
    }
    tw_text_add(out, "\nWorst column  %s (%s %.4f, floor %.4f)\n", q->held.column[f->worst_column].name,
                measure_of(q, f->worst_column), f->marginal[f->worst_column].value, f->marginal[f->worst_column].floor);
    if (f->columns > 1) {
        int i = f->worst_pair[0], j = f->worst_pair[1];
        tw_text_add(out, "Worst pair    %s and %s (held-out %.3f, synthetic %.3f, training %.3f)\n",
                    q->held.column[i].name, q->held.column[j].name, f->held[i * f->columns + j],
                    f->samples[i * f->columns + j], f->training[i * f->columns + j]);
    }
    tw_text_add(out, "\n  %-24s %-10s %10s %10s %10s %10s\n", "column", "", "KS or TV", "floor", "W1 / sd", "floor");
    for (int c = 0; c < f->columns; c++) {
        tw_text_add(out, "  %-24.24s %-10s %10.4f %10.4f", q->held.column[c].name,
                    q->held.column[c].levels ? "categories" : "numbers", f->marginal[c].value, f->marginal[c].floor);
        if (isfinite(f->w1[c].value)) tw_text_add(out, " %10.4f %10.4f", f->w1[c].value, f->w1[c].floor);
        tw_text_add(out, "\n");
    }
    tw_text_add(out, "\nThe columns as they were read\n\n");
    tw_schema_describe(q->schema, out);
}

/* --- JSON -------------------------------------------------------------------------------------------------------- */

static void beside_json(cJSON *object, const char *name, tw_beside b)
{
    char key[64];
    json_number(object, name, b.value);
    snprintf(key, sizeof key, "%s_floor", name);
    json_number(object, key, b.floor);
}

static cJSON *columns_json(const quality_report *q)
{
    cJSON *columns = cJSON_CreateArray();
    for (int c = 0; c < q->found.columns; c++) {
        cJSON *column = cJSON_CreateObject();
        json_text(column, "name", q->held.column[c].name);
        json_text(column, "measure", q->held.column[c].levels ? "total_variation" : "kolmogorov_smirnov");
        beside_json(column, "distance", q->found.marginal[c]);
        beside_json(column, "w1", q->found.w1[c]);
        cJSON_AddItemToArray(columns, column);
    }
    return columns;
}

cJSON *quality_json(const quality_report *q)
{
    const tw_quality *f = &q->found;
    cJSON *object = cJSON_CreateObject();
    json_int(object, "rows", f->rows);
    json_int(object, "repeats", f->repeats);
    beside_json(object, "marginal", f->marginal_mean);
    json_text(object, "worst_column", q->held.column[f->worst_column].name);
    beside_json(object, "association", f->association);
    json_text(object, "worst_pair_a", q->held.column[f->worst_pair[0]].name);
    json_text(object, "worst_pair_b", q->held.column[f->worst_pair[1]].name);
    beside_json(object, "detection", f->detection);
    beside_json(object, "detection_sd", f->detection_sd);
    beside_json(object, "detection_logistic", f->logistic);
    if (q->target >= 0) {
        json_text(object, "target", q->held.column[q->target].name);
        json_int(object, "target_rows", f->learnt_rows);
        if (f->by_samples.classes) {
            beside_json(object, "utility_auc", (tw_beside){f->by_samples.area, f->by_training.area});
            beside_json(object, "utility_accuracy", (tw_beside){f->by_samples.accuracy, f->by_training.accuracy});
        } else {
            beside_json(object, "utility_r2", (tw_beside){f->by_samples.r2, f->by_training.r2});
        }
    }
    beside_json(object, "closest", f->closest);
    beside_json(object, "closer", (tw_beside){f->closer, 0.5});
    beside_json(object, "copies", f->copies);
    cJSON_AddItemToObject(object, "columns", columns_json(q));
    json_number(object, "seconds", q->seconds);
    json_text(object, "report", q->text_path);
    json_text(object, "page", q->page_path);
    return object;
}

/* --- files ------------------------------------------------------------------------------------------------------- */

static tw_status draw_pictures(cli *c, const quality_report *q)
{
    int columns = q->found.columns;
    tw_status status = TW_OK;
    char(*note)[MOST_NOTE] = tw_alloc(c->ctx, (size_t)columns, sizeof *note);
    const char **words = tw_alloc(c->ctx, (size_t)columns, sizeof *words);
    if (!note || !words) TW_TRY(tw_fail_memory(c->ctx, (size_t)columns * sizeof *note));
    for (int k = 0; k < columns; k++) {
        snprintf(note[k], sizeof note[k], "%s %.3f, floor %.3f", measure_of(q, k), q->found.marginal[k].value,
                 q->found.marginal[k].floor);
        words[k] = note[k];
    }
    TW_TRY(tw_plot_marginals(c->ctx, q->marginals_path, &q->held, &q->samples, words));
    if (columns > 1)
        TW_TRY(tw_plot_associations(c->ctx, q->associations_path, &q->held, q->found.held, q->found.samples));
done:
    tw_free(c->ctx, note);
    tw_free(c->ctx, words);
    return status;
}

static tw_status write_page(cli *c, const quality_report *q)
{
    tw_text page = tw_text_new(c->ctx);
    char *marginals = NULL, *associations = NULL;
    size_t marginals_size = 0, associations_size = 0;
    tw_status status = TW_OK;
    TW_TRY(tw_file_read(c->ctx, q->marginals_path, false, 0, &marginals, &marginals_size));
    if (q->found.columns > 1)
        TW_TRY(tw_file_read(c->ctx, q->associations_path, false, 0, &associations, &associations_size));
    quality_page(q, marginals, marginals_size, associations, associations_size, &page);
    TW_TRY(tw_text_check(&page));
    TW_TRY(write_text(c->ctx, q->page_path, page.data));
done:
    tw_text_free(&page);
    tw_free(c->ctx, marginals);
    tw_free(c->ctx, associations);
    return status;
}

static tw_status write_all(cli *c, const quality_report *q)
{
    tw_status status = TW_OK;
    tw_text text = tw_text_new(c->ctx);
    cJSON *object = quality_json(q);
    char *json = object ? cJSON_Print(object) : NULL;
    quality_text(q, &text);
    TW_TRY(tw_text_check(&text));
    if (!json) TW_TRY(tw_fail(c->ctx, TW_ERR_MEMORY, "out of memory while writing the report"));
    TW_TRY(draw_pictures(c, q));
    TW_TRY(write_page(c, q));
    TW_TRY(write_text(c->ctx, q->text_path, text.data));
    TW_TRY(write_text(c->ctx, q->json_path, json));
    cli_say(c, "%s", text.data);
    cli_say(c, "report    %s, %s, %s", q->page_path, q->text_path, q->json_path);
done:
    tw_text_free(&text);
    cJSON_Delete(object);
    cJSON_free(json);
    return status;
}

/* --- measuring --------------------------------------------------------------------------------------------------- */

static int on_piece(void *user, int done, int total, const char *what)
{
    cli *c = user;
    progress_show(&c->progress, "quality", (double)done / total, what, false);
    return signals_caught() != 0;
}

static bool can_be_target(const tw_record_column *column)
{
    return column->levels == 0 || (column->levels > 1 && column->levels <= TW_UTILITY_CLASSES);
}

/* --target, else the last column that can be one. */
static tw_status find_target(cli *c, const tw_records *r, int *out_target)
{
    const char *name = opt_text(&c->set, OPT_TARGET);
    *out_target = -1;
    if (r->columns < 2) return TW_OK;
    for (int k = 0; k < r->columns; k++)
        if (name ? strcmp(r->column[k].name, name) == 0 : can_be_target(&r->column[k])) *out_target = k;
    if (!name || *out_target >= 0) return TW_OK;
    const char **names = tw_alloc(c->ctx, (size_t)r->columns, sizeof *names);
    if (!names) return tw_fail_memory(c->ctx, (size_t)r->columns * sizeof *names);
    for (int k = 0; k < r->columns; k++) names[k] = r->column[k].name;
    const char *nearest = tw_nearest_name(name, names, r->columns);
    tw_free(c->ctx, names);
    if (!nearest) return tw_fail(c->ctx, TW_ERR_INVALID, "--target: there is no column '%s'", name);
    return tw_fail(c->ctx, TW_ERR_INVALID, "--target: there is no column '%s'; the nearest is '%s'", name, nearest);
}

tw_status quality_make(cli *c, quality_report *q, const char *folder)
{
    tw_status status = TW_OK;
    if (!path_join(q->text_path, MODEL_PATH, folder, "report.txt") ||
        !path_join(q->json_path, MODEL_PATH, folder, "report.json") ||
        !path_join(q->page_path, MODEL_PATH, folder, "report.html") ||
        !path_join(q->marginals_path, MODEL_PATH, folder, "marginals.png") ||
        !path_join(q->associations_path, MODEL_PATH, folder, "associations.png"))
        return tw_fail(c->ctx, TW_ERR_IO, "'%s': the path is too long", folder);
    TW_TRY(check_writable_folder(c->ctx, folder));
    TW_TRY(find_target(c, &q->held, &q->target));
    const tw_quality_desc desc = {.held = &q->held,
                                  .training = &q->training,
                                  .samples = &q->samples,
                                  .target = q->target,
                                  .seed = opt_seed(&c->set, OPT_SEED),
                                  .on_progress = on_piece,
                                  .user = c};
    progress_begin(&c->progress);
    signals_watch();
    status = tw_quality_measure(c->ctx, &desc, &q->found);
    signals_release();
    progress_clear(&c->progress);
    if (status != TW_OK) return status;
    q->seconds = tw_clock() - c->started;
    TW_TRY(tw_make_folder(c->ctx, folder));
    TW_TRY(write_all(c, q));
done:
    return status;
}

void quality_free(cli *c, quality_report *q)
{
    if (!c->ctx) return;
    tw_quality_free(c->ctx, &q->found);
    tw_records_free(&q->held);
    tw_records_free(&q->training);
    tw_records_free(&q->samples);
}
