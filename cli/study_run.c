/* study_run.c - one study: for every seed its flows are trained as `thalweg train` would, in FOLDER/STUDY/FLOW-SEED,
 * and its measures taken as `thalweg eval` would. With --resume whatever an earlier run left by the same settings is
 * kept: flows, and measures of flows that were kept (record.h). */
#include "files.h"
#include "record.h"
#include "reproduce.h"
#include "run.h"

#include "base/file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One measure, over the seeds. */
typedef struct outcome {
    int count;
    double sum, squares, floor_sum, seconds;
} outcome;

const char *folder_of(const cli *c, option_id id, const char *name, char buffer[MODEL_PATH])
{
    enum { REST = 64 };
    const char *given = opt_text(&c->set, id);
    if (given || folder_exists(name)) return given ? given : name;
    ssize_t length = readlink("/proc/self/exe", buffer, MODEL_PATH - REST);
    for (int up = 0; up < 2; up++) /* PREFIX/bin/thalweg */
        while (length > 0 && buffer[--length] != '/') continue;
    snprintf(buffer + (length > 0 ? length : 0), REST, "/share/thalweg/%s", name);
    return buffer;
}

/* --- data files -------------------------------------------------------------------------------------------------- */

/* A file named without a folder, and no built-in set: in this folder or the one of data, .gz too. `out` holds where it
 * lies; false when it is nowhere. Names of other kinds are left as they are. */
static bool place_data(const cli *c, const char *name, char out[MODEL_PATH])
{
    static const char *const endings[] = {"", ".gz"};
    char buffer[MODEL_PATH], file[MODEL_PATH];
    const char *folder = folder_of(c, OPT_DATA_FOLDER, "data", buffer);
    snprintf(out, MODEL_PATH, "%s", name);
    if (strchr(name, '/') || !strchr(name, '.') || file_exists(name)) return true;
    for (int i = 0; i < TW_COUNT(endings); i++) {
        snprintf(file, sizeof file, "%.4000s%s", name, endings[i]);
        if (path_join(out, MODEL_PATH, folder, file) && file_exists(out)) return true;
    }
    return false;
}

static bool is_data(option_id id)
{
    return id == OPT_DATA || id == OPT_SOURCE_DATA;
}

/* The first data file of the settings that is not there, NULL: all are. */
static const char *missing_data(const cli *c, const settings *s)
{
    char path[MODEL_PATH];
    for (int i = 0; i < OPT_COUNT; i++)
        if (is_data((option_id)i) && s->value[i].text && !place_data(c, s->value[i].text, path))
            return s->value[i].text;
    return NULL;
}

static const char *study_missing(const cli *c, const study *s)
{
    const char *missing = NULL;
    for (int i = 0; i < s->flows_count && !missing; i++) missing = missing_data(c, &s->flow[i].set);
    for (int i = 0; i < s->measures_count && !missing; i++) missing = missing_data(c, &s->measure[i].set);
    return missing;
}

/* --- one study --------------------------------------------------------------------------------------------------- */

typedef struct running {
    reproduction *r;
    const study *s;
    tw_context *ctx;
    char folder[MODEL_PATH]; /* of the study's runs */
    record record;
    int seed;
    outcome outcome[STUDY_MEASURES];
    bool trained[STUDY_FLOWS];   /* for this seed, not kept */
    double last[STUDY_MEASURES]; /* of this seed */
    findings found;
} running;

static void put(settings *s, option_id id, const char *text, int *result)
{
    char error[512];
    if (!settings_set(s, id, text, ORIGIN_COMMAND, error, sizeof error)) *result = cli_usage("%s", error);
}

static bool run_folder(const running *run, int flow, char *out)
{
    char name[STUDY_NAME + 32];
    snprintf(name, sizeof name, "%s-%d", run->s->flow[flow].name, run->seed);
    return path_join(out, MODEL_PATH, run->folder, name);
}

/* The flow that a value names by "@NAME", -1: none. */
static int flow_meant(const study *s, const char *value)
{
    for (int f = 0; value && value[0] == '@' && f < s->flows_count; f++)
        if (strcmp(value + 1, s->flow[f].name) == 0) return f;
    return -1;
}

/* The settings of a flow or a measure for this seed: "@NAME" is the run folder of that flow. */
static int settle(const running *run, const settings *from, settings *out)
{
    char text[32], path[MODEL_PATH];
    int result = EXIT_DONE;
    *out = (settings){.verb = from->verb};
    for (int i = 0; i < OPT_COUNT && result == EXIT_DONE; i++) {
        const char *value = from->value[i].text;
        if (!value) continue;
        int flow = flow_meant(run->s, value);
        if (flow >= 0 && run_folder(run, flow, path)) value = path;
        if (value[0] == '@') return cli_usage("%s: there is no flow '%s'", run->s->name, value + 1);
        if (is_data((option_id)i) && place_data(run->r->c, value, path)) value = path;
        put(out, (option_id)i, value, &result);
    }
    snprintf(text, sizeof text, "%d", run->seed);
    if (result == EXIT_DONE && !opt_given(out, OPT_SEED)) put(out, OPT_SEED, text, &result);
    const char *threads = opt_text(&run->r->c->set, OPT_THREADS);
    if (result == EXIT_DONE && threads) put(out, OPT_THREADS, threads, &result);
    if (result == EXIT_DONE && opt_flag(&run->r->c->set, OPT_QUIET)) put(out, OPT_QUIET, "yes", &result);
    return result;
}

/* Whether --resume keeps what lies in the folder: a run by the same settings, and from flows that were kept too. */
static bool is_kept(running *run, int flow, const char *folder, const settings *set)
{
    cli *c = run->r->c;
    const study *s = run->s;
    char why[2 * MODEL_PATH];
    if (!opt_flag(&c->set, OPT_RESUME_STUDIES)) return false;
    for (int i = 0; i < OPT_COUNT; i++) {
        int from = flow_meant(s, s->flow[flow].set.value[i].text);
        if (from >= 0 && run->trained[from]) return false;
    }
    if (run_differs(folder, set, true, why, sizeof why) == OPT_COUNT) return true;
    cli_note(c, "%s was trained %s: again", folder, why);
    return false;
}

static int train_flow(running *run, int flow)
{
    const cli *c = run->r->c;
    cli sub = {
        .verb = verb_find("train"), .progress = progress_new(opt_flag(&c->set, OPT_QUIET)), .started = tw_clock()};
    char folder[MODEL_PATH];
    int result = settle(run, &run->s->flow[flow].set, &sub.set);
    if (result == EXIT_DONE && !run_folder(run, flow, folder)) result = cli_usage("'%s': the path is too long", folder);
    if (result == EXIT_DONE) {
        bool kept = is_kept(run, flow, folder, &sub.set);
        run->trained[flow] = !kept || !run_is_finished(folder);
        if (run->trained[flow]) result = record_forget(&run->record, run->seed);
        put(&sub.set, OPT_OUT_FOLDER, folder, &result);
        put(&sub.set, kept ? OPT_RESUME : OPT_FORCE, "yes", &result);
    }
    if (result == EXIT_DONE) result = run_train(&sub);
    cli_finish(&sub);
    settings_free(&sub.set);
    return result;
}

static int take_measure(running *run, const study_measure *m, int flow, measured *out)
{
    const cli *c = run->r->c;
    cli sub = {
        .verb = verb_find("eval"), .progress = progress_new(opt_flag(&c->set, OPT_QUIET)), .started = tw_clock()};
    char folder[MODEL_PATH];
    subject now = {.c = &sub, .folder = flow >= 0 ? folder : NULL, .found = &run->found};
    int result = settle(run, &m->set, &sub.set);
    if (result == EXIT_DONE && flow >= 0) run_folder(run, flow, folder);
    if (result == EXIT_DONE) {
        tw_status status = cli_start(&sub);
        if (status == TW_OK) status = measure_take(m->what, &now, out);
        result = cli_exit(&sub, status);
    }
    cli_finish(&sub);
    settings_free(&sub.set);
    return result;
}

/* What a measure is, as a line: no value that was recorded under another is taken for it. */
static void describe(const study *s, const study_measure *m, tw_text *out)
{
    tw_text_add(out, "measure: %s", m->what->name);
    if (m->flow >= 0) tw_text_add(out, ", flow: %s", s->flow[m->flow].name);
    if (m->over >= 0) tw_text_add(out, ", over: %s", s->flow[m->over].name);
    for (int i = 0; i < OPT_COUNT; i++)
        if (m->set.value[i].text) tw_text_add(out, ", %s: %s", option_table[i].name, m->set.value[i].text);
}

/* Of this seed, before it is divided by another measure: recorded, or taken now. */
static int find_measure(running *run, const study_measure *m, const char *described, measured *now, double *seconds)
{
    if (record_find(&run->record, run->seed, m->name, described, now, seconds)) return EXIT_DONE;
    double begun = tw_clock();
    measured below;
    int result = take_measure(run, m, m->flow, now);
    if (result == EXIT_DONE && m->over >= 0) {
        result = take_measure(run, m, m->over, &below);
        *now = (measured){now->value / below.value, (double)NAN};
    }
    *seconds = tw_clock() - begun;
    if (result == EXIT_DONE) result = record_keep(&run->record, run->seed, m->name, described, *now, *seconds);
    return result;
}

static int measure_once(running *run, int index)
{
    const study_measure *m = &run->s->measure[index];
    outcome *o = &run->outcome[index];
    measured now = {0, (double)NAN};
    double seconds = 0;
    tw_text described = tw_text_new(run->ctx);
    describe(run->s, m, &described);
    int result = tw_text_check(&described) == TW_OK ? find_measure(run, m, described.data, &now, &seconds)
                                                    : cli_usage("out of memory");
    tw_text_free(&described);
    if (m->over_measure >= 0) now = (measured){now.value / run->last[m->over_measure], (double)NAN};
    run->last[index] = now.value;
    o->count++;
    o->sum += now.value;
    o->squares += now.value * now.value;
    o->floor_sum += now.floor;
    o->seconds += seconds;
    if (result == EXIT_DONE && run->s->seeds > 1)
        cli_note(run->r->c, "seed %d: %s %.4g", run->seed, m->name, now.value);
    return result;
}

static void tell(running *run, int index)
{
    const study_measure *m = &run->s->measure[index];
    const outcome *o = &run->outcome[index];
    reproduction *r = run->r;
    double mean = o->sum / o->count, floor = o->floor_sum / o->count;
    double sd = o->count > 1 ? sqrt(fmax(0, o->squares - o->count * mean * mean) / (o->count - 1)) : (double)NAN;
    bool ok = bar_holds(m->bar, mean, floor);
    char ours[64], beside[64] = "", published[160] = "";
    r->bars++;
    r->held += ok;
    snprintf(ours, sizeof ours, isfinite(sd) ? "%.4g +- %.2g" : "%.4g", mean, sd);
    if (isfinite(floor)) snprintf(beside, sizeof beside, " (floor %.4g)", floor);
    if (m->paper) snprintf(published, sizeof published, ", paper %s", m->paper);
    cli_say(r->c, "  %-4s %s: %s%s, bar %s%s", ok ? "ok" : "MISS", m->name, ours, beside, m->bar, published);
    if (!r->array) return;
    cJSON *object = cJSON_CreateObject();
    char name[2 * STUDY_NAME + 2];
    snprintf(name, sizeof name, "%s/%s", run->s->name, m->name);
    json_text(object, "name", name);
    json_text(object, "paper", run->s->paper);
    json_text(object, "claim", run->s->claim);
    json_number(object, "ours", mean);
    json_number(object, "sd", sd);
    json_number(object, "floor", floor);
    json_text(object, "published", m->paper);
    json_text(object, "bar", m->bar);
    cJSON_AddBoolToObject(object, "ok", ok);
    json_number(object, "seconds", o->seconds);
    cJSON_AddItemToArray(r->array, object);
}

static int skip_study(reproduction *r, const study *s, const char *missing)
{
    char buffer[MODEL_PATH], why[2 * MODEL_PATH];
    snprintf(why, sizeof why, "'%s' is not in %s; --data-folder FOLDER says where it lies", missing,
             folder_of(r->c, OPT_DATA_FOLDER, "data", buffer));
    cli_say(r->c, "%s: %s\n  skipped: %s", s->name, s->paper, why);
    r->skipped++;
    if (!r->array) return EXIT_DONE;
    cJSON *object = cJSON_CreateObject();
    json_text(object, "name", s->name);
    json_text(object, "paper", s->paper);
    json_text(object, "claim", s->claim);
    json_text(object, "skipped", why);
    cJSON_AddItemToArray(r->array, object);
    return EXIT_DONE;
}

/* The time of training is shared by the measures that it serves. */
static int run_seed(running *run)
{
    const study *s = run->s;
    int result = EXIT_DONE;
    double begun = tw_clock();
    for (int i = 0; i < s->flows_count && result == EXIT_DONE; i++) result = train_flow(run, i);
    double each = (tw_clock() - begun) / s->measures_count;
    for (int i = 0; i < s->measures_count && result == EXIT_DONE; i++) {
        run->outcome[i].seconds += each;
        result = measure_once(run, i);
    }
    return result;
}

int study_run(reproduction *r, const study *s)
{
    cli *c = r->c;
    bool quick = opt_flag(&c->set, OPT_QUICK);
    const char *missing = study_missing(c, s);
    if (missing) return skip_study(r, s, missing);
    running *run = calloc(1, sizeof *run);
    char name[STUDY_NAME + 8];
    int result = EXIT_DONE;
    if (!run) return cli_usage("out of memory");
    *run = (running){.r = r, .s = s, .ctx = tw_context_create(&(tw_context_desc){.threads = 1})};
    snprintf(name, sizeof name, "%s%s", s->name, quick ? "-quick" : "");
    if (!run->ctx)
        result = cli_usage("out of memory");
    else if (!path_join(run->folder, MODEL_PATH, opt_text(&c->set, OPT_OUT_STUDIES), name))
        result = cli_usage("'%s': the path is too long", s->name);
    else
        record_open(&run->record, run->ctx, run->folder, opt_flag(&c->set, OPT_RESUME_STUDIES));
    cli_say(c, "%s: %s\n  %s", s->name, s->paper, s->claim);
    for (; run->seed < s->seeds && result == EXIT_DONE; run->seed++) result = run_seed(run);
    for (int i = 0; i < s->measures_count && result == EXIT_DONE; i++) tell(run, i);
    record_close(&run->record);
    tw_context_destroy(run->ctx);
    free(run);
    return result;
}
