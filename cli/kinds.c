/* kinds.c - see kinds.h. What is ignored in silence looks as if it had been done: such options are refused. */
#include "kinds.h"

#include "tokens.h"

#include <string.h>

static const option_id of_tokens[] = {OPT_TEMPERATURE, OPT_TOP_K,   OPT_TOP_P,  OPT_ARGMAX,
                                      OPT_TOLERANCE,   OPT_REFRESH, OPT_REMASK, OPT_STRATIFIED_DRAWS,
                                      OPT_PROMPT,      OPT_SHOW};

/* With the letters of the verbs it is refused for: a sampler's --solver means something for tokens, a bound's not. */
static const struct {
    option_id id;
    const char *verbs;
} of_numbers[] = {{OPT_MATRIX, "S"},   {OPT_NOISE, "S"},        {OPT_INVERSE, "S"}, {OPT_REWARD, "S"},
                  {OPT_PROBES, "SCE"}, {OPT_PROBE_KIND, "SCE"}, {OPT_REVERSE, "S"}, {OPT_INTERPOLATE, "S"},
                  {OPT_EDIT, "S"},
                  {OPT_SOLVER, "C"},   {OPT_STEP_SIZE, "C"},    {OPT_UNTIL, "C"},   {OPT_RTOL, "SCE"},
                  {OPT_ATOL, "SCE"},   {OPT_DEQUANTISE, "CE"}};

/* A flag that is given as no, as settings of a run have it, asks for nothing. */
static bool said(const settings *s, option_id id)
{
    return option_table[id].type == TYPE_FLAG ? opt_flag(s, id) : opt_given(s, id);
}

bool options_suit(const cli *c, const model *m)
{
    for (int i = 0; i < TW_COUNT(of_tokens) && !is_tokens(m); i++)
        if (said(&c->set, of_tokens[i]))
            return cli_usage("--%s is for flows of tokens", option_table[of_tokens[i]].name), false;
    for (int i = 0; i < TW_COUNT(of_numbers) && is_tokens(m); i++)
        if (strchr(of_numbers[i].verbs, c->verb->letter) && said(&c->set, of_numbers[i].id))
            return cli_usage("--%s is not for flows of tokens%s", option_table[of_numbers[i].id].name,
                             c->verb->letter == 'C' ? ", whose likelihood is a bound without a solver" : ""),
                   false;
    return true;
}

bool edit_suits(const settings *s)
{
    const option_id of_edit[] = {OPT_SHARE, OPT_SHARE_LAYERS};
    const option_id without[] = {OPT_REVERSE, OPT_INTERPOLATE, OPT_UNTIL,       OPT_SDE,     OPT_OBSERVE,
                                 OPT_REWARD,  OPT_LOG_DENSITY, OPT_FRAMES_PLOT, OPT_ANIMATE};
    bool edited = said(s, OPT_EDIT);
    for (int i = 0; i < TW_COUNT(of_edit) && !edited; i++)
        if (said(s, of_edit[i]))
            return cli_usage("--%s is about edited rows: give --edit", option_table[of_edit[i]].name), false;
    for (int i = 0; i < TW_COUNT(without) && edited; i++)
        if (said(s, without[i]))
            return cli_usage("--%s has no meaning with --edit, which goes back and forth by itself",
                             option_table[without[i]].name),
                   false;
    if (edited && !said(s, OPT_FROM)) return cli_usage("--edit needs rows of data to edit: --from FILE"), false;
    return true;
}

tw_status data_options_suit(const cli *c, const settings *s, const tw_dataset *data)
{
    const option_id of_pictures[] = {OPT_SIZE, OPT_LABELS, OPT_STRICT};
    for (int i = 0; i < TW_COUNT(of_pictures) && !tw_dataset_image(data); i++)
        if (said(s, of_pictures[i]))
            return tw_fail(c->ctx, TW_ERR_INVALID, "--%s is for pictures, and the rows are none",
                           option_table[of_pictures[i]].name);
    return TW_OK;
}
