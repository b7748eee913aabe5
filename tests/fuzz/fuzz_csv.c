/* Any bytes as a table: the reader and everything data/ makes of it. The first byte picks options. */
#include "data/table.h"
#include "io/csv.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static tw_context *ctx;
    if (!ctx) ctx = tw_context_create(&(tw_context_desc){.threads = 1});
    if (size < 1) return 0;
    static const char separators[] = {0, 0, 0, 0, ',', ';', '\t', ' '};
    tw_dataset_desc desc = {.separator = separators[bytes[0] & 7],
                            .header = (tw_header)((bytes[0] >> 3 & 3) % 3),
                            .columns = bytes[0] & 32 ? "1,a" : NULL};
    tw_table table;
    tw_status status = tw_table_parse_csv(ctx, "x.csv", bytes + 1, size - 1, &desc, 1 << 20, &table);
    if (status != TW_OK) {
        if (!tw_context_error(ctx)[0]) abort(); /* a failure without a sentence */
        return 0;
    }
    if (table.rows < 1 || table.columns < 1) abort();
    int64_t parts[3];
    int list[2] = {table.columns - 1, 0};
    bool stored = table.column[0].slot >= 0 && table.column[table.columns - 1].slot >= 0;
    if (stored) status = tw_table_keep(&table, list, table.columns > 1 ? 2 : 1);
    if (status == TW_OK && stored)
        status = tw_table_treat_gaps(&table, bytes[0] & 64 ? TW_MISSING_MEDIAN : TW_MISSING_DROP);
    if (status == TW_OK && stored) status = tw_table_split(&table, (double[3]){0, 0, 0}, bytes[0], parts);
    if (status == TW_OK && stored) status = tw_table_fill(&table, parts[0]);
    tw_table_free(&table);
    return 0;
}
