/* io/yaml.c - walks libyaml's events with a small stack of open mappings; what settings do not need (aliases, tags,
 * several documents) is refused, so that the flat list says all there is. libyaml's own memory comes from malloc. */
#include "io/yaml.h"

#include "base/file.h"
#include "base/text.h"

#include <string.h>
#include <yaml.h>

/* Every key met, those of mappings too, to find duplicates. */
typedef struct seen_key {
    char *key;
    int line;
} seen_key;

typedef struct walker {
    tw_context *ctx;
    const char *label;
    yaml_parser_t parser;
    tw_text path;                    /* dotted path of the key being read */
    size_t above[TW_YAML_MAX_DEPTH]; /* length of `path` outside each open mapping */
    int depth;                       /* open mappings */
    bool has_key;                    /* a key was read, its value comes next */
    int line, column;                /* of that key */
    bool in_list;
    int list_items;
    tw_text list;
    tw_setting *item;
    seen_key *seen;
    int64_t count, capacity, seen_count, seen_capacity;
} walker;

static tw_status fail_at(const walker *w, yaml_mark_t mark, tw_status status, const char *what)
{
    return tw_fail(w->ctx, status, "%s:%zu:%zu: %s", w->label, mark.line + 1, mark.column + 1, what);
}

static tw_status fail_parser(const walker *w)
{
    const yaml_parser_t *p = &w->parser;
    const char *what = p->problem ? p->problem : "not YAML";
    if (p->error == YAML_MEMORY_ERROR) return tw_fail_memory(w->ctx, TW_YAML_MAX_BYTES);
    if (p->error == YAML_READER_ERROR) {
        if (p->problem_value != -1)
            return tw_fail(w->ctx, TW_ERR_FORMAT, "%s: byte %zu (0x%02X): %s", w->label, p->problem_offset + 1,
                           (unsigned)p->problem_value & 0xFFu, what);
        return tw_fail(w->ctx, TW_ERR_FORMAT, "%s: byte %zu: %s", w->label, p->problem_offset + 1, what);
    }
    return tw_fail(w->ctx, TW_ERR_FORMAT, "%s:%zu:%zu: %s%s%s", w->label, p->problem_mark.line + 1,
                   p->problem_mark.column + 1, what, p->context ? ", " : "", p->context ? p->context : "");
}

/* The path of a key: that of its mapping, a dot, the key. Refuses a path met before. */
static tw_status take_key(walker *w, const yaml_event_t *event)
{
    const char *key = (const char *)event->data.scalar.value;
    size_t above = w->above[w->depth - 1];
    w->path.length = above;
    if (event->data.scalar.length == 0) return fail_at(w, event->start_mark, TW_ERR_FORMAT, "an empty key");
    tw_text_add(&w->path, above ? ".%s" : "%s", key);
    tw_status status = tw_text_check(&w->path);
    if (status != TW_OK) return status;
    for (int64_t i = 0; i < w->seen_count; i++)
        if (strcmp(w->seen[i].key, w->path.data) == 0)
            return tw_fail(w->ctx, TW_ERR_FORMAT, "%s:%zu:%zu: '%s' was set before, on line %d", w->label,
                           event->start_mark.line + 1, event->start_mark.column + 1, w->path.data, w->seen[i].line);
    if (w->seen_count == TW_YAML_MAX_SETTINGS) return fail_at(w, event->start_mark, TW_ERR_FORMAT, "too many keys");
    status = tw_grow(w->ctx, &w->seen, &w->seen_capacity, w->seen_count + 1, sizeof(seen_key));
    if (status != TW_OK) return status;
    w->has_key = true;
    w->line = (int)event->start_mark.line + 1;
    w->column = (int)event->start_mark.column + 1;
    char *copy = tw_strdup(w->ctx, w->path.data);
    if (!copy) return tw_fail_memory(w->ctx, w->path.length + 1);
    w->seen[w->seen_count++] = (seen_key){copy, w->line};
    return TW_OK;
}

static tw_status add_setting(walker *w, const char *value)
{
    tw_status status = tw_grow(w->ctx, &w->item, &w->capacity, w->count + 1, sizeof(tw_setting));
    if (status != TW_OK) return status;
    tw_setting *s = &w->item[w->count];
    *s = (tw_setting){.line = w->line, .column = w->column};
    s->key = tw_strdup(w->ctx, w->path.data);
    s->value = tw_strdup(w->ctx, value);
    w->count++;
    w->has_key = false;
    return s->key && s->value ? TW_OK : tw_fail_memory(w->ctx, strlen(value) + 1);
}

static tw_status take_list_item(walker *w, const yaml_event_t *event)
{
    const char *value = (const char *)event->data.scalar.value;
    bool comma = strchr(value, ',') != NULL;
    if (comma && strchr(value, '"'))
        return fail_at(w, event->start_mark, TW_ERR_UNSUPPORTED, "a list item with both a comma and a quote");
    if (w->list_items++) tw_text_add(&w->list, ",");
    tw_text_add(&w->list, comma ? "\"%s\"" : "%s", value);
    return tw_text_check(&w->list);
}

static tw_status take_scalar(walker *w, const yaml_event_t *event)
{
    if (event->data.scalar.anchor)
        return fail_at(w, event->start_mark, TW_ERR_UNSUPPORTED, "anchors (&) are not supported");
    if (event->data.scalar.tag) return fail_at(w, event->start_mark, TW_ERR_UNSUPPORTED, "tags (!) are not supported");
    if (strlen((const char *)event->data.scalar.value) != event->data.scalar.length)
        return fail_at(w, event->start_mark, TW_ERR_FORMAT, "a text with a zero byte");
    if (w->in_list) return take_list_item(w, event);
    if (w->depth == 0) {
        if (event->data.scalar.length == 0) return TW_OK; /* `---` and nothing more */
        return fail_at(w, event->start_mark, TW_ERR_FORMAT, "expected 'key: value' lines");
    }
    return w->has_key ? add_setting(w, (const char *)event->data.scalar.value) : take_key(w, event);
}

static tw_status open_mapping(walker *w, const yaml_event_t *event)
{
    if (event->data.mapping_start.anchor)
        return fail_at(w, event->start_mark, TW_ERR_UNSUPPORTED, "anchors (&) are not supported");
    if (event->data.mapping_start.tag)
        return fail_at(w, event->start_mark, TW_ERR_UNSUPPORTED, "tags (!) are not supported");
    if (w->in_list) return fail_at(w, event->start_mark, TW_ERR_UNSUPPORTED, "a list may hold plain values only");
    if (w->depth > 0 && !w->has_key)
        return fail_at(w, event->start_mark, TW_ERR_UNSUPPORTED, "a key must be a plain text");
    if (w->depth == TW_YAML_MAX_DEPTH)
        return tw_fail(w->ctx, TW_ERR_UNSUPPORTED, "%s:%zu:%zu: nested deeper than %d levels", w->label,
                       event->start_mark.line + 1, event->start_mark.column + 1, TW_YAML_MAX_DEPTH);
    w->above[w->depth++] = w->path.length;
    w->has_key = false;
    return TW_OK;
}

static tw_status open_list(walker *w, const yaml_event_t *event)
{
    if (event->data.sequence_start.anchor)
        return fail_at(w, event->start_mark, TW_ERR_UNSUPPORTED, "anchors (&) are not supported");
    if (event->data.sequence_start.tag)
        return fail_at(w, event->start_mark, TW_ERR_UNSUPPORTED, "tags (!) are not supported");
    if (w->in_list) return fail_at(w, event->start_mark, TW_ERR_UNSUPPORTED, "a list may hold plain values only");
    if (w->depth == 0) return fail_at(w, event->start_mark, TW_ERR_FORMAT, "expected 'key: value' lines");
    if (!w->has_key) return fail_at(w, event->start_mark, TW_ERR_UNSUPPORTED, "a key must be a plain text");
    w->in_list = true;
    w->list_items = 0;
    w->list.length = 0;
    tw_text_add_bytes(&w->list, "", 0);
    return tw_text_check(&w->list);
}

static tw_status take_event(walker *w, const yaml_event_t *event, int *documents)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if ((*documents)++ == 0) return TW_OK;
        return fail_at(w, event->start_mark, TW_ERR_UNSUPPORTED, "a second document (---)");
    case YAML_ALIAS_EVENT:
        return fail_at(w, event->start_mark, TW_ERR_UNSUPPORTED, "aliases (*) are not supported");
    case YAML_SCALAR_EVENT:
        return take_scalar(w, event);
    case YAML_MAPPING_START_EVENT:
        return open_mapping(w, event);
    case YAML_SEQUENCE_START_EVENT:
        return open_list(w, event);
    case YAML_MAPPING_END_EVENT:
        w->path.length = w->above[--w->depth];
        w->has_key = false;
        return TW_OK;
    case YAML_SEQUENCE_END_EVENT:
        w->in_list = false;
        return add_setting(w, w->list.data);
    default:
        return TW_OK;
    }
}

static tw_status walk(walker *w)
{
    int documents = 0;
    for (bool more = true; more;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&w->parser, &event)) return fail_parser(w);
        more = event.type != YAML_STREAM_END_EVENT;
        tw_status status = take_event(w, &event, &documents);
        yaml_event_delete(&event);
        if (status != TW_OK) return status;
    }
    return TW_OK;
}

tw_status tw_yaml_parse(tw_context *ctx, const char *label, const char *bytes, size_t size, tw_settings *out_settings)
{
    walker w = {.ctx = ctx, .label = label, .path = tw_text_new(ctx), .list = tw_text_new(ctx)};
    if (size > TW_YAML_MAX_BYTES)
        return tw_fail(ctx, TW_ERR_FORMAT, "%s: longer than 1 MiB: these are no settings", label);
    if (!yaml_parser_initialize(&w.parser)) return tw_fail_memory(ctx, sizeof w.parser);
    yaml_parser_set_input_string(&w.parser, (const unsigned char *)bytes, size);
    tw_status status = walk(&w);
    tw_settings settings = {w.item, (int)w.count};
    if (status == TW_OK)
        *out_settings = settings;
    else
        tw_settings_free(ctx, &settings);
    for (int64_t i = 0; i < w.seen_count; i++) tw_free(ctx, w.seen[i].key);
    tw_free(ctx, w.seen);
    tw_text_free(&w.path);
    tw_text_free(&w.list);
    yaml_parser_delete(&w.parser);
    return status;
}

tw_status tw_yaml_read(tw_context *ctx, const char *path, tw_settings *out_settings)
{
    char *bytes = NULL;
    size_t size = 0;
    tw_status status = tw_file_read(ctx, path, false, TW_YAML_MAX_BYTES, &bytes, &size);
    if (status == TW_OK) status = tw_yaml_parse(ctx, path, bytes, size, out_settings);
    tw_free(ctx, bytes);
    return status;
}

void tw_settings_free(tw_context *ctx, tw_settings *settings)
{
    for (int i = 0; i < settings->count; i++) {
        tw_free(ctx, settings->item[i].key);
        tw_free(ctx, settings->item[i].value);
    }
    tw_free(ctx, settings->item);
    *settings = (tw_settings){0};
}
