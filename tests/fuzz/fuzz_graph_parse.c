/* Fuzz target of the graph text reader: whatever is accepted must satisfy every invariant of a graph and print to text
 * that reads back to the same text. */
#include "graph/node.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Prints a parsed function; NULL when it cannot be printed (an input needed but not reached cannot happen here). */
static char *print(tw_context *ctx, tw_graph *g, const char *text)
{
    int inputs_count = 0, outputs_count = 0;
    const tw_val *inputs = NULL, *outputs = NULL;
    char *printed = NULL;
    if (tw_graph_parse(g, text, &inputs_count, &inputs, &outputs_count, &outputs) != TW_OK) return NULL;
    if (tw_graph_verify(g) != TW_OK) abort();
    if (tw_graph_print(ctx, inputs_count, inputs, outputs_count, outputs, &printed) != TW_OK) abort();
    return printed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static tw_context *ctx;
    if (!ctx) ctx = tw_context_create(&(tw_context_desc){.threads = 1});
    char *text = malloc(size + 1);
    tw_graph *first = NULL, *second = NULL;
    if (!ctx || !text || tw_graph_create(ctx, &first) != TW_OK || tw_graph_create(ctx, &second) != TW_OK) abort();
    if (size) memcpy(text, data, size);
    text[size] = 0;
    char *once = print(ctx, first, text);
    if (once) {
        char *twice = print(ctx, second, once);
        if (!twice || strcmp(once, twice) != 0) abort();
        tw_string_free(ctx, twice);
    }
    tw_string_free(ctx, once);
    tw_graph_destroy(first);
    tw_graph_destroy(second);
    free(text);
    return 0;
}
