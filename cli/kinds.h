/* kinds.h - which options mean something for which kind of flow: of numbers, or of tokens. */
#ifndef THALWEG_CLI_KINDS_H
#define THALWEG_CLI_KINDS_H

#include "model.h"

/* False after a complaint about the first option that was given and is for flows of the other kind. */
bool options_suit(const cli *c, const model *m);
/* The same about what does not go with --edit, or only with it. */
bool edit_suits(const settings *s);
/* The same of data: --size, --labels and the like are for pictures; `s` are the settings it was read by. */
TW_NODISCARD tw_status data_options_suit(const cli *c, const settings *s, const tw_dataset *data);

#endif
