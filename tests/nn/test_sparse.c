/* The pieces of sparse networks: tables against a search, products against plain loops, adjoints,
 * gradients against differences. */
#include "nn/lattice.h"
#include "nn/overlap_loss.h"
#include "nn/pairs.h"
#include "nn/ray_exchange.h"
#include "nn/rms_norm.h"
#include "numbers.h"

#include "base/cpu.h"
#include "failing_allocator.h"

enum { X = 6, Y = 5, Z = 7, ALL = X * Y * Z };
static const ptrdiff_t size[3] = {X, Y, Z};

static int32_t some_voxels(int32_t present[ALL]) {
  int32_t count = 0;
  for (int i = 0; i < ALL; i++)
    if (number(1, i) > 0) present[count++] = i;
  return count;
}

static bool is_there(const int32_t *present, int count, ptrdiff_t voxel, int *row) {
  for (*row = 0; *row < count; ++*row)
    if (present[*row] == voxel) return true;
  return false;
}

static void neighbours_are_those_a_search_finds(void **state) {
  (void)state;
  int32_t present[ALL], count = some_voxels(present);
  struct willis_lattice lattice;
  assert_int_equal(willis_lattice_init(&lattice, size, count, present, NULL), WILLIS_OK);
  assert_int_equal(lattice.level[0].rows, count);
  for (int i = 0; i < count; i++)
    for (int t = 0; t < WILLIS_AROUND; t++) {
      const int x = present[i] % X + t % 3 - 1, y = present[i] / X % Y + t / 3 % 3 - 1,
                z = present[i] / X / Y + t / 9 - 1;
      int row = -1;
      const bool inside = x >= 0 && y >= 0 && z >= 0 && x < X && y < Y && z < Z;
      if (!inside || !is_there(present, count, (z * Y + y) * X + x, &row)) row = -1;
      assert_int_equal(lattice.level[0].around.index[i * WILLIS_AROUND + t], row);
    }
  willis_lattice_release(&lattice);
}

/* Every row has one parent, which has it as a child at the same octant. */
static void levels_know_each_other(void **state) {
  (void)state;
  int32_t present[ALL], count = some_voxels(present);
  struct willis_lattice lattice;
  ptrdiff_t rows[WILLIS_LATTICE_LEVELS];
  assert_int_equal(willis_lattice_init(&lattice, size, count, present, NULL), WILLIS_OK);
  assert_int_equal(willis_lattice_count_rows(size, count, present, rows, NULL), WILLIS_OK);
  for (int l = 0; l < WILLIS_LATTICE_LEVELS; l++) assert_int_equal(rows[l], lattice.level[l].rows);
  for (int l = 0; l + 1 < WILLIS_LATTICE_LEVELS; l++) {
    const struct willis_lattice_level *level = &lattice.level[l], *above = level + 1;
    assert_true(above->rows <= level->rows && above->rows >= 1);
    ptrdiff_t children = 0;
    for (ptrdiff_t i = 0; i < above->rows * WILLIS_OCTANTS; i++)
      children += above->children.index[i] >= 0;
    assert_int_equal(children, level->rows);
    for (ptrdiff_t i = 0; i < level->rows; i++) {
      int parents = 0;
      for (int o = 0; o < WILLIS_OCTANTS; o++) {
        int32_t parent = level->parents.index[i * WILLIS_OCTANTS + o];
        if (parent < 0) continue;
        parents++;
        assert_int_equal(above->children.index[parent * WILLIS_OCTANTS + o], i);
      }
      assert_int_equal(parents, 1);
    }
  }
  willis_lattice_release(&lattice);
}

static void a_lattice_wants_voxels_in_order(void **state) {
  (void)state;
  struct willis_lattice lattice;
  struct willis_error err;
  const int32_t twice[] = {3, 3}, falling[] = {5, 4}, outside[] = {0, ALL}, negative[] = {-1, 2};
  const int32_t *bad[] = {twice, falling, outside, negative};
  const ptrdiff_t huge[3] = {2048, 2048, 2048}, none[3] = {0, 4, 4};
  for (int i = 0; i < 4; i++)
    assert_int_equal(willis_lattice_init(&lattice, size, 2, bad[i], &err), WILLIS_INVALID_ARGUMENT);
  assert_int_equal(willis_lattice_init(&lattice, size, 0, twice, &err), WILLIS_INVALID_ARGUMENT);
  assert_int_equal(willis_lattice_init(&lattice, huge, 1, twice, &err), WILLIS_INVALID_ARGUMENT);
  assert_int_equal(willis_lattice_init(&lattice, none, 1, twice, &err), WILLIS_INVALID_ARGUMENT);
}

static void a_lattice_without_memory_leaves_nothing(void **state) {
  (void)state;
  int32_t present[ALL], count = some_voxels(present);
  enum willis_status status = WILLIS_OUT_OF_MEMORY;
  for (int n = 0; status; n++) {
    struct failing_allocator failing = {n, 0};
    struct willis_lattice lattice;
    assert_true(n < 50);
    failing_allocator_use(&failing);
    status = willis_lattice_init(&lattice, size, count, present, NULL);
    if (!status) willis_lattice_release(&lattice);
    failing_allocator_use(NULL);
    assert_true(status == WILLIS_OK || status == WILLIS_OUT_OF_MEMORY);
    assert_int_equal(failing.held, 0);
  }
}

/* The table's convolution on random rows: ⟨A x, g⟩ = ⟨x, Aᵀ g⟩ = ⟨w, ∂⟩. */
static void is_adjoint(const struct willis_sparse_conv *conv, const struct willis_taps *table,
                       const char *what) {
  const ptrdiff_t in = table->adjoint->rows * conv->inputs, out = table->rows * conv->outputs;
  const ptrdiff_t weights = willis_sparse_conv_scratch(conv);
  float *x = numbers(1, in), *w = numbers(2, weights), *g = numbers(3, out), zero[64] = {0};
  float *y = room_for(out), *d_x = room_for(in), *d_w = room_for(weights);
  float *scratch = room_for(weights), d_b[64];
  willis_sparse_conv_forward(conv, table, x, w, zero, false, y, scratch);
  willis_sparse_conv_backward_data(conv, table, g, w, false, d_x, scratch);
  willis_sparse_conv_backward_weight(conv, table, x, g, d_w, d_b, scratch);
  const double forward = dot(y, g, out), limit = 2e-6 * norm(y, out) * norm(g, out);
  assert_true(norm(y, out) > 0);
  assert_below(fabs(forward - dot(x, d_x, in)), limit, what);
  assert_below(fabs(forward - dot(w, d_w, weights)), limit, what);
  for (int o = 0; o < conv->outputs; o++) {
    double sum = 0;
    for (ptrdiff_t i = 0; i < table->rows; i++) sum += (double)g[i * conv->outputs + o];
    assert_below(fabs((double)d_b[o] - sum), 1e-5 * (1 + fabs(sum)), what);
  }
  /* Adding twice is twice. */
  willis_sparse_conv_forward(conv, table, x, w, zero, true, y, scratch);
  assert_below(fabs(dot(y, g, out) - 2 * forward), 2 * limit, what);
  float *all[] = {x, w, g, y, d_x, d_w, scratch};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) willis_release(all[i]);
}

static void convolutions_are_adjoint(void **state) {
  (void)state;
  int32_t present[ALL], count = some_voxels(present);
  struct willis_lattice lattice;
  assert_int_equal(willis_lattice_init(&lattice, size, count, present, NULL), WILLIS_OK);
  const struct willis_lattice_level *level = lattice.level;
  for (unsigned mask = 0; mask < 2; mask++) {
    willis_cpu_mask(mask ? ~0u : 0);
    is_adjoint(&(struct willis_sparse_conv){5, 7, WILLIS_AROUND, false}, &level[0].around, "odd");
    is_adjoint(&(struct willis_sparse_conv){24, 48, WILLIS_AROUND, false}, &level[0].around, "3³");
    is_adjoint(&(struct willis_sparse_conv){8, 40, WILLIS_OCTANTS, false}, &level[1].children,
               "down");
    is_adjoint(&(struct willis_sparse_conv){40, 8, WILLIS_OCTANTS, true}, &level[0].parents, "up");
    struct willis_taps each = {count, 1, NULL, &each, false};
    is_adjoint(&(struct willis_sparse_conv){9, 16, 1, false}, &each, "linear");
  }
  willis_cpu_mask(~0u);
  willis_lattice_release(&lattice);
}

/* Whether the AVX2 variant agrees with the plain loops, and the one for AVX-512 with it to the bit:
 * a training goes on where it stopped, on whatever machine. */
static void products_agree_with_plain_loops(void **state) {
  (void)state;
#ifdef WILLIS_HAVE_AVX2
  enum { ROWS = 37, IN = 19, MOST = 3 };
  const struct willis_pair_kernels *kernels[MOST] = {&willis_pairs_plain, &willis_pairs_avx2,
                                                     &willis_pairs_avx512};
  if (!(willis_cpu_features() & WILLIS_CPU_AVX2)) skip();
  const int variants = willis_cpu_features() & WILLIS_CPU_AVX512 ? 3 : 2;
  int32_t from[ROWS], to[ROWS];
  for (int i = 0; i < ROWS; i++) {
    from[i] = i * 7 % ROWS;
    to[i] = i * 5 % ROWS;
  }
  for (int outputs = 8; outputs <= 104; outputs += 8)
    for (ptrdiff_t count = 0; count <= ROWS; count++) {
      struct willis_pairs pairs = {count, from, to};
      float *x = numbers(1, ROWS * IN), *w = numbers(2, IN * outputs), *packed;
      float *y[MOST], *d_w[MOST];
      packed = room_for(IN * outputs);
      willis_pairs_pack(IN, outputs, w, outputs, 1, packed);
      for (int k = 0; k < variants; k++) {
        y[k] = numbers(3, ROWS * outputs);
        d_w[k] = numbers(4, IN * outputs);
        kernels[k]->product(&pairs, x, IN, IN, packed, outputs, y[k], outputs);
        kernels[k]->outer(&pairs, x, IN, IN, y[0], outputs, outputs, d_w[k]);
      }
      assert_below(apart(y[1], y[0], ROWS * outputs), 1e-6, "product");
      assert_below(apart(d_w[1], d_w[0], IN * outputs), 1e-6, "outer");
      if (variants == 3) {
        assert_memory_equal(y[2], y[1], sizeof(float) * (size_t)(ROWS * outputs));
        assert_memory_equal(d_w[2], d_w[1], sizeof(float) * (size_t)(IN * outputs));
      }
      float *all[] = {x, w, packed};
      for (size_t i = 0; i < sizeof all / sizeof *all; i++) willis_release(all[i]);
      for (int k = 0; k < variants; k++) willis_release(y[k]);
      for (int k = 0; k < variants; k++) willis_release(d_w[k]);
    }
#else
  skip();
#endif
}

static double norm_value(const float *x, const float *gain, const float *g, int rows,
                         int channels) {
  float y[64];
  willis_rms_norm_forward(rows, channels, x, gain, y);
  return dot(y, g, rows * channels);
}

static void rms_norm_gradient_is_a_difference(void **state) {
  (void)state;
  enum { ROWS = 5, C = 7, COUNT = ROWS * C };
  const float step = 0x1p-8f;
  float *x = numbers(1, COUNT), *gain = numbers(2, C), *g = numbers(3, COUNT);
  float d_x[COUNT] = {0}, d_gain[C];
  willis_rms_norm_backward(ROWS, C, x, gain, g, d_x, d_gain);
  for (int i = 0; i < COUNT + C; i++) {
    float *place = i < COUNT ? &x[i] : &gain[i - COUNT], kept = *place;
    *place = kept + step;
    double up = norm_value(x, gain, g, ROWS, C);
    *place = kept - step;
    double slope = (up - norm_value(x, gain, g, ROWS, C)) / (2 * (double)step);
    *place = kept;
    assert_below(fabs(slope - (double)(i < COUNT ? d_x[i] : d_gain[i - COUNT])), 2e-4, "rms_norm");
  }
  willis_release(x);
  willis_release(gain);
  willis_release(g);
}

static void overlap_loss_gradient_is_a_difference(void **state) {
  (void)state;
  enum { COUNT = 40 };
  float *z = numbers(5, COUNT), *t = numbers(6, COUNT), d_z[COUNT], unused[COUNT];
  for (int i = 0; i < COUNT; i++) {
    z[i] *= 5;
    t[i] = t[i] > 0.2f ? 1 : 0;
  }
  willis_overlap_loss_gradient(COUNT, z, t, 4, d_z);
  for (int i = 0; i < COUNT; i++) {
    const float kept = z[i], step = 0x1p-7f;
    z[i] = kept + step;
    double up = willis_overlap_loss_gradient(COUNT, z, t, 4, unused);
    z[i] = kept - step;
    double down = willis_overlap_loss_gradient(COUNT, z, t, 4, unused);
    z[i] = kept;
    assert_below(fabs((up - down) / (2 * (double)step) - (double)d_z[i]), 1e-6, "d_logit");
  }
  willis_release(z);
  willis_release(t);
}

static void overlap_loss_counts_what_is_missed(void **state) {
  (void)state;
  const float sure[] = {60, 60, -60, 1000}, truth[] = {1, 1, 0, 1};
  float d[4];
  /* Everything right: nothing to lose; as much missed as found: half of the overlap. */
  assert_below(willis_overlap_loss_gradient(4, sure, truth, 0, d), 1e-9, "all right");
  assert_below(fabs(willis_overlap_loss_gradient(4, sure, truth, 4, d) - 0.5), 1e-9, "half");
  const float wrong[] = {-1e30f, 1e30f, -800, 800};
  double loss = willis_overlap_loss_gradient(4, wrong, truth, 0, d);
  assert_true(isfinite(loss) && loss > 1);
  for (int i = 0; i < 4; i++) assert_true(isfinite(d[i]));
}

/* One voxel alone on every ray has no rivals, however high it bids. */
static void who_is_alone_has_no_rival(void **state) {
  (void)state;
  enum { ROWS = 4, C = 24 };
  const struct willis_ray_place apart_rays[ROWS] = {{0, 0, 0}, {1, 0, 0}, {2, 0, 0}, {3, 0, 0}};
  const int32_t pitch = ROWS;
  float *x = numbers(1, ROWS * C), seen[ROWS * WILLIS_RAY_SEEN] = {0}, about[3] = {0};
  float share[ROWS] = {1, 1, 1, 1}, y[ROWS * C], louder[ROWS * C];
  float *point = numbers(3, WILLIS_RAY_POINT * C), *bias = numbers(4, WILLIS_RAY_POINT);
  float *view = numbers(5, WILLIS_RAY_HIDDEN * WILLIS_RAY_INPUTS), *gain = numbers(2, C);
  float *out = numbers(6, C * WILLIS_RAY_POOLED), *out_bias = numbers(7, C);
  struct willis_ray_views views = {ROWS, ROWS, 1, apart_rays, &pitch, seen, about, share};
  struct willis_ray_parameters p = {gain, point, bias, view, out, out_bias};
  struct willis_ray_exchange layer;
  struct willis_ray_scratch scratch;
  struct willis_arena counting = {0}, arena;
  willis_ray_exchange_plan(&layer, ROWS, 1, C, false, &counting);
  willis_ray_exchange_plan_scratch(&scratch, ROWS, ROWS, C, false, &counting);
  assert_int_equal(willis_arena_init(&arena, counting.peak, NULL), WILLIS_OK);
  willis_ray_exchange_plan(&layer, ROWS, 1, C, false, &arena);
  willis_ray_exchange_plan_scratch(&scratch, ROWS, ROWS, C, false, &arena);
  willis_ray_exchange_forward(&layer, &views, &p, x, y, &scratch);
  for (int r = 0; r < WILLIS_RAY_BIDS; r++) bias[r] += 30;
  willis_ray_exchange_forward(&layer, &views, &p, x, louder, &scratch);
  assert_below(apart(louder, y, ROWS * C), 1e-5, "alone");
  /* Two on one ray are rivals. */
  const struct willis_ray_place together[ROWS] = {{0, 0, 0}, {0, 0, 0}, {2, 0, 0}, {3, 0, 0}};
  views.place = together;
  willis_ray_exchange_forward(&layer, &views, &p, x, louder, &scratch);
  assert_true(apart(louder, y, 2 * C) > 1e-3);
  assert_below(apart(louder + 2 * C, y + 2 * C, 2 * C), 1e-5, "the others");
  willis_arena_release(&arena);
  float *all[] = {x, point, bias, view, gain, out, out_bias};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) willis_release(all[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(neighbours_are_those_a_search_finds),
      cmocka_unit_test(levels_know_each_other),
      cmocka_unit_test(a_lattice_wants_voxels_in_order),
      cmocka_unit_test(a_lattice_without_memory_leaves_nothing),
      cmocka_unit_test(convolutions_are_adjoint),
      cmocka_unit_test(products_agree_with_plain_loops),
      cmocka_unit_test(rms_norm_gradient_is_a_difference),
      cmocka_unit_test(overlap_loss_gradient_is_a_difference),
      cmocka_unit_test(overlap_loss_counts_what_is_missed),
      cmocka_unit_test(who_is_alone_has_no_rival),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
