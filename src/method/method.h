/* method/method.h - a method: which loss trains the network, and which velocity the trained network means.
 *
 * A method sees a flow as its pieces and builds graphs from them; it knows nothing of optimisers, files or solvers. */
#ifndef TW_METHOD_METHOD_H
#define TW_METHOD_METHOD_H

#include "path/path.h"
#include "space/space.h"

typedef struct tw_model {
    const tw_space *space;
    const tw_source *source;
    const tw_path *path;
    const tw_schedule *schedule;
    /* the network u(x, t): x (B,D), t (B) -> (B,D); building twice shares weights */
    tw_val (*network)(void *user, tw_val x, tw_val t);
    void *user;
} tw_model;

typedef struct tw_method_rules {
    /* loss of every row (B), from pairs x0, x1 (B,D) and times t (B) */
    tw_val (*row_loss)(const tw_model *model, tw_val x0, tw_val x1, tw_val t);
    /* velocity (B,D) of the generating flow at x (B,D), t (B) */
    tw_val (*velocity)(const tw_model *model, tw_val x, tw_val t);
} tw_method_rules;

typedef struct tw_method {
    tw_piece_info info;
    const tw_method_rules *rules;
} tw_method;

const tw_piece_info *tw_method_list(int index); /* NULL past the end; each is the head of a tw_method */

#define TW_METHOD(name, about, source) extern const tw_method_rules tw_method_##name;
#include "method/methods.def"

#endif
