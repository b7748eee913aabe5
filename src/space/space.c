/* space/space.c - the tables of spaces and sources. */
#include "space/space.h"

static const tw_space spaces[] = {
#define TW_SPACE(name, about, source) {{#name, about, source, NULL}},
#include "space/spaces.def"
};

static const tw_source sources[] = {
#define TW_SOURCE(name, about, source, parameters) {{#name, about, source, parameters}, &tw_source_##name},
#include "space/sources.def"
};

const tw_piece_info *tw_space_list(int index)
{
    return index >= 0 && index < TW_COUNT(spaces) ? &spaces[index].info : NULL;
}

const tw_piece_info *tw_source_list(int index)
{
    return index >= 0 && index < TW_COUNT(sources) ? &sources[index].info : NULL;
}
