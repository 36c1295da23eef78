/* The network "hull" against PyTorch (tests/oracle/nn_hull.py), and what must hold whatever its
 * numbers are: the order of views, the number of threads and the instruction set do not matter. */
#include "nn/hull_net.h"
#include "nn/network.h"
#include "nn/overlap_loss.h"
#include "numbers.h"

#include "base/cpu.h"
#include "base/parallel.h"
#include "failing_allocator.h"

enum { X = 7, Y = 6, Z = 5, VIEWS = 3, PITCH = 5, DOWN = 4, RAYS = PITCH * DOWN, MISSED = 3 };
static const ptrdiff_t size[3] = {X, Y, Z};

/* What the oracle makes too. */
struct small_case {
  struct willis_lattice lattice;
  struct willis_hull_input input;
  float *voxel, *seen, *about, *share, *target;
  struct willis_ray_place *place;
};

static const int32_t pitch[VIEWS] = {PITCH, PITCH, PITCH};

static int32_t least(int32_t a, int32_t b) {
  return a < b ? a : b;
}

static struct willis_ray_place place_number(int i) {
  const float draw = number(5, i), across = number(8, i), down = number(9, i);
  if (draw < -0.8f) return (struct willis_ray_place){.ray = -1};
  const int32_t column = least((int32_t)((draw + 1) / 2 * (PITCH - 1)), PITCH - 2);
  const int32_t line = least((int32_t)((number(7, i) + 1) / 2 * (DOWN - 1)), DOWN - 2);
  return (struct willis_ray_place){line * PITCH + column, across > 0 ? across : 0,
                                   down > 0 ? down : 0};
}

static void small_case_init(struct small_case *c) {
  int32_t present[X * Y * Z], count = 0;
  for (int i = 0; i < X * Y * Z; i++)
    if (number(1, i) > 0.2f) present[count++] = i;
  assert_int_equal(willis_lattice_init(&c->lattice, size, count, present, NULL), WILLIS_OK);
  c->voxel = numbers(2, count * WILLIS_HULL_VOXEL);
  c->seen = numbers(3, VIEWS * count * WILLIS_RAY_SEEN);
  c->about = numbers(4, VIEWS * WILLIS_RAY_ABOUT);
  c->target = numbers(6, count);
  c->share = room_for(count);
  c->place = willis_take(VIEWS * count, sizeof *c->place);
  assert_non_null(c->place);
  for (int i = 0; i < VIEWS * count; i++) c->place[i] = place_number(i);
  for (int i = 0; i < count; i++) {
    int views = 0;
    for (int v = 0; v < VIEWS; v++) views += c->place[v * count + i].ray >= 0;
    c->share[i] = views ? 1 / (float)views : 0;
    c->target[i] = c->target[i] > 0.3f ? 1 : 0;
  }
  c->input = (struct willis_hull_input){
      &c->lattice, {count, RAYS, VIEWS, c->place, pitch, c->seen, c->about, c->share}, c->voxel};
}

static void small_case_release(struct small_case *c) {
  void *all[] = {c->voxel, c->seen, c->about, c->share, c->target, c->place};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) willis_release(all[i]);
  willis_lattice_release(&c->lattice);
}

static struct willis_network *small_network(void) {
  struct willis_network *network;
  assert_int_equal(willis_network_create("hull", 1, &network, NULL), WILLIS_OK);
  for (int t = 0; t < willis_network_tensor_count(network); t++) {
    struct willis_network_tensor tensor = willis_network_tensor(network, t);
    const float start = strstr(tensor.name, ".rms.") ? 1 : 0;
    for (ptrdiff_t i = 0; i < tensor.count; i++)
      tensor.values[i] = (float)((double)number((uint32_t)(100 + t), i) * 0.3 + (double)start);
  }
  return network;
}

/* One forward and backward pass: logits, gradient of the logits, gradient of everything learned. */
struct pass {
  float *logit, *d_logit, *gradient;
  double loss;
};

static void pass_run(struct pass *pass, const struct willis_network *network,
                     const struct small_case *c) {
  const int layers = network->architecture->layer_count;
  struct willis_block_parameters *p = willis_take(layers, sizeof *p);
  struct willis_block_parameters *d = willis_take(layers, sizeof *d);
  const ptrdiff_t rows = c->input.views.rows;
  struct willis_hull_plan plan;
  struct willis_arena counting = {0}, arena;
  pass->gradient = room_for(network->parameter_count);
  willis_network_blocks(network, network->parameters, network->statistics, p);
  willis_network_blocks(network, pass->gradient, NULL, d);
  willis_hull_plan(&plan, &c->input, true, &counting);
  assert_int_equal(willis_arena_init(&arena, counting.peak, NULL), WILLIS_OK);
  willis_hull_plan(&plan, &c->input, true, &arena);
  willis_hull_forward(&plan, p, &c->input);
  pass->logit = room_for(rows);
  pass->d_logit = room_for(rows);
  memcpy(pass->logit, plan.logit, (size_t)rows * sizeof(float));
  pass->loss = willis_overlap_loss_gradient(rows, plan.logit, c->target, MISSED, plan.logit);
  memcpy(pass->d_logit, plan.logit, (size_t)rows * sizeof(float));
  willis_hull_backward(&plan, p, &c->input, d);
  willis_arena_release(&arena);
  willis_release(p);
  willis_release(d);
}

static void pass_release(struct pass *pass) {
  willis_release(pass->logit);
  willis_release(pass->d_logit);
  willis_release(pass->gradient);
}

static double at(const json_t *root, const char *name, size_t i) {
  return json_number_value(json_array_get(json_object_get(root, name), i));
}

static void assert_gradients(const struct willis_network *network, const float *gradient,
                             const json_t *root) {
  assert_int_equal(json_array_size(json_object_get(root, "count")), network->tensor_count);
  for (int t = 0; t < network->tensor_count; t++) {
    const struct willis_tensor_row *row = &network->tensor[t];
    const float *g = gradient + row->offset;
    assert_int_equal(row->count, (ptrdiff_t)at(root, "count", (size_t)t));
    float *with = numbers((uint32_t)(500 + t), row->count);
    const double length = at(root, "gradient_norm", (size_t)t);
    assert_below(fabs(norm(g, row->count) - length), 2e-5 * length, row->name);
    assert_below(fabs(dot(g, with, row->count) - at(root, "gradient_dot", (size_t)t)),
                 2e-5 * length * norm(with, row->count), row->name);
    willis_release(with);
  }
}

static void matches_pytorch(const json_t *root) {
  struct small_case c;
  struct pass pass;
  struct willis_network *network = small_network();
  small_case_init(&c);
  assert_int_equal(c.input.views.rows, json_integer_value(json_object_get(root, "rows")));
  pass_run(&pass, network, &c);
  assert_matches(pass.logit, json_object_get(root, "logit"), 2e-5, "logit");
  assert_matches(pass.d_logit, json_object_get(root, "d_logit"), 1e-6, "d_logit");
  const double loss = json_number_value(json_object_get(root, "loss"));
  assert_below(fabs(pass.loss - loss), 1e-5, "loss");
  assert_gradients(network, pass.gradient, root);
  pass_release(&pass);
  small_case_release(&c);
  willis_network_destroy(network);
}

static void network_matches_pytorch(void **state) {
  json_t *root = oracle("nn_hull.json");
  (void)state;
  matches_pytorch(root);
  willis_cpu_mask(0);
  matches_pytorch(root);
  willis_cpu_mask(~0u);
  json_decref(root);
}

static void same_bits_for_any_threads(void **state) {
  (void)state;
  struct small_case c;
  struct pass first, other;
  struct willis_network *network = small_network();
  small_case_init(&c);
  willis_parallel_set_threads(1);
  pass_run(&first, network, &c);
  for (int threads = 2; threads <= 8; threads++) {
    willis_parallel_set_threads(threads);
    pass_run(&other, network, &c);
    assert_memory_equal(other.logit, first.logit, (size_t)c.input.views.rows * sizeof(float));
    assert_memory_equal(other.gradient, first.gradient,
                        (size_t)network->parameter_count * sizeof(float));
    pass_release(&other);
  }
  willis_parallel_set_threads(0);
  pass_release(&first);
  small_case_release(&c);
  willis_network_destroy(network);
}

/* The probability of every row; freed by willis_release(). */
static float *infer(const struct willis_network *network, const struct willis_hull_input *input) {
  float *probability = room_for(input->views.rows);
  assert_int_equal(willis_hull_infer(network, 0, input, probability, NULL), WILLIS_OK);
  for (ptrdiff_t i = 0; i < input->views.rows; i++)
    probability[i] = 1 / (1 + expf(-probability[i]));
  return probability;
}

static void inference_is_the_trained_pass(void **state) {
  (void)state;
  struct small_case c;
  struct pass pass;
  struct willis_network *network = small_network();
  small_case_init(&c);
  pass_run(&pass, network, &c);
  float *probability = infer(network, &c.input);
  for (ptrdiff_t i = 0; i < c.input.views.rows; i++)
    assert_true(probability[i] == 1 / (1 + expf(-pass.logit[i])));
  willis_release(probability);
  pass_release(&pass);
  small_case_release(&c);
  willis_network_destroy(network);
}

static void views_have_no_order(void **state) {
  (void)state;
  static const int order[VIEWS] = {2, 0, 1};
  struct small_case c;
  struct willis_network *network = small_network();
  small_case_init(&c);
  const ptrdiff_t rows = c.input.views.rows;
  float *before = infer(network, &c.input);
  float *seen = room_for(VIEWS * rows * WILLIS_RAY_SEEN), about[VIEWS * WILLIS_RAY_ABOUT];
  struct willis_ray_place *place = willis_take(VIEWS * rows, sizeof *place);
  for (int v = 0; v < VIEWS; v++) {
    memcpy(seen + v * rows * WILLIS_RAY_SEEN, c.seen + order[v] * rows * WILLIS_RAY_SEEN,
           (size_t)(rows * WILLIS_RAY_SEEN) * sizeof *seen);
    memcpy(about + v * WILLIS_RAY_ABOUT, c.about + order[v] * WILLIS_RAY_ABOUT,
           WILLIS_RAY_ABOUT * sizeof *about);
    memcpy(place + v * rows, c.place + order[v] * rows, (size_t)rows * sizeof *place);
  }
  c.input.views.seen = seen;
  c.input.views.about = about;
  c.input.views.place = place;
  float *after = infer(network, &c.input);
  assert_below(apart(after, before, rows), 1e-6, "other order of views");
  willis_release(before);
  willis_release(after);
  willis_release(seen);
  willis_release(place);
  small_case_release(&c);
  willis_network_destroy(network);
}

static struct willis_trainer *small_trainer(struct willis_network *network) {
  struct willis_trainer *trainer;
  struct willis_trainer_options options = willis_trainer_defaults();
  assert_int_equal(willis_trainer_create(network, &options, &trainer, NULL), WILLIS_OK);
  return trainer;
}

static void steps_lower_the_loss_and_go_on_from_a_state(void **state) {
  (void)state;
  enum { STEPS = 12 };
  struct small_case c;
  double loss[STEPS], again[STEPS];
  struct willis_network *network = small_network();
  struct willis_trainer *trainer = small_trainer(network);
  small_case_init(&c);
  struct willis_hull_lesson lesson = {c.input, c.target, MISSED};
  unsigned char *block = willis_take((ptrdiff_t)willis_trainer_state_bytes(trainer), 1);
  assert_non_null(block);
  for (int s = 0; s < STEPS; s++) {
    if (s == STEPS / 2) willis_trainer_state_export(trainer, block);
    assert_int_equal(willis_trainer_hull_step(trainer, &lesson, &loss[s], NULL), WILLIS_OK);
  }
  assert_true(loss[STEPS - 1] < 0.8 * loss[0]);
  assert_int_equal(
      willis_trainer_state_import(trainer, block, willis_trainer_state_bytes(trainer), NULL),
      WILLIS_OK);
  for (int s = STEPS / 2; s < STEPS; s++) {
    assert_int_equal(willis_trainer_hull_step(trainer, &lesson, &again[s], NULL), WILLIS_OK);
    assert_true(again[s] == loss[s]);
  }
  willis_release(block);
  willis_trainer_destroy(trainer);
  small_case_release(&c);
  willis_network_destroy(network);
}

static void broken_numbers_stop_a_step(void **state) {
  (void)state;
  struct small_case c;
  double loss;
  struct willis_error err = {0};
  struct willis_network *network = small_network();
  struct willis_trainer *trainer = small_trainer(network);
  small_case_init(&c);
  struct willis_hull_lesson lesson = {c.input, c.target, MISSED};
  const float before = network->parameters[0];
  c.voxel[5] = NAN;
  assert_int_equal(willis_trainer_hull_step(trainer, &lesson, &loss, &err), WILLIS_NUMERIC);
  assert_true(network->parameters[0] == before);
  assert_int_equal(willis_trainer_steps(trainer), 0);
  float *logit = room_for(c.input.views.rows);
  assert_int_equal(willis_hull_infer(network, 0, &c.input, logit, &err), WILLIS_NUMERIC);
  willis_release(logit);
  willis_trainer_destroy(trainer);
  small_case_release(&c);
  willis_network_destroy(network);
}

static void networks_keep_to_their_inputs(void **state) {
  (void)state;
  struct small_case c;
  struct willis_error err = {0};
  struct willis_network *hull = small_network(), *dae;
  const ptrdiff_t cube[3] = {8, 8, 8};
  float *volume = numbers(1, 512), one;
  double loss;
  assert_int_equal(willis_network_create("dae", 1, &dae, NULL), WILLIS_OK);
  small_case_init(&c);
  assert_int_equal(
      willis_network_infer(hull, cube, volume, WILLIS_OUTPUT_PROBABILITY, volume, &err),
      WILLIS_UNSUPPORTED);
  assert_int_equal(willis_hull_infer(dae, 0, &c.input, &one, &err), WILLIS_UNSUPPORTED);
  struct willis_trainer *trainer = small_trainer(hull);
  assert_int_equal(willis_trainer_step(trainer, volume, volume, &loss, &err), WILLIS_UNSUPPORTED);
  willis_trainer_destroy(trainer);
  small_case_release(&c);
  willis_release(volume);
  willis_network_destroy(hull);
  willis_network_destroy(dae);
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  struct small_case c;
  struct willis_network *network = small_network();
  small_case_init(&c);
  struct willis_hull_lesson lesson = {c.input, c.target, MISSED};
  float *logit = room_for(c.input.views.rows);
  enum willis_status inferred = WILLIS_OUT_OF_MEMORY, taught = WILLIS_OUT_OF_MEMORY;
  for (int n = 0; inferred || taught; n++) {
    struct failing_allocator failing = {n, 0};
    struct willis_trainer *trainer = NULL;
    double loss;
    struct willis_trainer_options options = willis_trainer_defaults();
    assert_true(n < 50);
    failing_allocator_use(&failing);
    inferred = willis_hull_infer(network, 0, &c.input, logit, NULL);
    failing.until_failure = n;
    taught = willis_trainer_create(network, &options, &trainer, NULL);
    if (!taught) taught = willis_trainer_hull_step(trainer, &lesson, &loss, NULL);
    willis_trainer_destroy(trainer);
    failing_allocator_use(NULL);
    assert_true(inferred == WILLIS_OK || inferred == WILLIS_OUT_OF_MEMORY);
    assert_true(taught == WILLIS_OK || taught == WILLIS_OUT_OF_MEMORY);
    assert_int_equal(failing.held, 0);
  }
  willis_release(logit);
  small_case_release(&c);
  willis_network_destroy(network);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(network_matches_pytorch),
      cmocka_unit_test(same_bits_for_any_threads),
      cmocka_unit_test(inference_is_the_trained_pass),
      cmocka_unit_test(views_have_no_order),
      cmocka_unit_test(steps_lower_the_loss_and_go_on_from_a_state),
      cmocka_unit_test(broken_numbers_stop_a_step),
      cmocka_unit_test(networks_keep_to_their_inputs),
      cmocka_unit_test(every_allocation_may_fail),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
