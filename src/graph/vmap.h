/* graph/vmap.h - what the batching rules share with the pass.
 *
 * Batching gives every value that depends on the inputs one more axis of K samples, at position `at`: 0 for vmap, 1 -
 * behind the rows - for vmap_rows. A rule is handed the draft of the node on its new arguments, of which `batched` says
 * which carry the axis, and changes it into the draft of the batched node. Rules are listed by op in vmap_rules.c; an
 * op without one is refused by name. */
#ifndef TW_GRAPH_VMAP_H
#define TW_GRAPH_VMAP_H

#include "graph/node.h"

typedef struct tw_batch {
    tw_graph *g;
    const char *who; /* "vmap", "vmap_rows": begins every sentence */
    int at;          /* position of the new axis */
    int64_t size;    /* K */
    int64_t rows;    /* R, when at is 1 */
    bool *reach;     /* depends on the inputs, therefore batched */
    int32_t *map;
    tw_val node;  /* at hand, not batched */
    tw_val *args; /* of the node at hand: batched where reach says so, as they were otherwise */
    bool *batched;
} tw_batch;

typedef tw_val (*tw_vmap_fn)(const tw_batch *b, tw_draft *d);

/* NULL: no rule. */
tw_vmap_fn tw_vmap_rule(tw_op op);

/* Fails: "vmap: cumsum works along the rows". */
tw_val tw_batch_refuse(const tw_batch *b, const tw_draft *d, const char *why);
/* A shape with the new axis; of rank -1 when it would have too many. */
tw_shape tw_batch_shape(const tw_batch *b, tw_shape shape);
/* Where axis `axis` of an unbatched value lies in the batched one. */
static inline int tw_batch_axis(const tw_batch *b, int axis)
{
    return axis < b->at ? axis : axis + 1;
}
/* An unbatched value stretched along the new axis. */
tw_val tw_batch_stretch(const tw_batch *b, tw_val x);
/* The same for every argument of the node at hand that is not batched. */
void tw_batch_stretch_args(const tw_batch *b, int count);

/* Rules of nodes that call functions (vmap_control.c). */
tw_val tw_vmap_call(const tw_batch *b, tw_draft *d);
tw_val tw_vmap_cond(const tw_batch *b, tw_draft *d);
tw_val tw_vmap_scan(const tw_batch *b, tw_draft *d);
tw_val tw_vmap_while(const tw_batch *b, tw_draft *d);

#endif
