/* A volume written a piece at a time is the file that it is when written at once. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "scratch.h"

#include <willis/io.h>

static struct willis_volume volume;

static int set_up(void **state) {
  struct willis_grid grid = willis_grid_cube(6, 0.5, NULL);
  grid.size[2] = 9;
  if (scratch_make(state) || willis_volume_create(&volume, &grid, NULL)) return -1;
  for (ptrdiff_t i = 0; i < willis_grid_count(&grid); i++) volume.voxels[i] = 0.25f * (float)i;
  return 0;
}

static int tear_down(void **state) {
  willis_volume_release(&volume);
  return scratch_remove(state);
}

static void assert_same_files(const char *a, const char *b) {
  unsigned char *bytes[2];
  size_t size[2];
  assert_int_equal(willis_file_read(a, 1 << 20, &bytes[0], &size[0], NULL), WILLIS_OK);
  assert_int_equal(willis_file_read(b, 1 << 20, &bytes[1], &size[1], NULL), WILLIS_OK);
  assert_int_equal(size[0], size[1]);
  assert_memory_equal(bytes[0], bytes[1], size[0]);
  willis_release(bytes[0]);
  willis_release(bytes[1]);
}

static void pieces_make_the_same_file(void **state) {
  (void)state;
  static const char *const names[][2] = {
      {"a.nii", "b.nii"}, {"a.nii.gz", "b.nii.gz"}, {"a.nrrd", "b.nrrd"}};
  const ptrdiff_t plane = volume.grid.size[0] * volume.grid.size[1];
  for (int f = 0; f < 3; f++) {
    struct willis_volume_writer *writer;
    const char *pieces = scratch_path(names[f][0]), *whole = scratch_path(names[f][1]);
    assert_int_equal(willis_volume_write(whole, &volume, WILLIS_VOXEL_FLOAT32, false, NULL),
                     WILLIS_OK);
    assert_int_equal(
        willis_volume_writer_open(pieces, &volume.grid, WILLIS_VOXEL_FLOAT32, false, &writer, NULL),
        WILLIS_OK);
    for (ptrdiff_t z = 0; z < 9; z += 4)
      assert_int_equal(willis_volume_writer_put(writer, volume.voxels + z * plane,
                                                (z + 4 < 9 ? 4 : 9 - z) * plane, NULL),
                       WILLIS_OK);
    assert_int_equal(willis_volume_writer_commit(writer, NULL), WILLIS_OK);
    assert_same_files(pieces, whole);
  }
}

static void counts_voxels(void **state) {
  (void)state;
  struct willis_volume_writer *writer;
  struct willis_error err;
  const char *path = scratch_path("short.nii");
  const ptrdiff_t count = willis_grid_count(&volume.grid);
  const int files = scratch_count();
  assert_int_equal(
      willis_volume_writer_open(path, &volume.grid, WILLIS_VOXEL_FLOAT32, false, &writer, &err),
      WILLIS_OK);
  assert_int_equal(willis_volume_writer_put(writer, volume.voxels, count + 1, &err),
                   WILLIS_INVALID_ARGUMENT);
  assert_int_equal(willis_volume_writer_put(writer, volume.voxels, count - 1, &err), WILLIS_OK);
  assert_int_equal(willis_volume_writer_commit(writer, &err), WILLIS_INVALID_ARGUMENT);
  assert_non_null(strstr(err.message, "lacks 1 voxels"));
  assert_int_equal(scratch_count(), files);
  assert_int_equal(willis_volume_writer_open("volume.png", &volume.grid, WILLIS_VOXEL_FLOAT32,
                                             false, &writer, &err),
                   WILLIS_INVALID_ARGUMENT);
  assert_null(writer);
  willis_volume_writer_abandon(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(pieces_make_the_same_file),
      cmocka_unit_test(counts_voxels),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
