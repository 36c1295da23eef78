/* NaN, infinity and numbers that overflow, put into voxels, weights, gradients and moments: refused
 * where they are, or training stops before the update, says step and layer, and keeps what was
 * best. After every step that was made, everything is finite. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cpu.h"
#include "base/memory.h"
#include "recon/checkpoint.h"
#include "recon/patients.h"

#include <willis/willis.h>

#include <math.h>

enum { EDGE = 8, VOXELS = EDGE * EDGE * EDGE };
static const float broken[] = {NAN, INFINITY, -INFINITY};
enum { BROKEN = sizeof broken / sizeof *broken };

static struct willis_error err;
static float x[VOXELS], target[VOXELS];

struct bench {
  struct willis_network *network;
  struct willis_trainer *trainer;
  size_t bytes;
  unsigned char *before, *after;
};

static struct bench bench_make(void) {
  struct bench b = {0};
  struct willis_trainer_options options = willis_trainer_defaults();
  double loss;
  for (int a = 0; a < 3; a++) options.size[a] = EDGE;
  for (int i = 0; i < VOXELS; i++) {
    x[i] = (float)(i * 37 % 101) / 101;
    target[i] = i % 29 == 0;
  }
  assert_int_equal(willis_network_create("dae", 5, &b.network, &err), WILLIS_OK);
  assert_int_equal(willis_trainer_create(b.network, &options, &b.trainer, &err), WILLIS_OK);
  assert_int_equal(willis_trainer_step(b.trainer, x, target, &loss, &err), WILLIS_OK);
  b.bytes = willis_trainer_state_bytes(b.trainer);
  b.before = willis_take((ptrdiff_t)b.bytes, 1);
  b.after = willis_take((ptrdiff_t)b.bytes, 1);
  willis_trainer_state_export(b.trainer, b.before);
  return b;
}

static void bench_release(struct bench *b) {
  willis_trainer_destroy(b->trainer);
  willis_network_destroy(b->network);
  willis_release(b->before);
  willis_release(b->after);
}

/* The second step is refused by step and layer and changes nothing; or it is made, and everything
 * is finite. Puts the state of before back. */
static bool step_is_refused(struct bench *b) {
  double loss;
  willis_trainer_state_export(b->trainer, b->before);
  enum willis_status status = willis_trainer_step(b->trainer, x, target, &loss, &err);
  willis_trainer_state_export(b->trainer, b->after);
  if (!status) {
    assert_int_equal(willis_trainer_state_import(b->trainer, b->after, b->bytes, &err), WILLIS_OK);
    return false;
  }
  assert_int_equal(status, WILLIS_NUMERIC);
  assert_non_null(strstr(err.message, "step 2"));
  assert_true(strstr(err.message, "enc") || strstr(err.message, "dec"));
  assert_memory_equal(b->before, b->after, b->bytes);
  assert_int_equal(willis_trainer_update(b->trainer, &err), WILLIS_INVALID_ARGUMENT);
  return true;
}

static void voxels(void **state) {
  (void)state;
  struct bench b = bench_make();
  for (unsigned mask = 0; mask < 2; mask++) {
    willis_cpu_mask(mask ? ~0u : 0u);
    for (int i = 0; i < BROKEN; i++)
      for (int where = 0; where < 2; where++) {
        float *place = (where ? target : x) + 100 + i, kept = *place;
        *place = broken[i];
        assert_true(step_is_refused(&b));
        *place = kept;
      }
    float kept = x[9];
    x[9] = 3e38f;
    if (!step_is_refused(&b))
      assert_int_equal(willis_trainer_state_import(b.trainer, b.before, b.bytes, &err), WILLIS_OK);
    x[9] = kept;
  }
  willis_cpu_mask(~0u);
  assert_false(step_is_refused(&b));
  bench_release(&b);
}

static void weights(void **state) {
  (void)state;
  struct bench b = bench_make();
  static const float also[] = {NAN, -INFINITY, 3e38f};
  enum { BROKEN_FIRST = 2 };
  for (unsigned mask = 0; mask < 2; mask++) {
    willis_cpu_mask(mask ? ~0u : 0u);
    for (int t = 0; t < willis_network_tensor_count(b.network); t++) {
      struct willis_network_tensor tensor = willis_network_tensor(b.network, t);
      if (strstr(tensor.name, "running")) continue; /* not looked at in training */
      if (!mask && t % 6) continue;                 /* plain loops are slow */
      for (size_t i = 0; i < sizeof also / sizeof *also; i++) {
        float kept = tensor.values[tensor.count / 2];
        tensor.values[tensor.count / 2] = also[i];
        bool refused = step_is_refused(&b);
        if (i < BROKEN_FIRST) assert_true(refused);
        tensor.values[tensor.count / 2] = kept;
        if (refused) continue;
        bench_release(&b);
        b = bench_make();
        tensor = willis_network_tensor(b.network, t);
      }
    }
  }
  willis_cpu_mask(~0u);
  bench_release(&b);
}

static void gradients(void **state) {
  (void)state;
  struct bench b = bench_make();
  static const float also[] = {NAN, INFINITY, -INFINITY, 3e38f, -1e19f};
  const ptrdiff_t parameters = willis_network_parameter_count(b.network);
  double loss;
  for (int i = 0; i < 40; i++) {
    assert_int_equal(willis_trainer_gradient(b.trainer, x, target, &loss, &err), WILLIS_OK);
    willis_trainer_gradient_block(b.trainer)[parameters * i / 40] = also[i % 5];
    assert_int_equal(willis_trainer_update(b.trainer, &err), WILLIS_NUMERIC);
    assert_non_null(strstr(err.message, "step 2: the gradient of "));
    willis_trainer_state_export(b.trainer, b.after);
    assert_memory_equal(b.before, b.after, b.bytes);
  }
  /* The largest that may: its square still fits. */
  assert_int_equal(willis_trainer_gradient(b.trainer, x, target, &loss, &err), WILLIS_OK);
  for (ptrdiff_t p = 0; p < parameters; p += 1000)
    willis_trainer_gradient_block(b.trainer)[p] = 1e18f;
  assert_int_equal(willis_trainer_update(b.trainer, &err), WILLIS_OK);
  willis_trainer_state_export(b.trainer, b.after);
  assert_int_equal(willis_trainer_state_import(b.trainer, b.after, b.bytes, &err), WILLIS_OK);
  bench_release(&b);
}

static void moments(void **state) {
  (void)state;
  struct bench b = bench_make();
  unsigned char *odd = willis_take((ptrdiff_t)b.bytes, 1);
  for (int i = 1; i <= 60; i++) {
    memcpy(odd, b.before, b.bytes);
    size_t at = b.bytes - 4 * (b.bytes / 4 * (size_t)i / 64 + 1);
    memcpy(odd + at, &broken[i % BROKEN], sizeof(float));
    assert_int_equal(willis_trainer_state_import(b.trainer, odd, b.bytes, &err), WILLIS_NUMERIC);
    assert_non_null(strstr(err.message, "at byte"));
    willis_trainer_state_export(b.trainer, b.after);
    assert_memory_equal(b.before, b.after, b.bytes);
  }
  willis_release(odd);
  bench_release(&b);
}

static void files(void **state) {
  (void)state;
  for (int i = 0; i < BROKEN; i++) {
    struct willis_volume volume, back;
    struct willis_grid grid = {
        .size = {4, 4, 4}, .spacing_mm = {1, 1, 1}, .direction = {1, 0, 0, 0, 1, 0, 0, 0, 1}};
    assert_int_equal(willis_volume_create(&volume, &grid, &err), WILLIS_OK);
    volume.voxels[21] = broken[i];
    const char *path = scratch_path("odd.nii");
    enum willis_status status =
        willis_volume_write(path, &volume, WILLIS_VOXEL_FLOAT32, true, &err);
    if (!status) status = willis_volume_read(path, &back, NULL, &err);
    assert_int_equal(status, WILLIS_NUMERIC);
    willis_volume_release(&volume);
  }
}

/* ---- a whole training ---- */

static struct willis_dataset *dataset;
static bool spoil(const char *what, double done, double total, const char *unit, void *context) {
  (void)what;
  (void)total;
  (void)unit;
  (void)context;
  struct willis_pair pair;
  for (ptrdiff_t i = 0; i < 2 && done == 5; i++) {
    assert_int_equal(willis_dataset_fetch(dataset, i, &pair, &err), WILLIS_OK);
    pair.input->voxels[7] = NAN;
  }
  return true;
}

static void training_keeps_the_best(void **state) {
  (void)state;
  struct willis_cohort cohort;
  struct willis_sampling sampling = willis_sampling_defaults();
  struct willis_train_options options = willis_train_defaults();
  struct willis_progress progress = {spoil, NULL};
  struct willis_train_result result;
  struct willis_network *best;
  char model[512];
  snprintf(model, sizeof model, "%s", scratch_path("m.safetensors"));
  sampling.size = EDGE;
  sampling.views = 3;
  options.validate_every = 1;
  options.epochs = 5;
  options.output_bias = 0;
  assert_int_equal(willis_cohort_read(make_patients(3), &cohort, &err), WILLIS_OK);
  assert_int_equal(willis_dataset_create(&cohort, 3, &sampling, WILLIS_DATASET_VOLUMES, true, NULL,
                                         NULL, &dataset, &err),
                   WILLIS_OK);
  struct willis_subset training = {dataset, 0, 2}, validation = {dataset, 2, 3};
  struct willis_train_files out = {.model = model};
  assert_int_equal(
      willis_train(training, validation, &options, &out, NULL, &progress, NULL, &result, &err),
      WILLIS_NUMERIC);
  assert_non_null(strstr(err.message, "step 6"));
  assert_non_null(strstr(err.message, "enc1"));
  assert_int_not_equal(access(model, F_OK), 0);
  assert_int_equal(willis_network_read(scratch_path("m.best.safetensors"), &best, &err), WILLIS_OK);
  willis_network_destroy(best);
  unsigned char *bytes;
  struct willis_sections sections;
  assert_int_equal(
      willis_sections_read(scratch_path("m.step-00000005.ckpt"), &bytes, &sections, &err),
      WILLIS_OK);
  willis_release(bytes);
  willis_dataset_destroy(dataset);
  willis_cohort_release(&cohort);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(voxels),    cmocka_unit_test(weights),
      cmocka_unit_test(gradients), cmocka_unit_test(moments),
      cmocka_unit_test(files),     cmocka_unit_test(training_keeps_the_best),
  };
  return cmocka_run_group_tests(tests, scratch_make, remove_scratch_tree);
}
