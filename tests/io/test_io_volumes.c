/* Volumes written by nibabel and pydicom (tests/oracle/io_volumes.py), read here: the same values
 * at the same millimetres, also after they have been written as NIfTI and NRRD and read again. */
#include "io_test.h"

#include "oracle/oracle.h"

enum { MOST_VOXELS = 256 };

struct expected {
  ptrdiff_t size[3];
  double matrix[12]; /* voxel to LPS mm */
  double value[MOST_VOXELS];
};

static struct expected next_expected(struct oracle *oracle) {
  struct expected expected;
  ptrdiff_t count = 1;
  for (int axis = 0; axis < 3; axis++) {
    expected.size[axis] = (ptrdiff_t)oracle_number(oracle);
    count *= expected.size[axis];
  }
  assert_in_range(count, 1, MOST_VOXELS);
  for (int i = 0; i < 12; i++) expected.matrix[i] = oracle_number(oracle);
  for (ptrdiff_t i = 0; i < count; i++) expected.value[i] = oracle_number(oracle);
  return expected;
}

static void assert_is(const struct willis_volume *volume, const struct expected *expected) {
  assert_memory_equal(volume->grid.size, expected->size, sizeof expected->size);
  for (int corner = 0; corner < 8; corner++) {
    double index[3], world_mm[3];
    for (int axis = 0; axis < 3; axis++) index[axis] = corner >> axis & 1 ? 3 : 0;
    willis_grid_to_world(&volume->grid, index, world_mm);
    for (int row = 0; row < 3; row++) {
      const double *m = expected->matrix + 4 * row;
      double there = m[0] * index[0] + m[1] * index[1] + m[2] * index[2] + m[3];
      assert_true(fabs(there - world_mm[row]) < 1e-4);
    }
  }
  ptrdiff_t count = willis_grid_count(&volume->grid);
  for (ptrdiff_t i = 0; i < count; i++) assert_true(volume->voxels[i] == (float)expected->value[i]);
}

static void test_others_volumes(void **state) {
  (void)state;
  struct oracle oracle = oracle_open("../oracle/io_volumes.txt");
  char name[64], path[128];
  int volumes = 0;
  for (; oracle_word(&oracle, name); volumes++) {
    struct expected expected = next_expected(&oracle);
    struct willis_volume volume, again;
    struct heard heard = {0};
    snprintf(path, sizeof path, "../oracle/io_volumes/%s", name);
    assert_ok(willis_volume_read(path, &volume, LISTEN(heard), &err));
    assert_is(&volume, &expected);
    static const char *const outputs[] = {"a.nii", "a.nii.gz", "a.nrrd"};
    for (int i = 0; i < 3; i++) {
      const char *output = scratch_path(outputs[i]);
      assert_ok(willis_volume_write(output, &volume, WILLIS_VOXEL_FLOAT32, true, &err));
      assert_ok(willis_volume_read(output, &again, LISTEN(heard), &err));
      assert_is(&again, &expected);
      willis_volume_release(&again);
    }
    assert_int_equal(heard.count, 0);
    willis_volume_release(&volume);
  }
  assert_true(volumes > 0);
  oracle_close(&oracle);
}

static void *take_little(size_t bytes, size_t alignment, void *context) {
  void *block = NULL;
  (void)context;
  return bytes > 1 << 20 || posix_memalign(&block, alignment, bytes) ? NULL : block;
}
static void give_back(void *block, void *context) {
  (void)context;
  free(block);
}

/* Three gigabytes, a hole on the disk, are refused by their first bytes. */
static void test_what_is_none_is_not_read(void **state) {
  (void)state;
  const struct willis_allocator little = {take_little, give_back, NULL};
  struct willis_volume volume;
  const char *path = scratch_path("large.raw");
  put_file(path, "\x1f\x8b\x08 no NIfTI", 11);
  assert_int_equal(truncate(path, (off_t)3 << 30), 0);
  willis_allocator_set(&little);
  assert_status(willis_volume_read(path, &volume, NULL, &err), WILLIS_FORMAT,
                "what is inside is not NIfTI");
  put_file(path, "nothing", 7);
  assert_int_equal(truncate(path, (off_t)3 << 30), 0);
  assert_status(willis_volume_read(path, &volume, NULL, &err), WILLIS_FORMAT,
                "large.raw: neither NIfTI, NRRD nor DICOM");
  willis_allocator_set(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {SCRATCH_TEST(test_others_volumes),
                                     SCRATCH_TEST(test_what_is_none_is_not_read)};
  return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
