/* Which frame has most contrast, whatever exposure and noise do. */
#include "xray/contrast.h"

#include "base/random.h"
#include "failing_allocator.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

enum { EDGE = 192, FRAMES = 12, COUNT = EDGE * EDGE };

static struct willis_error err;

/* Bones, a bent vessel of so much contrast, and noise. */
static void expose(float *picture, int frame, double gain, double contrast, double noise) {
  for (int i = 0; i < COUNT; i++) {
    const double c = i % EDGE, r = i / EDGE;
    const double bones = 60 * sin(c / 23) * sin(r / 31) + 0.3 * r;
    const double off = (r - 96 - 30 * sin(c / 30)) / 2.5;
    picture[i] = (float)(gain * (bones + 100) + contrast * exp(-off * off) +
                         noise * willis_random_normal(7, (uint64_t)frame, (uint64_t)i));
  }
}

struct series {
  double gain[FRAMES], contrast[FRAMES], noise[FRAMES];
  bool use[FRAMES];
};

static struct series still(void) {
  struct series s;
  for (int f = 0; f < FRAMES; f++)
    s.gain[f] = 1, s.contrast[f] = 0, s.noise[f] = 5, s.use[f] = true;
  /* The first frame comes before the exposure has settled. */
  s.gain[0] = 1.08;
  s.noise[0] = 18;
  return s;
}

static enum willis_status rate(const struct series *s, struct willis_frame_contrast of[FRAMES],
                               bool *comes_and_goes) {
  static float picture[COUNT], block[FRAMES * COUNT];
  const struct willis_blocks blocks = willis_blocks_of(EDGE, EDGE);
  for (int f = 0; f < FRAMES; f++) {
    expose(picture, f, s->gain[f], s->contrast[f], s->noise[f]);
    willis_blocks_shrink(&blocks, picture, NULL, block + f * blocks.count);
  }
  return willis_contrast_rate(block, FRAMES, blocks.count, s->use, of, comes_and_goes, &err);
}

static int most(const struct series *s, bool *comes_and_goes) {
  struct willis_frame_contrast of[FRAMES];
  int best = -1;
  assert_int_equal(rate(s, of, comes_and_goes), WILLIS_OK);
  for (int f = 0; f < FRAMES; f++)
    if (s->use[f] && (best < 0 || of[f].more > of[best].more)) best = f;
  return best;
}

static void a_bolus_is_found(void **state) {
  (void)state;
  static const double passing[FRAMES] = {0, 0, 0, 0.2, 0.6, 0.9, 1, 0.7, 0.4, 0.1, 0, 0};
  static const double staying[FRAMES] = {0, 0, 0.5, 0.9, 0.95, 0.9, 0.9, 0.9, 1.4, 0.9, 0.9, 0.9};
  bool dynamic;
  for (int k = 0; k < 2; k++) {
    struct series s = still();
    for (int f = 0; f < FRAMES; f++) s.contrast[f] = 20 * (k ? staying : passing)[f];
    assert_int_equal(most(&s, &dynamic), k ? 8 : 6);
    assert_true(dynamic);
    s.use[k ? 8 : 6] = false; /* what may not be used is not compared */
    assert_true(most(&s, &dynamic) != (k ? 8 : 6));
  }
}

static void nothing_comes_or_goes(void **state) {
  (void)state;
  struct willis_frame_contrast of[FRAMES];
  struct series s = still();
  bool dynamic = true;
  for (int f = 0; f < FRAMES; f++) s.contrast[f] = 40; /* filled all the time */
  assert_int_equal(rate(&s, of, &dynamic), WILLIS_OK);
  assert_false(dynamic);
  for (int f = 1; f < FRAMES; f++) assert_true(of[f].unlike < 0.5 * of[0].unlike);
  for (int f = 0; f < FRAMES; f++) s.noise[f] = 0, s.gain[f] = 1; /* one picture again and again */
  assert_int_equal(rate(&s, of, &dynamic), WILLIS_OK);
  assert_false(dynamic);
}

/* 2 × 2 pixels a block, of which hidden ones do not count; what does not fill a block is left. */
static void blocks_are_means(void **state) {
  (void)state;
  enum { COLUMNS = 131, ROWS = 129 };
  static float picture[COLUMNS * ROWS], block[COLUMNS * ROWS];
  static bool shown[COLUMNS * ROWS];
  const struct willis_blocks blocks = willis_blocks_of(COLUMNS, ROWS);
  assert_true(blocks.edge == 2 && blocks.count == 65 * 64);
  for (int i = 0; i < COLUMNS * ROWS; i++) picture[i] = (float)i, shown[i] = i % COLUMNS != 1;
  assert_true(willis_blocks_shrink(&blocks, picture, NULL, block) == blocks.count);
  assert_true(block[0] == 66 && block[65] == 66 + 2 * COLUMNS);
  willis_blocks_shrink(&blocks, picture, shown, block);
  assert_true(block[0] == 65.5f && block[1] == 68);
  shown[0] = false; /* one of four is left */
  assert_true(willis_blocks_shrink(&blocks, picture, shown, block) == blocks.count - 1);
  assert_true(block[0] == 68);
  assert_true(willis_blocks_of(20, 14).edge == 1 && willis_blocks_of(512, 512).edge == 8);
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  struct willis_frame_contrast of[FRAMES];
  const struct series s = still();
  bool dynamic;
  for (int n = 0; n < 4; n++) {
    struct failing_allocator failing = {.until_failure = n};
    failing_allocator_use(&failing);
    const enum willis_status status = rate(&s, of, &dynamic);
    failing_allocator_use(NULL);
    assert_int_equal(failing.held, 0);
    assert_int_equal(status, n < 3 ? WILLIS_OUT_OF_MEMORY : WILLIS_OK);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_bolus_is_found),
      cmocka_unit_test(nothing_comes_or_goes),
      cmocka_unit_test(blocks_are_means),
      cmocka_unit_test(every_allocation_may_fail),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
