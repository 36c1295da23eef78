/* Thinning against scikit-image, voxel for voxel, and what every skeleton must be. */
#include "oracle/oracle.h"

#include "base/memory.h"
#include "failing_allocator.h"
#include "volume/thinning.h"

#include <math.h>

/* Euler characteristic of the union of closed voxel cubes: vertices − edges + faces − cubes, each
 * counted on a lattice twice as fine. */
static ptrdiff_t euler_characteristic(const unsigned char *mask, const ptrdiff_t size[3]) {
  ptrdiff_t fine[3], euler = 0;
  for (int axis = 0; axis < 3; axis++) fine[axis] = 2 * size[axis] + 1;
  unsigned char *cell = willis_take_zeroed(fine[0] * fine[1] * fine[2], 1);
  for (ptrdiff_t v = 0; v < size[0] * size[1] * size[2]; v++) {
    if (!mask[v]) continue;
    ptrdiff_t x = v % size[0], y = v / size[0] % size[1], z = v / size[0] / size[1];
    for (int c = 0; c < 27; c++)
      cell[((2 * z + c / 9) * fine[1] + 2 * y + c / 3 % 3) * fine[0] + 2 * x + c % 3] = 1;
  }
  for (ptrdiff_t c = 0; c < fine[0] * fine[1] * fine[2]; c++) {
    ptrdiff_t dimension = c % fine[0] % 2 + c / fine[0] % fine[1] % 2 + c / fine[0] / fine[1] % 2;
    if (cell[c]) euler += dimension % 2 ? -1 : 1;
  }
  willis_release(cell);
  return euler;
}

static ptrdiff_t count(const unsigned char *mask, ptrdiff_t n) {
  ptrdiff_t sum = 0;
  for (ptrdiff_t v = 0; v < n; v++) sum += mask[v];
  return sum;
}

static void equals_scikit_image(void **state) {
  (void)state;
  struct oracle oracle = oracle_open("../oracle/volume_thinning.txt");
  int cases = 0;
  for (char word[64]; oracle_word(&oracle, word); cases++) {
    char name[64];
    assert_string_equal(word, "case");
    assert_true(oracle_word(&oracle, name));
    ptrdiff_t size[3], n = 1;
    for (int axis = 0; axis < 3; axis++) n *= size[axis] = (ptrdiff_t)oracle_number(&oracle);
    unsigned char *mask = willis_take(n, 1), *expected = willis_take(n, 1);
    oracle_bits(&oracle, mask, n);
    oracle_bits(&oracle, expected, n);
    assert_int_equal(willis_mask_thin(mask, size, NULL), WILLIS_OK);
    ptrdiff_t different = 0;
    for (ptrdiff_t v = 0; v < n; v++) different += mask[v] != expected[v];
    if (different) fail_msg("%s: %td voxels differ", name, different);
    willis_release(mask);
    willis_release(expected);
  }
  assert_int_equal(cases, 6);
  oracle_close(&oracle);
}

enum { EDGE = 25 };
static const ptrdiff_t cube[3] = {EDGE, EDGE, EDGE};
static unsigned char mask[EDGE * EDGE * EDGE];

static void draw(bool (*inside)(double x, double y, double z)) {
  ptrdiff_t v = 0;
  for (int z = 0; z < EDGE; z++)
    for (int y = 0; y < EDGE; y++)
      for (int x = 0; x < EDGE; x++) mask[v++] = inside(x - 12, y - 12, z - 12);
}

static bool ball(double x, double y, double z) {
  return x * x + y * y + z * z < 90;
}

static bool shell(double x, double y, double z) {
  double r = x * x + y * y + z * z;
  return r < 110 && r > 40;
}

static bool torus(double x, double y, double z) {
  double from_ring = hypot(x, y) - 8;
  return from_ring * from_ring + z * z < 9;
}

static bool rod(double x, double y, double z) {
  return y * y + z * z < 9 && fabs(x) < 11;
}

/* A ball has Euler characteristic 1, a torus 0, a shell (one cavity) 2. */
static void topology_is_kept(void **state) {
  (void)state;
  struct {
    bool (*inside)(double x, double y, double z);
    ptrdiff_t euler;
  } shape[] = {{ball, 1}, {rod, 1}, {torus, 0}, {shell, 2}};
  for (size_t i = 0; i < sizeof shape / sizeof shape[0]; i++) {
    draw(shape[i].inside);
    ptrdiff_t before = count(mask, sizeof mask);
    assert_int_equal(euler_characteristic(mask, cube), shape[i].euler);
    assert_int_equal(willis_mask_thin(mask, cube, NULL), WILLIS_OK);
    assert_int_equal(euler_characteristic(mask, cube), shape[i].euler);
    assert_true(count(mask, sizeof mask) < before / 2);
  }
}

static void lines_stay_lines(void **state) {
  (void)state;
  draw(rod);
  assert_int_equal(willis_mask_thin(mask, cube, NULL), WILLIS_OK);
  ptrdiff_t on_axis = 0;
  for (int x = 0; x < EDGE; x++) on_axis += mask[(12 * EDGE + 12) * EDGE + x];
  assert_int_equal(on_axis, count(mask, sizeof mask));
  assert_in_range(on_axis, 15, 21);
  static unsigned char again[sizeof mask];
  memcpy(again, mask, sizeof mask);
  assert_int_equal(willis_mask_thin(again, cube, NULL), WILLIS_OK);
  assert_memory_equal(again, mask, sizeof mask);
}

static void empty_stays_empty(void **state) {
  (void)state;
  memset(mask, 0, sizeof mask);
  assert_int_equal(willis_mask_thin(mask, cube, NULL), WILLIS_OK);
  assert_int_equal(count(mask, sizeof mask), 0);
}

static void short_memory_leaves_the_mask(void **state) {
  (void)state;
  draw(torus);
  static unsigned char before[sizeof mask];
  memcpy(before, mask, sizeof mask);
  enum willis_status status = WILLIS_OUT_OF_MEMORY;
  int failures = 0;
  for (int n = 0; status != WILLIS_OK; n++) {
    struct failing_allocator failing = {.until_failure = n};
    failing_allocator_use(&failing);
    status = willis_mask_thin(mask, cube, NULL);
    failing_allocator_use(NULL);
    assert_int_equal(failing.held, 0);
    if (status == WILLIS_OK) break;
    assert_int_equal(status, WILLIS_OUT_OF_MEMORY);
    assert_memory_equal(mask, before, sizeof mask);
    failures++;
  }
  assert_int_equal(failures, 3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(equals_scikit_image),
      cmocka_unit_test(topology_is_kept),
      cmocka_unit_test(lines_stay_lines),
      cmocka_unit_test(empty_stays_empty),
      cmocka_unit_test(short_memory_leaves_the_mask),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
