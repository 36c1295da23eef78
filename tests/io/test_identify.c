/* What a file is, told by what is in it. */
#include "io_test.h"

#include "base/file.h"

static void assert_is(const char *path, enum willis_file_kind kind, const char *format) {
  enum willis_file_kind found;
  const char *named;
  assert_ok(willis_file_identify(path, &found, &named, &err));
  assert_string_equal(named, format);
  assert_int_equal(found, kind);
}

static void test_by_content(void **state) {
  (void)state;
  static const struct {
    const char *text;
    enum willis_file_kind kind;
    const char *format;
  } cases[] = {
      {"", WILLIS_FILE_UNKNOWN, "unknown"},
      {"Dear colleague,", WILLIS_FILE_UNKNOWN, "unknown"},
      {"# remark\n1 1 0 0 0 1 -1\n", WILLIS_FILE_TREE, "SWC"},
      {"# remark\nv 1 2 3\n", WILLIS_FILE_MESH, "OBJ"},
      {"ply\nformat ascii 1.0\n", WILLIS_FILE_MESH, "PLY"},
      {"solid x\n", WILLIS_FILE_MESH, "STL"},
      {"NRRD0004\n", WILLIS_FILE_VOLUME, "NRRD"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    for (int gzip = 0; gzip < 2; gzip++) {
      const char *path = scratch_path("file");
      size_t size = strlen(cases[i].text);
      assert_ok(willis_file_write(path, cases[i].text, size, true, gzip, &err));
      assert_is(path, cases[i].kind, cases[i].format);
    }
  put_file(scratch_path("model"), "\x10\0\0\0\0\0\0\0{\"a\":", 13);
  assert_is(scratch_path("model"), WILLIS_FILE_MODEL, "safetensors");
  assert_is(scratch_folder, WILLIS_FILE_VOLUME, "DICOM folder");
}

/* A broken shape is still judged by its reader. */
static void test_by_name_when_content_says_nothing(void **state) {
  (void)state;
  static const struct {
    const char *name;
    enum willis_file_kind kind;
    const char *format;
  } cases[] = {{"a.stl", WILLIS_FILE_MESH, "STL"},
               {"a.obj.gz", WILLIS_FILE_MESH, "OBJ"},
               {"a.swc", WILLIS_FILE_TREE, "SWC"},
               {"a.nii", WILLIS_FILE_UNKNOWN, "unknown"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    put_file(scratch_path(cases[i].name), "??", 2);
    assert_is(scratch_path(cases[i].name), cases[i].kind, cases[i].format);
  }
}

static void test_volume_or_stack(void **state) {
  (void)state;
  struct willis_volume volume;
  struct willis_grid grid = willis_grid_cube(2, 1, NULL);
  assert_ok(willis_volume_create(&volume, &grid, &err));
  assert_ok(willis_volume_write(scratch_path("a.nii.gz"), &volume, WILLIS_VOXEL_UINT8, true, &err));
  willis_volume_release(&volume);
  assert_is(scratch_path("a.nii.gz"), WILLIS_FILE_VOLUME, "NIfTI");
  /* Other software keeps other texts beside its images. */
  put_file(scratch_path("a.json"), "{\"EchoTime\": 3}", 15);
  assert_is(scratch_path("a.nii.gz"), WILLIS_FILE_VOLUME, "NIfTI");
  put_file(scratch_path("a.json"), "{\"views\": [", 11);
  assert_is(scratch_path("a.nii.gz"), WILLIS_FILE_PROJECTIONS, "NIfTI");
}

static void test_what_cannot_be_read(void **state) {
  (void)state;
  enum willis_file_kind kind;
  const char *format;
  assert_status(willis_file_identify(scratch_path("none"), &kind, &format, &err), WILLIS_IO,
                "cannot open");
  assert_status(willis_file_identify("/dev/zero", &kind, &format, &err), WILLIS_IO, "regular");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      SCRATCH_TEST(test_by_content),
      SCRATCH_TEST(test_by_name_when_content_says_nothing),
      SCRATCH_TEST(test_volume_or_stack),
      SCRATCH_TEST(test_what_cannot_be_read),
  };
  return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
