/* thalweg/edit.h - sequences that grow and shrink: alignments with blanks, edits, and a step of a Markov chain that
 * inserts, deletes and substitutes (Havasi, Karrer, Gat, Chen 2025, Edit flows).
 *
 * A sequence x of n tokens has n + 1 slots: slot 0 is its beginning, slot i its i-th token. Whatever is inserted stands
 * right of a slot; tokens are deleted and substituted at slots from 1. Two sequences are aligned by putting blanks into
 * them until they are equally long; where the aligned ones differ, an edit leads from one to the other. */
#ifndef THALWEG_EDIT_H
#define THALWEG_EDIT_H

#include <thalweg/base.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { TW_BLANK = -1 };

/* Ragged rows in the caller's memory: token (rows, width), of which the first `length` (rows) of each are the row's. */
typedef struct tw_sequences {
    int64_t rows, width;
    int32_t *token;
    int32_t *length;
} tw_sequences;

typedef enum tw_alignment {
    TW_ALIGN_LEVENSHTEIN, /* fewest edits */
    TW_ALIGN_PADDING      /* blanks at places drawn at random in the shorter one: no insertion beside a deletion */
} tw_alignment;

typedef struct tw_align_desc {
    tw_alignment kind;
    /* Of several alignments with fewest edits: false takes, from the end, substitution before deletion before
     * insertion; true draws among the moves that are best at each place. */
    bool draw_ties;
    uint64_t seed;
    int64_t step; /* the draws are a function of seed, step, number of the row and how many rows there are */
} tw_align_desc;

/* Aligns row by row: z0 and z1 get x0 and x1 with blanks, equally long, never a blank in both. Their widths must be at
 * least the longest x0 and the longest x1 together (padding: the longer of both). Memory: a byte for each pair of
 * tokens of one row. */
TW_NODISCARD TW_API tw_status tw_edit_align(tw_context *ctx, const tw_align_desc *desc, const tw_sequences *x0,
                                            const tw_sequences *x1, tw_sequences *z0, tw_sequences *z1);

/* Fewest insertions, deletions and substitutions from a to b (Levenshtein 1966). */
TW_NODISCARD TW_API tw_status tw_edit_distance(tw_context *ctx, int64_t a_length, const int32_t *a, int64_t b_length,
                                               const int32_t *b, int64_t *out_distance);

/* The point of the path: each place is that of z1 with probability kappa[row], else that of z0, drawn by seed, step,
 * row and number of rows. zt is as wide as both; it may still hold blanks. */
TW_API void tw_edit_mix(uint64_t seed, int64_t step, const double *kappa, const tw_sequences *z0,
                        const tw_sequences *z1, tw_sequences *zt);
/* What remains of z without its blanks; x may be z. */
TW_API void tw_edit_strip(const tw_sequences *z, tw_sequences *x);

typedef enum tw_edit_kind { TW_EDIT_INSERT, TW_EDIT_DELETE, TW_EDIT_SUBSTITUTE, TW_EDIT_KINDS } tw_edit_kind;

typedef struct tw_edit {
    tw_edit_kind kind;
    int32_t slot;  /* of the sequence without blanks */
    int32_t token; /* inserted or put in place; TW_BLANK: deleted */
} tw_edit;

/* The edits from z_from (length), with its blanks, to z_to: at most `length` of them, by place. Returns how many. */
TW_API int64_t tw_edit_list(int64_t length, const int32_t *z_from, const int32_t *z_to, tw_edit *out_edits);
/* Makes edits in the order of tw_edit_list all at once. out (capacity) gets the first tokens of the result, its whole
 * length is returned. Edits of slots that are not there are left out. */
TW_API int64_t tw_edit_apply(int64_t length, const int32_t *x, int64_t count, const tw_edit *edits, int64_t capacity,
                             int32_t *out);

/* Rates of edits for every slot of every row, per unit of time; (rows, width + 1), those of slots past a row's end are
 * not looked at, nor is what is deleted or substituted at slot 0. Which token: (rows, width + 1, symbols) weights that
 * need not sum to one, NULL: all alike. A substitution by the token that is there already is none. */
typedef struct tw_edit_rates {
    int symbols;
    const float *insert, *remove, *substitute; /* NULL: never */
    const float *insert_weight, *substitute_weight;
} tw_edit_rates;

typedef struct tw_edit_stats {
    int64_t edits[TW_EDIT_KINDS]; /* made, over all rows */
    int64_t refused;              /* insertions that a row had no room for */
} tw_edit_stats;

/* One step of length h: every slot inserts with probability 1 - exp(-h insert), every token is deleted or substituted
 * with probability 1 - exp(-h (remove + substitute)), all independently and at once; exact in the limit of h to 0, with
 * an error of order h. `to` has the rows of `from` and may be wider or narrower; it is no part of `from`. Where it is
 * too narrow insertions are refused, and tokens of `from` at the end are dropped, which is not counted. What is drawn
 * for a slot is a function of seed, step (below 2^32), number of the row - those of `from` count from first_row - and
 * slot. Adds to *stats. */
TW_NODISCARD TW_API tw_status tw_edit_step(tw_context *ctx, const tw_edit_rates *rates, double h, uint64_t seed,
                                           int64_t step, int64_t first_row, const tw_sequences *from, tw_sequences *to,
                                           tw_edit_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
