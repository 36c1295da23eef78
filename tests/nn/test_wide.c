/* What is done with vectors of 16 where a processor has them has the bits of what is done with 8:
 * a training or a reconstruction does not depend on the machine among those with AVX2. */
#include "numbers.h"

#include "base/cpu.h"
#include "base/error.h"
#include "nn/conv3d_avx2.h"
#include "nn/gemm_avx2.h"

#include <willis/network.h>

static const unsigned narrow = ~(unsigned)WILLIS_CPU_AVX512;

static void require_wide(void) {
  if (willis_cpu_features() & WILLIS_CPU_AVX512) return;
  print_message("this processor has no AVX-512: nothing was tested\n");
  skip();
}

static void masks_go_both_ways(void **state) {
  (void)state;
  const unsigned all = willis_cpu_features();
  willis_cpu_mask(narrow);
  assert_int_equal(willis_cpu_features(), all & narrow);
  willis_cpu_mask(~(unsigned)WILLIS_CPU_AVX2);
  assert_int_equal(willis_cpu_features() & WILLIS_CPU_AVX512, 0);
  willis_cpu_mask(~0u);
  assert_int_equal(willis_cpu_features(), all);
}

/* a·b + start and aᵀ·b + c of so many rows by both kernels, and by plain loops. */
static void products(ptrdiff_t rows, int depth, int outputs) {
  enum { STRIDE = 3 }; /* rows are further apart than they are long */
  const struct willis_gemm_kernels *kernels[2] = {&willis_gemm_kernels_avx2,
                                                  &willis_gemm_kernels_avx512};
  float *a = numbers(1, rows * (depth + STRIDE)), *b = numbers(2, (ptrdiff_t)depth * outputs);
  float *start = numbers(3, outputs), *right = numbers(4, rows * outputs);
  float *c[2], *d[2];
  for (int k = 0; k < 2; k++) {
    c[k] = numbers(5, rows * (outputs + STRIDE));
    d[k] = numbers(6, (ptrdiff_t)depth * outputs);
    kernels[k]->product(rows, a, depth + STRIDE, depth, b, start, outputs, c[k], outputs + STRIDE);
    kernels[k]->transposed(rows, a, depth + STRIDE, depth, right, outputs, outputs, d[k]);
  }
  assert_memory_equal(c[1], c[0], (size_t)(rows * (outputs + STRIDE)) * sizeof(float));
  assert_memory_equal(d[1], d[0], (size_t)(depth * outputs) * sizeof(float));
  for (ptrdiff_t r = 0; r < rows; r++)
    for (int o = 0; o < outputs; o++) {
      double sum = (double)start[o];
      for (int k = 0; k < depth; k++)
        sum +=
            (double)a[r * (depth + STRIDE) + k] *
            (double)
                b[(o / WILLIS_GEMM_PANEL * depth + k) * WILLIS_GEMM_PANEL + o % WILLIS_GEMM_PANEL];
      assert_below(fabs((double)c[1][r * (outputs + STRIDE) + o] - sum), 1e-5 * depth, "product");
    }
  void *all[] = {a, b, start, right, c[0], c[1], d[0], d[1]};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) willis_release(all[i]);
}

static void products_have_the_same_bits(void **state) {
  (void)state;
  require_wide();
  static const ptrdiff_t rows[] = {1, 2, 3, 5, 7, 8, 9, 15, 16, 23, 96};
  for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
    for (int depth = 4; depth <= 68; depth += 16)
      for (int outputs = 16; outputs <= 80; outputs += 16) products(rows[r], depth, outputs);
}

/* Forward, pooled, and both gradients. */
struct outcome {
  ptrdiff_t inputs, outputs, weights;
  float *y, *extreme, *d_x, *d_weight;
  uint8_t *argmax;
  double *sums;
};

static void convolve(const struct willis_conv3d_shape *s, struct outcome *o) {
  const ptrdiff_t voxels = willis_extent_count(s->extent), depth = s->extent.depth;
  *o = (struct outcome){.inputs = voxels * s->inputs,
                        .outputs = voxels * s->outputs,
                        .weights = 27 * s->inputs * s->outputs};
  float *x = numbers(1, o->inputs), *w = numbers(2, o->weights), *d_y = numbers(3, o->outputs);
  float *bias = numbers(4, s->outputs), *sign = numbers(5, s->outputs);
  float *packed = room_for(willis_conv3d_avx2_packed_count(s));
  float *sum = room_for(willis_conv3d_avx2_sum_count(s));
  float *scratch = room_for((ptrdiff_t)(willis_conv3d_avx2_scratch_bytes(s, depth) / sizeof *w));
  o->y = room_for(o->outputs);
  o->d_x = room_for(o->inputs);
  o->d_weight = room_for(o->weights);
  o->extreme = room_for(o->outputs);
  o->argmax = willis_take_zeroed(o->outputs, 1);
  o->sums = willis_take_zeroed(2 * s->outputs, sizeof(double));
  memset(o->extreme, 0, (size_t)o->outputs * sizeof(float));
  const bool even = depth % 2 == 0 && s->extent.height % 2 == 0 && s->extent.width % 2 == 0;
  const struct willis_conv3d_pooled pooled = {sign, o->extreme, o->argmax, o->sums,
                                              o->sums + s->outputs};
  const struct willis_conv3d_planes planes = {x, 0, depth, NULL}, back = {d_y, 0, depth, NULL};
  willis_conv3d_avx2_pack_forward(s, w, packed);
  willis_conv3d_avx2_forward(s, planes, packed, bias, 0, depth, o->y, even ? &pooled : NULL,
                             scratch);
  willis_conv3d_avx2_pack_backward(s, w, packed);
  willis_conv3d_avx2_backward_data(s, back, packed, 0, depth, o->d_x, scratch);
  willis_conv3d_avx2_backward_weight_start(s, sum);
  willis_conv3d_avx2_backward_weight_add(s, planes, back, 0, depth, sum, scratch);
  willis_conv3d_avx2_backward_weight_finish(s, sum, o->d_weight);
  void *all[] = {x, w, d_y, bias, sign, packed, sum, scratch};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) willis_release(all[i]);
}

static void release(struct outcome *o) {
  void *all[] = {o->y, o->extreme, o->d_x, o->d_weight, o->argmax, o->sums};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) willis_release(all[i]);
}

/* One to twelve tiles in a block, channels with kernels of their own and without. */
static void convolutions_have_the_same_bits(void **state) {
  (void)state;
  require_wide();
  static const struct willis_conv3d_shape shapes[] = {
      {{1, 1, 1}, 16, 16},   {{3, 5, 9}, 32, 16},   {{5, 13, 18}, 48, 32}, {{6, 22, 26}, 16, 48},
      {{8, 12, 20}, 64, 32}, {{4, 20, 44}, 32, 64}, {{2, 6, 10}, 128, 64}, {{6, 14, 10}, 80, 16},
  };
  for (size_t n = 0; n < sizeof shapes / sizeof *shapes; n++) {
    struct outcome a, b;
    convolve(&shapes[n], &a);
    willis_cpu_mask(narrow);
    convolve(&shapes[n], &b);
    willis_cpu_mask(~0u);
    assert_memory_equal(a.y, b.y, (size_t)a.outputs * sizeof(float));
    assert_memory_equal(a.d_x, b.d_x, (size_t)a.inputs * sizeof(float));
    assert_memory_equal(a.d_weight, b.d_weight, (size_t)a.weights * sizeof(float));
    assert_memory_equal(a.extreme, b.extreme, (size_t)a.outputs * sizeof(float));
    assert_memory_equal(a.argmax, b.argmax, (size_t)a.outputs);
    assert_memory_equal(a.sums, b.sums, 2 * (size_t)shapes[n].outputs * sizeof(double));
    release(&a);
    release(&b);
  }
}

static void check(enum willis_status status, const struct willis_error *err) {
  if (status != WILLIS_OK) fail_msg("%s: %s", willis_status_name(status), err->message);
}

/* Three steps, then an inference. */
static struct willis_network *trained(struct willis_trainer_options options, float *y) {
  struct willis_error err;
  struct willis_network *n;
  struct willis_trainer *trainer;
  const ptrdiff_t *size = options.size, count = size[0] * size[1] * size[2];
  float *x = numbers(7, count), *target = numbers(8, count);
  double loss;
  for (ptrdiff_t i = 0; i < count; i++) target[i] = target[i] > 0.8f;
  check(willis_network_create("dae", 3, &n, &err), &err);
  check(willis_trainer_create(n, &options, &trainer, &err), &err);
  for (int step = 0; step < 3; step++)
    check(willis_trainer_step(trainer, x, target, &loss, &err), &err);
  willis_trainer_destroy(trainer);
  check(willis_network_infer(n, size, x, WILLIS_OUTPUT_LOGIT, y, &err), &err);
  willis_release(x);
  willis_release(target);
  return n;
}

static void trainings_have_the_same_bits(void **state) {
  (void)state;
  require_wide();
  enum { COUNT = 40 * 24 * 16 };
  float *y[2] = {room_for(COUNT), room_for(COUNT)};
  for (int precision = 0; precision < 2; precision++) {
    struct willis_network *n[2];
    for (int k = 0; k < 2; k++) {
      struct willis_trainer_options options = willis_trainer_defaults();
      const ptrdiff_t size[3] = {40, 24, 16};
      memcpy(options.size, size, sizeof size);
      options.precision = precision ? WILLIS_PRECISION_F16 : WILLIS_PRECISION_F32;
      if (k) willis_cpu_mask(narrow);
      n[k] = trained(options, y[k]);
      willis_cpu_mask(~0u);
    }
    for (int i = 0; i < willis_network_tensor_count(n[0]); i++) {
      struct willis_network_tensor a = willis_network_tensor(n[0], i);
      struct willis_network_tensor b = willis_network_tensor(n[1], i);
      assert_memory_equal(a.values, b.values, (size_t)a.count * sizeof(float));
    }
    assert_memory_equal(y[0], y[1], COUNT * sizeof(float));
    for (int k = 0; k < 2; k++) willis_network_destroy(n[k]);
  }
  for (int k = 0; k < 2; k++) willis_release(y[k]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(masks_go_both_ways),
      cmocka_unit_test(products_have_the_same_bits),
      cmocka_unit_test(convolutions_have_the_same_bits),
      cmocka_unit_test(trainings_have_the_same_bits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
