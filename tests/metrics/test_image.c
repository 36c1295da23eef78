/* PSNR and SSIM beside scikit-image's; threads; what is refused. */
#include "oracle/oracle.h"

#include <willis/metrics.h>

#include "base/parallel.h"

#include <math.h>
#include <stdlib.h>

/* The two volumes of metrics_image.py. */
static void make(const ptrdiff_t n[3], struct willis_volume *a, struct willis_volume *b) {
  struct willis_grid grid = willis_grid_cube(1, 1, NULL);
  for (int k = 0; k < 3; k++) grid.size[k] = n[k];
  assert_int_equal(willis_volume_create(a, &grid, NULL), WILLIS_OK);
  assert_int_equal(willis_volume_create(b, &grid, NULL), WILLIS_OK);
  for (ptrdiff_t i = 0; i < n[0] * n[1] * n[2]; i++) {
    a->voxels[i] = (float)((double)(i * 7919 % 256) / 255 * 0.25 + (double)(i / 40 % 4) * 0.2);
    b->voxels[i] = (float)((double)a->voxels[i] * 0.9 + (double)(i * 104729 % 251) / 2500);
  }
}

static void scikit_image_agrees(void **state) {
  (void)state;
  struct oracle oracle = oracle_open("../oracle/metrics_image.txt");
  char word[64];
  int cases = 0;
  while (oracle_word(&oracle, word)) {
    double n[6] = {strtod(word, NULL)};
    for (int i = 1; i < 6; i++) n[i] = oracle_number(&oracle);
    const ptrdiff_t size[3] = {(ptrdiff_t)n[0], (ptrdiff_t)n[1], (ptrdiff_t)n[2]};
    struct willis_volume a, b;
    make(size, &a, &b);
    for (int threads = 1; threads <= 4; threads += 3) {
      struct willis_image_scores scores;
      willis_parallel_set_threads(threads);
      assert_int_equal(willis_image_compare(&b, &a, n[3], &scores, NULL), WILLIS_OK);
      if (!(fabs(scores.psnr - n[4]) < 1e-5)) fail_msg("PSNR %.9g for %.9g", scores.psnr, n[4]);
      if (!(fabs(scores.ssim - n[5]) < 1e-6)) fail_msg("SSIM %.9g for %.9g", scores.ssim, n[5]);
    }
    willis_parallel_set_threads(0);
    willis_volume_release(&a);
    willis_volume_release(&b);
    cases++;
  }
  assert_int_equal(cases, 4);
  oracle_close(&oracle);
}

static void borders_and_refusals(void **state) {
  (void)state;
  struct willis_volume a, b, c, d;
  struct willis_image_scores scores;
  make((const ptrdiff_t[]){8, 8, 8}, &a, &b);
  make((const ptrdiff_t[]){8, 6, 8}, &c, &d);
  assert_int_equal(willis_image_compare(&a, &a, 1, &scores, NULL), WILLIS_OK);
  assert_true(isinf(scores.psnr) && scores.ssim == 1);
  assert_int_equal(willis_image_compare(&c, &d, 1, &scores, NULL), WILLIS_OK);
  assert_true(isfinite(scores.psnr) && isnan(scores.ssim));
  assert_int_equal(willis_image_compare(&a, &c, 1, &scores, NULL), WILLIS_MISMATCH);
  assert_int_equal(willis_image_compare(&a, &b, 0, &scores, NULL), WILLIS_INVALID_ARGUMENT);
  a.voxels[3] = NAN;
  assert_int_equal(willis_image_compare(&a, &b, 1, &scores, NULL), WILLIS_NUMERIC);
  willis_volume_release(&a);
  willis_volume_release(&b);
  willis_volume_release(&c);
  willis_volume_release(&d);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(scikit_image_agrees),
      cmocka_unit_test(borders_and_refusals),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
