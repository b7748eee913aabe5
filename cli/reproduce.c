/* reproduce.c - `thalweg reproduce`: published results, trained and measured again, each against a bar.
 *
 * A study is a YAML file (study.h). Its flows are trained as `thalweg train` would, in FOLDER/STUDY/FLOW-SEED, and
 * measured as `thalweg eval` would; the bars are for the means over the seeds. */
#include "files.h"
#include "model.h"
#include "signals.h"
#include "study.h"

#include "base/file.h"

#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_STUDIES = 256 };

/* One measure, over the seeds. */
typedef struct outcome {
    int count;
    double sum, squares, floor_sum, seconds;
} outcome;

typedef struct reproduction {
    cli *c;
    char path[MAX_STUDIES][MODEL_PATH];
    int studies;
    int bars, held, skipped;
    cJSON *array;
} reproduction;

/* --- which studies --------------------------------------------------------------------------------------------- */

/* A folder that an option names, else ./NAME, else where it was installed, beside this program. */
static const char *folder_of(const cli *c, option_id id, const char *name, char buffer[MODEL_PATH])
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

static const char *studies_folder(const cli *c, char buffer[MODEL_PATH])
{
    return folder_of(c, OPT_STUDIES, "reproduce", buffer);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

static int add_path(reproduction *r, const char *folder, const char *name)
{
    if (r->studies == MAX_STUDIES) return cli_usage("more than %d studies", MAX_STUDIES);
    if (!path_join(r->path[r->studies], MODEL_PATH, folder, name)) return cli_usage("'%s': the path is too long", name);
    r->studies++;
    return EXIT_DONE;
}

static int find_all(reproduction *r)
{
    char buffer[MODEL_PATH];
    const char *folder = studies_folder(r->c, buffer);
    DIR *list = opendir(folder);
    int result = EXIT_DONE;
    if (!list) return cli_usage("no studies in '%s'; --studies FOLDER says where they are", folder);
    for (struct dirent *entry; result == EXIT_DONE && (entry = readdir(list));)
        if (has_ending(entry->d_name, ".yaml")) result = add_path(r, folder, entry->d_name);
    closedir(list);
    qsort(r->path, (size_t)r->studies, MODEL_PATH, by_text);
    return result;
}

static int unknown_study(const reproduction *r, const char *name)
{
    reproduction all = {.c = r->c};
    reproduction *found = malloc(sizeof *found);
    char(*stems)[STUDY_NAME] = malloc(MAX_STUDIES * sizeof *stems);
    const char *names[MAX_STUDIES], *nearest = NULL;
    char buffer[MODEL_PATH];
    if (found && stems) {
        *found = all;
        if (find_all(found) == EXIT_DONE) {
            for (int i = 0; i < found->studies; i++) {
                path_stem(stems[i], STUDY_NAME, found->path[i]);
                names[i] = stems[i];
            }
            nearest = tw_nearest_name(name, names, found->studies);
        }
    }
    int result = nearest ? cli_usage("there is no study '%s'; the nearest is '%s'", name, nearest)
                         : cli_usage("there is no study '%s' in '%s'; thalweg reproduce --json lists them", name,
                                     studies_folder(r->c, buffer));
    free(stems);
    free(found);
    return result;
}

static int find_named(reproduction *r, const char *names)
{
    int result = EXIT_DONE;
    char name[MODEL_PATH], file[MODEL_PATH], buffer[MODEL_PATH];
    while (*names && result == EXIT_DONE) {
        size_t length = strcspn(names, ",");
        snprintf(name, sizeof name, "%.*s", (int)length, names);
        names += length + (names[length] == ',');
        if (strchr(name, '/') || has_ending(name, ".yaml")) {
            snprintf(r->path[r->studies], MODEL_PATH, "%s", name);
            if (r->studies == MAX_STUDIES - 1) return cli_usage("more than %d studies", MAX_STUDIES);
            r->studies++;
            continue;
        }
        snprintf(file, sizeof file, "%.4000s.yaml", name);
        result = add_path(r, studies_folder(r->c, buffer), file);
        if (result == EXIT_DONE && !file_exists(r->path[r->studies - 1])) result = unknown_study(r, name);
    }
    return result;
}

/* --- data files ----------------------------------------------------------------------------------------------------
 */

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
    char folder[MODEL_PATH]; /* of the study's runs */
    int seed;
    outcome outcome[STUDY_MEASURES];
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

/* The settings of a flow or a measure for this seed: "@NAME" is the run folder of that flow. */
static int settle(const running *run, const settings *from, settings *out)
{
    char text[32], path[MODEL_PATH];
    int result = EXIT_DONE;
    *out = (settings){.verb = from->verb};
    for (int i = 0; i < OPT_COUNT && result == EXIT_DONE; i++) {
        const char *value = from->value[i].text;
        if (!value) continue;
        for (int f = 0; value[0] == '@' && f < run->s->flows_count; f++)
            if (strcmp(value + 1, run->s->flow[f].name) == 0 && run_folder(run, f, path)) value = path;
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

static int train_flow(const running *run, int flow)
{
    const cli *c = run->r->c;
    cli sub = {
        .verb = verb_find("train"), .progress = progress_new(opt_flag(&c->set, OPT_QUIET)), .started = tw_clock()};
    char folder[MODEL_PATH];
    int result = settle(run, &run->s->flow[flow].set, &sub.set);
    if (result == EXIT_DONE && !run_folder(run, flow, folder)) result = cli_usage("'%s': the path is too long", folder);
    if (result == EXIT_DONE) put(&sub.set, OPT_OUT_FOLDER, folder, &result);
    if (result == EXIT_DONE)
        put(&sub.set, opt_flag(&c->set, OPT_RESUME_STUDIES) ? OPT_RESUME : OPT_FORCE, "yes", &result);
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

static int measure_once(running *run, int index)
{
    const study_measure *m = &run->s->measure[index];
    outcome *o = &run->outcome[index];
    measured now = {0, (double)NAN}, below = {1, 1};
    double begun = tw_clock();
    int result = take_measure(run, m, m->flow, &now);
    if (result == EXIT_DONE && m->over >= 0) {
        result = take_measure(run, m, m->over, &below);
        now = (measured){now.value / below.value, (double)NAN};
    }
    if (m->over_measure >= 0) now = (measured){now.value / run->last[m->over_measure], (double)NAN};
    run->last[index] = now.value;
    o->count++;
    o->sum += now.value;
    o->squares += now.value * now.value;
    o->floor_sum += now.floor;
    o->seconds += tw_clock() - begun;
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

static int run_study(reproduction *r, const study *s)
{
    cli *c = r->c;
    bool quick = opt_flag(&c->set, OPT_QUICK);
    const char *missing = study_missing(c, s);
    if (missing) return skip_study(r, s, missing);
    running *run = calloc(1, sizeof *run);
    char name[STUDY_NAME + 8];
    int result = EXIT_DONE;
    if (!run) return cli_usage("out of memory");
    *run = (running){.r = r, .s = s};
    snprintf(name, sizeof name, "%s%s", s->name, quick ? "-quick" : "");
    if (!path_join(run->folder, MODEL_PATH, opt_text(&c->set, OPT_OUT_STUDIES), name))
        result = cli_usage("'%s': the path is too long", s->name);
    cli_say(c, "%s: %s\n  %s", s->name, s->paper, s->claim);
    for (; run->seed < s->seeds && result == EXIT_DONE; run->seed++) {
        double begun = tw_clock();
        for (int i = 0; i < s->flows_count && result == EXIT_DONE; i++) result = train_flow(run, i);
        double each = (tw_clock() - begun) / s->measures_count; /* the training's time is shared by what it serves */
        for (int i = 0; i < s->measures_count && result == EXIT_DONE; i++) {
            run->outcome[i].seconds += each;
            result = measure_once(run, i);
        }
    }
    for (int i = 0; i < s->measures_count && result == EXIT_DONE; i++) tell(run, i);
    free(run);
    return result;
}

/* --- the verb ---------------------------------------------------------------------------------------------------- */

/* Without names: what there is. */
static int list_studies(reproduction *r)
{
    int result = find_all(r);
    cJSON *array = r->c->json ? cJSON_CreateArray() : NULL;
    study *s = calloc(1, sizeof *s);
    if (!s) result = cli_usage("out of memory");
    for (int i = 0; i < r->studies && result == EXIT_DONE; i++) {
        result = study_read(r->path[i], false, s);
        if (result != EXIT_DONE) break;
        cli_say(r->c, "%-26s %s\n%-26s %s", s->name, s->claim, "", s->paper);
        if (array) {
            cJSON *object = cJSON_CreateObject();
            json_text(object, "name", s->name);
            json_text(object, "claim", s->claim);
            json_text(object, "paper", s->paper);
            cJSON_AddItemToArray(array, object);
        }
        study_free(s);
    }
    free(s);
    if (result == EXIT_DONE) cli_say(r->c, "\nNext: thalweg reproduce NAME --quick");
    return array ? (result == EXIT_DONE ? json_print(array) : (cJSON_Delete(array), result)) : result;
}

static int run_studies(reproduction *r)
{
    bool quick = opt_flag(&r->c->set, OPT_QUICK);
    study *s = calloc(1, sizeof *s);
    int result = s ? EXIT_DONE : cli_usage("out of memory");
    for (int i = 0; i < r->studies && result == EXIT_DONE;
         i++) { /* a bad file is found before the hours of the others */
        result = study_read(r->path[i], quick, s);
        study_free(s);
    }
    if (r->c->json) r->array = cJSON_CreateArray();
    for (int i = 0; i < r->studies && result == EXIT_DONE; i++) {
        result = study_read(r->path[i], quick, s);
        if (result == EXIT_DONE) result = run_study(r, s);
        study_free(s);
    }
    free(s);
    if (result != EXIT_DONE) {
        cJSON_Delete(r->array);
        return result;
    }
    char skipped[64] = "", time[32];
    if (r->skipped)
        snprintf(skipped, sizeof skipped, ", %d %s skipped", r->skipped, r->skipped == 1 ? "study" : "studies");
    cli_say(r->c, "%d of %d bars held%s", r->held, r->bars, skipped);
    cli_note(r->c, "in %s", human_time(tw_clock() - r->c->started, time, sizeof time));
    if (r->array) result = json_print(r->array);
    return result == EXIT_DONE && r->held < r->bars ? EXIT_FAILED : result;
}

int run_reproduce(cli *c)
{
    const char *names = opt_text(&c->set, OPT_STUDY);
    bool all = opt_flag(&c->set, OPT_ALL);
    reproduction *r = calloc(1, sizeof *r);
    if (!r) return cli_usage("out of memory");
    r->c = c;
    int result = names && all ? cli_usage("--all or names: give one of them") : EXIT_DONE;
    if (result == EXIT_DONE && !names && !all)
        result = list_studies(r);
    else if (result == EXIT_DONE) {
        result = all ? find_all(r) : find_named(r, names);
        if (result == EXIT_DONE) result = run_studies(r);
    }
    free(r);
    return result;
}
