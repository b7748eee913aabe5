/* data/folder.h - what lies in a folder, in the order of names, the same on every machine. */
#ifndef TW_DATA_FOLDER_H
#define TW_DATA_FOLDER_H

#include "base/base.h"

typedef struct tw_folder {
    char **path, **name; /* owned; name points into path */
    int64_t count, capacity;
} tw_folder;

/* Everything in it but what begins with a dot. */
TW_NODISCARD tw_status tw_folder_read(tw_context *ctx, const char *path, tw_folder *out_folder);
void tw_folder_free(tw_context *ctx, tw_folder *folder);

bool tw_is_file(const char *path);
bool tw_is_folder(const char *path);
/* Whether a name ends so, capitals or not. */
bool tw_name_ends(const char *name, const char *ending);

#endif
