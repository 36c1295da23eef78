/* Coarse grids before fine ones, and what a network that sees vessels everywhere, or nowhere,
 * leaves. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "bar_head.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "counting_allocator.h"
#include "failing_allocator.h"
#include "patients.h"
#include "recon/hull_levels.h"
#include "recon/hull_looks.h"
#include "recon/hull_reconstruct.h"

static void a_half_voxel_is_the_middle_of_eight(void **state) {
  (void)state;
  const struct willis_grid grid = {.size = {7, 4, 2},
                                   .spacing_mm = {1, 2, 0.5},
                                   .origin_mm = {3, -4, 5},
                                   .direction = {0, 1, 0, -1, 0, 0, 0, 0, 1}};
  const struct willis_grid half = willis_half_grid(&grid);
  double of_half[3], of_grid[3];
  assert_true(half.size[0] == 4 && half.size[1] == 2 && half.size[2] == 1);
  willis_grid_to_world(&half, (double[]){2, 1, 0}, of_half);
  willis_grid_to_world(&grid, (double[]){4.5, 2.5, 0.5}, of_grid);
  for (int a = 0; a < 3; a++) assert_true(fabs(of_half[a] - of_grid[a]) < 1e-12);
  const struct willis_grid most = willis_grid_cube(128, 1, NULL),
                           more = willis_grid_cube(129, 1, NULL);
  assert_false(willis_hull_is_large(&most));
  assert_true(willis_hull_is_large(&more));
}

/* Of line integrals a coarser grid is shown means of the pixels that its voxels cover. */
static void pictures_are_as_coarse_as_the_grid(void **state) {
  (void)state;
  struct head head = head_of(LARGE, WILLIS_PROJECTION_SUM);
  struct willis_grid grid = head.volume.grid;
  for (int bin = 1; bin <= 4; bin *= 2, grid = willis_half_grid(&grid)) {
    struct willis_projections by_hand;
    struct willis_hull_case c;
    struct willis_hull_set set;
    assert_int_equal(willis_projections_bin(&head.stack, bin, &by_hand, NULL), WILLIS_OK);
    assert_int_equal(willis_hull_case_init(&c, &head.stack, &grid, 0, NULL), WILLIS_OK);
    assert_int_equal(willis_hull_set_init(&set, &by_hand, &grid, 0, NULL), WILLIS_OK);
    assert_true((c.stack == &head.stack) == (bin == 1));
    assert_true(set.rows > 0 && c.set.rows == set.rows && c.set.rays == set.rays);
    assert_memory_equal(c.set.seen, set.seen,
                        (size_t)(set.rows * VIEWS) * WILLIS_HULL_SET_SEEN * sizeof(float));
    willis_hull_set_release(&set);
    willis_hull_case_release(&c);
    head.stack.mode = WILLIS_PROJECTION_MAX;
    assert_int_equal(willis_hull_case_init(&c, &head.stack, &grid, 0, NULL), WILLIS_OK);
    assert_ptr_equal(c.stack, &head.stack);
    head.stack.mode = WILLIS_PROJECTION_SUM;
    willis_hull_case_release(&c);
    willis_projections_release(&by_hand);
  }
  head_release(&head);
}

/* Sees vessels wherever the hull is: the finer list is the finer hull, but for what lies outside of
 * the coarser one, and was told so. */
static void all_hope_leaves_the_hull(void **state) {
  (void)state;
  for (int mode = 0; mode < 2; mode++) {
    struct head head = head_of(LARGE, (enum willis_projection_mode)mode);
    struct willis_network *network = network_saying(2);
    struct willis_hull_case whole, c;
    assert_int_equal(willis_hull_case_init(&whole, &head.stack, &head.volume.grid, 0, NULL),
                     WILLIS_OK);
    assert_int_equal(willis_hull_case_of(&c, &head.stack, network, &head.volume.grid, 0, NULL),
                     WILLIS_OK);
    assert_true(c.refined && c.set.rows > 0.9 * (double)whole.set.rows);
    assert_int_equal(willis_hull_looks_of(&c, &c.grid).looks, 4);
    ptrdiff_t vessel = 0, listed = 0, inside = 0;
    for (ptrdiff_t i = 0; i < willis_grid_count(&head.volume.grid); i++)
      vessel += head.volume.voxels[i] > 0;
    for (ptrdiff_t i = 0; i < c.set.rows; i++) {
      const float p = c.set.about_voxel[i * WILLIS_HULL_VOXEL + SAID];
      listed += head.volume.voxels[c.set.voxel[i]] > 0;
      inside += fabs((double)p - 1 / (1 + exp(-2.0))) < 1e-5;
      assert_true(p > 0 && p < 0.881f);
    }
    assert_int_equal(listed, vessel);
    assert_true(inside > vessel / 2);
    willis_hull_case_release(&c);
    willis_hull_case_release(&whole);
    willis_network_destroy(network);
    head_release(&head);
  }
}

static void no_hope_leaves_nothing(void **state) {
  (void)state;
  struct head head = head_of(LARGE, WILLIS_PROJECTION_MAX);
  struct willis_network *network = network_saying(-5);
  struct willis_volume probability;
  struct willis_hull_case c;
  assert_int_equal(willis_hull_case_of(&c, &head.stack, network, &head.volume.grid, 0, NULL),
                   WILLIS_OK);
  assert_int_equal(c.set.rows, 0);
  willis_hull_case_release(&c);
  assert_int_equal(willis_volume_create(&probability, &head.volume.grid, NULL), WILLIS_OK);
  for (ptrdiff_t i = 0; i < willis_grid_count(&probability.grid); i++) probability.voxels[i] = 1;
  assert_int_equal(willis_hull_reconstruct_whole(&head.stack, network, &probability, NULL),
                   WILLIS_OK);
  for (ptrdiff_t i = 0; i < willis_grid_count(&probability.grid); i++)
    assert_true(probability.voxels[i] == 0);
  willis_volume_release(&probability);
  willis_network_destroy(network);
  head_release(&head);
}

/* Of five views line integrals need the vessel, and it stays, whatever a network says; maxima leave
 * nothing. */
static void what_is_needed_stays_without_hope(void **state) {
  (void)state;
  enum { MORE_VIEWS = 5 };
  for (int mode = 0; mode < 2; mode++) {
    struct head head = head_of_views(LARGE, (enum willis_projection_mode)mode, MORE_VIEWS);
    struct willis_network *network = network_saying(-9);
    struct willis_hull_case c;
    assert_int_equal(willis_hull_case_of(&c, &head.stack, network, &head.volume.grid, 0, NULL),
                     WILLIS_OK);
    ptrdiff_t vessel = 0, listed = 0;
    for (ptrdiff_t i = 0; i < willis_grid_count(&head.volume.grid); i++)
      vessel += head.volume.voxels[i] > 0;
    for (ptrdiff_t i = 0; i < c.set.rows; i++) listed += head.volume.voxels[c.set.voxel[i]] > 0;
    assert_int_equal(listed, mode == WILLIS_PROJECTION_SUM ? vessel : 0);
    assert_true(c.set.rows < 4 * vessel);
    willis_hull_case_release(&c);
    willis_network_destroy(network);
    head_release(&head);
  }
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  struct head head = head_of(LARGE, WILLIS_PROJECTION_SUM);
  struct willis_network *network = network_saying(2);
  enum willis_status status = WILLIS_OUT_OF_MEMORY;
  int n = 0;
  for (; status; n++) {
    struct failing_allocator failing = {n, 0};
    struct willis_hull_case c;
    struct willis_error err;
    assert_true(n < 200);
    failing_allocator_use(&failing);
    status = willis_hull_case_of(&c, &head.stack, network, &head.volume.grid, 0, &err);
    willis_hull_case_release(&c);
    failing_allocator_use(NULL);
    assert_true(status == WILLIS_OK || status == WILLIS_OUT_OF_MEMORY);
    assert_int_equal(failing.held, 0);
  }
  assert_true(n > 20);
  willis_network_destroy(network);
  head_release(&head);
}

static size_t most_bytes(const struct head *head, const struct willis_network *network, size_t room,
                         enum willis_status *status) {
  struct counting_allocator counting = {0};
  struct willis_hull_case c;
  counting_allocator_use(&counting);
  *status = willis_hull_case_of(&c, &head->stack, network, &head->volume.grid, room, NULL);
  float *logit = *status ? NULL : willis_take(c.set.rows, sizeof *logit);
  if (logit) *status = willis_hull_decide(&c, network, logit, NULL);
  willis_release(logit);
  willis_hull_case_release(&c);
  counting_allocator_use(NULL);
  assert_int_equal(counting.held, 0);
  return counting.peak;
}

/* Two views across each other of dots that leave voxels far from each other. */
static struct head lone_voxels(void) {
  enum { EDGE = 64, APART = 4 };
  const struct willis_grid grid = willis_grid_cube(EDGE, 0.5, NULL);
  struct head head;
  assert_int_equal(willis_volume_create(&head.volume, &grid, NULL), WILLIS_OK);
  assert_int_equal(willis_projections_create(&head.stack, EDGE, EDGE, 2, NULL), WILLIS_OK);
  willis_grid_centre(&grid, head.stack.isocenter_mm);
  for (int v = 0; v < 2; v++) head.stack.view[v] = willis_view_parallel(90.0 * v, &grid);
  for (ptrdiff_t i = 0; i < 2 * EDGE * EDGE; i++)
    head.stack.pixels[i] = i % APART == 0 && i / EDGE % APART == 0;
  return head;
}

/* Either all is done within the room, or the hull is refused before it takes more. Beside what is
 * counted are a few small tables. */
static void no_more_than_the_room_is_taken(void **state) {
  (void)state;
  enum { ROOMS = 12, TABLES = 64 << 10 };
  for (int kind = 0; kind < 3; kind++) {
    struct head head = kind < 2 ? head_of(LARGE, (enum willis_projection_mode)kind) : lone_voxels();
    struct willis_network *network = network_saying(2);
    enum willis_status status;
    const size_t whole = most_bytes(&head, network, 0, &status);
    assert_int_equal(status, WILLIS_OK);
    int refused = 0, done = 0;
    for (int i = 1; i <= ROOMS; i++) {
      const size_t room = whole * (size_t)i / (ROOMS / 2),
                   most = most_bytes(&head, network, room, &status);
      assert_true(status == WILLIS_OK || status == WILLIS_OUT_OF_MEMORY);
      assert_true(most <= room + TABLES);
      refused += status == WILLIS_OUT_OF_MEMORY;
      done += status == WILLIS_OK;
      assert_true(done == 0 || status == WILLIS_OK);
    }
    assert_true(refused > 3 && done > 3);
    willis_network_destroy(network);
    head_release(&head);
  }
}

/* The first step of seed 0 is about the fine grid, of which a network without hope leaves nothing:
 * it learns on the coarse one then, as it does with seed 2 whatever it hopes. Threads change
 * nothing.
 */
static void learns_on_large_grids(void **state) {
  (void)state;
  enum { PATIENTS = 1, EDGE = LARGE };
  struct willis_cohort cohort;
  struct willis_dataset *dataset;
  struct willis_sampling sampling = willis_sampling_defaults();
  struct willis_train_options options = willis_train_defaults();
  struct willis_train_result result;
  struct willis_network *start = network_saying(-5);
  char from[512], model[512];
  sampling.size = EDGE;
  options.network = "hull";
  options.view_counts[0] = 3;
  options.view_count_count = 1;
  options.epochs = 1;
  options.trained_on = "phantoms";
  snprintf(from, sizeof from, "%s", scratch_path("start"));
  assert_int_equal(willis_network_write(from, start, false, NULL), WILLIS_OK);
  willis_network_destroy(start);
  assert_int_equal(willis_cohort_read(make_patients(PATIENTS), &cohort, NULL), WILLIS_OK);
  assert_int_equal(willis_dataset_create(&cohort, PATIENTS, &sampling, WILLIS_DATASET_GREY, true,
                                         NULL, NULL, &dataset, NULL),
                   WILLIS_OK);
  for (int run = 0; run < 3; run++) {
    struct willis_train_files files = {
        .model = model, .from = run < 2 ? from : NULL, .overwrite = true};
    struct willis_subset all = {dataset, 0, PATIENTS}, none = {dataset, PATIENTS, PATIENTS};
    snprintf(model, sizeof model, "%s", scratch_path(run ? "two" : "one"));
    options.seed = run < 2 ? 0 : 2;
    willis_parallel_set_threads(run + 1);
    assert_int_equal(willis_train(all, none, &options, &files, NULL, NULL, NULL, &result, NULL),
                     WILLIS_OK);
    assert_int_equal(result.steps, PATIENTS);
    if (run == 1) same_parameters("one", "two");
  }
  willis_parallel_set_threads(0);
  willis_dataset_destroy(dataset);
  willis_cohort_release(&cohort);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_half_voxel_is_the_middle_of_eight),
      cmocka_unit_test(pictures_are_as_coarse_as_the_grid),
      cmocka_unit_test(all_hope_leaves_the_hull),
      cmocka_unit_test(no_hope_leaves_nothing),
      cmocka_unit_test(what_is_needed_stays_without_hope),
      cmocka_unit_test(every_allocation_may_fail),
      cmocka_unit_test(no_more_than_the_room_is_taken),
      cmocka_unit_test_setup_teardown(learns_on_large_grids, scratch_make, remove_scratch_tree),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
