/* reproduce.c - `thalweg reproduce`: published results, trained and measured again, each against a bar.
 *
 * A study is a YAML file (study.h); study_run.c trains and measures it. The bars are for the means over the seeds. */
#include "reproduce.h"

#include "files.h"

#include "base/file.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

/* --- which studies --------------------------------------------------------------------------------------------- */

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
        if (result == EXIT_DONE) result = study_run(r, s);
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
