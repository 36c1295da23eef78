/* Fast parts against their plain twins, built from single layers that test_layers.c holds to
 * PyTorch. */
#include "numbers.h"

#include "base/cpu.h"
#include "base/parallel.h"
#include "nn/batch_norm.h"
#include "nn/decoder.h"
#include "nn/encoder_block.h"

/* An encoder block or a decoder with its numbers, run once forward and backward. */
struct trial {
  bool training;
  uint32_t seed;
  struct willis_conv3d_shape shape; /* encoder */
  struct willis_extent extent;      /* decoder's input */
  /* results, one flat array each */
  ptrdiff_t y_count, d_x_count, gradient_count;
  float *y, *d_x, *gradient;
  uint8_t *argmax; /* encoder */
  double statistics[512];
  char name[32];
  /* Windows where rounding chose another maximum are left out of backward: those in which this
   * trial and `other` differ, or those that `other` left out. */
  const struct trial *other;
  uint8_t *skip;
  ptrdiff_t skipped;
};

static void trial_release(struct trial *t) {
  willis_release(t->y);
  willis_release(t->d_x);
  willis_release(t->gradient);
  willis_release(t->argmax);
  willis_release(t->skip);
}

static void choose_skipped(struct trial *t) {
  t->skip = willis_take_zeroed(t->y_count, 1);
  t->skipped = 0;
  for (ptrdiff_t i = 0; t->other && i < t->y_count; i++) {
    const struct trial *o = t->other;
    bool open = t->y[i] > 0 || o->y[i] > 0;
    bool same = t->argmax[i] == o->argmax[i] && (t->y[i] > 0) == (o->y[i] > 0);
    t->skip[i] = o->skipped ? o->skip[i] : open && !same;
    t->skipped += t->skip[i];
  }
}

/* Parameters of one block; running ones positive, gamma of both signs. Pointers go into `block`. */
static void fill_block(float *block, uint32_t seed, ptrdiff_t weights, int outputs, double fan_in,
                       struct willis_block_parameters *p) {
  for (ptrdiff_t i = 0; i < weights; i++) block[i] = number(seed, i) / (float)sqrt(fan_in);
  float *rest = block + weights;
  for (int i = 0; i < 5 * outputs; i++) rest[i] = number(seed + 1, i);
  *p = (struct willis_block_parameters){
      block, rest, rest + outputs, rest + 2 * outputs, rest + 3 * outputs, rest + 4 * outputs};
  for (int c = 0; c < outputs; c++) p->running_variance[c] = 1 + 0.5f * p->running_variance[c];
}

static struct willis_block_parameters gradient_block(float *block, ptrdiff_t weights, int outputs) {
  float *rest = block + weights;
  return (struct willis_block_parameters){
      .weight = block, .bias = rest, .gamma = rest + outputs, .beta = rest + 2 * outputs};
}

static void run_encoder(struct trial *t) {
  const struct willis_conv3d_shape *s = &t->shape;
  const int outputs = s->outputs;
  const ptrdiff_t n = willis_extent_count(s->extent);
  const ptrdiff_t weights = (ptrdiff_t)s->inputs * outputs * WILLIS_CONV3D_TAPS;
  struct willis_encoder_block block;
  struct willis_arena arena = {0};
  willis_encoder_block_plan(&block, s, t->training, &arena);
  willis_encoder_block_plan_scratch(&block, &arena);
  const size_t bytes = arena.peak;
  assert_int_equal(willis_arena_init(&arena, bytes, NULL), WILLIS_OK);
  memset(arena.base, 0xff, bytes);
  willis_encoder_block_plan(&block, s, t->training, &arena);
  willis_encoder_block_plan_scratch(&block, &arena);
  snprintf(t->name, sizeof t->name, "%s", block.variant->name);

  float *parameters = room_for(weights + 5 * outputs);
  struct willis_block_parameters p;
  fill_block(parameters, t->seed, weights, outputs, s->inputs * WILLIS_CONV3D_TAPS, &p);
  float *x = numbers(t->seed + 2, n * s->inputs);
  for (ptrdiff_t i = 0; i < n * s->inputs; i++) x[i] = fabsf(x[i]);
  t->y_count = n / 8 * outputs;
  t->d_x_count = s->inputs > 1 ? n * s->inputs : 0;
  t->gradient_count = weights + 3 * outputs;
  t->y = room_for(t->y_count);
  t->d_x = room_for(t->d_x_count);
  t->gradient = room_for(t->gradient_count);
  willis_encoder_block_forward(&block, &p, x, t->y);
  for (int c = 0; c < outputs; c++) {
    t->statistics[c] = block.mean[c];
    t->statistics[outputs + c] = block.variance[c];
  }
  if (t->training) {
    float *d_y = numbers(t->seed + 3, t->y_count);
    t->argmax = willis_take(t->y_count, 1);
    memcpy(t->argmax, block.argmax, (size_t)t->y_count);
    choose_skipped(t);
    for (ptrdiff_t i = 0; i < t->y_count; i++)
      if (t->skip[i]) d_y[i] = 0;
    struct willis_block_parameters g = gradient_block(t->gradient, weights, outputs);
    willis_encoder_block_backward(&block, &p, x, t->y, d_y, &g, t->d_x_count ? t->d_x : NULL);
    /* Zero but for rounding: nothing to compare. */
    memset(g.bias, 0, (size_t)outputs * sizeof *g.bias);
    willis_release(d_y);
  }
  willis_release(parameters);
  willis_release(x);
  willis_arena_release(&arena);
}

/* Logits in inference, loss and gradients in training. */
static void run_decoder(struct trial *t) {
  static const int width[] = {128, 64, 32};
  const ptrdiff_t n = willis_extent_count(t->extent);
  const enum willis_decoder_use use = t->training ? WILLIS_DECODER_STORE : WILLIS_DECODER_INFER;
  struct willis_decoder decoder;
  struct willis_arena arena = {0};
  willis_decoder_plan(&decoder, t->extent, width, use, &arena);
  willis_decoder_plan_scratch(&decoder, &arena);
  const size_t bytes = arena.peak;
  assert_int_equal(willis_arena_init(&arena, bytes, NULL), WILLIS_OK);
  memset(arena.base, 0xff, bytes);
  willis_decoder_plan(&decoder, t->extent, width, use, &arena);
  willis_decoder_plan_scratch(&decoder, &arena);
  snprintf(t->name, sizeof t->name, "%s", decoder.variant->name);

  struct willis_block_parameters p[WILLIS_DECODER_BLOCKS], g[WILLIS_DECODER_BLOCKS];
  float *parameters[WILLIS_DECODER_BLOCKS];
  ptrdiff_t weights[WILLIS_DECODER_BLOCKS];
  t->gradient_count = 0;
  for (int b = 0; b < WILLIS_DECODER_BLOCKS; b++) {
    const int outputs = decoder.shape[b].outputs;
    weights[b] = (ptrdiff_t)width[b] * outputs * WILLIS_CONV_TRANSPOSE3D_TAPS;
    parameters[b] = room_for(weights[b] + 5 * outputs);
    fill_block(parameters[b], t->seed + 10 * (uint32_t)b, weights[b], outputs, width[b], &p[b]);
    t->gradient_count += weights[b] + 3 * outputs;
  }
  float *x = numbers(t->seed + 2, n * width[0]);
  for (ptrdiff_t i = 0; i < n * width[0]; i++) x[i] = fmaxf(x[i], 0);
  t->y_count = t->training ? 1 : n * 512;
  t->d_x_count = n * width[0];
  t->y = room_for(t->y_count);
  t->d_x = room_for(t->d_x_count);
  t->gradient = room_for(t->gradient_count);
  memset(t->gradient, 0, (size_t)t->gradient_count * sizeof *t->gradient);
  if (t->training) {
    float *at = t->gradient, *target = numbers(t->seed + 3, n * 512);
    for (ptrdiff_t i = 0; i < n * 512; i++) target[i] = target[i] > 0.5f;
    for (int b = 0; b < WILLIS_DECODER_BLOCKS; b++) {
      const int outputs = decoder.shape[b].outputs;
      g[b] = gradient_block(at, weights[b], outputs);
      at += weights[b] + 3 * outputs;
    }
    struct willis_decoder_input input = {.x = x};
    struct willis_decoder_goal goal = {{.values = target}, {0.3, 0.5, 1}};
    t->y[0] = (float)(willis_decoder_gradient(&decoder, p, &input, &goal, g) / (double)(n * 512));
    willis_decoder_input_gradient(&decoder, p, 0, n, t->d_x);
    for (int b = 0; b < 2; b++)
      memset(g[b].bias, 0, (size_t)decoder.shape[b].outputs * sizeof(float));
    willis_release(target);
  } else
    willis_decoder_forward(&decoder, p, x, t->y);
  for (int c = 0; c < 64; c++) {
    t->statistics[c] = decoder.mean[0][c];
    t->statistics[64 + c] = decoder.variance[0][c];
    t->statistics[128 + c] = decoder.mean[1][c / 2];
    t->statistics[192 + c] = decoder.variance[1][c / 2];
  }
  for (int b = 0; b < WILLIS_DECODER_BLOCKS; b++) willis_release(parameters[b]);
  willis_release(x);
  willis_arena_release(&arena);
}

/* Every variant the processor has against the plain one. */
static void compare(struct trial base, void (*run)(struct trial *), int statistics) {
  for (int training = 0; training < 2; training++) {
    struct trial fast = base, plain = base;
    fast.training = plain.training = training;
    run(&fast);
    willis_cpu_mask(0);
    plain.other = fast.argmax ? &fast : NULL;
    run(&plain);
    willis_cpu_mask(~0u);
    if (plain.skipped) {
      assert_below((double)plain.skipped, 2 + 2e-5 * (double)plain.y_count, "other maxima");
      trial_release(&fast);
      fast = base;
      fast.training = training;
      fast.other = &plain;
      run(&fast);
    }
    assert_string_equal(plain.name, "plain");
#ifdef WILLIS_HAVE_AVX2
    if (willis_cpu_features() & WILLIS_CPU_AVX2) assert_string_not_equal(fast.name, "plain");
#endif
    assert_below(apart(fast.y, plain.y, plain.y_count), 5e-6, "y");
    for (int i = 0; i < statistics; i++)
      assert_below(fabs(fast.statistics[i] - plain.statistics[i]),
                   2e-6 * (1 + fabs(plain.statistics[i])), "statistics");
    if (training) {
      assert_below(apart(fast.gradient, plain.gradient, plain.gradient_count), 2e-5, "gradient");
      assert_below(apart(fast.d_x, plain.d_x, plain.d_x_count), 2e-5, "d_x");
    }
    trial_release(&fast);
    trial_release(&plain);
  }
}

static const struct willis_extent sizes[] = {{2, 2, 4},   {8, 8, 8},    {6, 4, 20},  {24, 16, 40},
                                             {16, 24, 8}, {10, 12, 36}, {40, 40, 40}};
/* The plain twin multiplies in double one by one. */
static const double most_products = 2.5e8;

static void encoder_blocks_agree(void **state) {
  (void)state;
  static const int channels[][2] = {{1, 32}, {32, 64}, {64, 128}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    for (int c = 0; c < 3; c++) {
      double products =
          27.0 * (double)willis_extent_count(sizes[i]) * channels[c][0] * channels[c][1];
      if (products > most_products) continue;
      struct trial t = {.seed = 31 * (uint32_t)i + 7,
                        .shape = {sizes[i], channels[c][0], channels[c][1]}};
      compare(t, run_encoder, 2 * channels[c][1]);
    }
}

static void decoders_agree(void **state) {
  (void)state;
  static const struct willis_extent extents[] = {{1, 1, 1}, {1, 2, 3}, {2, 2, 2},
                                                 {3, 2, 5}, {5, 5, 5}, {8, 4, 4}};
  for (size_t i = 0; i < sizeof extents / sizeof *extents; i++) {
    struct trial t = {.seed = 17 * (uint32_t)i + 3, .extent = extents[i]};
    compare(t, run_decoder, 256);
  }
}

static void same_bits(struct trial base, void (*run)(struct trial *)) {
  static const int threads[] = {1, 2, 3, 4, 8};
  struct trial first = base;
  willis_parallel_set_threads(threads[0]);
  run(&first);
  for (size_t k = 1; k < sizeof threads / sizeof *threads; k++) {
    struct trial t = base;
    willis_parallel_set_threads(threads[k]);
    run(&t);
    assert_memory_equal(t.y, first.y, (size_t)t.y_count * sizeof(float));
    assert_memory_equal(t.gradient, first.gradient, (size_t)t.gradient_count * sizeof(float));
    assert_memory_equal(t.d_x, first.d_x, (size_t)t.d_x_count * sizeof(float));
    trial_release(&t);
  }
  willis_parallel_set_threads(0);
  trial_release(&first);
}

static void parts_have_the_same_bits_for_any_threads(void **state) {
  (void)state;
  for (unsigned mask = 0; mask < 2; mask++) {
    willis_cpu_mask(mask ? ~0u : 0u);
    same_bits((struct trial){.training = true, .seed = 1, .shape = {{8, 12, 16}, 1, 32}},
              run_encoder);
    same_bits((struct trial){.training = true, .seed = 2, .shape = {{8, 12, 16}, 32, 64}},
              run_encoder);
    same_bits((struct trial){.training = true, .seed = 3, .extent = {4, 3, 6}}, run_decoder);
  }
  willis_cpu_mask(~0u);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(encoder_blocks_agree),
      cmocka_unit_test(decoders_agree),
      cmocka_unit_test(parts_have_the_same_bits_for_any_threads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
