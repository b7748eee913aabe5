/* Files: reading plain and gzip, limits and error sentences; writing with rename, a full disk, folders that cannot be
 * written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/file.h"
#include "support/limited_memory.h"

#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

static tw_context *ctx;
static char folder[64];

static int setup(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/thalweg-test-XXXXXX");
    ctx = tw_context_create(&(tw_context_desc){.threads = 1});
    return ctx && mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    tw_context_destroy(ctx);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static const char *in_folder(const char *name)
{
    static char paths[4][128];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static int files_in_folder(void)
{
    DIR *d = opendir(folder);
    int count = 0;
    while (readdir(d)) count++;
    closedir(d);
    return count - 2;
}

static void put(const char *path, const void *data, size_t size)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    fclose(f);
}

static void check_content(const char *path, const char *expected)
{
    char *data = NULL;
    size_t size = 0;
    assert_int_equal(tw_file_read(ctx, path, false, 0, &data, &size), TW_OK);
    assert_int_equal(size, strlen(expected));
    assert_string_equal(data, expected); /* a zero follows */
    tw_free(ctx, data);
}

static void test_read(void **state)
{
    (void)state;
    put(in_folder("plain"), "one\ntwo\n", 8);
    check_content(in_folder("plain"), "one\ntwo\n");
    put(in_folder("empty"), "", 0);
    check_content(in_folder("empty"), "");
    char *data = (char *)"untouched";
    size_t size = 77;
    assert_int_equal(tw_file_read(ctx, in_folder("x.csv"), true, 0, &data, &size), TW_ERR_IO);
    assert_non_null(strstr(tw_context_error(ctx), "cannot open '"));
    assert_non_null(strstr(tw_context_error(ctx), "x.csv': no such file"));
    assert_int_equal(tw_file_read(ctx, folder, true, 0, &data, &size), TW_ERR_IO);
    assert_non_null(strstr(tw_context_error(ctx), "' is a directory"));
    assert_int_equal(tw_file_read(ctx, in_folder("plain"), true, 7, &data, &size), TW_ERR_FORMAT);
    assert_non_null(strstr(tw_context_error(ctx), "larger than 7 bytes"));
    assert_int_equal(tw_file_read(ctx, "/dev/zero", true, 1 << 20, &data, &size), TW_ERR_FORMAT);
    assert_string_equal(data, "untouched");
    assert_int_equal(size, 77);
    assert_int_equal(tw_file_read(ctx, in_folder("plain"), true, 8, &data, &size), TW_OK);
    tw_free(ctx, data);
    assert_int_equal(tw_file_read(ctx, "/proc/self/status", true, 0, &data, &size), TW_OK); /* size 0 by stat */
    assert_true(size > 100);
    tw_free(ctx, data);
}

static void put_gzip(const char *path, const char *data, size_t size, const char *mode)
{
    gzFile f = gzopen(path, mode);
    assert_int_equal(gzwrite(f, data, (unsigned)size), (int)size);
    gzclose(f);
}

static void test_gunzip(void **state)
{
    (void)state;
    enum { N = 500000 };
    char *text = malloc(N), *data = NULL;
    size_t size = 0;
    for (int i = 0; i < N; i++) text[i] = (char)('a' + i * 7 % 26);
    put_gzip(in_folder("a.gz"), text, N, "wb");
    assert_int_equal(tw_file_read(ctx, in_folder("a.gz"), true, 0, &data, &size), TW_OK);
    assert_int_equal(size, N);
    assert_memory_equal(data, text, N);
    assert_int_equal(data[N], 0);
    tw_free(ctx, data);
    put_gzip(in_folder("a.gz"), "tail", 4, "ab"); /* two members */
    assert_int_equal(tw_file_read(ctx, in_folder("a.gz"), true, 0, &data, &size), TW_OK);
    assert_int_equal(size, N + 4);
    assert_memory_equal(data + N, "tail", 5);
    tw_free(ctx, data);
    assert_int_equal(tw_file_read(ctx, in_folder("a.gz"), true, N, &data, &size),
                     TW_ERR_FORMAT); /* a bomb is stopped */
    size_t raw_size = 0;
    char *raw = NULL;
    assert_int_equal(tw_file_read(ctx, in_folder("a.gz"), false, 0, &raw, &raw_size), TW_OK);
    for (size_t cut = 2; cut < raw_size; cut += raw_size / 9 + 1) {
        put(in_folder("cut.gz"), raw, cut);
        tw_status status = tw_file_read(ctx, in_folder("cut.gz"), true, 0, &data, &size);
        assert_int_equal(status, TW_ERR_FORMAT);
        assert_non_null(strstr(tw_context_error(ctx), "cut.gz"));
    }
    raw[raw_size / 3] ^= 0x55;
    put(in_folder("bad.gz"), raw, raw_size);
    assert_int_equal(tw_file_read(ctx, in_folder("bad.gz"), true, 0, &data, &size), TW_ERR_FORMAT);
    tw_free(ctx, raw);
    free(text);
    unlink(in_folder("bad.gz")), unlink(in_folder("cut.gz")), unlink(in_folder("a.gz"));
}

static void test_write(void **state)
{
    (void)state;
    put(in_folder("out"), "old", 3);
    int before = files_in_folder();
    tw_writer w;
    assert_int_equal(tw_writer_open(ctx, in_folder("out"), &w), TW_OK);
    assert_int_equal(tw_writer_print(&w, "%d %s\n", 5, "rows"), TW_OK);
    assert_int_equal(tw_writer_write(&w, "more", 4), TW_OK);
    check_content(in_folder("out"), "old"); /* readers see the old file until the end */
    assert_int_equal(files_in_folder(), before + 1);
    assert_int_equal(tw_writer_commit(&w), TW_OK);
    check_content(in_folder("out"), "5 rows\nmore");
    assert_int_equal(files_in_folder(), before);
    tw_writer_abandon(&w); /* nothing after a commit */
    assert_int_equal(tw_writer_open(ctx, in_folder("out"), &w), TW_OK);
    assert_int_equal(tw_writer_write(&w, "half", 4), TW_OK);
    tw_writer_abandon(&w);
    check_content(in_folder("out"), "5 rows\nmore");
    assert_int_equal(files_in_folder(), before);
}

/* A link keeps pointing; permissions of the old file are kept; two writers of one file do not meet. */
static void test_write_over(void **state)
{
    (void)state;
    put(in_folder("target"), "old", 3);
    chmod(in_folder("target"), 0640);
    assert_int_equal(symlink("target", in_folder("link")), 0);
    tw_writer a, b;
    assert_int_equal(tw_writer_open(ctx, in_folder("link"), &a), TW_OK);
    assert_int_equal(tw_writer_open(ctx, in_folder("target"), &b), TW_OK);
    assert_int_equal(tw_writer_write(&a, "from a", 6), TW_OK);
    assert_int_equal(tw_writer_write(&b, "b", 1), TW_OK);
    assert_int_equal(tw_writer_commit(&b), TW_OK);
    check_content(in_folder("target"), "b");
    assert_int_equal(tw_writer_commit(&a), TW_OK);
    check_content(in_folder("target"), "from a");
    struct stat info;
    assert_true(lstat(in_folder("link"), &info) == 0 && S_ISLNK(info.st_mode));
    assert_true(stat(in_folder("target"), &info) == 0 && (info.st_mode & 0777) == 0640);
}

static void test_full_disk(void **state)
{
    (void)state;
    static char block[1 << 16];
    tw_writer w;
    assert_int_equal(tw_writer_open(ctx, "/dev/full", &w), TW_OK);
    tw_status status = TW_OK;
    for (int i = 0; i < 4 && status == TW_OK; i++) status = tw_writer_write(&w, block, sizeof block);
    if (status == TW_OK)
        status = tw_writer_commit(&w);
    else
        tw_writer_abandon(&w);
    assert_int_equal(status, TW_ERR_IO);
    assert_non_null(strstr(tw_context_error(ctx), "'/dev/full': no space left"));
    struct stat info;
    assert_true(stat("/dev/full", &info) == 0 && S_ISCHR(info.st_mode)); /* the device is still one */

    /* a small write that only fails when it is flushed */
    assert_int_equal(tw_writer_open(ctx, "/dev/full", &w), TW_OK);
    assert_int_equal(tw_writer_write(&w, "x", 1), TW_OK);
    assert_int_equal(tw_writer_commit(&w), TW_ERR_IO);

    put(in_folder("limited"), "old", 3);
    int before = files_in_folder();
    struct rlimit old, tight;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    tight = (struct rlimit){.rlim_cur = 100000, .rlim_max = old.rlim_max};
    setrlimit(RLIMIT_FSIZE, &tight);
    assert_int_equal(tw_writer_open(ctx, in_folder("limited"), &w), TW_OK);
    status = TW_OK;
    for (int i = 0; i < 4 && status == TW_OK; i++) status = tw_writer_write(&w, block, sizeof block);
    if (status == TW_OK)
        status = tw_writer_commit(&w);
    else
        tw_writer_abandon(&w);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(status, TW_ERR_IO);
    assert_non_null(strstr(tw_context_error(ctx), "limited"));
    check_content(in_folder("limited"), "old");
    assert_int_equal(files_in_folder(), before);
}

static void test_unwritable(void **state)
{
    (void)state;
    tw_writer w;
    assert_int_equal(tw_writer_open(ctx, in_folder("no/such/file"), &w), TW_ERR_IO);
    assert_non_null(strstr(tw_context_error(ctx), "no such file or folder"));
    assert_int_equal(tw_writer_open(ctx, folder, &w), TW_ERR_IO);
    assert_non_null(strstr(tw_context_error(ctx), "it is a directory"));
    if (geteuid() != 0) { /* root may write anywhere */
        chmod(folder, 0500);
        assert_int_equal(tw_writer_open(ctx, in_folder("new"), &w), TW_ERR_IO);
        assert_non_null(strstr(tw_context_error(ctx), "permission denied"));
        chmod(folder, 0700);
    } else {
        assert_int_equal(tw_writer_open(ctx, "/proc/self/new", &w), TW_ERR_IO); /* nobody may write there */
    }
}

static void test_make_folder(void **state)
{
    (void)state;
    assert_int_equal(tw_make_folder(ctx, in_folder("a/b/c/")), TW_OK);
    assert_int_equal(tw_make_folder(ctx, in_folder("a/b/c")), TW_OK);
    struct stat info;
    assert_true(stat(in_folder("a/b/c"), &info) == 0 && S_ISDIR(info.st_mode));
    put(in_folder("a/file"), "", 0);
    assert_int_equal(tw_make_folder(ctx, in_folder("a/file/d")), TW_ERR_IO);
    assert_non_null(strstr(tw_context_error(ctx), "is not a folder"));
    assert_int_equal(tw_make_folder(ctx, "/"), TW_OK);
    assert_int_equal(tw_make_folder(ctx, "."), TW_OK);
}

static int entries_of(const char *path)
{
    DIR *d = opendir(path);
    int count = 0;
    if (!d) return -1;
    while (readdir(d)) count++;
    closedir(d);
    return count - 2;
}

static void put_in(const tw_new_folder *f, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", f->temporary, name);
    put(path, name, strlen(name));
}

/* A folder of files is there with all of them or not at all; one that was there, empty, stays the same folder. */
static void test_whole_folder(void **state)
{
    (void)state;
    struct stat before, after;
    int count = files_in_folder();
    tw_new_folder f;
    for (int there = 0; there < 2; there++) {
        const char *path = in_folder(there ? "was-there" : "some/new/");
        if (there) assert_int_equal(mkdir(path, 0700), 0);
        if (there) assert_int_equal(stat(path, &before), 0);
        assert_int_equal(tw_new_folder_open(ctx, path, &f), TW_OK);
        put_in(&f, "one");
        tw_new_folder_abandon(&f);
        assert_int_equal(entries_of(path), there ? 0 : -1);
        assert_int_equal(tw_new_folder_open(ctx, path, &f), TW_OK);
        put_in(&f, "one");
        put_in(&f, "two");
        assert_true(entries_of(path) == (there ? 1 : -1)); /* the temporary one at most */
        assert_int_equal(tw_new_folder_commit(&f), TW_OK);
        assert_int_equal(entries_of(path), 2);
        if (there) assert_true(stat(path, &after) == 0 && after.st_ino == before.st_ino);
    }
    check_content(in_folder("was-there/two"), "two");
    check_content(in_folder("some/new/one"), "one");
    assert_int_equal(entries_of(in_folder("some")), 1);
    assert_int_equal(files_in_folder(), count + 2);

    put(in_folder("no-folder"), "x", 1);
    assert_int_equal(tw_new_folder_open(ctx, in_folder("no-folder/new"), &f), TW_ERR_IO);
    assert_non_null(strstr(tw_context_error(ctx), "no-folder"));
    assert_int_equal(tw_new_folder_open(ctx, in_folder("no-folder"), &f), TW_ERR_IO);

    /* somebody else was faster */
    assert_int_equal(tw_new_folder_open(ctx, in_folder("taken"), &f), TW_OK);
    put_in(&f, "one");
    put(in_folder("taken"), "x", 1);
    assert_int_equal(tw_new_folder_commit(&f), TW_ERR_IO);
    assert_int_equal(files_in_folder(), count + 4);
}

static void test_clock(void **state)
{
    (void)state;
    double before = tw_clock();
    usleep(2000);
    assert_true(tw_clock() - before >= 0.0019);
}

static void test_every_allocation_may_fail(void **state)
{
    (void)state;
    put_gzip(in_folder("z.gz"), "some words", 10, "wb");
    put(in_folder("w"), "old", 3);
    int before = files_in_folder();
    bool done = false;
    for (int64_t n = 0; !done && n < 100; n++) {
        limited_memory c = {.armed = true, .left = n};
        tw_context *small =
            tw_context_create(&(tw_context_desc){.threads = 1, .alloc = limited_alloc, .alloc_user = &c});
        if (!small) continue;
        char *data = NULL;
        size_t size;
        tw_writer w = {0};
        done = tw_file_read(small, in_folder("z.gz"), true, 0, &data, &size) == TW_OK;
        tw_free(small, data);
        done = done && tw_make_folder(small, in_folder("a")) == TW_OK;
        done = done && tw_writer_open(small, in_folder("w"), &w) == TW_OK;
        if (w.file) done = tw_writer_commit(&w) == TW_OK && done;
        if (!done) assert_non_null(strstr(tw_context_error(small), "out of memory"));
        tw_context_destroy(small);
        assert_int_equal(c.alive, 0);
        assert_int_equal(files_in_folder(), before);
    }
    assert_true(done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),        cmocka_unit_test(test_gunzip),
        cmocka_unit_test(test_write),       cmocka_unit_test(test_write_over),
        cmocka_unit_test(test_full_disk),   cmocka_unit_test(test_unwritable),
        cmocka_unit_test(test_make_folder), cmocka_unit_test(test_whole_folder),
        cmocka_unit_test(test_clock),       cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
