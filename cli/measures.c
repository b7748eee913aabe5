/* measures.c - the table of measures. */
#include "measures.h"

#include <string.h>

static const measure measures[] = {
#define MEASURE(name, of_flow, about) {#name, about, of_flow, measure_##name},
#include "measures.def"
};

const measure *measure_list(int index)
{
    return index >= 0 && index < TW_COUNT(measures) ? &measures[index] : NULL;
}

const measure *measure_find(const char *name)
{
    for (int i = 0; i < TW_COUNT(measures); i++)
        if (strcmp(measures[i].name, name) == 0) return &measures[i];
    return NULL;
}
