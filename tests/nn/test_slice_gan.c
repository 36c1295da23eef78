/* The conditional GAN of slices: it learns a drawing, one seed gives one result, and it goes on
 * from a state to the bit. Its layers and networks are held to PyTorch by test_graph.c. */
#include "numbers.h"

#include "base/parallel.h"
#include "nn/network.h"
#include "nn/slice_gan_trainer.h"

enum { SLICES = 2, SIZE = 64, PIXELS = SLICES * SIZE * SIZE };

struct game {
  struct willis_network *generator, *discriminator;
  struct willis_slice_gan_trainer *trainer;
};

static struct game begin(double l1) {
  struct game g;
  struct willis_slice_gan_options options = willis_slice_gan_defaults();
  options.slices = SLICES;
  options.size = SIZE;
  options.l1 = l1;
  options.learning_rate = 1e-3;
  assert_int_equal(willis_network_create("slice-generator", 1, &g.generator, NULL), WILLIS_OK);
  assert_int_equal(willis_network_create("slice-discriminator", 2, &g.discriminator, NULL),
                   WILLIS_OK);
  assert_int_equal(
      willis_slice_gan_trainer_create(g.generator, g.discriminator, &options, &g.trainer, NULL),
      WILLIS_OK);
  return g;
}

static void end(struct game *g) {
  willis_slice_gan_trainer_destroy(g->trainer);
  willis_network_destroy(g->generator);
  willis_network_destroy(g->discriminator);
}

/* Squares, and what two sides see of them: each pixel's row and column. */
static float condition[PIXELS * 2], target[PIXELS];

static int draw(void **state) {
  (void)state;
  for (int i = 0; i < PIXELS; i++) {
    const int s = i / (SIZE * SIZE), y = i / SIZE % SIZE, x = i % SIZE;
    const int x0 = 10 + 20 * s, y0 = 30 - 15 * s;
    const bool row = y >= y0 && y < y0 + 20, column = x >= x0 && x < x0 + 20;
    condition[2 * i] = row ? 1 : -1;
    condition[2 * i + 1] = column ? 1 : -1;
    target[i] = row && column ? 1 : -1;
  }
  return 0;
}

static void step(struct game *g, int steps, struct willis_slice_gan_loss *loss) {
  struct willis_error err = {0};
  for (int i = 0; i < steps; i++)
    if (willis_slice_gan_step(g->trainer, condition, target, loss, &err))
      fail_msg("%s", err.message);
}

static void learns_to_draw(void **state) {
  (void)state;
  struct game g = begin(100);
  struct willis_slice_gan_loss first, last;
  step(&g, 1, &first);
  /* Nobody knows anything yet. */
  assert_below(fabs(first.discriminator - log(2)), 0.2, "discriminator");
  assert_below(fabs(first.generator - log(2)), 0.3, "generator");
  step(&g, 60, &last);
  assert_true(last.l1 < 0.25 * first.l1);
  float *y = room_for(PIXELS);
  assert_int_equal(willis_slice_generator_draw(g.generator, SLICES, SIZE, condition, y, NULL),
                   WILLIS_OK);
  int wrong = 0;
  for (int i = 0; i < PIXELS; i++) wrong += (y[i] > 0) != (target[i] > 0);
  assert_true(wrong < PIXELS / 20);
  /* One at a time gives the same as all together. */
  float *one = room_for(SIZE * SIZE);
  assert_int_equal(
      willis_slice_generator_draw(g.generator, 1, SIZE, condition + 2 * SIZE * SIZE, one, NULL),
      WILLIS_OK);
  assert_below(apart(one, y + SIZE * SIZE, SIZE * SIZE), 1e-6, "one slice");
  willis_release(y);
  willis_release(one);
  end(&g);
}

static void pure_gan_is_not_held_to_the_target(void **state) {
  (void)state;
  struct game with = begin(100), without = begin(0);
  struct willis_slice_gan_loss a, b;
  step(&with, 1, &a);
  step(&without, 1, &b);
  assert_true(a.discriminator == b.discriminator && a.l1 == b.l1);
  step(&with, 10, &a);
  step(&without, 10, &b);
  assert_true(a.l1 < b.l1);
  end(&with);
  end(&without);
}

static void same_bits(void **state) {
  (void)state;
  const int before = willis_parallel_threads();
  struct game whole = begin(100);
  struct willis_slice_gan_loss loss;
  willis_parallel_set_threads(1);
  step(&whole, 4, &loss);
  size_t size = willis_slice_gan_state_bytes(whole.trainer);
  unsigned char *expected = willis_take((ptrdiff_t)size, 1), *got = willis_take((ptrdiff_t)size, 1);
  willis_slice_gan_state_export(whole.trainer, expected);
  for (int threads = 1; threads <= 4; threads++) {
    willis_parallel_set_threads(threads);
    struct game first = begin(100), second = begin(100);
    step(&first, 2, &loss);
    willis_slice_gan_state_export(first.trainer, got);
    assert_int_equal(willis_slice_gan_state_import(second.trainer, got, size, NULL), WILLIS_OK);
    step(&second, 2, &loss);
    willis_slice_gan_state_export(second.trainer, got);
    assert_memory_equal(expected, got, size);
    end(&first);
    end(&second);
  }
  willis_parallel_set_threads(before);
  assert_int_equal(willis_slice_gan_state_import(whole.trainer, got, size - 1, NULL),
                   WILLIS_MISMATCH);
  memset(got + size - 4, 0xff, 4);
  assert_int_equal(willis_slice_gan_state_import(whole.trainer, got, size, NULL), WILLIS_NUMERIC);
  willis_release(expected);
  willis_release(got);
  end(&whole);
}

/* The discriminator learns before the generator is asked. When that cannot learn, it has not. */
static void fails_as_a_whole(void **state) {
  (void)state;
  struct game g = begin(100);
  struct willis_slice_gan_loss loss;
  struct willis_error err;
  step(&g, 1, &loss);
  const size_t size = willis_slice_gan_state_bytes(g.trainer);
  unsigned char *before = willis_take((ptrdiff_t)size, 1), *after = willis_take((ptrdiff_t)size, 1);
  willis_slice_gan_state_export(g.trainer, before);
  float *wide = room_for(PIXELS);
  for (int i = 0; i < PIXELS; i++) wide[i] = target[i];
  wide[0] = NAN; /* the discriminator's gradient hears of it too */
  assert_int_equal(willis_slice_gan_step(g.trainer, condition, wide, &loss, &err), WILLIS_NUMERIC);
  willis_slice_gan_state_export(g.trainer, after);
  assert_memory_equal(before, after, size);
  end(&g);
  /* An L1 term beyond what a float holds: only the generator's gradient is not finite. */
  g = begin(1e300);
  willis_slice_gan_state_export(g.trainer, before);
  assert_int_equal(willis_slice_gan_step(g.trainer, condition, target, &loss, &err),
                   WILLIS_NUMERIC);
  assert_non_null(strstr(err.message, "slice-generator"));
  willis_slice_gan_state_export(g.trainer, after);
  assert_memory_equal(before, after, size);
  willis_release(wide);
  willis_release(before);
  willis_release(after);
  end(&g);
}

static void refuses(void **state) {
  (void)state;
  struct game g = begin(100);
  struct willis_slice_gan_options options = willis_slice_gan_defaults();
  struct willis_slice_gan_trainer *trainer;
  struct willis_error err;
  options.size = 100;
  assert_int_equal(
      willis_slice_gan_trainer_create(g.generator, g.discriminator, &options, &trainer, &err),
      WILLIS_INVALID_ARGUMENT);
  assert_non_null(strstr(err.message, "multiple of 64"));
  options.size = 64;
  assert_int_equal(
      willis_slice_gan_trainer_create(g.discriminator, g.generator, &options, &trainer, &err),
      WILLIS_INVALID_ARGUMENT);
  float y;
  assert_int_equal(willis_slice_generator_draw(g.discriminator, 1, 64, condition, &y, NULL),
                   WILLIS_INVALID_ARGUMENT);
  /* A weight that is not a number: said before anything of the generator has changed. */
  struct willis_slice_gan_loss loss;
  g.discriminator->parameters[0] = NAN;
  assert_int_equal(willis_slice_gan_step(g.trainer, condition, target, &loss, &err),
                   WILLIS_NUMERIC);
  assert_non_null(strstr(err.message, "slice-discriminator"));
  end(&g);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(learns_to_draw), cmocka_unit_test(pure_gan_is_not_held_to_the_target),
      cmocka_unit_test(same_bits),      cmocka_unit_test(fails_as_a_whole),
      cmocka_unit_test(refuses),
  };
  return cmocka_run_group_tests(tests, draw, NULL);
}
