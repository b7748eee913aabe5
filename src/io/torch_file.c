/* io/torch_file.c - see torch_file.h. Layout of both kinds: torch/serialization.py, torch/csrc/jit/serialization. */
#include "io/torch_file.h"

#include "base/file.h"
#include "base/text.h"
#include "io/pickle.h"
#include "io/safetensors.h"

#include <stdio.h>
#include <string.h>

/* Bytes of all storages that are unpacked; torch.save packs none. */
static const uint64_t MOST_UNPACKED = (uint64_t)5 << 30;
enum { MOST_DEPTH = 32, MOST_TENSORS = 1 << 18, NAME_SIZE = 512 };

/* A file of before 1.6 begins with pickles of a magic number and of its version, 1001. */
static const unsigned char old_head[] = {0x80, 2,    0x8a, 10,  0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a,
                                         0xa8, 0x50, 0x19, '.', 0x80, 2,    'M',  0xe9, 3,    '.'};

typedef struct reader {
    tw_torch_file f;
    tw_pickle pickle;
    bool old;         /* of before 1.6: all storages are known before any tensor is */
    char prefix[256]; /* of the members' names, with the slash */
    char name[NAME_SIZE];
    int64_t visits;
    uint64_t unpacked;
} reader;

static tw_status fail_file(const reader *r, const char *what)
{
    return tw_fail(r->f.ctx, TW_ERR_FORMAT, "%s: not a sound PyTorch file: %s", r->f.zip.label, what);
}

/* The member called `name` behind the prefix. */
static tw_status find_member(const reader *r, const char *name, size_t length, tw_zip_member *out)
{
    size_t at = r->f.zip.directory, prefix = strlen(r->prefix);
    for (int i = 0; i < r->f.zip.count; i++) {
        tw_status status = tw_zip_next(&r->f.zip, &at, out);
        if (status != TW_OK) return status;
        if (out->name_length == prefix + length && memcmp(out->name, r->prefix, prefix) == 0 &&
            memcmp(out->name + prefix, name, length) == 0)
            return TW_OK;
    }
    return tw_fail(r->f.ctx, TW_ERR_FORMAT, "%s: not a sound PyTorch file: member '%.*s' is missing", r->f.zip.label,
                   (int)(length < 60 ? length : 60), name);
}

/* All members lie in one folder, whose name the file had when it was written. */
static tw_status find_prefix(reader *r)
{
    static const char pickle[] = "data.pkl";
    size_t at = r->f.zip.directory, length = strlen(pickle);
    for (int i = 0; i < r->f.zip.count; i++) {
        tw_zip_member m;
        tw_status status = tw_zip_next(&r->f.zip, &at, &m);
        if (status != TW_OK) return status;
        if (m.name_length < length || memcmp(m.name + m.name_length - length, pickle, length) != 0) continue;
        if (m.name_length > length && m.name[m.name_length - length - 1] != '/') continue;
        if (m.name_length - length >= sizeof r->prefix) break;
        memcpy(r->prefix, m.name, m.name_length - length);
        return TW_OK;
    }
    return tw_fail(r->f.ctx, TW_ERR_FORMAT, "%s: a zip without data.pkl is no PyTorch file", r->f.zip.label);
}

static tw_status fail_order(const reader *r)
{
    return tw_fail(r->f.ctx, TW_ERR_UNSUPPORTED, "%s: numbers of another byte order are not read", r->f.zip.label);
}

static tw_status check_order(const reader *r)
{
    tw_zip_member m;
    const unsigned char *bytes;
    unsigned char *owned = NULL;
    if (find_member(r, "byteorder", 9, &m) != TW_OK) return TW_OK; /* of before 2.1: little */
    tw_status status = m.size == 6 ? tw_zip_unpack(&r->f.zip, &m, &bytes, &owned) : TW_OK;
    if (status == TW_OK && (m.size != 6 || memcmp(bytes, "little", 6) != 0)) status = fail_order(r);
    tw_free(r->f.ctx, owned);
    return status;
}

/* --- tensors ------------------------------------------------------------------------------------------------------ */

/* Up to `limit` whole numbers of a list. */
static tw_status read_numbers(const reader *r, int32_t list, int limit, int64_t *out, int *out_count)
{
    const tw_pickle *p = &r->pickle;
    int count = 0;
    if (list < 0 || p->value[list].kind != TW_PICKLE_LIST) return fail_file(r, "the shape of a tensor is no tuple");
    for (int32_t c = p->value[list].list.first; c >= 0; c = p->cell[c].next) {
        const tw_pickle_value *v = &p->value[p->cell[c].value];
        if (count == limit) return fail_file(r, "a tensor has too many axes");
        if (v->kind != TW_PICKLE_INT || v->number < 0 || v->number > INT32_MAX)
            return fail_file(r, "the shape of a tensor is not of whole numbers");
        out[count++] = v->number;
    }
    *out_count = count;
    return TW_OK;
}

/* The storage of this name: which number it has. */
static tw_status find_storage(reader *r, const char *key, size_t length, int32_t *out_storage)
{
    char name[96];
    tw_zip_member m = {.name = key, .name_length = length};
    for (int64_t i = 0; i < r->f.storages && r->old; i++) {
        const tw_zip_member *known = &r->f.storage[i].member;
        if (known->name_length == length && memcmp(known->name, key, length) == 0)
            return *out_storage = (int32_t)i, TW_OK;
    }
    if (r->old) return fail_file(r, "a storage is missing");
    int full = snprintf(name, sizeof name, "data/%.*s", (int)length, key);
    tw_status status = find_member(r, name, (size_t)full, &m);
    if (status != TW_OK) return status;
    /* known by their entries in the directory, several of which may name one place in the file */
    for (int64_t i = r->f.storages - 1; i >= 0; i--)
        if (r->f.storage[i].member.name == m.name) return *out_storage = (int32_t)i, TW_OK;
    if (m.method != 0 && (m.size > MOST_UNPACKED || (r->unpacked += m.size) > MOST_UNPACKED))
        return fail_file(r, "its packed storages would take too much memory");
    status = tw_grow(r->f.ctx, &r->f.storage, &r->f.storages_capacity, r->f.storages + 1, sizeof(tw_torch_storage));
    if (status != TW_OK) return status;
    r->f.storage[r->f.storages] = (tw_torch_storage){.member = m};
    *out_storage = (int32_t)r->f.storages++;
    return TW_OK;
}

/* What a persistent id ("storage", type, key, device, elements) says; before 1.6 another follows, what the storage is a
 * part of, which is not read. */
typedef struct described {
    const tw_pickle_value *key;
    const char *dtype;
    int64_t size;
} described;

static tw_status describe_storage(const reader *r, int32_t value, described *out)
{
    const tw_pickle *p = &r->pickle;
    if (value < 0 || p->value[value].kind != TW_PICKLE_PERSISTENT) return fail_file(r, "a tensor has no storage");
    int32_t id = p->value[value].list.first, type = tw_pickle_item(p, id, 1), key = tw_pickle_item(p, id, 2);
    int32_t size = tw_pickle_item(p, id, 4), part = tw_pickle_item(p, id, 5);
    bool named = type >= 0 && p->value[type].kind == TW_PICKLE_NAME &&
                 tw_pickle_names[p->value[type].number].role == TW_PICKLE_IS_STORAGE;
    if (!tw_pickle_is_text(p, tw_pickle_item(p, id, 0), "storage") || !named || key < 0 || size < 0 ||
        p->value[key].kind != TW_PICKLE_TEXT || p->value[size].kind != TW_PICKLE_INT || p->value[size].number < 0)
        return fail_file(r, "a storage is not described as one");
    if (part >= 0 && p->value[part].kind != TW_PICKLE_NONE) return fail_file(r, "a storage is a part of another");
    if (p->value[key].text.length > 64) return fail_file(r, "the name of a storage is too long");
    *out = (described){&p->value[key], tw_pickle_names[p->value[type].number].dtype, p->value[size].number};
    return TW_OK;
}

static tw_status read_storage(reader *r, int32_t value, int32_t *out_storage, const char **out_dtype, int64_t *out_size)
{
    described d;
    tw_status status = describe_storage(r, value, &d);
    if (status == TW_OK) status = find_storage(r, d.key->text.bytes, d.key->text.length, out_storage);
    if (status != TW_OK) return status;
    if ((uint64_t)d.size > r->f.storage[*out_storage].member.size / tw_safetensors_dtype_size(d.dtype))
        return fail_file(r, "a storage claims more numbers than it has");
    *out_dtype = d.dtype;
    *out_size = d.size;
    return TW_OK;
}

/* Whether every element lies within the storage. */
static bool lies_inside(const tw_torch_tensor *t, int64_t size)
{
    int64_t last = t->offset, elements = 1;
    for (int i = 0; i < t->shape.rank; i++) {
        if (t->shape.dim[i] == 0) return true;
        int64_t reach;
        if (__builtin_mul_overflow(elements, t->shape.dim[i], &elements) ||
            __builtin_mul_overflow(t->shape.dim[i] - 1, t->stride[i], &reach) ||
            __builtin_add_overflow(last, reach, &last))
            return false;
    }
    return elements <= size && last < size;
}

/* Arguments: storage, offset, shape, strides, ... */
static tw_status read_tensor(reader *r, int32_t value)
{
    const tw_pickle *p = &r->pickle;
    int32_t args = p->value[value].list.first, offset = tw_pickle_item(p, args, 1);
    tw_torch_tensor t = {0};
    int64_t size = 0;
    int rank = 0, strides = 0;
    tw_status status = TW_OK;
    if (r->f.count >= MOST_TENSORS) return fail_file(r, "it has too many tensors");
    TW_TRY(read_storage(r, tw_pickle_item(p, args, 0), &t.storage, &t.dtype, &size));
    TW_TRY(read_numbers(r, tw_pickle_item(p, args, 2), TW_MAX_RANK, t.shape.dim, &rank));
    TW_TRY(read_numbers(r, tw_pickle_item(p, args, 3), TW_MAX_RANK, t.stride, &strides));
    t.shape.rank = (int8_t)rank;
    if (offset < 0 || p->value[offset].kind != TW_PICKLE_INT || p->value[offset].number < 0 || strides != rank)
        TW_TRY(fail_file(r, "a tensor is not described as one"));
    t.offset = p->value[offset].number;
    if (!lies_inside(&t, size))
        TW_TRY(tw_fail(r->f.ctx, TW_ERR_FORMAT, "%s: tensor '%s' goes beyond its storage", r->f.zip.label, r->name));
    TW_TRY(tw_grow(r->f.ctx, &r->f.tensor, &r->f.capacity, r->f.count + 1, sizeof(tw_torch_tensor)));
    t.name = tw_strdup(r->f.ctx, r->name);
    if (!t.name) TW_TRY(tw_fail_memory(r->f.ctx, strlen(r->name) + 1));
    r->f.tensor[r->f.count++] = t;
done:
    return status;
}

/* "name.key"; returns the length before. */
static size_t enter(reader *r, const tw_pickle_value *key, int index)
{
    size_t before = strlen(r->name), left = NAME_SIZE - before;
    const char *dot = before ? "." : "";
    if (key && key->kind == TW_PICKLE_TEXT)
        snprintf(r->name + before, left, "%s%.*s", dot, (int)(key->text.length < left ? key->text.length : left),
                 key->text.bytes);
    else
        snprintf(r->name + before, left, "%s%lld", dot,
                 key && key->kind == TW_PICKLE_INT ? (long long)key->number : (long long)index);
    return before;
}

/* Tensors below a value. What is shared is met as often as it is referred to, so that visits are counted, too. */
static tw_status collect(reader *r, int32_t value, int depth)
{
    const tw_pickle *p = &r->pickle;
    const tw_pickle_value *v = &p->value[value];
    tw_status status = TW_OK;
    if (v->kind == TW_PICKLE_TENSOR) return read_tensor(r, value);
    if (v->kind != TW_PICKLE_LIST && v->kind != TW_PICKLE_DICT) return TW_OK;
    if (depth == MOST_DEPTH) return fail_file(r, "its containers are nested too deep");
    int32_t cell = v->list.first;
    for (int i = 0; status == TW_OK && cell >= 0; i++, cell = p->cell[cell].next) {
        const tw_pickle_value *key = NULL;
        if (v->kind == TW_PICKLE_DICT) {
            key = &p->value[p->cell[cell].value];
            cell = p->cell[cell].next;
            if (cell < 0) break;
        }
        if (++r->visits > 1 << 22) return fail_file(r, "it holds too much");
        size_t before = enter(r, key, i);
        status = collect(r, p->cell[cell].value, depth + 1);
        r->name[before] = 0;
    }
    return status;
}

/* --- both kinds of files -------------------------------------------------------------------------------------------
 */

static tw_status read_archive(reader *r, const void *bytes, size_t size)
{
    tw_context *ctx = r->f.ctx;
    const char *label = r->f.zip.label;
    tw_zip_member m;
    const unsigned char *pickle = NULL;
    unsigned char *owned = NULL;
    tw_status status = TW_OK;
    TW_TRY(tw_zip_open(ctx, label, "PyTorch file", "pickle", bytes, size, &r->f.zip));
    TW_TRY(find_prefix(r));
    TW_TRY(check_order(r));
    TW_TRY(find_member(r, "data.pkl", 8, &m));
    TW_TRY(tw_zip_unpack(&r->f.zip, &m, &pickle, &owned));
    TW_TRY(tw_pickle_parse(ctx, label, pickle, (size_t)m.size, &r->pickle));
    TW_TRY(collect(r, r->pickle.root, 0));
done:
    tw_free(ctx, owned);
    return status;
}

/* Bytes of an element of storage `key`, by the first tensor of it. */
static tw_status element_size(const reader *r, const tw_pickle_value *key, size_t *out)
{
    described d;
    for (int64_t i = 0; i < r->pickle.values; i++) {
        if (r->pickle.value[i].kind != TW_PICKLE_PERSISTENT) continue;
        tw_status status = describe_storage(r, (int32_t)i, &d);
        if (status != TW_OK) return status;
        if (d.key->text.length != key->text.length || memcmp(d.key->text.bytes, key->text.bytes, key->text.length) != 0)
            continue;
        *out = tw_safetensors_dtype_size(d.dtype);
        return TW_OK;
    }
    return fail_file(r, "a storage is of no tensor");
}

/* The names of all storages, a list, are followed by each one's number of elements and these. */
static tw_status read_old_storages(reader *r, const tw_pickle *names, const unsigned char *at, const unsigned char *end)
{
    const tw_pickle_value *list = &names->value[names->root];
    if (list->kind != TW_PICKLE_LIST) return fail_file(r, "the names of its storages are no list");
    if ((double)list->list.count * (double)r->pickle.values > 0x1p32) return fail_file(r, "it holds too much");
    for (int32_t c = list->list.first; c >= 0; c = names->cell[c].next) {
        const tw_pickle_value *key = &names->value[names->cell[c].value];
        uint64_t count = 0;
        size_t element = 0;
        if (key->kind != TW_PICKLE_TEXT) return fail_file(r, "the name of a storage is no text");
        tw_status status = element_size(r, key, &element);
        if (status == TW_OK)
            status =
                tw_grow(r->f.ctx, &r->f.storage, &r->f.storages_capacity, r->f.storages + 1, sizeof(tw_torch_storage));
        if (status != TW_OK) return status;
        if (end - at < 8) return fail_file(r, "it ends early");
        for (int i = 0; i < 8; i++) count |= (uint64_t)at[i] << (8 * i);
        at += 8;
        if (count > (uint64_t)(end - at) / element) return fail_file(r, "it ends early");
        const tw_zip_member m = {.name = key->text.bytes, .name_length = key->text.length, .size = count * element};
        r->f.storage[r->f.storages++] = (tw_torch_storage){.member = m, .bytes = at};
        at += count * element;
    }
    return TW_OK;
}

/* By the dictionary of a writer's machine. */
static bool is_big_endian(const tw_pickle *p)
{
    if (p->value[p->root].kind != TW_PICKLE_DICT) return false;
    for (int32_t key = p->value[p->root].list.first, next; key >= 0; key = p->cell[next].next) {
        if ((next = p->cell[key].next) < 0) break;
        const tw_pickle_value *v = &p->value[p->cell[next].value];
        if (tw_pickle_is_text(p, p->cell[key].value, "little_endian"))
            return v->kind == TW_PICKLE_BOOL && v->number == 0;
    }
    return false;
}

/* Pickles of the writer's machine, of what was saved, and of the names of its storages, behind the head. */
static tw_status read_old(reader *r, const unsigned char *at, const unsigned char *end)
{
    tw_context *ctx = r->f.ctx;
    const char *label = r->f.zip.label;
    tw_pickle machine = {.ctx = ctx}, names = {.ctx = ctx};
    tw_status status = TW_OK;
    r->old = true;
    at += sizeof old_head;
    TW_TRY(tw_pickle_parse(ctx, label, at, (size_t)(end - at), &machine));
    if (is_big_endian(&machine)) TW_TRY(fail_order(r));
    at += machine.size;
    TW_TRY(tw_pickle_parse(ctx, label, at, (size_t)(end - at), &r->pickle));
    at += r->pickle.size;
    TW_TRY(tw_pickle_parse(ctx, label, at, (size_t)(end - at), &names));
    TW_TRY(read_old_storages(r, &names, at + names.size, end));
    TW_TRY(collect(r, r->pickle.root, 0));
done:
    tw_pickle_free(&machine);
    tw_pickle_free(&names);
    return status;
}

tw_status tw_torch_parse(tw_context *ctx, const char *label, const void *bytes, size_t size, tw_torch_file *out_file)
{
    reader *r = tw_alloc(ctx, 1, sizeof *r);
    const unsigned char *head = bytes;
    tw_status status = TW_OK;
    if (!r) return tw_fail_memory(ctx, sizeof *r);
    r->f.ctx = r->pickle.ctx = ctx;
    r->f.zip.label = label;
    if (size >= sizeof old_head && memcmp(head, old_head, sizeof old_head) == 0)
        TW_TRY(read_old(r, head, head + size));
    else if (size >= 2 && head[0] == 0x80 && head[1] <= 5)
        TW_TRY(
            tw_fail(ctx, TW_ERR_UNSUPPORTED, "%s: a pickle, but not what torch.save writes: save it by that", label));
    else
        TW_TRY(read_archive(r, bytes, size));
    *out_file = r->f;
    r->f = (tw_torch_file){.ctx = ctx};
done:
    tw_torch_free(&r->f);
    tw_pickle_free(&r->pickle);
    tw_free(ctx, r);
    return status;
}

tw_status tw_torch_read(tw_context *ctx, const char *path, tw_torch_file *out_file)
{
    char *buffer = NULL;
    size_t size = 0;
    tw_status status = tw_file_read(ctx, path, false, 0, &buffer, &size);
    if (status != TW_OK) return status;
    status = tw_torch_parse(ctx, path, buffer, size, out_file);
    if (status == TW_OK)
        out_file->buffer = buffer;
    else
        tw_free(ctx, buffer);
    return status;
}

tw_status tw_torch_elements(tw_torch_file *file, int64_t tensor, void *out)
{
    const tw_torch_tensor *t = &file->tensor[tensor];
    tw_torch_storage *s = &file->storage[t->storage];
    size_t element = tw_safetensors_dtype_size(t->dtype);
    int64_t index[TW_MAX_RANK] = {0}, count = tw_shape_size(t->shape), at = t->offset;
    char *to = out;
    if (!s->bytes) {
        tw_status status = tw_zip_unpack(&file->zip, &s->member, &s->bytes, &s->owned);
        if (status != TW_OK) return status;
    }
    for (int64_t i = 0; i < count; i++, to += element) {
        memcpy(to, s->bytes + (size_t)at * element, element);
        for (int k = t->shape.rank - 1; k >= 0; k--) {
            at += t->stride[k];
            if (++index[k] < t->shape.dim[k]) break;
            at -= index[k] * t->stride[k];
            index[k] = 0;
        }
    }
    return TW_OK;
}

void tw_torch_free(tw_torch_file *file)
{
    tw_context *ctx = file->ctx;
    if (!ctx) return;
    for (int64_t i = 0; i < file->count; i++) tw_free(ctx, file->tensor[i].name);
    for (int64_t i = 0; i < file->storages; i++) tw_free(ctx, file->storage[i].owned);
    tw_free(ctx, file->tensor);
    tw_free(ctx, file->storage);
    tw_free(ctx, file->buffer);
    *file = (tw_torch_file){0};
}
