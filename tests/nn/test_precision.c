/* Training with 16 bits a number: close to float, in half the memory; and the scale of its loss. */
#include "numbers.h"

#include "base/cpu.h"
#include "base/parallel.h"

#include <willis/network.h>

static void check(enum willis_status status, const struct willis_error *err) {
  if (status != WILLIS_OK) fail_msg("%s: %s", willis_status_name(status), err->message);
}

/* A volume with something to learn: bright bars in noise. */
struct volume {
  ptrdiff_t size[3], count;
  float *x, *target;
};

static struct volume volume_of(ptrdiff_t width, ptrdiff_t height, ptrdiff_t depth) {
  struct volume v = {{width, height, depth}, width * height * depth, 0, 0};
  v.x = numbers(1, v.count);
  v.target = numbers(2, v.count);
  for (ptrdiff_t i = 0; i < v.count; i++) {
    const ptrdiff_t column = i % width, row = i / width % height;
    v.target[i] = column > width / 2 - 2 && column < width / 2 + 2 && row % 6 < 3;
    v.x[i] = 0.3f * fabsf(v.x[i]) + 0.5f * v.target[i];
  }
  return v;
}

static void volume_release(struct volume *v) {
  willis_release(v->x);
  willis_release(v->target);
}

struct run {
  struct willis_network *network;
  struct willis_trainer *trainer;
};

static struct run run_of(const struct volume *v, enum willis_training_plan plan,
                         enum willis_precision precision) {
  struct willis_error err;
  struct run r;
  struct willis_trainer_options o = willis_trainer_defaults();
  memcpy(o.size, v->size, sizeof o.size);
  o.alpha = 0.9;
  o.gamma = 1;
  o.plan = plan;
  o.precision = precision;
  check(willis_network_create("dae", 4, &r.network, &err), &err);
  check(willis_trainer_create(r.network, &o, &r.trainer, &err), &err);
  return r;
}

static void run_release(struct run *r) {
  willis_trainer_destroy(r->trainer);
  willis_network_destroy(r->network);
}

static double step(struct run *r, const struct volume *v) {
  struct willis_error err;
  double loss;
  check(willis_trainer_step(r->trainer, v->x, v->target, &loss, &err), &err);
  return loss;
}

static unsigned char *state_of(const struct run *r, size_t *bytes) {
  *bytes = willis_trainer_state_bytes(r->trainer);
  unsigned char *state = willis_take((ptrdiff_t)*bytes, 1);
  willis_trainer_state_export(r->trainer, state);
  return state;
}

/* How far gradients are from those of `exact`, and the loss from `loss`. */
static double gradient_apart(const struct volume *v, enum willis_training_plan plan,
                             struct run *exact, double loss) {
  struct willis_error err;
  struct run r = run_of(v, plan, WILLIS_PRECISION_F16);
  double other;
  check(willis_trainer_gradient(r.trainer, v->x, v->target, &other, &err), &err);
  assert_below(fabs(other / loss - 1), 1e-3, "loss");
  double difference =
      apart(willis_trainer_gradient_block(r.trainer), willis_trainer_gradient_block(exact->trainer),
            willis_network_parameter_count(r.network));
  run_release(&r);
  return difference;
}

/* Most of the difference are maxima and ReLUs that rounding decides otherwise. */
static void gradients_are_close(void **state) {
  (void)state;
  for (unsigned mask = 0; mask < 2; mask++) {
    willis_cpu_mask(mask ? ~0u : 0u);
    struct volume v = mask ? volume_of(40, 24, 32) : volume_of(16, 8, 16);
    struct run exact = run_of(&v, WILLIS_TRAINING_STORE, WILLIS_PRECISION_F32);
    struct willis_error err;
    double loss;
    check(willis_trainer_gradient(exact.trainer, v.x, v.target, &loss, &err), &err);
    for (int plan = 0; plan < WILLIS_TRAINING_PLANS; plan++) {
      double difference = gradient_apart(&v, (enum willis_training_plan)plan, &exact, loss);
      assert_below(difference, 0.05, "gradient");
      /* It is no other way to the same numbers. */
      assert_true(difference > 1e-6);
    }
    run_release(&exact);
    volume_release(&v);
  }
  willis_cpu_mask(~0u);
}

static void losses_stay_together(void **state) {
  (void)state;
  struct volume v = volume_of(32, 24, 24);
  struct run exact = run_of(&v, WILLIS_TRAINING_STORE, WILLIS_PRECISION_F32);
  struct run half[WILLIS_TRAINING_PLANS];
  for (int plan = 0; plan < WILLIS_TRAINING_PLANS; plan++)
    half[plan] = run_of(&v, (enum willis_training_plan)plan, WILLIS_PRECISION_F16);
  double first = 0, last = 0;
  for (int i = 0; i < 20; i++) {
    last = step(&exact, &v);
    if (i == 0) first = last;
    for (int plan = 0; plan < WILLIS_TRAINING_PLANS; plan++)
      assert_below(fabs(step(&half[plan], &v) / last - 1), 1e-2, "loss of a step");
  }
  assert_true(last < 0.7 * first);
  for (int plan = 0; plan < WILLIS_TRAINING_PLANS; plan++) {
    assert_int_equal(willis_trainer_loss_scale(half[plan].trainer).skipped, 0);
    run_release(&half[plan]);
  }
  run_release(&exact);
  volume_release(&v);
}

/* The scale only moves numbers into the range of 16 bits: where they are in it already, a power of
 * two more or less changes nothing but what is tiny. */
static void overflow_skips_and_halves(void **state) {
  (void)state;
  struct willis_error err;
  struct volume v = volume_of(16, 16, 16);
  for (int plan = 0; plan < WILLIS_TRAINING_PLANS; plan++) {
    struct run r = run_of(&v, (enum willis_training_plan)plan, WILLIS_PRECISION_F16);
    assert_true(willis_trainer_loss_scale(r.trainer).scale == v.count);
    willis_trainer_set_loss_scale(r.trainer, 0x1p60);
    size_t bytes;
    struct willis_network_tensor w = willis_network_tensor(r.network, 0);
    float *before = willis_take(w.count, sizeof *before);
    memcpy(before, w.values, (size_t)w.count * sizeof *before);
    uint64_t steps = 0;
    for (; willis_trainer_loss_scale(r.trainer).skipped == steps; steps++) {
      struct willis_loss_scale s = willis_trainer_loss_scale(r.trainer);
      assert_true(s.scale == ldexp(1, 60 - (int)steps) && s.good == 0);
      assert_memory_equal(before, w.values, (size_t)w.count * sizeof *before);
      step(&r, &v);
      assert_int_equal(willis_trainer_steps(r.trainer), steps + 1);
    }
    assert_true(steps > 20 && steps < 55);
    assert_memory_not_equal(before, w.values, (size_t)w.count * sizeof *before);
    assert_int_equal(willis_trainer_loss_scale(r.trainer).good, 1);
    /* Adam counts the steps that were made: the first moves every weight by the rate. */
    assert_below(fabs(fabs((double)w.values[0] - (double)before[0]) / 1e-3 - 1), 1e-2, "rate");
    willis_release(before);
    /* A gradient that breaks at any scale is an error, and nothing has changed. */
    willis_trainer_set_loss_scale(r.trainer, 1);
    unsigned char *kept = state_of(&r, &bytes), *after;
    double loss;
    check(willis_trainer_gradient(r.trainer, v.x, v.target, &loss, &err), &err);
    willis_trainer_gradient_block(r.trainer)[5] = INFINITY;
    assert_int_equal(willis_trainer_update(r.trainer, &err), WILLIS_NUMERIC);
    after = state_of(&r, &bytes);
    assert_memory_equal(kept, after, bytes);
    willis_release(kept);
    willis_release(after);
    run_release(&r);
  }
  volume_release(&v);
}

static void scale_grows_after_good_steps(void **state) {
  (void)state;
  struct volume v = volume_of(8, 8, 8);
  struct run r = run_of(&v, WILLIS_TRAINING_STORE, WILLIS_PRECISION_F16);
  for (int i = 0; i < 200; i++) {
    assert_true(willis_trainer_loss_scale(r.trainer).scale == 512);
    assert_int_equal(willis_trainer_loss_scale(r.trainer).good, i);
    step(&r, &v);
  }
  assert_true(willis_trainer_loss_scale(r.trainer).scale == 1024);
  assert_int_equal(willis_trainer_loss_scale(r.trainer).good, 0);
  run_release(&r);
  volume_release(&v);
}

/* Threads do not matter, nor does a stop in the middle, skipped steps included. */
static void same_bits_after_a_stop(void **state) {
  (void)state;
  struct willis_error err;
  struct volume v = volume_of(24, 16, 16);
  for (int plan = 0; plan < WILLIS_TRAINING_PLANS; plan++) {
    size_t bytes;
    unsigned char *whole = NULL;
    for (int threads = 1; threads <= 8; threads = threads < 4 ? threads + 1 : 2 * threads) {
      willis_parallel_set_threads(threads);
      struct run r = run_of(&v, (enum willis_training_plan)plan, WILLIS_PRECISION_F16);
      willis_trainer_set_loss_scale(r.trainer, 0x1p40);
      for (int i = 0; i < 24; i++) {
        step(&r, &v);
        if (i != 3 + 4 * threads || threads == 1) continue;
        unsigned char *block = state_of(&r, &bytes);
        run_release(&r);
        r = run_of(&v, (enum willis_training_plan)plan, WILLIS_PRECISION_F16);
        check(willis_trainer_state_import(r.trainer, block, bytes, &err), &err);
        willis_release(block);
      }
      assert_true(willis_trainer_loss_scale(r.trainer).skipped > 3);
      assert_true(willis_trainer_loss_scale(r.trainer).good > 0);
      unsigned char *last = state_of(&r, &bytes);
      if (whole) assert_memory_equal(last, whole, bytes);
      run_release(&r);
      if (whole)
        willis_release(last);
      else
        whole = last;
    }
    willis_release(whole);
  }
  willis_parallel_set_threads(0);
  volume_release(&v);
}

static void states_do_not_mix(void **state) {
  (void)state;
  struct willis_error err;
  struct volume v = volume_of(8, 8, 8);
  struct run exact = run_of(&v, WILLIS_TRAINING_STORE, WILLIS_PRECISION_F32);
  struct run half = run_of(&v, WILLIS_TRAINING_STORE, WILLIS_PRECISION_F16);
  size_t bytes;
  unsigned char *block = state_of(&exact, &bytes);
  assert_int_equal(willis_trainer_state_import(half.trainer, block, bytes, &err), WILLIS_MISMATCH);
  willis_release(block);
  assert_true(willis_trainer_loss_scale(exact.trainer).scale == 1);
  run_release(&exact);
  run_release(&half);
  volume_release(&v);
}

static void memory_is_half(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_network *n;
  struct willis_trainer_options o = willis_trainer_defaults();
  size_t bytes[WILLIS_PRECISIONS][WILLIS_TRAINING_PLANS];
  check(willis_network_create("dae", 0, &n, &err), &err);
  willis_parallel_set_threads(2);
  for (int a = 0; a < 3; a++) o.size[a] = 384;
  for (int precision = 0; precision < WILLIS_PRECISIONS; precision++)
    for (int plan = 0; plan < WILLIS_TRAINING_PLANS; plan++) {
      o.precision = (enum willis_precision)precision;
      o.plan = (enum willis_training_plan)plan;
      check(willis_training_bytes(n, &o, &bytes[precision][plan], &err), &err);
      print_message("384³, %d bits, %s: %.0f MiB\n", precision ? 16 : 32,
                    plan ? "recomputed" : "stored", (double)bytes[precision][plan] / (1 << 20));
    }
#ifdef WILLIS_HAVE_AVX2
  if (willis_cpu_features() & WILLIS_CPU_AVX2)
    for (int plan = 0; plan < WILLIS_TRAINING_PLANS; plan++)
      assert_true((double)bytes[1][plan] < (plan ? 0.75 : 0.5) * (double)bytes[0][plan]);
#endif
  willis_parallel_set_threads(0);
  willis_network_destroy(n);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(gradients_are_close),
      cmocka_unit_test(losses_stay_together),
      cmocka_unit_test(overflow_skips_and_halves),
      cmocka_unit_test(scale_grows_after_good_steps),
      cmocka_unit_test(same_bits_after_a_stop),
      cmocka_unit_test(states_do_not_mix),
      cmocka_unit_test(memory_is_half),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
