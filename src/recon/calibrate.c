/* Temperature scaling (Guo et al., ICML 2017), one temperature for each kind of projection and
 * number of views. Logits go into a histogram, so that memory does not grow with patients: with
 * bins as narrow as these the loss changes in its sixth digit. */
#include "recon/hull_levels.h"
#include "recon/hull_looks.h"
#include "recon/hull_train.h"
#include "recon/sweep.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/progress.h"

#include <math.h>
#include <string.h>

enum { BINS_PER_UNIT = 256, REACH = 32, BINS = 2 * REACH * BINS_PER_UNIT };
static const double least_temperature = 0.05, most_temperature = 20, narrow = 1e-6;

/* One kind of projection and number of views. */
struct tally {
  struct willis_sampling sampling;
  struct willis_sweep sweep; /* with temperature 1 */
  ptrdiff_t all[BINS], positive[BINS];
};

static int bin_of(double logit) {
  const double bin = floor((logit + REACH) * BINS_PER_UNIT);
  return bin < 0 ? 0 : bin < BINS ? (int)bin : BINS - 1;
}

/* log(1 + exp(x)) */
static double softplus(double x) {
  return fmax(x, 0) + log1p(exp(-fabs(x)));
}

/* Mean binary cross-entropy with logits over a temperature. */
static double loss_with(const struct tally *tally, double temperature) {
  double sum = 0;
  ptrdiff_t count = 0;
  for (int b = 0; b < BINS; b++) {
    const double logit = ((b + 0.5) / BINS_PER_UNIT - REACH) / temperature;
    if (!tally->all[b]) continue;
    sum += (double)tally->positive[b] * softplus(-logit) +
           (double)(tally->all[b] - tally->positive[b]) * softplus(logit);
    count += tally->all[b];
  }
  return count ? sum / (double)count : 0;
}

/* Golden section over log T: the loss is convex in 1/T, so it has one valley. */
static double best_temperature(const struct tally *tally) {
  const double golden = (sqrt(5) - 1) / 2;
  double low = log(least_temperature), high = log(most_temperature);
  double x[2] = {high - golden * (high - low), low + golden * (high - low)};
  double y[2] = {loss_with(tally, exp(x[0])), loss_with(tally, exp(x[1]))};
  while (high - low > narrow) {
    if (y[0] <= y[1]) {
      high = x[1];
      x[1] = x[0];
      y[1] = y[0];
      x[0] = high - golden * (high - low);
      y[0] = loss_with(tally, exp(x[0]));
    } else {
      low = x[0];
      x[0] = x[1];
      y[0] = y[1];
      x[1] = low + golden * (high - low);
      y[1] = loss_with(tally, exp(x[1]));
    }
  }
  return exp((low + high) / 2);
}

static bool learns_anything(const struct tally *tally) {
  ptrdiff_t all = 0, positive = 0;
  for (int b = 0; b < BINS; b++) {
    all += tally->all[b];
    positive += tally->positive[b];
  }
  return positive > 0 && positive < all;
}

/* A probability with temperature 1, as it is with another. Order stays, so a mask does too. */
static double warmed(double p, double temperature) {
  return 1 / (1 + pow((1 - p) / p, 1 / temperature));
}

static void fit_row(const struct tally *tally, double threshold, struct willis_calibration_row *row,
                    struct willis_calibration_fit *fit) {
  *row = (struct willis_calibration_row){tally->sampling.mode, tally->sampling.views, 1, threshold};
  *fit = (struct willis_calibration_fit){0};
  if (learns_anything(tally)) row->temperature = best_temperature(tally);
  struct willis_sweep_point best = willis_sweep_best(&tally->sweep);
  if (isnan(threshold))
    row->threshold = warmed(best.threshold, row->temperature);
  else
    best = willis_sweep_at(&tally->sweep, warmed(threshold, 1 / row->temperature));
  for (int b = 0; b < BINS; b++) fit->voxels += tally->all[b];
  fit->loss_as_is = loss_with(tally, 1);
  fit->loss = loss_with(tally, row->temperature);
  fit->iou = best.iou;
}

static void count(struct tally *tally, const struct willis_hull_case *c, const float *logit,
                  const struct willis_volume *truth, struct willis_volume *probability) {
  memset(probability->voxels, 0,
         (size_t)willis_grid_count(&truth->grid) * sizeof *probability->voxels);
  for (ptrdiff_t i = 0; i < c->set.rows; i++) {
    const int32_t v = c->set.voxel[i];
    const int bin = bin_of((double)logit[i]);
    tally->all[bin]++;
    tally->positive[bin] += truth->voxels[v] > 0.5f;
    probability->voxels[v] = willis_hull_probability(logit[i], 1);
  }
  willis_sweep_add(&tally->sweep, probability, truth);
}

static enum willis_status add_patient(const struct willis_network *network,
                                      const struct willis_pair *pair, struct tally *tally,
                                      struct willis_volume *probability, struct willis_error *err) {
  struct willis_projections stack;
  struct willis_hull_case c;
  enum willis_status status = willis_hull_show(&tally->sampling, 0, pair->volume, &stack, err);
  if (status) return status;
  status = willis_hull_case_of(&c, &stack, network, &pair->volume->grid, 0, err);
  if (status) {
    willis_projections_release(&stack);
    return status;
  }
  float *logit = willis_take(c.set.rows, sizeof *logit);
  if (!logit) status = willis_fail_memory(err, "logits", c.set.rows, sizeof *logit);
  if (!status) status = willis_hull_decide(&c, network, logit, err);
  if (!status) count(tally, &c, logit, pair->truth, probability);
  willis_release(logit);
  willis_hull_case_release(&c);
  willis_projections_release(&stack);
  return status;
}

static enum willis_status see_patients(const struct willis_network *network,
                                       struct willis_subset held_out, struct tally *tally,
                                       int tallies, const struct willis_progress *progress,
                                       struct willis_error *err) {
  const double total = (double)((held_out.end - held_out.begin) * tallies);
  enum willis_status status = WILLIS_OK;
  ptrdiff_t done = 0;
  for (ptrdiff_t i = held_out.begin; i < held_out.end && !status; i++) {
    struct willis_pair pair;
    struct willis_volume probability = {0};
    status = willis_dataset_fetch(held_out.dataset, i, &pair, err);
    if (!status) status = willis_volume_create(&probability, &pair.truth->grid, err);
    for (int k = 0; k < tallies && !status; k++) {
      status = add_patient(network, &pair, &tally[k], &probability, err);
      done++;
      if (!status && !willis_progress_report(progress, "calibrating", (double)done, total, "hulls"))
        status = willis_fail(err, WILLIS_CANCELLED, "stopped");
    }
    willis_volume_release(&probability);
  }
  return status;
}

/* In the order of the rows: maxima first, view counts ascending. */
static void choose_samplings(struct tally *tally, int tallies,
                             const struct willis_calibrate_options *options,
                             const struct willis_sampling *sampling) {
  const int n = options->view_count_count;
  int views[WILLIS_TRAIN_VIEW_COUNTS];
  for (int i = 0; i < n; i++) {
    int at = i;
    for (; at > 0 && views[at - 1] > options->view_counts[i]; at--) views[at] = views[at - 1];
    views[at] = options->view_counts[i];
  }
  for (int k = 0; k < tallies; k++) {
    tally[k].sampling = *sampling;
    tally[k].sampling.views = views[k % n];
    if (options->both_modes)
      tally[k].sampling.mode = k < n ? WILLIS_PROJECTION_MAX : WILLIS_PROJECTION_SUM;
  }
}

static enum willis_status check(const struct willis_network *network, struct willis_subset held_out,
                                const struct willis_calibrate_options *o,
                                struct willis_error *err) {
  const char *name = willis_network_metadata(network, "network");
  if (strcmp(name, "hull"))
    return willis_fail(err, WILLIS_UNSUPPORTED,
                       "network %s is not calibrated, only network hull is", name);
  if (held_out.end <= held_out.begin)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "no patient to calibrate on");
  if (o->view_count_count < 1 || o->view_count_count > WILLIS_TRAIN_VIEW_COUNTS)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "%d view counts: expected 1 to %d",
                       o->view_count_count, WILLIS_TRAIN_VIEW_COUNTS);
  if (!isnan(o->threshold) && !(o->threshold > 0 && o->threshold < 1))
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "threshold %g: expected between 0 and 1",
                       o->threshold);
  return WILLIS_OK;
}

enum willis_status willis_calibrate(struct willis_network *network, struct willis_subset held_out,
                                    const struct willis_calibrate_options *options,
                                    const struct willis_progress *progress,
                                    struct willis_calibration *calibration,
                                    struct willis_calibration_fit *fit, struct willis_error *err) {
  struct willis_calibration_fit own[WILLIS_CALIBRATION_ROWS];
  *calibration = (struct willis_calibration){0};
  enum willis_status status = check(network, held_out, options, err);
  if (status) return status;
  const int tallies = options->view_count_count * (options->both_modes ? 2 : 1);
  struct tally *tally = willis_take_zeroed(tallies, sizeof *tally);
  if (!tally) return willis_fail_memory(err, "a calibration", tallies, sizeof *tally);
  choose_samplings(tally, tallies, options, willis_dataset_sampling(held_out.dataset));
  status = see_patients(network, held_out, tally, tallies, progress, err);
  for (int k = 0; k < tallies && !status; k++)
    fit_row(&tally[k], options->threshold, &calibration->row[calibration->count++],
            &(fit ? fit : own)[k]);
  if (!status) status = willis_calibration_store(calibration, network, err);
  willis_release(tally);
  return status;
}
