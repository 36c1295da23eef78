/* How often what is given a probability comes true (Brier 1950; DeGroot and Fienberg 1983; the
 * expected calibration error of Naeini et al., AAAI 2015). One pass in order: sums have the same
 * bits for any number of threads. */
#include "metrics/scores.h"

#include "base/error.h"

#include <math.h>

enum { BINS = WILLIS_RELIABILITY_BINS };

static int bin_of(double p) {
  int bin = (int)floor(p * BINS);
  if (bin < 0) bin = 0;
  return bin < BINS ? bin : BINS - 1;
}

static void summarize(struct willis_reliability *r) {
  double error = 0;
  for (int b = 0; b < BINS; b++) {
    struct willis_reliability_bin *bin = &r->bin[b];
    const double count = (double)bin->count;
    bin->mean = bin->count ? bin->sum / count : NAN;
    bin->fraction = bin->count ? (double)bin->positive / count : NAN;
    if (bin->count) error += fabs(bin->sum - (double)bin->positive);
  }
  r->ece = r->count ? error / (double)r->count : NAN;
  r->brier = r->count ? r->squares / (double)r->count : NAN;
}

enum willis_status willis_reliability_add(struct willis_reliability *reliability,
                                          const struct willis_volume *prediction,
                                          const struct willis_volume *truth,
                                          const struct willis_volume *region,
                                          struct willis_error *err) {
  enum willis_status status = willis_scores_check(prediction, truth, 0.5, err);
  if (status) return status;
  if (region && !willis_grid_equal(&region->grid, &truth->grid))
    return willis_fail(err, WILLIS_MISMATCH,
                       "the region lies on another grid than prediction and truth");
  const ptrdiff_t count = willis_grid_count(&truth->grid);
  for (ptrdiff_t v = 0; v < count; v++) {
    const double p = (double)prediction->voxels[v];
    const int positive = truth->voxels[v] >= 0.5f;
    if (region ? !(region->voxels[v] >= 0.5f) : !(p > 0)) continue;
    struct willis_reliability_bin *bin = &reliability->bin[bin_of(p)];
    bin->count++;
    bin->positive += positive;
    bin->sum += p;
    reliability->count++;
    reliability->squares += (p - positive) * (p - positive);
  }
  summarize(reliability);
  return WILLIS_OK;
}
