/* Every layer against PyTorch (tests/oracle/nn_layers.py), its own adjoint, and differences. */
#include "nn/adam.h"
#include "nn/batch_norm.h"
#include "nn/conv3d.h"
#include "nn/conv_transpose3d.h"
#include "nn/loss.h"
#include "nn/max_pool.h"
#include "nn/relu.h"
#include "numbers.h"

#include "base/cpu.h"
#include "base/parallel.h"

#include <float.h>

enum { I = 3, O = 5 };
static const struct willis_extent extent = {4, 6, 2};

static const json_t *layer(const json_t *root, const char *name, const char *array) {
  return json_object_get(json_object_get(root, name), array);
}

static void conv3d_matches_pytorch(void **state) {
  const json_t *root = *state;
  struct willis_conv3d_shape s = {extent, I, O};
  ptrdiff_t n = willis_extent_count(extent), weights = O * I * 27;
  float *x = numbers(1, n * I), *w = numbers(2, weights), *b = numbers(3, O);
  float *d_y = numbers(4, n * O), *y = room_for(n * O), *d_x = room_for(n * I);
  float *d_w = room_for(weights), *d_b = room_for(O);
  willis_conv3d_forward(&s, x, w, b, y);
  willis_conv3d_backward_data(&s, d_y, w, d_x);
  willis_conv3d_backward_weight(&s, x, d_y, d_w, d_b);
  assert_matches(y, layer(root, "conv3d", "y"), 1e-6, "y");
  assert_matches(d_x, layer(root, "conv3d", "d_x"), 1e-6, "d_x");
  assert_matches(d_w, layer(root, "conv3d", "d_weight"), 1e-6, "d_weight");
  assert_matches(d_b, layer(root, "conv3d", "d_bias"), 1e-6, "d_bias");
  float *all[] = {x, w, b, d_y, y, d_x, d_w, d_b};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) willis_release(all[i]);
}

static void conv_transpose3d_matches_pytorch(void **state) {
  const json_t *root = *state;
  struct willis_conv_transpose3d_shape s = {extent, I, O};
  ptrdiff_t n = willis_extent_count(extent), m = 8 * n, weights = O * I * 8;
  float *x = numbers(1, n * I), *w = numbers(2, weights), *b = numbers(3, O);
  float *d_y = numbers(4, m * O), *y = room_for(m * O), *d_x = room_for(n * I);
  float *d_w = room_for(weights), *d_b = room_for(O);
  willis_conv_transpose3d_forward(&s, x, w, b, y);
  willis_conv_transpose3d_backward_data(&s, d_y, w, d_x);
  willis_conv_transpose3d_backward_weight(&s, x, d_y, d_w, d_b);
  assert_matches(y, layer(root, "conv_transpose3d", "y"), 1e-6, "y");
  assert_matches(d_x, layer(root, "conv_transpose3d", "d_x"), 1e-6, "d_x");
  assert_matches(d_w, layer(root, "conv_transpose3d", "d_weight"), 1e-6, "d_weight");
  assert_matches(d_b, layer(root, "conv_transpose3d", "d_bias"), 1e-6, "d_bias");
  float *all[] = {x, w, b, d_y, y, d_x, d_w, d_b};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) willis_release(all[i]);
}

static void batch_norm_matches_pytorch(void **state) {
  const json_t *root = *state;
  ptrdiff_t n = willis_extent_count(extent);
  float *x = numbers(1, n * I), *gamma = numbers(2, I), *beta = numbers(3, I);
  float *y = room_for(n * I), *d_y = numbers(4, n * I);
  float d_gamma[I], d_beta[I], running_mean[I] = {0}, running_variance[I] = {1, 1, 1};
  double mean[I], variance[I];
  willis_batch_norm_statistics(n, I, x, mean, variance);
  willis_batch_norm_forward(n, I, x, mean, variance, gamma, beta, y);
  willis_batch_norm_track(n, I, mean, variance, running_mean, running_variance);
  willis_batch_norm_backward(n, I, x, mean, variance, gamma, d_y, d_y, d_gamma, d_beta);
  assert_matches(y, layer(root, "batch_norm", "y"), 1e-6, "y");
  assert_matches(d_y, layer(root, "batch_norm", "d_x"), 1e-6, "d_x");
  assert_matches(d_gamma, layer(root, "batch_norm", "d_gamma"), 1e-6, "d_gamma");
  assert_matches(d_beta, layer(root, "batch_norm", "d_beta"), 1e-6, "d_beta");
  assert_matches(running_mean, layer(root, "batch_norm", "running_mean"), 1e-6, "running_mean");
  assert_matches(running_variance, layer(root, "batch_norm", "running_var"), 1e-6, "running_var");
  float *all[] = {x, gamma, beta, y, d_y};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) willis_release(all[i]);
}

static void max_pool_matches_pytorch(void **state) {
  const json_t *root = *state;
  ptrdiff_t n = willis_extent_count(extent), m = n / 8;
  float *x = numbers(1, n * I), *y = room_for(m * I), *d_y = numbers(4, m * I);
  float *d_x = room_for(n * I);
  uint8_t *argmax = willis_take(m * I, 1);
  for (ptrdiff_t i = 0; i < n * I; i++) x[i] = rintf(2 * x[i]);
  willis_max_pool_forward(extent, I, x, y, argmax);
  willis_max_pool_backward(extent, I, argmax, d_y, d_x);
  assert_matches(y, layer(root, "max_pool", "y"), 0, "y");
  assert_matches(d_x, layer(root, "max_pool", "d_x"), 1e-7, "d_x");
  float *all[] = {x, y, d_y, d_x};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) willis_release(all[i]);
  willis_release(argmax);
}

static void focal_loss_matches_pytorch(void **state) {
  const json_t *root = *state, *row;
  enum { COUNT = 60 };
  float *z = numbers(1, COUNT), *t = numbers(2, COUNT), d_z[COUNT];
  for (int i = 0; i < COUNT; i++) {
    z[i] *= 12;
    t[i] = t[i] > 0.4f ? 1 : 0;
  }
  size_t i;
  json_array_foreach(json_object_get(root, "focal_loss"), i, row) {
    double loss =
        willis_focal_loss_gradient(COUNT, z, t, json_number_value(json_object_get(row, "alpha")),
                                   json_number_value(json_object_get(row, "gamma")), d_z);
    double expected = json_number_value(json_object_get(row, "loss"));
    assert_below(fabs(loss - expected), 1e-7 * expected, "loss");
    assert_matches(d_z, json_object_get(row, "d_logit"), 1e-7, "d_logit");
  }
  willis_release(z);
  willis_release(t);
}

static void focal_loss_survives_extremes(void **state) {
  (void)state;
  const float z[] = {1e30f, -1e30f, 1e30f, -1e30f, 800, -800, 0}, t[] = {1, 0, 0, 1, 0, 1, 1};
  for (double gamma = 0; gamma < 3; gamma += 0.5)
    for (int i = 0; i < 7; i++) {
      float d_z;
      double loss = willis_focal_loss_gradient(1, &z[i], &t[i], 0.5, gamma, &d_z);
      assert_true(isfinite(loss) && loss >= 0);
      assert_true(isfinite(d_z) && fabsf(d_z) <= 0.5f * (1 + (float)gamma));
    }
}

static void focal_loss_gradient_is_a_difference(void **state) {
  (void)state;
  enum { COUNT = 40 };
  float *z = numbers(5, COUNT), *t = numbers(6, COUNT), d_z[COUNT];
  for (int i = 0; i < COUNT; i++) t[i] = 0.5f + 0.5f * t[i];
  willis_focal_loss_gradient(COUNT, z, t, 0.3, 1.5, d_z);
  for (int i = 0; i < COUNT; i++) {
    const float at = z[i], step = 0x1p-8f;
    z[i] = at + step;
    double up = willis_focal_loss_gradient(COUNT, z, t, 0.3, 1.5, NULL);
    z[i] = at - step;
    double down = willis_focal_loss_gradient(COUNT, z, t, 0.3, 1.5, NULL);
    z[i] = at;
    assert_below(fabs((up - down) / (2 * (double)step) - (double)d_z[i]), 1e-7, "d_logit");
  }
  willis_release(z);
  willis_release(t);
}

/* Whatever is rounded to single precision may round the other way: 1 unit in the last place. */
static void fast_focal_loss_is_the_plain_one(void **state) {
  (void)state;
  enum { COUNT = 4001, UNITS = 1 };
  static float z[COUNT], t[COUNT], fast[COUNT], plain[COUNT];
  for (int i = 0; i < COUNT; i++) {
    z[i] = (float)(i - COUNT / 2) * (i % 2 ? 0.04f : 0.0004f);
    t[i] = i % 7 == 3 ? 0.3f : (float)(i % 3 == 0);
  }
  for (int g = 0; g < 4; g++) {
    const double gamma = (const double[]){0, 0.2, 1, 2}[g];
    willis_cpu_mask(0);
    double expected = willis_focal_loss_gradient(COUNT, z, t, 0.25, gamma, plain);
    willis_cpu_mask(~0u);
    double loss = willis_focal_loss_gradient(COUNT, z, t, 0.25, gamma, fast);
    assert_below(fabs(loss - expected), 1e-14 * expected, "loss");
    for (int i = 0; i < COUNT; i++)
      assert_true(fabsf(fast[i] - plain[i]) <=
                  UNITS * FLT_EPSILON * fabsf(plain[i]) + FLT_TRUE_MIN);
  }
}

static void focal_loss_does_not_depend_on_cuts_or_threads(void **state) {
  (void)state;
  enum { COUNT = 20001, CUT = 4099 };
  float *z = numbers(7, COUNT), *t = numbers(8, COUNT);
  float *whole = room_for(COUNT), *parts = room_for(COUNT);
  for (int i = 0; i < COUNT; i++) t[i] = t[i] > 0.8f ? 1 : t[i] < 0.79f ? 0 : t[i];
  const struct willis_focal focal = {0.5, 0.2, 1};
  willis_parallel_set_threads(1);
  double sum = willis_focal_sum(&focal, COUNT, z, t, whole);
  willis_parallel_set_threads(3);
  assert_true(sum == willis_focal_sum(&focal, COUNT, z, t, parts));
  assert_memory_equal(whole, parts, COUNT * sizeof *whole);
  willis_focal_sum(&focal, CUT, z, t, parts);
  memcpy(parts + CUT, z + CUT, (COUNT - CUT) * sizeof *z);
  willis_focal_sum(&focal, COUNT - CUT, parts + CUT, t + CUT, parts + CUT);
  assert_memory_equal(whole, parts, COUNT * sizeof *whole);
  z[17] = NAN;
  assert_true(isnan(willis_focal_sum(&focal, COUNT, z, t, parts)) && isnan(parts[17]));
  willis_parallel_set_threads(0);
  float *all[] = {z, t, whole, parts};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) willis_release(all[i]);
}

static void adam_matches_pytorch(void **state) {
  const json_t *root = *state;
  enum { COUNT = 20 };
  float *p = numbers(1, COUNT), m[COUNT] = {0}, v[COUNT] = {0};
  const struct willis_adam adam = {1e-2, 0.9, 0.999, 1e-8};
  for (uint64_t step = 1; step <= 5; step++) {
    float *g = numbers(9 + (uint32_t)step, COUNT);
    willis_adam_step(&adam, step, COUNT, g, m, v, p);
    willis_release(g);
  }
  assert_matches(p, layer(root, "adam", "parameter"), 1e-6, "parameter");
  willis_release(p);
}

static void relu_keeps_nan_and_gradients_of_open_values(void **state) {
  (void)state;
  float x[] = {-1, 0, 2, NAN}, y[4], d[] = {5, 6, 7, 8};
  willis_relu_forward(4, x, y);
  assert_true(y[0] == 0 && y[1] == 0 && y[2] == 2 && isnan(y[3]));
  willis_relu_backward(4, y, d, d);
  assert_true(d[0] == 0 && d[1] == 0 && d[2] == 7 && d[3] == 0);
}

/* ⟨A x, y⟩ = ⟨x, Aᵀ y⟩ for the data and, as the map is linear in the weights too, for them. */
static void convolutions_are_adjoint(void **state) {
  (void)state;
  const struct willis_extent odd = {3, 5, 7};
  struct willis_conv3d_shape s = {odd, I, O};
  struct willis_conv_transpose3d_shape t = {odd, I, O};
  ptrdiff_t n = willis_extent_count(odd);
  const float zero[O] = {0};
  float *x = numbers(1, n * I), *w = numbers(2, O * I * 27), *g = numbers(3, 8 * n * O);
  float *y = room_for(8 * n * O), *d_x = room_for(n * I), *d_w = room_for(O * I * 27), d_b[O];
  willis_conv3d_forward(&s, x, w, zero, y);
  willis_conv3d_backward_data(&s, g, w, d_x);
  willis_conv3d_backward_weight(&s, x, g, d_w, d_b);
  double ax = dot(y, g, n * O), limit = 1e-6 * norm(y, n * O) * norm(g, n * O);
  assert_below(fabs(ax - dot(x, d_x, n * I)), limit, "conv3d, data");
  assert_below(fabs(ax - dot(w, d_w, O * I * 27)), limit, "conv3d, weight");
  willis_conv_transpose3d_forward(&t, x, w, zero, y);
  willis_conv_transpose3d_backward_data(&t, g, w, d_x);
  willis_conv_transpose3d_backward_weight(&t, x, g, d_w, d_b);
  ax = dot(y, g, 8 * n * O), limit = 1e-6 * norm(y, 8 * n * O) * norm(g, 8 * n * O);
  assert_below(fabs(ax - dot(x, d_x, n * I)), limit, "conv_transpose3d, data");
  assert_below(fabs(ax - dot(w, d_w, O * I * 8)), limit, "conv_transpose3d, weight");
  float *all[] = {x, w, g, y, d_x, d_w};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) willis_release(all[i]);
}

/* The gradient of ⟨batch_norm(x), g⟩ against central differences. */
static void batch_norm_gradient_is_a_difference(void **state) {
  (void)state;
  enum { COUNT = 12, C = 3 };
  float *x = numbers(1, COUNT * C), *g = numbers(2, COUNT * C), y[COUNT * C], d_x[COUNT * C];
  const float gamma[C] = {1.5f, -0.5f, 0}, beta[C] = {0.1f, 0.2f, 0.3f};
  float d_gamma[C], d_beta[C];
  double mean[C], variance[C];
  willis_batch_norm_statistics(COUNT, C, x, mean, variance);
  willis_batch_norm_backward(COUNT, C, x, mean, variance, gamma, g, d_x, d_gamma, d_beta);
  for (int i = 0; i < COUNT * C; i++) {
    const float at = x[i], step = 0x1p-6f;
    double value[2];
    for (int side = 0; side < 2; side++) {
      x[i] = at + (side ? step : -step);
      willis_batch_norm_statistics(COUNT, C, x, mean, variance);
      willis_batch_norm_forward(COUNT, C, x, mean, variance, gamma, beta, y);
      value[side] = dot(y, g, COUNT * C);
    }
    x[i] = at;
    assert_below(fabs((value[1] - value[0]) / (2 * (double)step) - (double)d_x[i]), 2e-3, "d_x");
  }
  willis_release(x);
  willis_release(g);
}

static void layers_have_the_same_bits_for_any_threads(void **state) {
  (void)state;
  const struct willis_extent e = {6, 8, 10};
  struct willis_conv3d_shape s = {e, I, O};
  ptrdiff_t n = willis_extent_count(e);
  float *x = numbers(1, n * I), *w = numbers(2, O * I * 27), *b = numbers(3, O);
  float *y[2] = {room_for(n * O), room_for(n * O)};
  float *d_w[2] = {room_for(O * I * 27), room_for(O * I * 27)}, d_b[2][O];
  const int threads[] = {1, 2, 3, 4, 8};
  for (int k = 0; k < 5; k++) {
    const int slot = k > 0;
    willis_parallel_set_threads(threads[k]);
    willis_conv3d_forward(&s, x, w, b, y[slot]);
    willis_conv3d_backward_weight(&s, x, y[slot], d_w[slot], d_b[slot]);
    assert_memory_equal(y[slot], y[0], (size_t)(n * O) * sizeof(float));
    assert_memory_equal(d_w[slot], d_w[0], (size_t)(O * I * 27) * sizeof(float));
    assert_memory_equal(d_b[slot], d_b[0], sizeof d_b[0]);
  }
  willis_parallel_set_threads(0);
  float *all[] = {x, w, b, y[0], y[1], d_w[0], d_w[1]};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) willis_release(all[i]);
}

static int open_oracle(void **state) {
  *state = oracle("nn_layers.json");
  return 0;
}

static int close_oracle(void **state) {
  json_decref(*state);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(conv3d_matches_pytorch),
      cmocka_unit_test(conv_transpose3d_matches_pytorch),
      cmocka_unit_test(batch_norm_matches_pytorch),
      cmocka_unit_test(max_pool_matches_pytorch),
      cmocka_unit_test(focal_loss_matches_pytorch),
      cmocka_unit_test(fast_focal_loss_is_the_plain_one),
      cmocka_unit_test(focal_loss_does_not_depend_on_cuts_or_threads),
      cmocka_unit_test(focal_loss_survives_extremes),
      cmocka_unit_test(focal_loss_gradient_is_a_difference),
      cmocka_unit_test(adam_matches_pytorch),
      cmocka_unit_test(relu_keeps_nan_and_gradients_of_open_values),
      cmocka_unit_test(convolutions_are_adjoint),
      cmocka_unit_test(batch_norm_gradient_is_a_difference),
      cmocka_unit_test(layers_have_the_same_bits_for_any_threads),
  };
  return cmocka_run_group_tests(tests, open_oracle, close_oracle);
}
