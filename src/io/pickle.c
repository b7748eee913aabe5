/* io/pickle.c - see pickle.h. Opcodes: the table at the end of Python's Lib/pickletools.py. */
#include "io/pickle.h"

#include <stdio.h>
#include <string.h>

enum { MOST_VALUES = 1 << 22, MOST_STACK = 1 << 20, NAME_LENGTH = 100 };

const tw_pickle_name tw_pickle_names[] = {
    {"collections", "OrderedDict", NULL, TW_PICKLE_MAKES_DICT},
    {"argparse", "Namespace", NULL, TW_PICKLE_MAKES_OBJECT}, /* what a training script was called with */
    {"torch._utils", "_rebuild_tensor_v2", NULL, TW_PICKLE_MAKES_TENSOR},
    {"torch", "FloatStorage", "F32", TW_PICKLE_IS_STORAGE},
    {"torch", "DoubleStorage", "F64", TW_PICKLE_IS_STORAGE},
    {"torch", "HalfStorage", "F16", TW_PICKLE_IS_STORAGE},
    {"torch", "BFloat16Storage", "BF16", TW_PICKLE_IS_STORAGE},
    {"torch", "LongStorage", "I64", TW_PICKLE_IS_STORAGE},
    {"torch", "IntStorage", "I32", TW_PICKLE_IS_STORAGE},
    {"torch", "ShortStorage", "I16", TW_PICKLE_IS_STORAGE},
    {"torch", "CharStorage", "I8", TW_PICKLE_IS_STORAGE},
    {"torch", "ByteStorage", "U8", TW_PICKLE_IS_STORAGE},
    {"torch", "BoolStorage", "BOOL", TW_PICKLE_IS_STORAGE},
    {NULL, NULL, NULL, TW_PICKLE_MAKES_DICT},
};

typedef struct machine {
    tw_context *ctx;
    const char *label;
    const unsigned char *bytes;
    size_t size, at;
    tw_pickle p;
    int32_t *stack, *mark, *memo; /* memo: a value, -1: none */
    int64_t depth, stack_capacity, marks, mark_capacity, memos, memo_capacity;
    tw_status status; /* the first failure */
} machine;

static void fail(machine *m, const char *what)
{
    if (m->status == TW_OK)
        m->status = tw_fail(m->ctx, TW_ERR_FORMAT, "%s: its pickle is damaged at byte %zu: %s", m->label, m->at, what);
}

/* --- bytes -------------------------------------------------------------------------------------------------------- */

static const unsigned char *take(machine *m, uint64_t count)
{
    static const unsigned char nothing[8];
    if (m->status == TW_OK && count > m->size - m->at) fail(m, "it ends early");
    if (m->status != TW_OK) return nothing;
    m->at += (size_t)count;
    return m->bytes + m->at - (size_t)count;
}

static uint64_t take_number(machine *m, int count)
{
    const unsigned char *p = take(m, (uint64_t)count);
    uint64_t value = 0;
    for (int i = 0; i < count; i++) value |= (uint64_t)p[i] << (8 * i);
    return value;
}

/* A text of as many bytes as a number of `width` bytes says, or, width 0, up to the end of the line. */
static void take_text(machine *m, int width, const char **out_bytes, size_t *out_length)
{
    uint64_t length = 0;
    if (width > 0) length = take_number(m, width);
    while (width == 0 && m->at + length < m->size && m->bytes[m->at + length] != '\n') length++;
    *out_bytes = (const char *)take(m, length);
    *out_length = m->status == TW_OK ? (size_t)length : 0;
    if (width == 0) (void)take(m, 1);
}

/* --- values and the stack ----------------------------------------------------------------------------------------- */

static int32_t make(machine *m, tw_pickle_value value)
{
    if (m->status == TW_OK && m->p.values >= MOST_VALUES) fail(m, "it holds too much");
    if (m->status == TW_OK)
        m->status = tw_grow(m->ctx, &m->p.value, &m->p.values_capacity, m->p.values + 1, sizeof(tw_pickle_value));
    if (m->status != TW_OK) return 0;
    m->p.value[m->p.values] = value;
    return (int32_t)m->p.values++;
}

static void push(machine *m, int32_t value)
{
    if (m->status == TW_OK && m->depth >= MOST_STACK) fail(m, "its stack is too deep");
    if (m->status == TW_OK) m->status = tw_grow(m->ctx, &m->stack, &m->stack_capacity, m->depth + 1, sizeof(int32_t));
    if (m->status == TW_OK) m->stack[m->depth++] = value;
}

static void push_value(machine *m, tw_pickle_value value)
{
    push(m, make(m, value));
}

static void push_list(machine *m, int kind)
{
    push_value(m, (tw_pickle_value){.kind = (tw_pickle_kind)kind, .list = {-1, -1, 0, false}});
}

/* Values above the last mark. */
static int64_t above_mark(const machine *m)
{
    return m->depth - (m->marks ? m->mark[m->marks - 1] : 0);
}

static int32_t pop(machine *m)
{
    if (m->status == TW_OK && above_mark(m) < 1) fail(m, "its stack is empty");
    return m->status == TW_OK ? m->stack[--m->depth] : 0;
}

static int32_t top(machine *m)
{
    if (m->status == TW_OK && above_mark(m) < 1) fail(m, "its stack is empty");
    return m->status == TW_OK ? m->stack[m->depth - 1] : 0;
}

static void append(machine *m, int32_t list, int32_t item)
{
    if (m->status == TW_OK && m->p.cells >= MOST_VALUES) fail(m, "it holds too much");
    if (m->status == TW_OK)
        m->status = tw_grow(m->ctx, &m->p.cell, &m->p.cells_capacity, m->p.cells + 1, sizeof(tw_pickle_cell));
    if (m->status != TW_OK) return;
    tw_pickle_value *v = &m->p.value[list];
    int32_t cell = (int32_t)m->p.cells++;
    m->p.cell[cell] = (tw_pickle_cell){item, -1};
    if (v->list.last >= 0) m->p.cell[v->list.last].next = cell;
    if (v->list.first < 0) v->list.first = cell;
    v->list.last = cell;
    v->list.count++;
}

static tw_pickle_kind kind_of(const machine *m, int32_t value)
{
    return m->status == TW_OK ? m->p.value[value].kind : TW_PICKLE_NONE;
}

static void set_mark(machine *m, int unused)
{
    (void)unused;
    if (m->marks >= MOST_STACK) fail(m, "its stack is too deep");
    if (m->status == TW_OK) m->status = tw_grow(m->ctx, &m->mark, &m->mark_capacity, m->marks + 1, sizeof(int32_t));
    if (m->status == TW_OK) m->mark[m->marks++] = (int32_t)m->depth;
}

/* Values from the last mark on become the list's, and leave the stack with the mark. */
static void gather(machine *m, int32_t list)
{
    if (m->status == TW_OK && m->marks == 0) fail(m, "a mark is missing");
    if (m->status != TW_OK) return;
    int64_t from = m->mark[--m->marks];
    for (int64_t i = from; i < m->depth; i++) append(m, list, m->stack[i]);
    m->depth = from;
}

static void gather_new(machine *m, int kind)
{
    int32_t list = make(m, (tw_pickle_value){.kind = (tw_pickle_kind)kind, .list = {-1, -1, 0, false}});
    gather(m, list);
    push(m, list);
}

static void gather_into(machine *m, int kind)
{
    int64_t below = m->marks > 0 ? m->mark[m->marks - 1] - 1 : -1;
    if (m->status == TW_OK && below < 0) fail(m, "a mark is missing");
    if (m->status != TW_OK) return;
    if ((int)kind_of(m, m->stack[below]) != kind) fail(m, "what it fills is no container");
    int32_t list = m->stack[below];
    if (kind == TW_PICKLE_DICT && above_mark(m) % 2) fail(m, "a key has no value");
    gather(m, list);
}

static void gather_few(machine *m, int count)
{
    int32_t item[3] = {0}, list = make(m, (tw_pickle_value){.kind = TW_PICKLE_LIST, .list = {-1, -1, 0, false}});
    for (int i = count - 1; i >= 0; i--) item[i] = pop(m);
    for (int i = 0; i < count; i++) append(m, list, item[i]);
    push(m, list);
}

/* At a place of so many bytes; 0: the next one. */
static void remember(machine *m, int width)
{
    uint64_t place = width > 0 ? take_number(m, width) : (uint64_t)m->memos;
    int32_t value = top(m);
    if (place >= MOST_VALUES) fail(m, "it remembers too much");
    while (m->status == TW_OK && m->memos <= (int64_t)place) {
        m->status = tw_grow(m->ctx, &m->memo, &m->memo_capacity, m->memos + 1, sizeof(int32_t));
        if (m->status == TW_OK) m->memo[m->memos++] = -1;
    }
    if (m->status == TW_OK) m->memo[place] = value;
}

static void recall(machine *m, int width)
{
    uint64_t place = take_number(m, width);
    if (m->status != TW_OK) return;
    if (place >= (uint64_t)m->memos || m->memo[place] < 0)
        fail(m, "it asks for what it has not remembered");
    else
        push(m, m->memo[place]);
}

/* --- names and calls ---------------------------------------------------------------------------------------------- */

static void push_name(machine *m, const char *module, size_t module_length, const char *name, size_t length)
{
    if (m->status != TW_OK) return;
    for (int i = 0; tw_pickle_names[i].module; i++) {
        const tw_pickle_name *n = &tw_pickle_names[i];
        if (strlen(n->module) == module_length && memcmp(n->module, module, module_length) == 0 &&
            strlen(n->name) == length && memcmp(n->name, name, length) == 0) {
            push_value(m, (tw_pickle_value){.kind = TW_PICKLE_NAME, .number = i});
            return;
        }
    }
    char shown[2 * NAME_LENGTH + 2];
    snprintf(shown, sizeof shown, "%.*s.%.*s", (int)tw_min_i64((int64_t)module_length, NAME_LENGTH), module,
             (int)tw_min_i64((int64_t)length, NAME_LENGTH), name);
    for (char *c = shown; *c; c++)
        if (*c < ' ' || *c > '~') *c = '?';
    m->status = tw_fail(m->ctx, TW_ERR_UNSUPPORTED,
                        "%s: its pickle asks for %s, which is not made here: only tensors and plain containers are",
                        m->label, shown);
}

static void push_stack_name(machine *m, int unused)
{
    int32_t name = pop(m), module = pop(m);
    (void)unused;
    if (kind_of(m, name) != TW_PICKLE_TEXT || kind_of(m, module) != TW_PICKLE_TEXT) fail(m, "a name is no text");
    if (m->status != TW_OK) return;
    const tw_pickle_value *a = &m->p.value[module], *b = &m->p.value[name];
    push_name(m, a->text.bytes, a->text.length, b->text.bytes, b->text.length);
}

/* A dictionary from the pairs it is called with: nothing, or a list of (key, value). */
static void call_dict(machine *m, int32_t args)
{
    int32_t pairs = tw_pickle_item(&m->p, args, 0);
    push_list(m, TW_PICKLE_DICT);
    int32_t dict = top(m);
    if (m->status != TW_OK || pairs < 0 || kind_of(m, pairs) != TW_PICKLE_LIST) return;
    for (int32_t c = m->p.value[pairs].list.first; m->status == TW_OK && c >= 0; c = m->p.cell[c].next) {
        int32_t pair = m->p.cell[c].value;
        if (kind_of(m, pair) != TW_PICKLE_LIST || m->p.value[pair].list.count != 2) {
            fail(m, "a dictionary is made of something else than pairs");
            return;
        }
        append(m, dict, tw_pickle_item(&m->p, pair, 0));
        append(m, dict, tw_pickle_item(&m->p, pair, 1));
    }
}

static void call(machine *m, int unused)
{
    int32_t args = pop(m), name = pop(m);
    (void)unused;
    if (m->status != TW_OK) return;
    if (kind_of(m, name) != TW_PICKLE_NAME || kind_of(m, args) != TW_PICKLE_LIST) {
        fail(m, "it calls what is no function");
        return;
    }
    switch (tw_pickle_names[m->p.value[name].number].role) {
    case TW_PICKLE_MAKES_DICT:
        call_dict(m, args);
        break;
    case TW_PICKLE_MAKES_OBJECT:
        push_value(m, (tw_pickle_value){.kind = TW_PICKLE_DICT, .list = {-1, -1, 0, true}});
        break;
    case TW_PICKLE_MAKES_TENSOR:
        push_value(m, (tw_pickle_value){.kind = TW_PICKLE_TENSOR, .list = {args, -1, 0, false}});
        break;
    case TW_PICKLE_IS_STORAGE:
        fail(m, "it calls a storage");
        break;
    }
}

/* State of an object: the fields of a Namespace become the dictionary's, attributes of a dictionary are left out. */
static void build(machine *m, int unused)
{
    int32_t state = pop(m), object = top(m);
    (void)unused;
    if (m->status != TW_OK) return;
    if (kind_of(m, object) != TW_PICKLE_DICT) fail(m, "it gives a state to what has none");
    if (kind_of(m, state) != TW_PICKLE_DICT || m->status != TW_OK || !m->p.value[object].list.fields) return;
    for (int32_t c = m->p.value[state].list.first; m->status == TW_OK && c >= 0 && state != object;
         c = m->p.cell[c].next)
        append(m, object, m->p.cell[c].value);
}

/* --- opcodes ------------------------------------------------------------------------------------------------------ */

static void push_text(machine *m, int width)
{
    tw_pickle_value v = {.kind = TW_PICKLE_TEXT};
    take_text(m, width, &v.text.bytes, &v.text.length);
    push_value(m, v);
}

static void push_long(machine *m, int unused)
{
    (void)unused;
    uint64_t width = take_number(m, 1);
    if (m->status == TW_OK && width > 8) fail(m, "a whole number has more than 64 bits");
    const unsigned char *p = take(m, width);
    uint64_t value = width > 0 && m->status == TW_OK && p[width - 1] & 0x80 ? ~(uint64_t)0 : 0;
    for (uint64_t i = 0; m->status == TW_OK && i < width; i++) {
        value &= ~((uint64_t)0xFF << (8 * i));
        value |= (uint64_t)p[i] << (8 * i);
    }
    push_value(m, (tw_pickle_value){.kind = TW_PICKLE_INT, .number = (int64_t)value});
}

static void push_real(machine *m, int unused)
{
    (void)unused;
    const unsigned char *p = take(m, 8);
    uint64_t bits = 0;
    double real;
    for (int i = 0; i < 8; i++) bits = bits << 8 | p[i];
    memcpy(&real, &bits, sizeof real);
    push_value(m, (tw_pickle_value){.kind = TW_PICKLE_FLOAT, .real = real});
}

static void push_int(machine *m, int width)
{
    uint64_t number = take_number(m, width < 0 ? -width : width);
    int64_t value = width < 0 ? (int64_t)(int32_t)(uint32_t)number : (int64_t)number;
    push_value(m, (tw_pickle_value){.kind = TW_PICKLE_INT, .number = value});
}

static void push_global(machine *m, int unused)
{
    (void)unused;
    const char *module, *name;
    size_t module_length, length;
    take_text(m, 0, &module, &module_length);
    take_text(m, 0, &name, &length);
    push_name(m, module, module_length, name, length);
}

static void append_one(machine *m, int unused)
{
    int32_t item = pop(m), list = top(m);
    (void)unused;
    if (kind_of(m, list) != TW_PICKLE_LIST) fail(m, "what it fills is no container");
    append(m, list, item);
}

static void set_one(machine *m, int unused)
{
    int32_t item = pop(m), key = pop(m), dict = top(m);
    (void)unused;
    if (kind_of(m, dict) != TW_PICKLE_DICT) fail(m, "what it fills is no container");
    append(m, dict, key);
    append(m, dict, item);
}

static void push_none(machine *m, int unused)
{
    (void)unused;
    push_value(m, (tw_pickle_value){.kind = TW_PICKLE_NONE});
}

static void push_bool(machine *m, int value)
{
    push_value(m, (tw_pickle_value){.kind = TW_PICKLE_BOOL, .number = value});
}

static void push_persistent(machine *m, int unused)
{
    (void)unused;
    push_value(m, (tw_pickle_value){.kind = TW_PICKLE_PERSISTENT, .list = {pop(m), -1, 0}});
}

static void discard(machine *m, int unused)
{
    (void)unused;
    (void)pop(m);
}

static void duplicate(machine *m, int unused)
{
    (void)unused;
    push(m, top(m));
}

static void skip(machine *m, int count)
{
    (void)take(m, (uint64_t)count);
}

/* Every opcode this machine has; the argument is a width in bytes (of BININT negative: signed), a kind, a count. */
static const struct {
    unsigned char code;
    void (*run)(machine *m, int argument);
    int argument;
} opcodes[] = {
    {'N', push_none, 0},
    {0x88, push_bool, 1},
    {0x89, push_bool, 0},
    {'J', push_int, -4},
    {'K', push_int, 1},
    {'M', push_int, 2},
    {0x8a, push_long, 0},
    {'G', push_real, 0},
    {'X', push_text, 4},
    {'T', push_text, 4},
    {0x8c, push_text, 1},
    {'U', push_text, 1},
    {0x8d, push_text, 8},
    {'c', push_global, 0},
    {0x93, push_stack_name, 0},
    {'(', set_mark, 0},
    {']', push_list, TW_PICKLE_LIST},
    {')', push_list, TW_PICKLE_LIST},
    {'}', push_list, TW_PICKLE_DICT},
    {'l', gather_new, TW_PICKLE_LIST},
    {'t', gather_new, TW_PICKLE_LIST},
    {0x85, gather_few, 1},
    {0x86, gather_few, 2},
    {0x87, gather_few, 3},
    {'e', gather_into, TW_PICKLE_LIST},
    {'u', gather_into, TW_PICKLE_DICT},
    {'a', append_one, 0},
    {'s', set_one, 0},
    {'R', call, 0},
    {0x81, call, 0},
    {'b', build, 0},
    {'Q', push_persistent, 0},
    {'q', remember, 1},
    {'r', remember, 4},
    {0x94, remember, 0},
    {'h', recall, 1},
    {'j', recall, 4},
    {'0', discard, 0},
    {'2', duplicate, 0},
    {0x95, skip, 8},
};

static void step(machine *m, int code)
{
    char what[80];
    for (int i = 0; i < TW_COUNT(opcodes); i++)
        if (opcodes[i].code == code) {
            opcodes[i].run(m, opcodes[i].argument);
            return;
        }
    snprintf(what, sizeof what, "opcode 0x%02x makes something else than tensors and containers", (unsigned)code);
    fail(m, what);
}

static void run(machine *m)
{
    if (take_number(m, 1) != 0x80) fail(m, "it does not begin as one of protocol 2 or later");
    uint64_t protocol = take_number(m, 1);
    if (m->status == TW_OK && (protocol < 2 || protocol > 5)) fail(m, "its protocol is not 2 to 5");
    while (m->status == TW_OK) {
        int code = (int)take_number(m, 1);
        if (code == '.' || m->status != TW_OK) break;
        step(m, code);
    }
    if (m->status == TW_OK && (m->depth != 1 || m->marks > 0)) fail(m, "more than one value is left");
    m->p.root = pop(m);
    m->p.size = m->at;
}

tw_status tw_pickle_parse(tw_context *ctx, const char *label, const void *bytes, size_t size, tw_pickle *out_pickle)
{
    machine m = {.ctx = ctx, .label = label, .bytes = bytes, .size = size, .p = {.ctx = ctx}};
    run(&m);
    tw_free(ctx, m.stack);
    tw_free(ctx, m.mark);
    tw_free(ctx, m.memo);
    if (m.status == TW_OK)
        *out_pickle = m.p;
    else
        tw_pickle_free(&m.p);
    return m.status;
}

void tw_pickle_free(tw_pickle *pickle)
{
    tw_free(pickle->ctx, pickle->value);
    tw_free(pickle->ctx, pickle->cell);
    *pickle = (tw_pickle){0};
}

int32_t tw_pickle_item(const tw_pickle *pickle, int32_t list, int index)
{
    const tw_pickle_value *v = &pickle->value[list];
    if (v->kind != TW_PICKLE_LIST && v->kind != TW_PICKLE_DICT) return -1;
    int32_t cell = v->list.first;
    for (int i = 0; i < index && cell >= 0; i++) cell = pickle->cell[cell].next;
    return cell < 0 ? -1 : pickle->cell[cell].value;
}

bool tw_pickle_is_text(const tw_pickle *pickle, int32_t value, const char *text)
{
    if (value < 0 || pickle->value[value].kind != TW_PICKLE_TEXT) return false;
    const tw_pickle_value *v = &pickle->value[value];
    return v->text.length == strlen(text) && memcmp(v->text.bytes, text, v->text.length) == 0;
}
