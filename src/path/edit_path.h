/* path/edit_path.h - paths of sequences of different lengths (Havasi et al. 2025, Edit flows, section 3): x_0 and x_1 are
 * aligned with blanks, every place of the alignment is that of x_1 at time t with probability kappa = alpha(t), else that
 * of x_0, independently, and x_t is what is left without the blanks.
 *
 * Given the alignment, what is not done yet happens at rate tau'(t), tau = -log(1 - kappa) the clock of mixtures
 * (path/token_path.h). What generates the path are therefore tau'(t) times expectations of what is not done yet, given
 * x_t alone: how many tokens are missing right of a slot, whether a token is to go or to be another. These a network says,
 * and they are bounded: no end needs a margin. Slots are those of thalweg/edit.h. */
#ifndef TW_PATH_EDIT_PATH_H
#define TW_PATH_EDIT_PATH_H

#include "path/schedule.h"

#include <thalweg/edit.h>

typedef struct tw_edit_path {
    int symbols;                 /* K: tokens are 0..K-1; in rows that are filled up K stands for none, as TW_BLANK does in
                                    sequences, and networks see K + 1 at slot 0 */
    bool inserts_only;           /* the source is empty: nothing is deleted or substituted */
    const tw_schedule *schedule; /* tw_schedule_is_convex */
    tw_alignment alignment;
} tw_edit_path;

enum { TW_EDIT_SPECIALS = 2 /* blank, begin */ };

/* What a network says of a slot, numbers in this order: logarithms of what is expected to be inserted, deleted and
 * substituted, tw_edit_kinds of them; then logits of the token inserted (K) and, unless only insertions are made, of the
 * one put in place (K). */
static inline int tw_edit_kinds(const tw_edit_path *path)
{
    return path->inserts_only ? 1 : TW_EDIT_KINDS;
}
static inline int tw_edit_outputs(const tw_edit_path *path)
{
    return tw_edit_kinds(path) + (path->inserts_only ? 1 : 2) * path->symbols;
}

#endif
