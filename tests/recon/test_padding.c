/* Training at an edge that is no multiple of 8: what the network gets, whole and by planes, and
 * that both ways to train end with the same model. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "patients.h"
#include "recon/padding.h"

#include <math.h>

enum { PATIENTS = 4, HELD_OUT = 1, SIZE = 21, EDGE = 24, VOXELS = EDGE * EDGE * EDGE };

static struct willis_cohort cohort;

static int set_up(void **state) {
  if (scratch_make(state)) return -1;
  return (int)willis_cohort_read(make_patients(PATIENTS), &cohort, NULL);
}

static int tear_down(void **state) {
  willis_cohort_release(&cohort);
  return remove_scratch_tree(state);
}

static struct willis_dataset *data_of(enum willis_dataset_form form) {
  struct willis_sampling sampling = willis_sampling_defaults();
  struct willis_dataset *dataset;
  sampling.size = SIZE;
  sampling.views = 5;
  assert_int_equal(
      willis_dataset_create(&cohort, PATIENTS, &sampling, form, true, NULL, NULL, &dataset, NULL),
      WILLIS_OK);
  return dataset;
}

static void edges_are_the_next_multiple(void **state) {
  (void)state;
  assert_int_equal(willis_padding_edge(8), 8);
  assert_int_equal(willis_padding_edge(9), 16);
  assert_int_equal(willis_padding_edge(21), 24);
  assert_int_equal(willis_padding_edge(24), 24);
}

static void nothing_is_moved_and_the_rest_is_zero(void **state) {
  (void)state;
  struct willis_dataset *dataset = data_of(WILLIS_DATASET_VOLUMES);
  struct willis_padding p;
  struct willis_error err;
  static float planes[VOXELS];
  willis_padding_init(&p, SIZE);
  double vessel = 0;
  for (ptrdiff_t i = 0; i < PATIENTS; i++) {
    struct willis_pair pair;
    struct willis_planes_pair slim;
    struct willis_plane_source source;
    assert_int_equal(willis_dataset_fetch(dataset, i, &pair, &err), WILLIS_OK);
    assert_int_equal(willis_padding_volumes(&p, &pair, &err), WILLIS_OK);
    for (ptrdiff_t v = 0; v < VOXELS; v++) {
      const ptrdiff_t x = v % EDGE, y = v / EDGE % EDGE, z = v / EDGE / EDGE;
      const bool inside = x < SIZE && y < SIZE && z < SIZE;
      const ptrdiff_t from = (z * SIZE + y) * SIZE + x;
      assert_true(p.x[v] == (inside ? pair.input->voxels[from] : 0));
      assert_true(p.target[v] == (inside ? pair.truth->voxels[from] : 0));
      vessel += (double)p.target[v];
    }
    assert_int_equal(willis_dataset_fetch_planes(dataset, i, &slim, &err), WILLIS_OK);
    assert_int_equal(willis_padding_planes(&p, &slim, &source, &err), WILLIS_OK);
    for (ptrdiff_t z = 0; z < EDGE; z += 5) {
      const ptrdiff_t end = z + 5 < EDGE ? z + 5 : EDGE;
      assert_int_equal(source.read(z, end, planes + z * EDGE * EDGE, source.context, &err),
                       WILLIS_OK);
    }
    assert_memory_equal(planes, p.x, sizeof planes);
    for (ptrdiff_t v = 0; v < VOXELS; v++)
      assert_int_equal(p.bits[v / 8] >> v % 8 & 1, p.target[v] > 0);
  }
  assert_true(vessel > 0);
  willis_padding_release(&p);
  willis_dataset_destroy(dataset);
}

static void count_warning(const char *message, void *context) {
  if (strstr(message, "21³ voxels are padded with zeros to 24³")) ++*(int *)context;
}

static void both_ways_end_with_the_same_model(void **state) {
  (void)state;
  static const enum willis_dataset_form form[] = {WILLIS_DATASET_VOLUMES,
                                                  WILLIS_DATASET_PROJECTIONS};
  unsigned char *bytes[2];
  size_t size[2];
  for (int plan = 0; plan < 2; plan++) {
    struct willis_dataset *dataset = data_of(form[plan]);
    struct willis_train_options options = willis_train_defaults();
    struct willis_subset training = {dataset, 0, PATIENTS - HELD_OUT};
    struct willis_subset held_out = {dataset, PATIENTS - HELD_OUT, PATIENTS};
    struct willis_train_files files = {.model = scratch_path("odd.safetensors"), .overwrite = true};
    struct willis_train_result result;
    struct willis_error err;
    int warned = 0;
    const struct willis_warnings warnings = {count_warning, &warned};
    options.plan = plan ? WILLIS_TRAINING_RECOMPUTE : WILLIS_TRAINING_STORE;
    options.epochs = 2;
    options.validate_every = 1;
    if (willis_train(training, held_out, &options, &files, NULL, NULL, &warnings, &result, &err))
      fail_msg("%s", err.message);
    assert_int_equal(warned, 1);
    assert_true(isfinite(result.loss));
    assert_int_equal(willis_file_read(files.model, 1 << 26, &bytes[plan], &size[plan], NULL),
                     WILLIS_OK);
    willis_dataset_destroy(dataset);
  }
  assert_int_equal(size[0], size[1]);
  assert_memory_equal(bytes[0], bytes[1], size[0]);
  for (int plan = 0; plan < 2; plan++) willis_release(bytes[plan]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(edges_are_the_next_multiple),
      cmocka_unit_test(nothing_is_moved_and_the_rest_is_zero),
      cmocka_unit_test(both_ways_end_with_the_same_model),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
