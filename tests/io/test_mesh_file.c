/* OBJ, STL and PLY: what is read, what is refused, and round trips through each. */
#include "io/mesh_file.h"

#include "io_test.h"

#include "base/file.h"
#include "base/io_table.h"

#include <errno.h>

/* A tetrahedron. */
static float corners[] = {0, 0, 0, 1.5f, 0, 0, 0, -2.25f, 0, 0, 0, 1e-3f};
static uint32_t faces[] = {0, 2, 1, 0, 1, 3, 0, 3, 2, 1, 2, 3};
static const struct willis_mesh tetrahedron = {corners, faces, 4, 4};

static enum willis_status read_text(willis_mesh_parser *parse, const char *text,
                                    struct willis_mesh *mesh, struct willis_error *err) {
  return parse((const unsigned char *)text, strlen(text), mesh, NULL, err);
}

#define READ_AND_RELEASE(format)                                                                   \
  static enum willis_status read_##format(const unsigned char *bytes, size_t size,                 \
                                          struct willis_error *err) {                              \
    struct willis_mesh mesh;                                                                       \
    enum willis_status status = willis_##format##_parse(bytes, size, &mesh, NULL, err);            \
    willis_mesh_release(&mesh);                                                                    \
    return status;                                                                                 \
  }
READ_AND_RELEASE(obj)
READ_AND_RELEASE(stl)
READ_AND_RELEASE(ply)

/* The same triangles at the same places, whatever the numbers of the vertices. */
static void assert_same_surface(const struct willis_mesh *a, const struct willis_mesh *b) {
  assert_int_equal(a->triangle_count, b->triangle_count);
  for (ptrdiff_t i = 0; i < 3 * a->triangle_count; i++)
    for (int axis = 0; axis < 3; axis++)
      assert_true(a->vertex[3 * a->triangle[i] + axis] == b->vertex[3 * b->triangle[i] + axis]);
}

static void test_write_read_is_identity(void **state) {
  (void)state;
  static const char *const names[] = {"a.obj",    "a.stl",    "a.ply",
                                      "a.obj.gz", "A.STL.GZ", "a.ply.gz"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    struct willis_mesh mesh;
    const char *path = scratch_path(names[i]), *copy = scratch_path("no-ending");
    assert_ok(willis_mesh_write(path, &tetrahedron, false, &err));
    assert_ok(willis_mesh_read(path, &mesh, NULL, &err));
    assert_int_equal(mesh.vertex_count, 4);
    assert_same_surface(&tetrahedron, &mesh);
    willis_mesh_release(&mesh);
    assert_status(willis_mesh_write(path, &tetrahedron, false, &err), WILLIS_EXISTS, "exists");
    /* By content, not by name. */
    assert_int_equal(rename(path, copy), 0);
    if (i == 4) continue; /* a compressed binary STL has no mark at its start */
    assert_ok(willis_mesh_read(copy, &mesh, NULL, &err));
    assert_same_surface(&tetrahedron, &mesh);
    willis_mesh_release(&mesh);
  }
  struct willis_mesh wrong = tetrahedron;
  wrong.vertex_count = 3;
  assert_status(willis_mesh_write(scratch_path("b.stl"), &wrong, false, &err),
                WILLIS_INVALID_ARGUMENT, "names vertex 3 of 3");
  assert_status(willis_mesh_write(scratch_path("b.vtp"), &wrong, false, &err),
                WILLIS_INVALID_ARGUMENT, ".obj");
}

static void test_an_empty_surface(void **state) {
  (void)state;
  static const char *const names[] = {"a.stl", "a.ply"};
  for (int i = 0; i < 2; i++) {
    const char *path = scratch_path(names[i]);
    struct willis_mesh mesh, empty = {0};
    struct heard heard = {0};
    assert_ok(willis_mesh_write(path, &empty, false, &err));
    assert_ok(willis_mesh_read(path, &mesh, LISTEN(heard), &err));
    assert_int_equal(mesh.triangle_count, 0);
    assert_int_equal(heard.count, 1);
    willis_mesh_release(&mesh);
  }
}

static void test_obj_forms(void **state) {
  (void)state;
  struct willis_mesh mesh;
  assert_ok(read_text(willis_obj_parse,
                      "# remark\r\nmtllib x.mtl\no thing\nf 1/1/1 2//2 3/3 4\nv 0 0 0 1\n"
                      "v 1 0 0 .5 .5 .5\nvn 0 0 1\nvt 0 0\nv 1 1 0\nv 0 1 0\ns off\nf -1 -2 -4\n",
                      &mesh, &err));
  assert_int_equal(mesh.vertex_count, 4);
  static const uint32_t expected[] = {0, 1, 2, 0, 2, 3, 3, 2, 0};
  assert_int_equal(mesh.triangle_count, 3);
  assert_memory_equal(mesh.triangle, expected, sizeof expected);
  willis_mesh_release(&mesh);
}

static void test_obj_refused(void **state) {
  (void)state;
  static const struct {
    const char *text, *part;
  } cases[] = {
      {"", "without a vertex"},
      {"v 0 0\n0\n", "line 1: coordinate z of vertex 1"},
      {"v 0 nan 0\n", "line 1: coordinate y of vertex 1"},
      {"v 0 1e39 0\n", "line 1: coordinate y of vertex 1"},
      {"v 0 x 0\n", "line 1: coordinate y"},
      {"v 0 0 0\nf 1 1 2\n", "line 2: a face names vertex 2 of 1"},
      {"v 0 0 0\nf 1 1 0\n", "line 2: a face names vertex \"0\""},
      {"v 0 0 0\nf 1 1 -2\n", "line 2: a face names vertex \"-2\" after 1"},
      {"v 0 0 0\nf 1 1 4294967296\n", "line 2: a face names vertex"},
      {"v 0 0 0\nf 1 1 x\n", "\"x\""},
      {"v 0 0 0\nf 1 1\n", "line 2: a face of 2 corners"},
      {"v 0 0 0\nf\n", "line 2: a face of 0 corners"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct willis_mesh mesh;
    assert_status(read_text(willis_obj_parse, cases[i].text, &mesh, &err), WILLIS_FORMAT,
                  cases[i].part);
  }
}

#define FACET(a, b, c)                                                                             \
  "facet normal 0 0 1\nouter loop\nvertex " a "\nvertex " b "\nvertex " c "\nendloop\nendfacet\n"

static void test_stl_text(void **state) {
  (void)state;
  struct willis_mesh mesh;
  assert_ok(read_text(willis_stl_parse,
                      "solid a thing\n" FACET("0 0 0", "1 0 0", "0 1 0")
                          FACET("1 0 0", "1 1 0", "-0 1 0") "endsolid a thing\n",
                      &mesh, &err));
  assert_int_equal(mesh.triangle_count, 2);
  assert_int_equal(mesh.vertex_count, 4); /* shared corners are one vertex; −0 is 0 */
  willis_mesh_release(&mesh);
  static const struct {
    const char *text, *part;
  } cases[] = {
      {"", "0 bytes"},
      {"solid x\n" FACET("0 0 0", "1 0 0", "0 1 0"), "endsolid"},
      {"solid x\n" FACET("0 0 0", "1 0 0", "0 1"), "line 6"},
      {"solid x\n" FACET("0 0 0", "1 0 0", "0 1 inf"), "line 6"},
      {"solid x\nfacet\nvertex 0 0 0\nendfacet\nendsolid\n", "line 4: a facet of 1 corners"},
      {"solid x\nvertex 0 0 0\nvertex 0 0 0\nvertex 0 0 0\nvertex 0 0 0\n", "line 5"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    assert_status(read_text(willis_stl_parse, cases[i].text, &mesh, &err), WILLIS_FORMAT,
                  cases[i].part);
}

/* The bytes of the tetrahedron in a format. */
static unsigned char *written(const char *name, size_t *size) {
  unsigned char *bytes;
  const char *path = scratch_path(name);
  assert_ok(willis_mesh_write(path, &tetrahedron, true, &err));
  assert_ok(willis_file_read(path, 1 << 20, &bytes, size, &err));
  return bytes;
}

static void test_stl_binary(void **state) {
  (void)state;
  size_t size;
  unsigned char *bytes = written("a.stl", &size);
  assert_int_equal(size, 84 + 4 * 50);
  cut_everywhere(read_stl, bytes, size, size);
  /* Many programs begin a binary file with the word of the text form. */
  memcpy(bytes, "solid", 5);
  assert_ok(read_stl(bytes, size, &err));
  memcpy(bytes, "Willi", 5);
  bytes[80] = 5;
  assert_status(read_stl(bytes, size, &err), WILLIS_FORMAT, "byte 80: 5 triangles");
  memset(bytes + 80, 0xFF, 4);
  assert_status(read_stl(bytes, size, &err), WILLIS_FORMAT, "byte 80: 4294967295 triangles");
  memcpy(bytes + 80, "\3\0\0", 4);
  struct willis_mesh mesh;
  struct heard heard = {0};
  assert_ok(willis_stl_parse(bytes, size, &mesh, LISTEN(heard), &err));
  assert_int_equal(mesh.triangle_count, 3);
  assert_non_null(strstr(heard.last, "50 bytes after the last triangle"));
  willis_mesh_release(&mesh);
  memset(bytes + 84 + 50 + 12, 0xFF, 4); /* a NaN */
  assert_status(read_stl(bytes, size, &err), WILLIS_FORMAT, "byte 134: triangle 1");
  willis_release(bytes);
}

#define PLY(format, vertices, faces)                                                               \
  "ply\nformat " format " 1.0\ncomment x\nelement vertex " vertices                                \
  "\nproperty float x\nproperty double z\nproperty float y\nproperty uchar red\nelement "          \
  "face " faces "\nproperty list uchar int vertex_indices\nend_header\n"

static void test_ply_text(void **state) {
  (void)state;
  struct willis_mesh mesh;
  assert_ok(
      read_text(willis_ply_parse,
                PLY("ascii", "4", "2") "0 3 0 1\n1 3 0 1\n1 3 1 1 0 3 1 1\n4 0 1 2 3\n3 0 1 2\n",
                &mesh, &err));
  static const uint32_t expected[] = {0, 1, 2, 0, 2, 3, 0, 1, 2};
  assert_int_equal(mesh.triangle_count, 3);
  assert_memory_equal(mesh.triangle, expected, sizeof expected);
  assert_true(mesh.vertex[7] == 1 && mesh.vertex[8] == 3); /* z was declared before y */
  willis_mesh_release(&mesh);
}

static void test_ply_refused(void **state) {
  (void)state;
#define TRIANGLE "0 3 0 1\n1 3 0 1\n1 3 1 1\n"
  static const struct {
    const char *text;
    enum willis_status status;
    const char *part;
  } cases[] = {
      {"plx\n", WILLIS_FORMAT, "header line 1"},
      {"ply\nformat ascii 1.0\n", WILLIS_FORMAT, "end_header"},
      {"ply\nend_header\n", WILLIS_FORMAT, "\"format\" before"},
      {"ply\nformat hex 1.0\n", WILLIS_FORMAT, "header line 2"},
      {"ply\nformat ascii 1.0\nproperty int x\n", WILLIS_FORMAT, "element before"},
      {"ply\nformat ascii 1.0\nelement vertex -1\n", WILLIS_FORMAT, "a count from 0"},
      {"ply\nformat ascii 1.0\nelement vertex 1\nproperty int x\nend_header\n1\n", WILLIS_FORMAT,
       "x, y and z"},
      {"ply\nformat ascii 1.0\nelement thing 9999999999\nend_header\n", WILLIS_FORMAT,
       "at least one property"},
      {"ply\nformat ascii 1.0\nelement tristrips 2\n", WILLIS_UNSUPPORTED, "strips"},
      {"ply\nformat ascii 1.0\nelement face 1\nproperty list float int vertex_index\n",
       WILLIS_FORMAT, "integer type"},
      {PLY("ascii", "3", "1") TRIANGLE "3 0 1 7\n", WILLIS_FORMAT, "names vertex 7 of 0 to 2"},
      {PLY("ascii", "3", "1") TRIANGLE "3 0 1 -1\n", WILLIS_FORMAT, "not the index"},
      {PLY("ascii", "3", "1") TRIANGLE "3 0 1 0.5\n", WILLIS_FORMAT, "not the index"},
      {PLY("ascii", "3", "1") TRIANGLE "2 0 1\n", WILLIS_FORMAT, "fewer than 3"},
      {PLY("ascii", "3", "1") TRIANGLE "3 0 1\n", WILLIS_FORMAT, "ends early"},
      {PLY("ascii", "4", "1") TRIANGLE "3 0 1 2\n", WILLIS_FORMAT, "ends early"},
      {PLY("ascii", "3", "1") "0 3 nan 1\n", WILLIS_FORMAT, "line 12: a coordinate"},
      {PLY("ascii", "3", "1") "0 3 x 1\n", WILLIS_FORMAT, "expected a number"},
      {PLY("binary_little_endian", "99999999999", "1") TRIANGLE, WILLIS_FORMAT, "ends early"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct willis_mesh mesh;
    assert_status(read_text(willis_ply_parse, cases[i].text, &mesh, &err), cases[i].status,
                  cases[i].part);
  }
}

static void test_ply_big_endian(void **state) {
  (void)state;
  static const char text[] =
      PLY("binary_big_endian", "3", "1") "\0\0\0\0@\x08\0\0\0\0\0\0\0\0\0\0\1"
                                         "?\x80\0\0@\x08\0\0\0\0\0\0\0\0\0\0\1"
                                         "?\x80\0\0@\x08\0\0\0\0\0\0?\x80\0\0\1"
                                         "\3\0\0\0\0\0\0\0\1\0\0\0\2";
  struct willis_mesh mesh;
  assert_ok(willis_ply_parse((const unsigned char *)text, sizeof text - 1, &mesh, NULL, &err));
  static const float expected[] = {0, 0, 3, 1, 0, 3, 1, 1, 3};
  assert_memory_equal(mesh.vertex, expected, sizeof expected);
  willis_mesh_release(&mesh);
  cut_everywhere(read_ply, (const unsigned char *)text, sizeof text - 1, sizeof text - 1);
  change_everywhere(read_ply, (const unsigned char *)text, sizeof text - 1);
}

static void test_any_bytes(void **state) {
  (void)state;
  static const struct {
    const char *name;
    read_once *read;
  } formats[] = {{"a.obj", read_obj}, {"a.stl", read_stl}, {"a.ply", read_ply}};
  for (int i = 0; i < 3; i++) {
    size_t size;
    unsigned char *bytes = written(formats[i].name, &size);
    change_everywhere(formats[i].read, bytes, size);
    starve(formats[i].read, bytes, size);
    willis_release(bytes);
  }
}

static void test_foreign_files_by_name(void **state) {
  (void)state;
  struct willis_mesh mesh;
  put_file(scratch_path("a.stl"), "garbage", 7);
  assert_status(willis_mesh_read(scratch_path("a.stl"), &mesh, NULL, &err), WILLIS_FORMAT,
                "an STL has at least 84");
  put_file(scratch_path("a.xyz"), "garbage", 7);
  assert_status(willis_mesh_read(scratch_path("a.xyz"), &mesh, NULL, &err), WILLIS_FORMAT,
                "neither OBJ, STL nor PLY");
}

static ssize_t no_room(int fd, const void *buffer, size_t bytes) {
  (void)fd, (void)buffer, (void)bytes;
  errno = ENOSPC;
  return -1;
}

static void test_limits(void **state) {
  (void)state;
  /* Indices have 32 bits. Nothing is taken for what is refused. */
  struct willis_error why = {.message = ""};
  const ptrdiff_t most = (ptrdiff_t)1 << 31;
  struct willis_mesh_builder builder = {
      .mesh = {.vertex_count = most}, .vertex_room = most, .err = &why};
  assert_int_equal(willis_mesh_builder_vertex(&builder, (const float[]){0, 0, 0}),
                   WILLIS_UNSUPPORTED);
  assert_string_equal(why.message, "more than 2147483648 vertices");

  static const char *const names[] = {"full.obj", "full.stl", "full.ply"};
  struct willis_io_table full = *willis_io_standard();
  full.write = no_room;
  willis_io_set(&full);
  for (int i = 0; i < 3; i++)
    assert_status(willis_mesh_write(scratch_path(names[i]), &tetrahedron, false, &err), WILLIS_IO,
                  "No space left on device");
  willis_io_set(NULL);
  assert_int_equal(scratch_count(), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      SCRATCH_TEST(test_write_read_is_identity), SCRATCH_TEST(test_an_empty_surface),
      cmocka_unit_test(test_obj_forms),          cmocka_unit_test(test_obj_refused),
      cmocka_unit_test(test_stl_text),           SCRATCH_TEST(test_stl_binary),
      cmocka_unit_test(test_ply_text),           cmocka_unit_test(test_ply_refused),
      cmocka_unit_test(test_ply_big_endian),     SCRATCH_TEST(test_any_bytes),
      SCRATCH_TEST(test_foreign_files_by_name),  SCRATCH_TEST(test_limits),
  };
  return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
