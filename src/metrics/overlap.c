/* Scores that counting voxels gives: with TP, FP, FN, TN of the two masks,
 *   IoU = TP/(TP+FP+FN)   Dice = 2TP/(2TP+FP+FN)   accuracy = (TP+TN)/all
 * and mean squared and absolute errors of the probabilities (M10). Errors of the mask itself are
 * (FP+FN)/all, squared or not. Definitions: Metrics Reloaded (Maier-Hein et al. 2024). */
#include "metrics/scores.h"

#include "base/error.h"
#include "base/parallel.h"

#include <math.h>

enum { CHUNK = 1 << 16 };
/* What a sum over a chunk counts. */
enum { HITS, MASKED, TRUE_ONES, SQUARED, ABSOLUTE, SUMS };

struct pair {
  const float *prediction, *truth;
  double threshold;
};

static void count(ptrdiff_t begin, ptrdiff_t end, double *sum, void *context) {
  const struct pair *pair = context;
  ptrdiff_t hits = 0, masked = 0, true_ones = 0;
  double squared = 0, absolute = 0;
  for (ptrdiff_t v = begin; v < end; v++) {
    int mask = (double)pair->prediction[v] >= pair->threshold;
    int truth = pair->truth[v] >= 0.5f;
    hits += mask & truth;
    masked += mask;
    true_ones += truth;
    double difference = (double)pair->prediction[v] - truth;
    squared += difference * difference;
    absolute += fabs(difference);
  }
  sum[HITS] = (double)hits;
  sum[MASKED] = (double)masked;
  sum[TRUE_ONES] = (double)true_ones;
  sum[SQUARED] = squared;
  sum[ABSOLUTE] = absolute;
}

static double ratio(double part, double whole) {
  return whole > 0 ? part / whole : NAN;
}

enum willis_status willis_scores_overlap(const struct willis_volume *prediction,
                                         const struct willis_volume *truth, double threshold,
                                         struct willis_scores *scores, struct willis_error *err) {
  willis_scores_clear(scores);
  enum willis_status status = willis_scores_check(prediction, truth, threshold, err);
  if (status != WILLIS_OK) return status;
  double all = (double)willis_grid_count(&truth->grid);
  struct pair pair = {prediction->voxels, truth->voxels, threshold};
  double sum[SUMS];
  willis_parallel_sum(willis_grid_count(&truth->grid), CHUNK, SUMS, count, &pair, sum);
  double tp = sum[HITS], fp = sum[MASKED] - tp, fn = sum[TRUE_ONES] - tp;
  scores->iou = ratio(tp, tp + fp + fn);
  scores->dice = tp + fp + fn > 0 ? 2 * tp / (2 * tp + fp + fn) : 1;
  scores->accuracy = (all - fp - fn) / all;
  scores->precision = ratio(tp, tp + fp);
  scores->recall = ratio(tp, tp + fn);
  scores->mse = sum[SQUARED] / all;
  scores->mae = sum[ABSOLUTE] / all;
  scores->mse_mask = scores->mae_mask = (fp + fn) / all;
  return WILLIS_OK;
}
