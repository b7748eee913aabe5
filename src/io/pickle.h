/* io/pickle.h - Python's pickles, as far as PyTorch's checkpoints are made of them.
 *
 * A pickle is a program for a stack machine that may call any function Python can import. This reader calls nothing: it
 * knows dictionaries, lists, tuples, strings, numbers, None, and the few names that tell of a tensor; any other name is
 * refused by name before anything is made of it. Values form a table and refer to each other by number, so that sharing
 * and even cycles are harmless; how many there may be and how deep is bounded. */
#ifndef TW_IO_PICKLE_H
#define TW_IO_PICKLE_H

#include "base/base.h"

typedef enum tw_pickle_kind {
    TW_PICKLE_NONE,
    TW_PICKLE_BOOL,
    TW_PICKLE_INT,
    TW_PICKLE_FLOAT,
    TW_PICKLE_TEXT,
    TW_PICKLE_LIST,       /* tuples are lists, too */
    TW_PICKLE_DICT,       /* key, value, key, value, ... */
    TW_PICKLE_NAME,       /* of a function or class this reader knows: a row of tw_pickle_names */
    TW_PICKLE_PERSISTENT, /* what the persistent id in `first` stands for: a storage */
    TW_PICKLE_TENSOR      /* a list of its arguments in `first` */
} tw_pickle_kind;

typedef struct tw_pickle_value {
    tw_pickle_kind kind;
    union {
        int64_t number; /* BOOL, INT; of NAME the row */
        double real;
        struct {
            const char *bytes; /* in the pickle, not terminated */
            size_t length;
        } text;
        struct {
            int32_t first, last; /* of a list's cells, -1: none; of PERSISTENT and TENSOR a value */
            int32_t count;
            bool fields; /* a DICT that stands for an object: its state is what it holds */
        } list;
    };
} tw_pickle_value;

typedef struct tw_pickle_cell {
    int32_t value, next;
} tw_pickle_cell;

typedef struct tw_pickle {
    tw_context *ctx;
    tw_pickle_value *value;
    tw_pickle_cell *cell;
    int64_t values, values_capacity, cells, cells_capacity;
    int32_t root;
    size_t size; /* bytes it took: others may follow */
} tw_pickle;

/* Names that are known: (module, name, what stands for it). Storages have the type of tw_tensor in `dtype`. */
typedef enum tw_pickle_role {
    TW_PICKLE_MAKES_DICT,
    TW_PICKLE_MAKES_OBJECT,
    TW_PICKLE_MAKES_TENSOR,
    TW_PICKLE_IS_STORAGE
} tw_pickle_role;
typedef struct tw_pickle_name {
    const char *module, *name, *dtype;
    tw_pickle_role role;
} tw_pickle_name;
extern const tw_pickle_name tw_pickle_names[];

/* Reads a pickle of protocol 2 to 5; bytes must outlive the result, which is freed with tw_pickle_free. */
TW_NODISCARD tw_status tw_pickle_parse(tw_context *ctx, const char *label, const void *bytes, size_t size,
                                       tw_pickle *out_pickle);
void tw_pickle_free(tw_pickle *pickle);

/* Element i of a list or dict, -1 past the end; walking along is tw_pickle_cell. */
int32_t tw_pickle_item(const tw_pickle *pickle, int32_t list, int index);
bool tw_pickle_is_text(const tw_pickle *pickle, int32_t value, const char *text);

#endif
