/* YAML settings: the flat list with its places, and the exact sentence with line and column for what is refused. */
#include "io/yaml.h"

#include "base/text.h"
#include "support/limited_memory.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void expect(const char *input, const char *expected)
{
    tw_context *ctx = tw_context_create(NULL);
    tw_settings settings;
    if (tw_yaml_parse(ctx, "x.yaml", input, strlen(input), &settings) != TW_OK) fail_msg("%s", tw_context_error(ctx));
    tw_text text = tw_text_new(ctx);
    tw_text_add(&text, "%s", "");
    for (int i = 0; i < settings.count; i++)
        tw_text_add(&text, "%d:%d %s=%s\n", settings.item[i].line, settings.item[i].column, settings.item[i].key,
                    settings.item[i].value);
    assert_string_equal(text.data, expected);
    tw_text_free(&text);
    tw_settings_free(ctx, &settings);
    tw_context_destroy(ctx);
}

static void refuse(const char *input, size_t size, const char *sentence)
{
    tw_context *ctx = tw_context_create(NULL);
    tw_settings settings = {0};
    if (tw_yaml_parse(ctx, "x.yaml", input, size, &settings) == TW_OK) fail_msg("accepted: %s", input);
    assert_string_equal(tw_context_error(ctx), sentence);
    assert_null(settings.item);
    tw_context_destroy(ctx);
}

static void lists_settings_with_places(void **state)
{
    (void)state;
    expect("steps: 2000\nlr: 1e-3 # rate\n", "1:1 steps=2000\n2:1 lr=1e-3\n");
    expect("train:\n  steps: 2000\n  network:\n    width: 64\n  seed: 3\nout: runs/a\n",
           "2:3 train.steps=2000\n4:5 train.network.width=64\n5:3 train.seed=3\n6:1 out=runs/a\n");
    expect("{a: 1, b: {c: 2}}", "1:2 a=1\n1:12 b.c=2\n");
    expect("text: 'a: b'\nlong: |\n  two\n  lines\n", "1:1 text=a: b\n2:1 long=two\nlines\n\n");
    expect("nothing:\nflag: yes\n", "1:1 nothing=\n2:1 flag=yes\n");
    expect("a.b: 1\na:\n  c: 2\n", "1:1 a.b=1\n3:3 a.c=2\n");
    expect("m: {}\n", "");
}

static void joins_lists(void **state)
{
    (void)state;
    expect("columns: [a, b, c]\nsplit:\n  - 0.8\n  - 0.1\n  - 0.1\nnone: []\n",
           "1:1 columns=a,b,c\n2:1 split=0.8,0.1,0.1\n6:1 none=\n");
    expect("columns: [a, 'b, c']\n", "1:1 columns=a,\"b, c\"\n");
    expect("a: [1]\nb: [2, 3]\n", "1:1 a=1\n2:1 b=2,3\n");
}

static void accepts_empty_files(void **state)
{
    (void)state;
    expect("", "");
    expect("# only a comment\n", "");
    expect("---\n", "");
    expect("--- {}\n...\n", "");
}

static void refuses_with_places(void **state)
{
    (void)state;
    static const struct {
        const char *input, *sentence;
    } cases[] = {
        {"a: 1\nb: 2\na: 3\n", "x.yaml:3:1: 'a' was set before, on line 1"},
        {"a:\n  b: 1\na.b: 2\n", "x.yaml:3:1: 'a.b' was set before, on line 2"},
        {"a: 1\na:\n  b: 2\n", "x.yaml:2:1: 'a' was set before, on line 1"},
        {"a: &x 1\nb: 2\n", "x.yaml:1:4: anchors (&) are not supported"},
        {"a: 1\nb: *x\n", "x.yaml:2:4: aliases (*) are not supported"},
        {"a: !!int 1\n", "x.yaml:1:4: tags (!) are not supported"},
        {"a: !x {b: 1}\n", "x.yaml:1:4: tags (!) are not supported"},
        {"a: &m {b: 1}\n", "x.yaml:1:4: anchors (&) are not supported"},
        {"a: &l [1]\n", "x.yaml:1:4: anchors (&) are not supported"},
        {"a: !l [1]\n", "x.yaml:1:4: tags (!) are not supported"},
        {"a: [1, [2]]\n", "x.yaml:1:8: a list may hold plain values only"},
        {"a: [{b: 1}]\n", "x.yaml:1:5: a list may hold plain values only"},
        {"a: ['x,\"y']\n", "x.yaml:1:5: a list item with both a comma and a quote"},
        {"- a\n- b\n", "x.yaml:1:1: expected 'key: value' lines"},
        {"just text\n", "x.yaml:1:1: expected 'key: value' lines"},
        {"? [a, b]\n: 1\n", "x.yaml:1:3: a key must be a plain text"},
        {"? {a: b}\n: 1\n", "x.yaml:1:3: a key must be a plain text"},
        {"'': 1\n", "x.yaml:1:1: an empty key"},
        {"a: \"x\\0y\"\n", "x.yaml:1:4: a text with a zero byte"},
        {"a: 1\n---\nb: 2\n", "x.yaml:2:1: a second document (---)"},
        {"a: 1\n  b: 2\n", "x.yaml:2:4: mapping values are not allowed in this context"},
        {"a: [1, 2\nb: 3\n", "x.yaml:2:2: did not find expected ',' or ']', while parsing a flow sequence"},
        {"a: 'open\n", "x.yaml:2:1: found unexpected end of stream, while scanning a quoted scalar"},
        {"a:\n\t- 1\n", "x.yaml:2:1: found character that cannot start any token, while scanning for the next token"},
        {"a: {b: {c: {d: {e: {f: {g: 1}}}}}}\nh: {b: {c: {d: {e: {f: {g: {i: 1}}}}}}}\n"
         "j: {b: {c: {d: {e: {f: {g: {h: {i: 1}}}}}}}}\n",
         "x.yaml:3:32: nested deeper than 8 levels"},
    };
    for (int i = 0; i < TW_COUNT(cases); i++) refuse(cases[i].input, strlen(cases[i].input), cases[i].sentence);
    refuse("a: \xFF\xFE\n", 6, "x.yaml: byte 4 (0xFF): invalid leading UTF-8 octet");
}

static void bounds_its_work(void **state)
{
    (void)state;
    tw_context *ctx = tw_context_create(NULL);
    tw_text text = tw_text_new(ctx);
    for (int i = 0; i <= TW_YAML_MAX_SETTINGS; i++) tw_text_add(&text, "k%d: 1\n", i);
    refuse(text.data, text.length, "x.yaml:2001:1: too many keys");
    text.length = 0;
    while (text.length <= TW_YAML_MAX_BYTES) tw_text_add(&text, "# comment after comment after comment\n");
    refuse(text.data, text.length, "x.yaml: longer than 1 MiB: these are no settings");
    text.length = 0;
    for (int i = 0; i < 2000; i++) tw_text_add(&text, "[");
    tw_settings settings;
    assert_int_not_equal(tw_yaml_parse(ctx, "x", text.data, text.length, &settings), TW_OK);
    tw_text_free(&text);
    tw_context_destroy(ctx);
}

static tw_status parse(tw_context *ctx, void *user)
{
    tw_settings settings;
    tw_status status = tw_yaml_parse(ctx, "x", user, strlen(user), &settings);
    if (status == TW_OK) tw_settings_free(ctx, &settings);
    return status;
}

static tw_status read_path(tw_context *ctx, void *user)
{
    tw_settings settings;
    tw_status status = tw_yaml_read(ctx, user, &settings);
    if (status == TW_OK) tw_settings_free(ctx, &settings);
    return status;
}

static void survives_lack_of_memory(void **state)
{
    (void)state;
    char text[] = "a: 1\nb:\n  c: [1, 2, 'x, y']\n  d: {e: f}\n", path[100];
    run_with_limited_memory(parse, text);
    snprintf(path, sizeof path, "/tmp/thalweg-test-%d.yaml", (int)getpid());
    FILE *f = fopen(path, "w");
    fputs(text, f);
    fclose(f);
    run_with_limited_memory(read_path, path);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_settings_with_places),
        cmocka_unit_test(joins_lists),
        cmocka_unit_test(accepts_empty_files),
        cmocka_unit_test(refuses_with_places),
        cmocka_unit_test(bounds_its_work),
        cmocka_unit_test(survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
