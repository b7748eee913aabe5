/* list.c - `thalweg list`: the names that options accept, each with one line and where it comes from. */
#include "measures.h"
#include "model.h"
#include "network.h"
#include "tokens.h"

#include <string.h>
#include <unistd.h>

/* Solvers of both kinds of equations, samplers, and those of tokens; a name of several kinds is listed once.
 */
static bool list_solver(int index, listed *out_item)
{
    int methods = 0, count = 0;
    while (tw_ode_method_list(methods)) methods++;
    const tw_ode_method_info *info = index < methods ? tw_ode_method_list(index) : tw_sampler_list(index - methods);
    const tw_sde_method_info *noisy;
    if (info) *out_item = (listed){info->name, info->about, info->source, NULL};
    if (info) return true;
    while (tw_sampler_list(count)) count++;
    count += methods;
    for (int i = 0; (noisy = tw_sde_method_list(i)); i++) {
        if (ode_method(noisy->name) || count++ < index) continue;
        *out_item = (listed){noisy->name, noisy->about, noisy->source, NULL};
        return true;
    }
    const tw_piece_info *jumps;
    for (int i = 0; (jumps = tw_token_solver_list(i)); i++) {
        if (ode_method(jumps->name) || sde_method(jumps->name) || count++ < index) continue;
        *out_item = (listed){jumps->name, jumps->about, jumps->source, NULL};
        return true;
    }
    return false;
}

bool list_item(const char *kind, int index, listed *out_item)
{
    if (strcmp(kind, "solvers") == 0) return list_solver(index, out_item);
    if (strcmp(kind, "networks") == 0) {
        const tw_network_info *info = tw_network_list(index);
        if (info) *out_item = (listed){info->name, info->about, info->source, NULL};
        return info != NULL;
    }
    if (strcmp(kind, "optimisers") == 0) {
        const tw_optimiser_info *info = tw_optimiser_list(index);
        if (info) *out_item = (listed){info->name, info->about, info->source, NULL};
        return info != NULL;
    }
    if (strcmp(kind, "datasets") == 0) {
        int count = 0;
        while (tw_builtin_list(count)) count++;
        const tw_builtin_info *info = index < count ? tw_builtin_list(index) : tw_builtin_text_list(index - count);
        if (info) *out_item = (listed){info->name, info->about, info->source, NULL};
        return info != NULL;
    }
    if (strcmp(kind, "tokenisers") == 0) {
        const tw_tokeniser_info *info = tw_tokeniser_list(index);
        if (info) *out_item = (listed){info->name, info->about, info->source, NULL};
        return info != NULL;
    }
    if (strcmp(kind, "measures") == 0) {
        const measure *info = measure_list(index);
        if (info)
            *out_item = (listed){info->name, info->about,
                                 info->of != MEASURE_OF_NOTHING ? "of a flow" : "of an algorithm", NULL};
        return info != NULL;
    }
    const tw_piece_info *info = tw_piece_list(kind, index);
    if (info) *out_item = (listed){info->name, info->about, info->source, info->parameters};
    return info != NULL;
}

static const struct {
    const char *kind, *about, *option;
} kinds[] = {
    {"methods", "how a flow learns", "train --method"},
    {"solvers", "how its equation is solved", "sample, score, eval --solver"},
    {"diffusions", "noise that sampling can add", "sample --sde --diffusion"},
    {"probes", "vectors that estimate a divergence", "sample, score, eval --probe-kind"},
    {"guidances", "ways of guiding it", "sample, eval --guidance-kind"},
    {"inverses", "ways of meeting what was observed", "sample --observe --inverse"},
    {"operators", "what may have happened to a picture that was observed", "sample --observe --operator"},
    {"networks", "networks for its velocity", "train --network"},
    {"architectures", "networks of other programs", "import, export --as"},
    {"optimisers", "how weights follow the gradient", "train --optimiser"},
    {"datasets", "built-in data sets", "train SET"},
    {"tokenisers", "ways of cutting texts into tokens", "train --tokeniser"},
    {"spaces", "spaces the data can live in", "train --space"},
    {"sources", "distributions at t = 0", "train --source"},
    {"measures", "what a study measures", "the studies of reproduce"},
    {"paths", "how source and data are joined", "train --path"},
    {"schedules", "pace along the path", "train --schedule"},
    {"couplings", "which source point goes with which data point", "train --coupling"},
    {"predictions", "what the network predicts", "train --predict"},
    {"losses", "how far a prediction is off", "train --loss"},
    {"weights", "how much the loss counts at a time", "train --weight"},
    {"time-densities", "where training times are drawn from", "train --time-density"},
    {"gammas", "size of a path's own noise", "train --gamma"},
    {"grids", "times at which a solver's steps end", "sample --grid"},
};

static int list_kinds(const cli *c)
{
    if (!c->json) {
        for (int i = 0; i < TW_COUNT(kinds); i++)
            printf("  %-14s  %s (%s)\n", kinds[i].kind, kinds[i].about, kinds[i].option);
        printf("\nNext: thalweg list %s\n", kinds[0].kind);
        return EXIT_DONE;
    }
    cJSON *array = cJSON_CreateArray();
    for (int i = 0; i < TW_COUNT(kinds); i++) {
        cJSON *object = cJSON_CreateObject();
        json_text(object, "name", kinds[i].kind);
        json_text(object, "about", kinds[i].about);
        json_text(object, "source", kinds[i].option);
        cJSON_AddItemToArray(array, object);
    }
    return json_print(array);
}

/* "vp:beta_min=0.1,beta_max=20", "table:rows,..." */
static void print_name(const listed *item)
{
    const tw_piece_parameter *p = item->parameters;
    int width = printf("%s", item->name);
    for (int i = 0; p && p[i].name; i++) {
        width += printf("%s%s", i ? "," : ":", p[i].name);
        width += p[i].many ? printf(",...") : printf("=%g", p[i].standard);
    }
    if (width < 16)
        printf("%*s ", 16 - width, "");
    else
        printf("\n%17s", "");
}

static cJSON *parameters_json(const tw_piece_parameter *p)
{
    cJSON *array = cJSON_CreateArray();
    for (int i = 0; p[i].name; i++) {
        cJSON *object = cJSON_CreateObject();
        json_text(object, "name", p[i].name);
        json_number(object, "low", p[i].low);
        json_number(object, "high", p[i].high);
        if (!p[i].many) json_number(object, "default", p[i].standard);
        cJSON_AddItemToArray(array, object);
    }
    return array;
}

int run_list(cli *c)
{
    const char *kind = opt_text(&c->set, OPT_KIND);
    if (!kind) return list_kinds(c);
    cJSON *array = c->json ? cJSON_CreateArray() : NULL;
    listed item;
    char text[NETWORK_TEXT];
    for (int i = 0; list_item(kind, i, &item); i++) {
        if (!c->json) {
            print_name(&item);
            printf("%s\n%-16s %s\n", item.about, "", item.source ? item.source : "");
            if (strcmp(kind, "networks") == 0) printf("%-16s %s\n", "", network_option_text(item.name, text));
            continue;
        }
        cJSON *object = cJSON_CreateObject();
        json_text(object, "name", item.name);
        json_text(object, "about", item.about);
        if (item.parameters && item.parameters->name)
            cJSON_AddItemToObject(object, "parameters", parameters_json(item.parameters));
        json_text(object, "source", item.source);
        if (strcmp(kind, "networks") == 0) json_text(object, "options", network_option_text(item.name, text));
        cJSON_AddItemToArray(array, object);
    }
    return c->json ? json_print(array) : EXIT_DONE;
}
