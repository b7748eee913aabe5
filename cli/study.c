/* study.c - see study.h. */
#include "study.h"

#include "files.h"

#include "io/yaml.h"

#include <stdlib.h>
#include <string.h>

typedef struct reading {
    study *s;
    const char *path;
    const tw_setting *item; /* under way */
} reading;

static int refuse(const reading *r, const char *why)
{
    return cli_usage("%s:%d:%d: %s", r->path, r->item->line, r->item->column, why);
}

/* The part of a key before the next dot, or all of it; *rest is moved behind it. False when it is too long. */
static bool next_word(const char **rest, char out[STUDY_NAME])
{
    size_t length = strcspn(*rest, ".");
    if (length >= STUDY_NAME) return false;
    memcpy(out, *rest, length);
    out[length] = 0;
    *rest += length + ((*rest)[length] == '.');
    return true;
}

/* --- bars -------------------------------------------------------------------------------------------------------- */

typedef struct bound {
    char sign;   /* '>' or '<' */
    bool itself; /* the number itself is enough */
    double number;
    bool floors; /* the number counts floors */
} bound;

static bool bar_parse(const char *bar, bound *out)
{
    bound b = {.sign = *bar, .itself = *bar && bar[1] == '='};
    if (b.sign != '<' && b.sign != '>') return false;
    bar += 1 + b.itself;
    bar += strspn(bar, " ");
    size_t length = strcspn(bar, " ");
    if (!tw_parse_double(bar, length, &b.number)) return false;
    bar += length;
    b.floors = strcmp(bar, " floors") == 0;
    *out = b;
    return b.floors || !*bar;
}

bool bar_holds(const char *bar, double value, double floor_value)
{
    bound b;
    if (!bar_parse(bar, &b)) return false;
    double limit = b.floors ? b.number * floor_value : b.number;
    if (b.itself && value == limit) return true;
    return b.sign == '<' ? value < limit : value > limit;
}

/* --- the parts of a study ------------------------------------------------------------------------------------------
 */

static int flow_index(const study *s, const char *name)
{
    for (int i = 0; i < s->flows_count; i++)
        if (strcmp(s->flow[i].name, name) == 0) return i;
    return -1;
}

static int take_option(const reading *r, settings *set, const char *key)
{
    char error[512];
    option_id id = option_find(set->verb, key);
    if (id == OPT_COUNT) {
        option_unknown(set->verb, key, "", error, sizeof error);
        return refuse(r, error);
    }
    return settings_set(set, id, r->item->value, ORIGIN_COMMAND, error, sizeof error) ? EXIT_DONE : refuse(r, error);
}

static int take_flow(const reading *r, const char *key)
{
    study *s = r->s;
    char name[STUDY_NAME];
    if (!next_word(&key, name) || !*name || !*key) return refuse(r, "expected flows: {NAME: {OPTION: VALUE}}");
    int index = flow_index(s, name);
    if (index < 0) {
        if (s->flows_count == STUDY_FLOWS) return refuse(r, "more than 32 flows");
        index = s->flows_count++;
        memcpy(s->flow[index].name, name, sizeof name);
        s->flow[index].set.verb = 'T';
    }
    return take_option(r, &s->flow[index].set, key);
}

static int take_text(const reading *r, char **out)
{
    char *copy = strdup(r->item->value);
    if (!copy) return refuse(r, "out of memory");
    free(*out);
    *out = copy;
    return EXIT_DONE;
}

static int take_kind(const reading *r, study_measure *m)
{
    char why[256];
    m->what = measure_find(r->item->value);
    if (m->what) return EXIT_DONE;
    const char *names[STUDY_MEASURES];
    int count = 0;
    for (; count < STUDY_MEASURES && measure_list(count); count++) names[count] = measure_list(count)->name;
    const char *nearest = tw_nearest_name(r->item->value, names, count);
    snprintf(why, sizeof why, "there is no measure '%s'%s%s%s", r->item->value, nearest ? "; the nearest is '" : "",
             nearest ? nearest : "", nearest ? "'" : "; thalweg list measures has them");
    return refuse(r, why);
}

static int measure_index(const study *s, const char *name)
{
    int index = 0;
    while (index < s->measures_count && strcmp(s->measure[index].name, name) != 0) index++;
    return index;
}

static int take_flow_name(const reading *r, int *out_index)
{
    char why[256];
    *out_index = flow_index(r->s, r->item->value);
    if (*out_index >= 0) return EXIT_DONE;
    snprintf(why, sizeof why, "there is no flow '%s' above", r->item->value);
    return refuse(r, why);
}

static int take_over(const reading *r, study_measure *m)
{
    char why[256];
    m->over = flow_index(r->s, r->item->value);
    m->over_measure = m->over < 0 ? measure_index(r->s, r->item->value) : -1;
    if (m->over >= 0 || m->over_measure < m - r->s->measure) return EXIT_DONE;
    snprintf(why, sizeof why, "there is no flow or measure '%s' above", r->item->value);
    return refuse(r, why);
}

static int take_bar(const reading *r, study_measure *m)
{
    bound b;
    if (!bar_parse(r->item->value, &b))
        return refuse(r, "bar: expected a comparison such as \"<= 0.01\", \"> 3\" or \"<= 1.5 floors\"");
    return take_text(r, &m->bar);
}

static int take_measure(const reading *r, const char *key)
{
    study *s = r->s;
    char name[STUDY_NAME];
    if (!next_word(&key, name) || !*name || !*key) return refuse(r, "expected measures: {NAME: {KEY: VALUE}}");
    int index = measure_index(s, name);
    study_measure *m = &s->measure[index];
    if (index == s->measures_count) {
        if (index == STUDY_MEASURES) return refuse(r, "more than 64 measures");
        s->measures_count++;
        memcpy(m->name, name, sizeof name);
        m->flow = m->over = m->over_measure = -1;
        m->set.verb = 'E';
    }
    if (strcmp(key, "measure") == 0) return take_kind(r, m);
    if (strcmp(key, "flow") == 0) return take_flow_name(r, &m->flow);
    if (strcmp(key, "over") == 0) return take_over(r, m);
    if (strcmp(key, "bar") == 0) return take_bar(r, m);
    if (strcmp(key, "paper") == 0) return take_text(r, &m->paper);
    return take_option(r, &m->set, key);
}

static int take_seeds(const reading *r)
{
    double number;
    if (!tw_parse_double(r->item->value, strlen(r->item->value), &number) || number < 1 || number > 100 ||
        number != (int)number)
        return refuse(r, "seeds: expected a whole number from 1 to 100");
    r->s->seeds = (int)number;
    return EXIT_DONE;
}

static int take(const reading *r, const char *key)
{
    char word[STUDY_NAME], why[256];
    if (strcmp(key, "paper") == 0) return take_text(r, &r->s->paper);
    if (strcmp(key, "claim") == 0) return take_text(r, &r->s->claim);
    if (strcmp(key, "seeds") == 0) return take_seeds(r);
    if (next_word(&key, word) && strcmp(word, "flows") == 0) return take_flow(r, key);
    if (strcmp(word, "measures") == 0) return take_measure(r, key);
    snprintf(why, sizeof why, "unknown key '%s', expected paper, claim, seeds, flows, measures or quick", word);
    return refuse(r, why);
}

/* --- the file ------------------------------------------------------------------------------------------------------
 */

/* The keys in order, those under `quick` after all others: what they set wins. */
static int take_all(reading *r, const tw_settings *list, bool quick)
{
    int result = EXIT_DONE;
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < list->count && result == EXIT_DONE; i++) {
            bool under = strncmp(list->item[i].key, "quick.", 6) == 0;
            r->item = &list->item[i];
            if (under == (pass == 1) && (!under || quick)) result = take(r, r->item->key + (under ? 6 : 0));
        }
    return result;
}

static int check(const study *s, const char *path)
{
    if (!s->paper || !s->claim) return cli_usage("%s: a study has a paper and a claim", path);
    if (s->measures_count == 0) return cli_usage("%s: a study has at least one measure", path);
    for (int i = 0; i < s->flows_count; i++)
        if (!opt_given(&s->flow[i].set, OPT_DATA))
            return cli_usage("%s: the flow '%s' has no data", path, s->flow[i].name);
    for (int i = 0; i < s->measures_count; i++) {
        const study_measure *m = &s->measure[i];
        if (!m->what) return cli_usage("%s: '%s' does not say what it measures (measure: NAME)", path, m->name);
        if (!m->bar) return cli_usage("%s: '%s' has no bar", path, m->name);
        if ((m->what->of != MEASURE_OF_NOTHING) != (m->flow >= 0))
            return cli_usage("%s: '%s' %s", path, m->name,
                             m->what->of != MEASURE_OF_NOTHING ? "needs a flow (flow: NAME)"
                                                               : "measures no flow; leave out flow");
        if (m->over >= 0 && m->flow < 0) return cli_usage("%s: '%s' has 'over' without a flow", path, m->name);
    }
    return EXIT_DONE;
}

int study_read(const char *path, bool quick, study *out_study)
{
    study *s = out_study;
    *s = (study){.seeds = 1};
    path_stem(s->name, sizeof s->name, path);
    tw_context *ctx = tw_context_create(&(tw_context_desc){.threads = 1});
    tw_settings list = {0};
    int result = EXIT_FAILED;
    if (!ctx) {
        cli_complain("out of memory");
        return result;
    }
    tw_status status = tw_yaml_read(ctx, path, &list);
    if (status != TW_OK) {
        cli_complain("%s", tw_context_error(ctx));
        result = status == TW_ERR_FORMAT ? EXIT_USAGE : EXIT_FAILED;
    } else {
        reading r = {.s = s, .path = path};
        result = take_all(&r, &list, quick);
        if (result == EXIT_DONE) result = check(s, path);
    }
    tw_settings_free(ctx, &list);
    tw_context_destroy(ctx);
    if (result != EXIT_DONE) study_free(s);
    return result;
}

void study_free(study *s)
{
    for (int i = 0; i < s->flows_count; i++) settings_free(&s->flow[i].set);
    for (int i = 0; i < s->measures_count; i++) {
        settings_free(&s->measure[i].set);
        free(s->measure[i].paper);
        free(s->measure[i].bar);
    }
    free(s->paper);
    free(s->claim);
    *s = (study){0};
}
