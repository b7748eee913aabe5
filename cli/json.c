/* json.c - the one JSON value a verb prints with --json. */
#include "cli.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

void json_number(cJSON *object, const char *name, double value)
{
    if (isfinite(value))
        cJSON_AddNumberToObject(object, name, value);
    else
        cJSON_AddNullToObject(object, name);
}

void json_int(cJSON *object, const char *name, int64_t value)
{
    char digits[32];
    snprintf(digits, sizeof digits, "%" PRId64, value);
    cJSON_AddRawToObject(object, name, digits);
}

void json_seed(cJSON *object, const char *name, uint64_t value)
{
    char digits[32];
    snprintf(digits, sizeof digits, "%" PRIu64, value);
    cJSON_AddRawToObject(object, name, digits);
}

void json_text(cJSON *object, const char *name, const char *value_or_null)
{
    if (value_or_null)
        cJSON_AddStringToObject(object, name, value_or_null);
    else
        cJSON_AddNullToObject(object, name);
}

int json_print(cJSON *value)
{
    char *text = value ? cJSON_PrintUnformatted(value) : NULL;
    cJSON_Delete(value);
    if (!text) {
        cli_complain("out of memory while writing JSON");
        return EXIT_FAILED;
    }
    bool written = puts(text) >= 0 && fflush(stdout) == 0;
    cJSON_free(text);
    if (!written) cli_complain("cannot write to standard output");
    return written ? EXIT_DONE : EXIT_FAILED;
}
