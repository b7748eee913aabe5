/* graph/parse.c - reads what print.c writes: recursive descent over lines, errors by line and column.
 *
 * Nodes are appended as they stand, without simplification, so that the text says exactly which nodes there are; dtype
 * and shape of each line are checked against inference. Functions before the text proper are read into graphs of their
 * own; a custom function is found by its name among those declared in the graph. Blank lines and comments from # on are
 * skipped. */
#include "base/text.h"
#include "graph/attr.h"
#include "graph/function.h"

#include <stdio.h>
#include <string.h>

typedef struct parser {
    tw_graph *root;        /* the graph given: errors go there */
    tw_graph *g;           /* the graph being read: root, or the body of a function */
    const char *at, *line; /* reading position, start of its line */
    int line_number;
    int32_t *ids; /* node of each %number */
    int64_t ids_count, ids_capacity;
    tw_val *args;
    int64_t args_count, args_capacity;
    double *elements;
    int64_t elements_count, elements_capacity;
    tw_val *inputs;
    int64_t inputs_count, inputs_capacity;
    tw_function **functions; /* @number; held */
    int64_t functions_count, functions_capacity;
    tw_text string;
    bool failed;
} parser;

/* Fails at position `at` of the current line; the first failure stays. */
static bool fail_at(parser *p, const char *at, const char *format, ...) TW_PRINTF(3, 4);
static bool fail_at(parser *p, const char *at, const char *format, ...)
{
    char what[256];
    va_list list;
    va_start(list, format);
    if (vsnprintf(what, sizeof what, format, list) < 0) what[0] = 0;
    va_end(list);
    if (!p->failed)
        tw_graph_fail(p->root, TW_ERR_FORMAT, "graph text, line %d, column %d: %s", p->line_number,
                      (int)(at - p->line) + 1, what);
    p->failed = true;
    return false;
}

static bool out_of_memory(parser *p)
{
    tw_graph_fail(p->root, TW_ERR_MEMORY, "out of memory: graph text, line %d", p->line_number);
    p->failed = true;
    return false;
}

static bool reserve(parser *p, void *ptr, int64_t *capacity, int64_t need, size_t size)
{
    return tw_grow(p->root->ctx, ptr, capacity, need, size) == TW_OK || out_of_memory(p);
}

/* --- characters --- */

static void skip_blanks(parser *p)
{
    while (*p->at == ' ' || *p->at == '\t' || *p->at == '\r') p->at++;
    if (*p->at == '#') p->at += strcspn(p->at, "\n");
}

static void skip_lines(parser *p)
{
    for (skip_blanks(p); *p->at == '\n'; skip_blanks(p)) {
        p->line = ++p->at;
        p->line_number++;
    }
}

static bool peek(parser *p, char c)
{
    skip_blanks(p);
    return *p->at == c;
}

static bool accept(parser *p, char c)
{
    if (!peek(p, c)) return false;
    p->at++;
    return true;
}

static bool expect(parser *p, char c)
{
    return accept(p, c) || fail_at(p, p->at, "expected '%c'", c);
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

/* A lower-case word, copied to `word`. */
static bool read_word(parser *p, char *word, size_t size)
{
    skip_blanks(p);
    size_t length = 0;
    while (is_name_char(p->at[length])) length++;
    if (length == 0 || length >= size) return fail_at(p, p->at, "expected a name");
    memcpy(word, p->at, length);
    word[length] = 0;
    p->at += length;
    return true;
}

static bool read_number(parser *p, double *out_number)
{
    skip_blanks(p);
    size_t length = strspn(p->at, "+-.0123456789aefinAEFINty");
    if (length == 0 || !tw_parse_double(p->at, length, out_number)) return fail_at(p, p->at, "expected a number");
    p->at += length;
    return true;
}

static bool read_whole(parser *p, int64_t *out_number)
{
    skip_blanks(p);
    char digits[32];
    size_t length = strspn(p->at, "-0123456789");
    if (length > 0 && length < sizeof digits) {
        memcpy(digits, p->at, length);
        digits[length] = 0;
        if (tw_parse_int(digits, out_number)) {
            p->at += length;
            return true;
        }
    }
    return fail_at(p, p->at, "expected a whole number");
}

/* [1,2,3] with at most TW_MAX_RANK numbers. */
static bool read_list(parser *p, int64_t *list, int *out_count)
{
    *out_count = 0;
    if (!expect(p, '[')) return false;
    if (accept(p, ']')) return true;
    do {
        if (*out_count == TW_MAX_RANK) return fail_at(p, p->at, "more than %d numbers in a list", TW_MAX_RANK);
        if (!read_whole(p, &list[(*out_count)++])) return false;
    } while (accept(p, ','));
    return expect(p, ']');
}

/* --- strings --- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* \uXXXX of a control character: the printer escapes nothing else this way. */
static bool read_unicode_escape(parser *p)
{
    int code = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(p->at[i]);
        if (digit < 0) return fail_at(p, p->at, "expected four hexadecimal digits");
        code = 16 * code + digit;
    }
    if (code == 0 || code > 127) return fail_at(p, p->at, "only \\u0001 to \\u007f are read");
    p->at += 4;
    tw_text_add_bytes(&p->string, (char[]){(char)code}, 1);
    return true;
}

static bool read_escape(parser *p)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *found = *p->at ? strchr(from, *p->at) : NULL;
    if (*p->at == 'u') {
        p->at++;
        return read_unicode_escape(p);
    }
    if (!found) return fail_at(p, p->at, "unknown escape");
    p->at++;
    tw_text_add_bytes(&p->string, &to[found - from], 1);
    return true;
}

static bool read_string(parser *p)
{
    const char *begin = p->at;
    p->string.length = 0;
    if (!expect(p, '"')) return false;
    while (*p->at != '"') {
        if (*p->at == 0 || *p->at == '\n') return fail_at(p, begin, "a string without end");
        if (*p->at == '\\') {
            p->at++;
            if (!read_escape(p)) return false;
        } else {
            tw_text_add_bytes(&p->string, p->at++, 1);
        }
    }
    p->at++;
    if (!p->string.failed) return true;
    return out_of_memory(p);
}

/* --- parts of a line --- */

static bool read_value(parser *p, tw_val *out_value)
{
    const char *begin = p->at;
    int64_t number;
    if (!expect(p, '%') || !read_whole(p, &number)) return false;
    if (number < 0 || number >= p->ids_count) return fail_at(p, begin, "%%%lld is not defined yet", (long long)number);
    *out_value = tw_val_of(p->g, p->ids[number]);
    return true;
}

static bool read_op(parser *p, tw_op *out_op)
{
    char word[32];
    const char *names[TW_OP_COUNT];
    skip_blanks(p);
    const char *begin = p->at;
    if (!read_word(p, word, sizeof word)) return false;
    for (int op = 0; op < TW_OP_COUNT; op++) {
        names[op] = tw_op_table[op].name;
        if (strcmp(names[op], word) != 0) continue;
        *out_op = (tw_op)op;
        return true;
    }
    const char *near = tw_nearest_name(word, names, TW_OP_COUNT);
    return fail_at(p, begin, "no op is called %s%s%s%s", word, near ? " (" : "", near ? near : "", near ? "?)" : "");
}

static bool read_dtype(parser *p, tw_dtype *out_dtype)
{
    char word[16];
    skip_blanks(p);
    const char *begin = p->at;
    if (!read_word(p, word, sizeof word)) return false;
    for (int d = 0; d < TW_DTYPE_COUNT; d++) {
        if (strcmp(tw_dtype_name((tw_dtype)d), word) != 0) continue;
        *out_dtype = (tw_dtype)d;
        return true;
    }
    return fail_at(p, begin, "no number type is called %s", word);
}

/* What stands between the parentheses: a name, numbers or values. */
static bool read_args(parser *p, tw_op op)
{
    p->args_count = p->elements_count = 0;
    if (!expect(p, '(')) return false;
    if (op == TW_OP_input) return read_string(p) && expect(p, ')');
    if (accept(p, ')')) return true;
    do {
        if (op == TW_OP_const) {
            if (!reserve(p, &p->elements, &p->elements_capacity, p->elements_count + 1, sizeof *p->elements) ||
                !read_number(p, &p->elements[p->elements_count++]))
                return false;
        } else {
            if (!reserve(p, &p->args, &p->args_capacity, p->args_count + 1, sizeof *p->args) ||
                !read_value(p, &p->args[p->args_count++]))
                return false;
        }
    } while (accept(p, ','));
    return expect(p, ')');
}

static bool read_field(parser *p, tw_op op, tw_field_value *values)
{
    char word[32];
    skip_blanks(p);
    const char *begin = p->at;
    if (!read_word(p, word, sizeof word)) return false;
    for (int i = 0; i < tw_fields_count; i++) {
        if (tw_fields[i].op != op || strcmp(tw_fields[i].name, word) != 0) continue;
        tw_field_value *v = &values[tw_fields[i].kind];
        if (v->present) return fail_at(p, begin, "%s is given twice", word);
        v->present = true;
        if (!expect(p, '=')) return false;
        if (tw_field_is_function(tw_fields[i].kind)) return expect(p, '@') && read_number(p, &v->number);
        return tw_fields[i].is_list ? read_list(p, v->list, &v->count) : read_number(p, &v->number);
    }
    return fail_at(p, begin, "%s has no attribute %s", tw_op_table[op].name, word);
}

static bool read_fields(parser *p, tw_op op, tw_field_value *values)
{
    const char *begin = p->at;
    if (accept(p, '{')) {
        do
            if (!read_field(p, op, values)) return false;
        while (accept(p, ','));
        if (!expect(p, '}')) return false;
    }
    for (int i = 0; i < tw_fields_count; i++)
        if (tw_fields[i].op == op && !values[tw_fields[i].kind].present)
            return fail_at(p, begin, "%s needs {%s=...}", tw_op_table[op].name, tw_fields[i].name);
    return true;
}

/* --- lines --- */

static bool store_constant(parser *p, tw_draft *d, const char *begin)
{
    if (!tw_shape_is_valid(d->shape) || tw_shape_size(d->shape) != p->elements_count)
        return fail_at(p, begin, "%lld numbers for a constant of shape %s", (long long)p->elements_count,
                       tw_shape_show(d->shape).text);
    d->attr.data = tw_graph_store(p->g, NULL, p->elements_count * (int64_t)tw_dtype_size(d->dtype));
    if (d->attr.data < 0) return false;
    for (int64_t i = 0; i < p->elements_count; i++)
        tw_store_element(p->g->data + d->attr.data, d->dtype, i, p->elements[i]);
    return true;
}

static bool store_input(parser *p, tw_draft *d)
{
    d->attr.name = tw_graph_store_name(p->g, p->string.length ? p->string.data : "");
    d->attr.number = p->g->inputs_count++;
    return d->attr.name >= 0 && reserve(p, &p->inputs, &p->inputs_capacity, p->inputs_count + 1, sizeof *p->inputs);
}

/* The stated dtype and shape are what inference finds. */
static bool check_stated(parser *p, const char *begin, const tw_draft *d, tw_dtype dtype, tw_shape shape)
{
    if (d->dtype == dtype && tw_shape_equal(d->shape, shape)) return true;
    return fail_at(p, begin, "%s makes %s%s, not %s%s", tw_op_table[d->op].name, tw_dtype_name(d->dtype),
                   tw_shape_show(d->shape).text, tw_dtype_name(dtype), tw_shape_show(shape).text);
}

static bool append_node(parser *p, const char *begin, const char *type_begin, tw_draft *d)
{
    tw_dtype dtype = d->dtype;
    tw_shape shape = d->shape;
    if (d->op == TW_OP_const && !store_constant(p, d, begin)) return false;
    if (d->op == TW_OP_input && !store_input(p, d)) return false;
    d->args = p->args;
    d->count = (int)p->args_count;
    tw_val made = tw_graph_append_as_is(d);
    if (made.id < 0) return false;
    if (!check_stated(p, type_begin, d, dtype, shape)) return false;
    if (d->op == TW_OP_input) p->inputs[p->inputs_count++] = made;
    if (!reserve(p, &p->ids, &p->ids_capacity, p->ids_count + 1, sizeof *p->ids)) return false;
    p->ids[p->ids_count++] = made.id;
    return true;
}

/* Numbers of functions in the text become those of the graph being read. */
static bool adopt_functions(parser *p, const char *begin, tw_draft *d)
{
    for (int i = 0; i < tw_fields_count; i++) {
        if (tw_fields[i].op != d->op || !tw_field_is_function(tw_fields[i].kind)) continue;
        int32_t *number = &d->attr.function[tw_fields[i].kind - TW_FIELD_FUNCTION_A];
        if (*number >= p->functions_count) return fail_at(p, begin, "function @%d is not defined yet", *number);
        *number = tw_graph_adopt(p->g, p->functions[*number]);
        if (*number < 0) return false;
    }
    return true;
}

/* %7 = op(...) {...} dtype[dims] */
static bool read_node(parser *p)
{
    tw_field_value fields[TW_FIELD_KINDS] = {{0}};
    tw_draft d = {.graph = p->g};
    int64_t number, dims[TW_MAX_RANK];
    int rank;
    const char *begin = p->at;
    if (!expect(p, '%') || !read_whole(p, &number)) return false;
    if (number != p->ids_count)
        return fail_at(p, begin, "expected %%%lld: nodes are numbered in order", (long long)p->ids_count);
    if (!expect(p, '=') || !read_op(p, &d.op) || !read_args(p, d.op) || !read_fields(p, d.op, fields)) return false;
    skip_blanks(p);
    const char *type_begin = p->at;
    if (!read_dtype(p, &d.dtype) || !read_list(p, dims, &rank)) return false;
    d.shape = tw_shape_make(rank, dims);
    if (!tw_attr_from_fields(fields, d.op, rank, &d.attr))
        return fail_at(p, begin, "the attributes of %s do not fit its %d axes or are out of range",
                       tw_op_table[d.op].name, rank);
    if (!adopt_functions(p, begin, &d)) return false;
    return append_node(p, begin, type_begin, &d);
}

/* return %7, %9 */
static bool read_return(parser *p)
{
    char word[16];
    skip_blanks(p);
    const char *begin = p->at;
    if (!read_word(p, word, sizeof word)) return false;
    if (strcmp(word, "return") != 0) return fail_at(p, begin, "expected %% or return");
    p->args_count = 0;
    if (p->g != p->root && peek(p, '\n')) return true; /* a function may return nothing */
    do {
        skip_blanks(p);
        if (!reserve(p, &p->args, &p->args_capacity, p->args_count + 1, sizeof *p->args) ||
            !read_value(p, &p->args[p->args_count++]))
            return false;
    } while (accept(p, ','));
    return true;
}

static bool end_of_line(parser *p)
{
    skip_blanks(p);
    return *p->at == '\n' || *p->at == 0 || fail_at(p, p->at, "expected the end of the line");
}

static bool read_lines(parser *p)
{
    p->ids_count = p->inputs_count = 0;
    for (skip_lines(p); *p->at == '%'; skip_lines(p))
        if (!read_node(p) || !end_of_line(p)) return false;
    if (!read_return(p)) return false;
    skip_lines(p);
    return true;
}

static bool add_function(parser *p, tw_function *f)
{
    if (!reserve(p, &p->functions, &p->functions_capacity, p->functions_count + 1, sizeof *p->functions)) return false;
    f->references++;
    p->functions[p->functions_count++] = f;
    return true;
}

/* { lines }, the body of a function; what its graph refuses is told with the line. */
static bool read_body(parser *p)
{
    tw_graph *root = p->root, *body = NULL;
    tw_function *f = NULL;
    const char *begin = p->at;
    if (!expect(p, '{')) return false;
    if (tw_graph_create(root->ctx, &body) != TW_OK) return out_of_memory(p);
    p->g = body;
    bool read = read_lines(p) && expect(p, '}');
    p->g = root;
    if (!read) {
        if (!p->failed && body->status != TW_OK)
            tw_graph_fail(root, body->status, "graph text, line %d: %s", p->line_number, body->error);
        p->failed = true;
        tw_graph_destroy(body);
        return false;
    }
    tw_status status = tw_function_close(body, (int)p->inputs_count, p->inputs, (int)p->args_count, p->args, &f);
    if (status == TW_ERR_MEMORY) return out_of_memory(p);
    if (status != TW_OK) return fail_at(p, begin, "%s", tw_context_error(root->ctx));
    bool added = add_function(p, f);
    tw_function_release(f);
    return added;
}

static bool read_custom(parser *p)
{
    skip_blanks(p);
    const char *begin = p->at;
    if (!read_string(p)) return false;
    const char *name = p->string.length ? p->string.data : "";
    for (int64_t i = 0; i < p->root->functions_count; i++) {
        tw_function *f = p->root->functions[i];
        if (!f->graph && strcmp(f->custom.name, name) == 0) return add_function(p, f);
    }
    return fail_at(p, begin, "no custom function of this name is declared in the graph");
}

/* function @0 { ... } or custom @0 "name" */
static bool read_definition(parser *p)
{
    char word[16];
    int64_t number;
    const char *begin = p->at;
    if (!read_word(p, word, sizeof word)) return false;
    bool custom = strcmp(word, "custom") == 0;
    if (!custom && strcmp(word, "function") != 0) return fail_at(p, begin, "expected function, custom, %% or return");
    skip_blanks(p);
    begin = p->at;
    if (!expect(p, '@') || !read_whole(p, &number)) return false;
    if (number != p->functions_count)
        return fail_at(p, begin, "expected @%lld: functions are numbered in order", (long long)p->functions_count);
    return (custom ? read_custom(p) : read_body(p)) && end_of_line(p);
}

static bool read_text(parser *p)
{
    for (skip_lines(p); *p->at == 'f' || *p->at == 'c'; skip_lines(p))
        if (!read_definition(p)) return false;
    if (!read_lines(p)) return false;
    return *p->at == 0 || fail_at(p, p->at, "text after return");
}

static tw_status hand_out(parser *p)
{
    tw_graph *g = p->g;
    size_t count = (size_t)(p->inputs_count + p->args_count);
    g->parsed = tw_alloc(g->ctx, count, sizeof *g->parsed);
    if (!g->parsed) return tw_fail_memory(g->ctx, count * sizeof *g->parsed);
    for (int64_t i = 0; i < p->inputs_count; i++) g->parsed[i] = p->inputs[i];
    for (int64_t k = 0; k < p->args_count; k++) g->parsed[p->inputs_count + k] = p->args[k];
    return TW_OK;
}

tw_status tw_graph_parse(tw_graph *g, const char *text, int *out_inputs_count, const tw_val **out_inputs,
                         int *out_outputs_count, const tw_val **out_outputs)
{
    parser p = {.root = g, .g = g, .at = text, .line = text, .line_number = 1};
    tw_status status = tw_graph_check(g);
    if (status != TW_OK) return status;
    if (g->count > 0 || g->parsed) return tw_fail(g->ctx, TW_ERR_INVALID, "graph_parse: the graph is not empty");
    p.string = tw_text_new(g->ctx);
    bool read = read_text(&p);
    if (!read && !p.failed) { /* append refused the node and said why */
        status = tw_graph_check(g);
        status = tw_fail(g->ctx, status, "graph text, line %d: %s", p.line_number, g->error);
    } else {
        status = tw_graph_check(g);
    }
    if (status == TW_OK) status = hand_out(&p);
    if (status == TW_OK) {
        *out_inputs_count = (int)p.inputs_count;
        *out_inputs = g->parsed;
        *out_outputs_count = (int)p.args_count;
        *out_outputs = g->parsed + p.inputs_count;
    }
    tw_free(g->ctx, p.ids);
    tw_free(g->ctx, p.args);
    tw_free(g->ctx, p.elements);
    tw_free(g->ctx, p.inputs);
    for (int64_t i = 0; i < p.functions_count; i++) tw_function_release(p.functions[i]);
    tw_free(g->ctx, p.functions);
    tw_text_free(&p.string);
    return status;
}
