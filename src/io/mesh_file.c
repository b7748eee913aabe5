/* io/mesh_file.c - see mesh_file.h. One walk through the lines for all three formats; only the binary .ply leaves it
 * behind its header (Turk 1994, The PLY polygon file format). */
#include "io/mesh_file.h"

#include "base/file.h"
#include "base/text.h"

#include <string.h>

enum { MOST_CORNERS = 256, MOST_PROPERTIES = 64 };

typedef struct reader {
    tw_context *ctx;
    const char *label, *at, *end;
    int64_t line; /* number of the one last taken, from 1 */
    tw_mesh_arrays mesh;
} reader;

static tw_status fail(const reader *r, const char *expected)
{
    return tw_fail(r->ctx, TW_ERR_FORMAT, "%s: line %lld: expected %s", r->label, (long long)r->line, expected);
}

/* --- lines and words -------------------------------------------------------------------------------------------------
 */

typedef struct words {
    const char *at, *end;
} words;

static bool take_line(reader *r, words *out)
{
    if (r->at >= r->end) return false;
    const char *stop = memchr(r->at, '\n', (size_t)(r->end - r->at));
    out->at = r->at;
    out->end = stop ? stop : r->end;
    r->at = stop ? stop + 1 : r->end;
    r->line++;
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static bool take_word(words *w, const char **out, size_t *out_length)
{
    while (w->at < w->end && is_blank(*w->at)) w->at++;
    *out = w->at;
    while (w->at < w->end && !is_blank(*w->at)) w->at++;
    *out_length = (size_t)(w->at - *out);
    return *out_length > 0 && **out != '#';
}

static bool take_is(words *w, const char *word)
{
    const char *text;
    size_t length;
    return take_word(w, &text, &length) && length == strlen(word) && memcmp(text, word, length) == 0;
}

static bool take_number(words *w, double *out)
{
    const char *text;
    size_t length;
    return take_word(w, &text, &length) && tw_parse_double(text, length, out);
}

/* The whole number that a word begins with, as i of i/j/k. */
static bool take_whole(words *w, int64_t *out)
{
    const char *text;
    size_t length, digits = 0;
    double value;
    if (!take_word(w, &text, &length)) return false;
    while (digits < length && text[digits] != '/') digits++;
    if (!tw_parse_double(text, digits, &value) || !(value > -2e9 && value < 2e9)) return false;
    *out = (int64_t)value;
    return (double)*out == value;
}

/* --- what is found ---------------------------------------------------------------------------------------------------
 */

static tw_status add_vertex(reader *r, const double *x)
{
    tw_mesh_arrays *m = &r->mesh;
    tw_status status = tw_grow(r->ctx, &m->vertex, &m->vertex_capacity, 3 * (m->vertices + 1), sizeof(double));
    if (status != TW_OK) return status;
    memcpy(m->vertex + 3 * m->vertices++, x, 3 * sizeof(double));
    return TW_OK;
}

static tw_status add_polygon(reader *r, int corners, const int32_t *corner)
{
    tw_mesh_arrays *m = &r->mesh;
    if (corners < 3) return fail(r, "three corners of a face at least");
    tw_status status = tw_grow(r->ctx, &m->face, &m->face_capacity, 3 * (m->faces + corners - 2), sizeof(int32_t));
    for (int i = 2; status == TW_OK && i < corners; i++) {
        int32_t *face = m->face + 3 * m->faces++;
        face[0] = corner[0];
        face[1] = corner[i - 1];
        face[2] = corner[i];
    }
    return status;
}

static tw_status read_vertex(reader *r, words *w)
{
    double x[3];
    for (int i = 0; i < 3; i++)
        if (!take_number(w, &x[i])) return fail(r, "three coordinates of a vertex");
    return add_vertex(r, x);
}

/* --- .obj ------------------------------------------------------------------------------------------------------------
 */

/* Numbers from 1, or back from the last vertex with -1. */
static tw_status read_obj_face(reader *r, words *w)
{
    int32_t corner[MOST_CORNERS];
    int count = 0;
    int64_t number;
    for (;;) {
        const char *text;
        size_t length;
        words ahead = *w;
        if (!take_word(&ahead, &text, &length)) break;
        if (!take_whole(w, &number)) return fail(r, "numbers of vertices");
        if (count == MOST_CORNERS) return fail(r, "at most 256 corners of a face");
        corner[count++] = (int32_t)(number < 0 ? r->mesh.vertices + number : number - 1);
    }
    return add_polygon(r, count, corner);
}

static tw_status read_obj(reader *r)
{
    words w;
    tw_status status = TW_OK;
    while (status == TW_OK && take_line(r, &w)) {
        words rest = w, again = w;
        if (take_is(&rest, "v"))
            status = read_vertex(r, &rest);
        else if (take_is(&again, "f"))
            status = read_obj_face(r, &again);
    }
    return status;
}

/* --- .off ------------------------------------------------------------------------------------------------------------
 */

/* The next line that says something. */
static bool take_telling(reader *r, words *out)
{
    const char *text;
    size_t length;
    while (take_line(r, out)) {
        words ahead = *out;
        if (take_word(&ahead, &text, &length)) return true;
    }
    return false;
}

static tw_status read_counted_face(reader *r, words *w)
{
    int32_t corner[MOST_CORNERS];
    int64_t count = 0, number;
    if (!take_whole(w, &count) || count < 3 || count > MOST_CORNERS)
        return fail(r, "how many corners a face has, 3 to 256");
    for (int64_t i = 0; i < count; i++) {
        if (!take_whole(w, &number)) return fail(r, "numbers of vertices");
        corner[i] = (int32_t)number;
    }
    return add_polygon(r, (int)count, corner);
}

static tw_status read_off(reader *r)
{
    words w;
    int64_t vertices, faces;
    tw_status status = TW_OK;
    if (!take_telling(r, &w) || !take_is(&w, "OFF")) return fail(r, "OFF");
    if (!take_telling(r, &w) || !take_whole(&w, &vertices) || !take_whole(&w, &faces))
        return fail(r, "how many vertices and faces there are");
    for (int64_t i = 0; status == TW_OK && i < vertices; i++)
        status = take_telling(r, &w) ? read_vertex(r, &w) : fail(r, "more vertices");
    for (int64_t i = 0; status == TW_OK && i < faces; i++)
        status = take_telling(r, &w) ? read_counted_face(r, &w) : fail(r, "more faces");
    return status;
}

/* --- .ply ------------------------------------------------------------------------------------------------------------
 */

static const struct {
    const char *name, *other;
    int size;
    bool real, has_sign;
} kinds[] = {{"char", "int8", 1, false, true},    {"uchar", "uint8", 1, false, false},
             {"short", "int16", 2, false, true},  {"ushort", "uint16", 2, false, false},
             {"int", "int32", 4, false, true},    {"uint", "uint32", 4, false, false},
             {"float", "float32", 4, true, true}, {"double", "float64", 8, true, true}};

typedef struct property {
    int kind, length_kind; /* the latter -1: a number, else a list */
    int axis;              /* 0, 1, 2: x, y, z; 3: corners; -1: others */
} property;

typedef struct element {
    int64_t count;
    int properties;
    property property[MOST_PROPERTIES];
} element;

static int take_kind(words *w)
{
    const char *text;
    size_t length;
    if (!take_word(w, &text, &length)) return -1;
    for (int k = 0; k < TW_COUNT(kinds); k++)
        if ((strlen(kinds[k].name) == length && memcmp(kinds[k].name, text, length) == 0) ||
            (strlen(kinds[k].other) == length && memcmp(kinds[k].other, text, length) == 0))
            return k;
    return -1;
}

static tw_status read_property(reader *r, words *w, element *e)
{
    static const char *const names[] = {"x", "y", "z", "vertex_indices", "vertex_index"};
    property p = {.length_kind = -1, .axis = -1};
    words list = *w;
    const char *text;
    size_t length;
    if (e->properties == MOST_PROPERTIES) return fail(r, "at most 64 properties");
    if (take_is(&list, "list")) {
        *w = list;
        p.length_kind = take_kind(w);
        if (p.length_kind < 0) return fail(r, "a type such as uchar");
    }
    p.kind = take_kind(w);
    if (p.kind < 0 || !take_word(w, &text, &length)) return fail(r, "a type such as float, and a name");
    for (int i = 0; i < TW_COUNT(names); i++)
        if (strlen(names[i]) == length && memcmp(names[i], text, length) == 0) p.axis = i < 3 ? i : 3;
    if ((p.axis == 3) != (p.length_kind >= 0)) p.axis = -1;
    e->property[e->properties++] = p;
    return TW_OK;
}

/* A number of binary data, or of the line. */
static bool take_value(reader *r, bool binary, words *w, int kind, double *out)
{
    unsigned char b[8] = {0};
    int size = kinds[kind].size;
    if (!binary) return take_number(w, out);
    if (r->end - r->at < size) return false;
    memcpy(b, r->at, (size_t)size);
    r->at += size;
    uint64_t bits = 0;
    for (int i = 0; i < 8; i++) bits |= (uint64_t)b[i] << (8 * i);
    if (kinds[kind].real && size == 8) {
        memcpy(out, &bits, sizeof bits);
    } else if (kinds[kind].real) {
        float value;
        uint32_t low = (uint32_t)bits;
        memcpy(&value, &low, sizeof value);
        *out = (double)value;
    } else {
        bool below = kinds[kind].has_sign && size < 8 && (bits >> (8 * size - 1) & 1);
        *out = below ? (double)bits - (double)((uint64_t)1 << (8 * size)) : (double)bits;
    }
    return true;
}

static tw_status read_ply_row(reader *r, bool binary, const element *e, bool vertex, bool face)
{
    words w = {0};
    double x[3] = {0};
    int32_t corner[MOST_CORNERS];
    int corners = 0;
    if (!binary && !take_telling(r, &w)) return fail(r, "more rows");
    for (int i = 0; i < e->properties; i++) {
        const property *p = &e->property[i];
        double value = 0, length = 1;
        bool list = p->length_kind >= 0;
        if (list && !take_value(r, binary, &w, p->length_kind, &length)) return fail(r, "a list");
        if (!(length >= 0 && length <= MOST_CORNERS)) return fail(r, "a list of 256 numbers at most");
        for (int k = 0; k < (int)length; k++) {
            if (!take_value(r, binary, &w, p->kind, &value)) return fail(r, "a number for each property");
            if (p->axis == 3 && !(value >= 0 && value < 2e9)) return fail(r, "numbers of vertices");
            if (p->axis == 3) corner[corners++] = (int32_t)value;
            if (p->axis >= 0 && p->axis < 3) x[p->axis] = value;
            if (corners == MOST_CORNERS) return fail(r, "fewer than 256 corners");
        }
    }
    if (vertex) return add_vertex(r, x);
    return face ? add_polygon(r, corners, corner) : TW_OK;
}

/* Rows of an element whose header is read. */
static tw_status read_ply_rows(reader *r, bool binary, const element *e, const char *name, size_t length)
{
    bool vertex = length == 6 && memcmp(name, "vertex", 6) == 0, face = length == 4 && memcmp(name, "face", 4) == 0;
    tw_status status = TW_OK;
    for (int64_t i = 0; status == TW_OK && i < e->count; i++) status = read_ply_row(r, binary, e, vertex, face);
    return status;
}

static tw_status read_ply(reader *r)
{
    enum { MOST = 8 };
    element elements[MOST] = {{0}};
    words names[MOST], w;
    int count = 0;
    bool binary = false, ended = false;
    tw_status status = TW_OK;
    while (!ended && take_line(r, &w)) {
        words a = w, b = w, c = w;
        if (take_is(&a, "element")) {
            size_t length;
            if (count == MOST) return fail(r, "at most 8 elements");
            if (!take_word(&a, &names[count].at, &length) || !take_whole(&a, &elements[count].count))
                return fail(r, "an element and how many there are");
            names[count].end = names[count].at + length;
            count++;
        } else if (take_is(&b, "property") && count > 0) {
            TW_TRY(read_property(r, &b, &elements[count - 1]));
        } else if (take_is(&c, "format")) {
            words text = c;
            binary = take_is(&c, "binary_little_endian");
            if (!binary && !take_is(&text, "ascii")) return fail(r, "format ascii or binary_little_endian");
        }
        ended = take_is(&w, "end_header");
    }
    for (int i = 0; status == TW_OK && i < count; i++)
        status = read_ply_rows(r, binary, &elements[i], names[i].at, (size_t)(names[i].end - names[i].at));
done:
    return status;
}

/* --- all three -------------------------------------------------------------------------------------------------------
 */

tw_status tw_mesh_file_parse(tw_context *ctx, const char *label, const char *bytes, size_t size,
                             tw_mesh_arrays *out_mesh)
{
    reader r = {.ctx = ctx, .label = label, .at = bytes, .end = bytes + size};
    tw_status status = size >= 3 && memcmp(bytes, "ply", 3) == 0   ? read_ply(&r)
                       : size >= 3 && memcmp(bytes, "OFF", 3) == 0 ? read_off(&r)
                                                                   : read_obj(&r);
    if (status == TW_OK && (r.mesh.vertices == 0 || r.mesh.faces == 0))
        status = tw_fail(ctx, TW_ERR_FORMAT, "%s: no mesh: expected vertices and faces of an .obj, .off or .ply file",
                         label);
    if (status == TW_OK)
        *out_mesh = r.mesh;
    else
        tw_mesh_arrays_free(ctx, &r.mesh);
    return status;
}

tw_status tw_mesh_file_read(tw_context *ctx, const char *path, tw_mesh_arrays *out_mesh)
{
    char *bytes = NULL;
    size_t size = 0;
    tw_status status = tw_file_read(ctx, path, true, (size_t)1 << 30, &bytes, &size);
    if (status != TW_OK) return status;
    status = tw_mesh_file_parse(ctx, path, bytes, size, out_mesh);
    tw_free(ctx, bytes);
    return status;
}

void tw_mesh_arrays_free(tw_context *ctx, tw_mesh_arrays *mesh)
{
    tw_free(ctx, mesh->vertex);
    tw_free(ctx, mesh->face);
    *mesh = (tw_mesh_arrays){0};
}
