/* nn/piece.c - pieces by name: see piece.h. */
#include "nn/piece.h"

#include "base/text.h"

#include <string.h>

/* "a, b, c" into a fixed space; what does not fit is left out. */
static void join_names(tw_piece_at at, char *text, size_t size)
{
    size_t length = 0;
    text[0] = '\0';
    for (int i = 0; at(i); i++) {
        size_t more = strlen(at(i)->name) + (i > 0 ? 2 : 0);
        if (length + more + 1 > size) return;
        if (i > 0) memcpy(text + length, ", ", 2);
        memcpy(text + length + (i > 0 ? 2 : 0), at(i)->name, strlen(at(i)->name) + 1);
        length += more;
    }
}

tw_status tw_piece_find(tw_context *ctx, const char *kind, const char *name, tw_piece_at at,
                        const tw_piece_info **out_piece)
{
    const char *names[64];
    int count = 0;
    for (int i = 0; at(i); i++) {
        if (strcmp(at(i)->name, name) == 0) {
            *out_piece = at(i);
            return TW_OK;
        }
        if (count < TW_COUNT(names)) names[count++] = at(i)->name;
    }
    const char *nearest = tw_nearest_name(name, names, count);
    if (nearest) return tw_fail(ctx, TW_ERR_INVALID, "unknown %s '%s': did you mean '%s'?", kind, name, nearest);
    char all[400];
    join_names(at, all, sizeof(all));
    return tw_fail(ctx, TW_ERR_INVALID, "unknown %s '%s': there are %s", kind, name, all);
}
