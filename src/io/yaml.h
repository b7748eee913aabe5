/* io/yaml.h - settings from a YAML file as a flat list `section.key = value` with the place of each. */
#ifndef TW_IO_YAML_H
#define TW_IO_YAML_H

#include "base/base.h"

typedef struct tw_setting {
    char *key;   /* nested mappings are joined by dots */
    char *value; /* scalars as written; the items of a list joined by commas, those with a comma in double quotes */
    int line, column; /* of the key, from 1 */
} tw_setting;

typedef struct tw_settings {
    tw_setting *item; /* in the order of the file */
    int count;
} tw_settings;

#define TW_YAML_MAX_BYTES    (1u << 20)
#define TW_YAML_MAX_SETTINGS 2000
#define TW_YAML_MAX_DEPTH    8

/* Errors name file, line and column: not YAML, duplicate key, aliases, anchors and tags (not supported), lists of
 * anything but plain values, depth over 8. An empty file has no settings. */
TW_NODISCARD tw_status tw_yaml_read(tw_context *ctx, const char *path, tw_settings *out_settings);
TW_NODISCARD tw_status tw_yaml_parse(tw_context *ctx, const char *label, const char *bytes, size_t size,
                                     tw_settings *out_settings);
void tw_settings_free(tw_context *ctx, tw_settings *settings);

#endif
