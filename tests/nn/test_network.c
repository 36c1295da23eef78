/* The whole network against PyTorch (tests/oracle/nn_dae.py), and what its handle promises. */
#include "numbers.h"

#include "base/cpu.h"
#include "base/parallel.h"

#include <willis/network.h>

#include <stdlib.h>

static void check(enum willis_status status, const struct willis_error *err) {
  if (status != WILLIS_OK) fail_msg("%s: %s", willis_status_name(status), err->message);
}

static bool ends(const char *name, const char *ending) {
  size_t n = strlen(name), m = strlen(ending);
  return n >= m && !strcmp(name + n - m, ending);
}

/* The numbers that nn_dae.py fills in. */
static struct willis_network *filled_network(void) {
  struct willis_error err;
  struct willis_network *n;
  check(willis_network_create("dae", 0, &n, &err), &err);
  for (int i = 0; i < willis_network_tensor_count(n); i++) {
    struct willis_network_tensor t = willis_network_tensor(n, i);
    double fan = (double)t.shape[1] * (ends(t.name, "deconv.weight") ? 8 : 27);
    for (ptrdiff_t j = 0; j < t.count; j++) {
      float v = number(100 + (uint32_t)i, j);
      t.values[j] = ends(t.name, "running_var")   ? 1 + 0.5f * v
                    : ends(t.name, "bn.weight")   ? 0.4f + v
                    : ends(t.name, "conv.weight") ? v * (float)(1 / sqrt(fan))
                                                  : 0.1f * v;
    }
  }
  return n;
}

struct sample {
  ptrdiff_t size[3], count;
  float *x, *target, *y;
};

static struct sample sample_of(ptrdiff_t width, ptrdiff_t height, ptrdiff_t depth) {
  struct sample s = {{width, height, depth}, width * height * depth, NULL, NULL, NULL};
  s.x = numbers(1, s.count);
  s.target = numbers(2, s.count);
  s.y = room_for(s.count);
  for (ptrdiff_t i = 0; i < s.count; i++) {
    s.x[i] = 0.5f + 0.5f * s.x[i];
    s.target[i] = s.target[i] > 0.9f;
  }
  return s;
}

static void sample_release(struct sample *s) {
  willis_release(s->x);
  willis_release(s->target);
  willis_release(s->y);
}

static struct willis_trainer *trainer_of(struct willis_network *n, const struct sample *s) {
  struct willis_trainer_options o = willis_trainer_defaults();
  memcpy(o.size, s->size, sizeof o.size);
  struct willis_trainer *t;
  struct willis_error err;
  check(willis_trainer_create(n, &o, &t, &err), &err);
  return t;
}

static void compare_logits(struct willis_network *n, const struct sample *s, const json_t *root) {
  struct willis_error err;
  check(willis_network_infer(n, s->size, s->x, WILLIS_OUTPUT_LOGIT, s->y, &err), &err);
  const json_t *expected = json_object_get(root, "logit");
  ptrdiff_t keep = json_integer_value(json_object_get(root, "keep"));
  for (ptrdiff_t i = 0; i * keep < s->count; i++) s->y[i] = s->y[i * keep];
  assert_matches(s->y, expected, 1e-5, "logit");
}

/* Norms of the differences, estimated from inner products with random signs. */
static void compare_gradients(struct willis_network *n, const float *gradient, const json_t *root) {
  uint32_t learned = 0;
  for (int i = 0; i < willis_network_tensor_count(n); i++) {
    struct willis_network_tensor t = willis_network_tensor(n, i);
    if (!t.learned) continue;
    const float *g = gradient;
    gradient += t.count;
    const json_t *row = json_object_get(json_object_get(root, "gradient"), t.name);
    const json_t *projection = json_object_get(row, "projection");
    size_t count = json_array_size(projection);
    double square = 0, size = json_number_value(json_object_get(row, "norm"));
    for (size_t k = 0; k < count; k++) {
      double sum = 0;
      for (ptrdiff_t j = 0; j < t.count; j++)
        sum += number(1000 + learned, (ptrdiff_t)k * t.count + j) >= 0 ? g[j] : -g[j];
      double d = sum - json_number_value(json_array_get(projection, k));
      square += d * d / (double)count;
    }
    learned++;
    /* A convolution's bias before normalisation has zero gradient, and rounding is all there is. */
    if (ends(t.name, "conv.bias") && strcmp(t.name, "dec3.deconv.bias") != 0) continue;
    assert_below(sqrt(square), 1e-4 * size, t.name);
  }
}

static void compare_running(struct willis_network *n, const json_t *root) {
  const char *name;
  json_t *expected;
  json_object_foreach(json_object_get(root, "running"), name, expected) {
    int i = willis_network_tensor_find(n, name);
    assert_true(i >= 0);
    assert_matches(willis_network_tensor(n, i).values, expected, 1e-5, name);
  }
}

static void network_matches_pytorch(void **state) {
  (void)state;
  json_t *root = oracle("nn_dae.json");
  struct willis_error err;
  for (unsigned mask = 0; mask < 2; mask++) {
    willis_cpu_mask(mask ? ~0u : 0u);
    struct willis_network *n = filled_network();
    struct sample s = sample_of(24, 16, 24);
    compare_logits(n, &s, root);
    struct willis_trainer *t = trainer_of(n, &s);
    const json_t *losses = json_object_get(root, "losses");
    /* The plain loops are slow, and their first steps say enough. */
    const size_t steps = mask ? json_array_size(losses) : 3;
    for (size_t step = 0; step < steps; step++) {
      double loss, expected = json_number_value(json_array_get(losses, step));
      check(willis_trainer_step(t, s.x, s.target, &loss, &err), &err);
      assert_below(fabs(loss - expected), 1e-3 * expected, "loss of a step");
      if (step > 0) continue;
      assert_below(fabs(loss - json_number_value(json_object_get(root, "loss"))), 1e-6, "loss");
      compare_gradients(n, willis_trainer_gradient_block(t), root);
      compare_running(n, root);
    }
    willis_trainer_destroy(t);
    willis_network_destroy(n);
    sample_release(&s);
  }
  willis_cpu_mask(~0u);
  json_decref(root);
}

static void network_has_the_papers_parameters(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_network *n;
  check(willis_network_create("dae", 5, &n, &err), &err);
  assert_int_equal(willis_network_parameter_count(n), 360481);
  assert_string_equal(willis_network_metadata(n, "network"), "dae");
  assert_int_equal(willis_network_tensor_find(n, "enc4.conv.weight"), -1);
  /* PyTorch's start: uniform in ±1/√fan_in, so the variance is 1/(3·fan_in). */
  struct willis_network_tensor w =
      willis_network_tensor(n, willis_network_tensor_find(n, "dec1.deconv.weight"));
  const double bound = 1 / sqrt(64 * 8);
  double square = dot(w.values, w.values, w.count) / (double)w.count;
  for (ptrdiff_t i = 0; i < w.count; i++) assert_true(fabs((double)w.values[i]) <= bound);
  assert_below(fabs(square / (bound * bound / 3) - 1), 0.02, "variance of the start");
  willis_network_set_output_bias(n, -3);
  int last = willis_network_tensor_find(n, "dec3.deconv.bias");
  assert_true(willis_network_tensor(n, last).values[0] == -3);
  struct willis_network *other;
  assert_int_equal(willis_network_create("gan", 0, &other, &err), WILLIS_UNSUPPORTED);
  assert_null(other);
  willis_network_destroy(n);
}

static void metadata_is_kept(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_network *n;
  check(willis_network_create("dae", 5, &n, &err), &err);
  check(willis_network_metadata_set(n, "views", "10", &err), &err);
  assert_string_equal(willis_network_metadata(n, "views"), "10");
  check(willis_network_metadata_set(n, "views", NULL, &err), &err);
  assert_null(willis_network_metadata(n, "views"));
  assert_int_equal(willis_network_metadata_set(n, "network", "gan", &err), WILLIS_INVALID_ARGUMENT);
  assert_int_equal(willis_network_metadata_set(n, "a", "\xff", &err), WILLIS_INVALID_ARGUMENT);
  willis_network_destroy(n);
}

static void other_sizes_are_padded_with_zeros(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_network *n = filled_network();
  struct sample s = sample_of(13, 8, 17), p = sample_of(16, 8, 24);
  memset(p.x, 0, (size_t)p.count * sizeof *p.x);
  for (ptrdiff_t i = 0; i < s.count; i++) p.x[(i / 13 / 8 * 8 + i / 13 % 8) * 16 + i % 13] = s.x[i];
  check(willis_network_infer(n, s.size, s.x, WILLIS_OUTPUT_PROBABILITY, s.y, &err), &err);
  check(willis_network_infer(n, p.size, p.x, WILLIS_OUTPUT_LOGIT, p.y, &err), &err);
  for (ptrdiff_t i = 0; i < s.count; i++) {
    double z = p.y[(i / 13 / 8 * 8 + i / 13 % 8) * 16 + i % 13];
    assert_below(fabs((double)s.y[i] - 1 / (1 + exp(-z))), 1e-7, "probability");
  }
  const ptrdiff_t none[3] = {8, 0, 8}, huge[3] = {PTRDIFF_MAX, 8, 8};
  assert_int_equal(willis_network_infer(n, none, s.x, WILLIS_OUTPUT_LOGIT, s.y, &err),
                   WILLIS_INVALID_ARGUMENT);
  assert_int_equal(willis_network_infer(n, huge, s.x, WILLIS_OUTPUT_LOGIT, s.y, &err),
                   WILLIS_INVALID_ARGUMENT);
  sample_release(&s);
  sample_release(&p);
  willis_network_destroy(n);
}

static void numbers_that_break_stop_before_the_update(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_network *n = filled_network();
  struct sample s = sample_of(16, 8, 8);
  struct willis_trainer *t = trainer_of(n, &s);
  double loss;
  check(willis_trainer_step(t, s.x, s.target, &loss, &err), &err);
  const size_t bytes = willis_trainer_state_bytes(t);
  unsigned char *before = willis_take((ptrdiff_t)bytes, 1),
                *after = willis_take((ptrdiff_t)bytes, 1);
  willis_trainer_state_export(t, before);
  for (unsigned mask = 0; mask < 2; mask++) {
    willis_cpu_mask(mask ? ~0u : 0u);
    const float kept = s.x[77];
    s.x[77] = NAN;
    assert_int_equal(willis_trainer_step(t, s.x, s.target, &loss, &err), WILLIS_NUMERIC);
    assert_non_null(strstr(err.message, "step 2"));
    assert_non_null(strstr(err.message, "enc1"));
    assert_int_equal(willis_trainer_update(t, &err), WILLIS_INVALID_ARGUMENT);
    assert_int_equal(willis_network_infer(n, s.size, s.x, WILLIS_OUTPUT_LOGIT, s.y, &err),
                     WILLIS_NUMERIC);
    s.x[77] = kept;
  }
  willis_cpu_mask(~0u);
  check(willis_trainer_gradient(t, s.x, s.target, &loss, &err), &err);
  willis_trainer_gradient_block(t)[1000] = INFINITY;
  assert_int_equal(willis_trainer_update(t, &err), WILLIS_NUMERIC);
  assert_non_null(strstr(err.message, "enc2.conv.weight"));
  willis_trainer_state_export(t, after);
  assert_memory_equal(before, after, bytes);
  willis_release(before);
  willis_release(after);
  willis_trainer_destroy(t);
  willis_network_destroy(n);
  sample_release(&s);
}

/* State after `steps` steps, all threads alike, from a network with a fixed seed. */
static unsigned char *trained_state(const struct sample *s, int steps, int stop, size_t *bytes) {
  struct willis_error err;
  struct willis_network *n;
  check(willis_network_create("dae", 11, &n, &err), &err);
  struct willis_trainer *t = trainer_of(n, s);
  *bytes = willis_trainer_state_bytes(t);
  unsigned char *state = willis_take((ptrdiff_t)*bytes, 1);
  double loss;
  for (int step = 0; step < steps; step++) {
    if (step == stop) {
      /* As if from a checkpoint, into a network that started elsewhere. */
      willis_trainer_state_export(t, state);
      willis_trainer_destroy(t);
      willis_network_destroy(n);
      check(willis_network_create("dae", 12, &n, &err), &err);
      t = trainer_of(n, s);
      assert_int_equal(willis_trainer_state_import(t, state, *bytes - 4, &err), WILLIS_MISMATCH);
      check(willis_trainer_state_import(t, state, *bytes, &err), &err);
    }
    check(willis_trainer_step(t, s->x, s->target, &loss, &err), &err);
  }
  assert_int_equal(willis_trainer_steps(t), steps);
  willis_trainer_state_export(t, state);
  willis_trainer_destroy(t);
  willis_network_destroy(n);
  return state;
}

static void training_has_the_same_bits(void **state) {
  (void)state;
  static const int threads[] = {1, 2, 3, 4, 8};
  for (unsigned mask = 0; mask < 2; mask++) {
    willis_cpu_mask(mask ? ~0u : 0u);
    struct sample s = mask ? sample_of(24, 16, 8) : sample_of(8, 16, 8);
    size_t bytes;
    willis_parallel_set_threads(1);
    unsigned char *first = trained_state(&s, 4, -1, &bytes);
    for (size_t k = 0; k < sizeof threads / sizeof *threads; k++) {
      willis_parallel_set_threads(threads[k]);
      unsigned char *again = trained_state(&s, 4, 2, &bytes);
      assert_memory_equal(again, first, bytes);
      willis_release(again);
    }
    willis_release(first);
    sample_release(&s);
  }
  willis_parallel_set_threads(0);
  willis_cpu_mask(~0u);
}

/* Threads asked for after a trainer was made have no scratch memory in it: they are not used. */
static void more_threads_later_do_no_harm(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_network *n = filled_network();
  struct sample s = sample_of(16, 16, 16);
  willis_parallel_set_threads(1);
  struct willis_trainer *t = trainer_of(n, &s);
  willis_parallel_set_threads(8);
  double loss;
  check(willis_trainer_step(t, s.x, s.target, &loss, &err), &err);
  assert_int_equal(willis_parallel_threads(), 8);
  willis_parallel_set_threads(0);
  willis_trainer_destroy(t);
  willis_network_destroy(n);
  sample_release(&s);
}

/* An allocator that counts, and fails at the n-th request. */
struct watch {
  size_t bytes;
  int requests, fail_at, live;
};

static void *watched_allocate(size_t bytes, size_t alignment, void *context) {
  struct watch *w = context;
  if (++w->requests == w->fail_at) return NULL;
  void *block = NULL;
  if (posix_memalign(&block, alignment, bytes)) return NULL;
  w->bytes += bytes;
  w->live++;
  return block;
}

static void watched_release(void *block, void *context) {
  ((struct watch *)context)->live--;
  free(block);
}

static void bytes_are_exact_and_steps_take_none(void **state) {
  (void)state;
  struct willis_error err;
  struct watch w = {0};
  struct willis_allocator allocator = {watched_allocate, watched_release, &w};
  struct willis_network *n = filled_network();
  struct sample s = sample_of(24, 16, 8), odd = sample_of(9, 8, 8);
  struct willis_trainer_options o = willis_trainer_defaults();
  memcpy(o.size, s.size, sizeof o.size);
  for (unsigned mask = 0; mask < 2; mask++) {
    willis_cpu_mask(mask ? ~0u : 0u);
    size_t training, inference;
    double loss;
    check(willis_training_bytes(n, &o, &training, &err), &err);
    willis_allocator_set(&allocator);
    w = (struct watch){0};
    struct willis_trainer *t = trainer_of(n, &s);
    assert_int_equal(w.bytes, training);
    check(willis_trainer_step(t, s.x, s.target, &loss, &err), &err);
    assert_int_equal(w.bytes, training);
    willis_trainer_destroy(t);
    const struct sample *both[] = {&s, &odd};
    for (int i = 0; i < 2; i++) {
      check(willis_inference_bytes(n, both[i]->size, &inference, &err), &err);
      w = (struct watch){0};
      check(
          willis_network_infer(n, both[i]->size, both[i]->x, WILLIS_OUTPUT_LOGIT, both[i]->y, &err),
          &err);
      assert_int_equal(w.bytes, inference);
      assert_int_equal(w.live, 0);
    }
    willis_allocator_set(NULL);
  }
  willis_cpu_mask(~0u);
  sample_release(&s);
  sample_release(&odd);
  willis_network_destroy(n);
}

static enum willis_status whole_life(const struct sample *s, struct willis_error *err) {
  struct willis_network *n = NULL;
  struct willis_trainer *t = NULL;
  struct willis_trainer_options o = willis_trainer_defaults();
  memcpy(o.size, s->size, sizeof o.size);
  double loss;
  enum willis_status status = willis_network_create("dae", 1, &n, err);
  if (status == WILLIS_OK) status = willis_trainer_create(n, &o, &t, err);
  if (status == WILLIS_OK) status = willis_trainer_step(t, s->x, s->target, &loss, err);
  if (status == WILLIS_OK)
    status = willis_network_infer(n, s->size, s->x, WILLIS_OUTPUT_LOGIT, s->y, err);
  willis_trainer_destroy(t);
  willis_network_destroy(n);
  return status;
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  struct willis_error err;
  struct sample s = sample_of(8, 8, 8);
  struct watch w = {0};
  struct willis_allocator allocator = {watched_allocate, watched_release, &w};
  willis_allocator_set(&allocator);
  check(whole_life(&s, &err), &err);
  const int requests = w.requests;
  assert_true(requests > 5);
  for (int i = 1; i <= requests; i++) {
    w = (struct watch){.fail_at = i};
    assert_int_equal(whole_life(&s, &err), WILLIS_OUT_OF_MEMORY);
    assert_int_equal(w.live, 0);
  }
  willis_allocator_set(NULL);
  sample_release(&s);
}

static void options_are_checked(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_network *n = filled_network();
  const struct willis_trainer_options good = {
      {8, 8, 8}, 0.5, 0.2, 1e-3, 0.9, 0.999, 1e-8, WILLIS_TRAINING_STORE, WILLIS_PRECISION_F32};
  struct willis_trainer_options bad[] = {good, good, good, good, good, good, good};
  bad[0].size[1] = 12;
  bad[1].size[2] = 0;
  bad[2].alpha = 1.5;
  bad[3].gamma = -1;
  bad[4].learning_rate = NAN;
  bad[5].beta2 = 1;
  bad[6].plan = WILLIS_TRAINING_PLANS;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct willis_trainer *t;
    size_t bytes;
    assert_int_equal(willis_trainer_create(n, &bad[i], &t, &err), WILLIS_INVALID_ARGUMENT);
    assert_null(t);
    assert_int_equal(willis_training_bytes(n, &bad[i], &bytes, &err), WILLIS_INVALID_ARGUMENT);
  }
  willis_network_destroy(n);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(network_matches_pytorch),
      cmocka_unit_test(network_has_the_papers_parameters),
      cmocka_unit_test(metadata_is_kept),
      cmocka_unit_test(other_sizes_are_padded_with_zeros),
      cmocka_unit_test(numbers_that_break_stop_before_the_update),
      cmocka_unit_test(training_has_the_same_bits),
      cmocka_unit_test(more_threads_later_do_no_harm),
      cmocka_unit_test(bytes_are_exact_and_steps_take_none),
      cmocka_unit_test(every_allocation_may_fail),
      cmocka_unit_test(options_are_checked),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
