/* Layers of the graphs, and the networks built of them, against PyTorch (tests/oracle/nn_graph.py),
 * with and without AVX2, with any number of threads. */
#include "numbers.h"

#include "base/cpu.h"
#include "base/parallel.h"
#include "nn/convolution.h"
#include "nn/dice_loss.h"
#include "nn/dropout.h"
#include "nn/leaky_relu.h"
#include "nn/network.h"
#include "nn/slice_gan.h"
#include "nn/slice_loss.h"
#include "nn/tanh.h"
#include "nn/unet.h"

enum { STEP = 7 }; /* the oracle keeps every so many values */

/* Relative to the size of all: sums of thousands of terms err by a share of the largest. */
static void assert_samples(const float *value, const json_t *expected, double tolerance,
                           const char *what) {
  double size = 0, error = 0;
  size_t count = json_array_size(expected);
  assert_true(count > 0);
  for (size_t i = 0; i < count; i++) {
    double e = json_number_value(json_array_get(expected, i));
    size += e * e;
    error += (value[i * STEP] - e) * (value[i * STEP] - e);
  }
  if (!(error <= tolerance * tolerance * size))
    fail_msg("%s: relative error %g", what, sqrt(error / size));
}

static const json_t *get(const json_t *object, const char *key) {
  return json_object_get(object, key);
}

static int integer(const json_t *array, size_t i) {
  return (int)json_integer_value(json_array_get(array, i));
}

static struct willis_extent extent_of(const json_t *array) {
  return (struct willis_extent){integer(array, 0), integer(array, 1), integer(array, 2)};
}

/* Every variant, whether this processor would choose it or not. */
static const struct willis_convolution_variant *const variants[] = {
    &willis_convolution_plain,
#ifdef WILLIS_HAVE_AVX2
    &willis_convolution_patches_avx2,
    &willis_convolution_winograd_avx2,
#endif
};
enum { VARIANTS = sizeof variants / sizeof *variants };

struct outcome {
  float *y, *d_x, *d_w;
};

static void convolve(const struct willis_convolution *c, struct outcome *o) {
  ptrdiff_t in = willis_extent_count(c->extent) * c->inputs;
  ptrdiff_t out = willis_extent_count(willis_convolution_extent(c)) * c->outputs;
  ptrdiff_t weights = (ptrdiff_t)c->inputs * c->outputs * willis_stencil_taps(&c->stencil);
  float *x = numbers(1, in), *w = numbers(2, weights), *d_y = numbers(3, out);
  void *scratch = room_for((ptrdiff_t)(c->variant->scratch_bytes(c) / sizeof(float)));
  *o = (struct outcome){room_for(out), room_for(in), room_for(weights)};
  willis_convolution_forward(c, x, w, o->y, scratch);
  willis_convolution_backward_data(c, d_y, w, o->d_x, scratch);
  willis_convolution_backward_weight(c, x, d_y, o->d_w, scratch);
  double left = dot(o->y, d_y, out), size = norm(o->y, out) * norm(d_y, out);
  assert_below(fabs(left - dot(x, o->d_x, in)), 1e-6 * size, "adjoint in x");
  assert_below(fabs(left - dot(w, o->d_w, weights)), 1e-6 * size, "adjoint in the weight");
  void *all[] = {x, w, d_y, scratch};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) willis_release(all[i]);
}

static void outcome_release(struct outcome *o) {
  willis_release(o->y);
  willis_release(o->d_x);
  willis_release(o->d_w);
}

static void convolutions_match_pytorch(void **state) {
  size_t i;
  const json_t *row;
  int fitting[VARIANTS] = {0};
  json_array_foreach(get(*state, "convolution"), i, row) {
    struct willis_convolution c = {.extent = extent_of(get(row, "extent")),
                                   .inputs = (int)json_integer_value(get(row, "inputs")),
                                   .outputs = (int)json_integer_value(get(row, "outputs"))};
    for (size_t d = 0; d < 3; d++) {
      c.stencil.kernel[d] = integer(get(row, "kernel"), d);
      c.stencil.stride[d] = integer(get(row, "stride"), d);
      c.stencil.pad[d] = integer(get(row, "pad"), d);
    }
    for (int v = 0; v < VARIANTS; v++) {
      c.variant = variants[v];
      if (!c.variant->fits(&c) ||
          (willis_cpu_features() & c.variant->features) != c.variant->features)
        continue;
      fitting[v]++;
      struct outcome o;
      convolve(&c, &o);
      assert_samples(o.y, get(row, "y"), 2e-6, "y");
      assert_samples(o.d_x, get(row, "d_x"), 2e-6, "d_x");
      assert_samples(o.d_w, get(row, "d_weight"), 2e-6, "d_weight");
      outcome_release(&o);
    }
  }
  for (int v = 0; v < VARIANTS; v++)
    assert_true(fitting[v] || !(willis_cpu_features() & WILLIS_CPU_AVX2));
}

/* More rows than a chunk has, so that chunks and shards are several. */
static void threads_do_not_matter(void **state) {
  (void)state;
  const int before = willis_parallel_threads();
  for (int stride = 1; stride <= 2; stride++) {
    struct willis_convolution c = {
        {3, 42, 34}, 5, 18, {{1, 4, 4}, {1, stride, stride}, {0, 1, 1}}, NULL};
    struct outcome one, many;
    willis_parallel_set_threads(1);
    (void)willis_convolution_plan(&c);
    convolve(&c, &one);
    ptrdiff_t in = willis_extent_count(c.extent) * c.inputs;
    ptrdiff_t out = willis_extent_count(willis_convolution_extent(&c)) * c.outputs;
    for (int threads = 2; threads <= 8; threads++) {
      willis_parallel_set_threads(threads);
      convolve(&c, &many);
      assert_memory_equal(one.y, many.y, (size_t)out * sizeof(float));
      assert_memory_equal(one.d_x, many.d_x, (size_t)in * sizeof(float));
      assert_memory_equal(one.d_w, many.d_w, 5 * 18 * 16 * sizeof(float));
      outcome_release(&many);
    }
    outcome_release(&one);
  }
  willis_parallel_set_threads(before);
}

static void elementwise_layers_match_pytorch(void **state) {
  const json_t *root = *state;
  enum { COUNT = 30 };
  float *x = numbers(1, COUNT), *d_y = numbers(2, COUNT), y[COUNT], d_x[COUNT];
  for (int i = 0; i < COUNT; i++) x[i] *= 3;
  willis_leaky_relu_forward(COUNT, 0.2f, x, y);
  willis_leaky_relu_backward(COUNT, 0.2f, y, d_y, d_x);
  assert_matches(y, get(get(root, "leaky_relu"), "y"), 1e-7, "leaky y");
  assert_matches(d_x, get(get(root, "leaky_relu"), "d_x"), 1e-7, "leaky d_x");
  willis_tanh_forward(COUNT, x, y);
  willis_tanh_backward(COUNT, y, d_y, d_x);
  assert_matches(y, get(get(root, "tanh"), "y"), 2e-7, "tanh y");
  assert_matches(d_x, get(get(root, "tanh"), "d_x"), 4e-7, "tanh d_x");
  willis_release(x);
  willis_release(d_y);
}

static void losses_match_pytorch(void **state) {
  enum { COUNT = 50 };
  float *z = numbers(1, COUNT), *t = numbers(2, COUNT), d[COUNT];
  for (int i = 0; i < COUNT; i++) {
    z[i] *= 8;
    t[i] = t[i] > 0.4f ? 1 : 0;
  }
  for (int k = 0; k < 4; k++) {
    static const char *const name[] = {"bce_made", "bce_real", "l1", "dice"};
    const json_t *expected = get(*state, name[k]);
    memset(d, 0, sizeof d);
    double loss = k < 2    ? willis_bce_loss_gradient(COUNT, z, k, 1, d)
                  : k == 2 ? willis_l1_loss_gradient(COUNT, z, t, 1, d)
                           : willis_dice_loss_gradient(COUNT, z, t, 1, d);
    assert_below(fabs(loss - json_number_value(get(expected, "loss"))), 1e-7 * (1 + loss), name[k]);
    assert_matches(d, get(expected, "d"), 1e-8, name[k]);
    /* The weight scales the gradient; the last two add. */
    float twice[COUNT];
    memcpy(twice, d, sizeof d);
    if (k < 2) willis_bce_loss_gradient(COUNT, z, k, 3, twice);
    if (k == 2) willis_l1_loss_gradient(COUNT, z, t, 2, twice);
    if (k == 3) willis_dice_loss_gradient(COUNT, z, t, 2, twice);
    for (int i = 0; i < COUNT; i++)
      assert_below(fabs((double)twice[i] - 3 * (double)d[i]), 1e-7, "weighted");
  }
  willis_release(z);
  willis_release(t);
}

static void dropout_keeps_the_mean(void **state) {
  (void)state;
  enum { COUNT = 100001 };
  float *x = willis_take(COUNT, sizeof *x), *y = willis_take(COUNT, sizeof *y);
  for (int i = 0; i < COUNT; i++) x[i] = 1;
  willis_dropout(COUNT, 0.3, 5, 6, x, y);
  double sum = 0;
  ptrdiff_t zeros = 0;
  for (int i = 0; i < COUNT; i++) {
    sum += y[i];
    zeros += y[i] == 0;
  }
  /* Four standard deviations of a binomial share. */
  double error = 4 * sqrt(0.3 * 0.7 / COUNT);
  assert_below(fabs((double)zeros / COUNT - 0.3), error, "share of zeros");
  assert_below(fabs(sum / COUNT - 1), error / 0.7, "mean");
  willis_dropout(COUNT, 0.3, 5, 6, x, x);
  assert_memory_equal(x, y, COUNT * sizeof *x);
  willis_dropout(COUNT, 0.3, 5, 7, x, x);
  assert_memory_not_equal(x, y, COUNT * sizeof *x);
  willis_release(x);
  willis_release(y);
}

/* ---- whole networks ---- */

struct whole {
  struct willis_network *network;
  struct willis_graph_plan plan;
  struct willis_arena arena;
  struct willis_block_parameters p[16], gradient[16];
  float *gradients, *x, *y, *d_y, *d_x;
  ptrdiff_t in, out;
};

/* Numbers as the oracle has them: weights and biases by fan in, the rest about 1 and 0. */
static void fill(struct willis_network *n) {
  double scale = 0;
  for (int t = 0; t < willis_network_tensor_count(n); t++) {
    struct willis_network_tensor tensor = willis_network_tensor(n, t);
    if (!tensor.learned) continue;
    bool norm = strstr(tensor.name, ".bn.") != NULL;
    if (tensor.rank == 5) {
      bool up = strstr(tensor.name, "deconv") != NULL;
      scale = 1 / sqrt((double)(tensor.shape[up ? 0 : 1] * tensor.shape[2] * tensor.shape[3] *
                                tensor.shape[4]));
    }
    bool gamma = norm && strstr(tensor.name, "weight");
    for (ptrdiff_t i = 0; i < tensor.count; i++)
      tensor.values[i] =
          number(10 + (uint32_t)t, i) * (float)(norm ? 0.5 : scale) + (gamma ? 1 : 0);
  }
}

static void run(struct whole *w, const char *name, const struct willis_graph *graph,
                struct willis_extent extent) {
  *w = (struct whole){0};
  assert_int_equal(willis_network_create(name, 1, &w->network, NULL), WILLIS_OK);
  fill(w->network);
  struct willis_arena counting = {0};
  willis_graph_plan(&w->plan, graph, extent, true, &counting);
  assert_int_equal(willis_arena_init(&w->arena, counting.peak, NULL), WILLIS_OK);
  willis_graph_plan(&w->plan, graph, extent, true, &w->arena);
  const struct willis_graph_node *last = &w->plan.node[graph->row_count];
  w->in = willis_extent_count(extent) * graph->inputs;
  w->out = willis_extent_count(last->extent) * last->channels;
  w->gradients = room_for(willis_network_parameter_count(w->network));
  willis_network_blocks(w->network, w->network->parameters, w->network->statistics, w->p);
  willis_network_blocks(w->network, w->gradients, NULL, w->gradient);
  w->x = numbers(1, w->in);
  w->d_y = numbers(2, w->out);
  w->y = room_for(w->out);
  w->d_x = room_for(w->in);
  willis_graph_forward(&w->plan, w->p, w->x, w->y);
  willis_graph_backward(&w->plan, w->p, w->x, w->d_y, w->gradient, w->d_x);
}

static void whole_release(struct whole *w) {
  float *all[] = {w->gradients, w->x, w->y, w->d_y, w->d_x};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) willis_release(all[i]);
  willis_arena_release(&w->arena);
  willis_network_destroy(w->network);
}

static void assert_like_pytorch(struct whole *w, const json_t *expected) {
  assert_samples(w->y, get(expected, "y"), 1e-5, "y");
  assert_samples(w->d_x, get(expected, "d_x"), 5e-5, "d_x");
  struct willis_network *n = w->network;
  for (int t = 0; t < n->tensor_count; t++) {
    if (!n->tensor[t].learned) continue;
    float *direction = numbers(3, n->tensor[t].count);
    double along = dot(w->gradients + n->tensor[t].offset, direction, n->tensor[t].count);
    double size = json_number_value(json_array_get(get(expected, "size"), (size_t)t));
    double e = json_number_value(json_array_get(get(expected, "along"), (size_t)t));
    /* A bias before normalisation has no gradient; PyTorch's is rounding. */
    assert_below(fabs(along - e), 5e-5 * size * sqrt((double)n->tensor[t].count) + 1e-9,
                 n->tensor[t].name);
    willis_release(direction);
  }
}

static void networks_match_pytorch(void **state) {
  /* The generator without its dropout, which PyTorch draws otherwise. */
  struct willis_graph_row rows[WILLIS_GRAPH_ROWS];
  struct willis_graph generator = willis_slice_generator_graph;
  for (int r = 0; r < generator.row_count; r++) {
    rows[r] = generator.row[r];
    rows[r].dropout = 0;
  }
  generator.row = rows;
  const struct {
    const char *name;
    const struct willis_graph *graph;
    struct willis_extent extent;
  } cases[] = {{"unet", &willis_unet_graph, {8, 4, 12}},
               {"slice-discriminator", &willis_slice_discriminator_graph, {3, 24, 16}},
               {"slice-generator", &generator, {2, 64, 64}}};
  for (int masked = 0; masked < 2; masked++) {
    if (masked) willis_cpu_mask(0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
      struct whole w;
      run(&w, cases[i].name, cases[i].graph, cases[i].extent);
      assert_like_pytorch(&w, get(*state, cases[i].name));
      whole_release(&w);
    }
  }
  willis_cpu_mask(~0u);
}

/* With dropout too: the gradient is that of the function with the mask of this step. */
static void generator_gradient_is_a_difference(void **state) {
  (void)state;
  struct whole w;
  run(&w, "slice-generator", &willis_slice_generator_graph, (struct willis_extent){2, 64, 64});
  /* Along the gradient of the input itself the derivative is its square. */
  const double step = 2e-4 / norm(w.d_x, w.in) * norm(w.x, w.in);
  double value[2];
  float *moved = room_for(w.in), *d_y = numbers(2, w.out);
  for (int side = 0; side < 2; side++) {
    for (ptrdiff_t i = 0; i < w.in; i++)
      moved[i] = (float)((double)w.x[i] + (side ? step : -step) * (double)w.d_x[i]);
    willis_graph_forward(&w.plan, w.p, moved, w.y);
    value[side] = dot(w.y, d_y, w.out);
  }
  double slope = dot(w.d_x, w.d_x, w.in);
  assert_below(fabs((value[1] - value[0]) / (2 * step) - slope), 0.01 * slope, "slope");
  w.plan.step++;
  willis_graph_forward(&w.plan, w.p, moved, w.y);
  assert_true(fabs(dot(w.y, d_y, w.out) - value[1]) > 0);
  willis_release(moved);
  willis_release(d_y);
  whole_release(&w);
}

/* A U-Net streams by holding its volume whole, learns, and says what it cannot; a network of slices
 * does not take a volume. */
static enum willis_status give(ptrdiff_t begin, ptrdiff_t end, float *planes, void *context,
                               struct willis_error *err) {
  (void)err;
  memcpy(planes, (float *)context + begin * 8 * 4, (size_t)(end - begin) * 8 * 4 * sizeof *planes);
  return WILLIS_OK;
}

static enum willis_status take(ptrdiff_t begin, ptrdiff_t end, const float *planes, void *context,
                               struct willis_error *err) {
  (void)err;
  memcpy((float *)context + begin * 8 * 4, planes, (size_t)(end - begin) * 8 * 4 * sizeof *planes);
  return WILLIS_OK;
}

static void networks_behind_the_door(void **state) {
  (void)state;
  const ptrdiff_t size[3] = {4, 8, 12};
  enum { VOXELS = 4 * 8 * 12 };
  struct willis_network *unet, *slices;
  float *x = numbers(1, VOXELS), *y = room_for(VOXELS), *streamed = room_for(VOXELS);
  float *target = numbers(2, VOXELS);
  assert_int_equal(willis_network_create("unet", 1, &unet, NULL), WILLIS_OK);
  assert_int_equal(willis_network_create("slice-generator", 1, &slices, NULL), WILLIS_OK);
  assert_int_equal(willis_network_infer(unet, size, x, WILLIS_OUTPUT_LOGIT, y, NULL), WILLIS_OK);
  struct willis_plane_source source = {give, x};
  struct willis_plane_sink sink = {take, streamed};
  assert_int_equal(
      willis_network_infer_slabs(unet, size, 4, &source, WILLIS_OUTPUT_LOGIT, &sink, NULL),
      WILLIS_OK);
  assert_memory_equal(y, streamed, sizeof(float) * VOXELS);
  assert_int_equal(willis_network_infer(slices, size, x, WILLIS_OUTPUT_LOGIT, y, NULL),
                   WILLIS_UNSUPPORTED);
  struct willis_trainer_options options = willis_trainer_defaults();
  memcpy(options.size, size, sizeof size);
  options.learning_rate = 1e-2;
  for (int i = 0; i < VOXELS; i++) target[i] = x[i] > 0.5f;
  struct willis_trainer *trainer;
  assert_int_equal(willis_trainer_create(unet, &options, &trainer, NULL), WILLIS_OK);
  double first = 0, loss = 0;
  for (int step = 0; step < 60; step++) {
    assert_int_equal(willis_trainer_step(trainer, x, target, &loss, NULL), WILLIS_OK);
    if (!step) first = loss;
  }
  assert_true(loss < 0.5 * first);
  willis_trainer_destroy(trainer);
  options.plan = WILLIS_TRAINING_RECOMPUTE;
  assert_int_equal(willis_trainer_create(unet, &options, &trainer, NULL), WILLIS_UNSUPPORTED);
  willis_network_destroy(unet);
  willis_network_destroy(slices);
  float *all[] = {x, y, streamed, target};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) willis_release(all[i]);
}

static int load(void **state) {
  *state = oracle("nn_graph.json");
  return 0;
}

static int unload(void **state) {
  json_decref(*state);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(convolutions_match_pytorch),
      cmocka_unit_test(threads_do_not_matter),
      cmocka_unit_test(elementwise_layers_match_pytorch),
      cmocka_unit_test(losses_match_pytorch),
      cmocka_unit_test(dropout_keeps_the_mean),
      cmocka_unit_test(networks_match_pytorch),
      cmocka_unit_test(generator_gradient_is_a_difference),
      cmocka_unit_test(networks_behind_the_door),
  };
  return cmocka_run_group_tests(tests, load, unload);
}
