/* Vessel trees as SWC, VTK's XML and a table. */
#include "io_test.h"

/* 0 – 1 – 2 – 3 is forked at 2 to 4, whose line begins before its parent; 5 stands alone; 6 – 7. */
static struct willis_tree_node nodes[] = {
    {{0, 0, 0}, 1, -1, 2},         {{1, 0, 0}, 0.5, 0, 2}, {{2, 0, -1.0 / 3}, 0.25, 1, 2},
    {{3, 0, 0}, 0.5, 2, 2},        {{2, 1, 0}, 0.5, 2, 2}, {{-9, 8, 1e-9}, 2, -1, 2},
    {{5, 5, 12345.6789}, 1, 7, 2}, {{5, 5, 6}, 1, -1, 2},
};
static const struct willis_tree tree = {nodes, 8};

static const char *content(const char *path) {
  static char text[4096];
  FILE *file = fopen(path, "rb");
  assert_non_null(file);
  text[fread(text, 1, sizeof text - 1, file)] = 0;
  fclose(file);
  return text;
}

static void test_a_table(void **state) {
  (void)state;
  const char *path = scratch_path("a.csv");
  assert_ok(willis_tree_write(path, &tree, false, &err));
  assert_string_equal(content(path), "node,parent,x_mm,y_mm,z_mm,radius_mm\n"
                                     "1,-1,0,0,0,1\n"
                                     "2,1,1,0,0,0.5\n"
                                     "3,2,2,0,-0.333333333,0.25\n"
                                     "4,3,3,0,0,0.5\n"
                                     "5,3,2,1,0,0.5\n"
                                     "6,-1,-9,8,1e-09,2\n"
                                     "7,8,5,5,12345.6789,1\n"
                                     "8,-1,5,5,6,1\n");
}

static void test_polydata(void **state) {
  (void)state;
  const char *path = scratch_path("a.vtp");
  assert_ok(willis_tree_write(path, &tree, false, &err));
  const char *text = content(path);
  static const char *const parts[] = {
      "<?xml version=\"1.0\"?>\n",
      "NumberOfPoints=\"8\" NumberOfVerts=\"1\" NumberOfLines=\"4\" ",
      "Name=\"radius_mm\" format=\"ascii\">\n1\n0.5\n0.25\n0.5\n0.5\n2\n1\n1\n</DataArray>",
      "\n0 0 0\n1 0 0\n2 0 -0.333333333\n3 0 0\n2 1 0\n-9 8 1e-09\n5 5 12345.6789\n5 5 6\n</",
      "<Verts>\n<DataArray type=\"Int64\" Name=\"connectivity\" format=\"ascii\">\n5\n</",
      "Name=\"offsets\" format=\"ascii\">\n1\n</DataArray>\n</Verts>",
      "<Lines>\n<DataArray type=\"Int64\" Name=\"connectivity\" format=\"ascii\">\n"
      "0 1 2\n2 3\n2 4\n7 6\n</",
      "Name=\"offsets\" format=\"ascii\">\n3\n5\n7\n9\n</DataArray>\n</Lines>",
      "</VTKFile>\n",
  };
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    const char *found = strstr(text, parts[i]);
    if (!found) fail_msg("part %zu is not there, or not in its place", i);
    text = found + 1;
  }
}

static void test_refused(void **state) {
  (void)state;
  struct willis_tree_node lost = {{0, 0, 0}, 1, 1, 2};
  const struct willis_tree broken = {&lost, 1}, empty = {NULL, 0};
  assert_status(willis_tree_write(scratch_path("a.obj"), &tree, false, &err),
                WILLIS_INVALID_ARGUMENT, "written as .swc, .vtp or .csv");
  assert_status(willis_tree_write(scratch_path("a.vtp"), &broken, false, &err),
                WILLIS_INVALID_ARGUMENT, "node 0 has parent 1 of 1");
  assert_int_equal(scratch_count(), 0);
  assert_ok(willis_tree_write(scratch_path("a.vtp"), &empty, false, &err));
  assert_non_null(strstr(content(scratch_path("a.vtp")), "NumberOfPoints=\"0\""));
  assert_status(willis_tree_write(scratch_path("a.vtp"), &tree, false, &err), WILLIS_EXISTS,
                "exists");
}

static void test_every_allocation_may_fail(void **state) {
  (void)state;
  static const char *const names[] = {"b.swc", "b.vtp", "b.csv"};
  struct willis_error why;
  for (int k = 0; k < 3; k++)
    for (int n = 0;; n++) {
      struct failing_allocator failing = {.until_failure = n};
      failing_allocator_use(&failing);
      const enum willis_status status =
          willis_tree_write(scratch_path(names[k]), &tree, false, &why);
      failing_allocator_use(NULL);
      assert_int_equal(failing.held, 0);
      if (!status) break;
      assert_int_equal(status, WILLIS_OUT_OF_MEMORY);
      assert_int_equal(scratch_count(), k);
      assert_true(n < 20);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      SCRATCH_TEST(test_a_table),
      SCRATCH_TEST(test_polydata),
      SCRATCH_TEST(test_refused),
      SCRATCH_TEST(test_every_allocation_may_fail),
  };
  return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
