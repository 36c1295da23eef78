/* The conditional GAN from shapes to a volume: it learns, resumes to the bit, one seed gives one
 * result, what no view shows stays empty, and what does not belong together is refused. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/parallel.h"
#include "patients.h"
#include "recon/checkpoint.h"
#include "recon/train_run.h"

#include <willis/projector.h>

#include <math.h>

enum { PATIENTS = 3, HELD_OUT = 1, SIZE = 64, EPOCHS = 3, STEPS = EPOCHS * (PATIENTS - HELD_OUT) };

static struct willis_cohort cohort;
static struct willis_dataset *dataset;

static int set_up(void **state) {
  if (scratch_make(state)) return -1;
  struct willis_sampling sampling = willis_sampling_defaults();
  sampling.size = SIZE;
  sampling.views = 2;
  return willis_cohort_read(make_patients(PATIENTS), &cohort, NULL) ||
         willis_dataset_create(&cohort, PATIENTS, &sampling, WILLIS_DATASET_GREY, true, NULL, NULL,
                               &dataset, NULL);
}

static int tear_down(void **state) {
  willis_dataset_destroy(dataset);
  willis_cohort_release(&cohort);
  return remove_scratch_tree(state);
}

static struct willis_train_options fast(void) {
  struct willis_train_options options = willis_train_defaults();
  options.network = "cgan";
  options.l1 = 100;
  options.learning_rate = 2e-3;
  options.epochs = EPOCHS;
  options.validate_every = 1;
  options.seed = 5;
  return options;
}

static bool stop(const char *what, double done, double total, const char *unit, void *context) {
  (void)what;
  (void)total;
  (void)unit;
  return done < *(double *)context;
}

static enum willis_status train(const struct willis_train_options *options, const char *model,
                                const char *resume, double stop_at,
                                struct willis_train_result *result, struct willis_error *err) {
  struct willis_subset training = {dataset, 0, PATIENTS - HELD_OUT};
  struct willis_subset validation = {dataset, PATIENTS - HELD_OUT, PATIENTS};
  char log[600];
  snprintf(log, sizeof log, "%s.csv", model);
  struct willis_train_files files = {
      .model = model, .log = log, .resume = resume, .overwrite = !resume};
  struct willis_progress progress = {stop, &stop_at};
  return willis_train(training, validation, options, &files, NULL, &progress, NULL, result, err);
}

static struct willis_network *read_model(const char *path) {
  struct willis_network *network;
  assert_int_equal(willis_network_read(path, &network, NULL), WILLIS_OK);
  return network;
}

/* True when every number is the same. */
static bool has_parameters_of(const char *a, const char *b) {
  struct willis_network *x = read_model(a), *y = read_model(b);
  bool same = true;
  for (int t = 0; t < willis_network_tensor_count(x); t++) {
    struct willis_network_tensor p = willis_network_tensor(x, t), q = willis_network_tensor(y, t);
    same &= !memcmp(p.values, q.values, (size_t)p.count * sizeof(float));
  }
  willis_network_destroy(x);
  willis_network_destroy(y);
  return same;
}

static char whole[512];

static void learns_and_says_what_it_is(void **state) {
  (void)state;
  struct willis_train_options options = fast();
  struct willis_train_result result;
  struct willis_error err;
  struct willis_epoch *epoch;
  ptrdiff_t count;
  char log[600];
  snprintf(whole, sizeof whole, "%s", scratch_path("whole.safetensors"));
  snprintf(log, sizeof log, "%s.csv", whole);
  if (train(&options, whole, NULL, 1e9, &result, &err)) fail_msg("%s", err.message);
  assert_int_equal(result.steps, STEPS);
  assert_int_equal(willis_log_read(log, &epoch, &count, &err), WILLIS_OK);
  assert_int_equal(count, EPOCHS);
  assert_true(epoch[count - 1].loss < 0.9 * epoch[0].loss);
  willis_release(epoch);
  struct willis_network *network = read_model(whole);
  struct willis_model_card card;
  assert_int_equal(willis_model_describe(network, &card, &err), WILLIS_OK);
  assert_int_equal(card.views, 2);
  assert_int_equal(card.size, SIZE);
  assert_string_equal(willis_network_metadata(network, "l1_weight"), "100");
  assert_null(willis_network_metadata(network, "alpha"));
  willis_network_destroy(network);
}

static void resumes_to_the_bit(void **state) {
  (void)state;
  struct willis_train_options options = fast();
  struct willis_train_result result;
  struct willis_error err;
  const int before = willis_parallel_threads();
  char parts[512], stem[512], checkpoint[512];
  snprintf(parts, sizeof parts, "%s", scratch_path("parts.safetensors"));
  snprintf(stem, sizeof stem, "%s", scratch_path("parts"));
  /* In the middle of an epoch, with other numbers of threads. */
  willis_parallel_set_threads(3);
  assert_int_equal(train(&options, parts, NULL, 3, &result, &err), WILLIS_CANCELLED);
  assert_true(willis_checkpoint_path(checkpoint, sizeof checkpoint, stem, 3));
  willis_parallel_set_threads(2);
  if (train(&options, parts, checkpoint, 1e9, &result, &err)) fail_msg("%s", err.message);
  willis_parallel_set_threads(before);
  assert_true(has_parameters_of(whole, parts));
  /* Another weight of the L1 term is another run. */
  options.l1 = 0;
  assert_int_equal(train(&options, parts, checkpoint, 1e9, &result, &err), WILLIS_MISMATCH);
}

static void a_seed_is_a_result(void **state) {
  (void)state;
  struct willis_train_options options = fast();
  struct willis_train_result result;
  char first[512], again[512], other[512];
  snprintf(first, sizeof first, "%s", scratch_path("first.safetensors"));
  snprintf(again, sizeof again, "%s", scratch_path("again.safetensors"));
  snprintf(other, sizeof other, "%s", scratch_path("other.safetensors"));
  options.epochs = 1;
  assert_int_equal(train(&options, first, NULL, 1e9, &result, NULL), WILLIS_OK);
  assert_int_equal(train(&options, again, NULL, 1e9, &result, NULL), WILLIS_OK);
  assert_true(has_parameters_of(first, again));
  options.seed++;
  assert_int_equal(train(&options, other, NULL, 1e9, &result, NULL), WILLIS_OK);
  assert_false(has_parameters_of(first, other));
}

static struct willis_projections views_of(const struct willis_volume *volume, int views) {
  struct willis_projections stack;
  struct willis_sampling sampling = *willis_dataset_sampling(dataset);
  sampling.views = views;
  assert_int_equal(willis_sampling_stack(&sampling, &volume->grid, &stack, NULL), WILLIS_OK);
  assert_int_equal(willis_project(volume, &stack, NULL), WILLIS_OK);
  return stack;
}

static void draws_a_head(void **state) {
  (void)state;
  struct willis_network *network = read_model(whole);
  struct willis_reconstruct_options options = {0};
  struct willis_volume head, probability;
  struct willis_error err;
  assert_int_equal(willis_case_load(cohort.cases[2].path, SIZE, false, NULL, &head, &err),
                   WILLIS_OK);
  /* Nothing in the lower half: no view shows anything there. */
  memset(head.voxels, 0, SIZE * SIZE * SIZE / 2 * sizeof *head.voxels);
  struct willis_projections stack = views_of(&head, 2);
  if (willis_reconstruct(&stack, network, &options, NULL, NULL, &probability, &err))
    fail_msg("%s", err.message);
  float low, high;
  willis_volume_range(&probability, &low, &high);
  assert_true(low >= 0 && high <= 1 && high > 0);
  for (ptrdiff_t i = 0; i < SIZE * SIZE * SIZE / 2; i++) assert_true(!(probability.voxels[i] > 0));
  willis_volume_release(&probability);
  /* More than it takes, and less. */
  options.max_memory = 1 << 20;
  assert_int_equal(willis_reconstruct(&stack, network, &options, NULL, NULL, &probability, &err),
                   WILLIS_OUT_OF_MEMORY);
  options.max_memory = 0;
  /* A weight that is no number. */
  struct willis_network_tensor first = willis_network_tensor(network, 0);
  first.values[0] = NAN;
  assert_int_equal(willis_reconstruct(&stack, network, &options, NULL, NULL, &probability, &err),
                   WILLIS_NUMERIC);
  willis_projections_release(&stack);
  stack = views_of(&head, 3);
  options.any_model = true;
  assert_int_equal(willis_reconstruct(&stack, network, &options, NULL, NULL, &probability, &err),
                   WILLIS_INVALID_ARGUMENT);
  assert_non_null(strstr(err.message, "from 2 views, the stack has 3"));
  willis_projections_release(&stack);
  willis_volume_release(&head);
  willis_network_destroy(network);
}

/* 40 pixels are padded to 64, and what comes out has 40 again. */
static void other_sizes_are_padded(void **state) {
  (void)state;
  struct willis_network *network = read_model(whole);
  struct willis_reconstruct_options options = {0};
  struct willis_volume head, probability;
  assert_int_equal(willis_case_load(cohort.cases[2].path, 40, false, NULL, &head, NULL), WILLIS_OK);
  struct willis_projections stack = views_of(&head, 2);
  assert_int_equal(willis_reconstruct(&stack, network, &options, NULL, NULL, &probability, NULL),
                   WILLIS_OK);
  assert_true(willis_grid_equal(&probability.grid, &head.grid));
  willis_projections_release(&stack);
  willis_volume_release(&probability);
  willis_volume_release(&head);
  willis_network_destroy(network);
}

static void refuses(void **state) {
  (void)state;
  struct willis_train_options options = fast();
  struct willis_train_result result;
  struct willis_error err;
  char model[512];
  snprintf(model, sizeof model, "%s", scratch_path("refused.safetensors"));
  options.l1 = -1;
  assert_int_equal(train(&options, model, NULL, 1e9, &result, &err), WILLIS_INVALID_ARGUMENT);
  assert_non_null(strstr(err.message, "L1 weight -1"));
  options = fast();
  assert_int_equal(willis_dataset_set_views(dataset, 3, NULL, &err), WILLIS_OK);
  assert_int_equal(train(&options, model, NULL, 1e9, &result, &err), WILLIS_INVALID_ARGUMENT);
  assert_non_null(strstr(err.message, "3 views: it draws slices from 2"));
  assert_int_equal(willis_dataset_set_views(dataset, 2, NULL, &err), WILLIS_OK);
  struct willis_dataset *kept = dataset;
  struct willis_sampling sampling = *willis_dataset_sampling(dataset);
  sampling.size = 40;
  assert_int_equal(willis_dataset_create(&cohort, PATIENTS, &sampling, WILLIS_DATASET_GREY, true,
                                         NULL, NULL, &dataset, &err),
                   WILLIS_OK);
  assert_int_equal(train(&options, model, NULL, 1e9, &result, &err), WILLIS_INVALID_ARGUMENT);
  assert_non_null(strstr(err.message, "size 40: expected a multiple of 64"));
  willis_dataset_destroy(dataset);
  dataset = kept;
}

/* What is said beforehand is more than a mask of what it takes. */
static void memory_is_known(void **state) {
  (void)state;
  const struct willis_train_options options = fast();
  struct willis_train_memory memory;
  struct willis_error err;
  const struct willis_sampling *sampling = willis_dataset_sampling(dataset);
  assert_int_equal(
      willis_train_memory(&options, &cohort, PATIENTS, sampling, true, 0, 0, &memory, &err),
      WILLIS_OK);
  assert_int_equal(memory.form, WILLIS_DATASET_GREY);
  assert_true(memory.kept);
  const size_t kept = memory.bytes;
  assert_int_equal(
      willis_train_memory(&options, &cohort, PATIENTS, sampling, true, 0, kept - 1, &memory, &err),
      WILLIS_OK);
  assert_false(memory.kept);
  assert_int_equal(
      willis_train_memory(&options, &cohort, PATIENTS, sampling, true, 0, 1, &memory, &err),
      WILLIS_OUT_OF_MEMORY);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(learns_and_says_what_it_is),
      cmocka_unit_test(resumes_to_the_bit),
      cmocka_unit_test(a_seed_is_a_result),
      cmocka_unit_test(draws_a_head),
      cmocka_unit_test(other_sizes_are_padded),
      cmocka_unit_test(refuses),
      cmocka_unit_test(memory_is_known),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
