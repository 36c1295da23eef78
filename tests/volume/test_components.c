/* 26-connected components against SciPy's labels, and by hand. */
#include "../oracle/oracle.h"

#include <willis/volume.h>

#include "base/parallel.h"
#include "failing_allocator.h"
#include "hashed.h"

#include <stdlib.h>

static struct willis_volume make(ptrdiff_t nx, ptrdiff_t ny, ptrdiff_t nz) {
  struct willis_grid grid = willis_grid_cube(1, 1, NULL);
  struct willis_volume mask;
  grid.size[0] = nx;
  grid.size[1] = ny;
  grid.size[2] = nz;
  assert_int_equal(willis_volume_create(&mask, &grid, NULL), WILLIS_OK);
  return mask;
}

static ptrdiff_t count_set(const struct willis_volume *mask) {
  ptrdiff_t set = 0;
  for (ptrdiff_t i = 0; i < willis_grid_count(&mask->grid); i++) set += mask->voxels[i] > 0.5f;
  return set;
}

static void scatter(struct willis_volume *mask, uint32_t part) {
  for (ptrdiff_t i = 0; i < willis_grid_count(&mask->grid); i++)
    mask->voxels[i] = (uint64_t)hashed_bits((uint32_t)i, part) * 1000 < (uint64_t)part << 20;
}

/* Keeping the n largest leaves as many voxels as SciPy's n largest labels have, for every n. */
static void equals_scipy(void **state) {
  (void)state;
  struct oracle oracle = oracle_open("../oracle/volume_components.txt");
  char word[64];
  int cases = 0;
  for (; oracle_word(&oracle, word); cases++) {
    ptrdiff_t nx = atol(word), ny = (ptrdiff_t)oracle_number(&oracle);
    ptrdiff_t nz = (ptrdiff_t)oracle_number(&oracle);
    uint32_t part = (uint32_t)oracle_number(&oracle);
    ptrdiff_t components = (ptrdiff_t)oracle_number(&oracle), sum = 0, found, kept;
    struct willis_volume mask = make(nx, ny, nz);
    for (ptrdiff_t n = 1; n <= 10; n++) {
      ptrdiff_t size = (ptrdiff_t)oracle_number(&oracle);
      scatter(&mask, part);
      assert_int_equal(willis_mask_keep_components(&mask, n, 0, &found, &kept, NULL), WILLIS_OK);
      assert_int_equal(found, components);
      assert_int_equal(kept, n < components ? n : components);
      assert_int_equal(count_set(&mask), sum += size);
      if (size == 0) continue;
      scatter(&mask, part);
      assert_int_equal(willis_mask_keep_components(&mask, 0, size, &found, &kept, NULL), WILLIS_OK);
      assert_true(kept >= n && count_set(&mask) >= sum);
    }
    willis_volume_release(&mask);
  }
  assert_int_equal(cases, 36);
  oracle_close(&oracle);
}

/* Two voxels that touch only at a corner are one part, in all four diagonals; a gap is a gap. */
static void corners_connect_and_gaps_do_not(void **state) {
  (void)state;
  const int pair[][2] = {{0, 26}, {2, 24}, {6, 20}, {8, 18}, {0, 2}, {0, 18}, {1, 25}};
  for (size_t p = 0; p < 7; p++)
    for (int joined = 0; joined < 2; joined++) {
      ptrdiff_t found, kept;
      struct willis_volume mask = make(3, 3, 3);
      mask.voxels[pair[p][0]] = mask.voxels[pair[p][1]] = 1;
      mask.voxels[13] = (float)joined;
      assert_int_equal(willis_mask_keep_components(&mask, 0, 0, &found, &kept, NULL), WILLIS_OK);
      assert_int_equal(found, joined ? 1 : 2);
      willis_volume_release(&mask);
    }
}

static void ends_of_rows_do_not_wrap(void **state) {
  (void)state;
  ptrdiff_t found, kept;
  struct willis_volume mask = make(4, 4, 4);
  mask.voxels[3] = mask.voxels[4] = 1;   /* end of row 0, start of row 1 */
  mask.voxels[31] = mask.voxels[32] = 1; /* last row of a slice, first of the next */
  assert_int_equal(willis_mask_keep_components(&mask, 0, 0, &found, &kept, NULL), WILLIS_OK);
  assert_int_equal(found, 4);
  willis_volume_release(&mask);
}

static void equals_are_kept_in_order(void **state) {
  (void)state;
  ptrdiff_t found, kept;
  struct willis_volume mask = make(9, 1, 1);
  for (int i = 0; i < 9; i += 2) mask.voxels[i] = 1;
  assert_int_equal(willis_mask_keep_components(&mask, 2, 0, &found, &kept, NULL), WILLIS_OK);
  assert_int_equal(found, 5);
  assert_int_equal(kept, 2);
  const float expected[9] = {1, 0, 1};
  assert_memory_equal(mask.voxels, expected, sizeof expected);
  assert_int_equal(willis_mask_keep_components(&mask, 0, 2, NULL, NULL, NULL), WILLIS_OK);
  assert_int_equal(count_set(&mask), 0);
  struct willis_error err;
  assert_int_equal(willis_mask_keep_components(&mask, -1, 0, NULL, NULL, &err),
                   WILLIS_INVALID_ARGUMENT);
  willis_volume_release(&mask);
}

static void short_memory_is_reported(void **state) {
  (void)state;
  struct willis_volume mask = make(9, 9, 9);
  enum willis_status status = WILLIS_OUT_OF_MEMORY;
  int failures = 0;
  for (; status; failures++) {
    scatter(&mask, 120);
    ptrdiff_t before = count_set(&mask);
    struct failing_allocator failing = {.until_failure = failures};
    failing_allocator_use(&failing);
    status = willis_mask_keep_components(&mask, 1, 0, NULL, NULL, NULL);
    failing_allocator_use(NULL);
    assert_int_equal(failing.held, 0);
    if (status) assert_int_equal(count_set(&mask), before);
  }
  assert_int_equal(failures, 4);
  willis_volume_release(&mask);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(equals_scipy),
      cmocka_unit_test(corners_connect_and_gaps_do_not),
      cmocka_unit_test(ends_of_rows_do_not_wrap),
      cmocka_unit_test(equals_are_kept_in_order),
      cmocka_unit_test(short_memory_is_reported),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
