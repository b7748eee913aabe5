/* data/pictures_files.h - a list of picture files with their classes. */
#ifndef TW_DATA_PICTURES_FILES_H
#define TW_DATA_PICTURES_FILES_H

#include "data/pictures.h"

typedef struct tw_picture_file {
    char *path;
    char *class; /* NULL: none */
    bool test;   /* set apart for testing */
    tw_status status;
} tw_picture_file;

typedef struct tw_picture_files {
    tw_context *ctx;
    tw_picture_file *item;
    int64_t count, capacity;
} tw_picture_files;

/* Lists what lies in a folder: pictures in it and in its sub-folders, whose names are the classes; where there is a
 * folder "train", that and "test" instead. In the order of names, those for testing last. */
TW_NODISCARD tw_status tw_picture_files_list(tw_picture_files *files, const char *folder);
/* Classes from a CSV file: a file's name (as it lies in the folder, with or without folders and ending) and its class
 * in each row; a header is one whose name is no file's. */
TW_NODISCARD tw_status tw_picture_files_label(tw_picture_files *files, const char *csv);
void tw_picture_files_free(tw_picture_files *files);

#endif
