/* Training that computes again instead of storing: the same bits as training that stores, by any
 * slabs and any number of threads, in the memory it announced. */
#include "numbers.h"

#include "base/cpu.h"
#include "base/error.h"
#include "base/parallel.h"
#include "nn/dae.h"
#include "nn/network.h"

#include "../failing_allocator.h"

static void check(enum willis_status status, const struct willis_error *err) {
  if (status != WILLIS_OK) fail_msg("%s: %s", willis_status_name(status), err->message);
}

/* A network whose channels are scaled up and down, some of them negative. */
static struct willis_network *lively_network(void) {
  struct willis_error err;
  struct willis_network *n;
  check(willis_network_create("dae", 3, &n, &err), &err);
  for (int i = 0; i < willis_network_tensor_count(n); i++) {
    struct willis_network_tensor t = willis_network_tensor(n, i);
    if (t.rank > 1 || strstr(t.name, "running")) continue;
    for (ptrdiff_t j = 0; j < t.count; j++) t.values[j] = 0.3f + number(8 + (uint32_t)i, j);
  }
  return n;
}

/* A volume, whole or read by planes, and its target both ways. */
struct volume {
  ptrdiff_t size[3], count, refuse; /* from this plane on; −1: never */
  float *x, *target;
  uint8_t *bits;
};

static struct volume volume_of(const ptrdiff_t size[3]) {
  struct volume v = {{size[0], size[1], size[2]}, size[0] * size[1] * size[2], -1, 0, 0, 0};
  v.x = numbers(1, v.count);
  v.target = numbers(2, v.count);
  v.bits = willis_take_zeroed((v.count + 7) / 8, 1);
  for (ptrdiff_t i = 0; i < v.count; i++) {
    v.x[i] = fmaxf(v.x[i], 0);
    v.target[i] = v.target[i] > 0.8f;
    if (v.target[i] > 0) v.bits[i / 8] |= (uint8_t)(1 << i % 8);
  }
  return v;
}

static void volume_release(struct volume *v) {
  willis_release(v->x);
  willis_release(v->target);
  willis_release(v->bits);
}

static enum willis_status read_planes(ptrdiff_t begin, ptrdiff_t end, float *planes, void *context,
                                      struct willis_error *err) {
  const struct volume *v = context;
  const ptrdiff_t plane = v->size[0] * v->size[1];
  assert_true(begin >= 0 && end > begin && end <= v->size[2]);
  if (v->refuse >= 0 && end > v->refuse) return willis_fail(err, WILLIS_IO, "no more planes");
  memcpy(planes, v->x + begin * plane, (size_t)((end - begin) * plane) * sizeof *planes);
  return WILLIS_OK;
}

/* What a step computes. */
struct outcome {
  double loss;
  ptrdiff_t count;
  float *gradient;
  double statistics[2 * (32 + 64 + 128 + 64 + 32)];
};

/* One gradient by slabs of so many tiles; 0: by the method that stores. */
static struct outcome gradient_of(const struct willis_network *n, const struct volume *v,
                                  ptrdiff_t tiles) {
  const struct willis_training_method *method =
      willis_dae.training[tiles ? WILLIS_TRAINING_RECOMPUTE : WILLIS_TRAINING_STORE];
  const struct willis_extent extent = {v->size[2], v->size[1], v->size[0]};
  struct willis_block_parameters p[8], g[8];
  struct outcome o = {.count = n->parameter_count, .gradient = room_for(n->parameter_count)};
  willis_network_blocks(n, n->parameters, n->statistics, p);
  willis_network_blocks(n, o.gradient, NULL, g);
  void *plan = willis_take_zeroed(1, method->plan_bytes());
  struct willis_arena arena = {0};
  for (int counted = 0; counted < 2; counted++) {
    if (tiles)
      willis_dae_plan_passes(plan, extent, tiles, (struct willis_dae_storage){0}, &arena);
    else
      method->plan(plan, extent, &arena);
    const size_t bytes = arena.peak;
    if (counted) break;
    assert_int_equal(willis_arena_init(&arena, bytes, NULL), WILLIS_OK);
    memset(arena.base, 0xff, bytes);
  }
  struct willis_sample s = {
      .x = v->x, .target.values = v->target, .focal = {0.4, 0.7, 1 / (double)v->count}};
  struct willis_error err;
  check(method->gradient(plan, p, &s, &o.loss, g, &err), &err);
  double *to = o.statistics;
  for (int l = 0; l < willis_dae.layer_count; l++) {
    if (!willis_dae.layer[l].normalised) continue;
    const int c = willis_dae.layer[l].outputs;
    struct willis_batch_statistics b = method->statistics(plan, l);
    memcpy(to, b.mean, (size_t)c * sizeof *to);
    memcpy(to + c, b.variance, (size_t)c * sizeof *to);
    to += 2 * c;
  }
  willis_arena_release(&arena);
  willis_release(plan);
  return o;
}

static void same_outcome(const struct outcome *a, const struct outcome *b) {
  assert_memory_equal(&a->loss, &b->loss, sizeof a->loss);
  assert_memory_equal(a->statistics, b->statistics, sizeof a->statistics);
  assert_memory_equal(a->gradient, b->gradient, (size_t)a->count * sizeof *a->gradient);
}

static void slabs_have_the_bits_of_the_whole(void **state) {
  (void)state;
  struct willis_network *n = lively_network();
  /* 1 tile: four planes at a time; more: several layers of tiles, the last slab shorter. */
  static const ptrdiff_t sizes[][3] = {{8, 8, 8},    {24, 16, 40}, {16, 8, 72},
                                       {40, 24, 56}, {8, 40, 104}, {48, 48, 48}};
  static const ptrdiff_t tiles[] = {1, 7, 20, 512};
  static const int threads[] = {1, 2, 3, 4, 8};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    struct volume v = volume_of(sizes[i]);
    willis_parallel_set_threads(1);
    struct outcome whole = gradient_of(n, &v, 0);
    for (size_t k = 0; k < sizeof tiles / sizeof *tiles; k++)
      for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
        if (i != 1 && t != (i + k) % 5) continue;
        willis_parallel_set_threads(threads[t]);
        struct outcome slabs = gradient_of(n, &v, tiles[k]);
        same_outcome(&slabs, &whole);
        willis_release(slabs.gradient);
      }
    willis_release(whole.gradient);
    volume_release(&v);
  }
  willis_parallel_set_threads(0);
  willis_network_destroy(n);
}

static void plain_slabs_have_them_too(void **state) {
  (void)state;
  struct willis_network *n = lively_network();
  static const ptrdiff_t sizes[][3] = {{8, 8, 8}, {8, 16, 24}, {16, 8, 40}};
  willis_cpu_mask(0);
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    struct volume v = volume_of(sizes[i]);
    willis_parallel_set_threads(2);
    struct outcome whole = gradient_of(n, &v, 0);
    willis_parallel_set_threads(3);
    struct outcome slabs = gradient_of(n, &v, 1 + (ptrdiff_t)i);
    same_outcome(&slabs, &whole);
    willis_release(slabs.gradient);
    willis_release(whole.gradient);
    volume_release(&v);
  }
  willis_cpu_mask(~0u);
  willis_parallel_set_threads(0);
  willis_network_destroy(n);
}

static void agrees_with_plain_layers(void **state) {
  (void)state;
  struct willis_network *n = lively_network();
  struct volume v = volume_of((const ptrdiff_t[]){16, 24, 8});
  struct outcome fast = gradient_of(n, &v, 1);
  willis_cpu_mask(0);
  struct outcome plain = gradient_of(n, &v, 0);
  willis_cpu_mask(~0u);
  assert_below(fabs(fast.loss / plain.loss - 1), 1e-6, "loss");
  assert_below(apart(fast.gradient, plain.gradient, plain.count), 1e-4, "gradient");
  willis_release(fast.gradient);
  willis_release(plain.gradient);
  volume_release(&v);
  willis_network_destroy(n);
}

/* ---- the trainer ---- */

static struct willis_trainer_options options_of(const struct volume *v,
                                                enum willis_training_plan plan) {
  struct willis_trainer_options o = willis_trainer_defaults();
  memcpy(o.size, v->size, sizeof o.size);
  o.plan = plan;
  return o;
}

enum way { STORE, RECOMPUTE, PLANES };

/* The state after three steps. */
static unsigned char *trained(const struct volume *v, enum way way, size_t *bytes) {
  struct willis_error err;
  struct willis_network *n = lively_network();
  struct willis_trainer *t;
  struct willis_trainer_options o =
      options_of(v, way == STORE ? WILLIS_TRAINING_STORE : WILLIS_TRAINING_RECOMPUTE);
  check(willis_trainer_create(n, &o, &t, &err), &err);
  struct willis_plane_source source = {read_planes, (void *)(uintptr_t)v};
  for (int step = 0; step < 3; step++) {
    double loss;
    if (way == PLANES)
      check(willis_trainer_step_planes(t, &source, v->bits, &loss, &err), &err);
    else
      check(willis_trainer_step(t, v->x, v->target, &loss, &err), &err);
  }
  *bytes = willis_trainer_state_bytes(t);
  unsigned char *state = willis_take((ptrdiff_t)*bytes, 1);
  willis_trainer_state_export(t, state);
  willis_trainer_destroy(t);
  willis_network_destroy(n);
  return state;
}

static void all_ways_train_alike(void **state) {
  (void)state;
  struct volume v = volume_of((const ptrdiff_t[]){24, 16, 32});
  size_t bytes;
  unsigned char *stored = trained(&v, STORE, &bytes);
  for (enum way way = RECOMPUTE; way <= PLANES; way++) {
    unsigned char *other = trained(&v, way, &bytes);
    assert_memory_equal(other, stored, bytes);
    willis_release(other);
  }
  willis_release(stored);
  volume_release(&v);
}

static void errors_of_the_source_change_nothing(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_network *n = lively_network();
  struct volume v = volume_of((const ptrdiff_t[]){8, 8, 72});
  struct willis_trainer *t;
  struct willis_trainer_options o = options_of(&v, WILLIS_TRAINING_RECOMPUTE);
  check(willis_trainer_create(n, &o, &t, &err), &err);
  struct willis_plane_source source = {read_planes, &v};
  const size_t bytes = willis_trainer_state_bytes(t);
  unsigned char *before = willis_take((ptrdiff_t)bytes, 1);
  unsigned char *after = willis_take((ptrdiff_t)bytes, 1);
  double loss;
  willis_trainer_state_export(t, before);
  static const ptrdiff_t refuse[] = {0, 40, 72};
  for (int i = 0; i < 3; i++) {
    v.refuse = refuse[i] - 1;
    assert_int_equal(willis_trainer_step_planes(t, &source, v.bits, &loss, &err),
                     v.refuse < 0 ? WILLIS_OK : WILLIS_IO);
    if (v.refuse < 0) check(willis_trainer_state_import(t, before, bytes, &err), &err);
    willis_trainer_state_export(t, after);
    assert_memory_equal(after, before, bytes);
    assert_int_equal(willis_trainer_update(t, &err), WILLIS_INVALID_ARGUMENT);
  }
  v.refuse = -1;
  v.x[1000] = NAN;
  assert_int_equal(willis_trainer_step_planes(t, &source, v.bits, &loss, &err), WILLIS_NUMERIC);
  assert_non_null(strstr(err.message, "enc1"));
  willis_trainer_state_export(t, after);
  assert_memory_equal(after, before, bytes);
  willis_trainer_destroy(t);
  o.plan = WILLIS_TRAINING_STORE;
  check(willis_trainer_create(n, &o, &t, &err), &err);
  assert_int_equal(willis_trainer_step_planes(t, &source, v.bits, &loss, &err),
                   WILLIS_INVALID_ARGUMENT);
  willis_trainer_destroy(t);
  willis_release(before);
  willis_release(after);
  willis_network_destroy(n);
  volume_release(&v);
}

/* At the paper's size, counted and not allocated: the exact f32 step in less than a GiB. */
static void the_papers_size_fits(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_network *n = lively_network();
  struct willis_trainer_options o = willis_trainer_defaults();
  for (int a = 0; a < 3; a++) o.size[a] = 384;
  willis_parallel_set_threads(2);
  size_t bytes[WILLIS_TRAINING_PLANS];
  for (int plan = 0; plan < WILLIS_TRAINING_PLANS; plan++) {
    o.plan = (enum willis_training_plan)plan;
    check(willis_training_bytes(n, &o, &bytes[plan], &err), &err);
  }
  print_message("384³: %.0f MiB stored, %.0f MiB recomputed\n",
                (double)bytes[WILLIS_TRAINING_STORE] / (1 << 20),
                (double)bytes[WILLIS_TRAINING_RECOMPUTE] / (1 << 20));
#ifdef WILLIS_HAVE_AVX2
  if (willis_cpu_features() & WILLIS_CPU_AVX2)
    assert_true(bytes[WILLIS_TRAINING_RECOMPUTE] < (size_t)600 << 20);
#endif
  willis_parallel_set_threads(0);
  willis_network_destroy(n);
}

static enum willis_status whole_life(const struct volume *v, struct willis_error *err) {
  struct willis_network *n = NULL;
  struct willis_trainer *t = NULL;
  struct willis_trainer_options o = options_of(v, WILLIS_TRAINING_RECOMPUTE);
  double loss;
  enum willis_status status = willis_network_create("dae", 1, &n, err);
  if (!status) status = willis_trainer_create(n, &o, &t, err);
  if (!status) status = willis_trainer_step(t, v->x, v->target, &loss, err);
  willis_trainer_destroy(t);
  willis_network_destroy(n);
  return status;
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  struct willis_error err;
  struct volume v = volume_of((const ptrdiff_t[]){8, 8, 8});
  enum willis_status status = WILLIS_OUT_OF_MEMORY;
  for (int n = 0; status == WILLIS_OUT_OF_MEMORY; n++) {
    struct failing_allocator failing = {n, 0};
    failing_allocator_use(&failing);
    status = whole_life(&v, &err);
    failing_allocator_use(NULL);
    assert_int_equal(failing.held, 0);
    if (!status) assert_true(n > 5);
  }
  assert_int_equal(status, WILLIS_OK);
  volume_release(&v);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(slabs_have_the_bits_of_the_whole),
      cmocka_unit_test(plain_slabs_have_them_too),
      cmocka_unit_test(agrees_with_plain_layers),
      cmocka_unit_test(all_ways_train_alike),
      cmocka_unit_test(errors_of_the_source_change_nothing),
      cmocka_unit_test(the_papers_size_fits),
      cmocka_unit_test(every_allocation_may_fail),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
