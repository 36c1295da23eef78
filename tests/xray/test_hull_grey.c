/* Maxima explained on a hull's voxels: samples against the projectors, grey values against what
 * another method finds (oracle/xray_hull_grey.py), and what any such values must have. */
#include "volume/otsu.h"
#include "xray/hull_grey.h"
#include "xray/hull_samples.h"
#include "xray_cases.h"

#include "failing_allocator.h"

enum { CASES = 6, MOST_VIEWS = 8, MOST_ROWS = 400 };

/* A list of voxels and views of a cube. */
struct lit {
  struct willis_hull_set set;
  struct willis_projections stack;
  struct willis_grid grid;
};

static void put_out(struct lit *l) {
  willis_hull_set_release(&l->set);
  willis_projections_release(&l->stack);
}

static void list(struct willis_hull_set *set, const int32_t *voxel, ptrdiff_t rows) {
  *set = (struct willis_hull_set){.rows = rows, .unit = 1};
  set->voxel = willis_take(rows, sizeof *voxel);
  memcpy(set->voxel, voxel, (size_t)rows * sizeof *voxel);
}

/* ---- samples ---- */

/* A volume that is not 0 in about two thirds of its voxels, which are the list. */
static struct willis_volume sparse_volume(ptrdiff_t n, struct willis_hull_set *set) {
  struct willis_volume volume = random_volume(n, 1.25, 5);
  int32_t *voxel = willis_take(n * n * n, sizeof *voxel);
  ptrdiff_t rows = 0;
  for (ptrdiff_t i = 0; i < n * n * n; i++) {
    const double draw = willis_random_uniform(6, 0, (uint64_t)i);
    volume.voxels[i] = draw < 0.7 ? (float)(0.2 + draw) : 0;
    if (draw < 0.7) voxel[rows++] = (int32_t)i;
  }
  list(set, voxel, rows);
  willis_release(voxel);
  return volume;
}

static float largest(const struct willis_hull_samples *s, ptrdiff_t ray, const float *x) {
  float most = 0;
  for (ptrdiff_t k = s->first[ray]; k < s->first[ray + 1]; k++)
    most = fmaxf(most, willis_hull_sample_read(&s->sample[k], x));
  return most;
}

static double total(const struct willis_hull_samples *s, ptrdiff_t ray, const float *x) {
  double sum = 0;
  for (ptrdiff_t k = s->first[ray]; k < s->first[ray + 1]; k++)
    sum += (double)willis_hull_sample_read(&s->sample[k], x);
  return sum;
}

/* What a pixel would be by the samples of its ray, in units of the list. */
static double by_samples(const struct willis_hull_samples *s, ptrdiff_t ray, const float *x,
                         bool sum) {
  return sum ? total(s, ray, x) : (double)largest(s, ray, x);
}

static void weights_are_those_of_a_plane(const struct willis_hull_set *set,
                                         const struct willis_hull_sample *sample, const float *x) {
  float weight[4], sum = 0, read = 0;
  willis_hull_sample_weights(sample, weight);
  for (int c = 0; c < 4; c++) {
    assert_true(weight[c] >= 0 && sample->row[c] >= 0 && sample->row[c] <= set->rows);
    sum += weight[c];
    read += weight[c] * x[sample->row[c]];
  }
  assert_true(fabs((double)sum - 1) < 1e-6);
  assert_true(fabs((double)(read - willis_hull_sample_read(sample, x))) < 1e-6);
}

/* The rays are those pixels that are not black, in their order, and say the same. */
static void samples_are_the_projectors(struct willis_hull_set *set,
                                       const struct willis_volume *volume,
                                       const struct willis_projections *stack) {
  struct willis_error err;
  const ptrdiff_t pixels = stack->columns * stack->rows;
  const bool sum = stack->mode == WILLIS_PROJECTION_SUM;
  float *x = willis_take_zeroed(set->rows + 1, sizeof *x);
  for (ptrdiff_t i = 0; i < set->rows; i++) x[i] = volume->voxels[set->voxel[i]];
  set->unit = sum ? volume->grid.spacing_mm[0] : 1;
  for (int v = 0; v < (int)stack->view_count; v++) {
    struct willis_hull_samples s;
    const float *image = stack->pixels + v * pixels;
    ptrdiff_t ray = 0;
    assert_ok(willis_hull_samples_init(&s, set, stack, &volume->grid, v, &err));
    for (ptrdiff_t p = 0; p < pixels; p++) {
      if (!(image[p] > 1e-6f)) continue;
      while (ray < s.rays && !(by_samples(&s, ray, x, sum) > 1e-6)) ray++;
      assert_true(ray < s.rays);
      const double shown = by_samples(&s, ray, x, sum), pixel = (double)s.pixel[ray++];
      assert_true(fabs(shown - pixel) < 1e-5 * fmax(1, pixel));
      if (!sum) assert_true(fabs(pixel - (double)image[p]) <= 0);
    }
    for (ptrdiff_t k = 0; k < s.count; k++) weights_are_those_of_a_plane(set, &s.sample[k], x);
    willis_hull_samples_release(&s);
  }
  willis_release(x);
}

static void both_kinds_are(struct willis_hull_set *set, const struct willis_volume *volume,
                           struct willis_projections *stack) {
  struct willis_error err;
  for (int mode = 0; mode < 2; mode++) {
    stack->mode = (enum willis_projection_mode)mode;
    assert_ok(willis_project(volume, stack, &err));
    samples_are_the_projectors(set, volume, stack);
  }
}

static void samples_are_those_of_slices(void **state) {
  (void)state;
  for (int kind = PLANAR; kind <= WIDE; kind++) {
    struct willis_hull_set set;
    struct willis_volume volume = sparse_volume(13, &set);
    struct willis_projections stack = random_stack(&volume, 5, (enum kind)kind, 3);
    stack.view[0].primary_angle_deg = 0;
    stack.view[1].primary_angle_deg = 90;
    both_kinds_are(&set, &volume, &stack);
    willis_projections_release(&stack);
    willis_hull_set_release(&set);
    willis_volume_release(&volume);
  }
}

/* Far sources, so that the rays of a tile of pixels have one steepest axis. */
static void samples_are_those_of_cones(void **state) {
  (void)state;
  static const double angle[][2] = {{0, 0}, {20, 10}, {75, -20}, {90, 0}, {10, 80}};
  struct willis_error err;
  struct willis_hull_set set;
  struct willis_volume volume = sparse_volume(13, &set);
  struct willis_projections stack;
  assert_ok(willis_projections_create(&stack, 40, 36, 5, &err));
  willis_grid_centre(&volume.grid, stack.isocenter_mm);
  stack.mode = WILLIS_PROJECTION_MAX;
  for (int v = 0; v < 5; v++)
    stack.view[v] = (struct willis_view){.kind = WILLIS_VIEW_CONE,
                                         .primary_angle_deg = angle[v][0],
                                         .secondary_angle_deg = angle[v][1],
                                         .source_to_isocenter_mm = 700,
                                         .source_to_detector_mm = 1000,
                                         .column_spacing_mm = 1.5,
                                         .row_spacing_mm = 1.7,
                                         .principal_column = 19.2,
                                         .principal_row = 18.1};
  both_kinds_are(&set, &volume, &stack);
  willis_projections_release(&stack);
  willis_hull_set_release(&set);
  willis_volume_release(&volume);
}

/* Where two and more pixels are as wide as a voxel no more rays are followed than there are voxels
 * side by side, and none under a shutter. */
static void few_rays_are_followed(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_hull_set set;
  struct willis_hull_samples s;
  struct willis_volume volume = sparse_volume(12, &set);
  struct willis_projections stack;
  assert_ok(willis_projections_create(&stack, 60, 12, 1, &err));
  willis_grid_centre(&volume.grid, stack.isocenter_mm);
  stack.mode = WILLIS_PROJECTION_MAX;
  stack.view[0] = willis_view_parallel(30, &volume.grid);
  stack.view[0].column_spacing_mm /= 3;
  stack.view[0].principal_column = 29.5;
  assert_ok(willis_hull_samples_init(&s, &set, &stack, &volume.grid, 0, &err));
  assert_true(s.rays > 12 * 12 && s.rays <= 20 * 12);
  const ptrdiff_t all = s.rays;
  willis_hull_samples_release(&s);
  stack.view[0].shutter = (struct willis_shutter){
      .any = true, .is_rectangle = true, .left = 0, .right = 60, .upper = 0, .lower = 5.5};
  assert_ok(willis_hull_samples_init(&s, &set, &stack, &volume.grid, 0, &err));
  assert_true(s.rays > 0 && s.rays <= all / 2);
  willis_hull_samples_release(&s);
  willis_projections_release(&stack);
  willis_hull_set_release(&set);
  willis_volume_release(&volume);
}

/* ---- grey values ---- */

/* Pixels, what is believed, and the grey values that the pixels are of. */
struct known {
  struct lit lit;
  float *probability, *grey;
  double of_means, least, missed_squared;
};

static float *read_numbers(struct oracle *oracle, ptrdiff_t count) {
  float *x = willis_take(count, sizeof *x);
  for (ptrdiff_t i = 0; i < count; i++) x[i] = (float)oracle_number(oracle);
  return x;
}

static void read_case(struct oracle *oracle, struct known *k) {
  struct willis_error err;
  int32_t voxel[MOST_ROWS];
  double angle[MOST_VIEWS];
  const int sum = (int)oracle_number(oracle);
  const ptrdiff_t n = (ptrdiff_t)oracle_number(oracle);
  const int views = (int)oracle_number(oracle), rows = (int)oracle_number(oracle);
  struct lit *l = &k->lit;
  assert_true(views <= MOST_VIEWS && rows <= MOST_ROWS);
  for (int v = 0; v < views; v++) angle[v] = oracle_number(oracle);
  for (int i = 0; i < rows; i++) voxel[i] = (int32_t)oracle_number(oracle);
  list(&l->set, voxel, rows);
  l->set.views = views;
  l->grid = willis_grid_cube(n, 1, NULL);
  assert_ok(willis_projections_create(&l->stack, n, n, views, &err));
  willis_grid_centre(&l->grid, l->stack.isocenter_mm);
  l->stack.mode = sum ? WILLIS_PROJECTION_SUM : WILLIS_PROJECTION_MAX;
  for (int v = 0; v < views; v++) l->stack.view[v] = willis_view_parallel(angle[v], &l->grid);
  for (ptrdiff_t i = 0; i < n * n * views; i++) l->stack.pixels[i] = (float)oracle_number(oracle);
  k->probability = read_numbers(oracle, rows);
  k->grey = read_numbers(oracle, rows);
  k->of_means = oracle_number(oracle);
  k->least = oracle_number(oracle);
  k->missed_squared = oracle_number(oracle);
}

static void release_case(struct known *k) {
  willis_release(k->probability);
  willis_release(k->grey);
  put_out(&k->lit);
}

static void of_all_cases(void (*check)(const struct known *k)) {
  struct oracle oracle = oracle_open("../oracle/xray_hull_grey.txt");
  for (int c = 0; c < CASES; c++) {
    struct known k;
    read_case(&oracle, &k);
    check(&k);
    release_case(&k);
  }
  oracle_close(&oracle);
}

static float *solve(const struct known *k, struct willis_hull_grey_found *found) {
  struct willis_error err;
  float *x = willis_take(k->lit.set.rows, sizeof *x);
  assert_ok(willis_hull_grey(&k->lit.set, &k->lit.stack, &k->lit.grid, k->probability, 1, x, found,
                             &err));
  return x;
}

/* What is to be least, for one τ². */
static double objective(const struct known *k, const float *value) {
  struct willis_error err;
  const struct willis_hull_set *set = &k->lit.set;
  double missed = 0, moved = 0;
  float *x = willis_take_zeroed(set->rows + 1, sizeof *x);
  memcpy(x, value, (size_t)set->rows * sizeof *x);
  for (int v = 0; v < set->views; v++) {
    struct willis_hull_samples s;
    assert_ok(willis_hull_samples_init(&s, set, &k->lit.stack, &k->lit.grid, v, &err));
    for (ptrdiff_t r = 0; r < s.rays; r++)
      missed += pow(
          by_samples(&s, r, x, k->lit.stack.mode == WILLIS_PROJECTION_SUM) - (double)s.pixel[r], 2);
    willis_hull_samples_release(&s);
  }
  for (ptrdiff_t i = 0; i < set->rows; i++) {
    const struct willis_hull_grey_expected e = willis_hull_grey_expected(k->probability[i]);
    moved += pow((double)(x[i] - e.mean), 2) / (double)e.variance;
  }
  willis_release(x);
  return missed / 2 / k->missed_squared + moved / 2;
}

static double mean_error(const struct known *k, const float *x) {
  double sum = 0;
  for (ptrdiff_t i = 0; i < k->lit.set.rows; i++) sum += fabs((double)(x[i] - k->grey[i]));
  return sum / (double)k->lit.set.rows;
}

/* Between Otsu's two classes of the grey values that the pixels are of. */
static double middle_of(const struct known *k) {
  struct willis_error err;
  double middle;
  const ptrdiff_t rows = k->lit.set.rows;
  assert_ok(
      willis_otsu_middle(k->grey, rows, willis_grid_count(&k->lit.grid) - rows, &middle, &err));
  return middle;
}

static void check_least(const struct known *k) {
  struct willis_hull_grey_found found;
  float *x = solve(k, &found);
  float *means = willis_take(k->lit.set.rows, sizeof *means);
  for (ptrdiff_t i = 0; i < k->lit.set.rows; i++) {
    means[i] = willis_hull_grey_expected(k->probability[i]).mean;
    assert_true(x[i] >= 0 && x[i] <= 1);
  }
  /* Both mean the same by it. */
  assert_true(fabs(objective(k, means) / k->of_means - 1) < 1e-3);
  const double reached = objective(k, x);
  assert_true(reached - k->least < 0.025 * (k->of_means - k->least));
  const bool agree = k->missed_squared < 1e-3;
  assert_true(mean_error(k, x) < (agree ? 0.3 : 0.75) * mean_error(k, means));
  assert_true(agree ? found.missed < 0.05f : found.missed > 0.05f);
  assert_true(fabs((double)found.middle - middle_of(k)) < (agree ? 0.03 : 0.08));
  willis_release(means);
  willis_release(x);
}

static void comes_near_the_least(void **state) {
  (void)state;
  of_all_cases(check_least);
}

/* Where nothing is known the grey value is the middle; it grows with what is believed, and is least
 * sure there. */
static void means_follow_what_is_believed(void **state) {
  (void)state;
  const struct willis_hull_grey_expected even = willis_hull_grey_expected(0.5f);
  assert_true(fabs((double)even.mean - 0.376) < 1e-6);
  assert_true(fabs((double)even.variance - 0.2 * 0.376 * 0.624) < 2e-4);
  assert_true((double)willis_hull_grey_expected(0).mean < 5e-3);
  assert_true((double)willis_hull_grey_expected(1).mean > 0.99);
  for (float p = 0.01f; p < 1; p += 0.01f)
    assert_true(willis_hull_grey_expected(p).mean > willis_hull_grey_expected(p - 0.01f).mean);
  /* Odds of 32 become four times the odds of the middle. */
  const double odds = 4 * 0.376 / 0.624;
  assert_true(fabs((double)willis_hull_grey_expected(32.0f / 33).mean - odds / (1 + odds)) < 1e-6);
}

/* A full voxel adds another number of units to a line integral, near to what is expected. Better
 * than the means even of a few random voxels whose probabilities are wrong on average. */
static void check_scale(const struct known *k) {
  const double expected = (double)WILLIS_HULL_GREY_MIDDLE / WILLIS_HULL_SET_MIDDLE;
  const ptrdiff_t rows = k->lit.set.rows;
  if (k->lit.stack.mode != WILLIS_PROJECTION_SUM) return;
  struct willis_hull_grey_found found;
  float *x = willis_take(rows, sizeof *x), *means = willis_take(rows, sizeof *means);
  for (ptrdiff_t i = 0; i < rows; i++) means[i] = willis_hull_grey_expected(k->probability[i]).mean;
  for (double factor = 1; factor < 1.5; factor += 0.2) {
    struct willis_error err;
    struct known other = *k;
    other.lit.set.unit = expected / factor; /* it adds one over it */
    assert_ok(willis_hull_grey(&other.lit.set, &k->lit.stack, &k->lit.grid, k->probability, 0, x,
                               &found, &err));
    const double part = k->missed_squared < 1e-3 ? 0.5 : 1; /* where pictures agree, or do not */
    assert_true(mean_error(k, x) < part * mean_error(k, means));
  }
  willis_release(means);
  willis_release(x);
}

static void finds_what_a_full_voxel_adds(void **state) {
  (void)state;
  of_all_cases(check_scale);
}

static void check_threads(const struct known *k) {
  struct willis_hull_grey_found found, other;
  willis_parallel_set_threads(1);
  float *one = solve(k, &found);
  for (int threads = 2; threads <= 8; threads++) {
    willis_parallel_set_threads(threads);
    float *more = solve(k, &other);
    assert_memory_equal(one, more, (size_t)k->lit.set.rows * sizeof *one);
    assert_memory_equal(&found, &other, sizeof found);
    willis_release(more);
  }
  willis_parallel_set_threads(0);
  willis_release(one);
}

static void same_bits_for_any_threads(void **state) {
  (void)state;
  of_all_cases(check_threads);
}

/* Of a list without voxels, and of pictures that are black where something is believed: maxima show
 * that there is nothing, sums that miss by many voxels are not trusted so far. */
static void nothing_is_explained_by_nothing(const struct known *k) {
  struct willis_hull_grey_found found;
  struct known none = *k;
  none.lit.set.rows = 0;
  willis_release(solve(&none, &found));
  float *before = copy_of(k->lit.stack.pixels, pixel_count(&k->lit.stack));
  memset(k->lit.stack.pixels, 0, (size_t)pixel_count(&k->lit.stack) * sizeof *before);
  float *x = solve(k, &found);
  double most = 0;
  for (ptrdiff_t i = 0; i < k->lit.set.rows; i++) most = fmax(most, (double)x[i]);
  assert_true(most < (k->lit.stack.mode == WILLIS_PROJECTION_SUM ? 1 : 0.1));
  assert_true((double)found.middle >= (double)WILLIS_HULL_GREY_MIDDLE / 1.5 - 1e-6);
  memcpy(k->lit.stack.pixels, before, (size_t)pixel_count(&k->lit.stack) * sizeof *before);
  willis_release(x);
  free(before);
}

static void black_pictures_show_nothing(void **state) {
  (void)state;
  of_all_cases(nothing_is_explained_by_nothing);
}

static void check_allocations(const struct known *k) {
  struct willis_hull_grey_found found;
  float *x = willis_take(k->lit.set.rows, sizeof *x);
  enum willis_status status = WILLIS_OUT_OF_MEMORY;
  int n = 0;
  willis_parallel_set_threads(1);
  for (; status; n++) {
    struct failing_allocator failing = {n, 0};
    struct willis_error err;
    assert_true(n < 100);
    failing_allocator_use(&failing);
    status = willis_hull_grey(&k->lit.set, &k->lit.stack, &k->lit.grid, k->probability, 0, x,
                              &found, &err);
    failing_allocator_use(NULL);
    assert_true(status == WILLIS_OK || status == WILLIS_OUT_OF_MEMORY);
    assert_int_equal(failing.held, 0);
  }
  willis_parallel_set_threads(0);
  assert_true(n > 10);
  willis_release(x);
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  of_all_cases(check_allocations);
}

static void logits_follow_the_grey_value(void **state) {
  (void)state;
  const float middle = 0.4f;
  for (float p = 0.05f; p < 1; p += 0.1f) {
    const double spread = sqrt((double)willis_hull_grey_expected(p).variance);
    assert_true(fabs((double)willis_hull_grey_logit(middle, middle, p)) <= 0);
    for (float value = 0.05f; value < 1; value += 0.05f)
      assert_true(willis_hull_grey_logit(value, middle, p) >
                  willis_hull_grey_logit(value - 0.05f, middle, p));
    /* A deviation from the middle, and a quarter of it. */
    const float whole = (float)((double)middle + spread),
                quarter = (float)((double)middle - spread / 4);
    assert_true(fabs((double)willis_hull_grey_logit(whole, middle, p) - 3) < 1e-3);
    assert_true(fabs((double)willis_hull_grey_logit(quarter, middle, p) + 1.5) < 1e-3);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(samples_are_those_of_slices),
      cmocka_unit_test(samples_are_those_of_cones),
      cmocka_unit_test(few_rays_are_followed),
      cmocka_unit_test(means_follow_what_is_believed),
      cmocka_unit_test(logits_follow_the_grey_value),
      cmocka_unit_test(comes_near_the_least),
      cmocka_unit_test(finds_what_a_full_voxel_adds),
      cmocka_unit_test(same_bits_for_any_threads),
      cmocka_unit_test(black_pictures_show_nothing),
      cmocka_unit_test(every_allocation_may_fail),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
