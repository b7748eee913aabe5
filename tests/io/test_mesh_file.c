/* Meshes as files: the same tetrahedron as .obj, .off and .ply, in text and in bytes; what is no mesh is refused with
 * its line. */
#include "io/mesh_file.h"
#include "support/context.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const double corners[12] = {0, 0, 0, 1.5, 0, 0, 0, -1, 0, 0, 0, 2};
static const int32_t sides[12] = {0, 2, 1, 0, 1, 3, 0, 3, 2, 1, 2, 3};

static const char obj[] = "# a tetrahedron\nv 0 0 0\nv 1.5 0 0 1\r\nvt 0 0\nv 0 -1 0\nvn 0 0 1\nv 0 0 2e0\n\n"
                          "f 1 3 2\nf 1/1 2/1 4/1 # side\nf 1//1 4//1 3//1\nf -3 -2 -1\nl 1 2\n";
static const char off[] =
    "OFF\n# a tetrahedron\n4 4 6\n0 0 0\n1.5 0 0\n0 -1 0\n\n0 0 2\n3 0 2 1\n3 0 1 3 255 0 0\n3 0 3 2\n3 1 2 3\n";
static const char ply[] =
    "ply\nformat ascii 1.0\ncomment a tetrahedron\nelement vertex 4\nproperty float x\nproperty double y\n"
    "property uchar red\nproperty float z\nelement face 4\nproperty list uchar int vertex_indices\nend_header\n"
    "0 0 7 0\n1.5 0 7 0\n0 -1 7 0\n0 0 7 2\n3 0 2 1\n3 0 1 3\n3 0 3 2\n3 1 2 3\n";

static void same(tw_context *ctx, const char *bytes, size_t size)
{
    tw_mesh_arrays m;
    assert_int_equal(tw_mesh_file_parse(ctx, "mesh", bytes, size, &m), TW_OK);
    assert_int_equal(m.vertices, 4);
    assert_int_equal(m.faces, 4);
    assert_memory_equal(m.vertex, corners, sizeof corners);
    assert_memory_equal(m.face, sides, sizeof sides);
    tw_mesh_arrays_free(ctx, &m);
}

static void test_text(void **state)
{
    same(*state, obj, sizeof obj - 1);
    same(*state, off, sizeof off - 1);
    same(*state, ply, sizeof ply - 1);
}

static void test_bytes(void **state)
{
    char file[1024];
    size_t size = 0;
    const char header[] =
        "ply\nformat binary_little_endian 1.0\nelement vertex 4\nproperty short flag\nproperty float x\n"
        "property float y\nproperty double z\nelement face 4\nproperty uchar kind\n"
        "property list uchar uint vertex_index\nend_header\n";
    memcpy(file, header, sizeof header - 1);
    size = sizeof header - 1;
    for (int i = 0; i < 4; i++) {
        int16_t flag = -2;
        float x[2] = {(float)corners[3 * i], (float)corners[3 * i + 1]};
        memcpy(file + size, &flag, 2);
        memcpy(file + size + 2, x, 8);
        memcpy(file + size + 10, &corners[3 * i + 2], 8);
        size += 18;
    }
    for (int i = 0; i < 4; i++) {
        file[size++] = 9;
        file[size++] = 3;
        memcpy(file + size, sides + 3 * i, 12);
        size += 12;
    }
    file[size] = 0;
    same(*state, file, size);
    tw_mesh_arrays m;
    assert_int_equal(tw_mesh_file_parse(*state, "mesh", file, size - 1, &m), TW_ERR_FORMAT);
}

static void test_polygons_are_fans(void **state)
{
    const char square[] = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nf 1 2 3 4\n";
    const int32_t fan[6] = {0, 1, 2, 0, 2, 3};
    tw_mesh_arrays m;
    assert_int_equal(tw_mesh_file_parse(*state, "mesh", square, sizeof square - 1, &m), TW_OK);
    assert_int_equal(m.faces, 2);
    assert_memory_equal(m.face, fan, sizeof fan);
    tw_mesh_arrays_free(*state, &m);
}

static void test_what_is_no_mesh_is_refused(void **state)
{
    static const struct {
        const char *text, *says;
    } bad[] = {{"x,y\n1,2\n", "no mesh"},
               {"v 0 0\n", "line 1: expected three coordinates"},
               {"v 0 0 0\nf 1 2\n", "line 2: expected three corners"},
               {"v 0 0 0\nf 1 two 3\n", "line 2: expected numbers of vertices"},
               {"OFF\n3 1 0\n0 0 0\n", "expected more vertices"},
               {"OFF\n1 1 0\n0 0 0\n2 0 0\n", "how many corners"},
               {"ply\nformat binary_big_endian 1.0\n", "line 2: expected format"},
               {"ply\nformat ascii 1.0\nelement vertex 1\nproperty complex x\n", "line 4: expected a type"},
               {"ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nend_header\n1\n", "expected more rows"}};
    for (int i = 0; i < (int)(sizeof bad / sizeof bad[0]); i++) {
        tw_mesh_arrays m;
        assert_int_equal(tw_mesh_file_parse(*state, "mesh", bad[i].text, strlen(bad[i].text), &m), TW_ERR_FORMAT);
        assert_non_null(strstr(tw_context_error(*state), bad[i].says));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_polygons_are_fans),
        cmocka_unit_test(test_what_is_no_mesh_is_refused),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
