/* Any bytes as YAML settings. */
#include "io/yaml.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static tw_context *ctx;
    if (!ctx) ctx = tw_context_create(&(tw_context_desc){.threads = 1});
    tw_settings settings;
    if (tw_yaml_parse(ctx, "x", (const char *)bytes, size, &settings) != TW_OK) {
        if (!tw_context_error(ctx)[0]) abort();
        return 0;
    }
    for (int i = 0; i < settings.count; i++)
        if (!settings.item[i].key[0] || settings.item[i].line < 1 || settings.item[i].column < 1) abort();
    for (int i = 0; i < settings.count; i++)
        for (int k = 0; k < i; k++)
            if (strcmp(settings.item[i].key, settings.item[k].key) == 0) abort();
    tw_settings_free(ctx, &settings);
    return 0;
}
