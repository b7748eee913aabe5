/* network.h - a network's fields (nn/network_fields.def) as options, as words and as JSON. */
#ifndef THALWEG_CLI_NETWORK_H
#define THALWEG_CLI_NETWORK_H

#include "cli.h"

/* Takes the fields that options give into desc. */
TW_NODISCARD tw_status network_options(tw_context *ctx, const settings *s, tw_network_desc *desc);

enum { NETWORK_TEXT = 1024 };
/* "unet, width 32, mult 1,2,2, ..." in out [NETWORK_TEXT]; returns out. */
const char *network_text(const tw_network_desc *desc, char *out);
cJSON *network_json(const tw_network_desc *desc);
/* "--width 256 --depth 4": the options of a kind and what they are when not given. Likewise. */
const char *network_option_text(const char *kind, char *out);

#endif
