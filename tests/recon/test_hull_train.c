/* The hull network from shapes to a volume: it learns, resumes to the bit, says what it is, takes
 * any views, and never sees a vessel that no view shows. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "patients.h"
#include "recon/checkpoint.h"
#include "recon/hull_case.h"
#include "recon/hull_train.h"

enum { PATIENTS = 4, HELD_OUT = 1, SIZE = 16, EPOCHS = 10, STEPS = EPOCHS * (PATIENTS - HELD_OUT) };

static struct willis_cohort cohort;
static struct willis_dataset *dataset;

static int set_up(void **state) {
  if (scratch_make(state)) return -1;
  struct willis_sampling sampling = willis_sampling_defaults();
  sampling.size = SIZE;
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
  options.network = "hull";
  options.view_counts[0] = 2;
  options.view_counts[1] = 5;
  options.view_count_count = 2;
  options.both_modes = true;
  options.learning_rate = 4e-3;
  options.epochs = EPOCHS;
  options.validate_every = 5;
  options.trained_on = "phantoms";
  return options;
}

static enum willis_status train(const struct willis_train_options *options, const char *name,
                                const char *resume, struct willis_train_result *result,
                                struct willis_error *err) {
  char model[512];
  snprintf(model, sizeof model, "%s", scratch_path(name));
  struct willis_subset training = {dataset, 0, PATIENTS - HELD_OUT};
  struct willis_subset validation = {dataset, PATIENTS - HELD_OUT, PATIENTS};
  struct willis_train_files files = {.model = model, .resume = resume, .overwrite = true};
  return willis_train(training, validation, options, &files, NULL, NULL, NULL, result, err);
}

static void learns_and_resumes_to_the_bit(void **state) {
  (void)state;
  struct willis_train_options options = fast();
  struct willis_train_result result;
  struct willis_error err;
  char stem[512], checkpoint[600];
  assert_int_equal(train(&options, "whole.safetensors", NULL, &result, &err), WILLIS_OK);
  assert_int_equal(result.steps, STEPS);
  assert_true(result.best_iou > 0.2);
  /* The same run, in two halves and with other threads. */
  options.max_steps = STEPS / 2;
  willis_parallel_set_threads(1);
  assert_int_equal(train(&options, "half.safetensors", NULL, &result, &err), WILLIS_OK);
  snprintf(stem, sizeof stem, "%s", scratch_path("half"));
  assert_true(willis_checkpoint_path(checkpoint, sizeof checkpoint, stem, STEPS / 2));
  options.max_steps = 0;
  willis_parallel_set_threads(3);
  assert_int_equal(train(&options, "half.safetensors", checkpoint, &result, &err), WILLIS_OK);
  willis_parallel_set_threads(0);
  same_parameters("whole.safetensors", "half.safetensors");
  /* Other view counts are another run. */
  options.view_counts[0] = 3;
  assert_true(willis_checkpoint_path(checkpoint, sizeof checkpoint, stem, STEPS));
  assert_int_equal(train(&options, "half.safetensors", checkpoint, &result, &err), WILLIS_MISMATCH);
}

static void needs_view_counts(void **state) {
  (void)state;
  struct willis_train_options options = fast();
  struct willis_train_result result;
  struct willis_error err;
  options.view_count_count = 0;
  assert_int_equal(train(&options, "none.safetensors", NULL, &result, &err),
                   WILLIS_INVALID_ARGUMENT);
  options.view_count_count = 2;
  options.view_counts[1] = 0;
  assert_int_equal(train(&options, "none.safetensors", NULL, &result, &err),
                   WILLIS_INVALID_ARGUMENT);
  options.view_count_count = WILLIS_TRAIN_VIEW_COUNTS + 1;
  assert_int_equal(train(&options, "none.safetensors", NULL, &result, &err),
                   WILLIS_INVALID_ARGUMENT);
}

static void few_views_are_shown_more_often(void **state) {
  (void)state;
  enum { DRAWN = 1000 };
  const struct willis_train_options options = {.view_counts = {10, 2, 5}, .view_count_count = 3};
  int shown[11] = {0};
  for (int i = 0; i < DRAWN; i++) shown[willis_hull_train_views(&options, (i + 0.5) / DRAWN)]++;
  /* 1/10 : 1/2 : 1/5 is 1 : 5 : 2. */
  assert_true(abs(shown[10] - DRAWN / 8) <= 1 && abs(shown[2] - 5 * DRAWN / 8) <= 1);
  assert_int_equal(shown[10] + shown[2] + shown[5], DRAWN);
  assert_int_equal(willis_hull_train_views(&options, nextafter(1, 0)), 5);
}

/* Views of a phantom that no training has seen. */
static struct willis_projections show(const struct willis_volume *volume, int views, bool cone,
                                      enum willis_projection_mode mode) {
  struct willis_sampling sampling = willis_sampling_defaults();
  struct willis_projections stack;
  sampling.views = views;
  sampling.mode = mode;
  sampling.arc_deg = 170;
  assert_int_equal(willis_sampling_stack(&sampling, &volume->grid, &stack, NULL), WILLIS_OK);
  for (ptrdiff_t v = 0; cone && v < views; v++) {
    stack.view[v].kind = WILLIS_VIEW_CONE;
    stack.view[v].source_to_detector_mm = 1000;
    stack.view[v].source_to_isocenter_mm = 700;
    stack.view[v].column_spacing_mm *= 1.6;
    stack.view[v].row_spacing_mm *= 1.6;
  }
  assert_int_equal(willis_project(volume, &stack, NULL), WILLIS_OK);
  return stack;
}

static void reconstructs_any_views(void **state) {
  (void)state;
  struct willis_tree tree;
  struct willis_voxelize_options voxels = willis_voxelize_defaults();
  struct willis_volume phantom, probability, hull;
  struct willis_network *network;
  struct willis_model_card card;
  struct willis_error err;
  voxels.size = SIZE;
  assert_int_equal(willis_tree_phantom(9, &tree, NULL), WILLIS_OK);
  assert_int_equal(willis_tree_voxelize(&tree, &voxels, NULL, &phantom, NULL), WILLIS_OK);
  willis_tree_release(&tree);
  assert_int_equal(willis_network_read(scratch_path("whole.safetensors"), &network, &err),
                   WILLIS_OK);
  assert_int_equal(willis_model_describe(network, &card, &err), WILLIS_OK);
  assert_true(card.any_views && card.any_mode);
  assert_string_equal(willis_network_metadata(network, "views"), "2,5");
  assert_int_equal(willis_volume_create(&hull, &phantom.grid, NULL), WILLIS_OK);
  for (int i = 0; i < 8; i++) {
    struct willis_reconstruct_options options = {.grid = &phantom.grid};
    struct willis_projections stack = show(&phantom, 2 + 3 * (i % 4), i / 4,
                                           i % 2 ? WILLIS_PROJECTION_SUM : WILLIS_PROJECTION_MAX);
    assert_int_equal(willis_model_check(&card, &stack, &err), WILLIS_OK);
    assert_int_equal(willis_reconstruct(&stack, network, &options, NULL, NULL, &probability, &err),
                     WILLIS_OK);
    assert_int_equal(willis_hull(&stack, &hull, &err), WILLIS_OK);
    double inside = 0, outside = 0, vessel = 0, ghost = 0;
    for (ptrdiff_t v = 0; v < SIZE * SIZE * SIZE; v++) {
      const float p = probability.voxels[v];
      assert_true(p >= 0 && p <= 1);
      if (hull.voxels[v] <= 0) assert_true(p <= 0);
      if (p <= 0) continue;
      const bool true_vessel = phantom.voxels[v] > 500;
      *(true_vessel ? &inside : &outside) += (double)p;
      *(true_vessel ? &vessel : &ghost) += 1;
    }
    /* It has learned to tell them apart, on a head and from views that it has never seen. */
    assert_true(inside / vessel > outside / ghost);
    willis_volume_release(&probability);
    willis_projections_release(&stack);
  }
  willis_volume_release(&hull);
  willis_volume_release(&phantom);
  willis_network_destroy(network);
}

/* Of models of one size the one for any views comes before the paper's, which is named first. */
static void fits_any_stack(void **state) {
  (void)state;
  static const char *const card[][2] = {
      {"views", "2"}, {"arc_deg", "170"}, {"projection", "max"}, {"size", "16"}};
  const struct willis_grid grid = willis_grid_cube(SIZE, 1, NULL);
  const char *folder[] = {scratch_folder};
  struct willis_network *dae;
  struct willis_volume empty;
  struct willis_error err;
  char path[600];
  assert_int_equal(willis_network_create("dae", 1, &dae, NULL), WILLIS_OK);
  for (int i = 0; i < 4; i++)
    assert_int_equal(willis_network_metadata_set(dae, card[i][0], card[i][1], NULL), WILLIS_OK);
  assert_int_equal(willis_network_write(scratch_path("a-dae.safetensors"), dae, false, &err),
                   WILLIS_OK);
  assert_int_equal(willis_volume_create(&empty, &grid, NULL), WILLIS_OK);
  struct willis_projections stack = show(&empty, 2, false, WILLIS_PROJECTION_MAX);
  assert_int_equal(willis_model_find(NULL, folder, 1, &stack, SIZE, path, sizeof path, &err),
                   WILLIS_OK);
  assert_string_equal(path, scratch_path("half.safetensors"));
  willis_projections_release(&stack);
  willis_volume_release(&empty);
  willis_network_destroy(dae);
}

static void black_pictures_are_empty_heads(void **state) {
  (void)state;
  struct willis_network *network;
  struct willis_volume empty, probability;
  struct willis_error err;
  const struct willis_grid grid = willis_grid_cube(SIZE, 1, NULL);
  assert_int_equal(willis_network_read(scratch_path("whole.safetensors"), &network, &err),
                   WILLIS_OK);
  assert_int_equal(willis_volume_create(&empty, &grid, NULL), WILLIS_OK);
  struct willis_projections stack = show(&empty, 3, false, WILLIS_PROJECTION_MAX);
  struct willis_reconstruct_options options = {.grid = &grid};
  assert_int_equal(willis_reconstruct(&stack, network, &options, NULL, NULL, &probability, &err),
                   WILLIS_OK);
  for (ptrdiff_t v = 0; v < SIZE * SIZE * SIZE; v++) assert_true(probability.voxels[v] <= 0);
  options.max_memory = 1000;
  struct willis_volume none;
  assert_int_equal(willis_reconstruct(&stack, network, &options, NULL, NULL, &none, &err),
                   WILLIS_OUT_OF_MEMORY);
  willis_volume_release(&probability);
  willis_volume_release(&empty);
  willis_projections_release(&stack);
  willis_network_destroy(network);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(learns_and_resumes_to_the_bit),
      cmocka_unit_test(needs_view_counts),
      cmocka_unit_test(few_views_are_shown_more_often),
      cmocka_unit_test(reconstructs_any_views),
      cmocka_unit_test(fits_any_stack),
      cmocka_unit_test(black_pictures_are_empty_heads),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
