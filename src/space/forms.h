/* space/forms.h - the columns of the data of which a space is made. */
#ifndef TW_SPACE_FORMS_H
#define TW_SPACE_FORMS_H

#include "space/space.h"

typedef struct tw_columns {
    tw_context *ctx;
    const char *name; /* of the space */
    const tw_piece *piece;
    int count;
    const char *const *names; /* NULL: none */
    tw_space *space;          /* room for `count` factors */
} tw_columns;

#define TW_SPACE(name, about, source, parameters) tw_status tw_form_##name(tw_columns *columns);
#include "space/spaces.def"

#endif
