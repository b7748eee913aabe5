/* io/yaml.h - settings from a YAML file as a flat list `section.key = value` with the place of each. */
#ifndef TW_IO_YAML_H
#define TW_IO_YAML_H

#include "base/base.h"

typedef struct tw_setting {
    char *key;   /* nested mappings are joined by dots; list items are joined by commas in value */
    char *value; /* scalars as written */
    int line, column; /* of the key, from 1 */
} tw_setting;

typedef struct tw_settings {
    tw_setting *item;
    int count;
} tw_settings;

/* Errors name file, line and column: not YAML, duplicate key, aliases and tags (not supported), depth over 8. */
TW_NODISCARD tw_status tw_yaml_read(tw_context *ctx, const char *path, tw_settings *out_settings);
TW_NODISCARD tw_status tw_yaml_parse(tw_context *ctx, const char *label, const char *bytes, size_t size,
                                     tw_settings *out_settings);
void tw_settings_free(tw_context *ctx, tw_settings *settings);

#endif
