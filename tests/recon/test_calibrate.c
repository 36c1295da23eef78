/* Calibration of the hull network: it is the best temperature there is, it follows the logits, what
 * is reconstructed obeys it, and the ambiguity goes beside the probability. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/parallel.h"
#include "failing_allocator.h"
#include "nn/hull_net.h"
#include "patients.h"
#include "recon/hull_case.h"
#include "recon/hull_train.h"

#include <willis/reconstruct.h>

#include <math.h>

enum { PATIENTS = 4, HELD_OUT = 2, SIZE = 16, VOXELS = SIZE * SIZE * SIZE };

static struct willis_cohort cohort;
static struct willis_dataset *dataset;

static struct willis_subset held_out(void) {
  return (struct willis_subset){dataset, PATIENTS - HELD_OUT, PATIENTS};
}

static int set_up(void **state) {
  if (scratch_make(state)) return -1;
  struct willis_sampling sampling = willis_sampling_defaults();
  struct willis_train_options options = willis_train_defaults();
  struct willis_train_result result;
  char model[512];
  sampling.size = SIZE;
  options.network = "hull";
  options.view_counts[0] = 5;
  options.view_counts[1] = 2;
  options.view_count_count = 2;
  options.both_modes = true;
  options.learning_rate = 4e-3;
  options.epochs = 12;
  if (willis_cohort_read(make_patients(PATIENTS), &cohort, NULL) ||
      willis_dataset_create(&cohort, PATIENTS, &sampling, WILLIS_DATASET_GREY, true, NULL, NULL,
                            &dataset, NULL))
    return -1;
  snprintf(model, sizeof model, "%s", scratch_path("m.safetensors"));
  struct willis_train_files files = {.model = model};
  return willis_train((struct willis_subset){dataset, 0, PATIENTS - HELD_OUT}, held_out(), &options,
                      &files, NULL, NULL, NULL, &result, NULL);
}

static int tear_down(void **state) {
  willis_dataset_destroy(dataset);
  willis_cohort_release(&cohort);
  return remove_scratch_tree(state);
}

static struct willis_network *model(void) {
  struct willis_network *network;
  assert_int_equal(willis_network_read(scratch_path("m.safetensors"), &network, NULL), WILLIS_OK);
  return network;
}

static struct willis_calibrate_options both(void) {
  return (struct willis_calibrate_options){
      .view_counts = {5, 2}, .view_count_count = 2, .both_modes = true, .threshold = NAN};
}

static struct willis_calibration calibrate(struct willis_network *network,
                                           struct willis_calibration_fit *fit) {
  const struct willis_calibrate_options options = both();
  struct willis_calibration calibration;
  struct willis_error err;
  if (willis_calibrate(network, held_out(), &options, NULL, &calibration, fit, &err))
    fail_msg("%s", err.message);
  return calibration;
}

static struct willis_projections show(ptrdiff_t patient, int views,
                                      enum willis_projection_mode mode, struct willis_pair *pair) {
  struct willis_sampling sampling = *willis_dataset_sampling(dataset);
  struct willis_projections stack;
  sampling.views = views;
  sampling.mode = mode;
  assert_int_equal(willis_dataset_fetch(dataset, patient, pair, NULL), WILLIS_OK);
  assert_int_equal(willis_hull_show(&sampling, 0, pair->volume, &stack, NULL), WILLIS_OK);
  return stack;
}

static struct willis_volume reconstructed(const struct willis_network *network,
                                          const struct willis_projections *stack,
                                          const struct willis_grid *grid) {
  const struct willis_reconstruct_options options = {.grid = grid};
  struct willis_volume probability;
  struct willis_error err;
  if (willis_reconstruct(stack, network, &options, NULL, NULL, &probability, &err))
    fail_msg("%s", err.message);
  return probability;
}

/* Binary cross-entropy over the hulls of what is reconstructed, and mean IoU at the threshold. */
static double loss_of(const struct willis_network *network,
                      const struct willis_calibration_row *row, double *iou) {
  double sum = 0;
  ptrdiff_t count = 0;
  *iou = 0;
  for (ptrdiff_t i = PATIENTS - HELD_OUT; i < PATIENTS; i++) {
    struct willis_pair pair;
    struct willis_projections stack = show(i, row->views, row->mode, &pair);
    struct willis_volume probability = reconstructed(network, &stack, &pair.volume->grid);
    ptrdiff_t hit = 0, joined = 0;
    for (ptrdiff_t v = 0; v < VOXELS; v++) {
      const double p = (double)probability.voxels[v];
      const bool mask = p >= row->threshold, truth = pair.truth->voxels[v] > 0.5f;
      hit += mask && truth;
      joined += mask || truth;
      if (!(p > 0)) continue;
      sum -= log(truth ? p : 1 - p);
      count++;
    }
    *iou += (double)hit / (double)joined / HELD_OUT;
    willis_volume_release(&probability);
    willis_projections_release(&stack);
  }
  return sum / (double)count;
}

static void is_the_best_temperature(void **state) {
  (void)state;
  struct willis_network *network = model();
  struct willis_calibration_fit fit[WILLIS_CALIBRATION_ROWS];
  const struct willis_calibration found = calibrate(network, fit);
  assert_int_equal(found.count, 4);
  for (int k = 0; k < found.count; k++) {
    const struct willis_calibration_row *row = &found.row[k];
    double iou, other_iou;
    assert_int_equal(row->views, k % 2 ? 5 : 2);
    assert_true(row->mode == (k < 2 ? WILLIS_PROJECTION_MAX : WILLIS_PROJECTION_SUM));
    assert_int_equal(willis_calibration_store(&found, network, NULL), WILLIS_OK);
    const double loss = loss_of(network, row, &iou);
    assert_true(fabs(loss - fit[k].loss) < 2e-4 * loss);
    assert_true(fabs(iou - fit[k].iou) < 0.02);
    assert_true(fit[k].loss <= fit[k].loss_as_is + 1e-12);
    for (int side = 0; side < 2; side++) {
      struct willis_calibration other = found;
      other.row[k].temperature *= side ? 1.1 : 1 / 1.1;
      assert_int_equal(willis_calibration_store(&other, network, NULL), WILLIS_OK);
      assert_true(loss_of(network, &other.row[k], &other_iou) > loss);
    }
  }
  willis_network_destroy(network);
}

/* The training has done the same with its validation patients. */
static void training_calibrates(void **state) {
  (void)state;
  struct willis_network *network = model();
  char text[512];
  assert_non_null(willis_network_metadata(network, "calibration"));
  snprintf(text, sizeof text, "%s", willis_network_metadata(network, "calibration"));
  (void)calibrate(network, NULL);
  assert_string_equal(willis_network_metadata(network, "calibration"), text);
  willis_network_destroy(network);
}

static struct willis_network_tensor tensor_of(struct willis_network *network, const char *name) {
  const int found = willis_network_tensor_find(network, name);
  assert_true(found >= 0);
  return willis_network_tensor(network, found);
}

/* A network that does not hear what it said at its first looks, nor what is explained by it. */
static void deafen(struct willis_network *network) {
  struct willis_network_tensor stem = tensor_of(network, "stem.linear.weight");
  for (ptrdiff_t i = 0; i < stem.count; i++)
    if (i % WILLIS_HULL_VOXEL >= WILLIS_HULL_SET_SOLUTION) stem.values[i] = 0;
}

/* Logits twice as large are as good with twice the temperature, and the masks are the same: of two
 * views, since more are decided about by grey values (hull_grey.h). */
static void follows_the_logits(void **state) {
  (void)state;
  struct willis_network *network = model();
  struct willis_calibration_fit before[WILLIS_CALIBRATION_ROWS], after[WILLIS_CALIBRATION_ROWS];
  deafen(network);
  const struct willis_calibration one = calibrate(network, before);
  static const char *const head[] = {"head.linear.weight", "head.linear.bias"};
  for (int i = 0; i < 2; i++) {
    struct willis_network_tensor tensor = tensor_of(network, head[i]);
    for (ptrdiff_t v = 0; v < tensor.count; v++) tensor.values[v] *= 2;
  }
  const struct willis_calibration two = calibrate(network, after);
  for (int k = 0; k < one.count; k++) {
    if (one.row[k].views > 2) continue;
    assert_true(fabs(two.row[k].temperature / one.row[k].temperature - 2) < 0.01);
    assert_true(fabs(after[k].loss / before[k].loss - 1) < 1e-3);
  }
  willis_network_destroy(network);
}

static void threads_change_nothing(void **state) {
  (void)state;
  struct willis_network *network = model();
  struct willis_calibration_fit first[WILLIS_CALIBRATION_ROWS] = {0}, fit[WILLIS_CALIBRATION_ROWS];
  const struct willis_calibration one = calibrate(network, first);
  for (int threads = 1; threads <= 3; threads += 2) {
    memset(fit, 0, sizeof fit);
    willis_parallel_set_threads(threads);
    const struct willis_calibration other = calibrate(network, fit);
    for (int k = 0; k < one.count; k++) {
      assert_true(other.row[k].temperature == one.row[k].temperature);
      assert_true(other.row[k].threshold == one.row[k].threshold);
      assert_true(fit[k].loss == first[k].loss && fit[k].iou == first[k].iou);
    }
  }
  willis_parallel_set_threads(0);
  willis_network_destroy(network);
}

static bool stop(const char *what, double done, double total, const char *unit, void *context) {
  (void)what, (void)unit, (void)context;
  return done < total;
}

static void refuses_and_stops(void **state) {
  (void)state;
  struct willis_network *network = model(), *dae;
  struct willis_calibrate_options options = both();
  struct willis_calibration calibration;
  const struct willis_subset nobody = {dataset, 1, 1};
  const struct willis_progress progress = {stop, NULL};
  struct willis_error err;
  assert_int_equal(willis_network_create("dae", 1, &dae, NULL), WILLIS_OK);
  assert_int_equal(willis_calibrate(dae, held_out(), &options, NULL, &calibration, NULL, &err),
                   WILLIS_UNSUPPORTED);
  assert_int_equal(willis_calibrate(network, nobody, &options, NULL, &calibration, NULL, &err),
                   WILLIS_INVALID_ARGUMENT);
  assert_int_equal(
      willis_calibrate(network, held_out(), &options, &progress, &calibration, NULL, &err),
      WILLIS_CANCELLED);
  options.threshold = 2;
  assert_int_equal(willis_calibrate(network, held_out(), &options, NULL, &calibration, NULL, &err),
                   WILLIS_INVALID_ARGUMENT);
  options.threshold = 0.25;
  options.view_count_count = 1;
  options.both_modes = false;
  assert_int_equal(willis_calibrate(network, held_out(), &options, NULL, &calibration, NULL, &err),
                   WILLIS_OK);
  assert_true(calibration.count == 1 && calibration.row[0].threshold == 0.25);
  options.view_count_count = 0;
  assert_int_equal(willis_calibrate(network, held_out(), &options, NULL, &calibration, NULL, &err),
                   WILLIS_INVALID_ARGUMENT);
  willis_network_destroy(network);
  willis_network_destroy(dae);
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  struct willis_network *network = model();
  struct willis_calibrate_options options = both();
  struct willis_calibration calibration;
  const struct willis_subset one = {dataset, PATIENTS - 1, PATIENTS};
  enum willis_status status = WILLIS_OUT_OF_MEMORY;
  options.view_count_count = 1;
  options.both_modes = false;
  for (int n = 0; status; n++) {
    struct failing_allocator failing = {n, 0};
    assert_true(n < 200);
    failing_allocator_use(&failing);
    status = willis_calibrate(network, one, &options, NULL, &calibration, NULL, NULL);
    failing_allocator_use(NULL);
    assert_true(status == WILLIS_OK || status == WILLIS_OUT_OF_MEMORY);
    if (status) assert_int_equal(failing.held, 0);
  }
  willis_network_destroy(network);
}

/* ---- what is reconstructed ---- */

static void reconstruction_obeys(void **state) {
  (void)state;
  struct willis_network *network = model();
  struct willis_pair pair;
  struct willis_model_card card;
  struct willis_error err = {0};
  struct willis_projections stack = show(PATIENTS - 1, 4, WILLIS_PROJECTION_MAX, &pair);
  assert_int_equal(willis_network_metadata_set(network, "calibration", NULL, NULL), WILLIS_OK);
  struct willis_volume raw = reconstructed(network, &stack, &pair.volume->grid);
  assert_int_equal(
      willis_network_metadata_set(network, "calibration", "max 2 1.5 0.2; max 8 2.5 0.4", NULL),
      WILLIS_OK);
  struct willis_volume mild = reconstructed(network, &stack, &pair.volume->grid);
  for (ptrdiff_t v = 0; v < VOXELS; v++) {
    const double p = (double)raw.voxels[v];
    /* Half the way from 2 views to 8: temperature 2. */
    const double expected = p > 0 ? 1 / (1 + sqrt((1 - p) / p)) : 0;
    assert_true(fabs((double)mild.voxels[v] - expected) < 1e-3);
  }
  assert_int_equal(willis_model_describe(network, &card, NULL), WILLIS_OK);
  assert_true(fabs(willis_model_threshold(&card, &stack) - 0.3) < 1e-12);
  assert_int_equal(willis_network_metadata_set(network, "calibration", "max 2", NULL), WILLIS_OK);
  const struct willis_reconstruct_options options = {.grid = &pair.volume->grid, .any_model = true};
  struct willis_volume none;
  assert_int_equal(willis_reconstruct(&stack, network, &options, NULL, NULL, &none, &err),
                   WILLIS_FORMAT);
  assert_non_null(strstr(err.message, "calibration, row 1"));
  willis_volume_release(&raw);
  willis_volume_release(&mild);
  willis_projections_release(&stack);
  willis_network_destroy(network);
}

static enum willis_status keep(ptrdiff_t begin, ptrdiff_t end, const float *planes, void *context,
                               struct willis_error *err) {
  (void)err;
  float *volume = context;
  memcpy(volume + begin * SIZE * SIZE, planes,
         (size_t)((end - begin) * SIZE * SIZE) * sizeof *planes);
  return WILLIS_OK;
}

/* The same pictures a quarter further on are those of a head turned by a quarter: what is found in
 * it is what was found, turned. */
static void views_of_the_next_quarter(void **state) {
  (void)state;
  struct willis_network *network = model();
  struct willis_pair pair;
  struct willis_projections stack = show(0, 5, WILLIS_PROJECTION_MAX, &pair);
  const struct willis_grid *grid = &pair.volume->grid;
  struct willis_volume first = reconstructed(network, &stack, grid), second;
  double d[2][3], u[3], v[3], most = 0;
  willis_view_axes(&stack.view[1], d[0], u, v);
  for (ptrdiff_t k = 0; k < stack.view_count; k++) stack.view[k].primary_angle_deg += 90;
  willis_view_axes(&stack.view[1], d[1], u, v);
  const bool left = d[0][0] * d[1][1] - d[0][1] * d[1][0] > 0; /* from x to y */
  second = reconstructed(network, &stack, grid);
  for (ptrdiff_t z = 0; z < SIZE; z++)
    for (ptrdiff_t y = 0; y < SIZE; y++)
      for (ptrdiff_t x = 0; x < SIZE; x++) {
        const ptrdiff_t to_x = left ? SIZE - 1 - y : y, to_y = left ? x : SIZE - 1 - x;
        const float was = first.voxels[(z * SIZE + y) * SIZE + x];
        const float is = second.voxels[(z * SIZE + to_y) * SIZE + to_x];
        assert_true(fabsf(was - is) < 1e-3f);
        most = fmax(most, (double)was);
      }
  assert_true(most > 0.5);
  willis_volume_release(&first);
  willis_volume_release(&second);
  willis_projections_release(&stack);
  willis_network_destroy(network);
}

static void ambiguity_goes_beside(void **state) {
  (void)state;
  struct willis_network *network = model(), *dae;
  struct willis_pair pair;
  struct willis_error err = {0};
  struct willis_volume probability, none;
  float mean[2] = {0};
  for (int k = 0; k < 2; k++) {
    struct willis_projections stack = show(PATIENTS - 1, k ? 20 : 2, WILLIS_PROJECTION_MAX, &pair);
    float *doubt = willis_take(VOXELS, sizeof *doubt);
    const struct willis_plane_sink sink = {keep, doubt};
    const struct willis_reconstruct_options options = {.grid = &pair.volume->grid,
                                                       .ambiguity = &sink};
    assert_int_equal(willis_reconstruct(&stack, network, &options, NULL, NULL, &probability, &err),
                     WILLIS_OK);
    float weight = 0;
    for (ptrdiff_t v = 0; v < VOXELS; v++) {
      assert_true(doubt[v] >= 0 && doubt[v] <= 1);
      if (probability.voxels[v] <= 0) assert_true(doubt[v] <= 0);
      mean[k] += probability.voxels[v] * doubt[v];
      weight += probability.voxels[v];
    }
    mean[k] /= weight;
    willis_release(doubt);
    willis_volume_release(&probability);
    willis_projections_release(&stack);
  }
  /* More views, less doubt. */
  assert_true(mean[0] > 0.1f && mean[1] < mean[0] / 2);
  assert_int_equal(willis_network_create("dae", 1, &dae, NULL), WILLIS_OK);
  struct willis_projections stack = show(0, 2, WILLIS_PROJECTION_MAX, &pair);
  const struct willis_plane_sink sink = {keep, NULL};
  const struct willis_reconstruct_options options = {.any_model = true, .ambiguity = &sink};
  assert_int_equal(willis_reconstruct(&stack, dae, &options, NULL, NULL, &none, &err),
                   WILLIS_UNSUPPORTED);
  assert_non_null(strstr(err.message, "network dae"));
  willis_projections_release(&stack);
  willis_network_destroy(network);
  willis_network_destroy(dae);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(is_the_best_temperature), cmocka_unit_test(training_calibrates),
      cmocka_unit_test(follows_the_logits),      cmocka_unit_test(threads_change_nothing),
      cmocka_unit_test(refuses_and_stops),       cmocka_unit_test(every_allocation_may_fail),
      cmocka_unit_test(reconstruction_obeys),    cmocka_unit_test(views_of_the_next_quarter),
      cmocka_unit_test(ambiguity_goes_beside),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
