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

void willis_sweep_add(struct willis_sweep *sweep, const struct willis_volume *prediction,
                      const struct willis_volume *truth) {
  ptrdiff_t all[WILLIS_SWEEP_STEPS + 1] = {0}, inside[WILLIS_SWEEP_STEPS + 1] = {0};
  ptrdiff_t count = willis_grid_count(&truth->grid), positive = 0;
  for (ptrdiff_t v = 0; v < count; v++) {
    int k = step_of(prediction->voxels[v]);
    bool in = truth->voxels[v] > 0.5f;
    all[k]++;
    inside[k] += in;
    positive += in;
  }
  ptrdiff_t mask = 0, hit = 0;
  for (int k = WILLIS_SWEEP_STEPS; k >= 0; k--) {
    mask += all[k];
    hit += inside[k];
    ptrdiff_t joined = mask + positive - hit;
    if (joined) sweep->iou[k] += (double)hit / (double)joined;
    if (positive) sweep->recall[k] += (double)hit / (double)positive;
    if (count) sweep->fraction[k] += (double)mask / (double)count;
  }
  sweep->cases++;
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
