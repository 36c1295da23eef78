/* The Winograd convolution against the plain one, its own adjoint, its slabs and its threads. */
#include "base/cpu.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "base/random.h"
#include "nn/conv3d_avx2.h"
#include "nn/max_pool.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct willis_conv3d_shape shapes[] = {
    {{1, 1, 1}, 16, 16}, {{1, 2, 9}, 16, 32},   {{3, 1, 4}, 32, 16},    {{4, 4, 4}, 16, 16},
    {{5, 7, 6}, 48, 16}, {{8, 4, 12}, 32, 64},  {{6, 13, 11}, 16, 48},  {{13, 5, 7}, 64, 32},
    {{2, 2, 2}, 16, 16}, {{6, 10, 14}, 32, 32}, {{12, 6, 18}, 64, 128},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

/* Everything one shape needs. x is rectified, as behind a ReLU; d_y is not. */
struct bed {
  struct willis_conv3d_shape shape;
  ptrdiff_t voxels, inputs, outputs, weights;
  float *x, *weight, *bias, *d_y;
  float *y, *d_x, *d_weight; /* results */
  float *forward, *backward, *sum;
  void *scratch;
};

static float *take(ptrdiff_t count) {
  float *block = willis_take(count, sizeof(float));
  assert_non_null(block);
  return block;
}

static float *normal(uint64_t stream, ptrdiff_t count, double scale) {
  float *block = take(count);
  for (ptrdiff_t i = 0; i < count; i++)
    block[i] = (float)(scale * willis_random_normal(7, stream, (uint64_t)i));
  return block;
}

static struct bed bed_of(const struct willis_conv3d_shape *shape) {
  struct bed b = {.shape = *shape, .voxels = willis_extent_count(shape->extent)};
  b.inputs = b.voxels * shape->inputs;
  b.outputs = b.voxels * shape->outputs;
  b.weights = (ptrdiff_t)shape->inputs * shape->outputs * WILLIS_CONV3D_TAPS;
  b.x = normal(1, b.inputs, 1);
  for (ptrdiff_t i = 0; i < b.inputs; i++) b.x[i] = fmaxf(b.x[i], 0);
  b.weight = normal(2, b.weights, 1 / sqrt(27.0 * shape->inputs));
  b.bias = normal(3, shape->outputs, 1);
  b.d_y = normal(4, b.outputs, 1);
  b.y = take(b.outputs);
  b.d_x = take(b.inputs);
  b.d_weight = take(b.weights);
  ptrdiff_t packed = willis_conv3d_avx2_packed_count(shape);
  b.forward = take(packed);
  b.backward = take(packed);
  b.sum = take(willis_conv3d_avx2_sum_count(shape));
  b.scratch =
      willis_take((ptrdiff_t)willis_conv3d_avx2_scratch_bytes(shape, shape->extent.depth), 1);
  assert_non_null(b.scratch);
  return b;
}

static void bed_release(struct bed *b) {
  float *blocks[] = {b->x,   b->weight,   b->bias,    b->d_y,      b->y,
                     b->d_x, b->d_weight, b->forward, b->backward, b->sum};
  for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) willis_release(blocks[i]);
  willis_release(b->scratch);
}

/* Forward, data gradient and weight gradient, `step` planes at a time; each slab sees only the
 * planes that it may need. */
static void compute(struct bed *b, ptrdiff_t step) {
  const struct willis_conv3d_shape *s = &b->shape;
  ptrdiff_t depth = s->extent.depth, plane = s->extent.height * s->extent.width;
  willis_conv3d_avx2_pack_forward(s, b->weight, b->forward);
  willis_conv3d_avx2_pack_backward(s, b->weight, b->backward);
  willis_conv3d_avx2_backward_weight_start(s, b->sum);
  for (ptrdiff_t begin = 0; begin < depth; begin += step) {
    ptrdiff_t end = begin + step < depth ? begin + step : depth;
    ptrdiff_t low = begin > 0 ? begin - 1 : 0, high = end < depth ? end + 1 : depth;
    struct willis_conv3d_planes x = {b->x + low * plane * s->inputs, low, high, NULL};
    struct willis_conv3d_planes d_y = {b->d_y + low * plane * s->outputs, low, high, NULL};
    willis_conv3d_avx2_forward(s, x, b->forward, b->bias, begin, end,
                               b->y + begin * plane * s->outputs, NULL, b->scratch);
    willis_conv3d_avx2_backward_data(s, d_y, b->backward, begin, end,
                                     b->d_x + begin * plane * s->inputs, b->scratch);
    willis_conv3d_avx2_backward_weight_add(s, x, d_y, begin, end, b->sum, b->scratch);
  }
  willis_conv3d_avx2_backward_weight_finish(s, b->sum, b->d_weight);
}

/* ‖a − b‖ / ‖b‖ */
static double distance(const float *a, const float *b, ptrdiff_t count) {
  double difference = 0, size = 0;
  for (ptrdiff_t i = 0; i < count; i++) {
    difference += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    size += (double)b[i] * (double)b[i];
  }
  return sqrt(difference / size);
}

static double dot(const float *a, const float *b, ptrdiff_t count) {
  double sum = 0;
  for (ptrdiff_t i = 0; i < count; i++) sum += (double)a[i] * (double)b[i];
  return sum;
}

static void require_avx2(void) {
  if (willis_cpu_features() & WILLIS_CPU_AVX2) return;
  print_message("this processor has no AVX2: nothing was tested\n");
  skip();
}

static void equals_the_plain_loops(void **state) {
  (void)state;
  require_avx2();
  for (int n = 0; n < SHAPES; n++) {
    struct bed b = bed_of(&shapes[n]);
    compute(&b, b.shape.extent.depth);
    float *y = take(b.outputs), *d_x = take(b.inputs), *d_weight = take(b.weights);
    float *d_bias = take(b.shape.outputs);
    willis_conv3d_forward(&b.shape, b.x, b.weight, b.bias, y);
    willis_conv3d_backward_data(&b.shape, b.d_y, b.weight, d_x);
    willis_conv3d_backward_weight(&b.shape, b.x, b.d_y, d_weight, d_bias);
    assert_true(distance(b.y, y, b.outputs) < 3e-6);
    assert_true(distance(b.d_x, d_x, b.inputs) < 5e-6);
    assert_true(distance(b.d_weight, d_weight, b.weights) < 5e-6);
    float *blocks[] = {y, d_x, d_weight, d_bias};
    for (int i = 0; i < 4; i++) willis_release(blocks[i]);
    bed_release(&b);
  }
}

/* ⟨conv(x), d_y⟩ = ⟨x, convᵀ(d_y)⟩ = ⟨weight, d_weight⟩ without a bias. */
static void gradients_are_adjoint(void **state) {
  (void)state;
  require_avx2();
  for (int n = 0; n < SHAPES; n++) {
    struct bed b = bed_of(&shapes[n]);
    memset(b.bias, 0, sizeof(float) * (size_t)b.shape.outputs);
    compute(&b, b.shape.extent.depth);
    double size = sqrt(dot(b.y, b.y, b.outputs) * dot(b.d_y, b.d_y, b.outputs));
    double product = dot(b.y, b.d_y, b.outputs);
    assert_true(fabs(product - dot(b.x, b.d_x, b.inputs)) < 1e-6 * size);
    assert_true(fabs(product - dot(b.weight, b.d_weight, b.weights)) < 1e-6 * size);
    bed_release(&b);
  }
}

static void is_linear(void **state) {
  (void)state;
  require_avx2();
  struct bed b = bed_of(&(struct willis_conv3d_shape){{6, 7, 9}, 32, 16});
  memset(b.bias, 0, sizeof(float) * (size_t)b.shape.outputs);
  float *first = take(b.outputs), *other = normal(5, b.inputs, 1);
  compute(&b, 6);
  memcpy(first, b.y, sizeof(float) * (size_t)b.outputs);
  for (ptrdiff_t i = 0; i < b.inputs; i++) b.x[i] = 2 * b.x[i] - other[i];
  compute(&b, 6);
  for (ptrdiff_t i = 0; i < b.outputs; i++) first[i] = 2 * first[i] - b.y[i];
  memcpy(b.x, other, sizeof(float) * (size_t)b.inputs);
  compute(&b, 6);
  assert_true(distance(first, b.y, b.outputs) < 1e-5);
  willis_release(first);
  willis_release(other);
  bed_release(&b);
}

static void has_the_same_bits(const struct bed *a, const struct bed *b) {
  assert_memory_equal(a->y, b->y, sizeof(float) * (size_t)a->outputs);
  assert_memory_equal(a->d_x, b->d_x, sizeof(float) * (size_t)a->inputs);
  assert_memory_equal(a->d_weight, b->d_weight, sizeof(float) * (size_t)a->weights);
}

static void threads_do_not_change_a_bit(void **state) {
  (void)state;
  require_avx2();
  const struct willis_conv3d_shape shape = {{14, 17, 19}, 32, 48};
  int before = willis_parallel_threads();
  willis_parallel_set_threads(1);
  struct bed one = bed_of(&shape);
  compute(&one, shape.extent.depth);
  const int threads[] = {2, 3, 4, 8};
  for (int t = 0; t < 4; t++) {
    willis_parallel_set_threads(threads[t]);
    struct bed many = bed_of(&shape);
    compute(&many, shape.extent.depth);
    has_the_same_bits(&one, &many);
    bed_release(&many);
  }
  bed_release(&one);
  willis_parallel_set_threads(before);
}

static void slabs_do_not_change_a_bit(void **state) {
  (void)state;
  require_avx2();
  const struct willis_conv3d_shape shape = {{18, 9, 10}, 16, 32};
  struct bed whole = bed_of(&shape), slabs = bed_of(&shape);
  compute(&whole, shape.extent.depth);
  for (ptrdiff_t step = 4; step <= 12; step += 4) {
    memset(slabs.y, 0xff, sizeof(float) * (size_t)slabs.outputs);
    compute(&slabs, step);
    has_the_same_bits(&whole, &slabs);
  }
  bed_release(&whole);
  bed_release(&slabs);
}

static void pooled_extremes_and_sums(void **state) {
  (void)state;
  require_avx2();
  struct bed b = bed_of(&(struct willis_conv3d_shape){{10, 6, 14}, 16, 32});
  const struct willis_conv3d_shape *s = &b.shape;
  const int channels = s->outputs;
  ptrdiff_t pooled = b.outputs / 8, plane = s->extent.height * s->extent.width;
  float *sign = normal(6, channels, 1), *extreme = take(pooled), *lone = take(pooled);
  uint8_t *argmax = willis_take(pooled, 1);
  double sum[32] = {0}, square[32] = {0};
  sign[0] = 0;
  compute(&b, 10);
  float *y = b.d_y; /* not needed here */
  for (ptrdiff_t begin = 0; begin < 10; begin += 4) {
    ptrdiff_t end = begin + 4 < 10 ? begin + 4 : 10, at = begin / 2 * (plane / 4) * channels;
    struct willis_conv3d_pooled p = {sign, extreme + at, argmax + at, sum, square};
    struct willis_conv3d_planes x = {b.x, 0, 10, NULL};
    willis_conv3d_avx2_forward(s, x, b.forward, b.bias, begin, end, y + begin * plane * channels,
                               &p, b.scratch);
    struct willis_conv3d_pooled only = {sign, lone + at, argmax + at, NULL, NULL};
    willis_conv3d_avx2_forward(s, x, b.forward, b.bias, begin, end, NULL, &only, b.scratch);
  }
  assert_memory_equal(y, b.y, sizeof(float) * (size_t)b.outputs);
  assert_memory_equal(lone, extreme, sizeof(float) * (size_t)pooled);
  struct willis_extent half = willis_extent_half(s->extent);
  for (ptrdiff_t v = 0; v < pooled; v++) {
    ptrdiff_t at = v / channels, c = v % channels, x = at % half.width;
    ptrdiff_t row = at / half.width % half.height, z = at / half.width / half.height;
    int best = 0;
    float value[WILLIS_POOL_WINDOW];
    for (int k = 0; k < WILLIS_POOL_WINDOW; k++) {
      value[k] = b.y[willis_pool_source(s->extent, z, row, x, k) * channels + c];
      if (sign[c] >= 0 ? value[k] > value[best] : value[k] < value[best]) best = k;
    }
    assert_int_equal(argmax[v], best);
    assert_true(extreme[v] == value[best]);
  }
  for (int c = 0; c < channels; c++) {
    double s1 = 0, s2 = 0;
    for (ptrdiff_t v = 0; v < b.voxels; v++) {
      double d = (double)b.y[v * channels + c] - (double)b.bias[c];
      s1 += d;
      s2 += d * d;
    }
    assert_true(fabs(sum[c] - s1) < 1e-6 * sqrt(s2 * (double)b.voxels));
    assert_true(fabs(square[c] - s2) < 1e-6 * s2);
  }
  willis_release(sign);
  willis_release(extreme);
  willis_release(lone);
  willis_release(argmax);
  bed_release(&b);
}

/* Equal windows: the first position wins, for minima too. */
static void ties_go_to_the_first(void **state) {
  (void)state;
  require_avx2();
  struct bed b = bed_of(&(struct willis_conv3d_shape){{2, 2, 4}, 16, 16});
  memset(b.weight, 0, sizeof(float) * (size_t)b.weights);
  compute(&b, 2);
  float sign[16], extreme[32];
  uint8_t argmax[32];
  for (int c = 0; c < 16; c++) sign[c] = c % 2 ? -1 : 1;
  struct willis_conv3d_pooled p = {sign, extreme, argmax, NULL, NULL};
  willis_conv3d_avx2_forward(&b.shape, (struct willis_conv3d_planes){b.x, 0, 2, NULL}, b.forward,
                             b.bias, 0, 2, NULL, &p, b.scratch);
  for (int i = 0; i < 32; i++) {
    assert_int_equal(argmax[i], 0);
    assert_true(extreme[i] == b.bias[i % 16]);
  }
  bed_release(&b);
}

static void scattered_gradients_equal_dense_ones(void **state) {
  (void)state;
  require_avx2();
  struct bed b = bed_of(&(struct willis_conv3d_shape){{10, 6, 14}, 32, 16});
  const struct willis_conv3d_shape *s = &b.shape;
  const int channels = s->outputs;
  ptrdiff_t pooled = b.outputs / 8, plane = s->extent.height * s->extent.width;
  float *a = normal(8, b.outputs, 1), *level = normal(9, channels, 1);
  float *slope = normal(10, channels, 1), *d_pooled = normal(11, pooled, 1);
  uint8_t *argmax = willis_take(pooled, 1);
  for (ptrdiff_t i = 0; i < pooled; i++) argmax[i] = (uint8_t)((i * 2654435761u >> 13) % 8);
  struct willis_extent half = willis_extent_half(s->extent);
  for (ptrdiff_t i = 0; i < b.outputs; i++)
    b.d_y[i] = fmaf(slope[i % channels], a[i], level[i % channels]);
  for (ptrdiff_t v = 0; v < pooled; v++) {
    ptrdiff_t at = v / channels, row = at / half.width;
    b.d_y[willis_pool_source(s->extent, row / half.height, row % half.height, at % half.width,
                             argmax[v]) *
              channels +
          v % channels] += d_pooled[v];
  }
  compute(&b, 10);
  struct bed fused = bed_of(s);
  struct willis_conv3d_scatter all = {level, slope, d_pooled, argmax, NULL};
  ptrdiff_t skipped = 2 * plane * channels;
  const struct willis_conv3d_scatter upper = {level, slope, d_pooled + skipped / 8,
                                              argmax + skipped / 8, NULL};
  struct willis_conv3d_planes d_y = {a, 0, 10, &all}, rest = {a + skipped, 2, 10, &upper};
  struct willis_conv3d_planes x = {b.x, 0, 10, NULL};
  willis_conv3d_avx2_backward_data(s, d_y, b.backward, 0, 4, fused.d_x, b.scratch);
  willis_conv3d_avx2_backward_data(s, rest, b.backward, 4, 10, fused.d_x + 4 * plane * s->inputs,
                                   b.scratch);
  willis_conv3d_avx2_backward_weight_start(s, fused.sum);
  willis_conv3d_avx2_backward_weight_add(s, x, d_y, 0, 10, fused.sum, b.scratch);
  willis_conv3d_avx2_backward_weight_finish(s, fused.sum, fused.d_weight);
  assert_memory_equal(fused.d_x, b.d_x, sizeof(float) * (size_t)b.inputs);
  assert_memory_equal(fused.d_weight, b.d_weight, sizeof(float) * (size_t)b.weights);
  all.dense = a;
  willis_conv3d_avx2_backward_weight_start(s, fused.sum);
  for (ptrdiff_t begin = 0; begin < 10; begin += 4)
    willis_conv3d_avx2_backward_weight_add(s, x, d_y, begin, begin + 4 < 10 ? begin + 4 : 10,
                                           fused.sum, b.scratch);
  willis_conv3d_avx2_backward_weight_finish(s, fused.sum, fused.d_weight);
  assert_memory_equal(fused.d_weight, b.d_weight, sizeof(float) * (size_t)b.weights);
  assert_memory_equal(a, b.d_y, sizeof(float) * (size_t)b.outputs);
  willis_release(a);
  willis_release(level);
  willis_release(slope);
  willis_release(d_pooled);
  willis_release(argmax);
  bed_release(&fused);
  bed_release(&b);
}

static void channels_must_fill_groups(void **state) {
  (void)state;
  const int channels[][3] = {{16, 16, true}, {32, 48, true},  {1, 32, false},
                             {32, 8, false}, {24, 16, false}, {0, 16, false}};
  for (size_t i = 0; i < sizeof channels / sizeof *channels; i++) {
    struct willis_conv3d_shape shape = {{4, 4, 4}, channels[i][0], channels[i][1]};
    assert_int_equal(willis_conv3d_avx2_fits(&shape), channels[i][2]);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(equals_the_plain_loops),
      cmocka_unit_test(gradients_are_adjoint),
      cmocka_unit_test(is_linear),
      cmocka_unit_test(threads_do_not_change_a_bit),
      cmocka_unit_test(slabs_do_not_change_a_bit),
      cmocka_unit_test(pooled_extremes_and_sums),
      cmocka_unit_test(ties_go_to_the_first),
      cmocka_unit_test(scattered_gradients_equal_dense_ones),
      cmocka_unit_test(channels_must_fill_groups),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
