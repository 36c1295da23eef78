/* Overlap at every threshold against counting at one threshold after the other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "recon/sweep.h"

#include <math.h>
#include <string.h>

enum { N = 10 };

static void make(struct willis_volume *volume, uint64_t stream, bool binary) {
  struct willis_grid grid = willis_grid_cube(N, 1, NULL);
  assert_int_equal(willis_volume_create(volume, &grid, NULL), WILLIS_OK);
  for (int i = 0; i < N * N * N; i++) {
    double u = willis_random_uniform(7, stream, (uint64_t)i);
    /* Values on the steps themselves are where rounding could go wrong. */
    volume->voxels[i] = binary ? u < 0.1 : (float)(i % 3 ? u : floor(u * 1000) / 1000);
  }
}

static void counts_agree(void **state) {
  (void)state;
  static struct willis_sweep sweep;
  struct willis_volume value[2], truth[2];
  memset(&sweep, 0, sizeof sweep);
  for (int c = 0; c < 2; c++) {
    make(&value[c], (uint64_t)c, false);
    make(&truth[c], (uint64_t)c + 10, true);
    willis_sweep_add(&sweep, &value[c], &truth[c]);
  }
  double best = -1;
  for (int k = 1; k <= WILLIS_SWEEP_STEPS; k++) {
    double threshold = k / (double)WILLIS_SWEEP_STEPS, iou = 0, recall = 0;
    for (int c = 0; c < 2; c++) {
      int hit = 0, joined = 0, positive = 0;
      for (int i = 0; i < N * N * N; i++) {
        bool in = truth[c].voxels[i] > 0.5f, mask = value[c].voxels[i] >= threshold;
        hit += in && mask;
        joined += in || mask;
        positive += in;
      }
      iou += (double)hit / joined / 2;
      recall += (double)hit / positive / 2;
    }
    struct willis_sweep_point point = willis_sweep_at(&sweep, threshold);
    assert_true(fabs(point.iou - iou) <= 1e-12);
    assert_true(fabs(point.recall - recall) <= 1e-12);
    if (iou > best) best = iou;
  }
  assert_true(fabs(willis_sweep_best(&sweep).iou - best) <= 1e-12);
  struct willis_sweep_point recall = willis_sweep_recall(&sweep, 0.9);
  assert_true(recall.recall >= 0.9);
  assert_true(willis_sweep_at(&sweep, recall.threshold + 0.001).recall < 0.9);
  for (int c = 0; c < 2; c++) {
    willis_volume_release(&value[c]);
    willis_volume_release(&truth[c]);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(counts_agree)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
