/* Other heads made of a patient's shape, disturbed pictures, and what training with them takes:
 * the same bits when resumed, no more memory than said. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/parallel.h"
#include "base/random.h"
#include "counting_allocator.h"
#include "patients.h"
#include "recon/checkpoint.h"
#include "recon/dataset.h"
#include "recon/hull_case.h"
#include "recon/shape.h"

#include <math.h>

enum { TREE, MESH, SCAN, PATIENTS, SIZE = 16, VOXELS = SIZE * SIZE * SIZE, STEPS = 12 };

static struct willis_cohort cohort;

/* A box of 12 triangles, longer than wide. */
static void write_mesh(const char *path) {
  static const uint32_t quad[6][4] = {{0, 2, 3, 1}, {4, 5, 7, 6}, {0, 1, 5, 4},
                                      {2, 6, 7, 3}, {0, 4, 6, 2}, {1, 3, 7, 5}};
  float vertex[24];
  uint32_t triangle[36];
  for (int v = 0; v < 8; v++)
    for (int a = 0; a < 3; a++) vertex[3 * v + a] = (float)((v >> a & 1) * (10 + 15 * a));
  for (int q = 0; q < 6; q++)
    for (int c = 0; c < 6; c++) triangle[6 * q + c] = quad[q][(int[]){0, 1, 2, 0, 2, 3}[c]];
  const struct willis_mesh mesh = {
      .vertex = vertex, .triangle = triangle, .vertex_count = 8, .triangle_count = 12};
  assert_int_equal(willis_mesh_write(path, &mesh, false, NULL), WILLIS_OK);
}

/* A tree, a mesh and a scan, in this order. */
static int set_up(void **state) {
  if (scratch_make(state)) return -1;
  char path[600];
  const char *folder = make_patients(1);
  snprintf(path, sizeof path, "%s/q.ply", folder);
  write_mesh(path);
  struct willis_volume scan;
  const struct willis_grid grid = willis_grid_cube(SIZE, 0.5, NULL);
  if (willis_volume_create(&scan, &grid, NULL)) return -1;
  for (ptrdiff_t i = 0; i < VOXELS; i++)
    scan.voxels[i] = (float)(willis_random_uniform(1, 1, (uint64_t)(i / 64)) > 0.9 ? 500 : 20);
  snprintf(path, sizeof path, "%s/r.nii.gz", folder);
  const enum willis_status status =
      willis_volume_write(path, &scan, WILLIS_VOXEL_FLOAT32, false, NULL);
  willis_volume_release(&scan);
  return status || willis_cohort_read(folder, &cohort, NULL) || cohort.count != PATIENTS;
}

static int tear_down(void **state) {
  willis_cohort_release(&cohort);
  return remove_scratch_tree(state);
}

static struct willis_dataset *load(bool kept, ptrdiff_t count) {
  struct willis_sampling sampling = willis_sampling_defaults();
  struct willis_dataset *dataset;
  struct willis_error err;
  sampling.size = SIZE;
  if (willis_dataset_create(&cohort, count, &sampling, WILLIS_DATASET_GREY, kept, NULL, NULL,
                            &dataset, &err))
    fail_msg("%s", err.message);
  return dataset;
}

static void a_change_that_is_none_changes_nothing(void **state) {
  (void)state;
  const struct willis_shape_change none = {.turn = {1, 0, 0, 0, 1, 0, 0, 0, 1},
                                           .stretch = {1, 1, 1},
                                           .margin = willis_voxelize_defaults().margin};
  for (int kept = 0; kept < 2; kept++) {
    struct willis_dataset *dataset = load(kept, PATIENTS);
    for (int i = 0; i < PATIENTS; i++) {
      float grey[VOXELS], truth[VOXELS];
      struct willis_pair pair;
      assert_int_equal(willis_dataset_fetch(dataset, i, &pair, NULL), WILLIS_OK);
      memcpy(grey, pair.volume->voxels, sizeof grey);
      memcpy(truth, pair.truth->voxels, sizeof truth);
      const struct willis_grid grid = pair.volume->grid;
      assert_int_equal(willis_dataset_fetch_changed(dataset, i, &none, &pair, NULL), WILLIS_OK);
      assert_memory_equal(pair.volume->voxels, grey, sizeof grey);
      assert_memory_equal(pair.truth->voxels, truth, sizeof truth);
      assert_true(willis_grid_equal(&pair.volume->grid, &grid));
      assert_null(pair.input);
    }
    willis_dataset_destroy(dataset);
  }
}

/* A shape is what it is when it is changed and voxelized by hand; a scan is as it was; the patients
 * themselves stay as they are. */
static void shapes_change_and_scans_do_not(void **state) {
  (void)state;
  struct willis_dataset *dataset = load(true, PATIENTS);
  for (uint64_t number = 0; number < 4; number++)
    for (int i = 0; i < PATIENTS; i++) {
      const struct willis_shape_change change = willis_shape_change_draw(5, number);
      struct willis_voxelize_options options = willis_voxelize_defaults();
      struct willis_pair pair;
      struct willis_volume expected;
      struct willis_shape shape = {0}, changed = {0};
      enum willis_file_kind kind;
      const char *format;
      double otsu;
      options.size = SIZE;
      options.margin = change.margin;
      assert_int_equal(willis_file_identify(cohort.cases[i].path, &kind, &format, NULL), WILLIS_OK);
      assert_int_equal(kind, i == TREE   ? WILLIS_FILE_TREE
                             : i == MESH ? WILLIS_FILE_MESH
                                         : WILLIS_FILE_VOLUME);
      if (i == SCAN) {
        assert_int_equal(willis_case_load(cohort.cases[i].path, SIZE, false, NULL, &expected, NULL),
                         WILLIS_OK);
      } else {
        assert_int_equal(willis_shape_read(cohort.cases[i].path, kind, NULL, &shape, NULL), 0);
        assert_int_equal(willis_shape_change(&shape, &change, &changed, NULL), WILLIS_OK);
        assert_int_equal(willis_shape_voxelize(&changed, &options, NULL, &expected, NULL), 0);
      }
      assert_int_equal(willis_volume_otsu(&expected, &otsu, NULL), WILLIS_OK);
      assert_int_equal(willis_dataset_fetch_changed(dataset, i, &change, &pair, NULL), WILLIS_OK);
      assert_memory_equal(pair.volume->voxels, expected.voxels, VOXELS * sizeof(float));
      double vessel = 0;
      for (ptrdiff_t v = 0; v < VOXELS; v++) {
        assert_int_equal(pair.truth->voxels[v] > 0, expected.voxels[v] > otsu);
        vessel += (double)pair.truth->voxels[v];
      }
      assert_true(vessel > 0);
      assert_int_equal(willis_dataset_fetch(dataset, i, &pair, NULL), WILLIS_OK);
      const bool same = !memcmp(pair.volume->voxels, expected.voxels, VOXELS * sizeof(float));
      assert_int_equal(same, i == SCAN);
      willis_volume_release(&expected);
      willis_shape_release(&shape);
      willis_shape_release(&changed);
    }
  willis_dataset_destroy(dataset);
}

static void a_file_that_is_gone_is_named(void **state) {
  (void)state;
  struct willis_dataset *dataset = load(true, 1);
  const struct willis_shape_change change = willis_shape_change_draw(5, 1);
  struct willis_pair pair;
  struct willis_error err;
  char away[600];
  snprintf(away, sizeof away, "%s.away", cohort.cases[TREE].path);
  assert_int_equal(rename(cohort.cases[TREE].path, away), 0);
  assert_int_equal(willis_dataset_fetch_changed(dataset, TREE, &change, &pair, &err), WILLIS_IO);
  assert_non_null(strstr(err.message, cohort.cases[TREE].path));
  assert_int_equal(rename(away, cohort.cases[TREE].path), 0);
  assert_int_equal(willis_dataset_fetch_changed(dataset, TREE, &change, &pair, &err), WILLIS_OK);
  /* Once read it is kept. */
  assert_int_equal(rename(cohort.cases[TREE].path, away), 0);
  assert_int_equal(willis_dataset_fetch_changed(dataset, TREE, &change, &pair, &err), WILLIS_OK);
  assert_int_equal(rename(away, cohort.cases[TREE].path), 0);
  willis_dataset_destroy(dataset);
}

/* ---- training ---- */

static struct willis_train_options disturbed(void) {
  struct willis_train_options options = willis_train_defaults();
  options.network = "hull";
  options.view_counts[0] = 2;
  options.view_counts[1] = 4;
  options.view_count_count = 2;
  options.both_modes = true;
  options.vary = true;
  options.disturbance =
      (struct willis_disturbance){.angle_sd_deg = 2, .shift_sd_pixels = 0.5, .photons = 1e4};
  options.epochs = STEPS / (PATIENTS - 1);
  options.trained_on = "a tree and a mesh";
  return options;
}

/* On tree and mesh, with the scan to validate on. */
static enum willis_status train(struct willis_dataset *dataset,
                                const struct willis_train_options *options, const char *name,
                                const char *resume, struct willis_error *err) {
  char model[512];
  snprintf(model, sizeof model, "%s", scratch_path(name));
  const struct willis_subset training = {dataset, 0, SCAN}, validation = {dataset, SCAN, PATIENTS};
  const struct willis_train_files files = {.model = model, .resume = resume, .overwrite = true};
  struct willis_train_result result;
  return willis_train(training, validation, options, &files, NULL, NULL, NULL, &result, err);
}

static void resumes_to_the_bit_and_as_nothing_else(void **state) {
  (void)state;
  struct willis_train_options options = disturbed();
  struct willis_dataset *dataset = load(true, PATIENTS);
  struct willis_error err;
  char stem[512], checkpoint[600];
  if (train(dataset, &options, "whole.safetensors", NULL, &err)) fail_msg("%s", err.message);
  options.max_steps = STEPS / 2 + 1;
  willis_parallel_set_threads(1);
  if (train(dataset, &options, "half.safetensors", NULL, &err)) fail_msg("%s", err.message);
  willis_dataset_destroy(dataset);
  /* Another session reads the patients again, and keeps none. */
  dataset = load(false, PATIENTS);
  options.max_steps = 0;
  snprintf(stem, sizeof stem, "%s", scratch_path("half"));
  assert_true(willis_checkpoint_path(checkpoint, sizeof checkpoint, stem, STEPS / 2 + 1));
  struct willis_train_options other[4] = {options, options, options, options};
  other[0].vary = false;
  other[1].disturbance.angle_sd_deg = 2.5;
  other[2].disturbance.shift_sd_pixels = 0;
  other[3].disturbance.photons = 1e5;
  for (int i = 0; i < 4; i++)
    assert_int_equal(train(dataset, &other[i], "half.safetensors", checkpoint, &err),
                     WILLIS_MISMATCH);
  willis_parallel_set_threads(3);
  if (train(dataset, &options, "half.safetensors", checkpoint, &err)) fail_msg("%s", err.message);
  willis_parallel_set_threads(0);
  same_parameters("whole.safetensors", "half.safetensors");
  willis_dataset_destroy(dataset);
}

static void refuses_what_cannot_be(void **state) {
  (void)state;
  static const struct willis_disturbance bad[] = {
      {-1, 0, 0, 0}, {NAN, 0, 0, 0}, {0, -1, 0, 0}, {0, 0, -1, 0}, {0, 0, NAN, 0}};
  struct willis_dataset *dataset = load(true, PATIENTS);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct willis_train_options options = disturbed();
    struct willis_error err;
    options.disturbance = bad[i];
    assert_int_equal(train(dataset, &options, "no.safetensors", NULL, &err),
                     WILLIS_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "expected 0 to 45 degrees"));
  }
  willis_dataset_destroy(dataset);
}

/* ---- memory ---- */

/* A head and views of it; `views` of line integrals or maxima. */
static struct willis_projections show(ptrdiff_t size, int views, enum willis_projection_mode mode) {
  struct willis_sampling sampling = willis_sampling_defaults();
  struct willis_projections stack;
  struct willis_volume head;
  struct willis_error err;
  sampling.size = size, sampling.views = views, sampling.mode = mode;
  assert_int_equal(willis_case_load(cohort.cases[TREE].path, size, false, NULL, &head, &err), 0);
  assert_int_equal(willis_sampling_stack(&sampling, &head.grid, &stack, &err), WILLIS_OK);
  stack.has_grid = true;
  stack.grid = head.grid;
  assert_int_equal(willis_project(&head, &stack, &err), WILLIS_OK);
  willis_volume_release(&head);
  return stack;
}

/* How much a case took beside what was there, and what it says it takes. */
static void a_case_takes_what_it_says(void **state) {
  (void)state;
  enum { SLACK = 1 << 16 }; /* views, sizes of blocks, pointers */
  for (int i = 0; i < 12; i++) {
    const ptrdiff_t size = i % 3 == 0 ? 16 : 32;
    const bool training = i % 2;
    struct willis_projections stack =
        show(size, i < 6 ? 2 : 9, (enum willis_projection_mode)(i % 4 / 2));
    struct counting_allocator counting = {0};
    struct willis_network *network;
    struct willis_trainer *trainer;
    struct willis_trainer_options options = willis_trainer_defaults();
    struct willis_hull_case c;
    struct willis_error err;
    double loss;
    for (int a = 0; a < 3; a++) options.size[a] = size;
    willis_parallel_set_threads(1);
    counting_allocator_use(&counting);
    assert_int_equal(willis_network_create("hull", 1, &network, &err), WILLIS_OK);
    assert_int_equal(willis_trainer_create(network, &options, &trainer, &err), WILLIS_OK);
    const size_t before = atomic_load(&counting.held);
    atomic_store(&counting.peak, before);
    for (int turn = 0; turn < 2; turn++) {
      assert_int_equal(willis_hull_case_init(&c, &stack, &stack.grid, 0, &err), WILLIS_OK);
      assert_true(c.set.rows > 100);
      float *value = willis_take_zeroed(c.set.rows, sizeof *value);
      const struct willis_hull_lesson lesson = {.input = c.input, .target = value};
      assert_int_equal(training ? willis_trainer_hull_step(trainer, &lesson, &loss, &err)
                                : willis_hull_infer(network, 0, &c.input, value, &err),
                       WILLIS_OK);
      for (ptrdiff_t r = 0; r < c.set.rows; r++) value[r] = (float)(r % 3) - 1;
      assert_int_equal(willis_hull_case_tell(&c, value, &err), WILLIS_OK);
      const size_t took = atomic_load(&counting.peak) - before;
      const size_t said =
          willis_hull_case_bytes(stack.grid.size, c.set.rows, c.set.rays, c.set.views, training);
      assert_true(took <= said + SLACK);
      assert_true(said < 2 * took);
      willis_release(value);
      willis_hull_case_release(&c);
    }
    willis_trainer_destroy(trainer);
    willis_network_destroy(network);
    assert_int_equal(atomic_load(&counting.held), 0);
    counting_allocator_use(NULL);
    willis_parallel_set_threads(0);
    willis_projections_release(&stack);
  }
}

/* Two views leave the most. */
static void hulls_have_room(void **state) {
  (void)state;
  static const double photons[] = {0, 1e2, 1e4};
  for (int i = 0; i < 18; i++) {
    const ptrdiff_t size = 16 * (1 + i / 6);
    const struct willis_disturbance d = {1, 0.5, photons[i % 3], (uint64_t)i};
    const bool sum = d.photons > 0 || i % 2;
    struct willis_projections stack =
        show(size, 2, sum ? WILLIS_PROJECTION_SUM : WILLIS_PROJECTION_MAX);
    struct willis_hull_set set;
    assert_int_equal(willis_projections_disturb(&stack, &d, NULL), WILLIS_OK);
    assert_int_equal(willis_hull_set_init(&set, &stack, &stack.grid, 0, NULL), WILLIS_OK);
    assert_true(set.rows <= willis_hull_case_room(size, d.photons > 0));
    willis_hull_set_release(&set);
    willis_projections_release(&stack);
  }
}

/* From reading the patients to the model. */
static void training_takes_no_more_than_it_says(void **state) {
  (void)state;
  for (int i = 0; i < 3; i++) {
    struct willis_train_options options = disturbed();
    struct willis_sampling sampling = willis_sampling_defaults();
    struct willis_train_memory memory;
    struct willis_error err;
    struct counting_allocator counting = {0};
    options.vary = i != 1;
    options.max_steps = 6;
    sampling.size = SIZE;
    sampling.views = 4;
    assert_int_equal(
        willis_train_hull_memory(&options, &cohort, PATIENTS, &sampling, 0, 0, &memory, &err),
        WILLIS_OK);
    assert_true(memory.kept);
    /* One byte less, and patients are read again; half of that cannot be. */
    const size_t most = memory.bytes;
    if (i == 2) {
      assert_int_equal(willis_train_hull_memory(&options, &cohort, PATIENTS, &sampling, 0, most - 1,
                                                &memory, &err),
                       WILLIS_OK);
      assert_false(memory.kept);
      assert_true(memory.bytes < most);
      struct willis_train_memory none;
      assert_int_equal(willis_train_hull_memory(&options, &cohort, PATIENTS, &sampling, 0,
                                                memory.bytes - 1, &none, &err),
                       WILLIS_OUT_OF_MEMORY);
      assert_non_null(strstr(err.message, "needs at least"));
    }
    counting_allocator_use(&counting);
    struct willis_dataset *dataset = load(memory.kept, PATIENTS);
    if (train(dataset, &options, "small.safetensors", NULL, &err)) fail_msg("%s", err.message);
    willis_dataset_destroy(dataset);
    counting_allocator_use(NULL);
    assert_true(atomic_load(&counting.peak) <= memory.bytes);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_change_that_is_none_changes_nothing),
      cmocka_unit_test(shapes_change_and_scans_do_not),
      cmocka_unit_test(a_file_that_is_gone_is_named),
      cmocka_unit_test(resumes_to_the_bit_and_as_nothing_else),
      cmocka_unit_test(refuses_what_cannot_be),
      cmocka_unit_test(a_case_takes_what_it_says),
      cmocka_unit_test(hulls_have_room),
      cmocka_unit_test(training_takes_no_more_than_it_says),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
