/* lines.c - see lines.h. Rows are told apart by a hash of 64 bits: that two of a million different ones are taken for
 * the same has a probability below 1e-7. */
#include "lines.h"

#include "sequences.h"
#include "tokens.h"

#include <math.h>
#include <stdlib.h>

enum { LARGE_ALPHABET = 1024 };

/* What is counted of some rows, as shares. */
typedef struct shares {
    double *symbol, *pair, *length; /* (symbols), (symbols^2) or none, (columns + 1) */
} shares;

typedef struct counting {
    tw_context *ctx;
    int columns;
    int64_t symbols;
    bool ragged, pairs;
} counting;

/* A row ends where it is filled up. */
static int length_of(const counting *k, const double *row)
{
    int length = 0;
    while (length < k->columns && (!k->ragged || row[length] < (double)k->symbols)) length++;
    return length;
}

static uint64_t hash_of(const counting *k, const double *row)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (int i = 0; i < length_of(k, row); i++) {
        hash ^= (uint64_t)row[i] + 1;
        hash *= 0x100000001b3u; /* Fowler, Noll, Vo */
        hash ^= hash >> 29;
    }
    return hash;
}

static int by_hash(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Sorted hashes, to be freed. */
static tw_status hashes(const counting *k, int64_t rows, const double *values, uint64_t **out)
{
    uint64_t *hash = tw_alloc(k->ctx, (size_t)rows, sizeof *hash);
    if (!hash) return tw_fail_memory(k->ctx, (size_t)rows * sizeof *hash);
    for (int64_t i = 0; i < rows; i++) hash[i] = hash_of(k, values + i * k->columns);
    qsort(hash, (size_t)rows, sizeof *hash, by_hash);
    *out = hash;
    return TW_OK;
}

static double distinct_share(int64_t n, const uint64_t *hash)
{
    int64_t count = n > 0;
    for (int64_t i = 1; i < n; i++) count += hash[i] != hash[i - 1];
    return (double)count / (double)n;
}

static double known_share(int64_t n, const uint64_t *hash, int64_t known, const uint64_t *of)
{
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) count += bsearch(&hash[i], of, (size_t)known, sizeof *of, by_hash) != NULL;
    return (double)count / (double)n;
}

/* Of columns with alphabets of their own, as many as the largest has that is seen. */
static int64_t symbols_of(const model *m, const held_out *held)
{
    double most = token_symbols(m) - 1;
    for (int64_t i = 0; token_symbols(m) == 0 && i < held->rows * held->columns; i++)
        most = fmax(most, held->values[i]);
    return (int64_t)most + 1;
}

static void to_shares(double *share, int64_t count, int64_t total)
{
    for (int64_t i = 0; i < count && total > 0; i++) share[i] /= (double)total;
}

static tw_status count_rows(const counting *k, int64_t rows, const double *values, shares *out)
{
    size_t symbols = (size_t)k->symbols, pairs = k->pairs ? symbols * symbols : 0, lengths = (size_t)k->columns + 1;
    int64_t tokens = 0, neighbours = 0;
    double *room = tw_alloc(k->ctx, symbols + pairs + lengths, sizeof *room);
    if (!room) return tw_fail_memory(k->ctx, (symbols + pairs + lengths) * sizeof *room);
    *out = (shares){.symbol = room, .pair = room + symbols, .length = room + symbols + pairs};
    for (int64_t i = 0; i < rows; i++) {
        const double *row = values + i * k->columns;
        int length = length_of(k, row);
        out->length[length]++;
        for (int j = 0; j < length; j++) {
            size_t now = (size_t)row[j];
            if (now >= symbols) continue; /* masks of rows that were stopped */
            out->symbol[now]++;
            tokens++;
            if (!k->pairs || j == 0 || row[j - 1] >= (double)symbols) continue;
            out->pair[(size_t)row[j - 1] * symbols + now]++;
            neighbours++;
        }
    }
    to_shares(out->symbol, k->symbols, tokens);
    to_shares(out->pair, (int64_t)pairs, neighbours);
    to_shares(out->length, (int64_t)lengths, rows);
    return TW_OK;
}

static double variation(int64_t count, const double *a, const double *b)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += 0.5 * fabs(a[i] - b[i]);
    return sum;
}

/* Of `some` from `held`. */
static void set_variations(const counting *k, const shares *some, const shares *held, bool floors, lines *out)
{
    double *symbols = floors ? &out->symbols.floor : &out->symbols.samples;
    double *pairs = floors ? &out->pairs.floor : &out->pairs.samples;
    double *lengths = floors ? &out->lengths.floor : &out->lengths.samples;
    *symbols = variation(k->symbols, some->symbol, held->symbol);
    if (k->pairs) *pairs = variation(k->symbols * k->symbols, some->pair, held->pair);
    if (k->ragged) *lengths = variation(k->columns + 1, some->length, held->length);
}

tw_status lines_lengths(cli *c, const model *m, const held_out *held, int64_t count, const double *samples,
                        lines_pair *out)
{
    const tw_dataset *training = held->training;
    const counting k = {
        .ctx = c->ctx, .columns = held->columns, .symbols = symbols_of(m, held), .ragged = is_sequences(m)};
    shares of[3] = {{0}};
    tw_status status = TW_OK;
    *out = (lines_pair){(double)NAN, (double)NAN};
    TW_TRY(count_rows(&k, count, samples, &of[0]));
    TW_TRY(count_rows(&k, held->rows, held->values, &of[1]));
    out->samples = variation(k.columns + 1, of[0].length, of[1].length);
    if (!training) goto done;
    TW_TRY(
        count_rows(&k, tw_dataset_rows(training, TW_PART_TRAIN), tw_dataset_values(training, TW_PART_TRAIN), &of[2]));
    out->floor = variation(k.columns + 1, of[2].length, of[1].length);
done:
    for (int i = 0; i < 3; i++) tw_free(c->ctx, of[i].symbol);
    return status;
}

tw_status lines_compare(cli *c, const model *m, const held_out *held, int64_t count, const double *samples, lines *out)
{
    const tw_dataset *training = held->training;
    const int64_t known = training ? tw_dataset_rows(training, TW_PART_TRAIN) : 0;
    const double *learned = training ? tw_dataset_values(training, TW_PART_TRAIN) : NULL;
    counting k = {.ctx = c->ctx, .columns = held->columns, .symbols = symbols_of(m, held), .ragged = is_sequences(m)};
    shares of[3] = {{0}};
    uint64_t *hash[3] = {NULL};
    tw_status status = TW_OK;
    const lines_pair none = {(double)NAN, (double)NAN};
    *out = (lines){.symbols = none, .pairs = none, .lengths = none, .distinct = none, .known = none};
    out->n = tw_min_i64(count, held->rows);
    if (known > 0) out->n = tw_min_i64(out->n, known);
    k.pairs = k.symbols <= LARGE_ALPHABET && k.columns > 1;
    TW_TRY(count_rows(&k, out->n, samples, &of[0]));
    TW_TRY(count_rows(&k, out->n, held->values, &of[1]));
    TW_TRY(hashes(&k, out->n, samples, &hash[0]));
    TW_TRY(hashes(&k, out->n, held->values, &hash[1]));
    set_variations(&k, &of[0], &of[1], false, out);
    out->distinct = (lines_pair){distinct_share(out->n, hash[0]), distinct_share(out->n, hash[1])};
    if (known == 0) goto done;
    TW_TRY(count_rows(&k, out->n, learned, &of[2]));
    TW_TRY(hashes(&k, known, learned, &hash[2]));
    set_variations(&k, &of[2], &of[1], true, out);
    out->known =
        (lines_pair){known_share(out->n, hash[0], known, hash[2]), known_share(out->n, hash[1], known, hash[2])};
done:
    for (int i = 0; i < TW_COUNT(of); i++) {
        tw_free(c->ctx, of[i].symbol);
        tw_free(c->ctx, hash[i]);
    }
    return status;
}

/* --- as text and JSON -------------------------------------------------------------------------------------------- */

static void add_variation(tw_text *out, const char *name, const lines_pair *p)
{
    if (!isfinite(p->samples)) return;
    tw_text_add(out, "  %-22s %-22.5f ", name, p->samples);
    if (!isfinite(p->floor))
        tw_text_add(out, "not known\n");
    else if (p->floor > 0)
        tw_text_add(out, "%-22.5f %.2f\n", p->floor, p->samples / p->floor);
    else
        tw_text_add(out, "%.5f\n", p->floor);
}

static void add_percent(tw_text *out, const char *name, const lines_pair *p)
{
    if (isfinite(p->samples)) tw_text_add(out, "  %-22s %-22.2f %.2f\n", name, 100 * p->samples, 100 * p->floor);
}

void lines_text(const lines *l, tw_text *out)
{
    char count[32];
    tw_text_add(out, "\nTotal variation from held-out rows (%s rows of each kind)\n  %-22s %-22s %-22s ratio\n",
                human_count((double)l->n, count, sizeof count), "", "of samples", "of training rows");
    add_variation(out, "symbols", &l->symbols);
    add_variation(out, "pairs of neighbours", &l->pairs);
    add_variation(out, "lengths", &l->lengths);
    tw_text_add(out, "\nCopies, per cent of rows\n  %-22s %-22s %s\n", "", "samples", "held-out rows");
    add_percent(out, "different rows", &l->distinct);
    add_percent(out, "in the training data", &l->known);
}

static void add_pair(cJSON *object, const char *name, const lines_pair *p)
{
    char key[64];
    json_number(object, name, p->samples);
    snprintf(key, sizeof key, "%s_floor", name);
    json_number(object, key, p->floor);
}

void lines_json(const lines *l, cJSON *object)
{
    add_pair(object, "symbols_tv", &l->symbols);
    add_pair(object, "pairs_tv", &l->pairs);
    add_pair(object, "lengths_tv", &l->lengths);
    add_pair(object, "distinct", &l->distinct);
    add_pair(object, "known", &l->known);
    json_int(object, "lines", l->n);
}
