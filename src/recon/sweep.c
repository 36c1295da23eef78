/* One histogram of values inside the truth and one of all values, summed from the top: at every
 * threshold these are TP and TP+FP. */
#include "recon/sweep.h"

#include <math.h>

/* The largest k with k / STEPS ≤ value, as the comparison in double later sees it. */
static int step_of(double value) {
  int k = (int)floor(value * WILLIS_SWEEP_STEPS);
  if (k < 0) k = 0;
  if (k > WILLIS_SWEEP_STEPS) k = WILLIS_SWEEP_STEPS;
  if (k < WILLIS_SWEEP_STEPS && value >= (k + 1) / (double)WILLIS_SWEEP_STEPS) k++;
  if (k > 0 && value < k / (double)WILLIS_SWEEP_STEPS) k--;
  return k;
}

static void count_voxel(struct willis_sweep_case *counts, float value, bool in) {
  int k = step_of(value);
  counts->count++;
  counts->positive += in;
  counts->all[k]++;
  counts->inside[k] += in;
}

void willis_sweep_count(struct willis_sweep_case *counts, ptrdiff_t count, const float *prediction,
                        const uint8_t *truth, ptrdiff_t first) {
  for (ptrdiff_t v = 0; v < count; v++)
    count_voxel(counts, prediction[v], truth[(first + v) / 8] >> (first + v) % 8 & 1);
}

void willis_sweep_add_case(struct willis_sweep *sweep, const struct willis_sweep_case *counts) {
  const ptrdiff_t count = counts->count, positive = counts->positive;
  ptrdiff_t mask = 0, hit = 0;
  for (int k = WILLIS_SWEEP_STEPS; k >= 0; k--) {
    mask += counts->all[k];
    hit += counts->inside[k];
    ptrdiff_t joined = mask + positive - hit;
    if (joined) sweep->iou[k] += (double)hit / (double)joined;
    if (positive) sweep->recall[k] += (double)hit / (double)positive;
    if (count) sweep->fraction[k] += (double)mask / (double)count;
  }
  sweep->cases++;
}

void willis_sweep_add(struct willis_sweep *sweep, const struct willis_volume *prediction,
                      const struct willis_volume *truth) {
  struct willis_sweep_case counts = {0};
  const ptrdiff_t count = willis_grid_count(&truth->grid);
  for (ptrdiff_t v = 0; v < count; v++)
    count_voxel(&counts, prediction->voxels[v], truth->voxels[v] > 0.5f);
  willis_sweep_add_case(sweep, &counts);
}

static struct willis_sweep_point point(const struct willis_sweep *sweep, int k) {
  double n = sweep->cases ? (double)sweep->cases : 1;
  return (struct willis_sweep_point){k / (double)WILLIS_SWEEP_STEPS, sweep->iou[k] / n,
                                     sweep->recall[k] / n, sweep->fraction[k] / n};
}

struct willis_sweep_point willis_sweep_at(const struct willis_sweep *sweep, double threshold) {
  double k = round(threshold * WILLIS_SWEEP_STEPS);
  return point(sweep, k < 0 ? 0 : k > WILLIS_SWEEP_STEPS ? WILLIS_SWEEP_STEPS : (int)k);
}

struct willis_sweep_point willis_sweep_best(const struct willis_sweep *sweep) {
  int best = 1;
  for (int k = 2; k <= WILLIS_SWEEP_STEPS; k++)
    if (sweep->iou[k] > sweep->iou[best]) best = k;
  return point(sweep, best);
}

struct willis_sweep_point willis_sweep_recall(const struct willis_sweep *sweep, double least) {
  int k = WILLIS_SWEEP_STEPS;
  while (k > 1 && sweep->recall[k] < least * (double)sweep->cases) k--;
  return point(sweep, k);
}
