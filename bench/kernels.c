/* Checks and times the convolution kernels, each beside the same layer in oneDNN where there is
 * one. Runs are paired (ours, theirs, ours, …); ratios are medians over the pairs.
 *
 * Usage: kernels [EDGE [PAIRS [avx2]]]   layers as the network has them in a volume of EDGE³, 192
 * untold; avx2: ours without wider vectors
 */
#include "base/cpu.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "base/random.h"
#include "cost.h"
#include "nn/conv3d_avx2.h"
#include "nn/max_pool.h"
#include "peer_dnnl.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 3000, WEIGHT_SAMPLES = 24 };

struct bed {
  struct willis_conv3d_shape shape;
  ptrdiff_t voxels;
  struct willis_arena arena;
  float *x, *raw, *weight, *bias, *level, *slope, *sign, *d_pooled; /* given */
  uint8_t *given_argmax;
  float *y, *d_x, *extreme, *d_weight; /* results */
  uint8_t *argmax;
  double *sums;
  float *forward, *backward, *sum;
  void *scratch;
};

static void take_arrays(struct bed *b) {
  struct willis_arena *a = &b->arena;
  const struct willis_conv3d_shape *s = &b->shape;
  ptrdiff_t inputs = b->voxels * s->inputs, outputs = b->voxels * s->outputs;
  ptrdiff_t packed = willis_conv3d_avx2_packed_count(s);
  struct {
    float **array;
    ptrdiff_t count;
  } floats[] = {
      {&b->x, inputs},
      {&b->raw, outputs},
      {&b->weight, (ptrdiff_t)s->inputs * s->outputs * WILLIS_CONV3D_TAPS},
      {&b->bias, s->outputs},
      {&b->level, s->outputs},
      {&b->slope, s->outputs},
      {&b->sign, s->outputs},
      {&b->d_pooled, outputs / 8},
      {&b->y, outputs},
      {&b->d_x, inputs},
      {&b->extreme, outputs / 8},
      {&b->d_weight, (ptrdiff_t)s->inputs * s->outputs * WILLIS_CONV3D_TAPS},
      {&b->forward, packed},
      {&b->backward, packed},
      {&b->sum, willis_conv3d_avx2_sum_count(s)},
  };
  for (size_t i = 0; i < sizeof floats / sizeof *floats; i++)
    *floats[i].array = willis_arena_take(a, floats[i].count, sizeof(float));
  b->argmax = willis_arena_take(a, outputs / 8, 1);
  b->given_argmax = willis_arena_take(a, outputs / 8, 1);
  b->sums = willis_arena_take(a, 2 * s->outputs, sizeof(double));
  b->scratch =
      willis_arena_take(a, (ptrdiff_t)willis_conv3d_avx2_scratch_bytes(s, s->extent.depth), 1);
}

static void fill(float *array, uint64_t stream, ptrdiff_t count, double scale) {
#pragma omp parallel for schedule(static)
  for (ptrdiff_t i = 0; i < count; i++)
    array[i] = (float)(scale * willis_random_normal(5, stream, (uint64_t)i));
}

static bool bed_init(struct bed *b, const struct willis_conv3d_shape *shape) {
  struct willis_error err;
  *b = (struct bed){.shape = *shape, .voxels = willis_extent_count(shape->extent)};
  take_arrays(b);
  if (willis_arena_init(&b->arena, b->arena.peak, &err)) {
    fprintf(stderr, "kernels: %s\n", err.message);
    return false;
  }
  memset(b->arena.base, 0, b->arena.size);
  take_arrays(b);
  const int outputs = shape->outputs;
  ptrdiff_t inputs = b->voxels * shape->inputs, pooled = b->voxels * outputs / 8;
  fill(b->x, 1, inputs, 1);
  for (ptrdiff_t i = 0; i < inputs; i++) b->x[i] = fmaxf(b->x[i], 0);
  fill(b->raw, 2, b->voxels * outputs, 1);
  fill(b->weight, 3, (ptrdiff_t)shape->inputs * outputs * WILLIS_CONV3D_TAPS,
       1 / sqrt(27.0 * shape->inputs));
  fill(b->bias, 4, outputs, 1);
  fill(b->level, 5, outputs, 0.1);
  fill(b->slope, 6, outputs, 0.1);
  fill(b->sign, 7, outputs, 1);
  fill(b->d_pooled, 8, pooled, 1);
  for (ptrdiff_t i = 0; i < pooled; i++)
    b->given_argmax[i] = (uint8_t)(8 * willis_random_uniform(5, 9, (uint64_t)i));
  return true;
}

static struct willis_conv3d_planes all_of(const struct bed *b, const float *data,
                                          const struct willis_conv3d_scatter *scatter) {
  return (struct willis_conv3d_planes){data, 0, b->shape.extent.depth, scatter};
}

static void run_forward(struct bed *b) {
  willis_conv3d_avx2_pack_forward(&b->shape, b->weight, b->forward);
  willis_conv3d_avx2_forward(&b->shape, all_of(b, b->x, NULL), b->forward, b->bias, 0,
                             b->shape.extent.depth, b->y, NULL, b->scratch);
}

static void run_pooled(struct bed *b, float *y) {
  memset(b->sums, 0, sizeof(double) * 2 * (size_t)b->shape.outputs);
  struct willis_conv3d_pooled pooled = {b->sign, b->extreme, b->argmax, b->sums,
                                        b->sums + b->shape.outputs};
  willis_conv3d_avx2_pack_forward(&b->shape, b->weight, b->forward);
  willis_conv3d_avx2_forward(&b->shape, all_of(b, b->x, NULL), b->forward, b->bias, 0,
                             b->shape.extent.depth, y, &pooled, b->scratch);
}

static void run_pooled_only(struct bed *b) {
  run_pooled(b, NULL);
}

static void run_pooled_and_raw(struct bed *b) {
  run_pooled(b, b->y);
}

static void backward_data(struct bed *b, const struct willis_conv3d_scatter *scatter) {
  willis_conv3d_avx2_pack_backward(&b->shape, b->weight, b->backward);
  willis_conv3d_avx2_backward_data(&b->shape, all_of(b, b->raw, scatter), b->backward, 0,
                                   b->shape.extent.depth, b->d_x, b->scratch);
}

static void backward_weight(struct bed *b, const struct willis_conv3d_scatter *scatter) {
  willis_conv3d_avx2_backward_weight_start(&b->shape, b->sum);
  willis_conv3d_avx2_backward_weight_add(&b->shape, all_of(b, b->x, NULL),
                                         all_of(b, b->raw, scatter), 0, b->shape.extent.depth,
                                         b->sum, b->scratch);
  willis_conv3d_avx2_backward_weight_finish(&b->shape, b->sum, b->d_weight);
}

static struct willis_conv3d_scatter scatter_of(const struct bed *b) {
  return (struct willis_conv3d_scatter){b->level, b->slope, b->d_pooled, b->given_argmax, NULL};
}

static void run_data(struct bed *b) {
  backward_data(b, NULL);
}

static void run_scattered_data(struct bed *b) {
  struct willis_conv3d_scatter scatter = scatter_of(b);
  backward_data(b, &scatter);
}

static void run_weight(struct bed *b) {
  backward_weight(b, NULL);
}

static void run_scattered_weight(struct bed *b) {
  struct willis_conv3d_scatter scatter = scatter_of(b);
  backward_weight(b, &scatter);
}

/* The voxel's index, or -1 outside the volume. */
static ptrdiff_t voxel(const struct bed *b, ptrdiff_t z, ptrdiff_t y, ptrdiff_t x) {
  struct willis_extent e = b->shape.extent;
  if (z < 0 || z >= e.depth || y < 0 || y >= e.height || x < 0 || x >= e.width) return -1;
  return (z * e.height + y) * e.width + x;
}

/* Voxel `v` moved by tap k of the filter, or in the other direction. */
static ptrdiff_t neighbour(const struct bed *b, ptrdiff_t v, int k, int direction) {
  struct willis_extent e = b->shape.extent;
  return voxel(b, v / e.width / e.height + direction * (k / 9 - 1),
               v / e.width % e.height + direction * (k / 3 % 3 - 1),
               v % e.width + direction * (k % 3 - 1));
}

static double exact_y(const struct bed *b, ptrdiff_t v, int o) {
  const struct willis_conv3d_shape *s = &b->shape;
  double sum = (double)b->bias[o];
  for (int k = 0; k < WILLIS_CONV3D_TAPS; k++) {
    ptrdiff_t from = neighbour(b, v, k, 1);
    for (int i = 0; from >= 0 && i < s->inputs; i++)
      sum += (double)b->weight[(o * s->inputs + i) * WILLIS_CONV3D_TAPS + k] *
             (double)b->x[from * s->inputs + i];
  }
  return sum;
}

static double exact_d_y(const struct bed *b, ptrdiff_t v, int o, bool scattered) {
  struct willis_extent e = b->shape.extent;
  double raw = (double)b->raw[v * b->shape.outputs + o];
  if (!scattered) return raw;
  ptrdiff_t x = v % e.width, y = v / e.width % e.height, z = v / e.width / e.height;
  ptrdiff_t window =
      ((z / 2 * (e.height / 2) + y / 2) * (e.width / 2) + x / 2) * b->shape.outputs + o;
  double chosen = b->given_argmax[window] == (z & 1) * 4 + (y & 1) * 2 + (x & 1);
  return (double)b->level[o] + (double)b->slope[o] * raw + chosen * (double)b->d_pooled[window];
}

static double exact_d_x(const struct bed *b, ptrdiff_t v, int i, bool scattered) {
  const struct willis_conv3d_shape *s = &b->shape;
  double sum = 0;
  for (int k = 0; k < WILLIS_CONV3D_TAPS; k++) {
    ptrdiff_t from = neighbour(b, v, k, -1);
    for (int o = 0; from >= 0 && o < s->outputs; o++)
      sum += (double)b->weight[(o * s->inputs + i) * WILLIS_CONV3D_TAPS + k] *
             exact_d_y(b, from, o, scattered);
  }
  return sum;
}

/* The n-th random choice out of `count`. */
static ptrdiff_t choice(int n, int stream, ptrdiff_t count) {
  return (ptrdiff_t)(willis_random_uniform(6, (uint64_t)stream, (uint64_t)n) * (double)count);
}

/* Root mean square of the error relative to that of the exact values. */
struct deviation {
  double error, size;
};

static void deviate(struct deviation *d, double value, double exact) {
  d->error += (value - exact) * (value - exact);
  d->size += exact * exact;
}

static double check_y(const struct bed *b) {
  struct deviation d = {0, 0};
  for (int n = 0; n < SAMPLES; n++) {
    ptrdiff_t v = choice(n, 1, b->voxels);
    int o = (int)choice(n, 2, b->shape.outputs);
    deviate(&d, (double)b->y[v * b->shape.outputs + o], exact_y(b, v, o));
  }
  return sqrt(d.error / d.size);
}

/* The extreme, and the value at the position said to be it. */
static double check_pooled(const struct bed *b) {
  struct deviation d = {0, 0};
  struct willis_extent half = willis_extent_half(b->shape.extent);
  for (int n = 0; n < SAMPLES / 8; n++) {
    ptrdiff_t p = choice(n, 3, b->voxels / 8);
    int o = (int)choice(n, 4, b->shape.outputs);
    double value[WILLIS_POOL_WINDOW], best = -INFINITY, sign = b->sign[o] < 0 ? -1 : 1;
    for (int k = 0; k < WILLIS_POOL_WINDOW; k++) {
      ptrdiff_t row = p / half.width;
      ptrdiff_t v = willis_pool_source(b->shape.extent, row / half.height, row % half.height,
                                       p % half.width, k);
      value[k] = exact_y(b, v, o);
      best = fmax(best, sign * value[k]);
    }
    ptrdiff_t at = p * b->shape.outputs + o;
    deviate(&d, (double)b->extreme[at], sign * best);
    deviate(&d, (double)b->extreme[at], value[b->argmax[at]]);
  }
  return sqrt(d.error / d.size);
}

static double check_d_x(const struct bed *b, bool scattered) {
  struct deviation d = {0, 0};
  for (int n = 0; n < SAMPLES; n++) {
    ptrdiff_t v = choice(n, 5, b->voxels);
    int i = (int)choice(n, 6, b->shape.inputs);
    deviate(&d, (double)b->d_x[v * b->shape.inputs + i], exact_d_x(b, v, i, scattered));
  }
  return sqrt(d.error / d.size);
}

static double check_d_weight(const struct bed *b, bool scattered) {
  const struct willis_conv3d_shape *s = &b->shape;
  double error = 0, size = 0;
#pragma omp parallel for schedule(dynamic, 1) reduction(+ : error, size)
  for (int n = 0; n < WEIGHT_SAMPLES; n++) {
    int o = (int)choice(n, 7, s->outputs), i = (int)choice(n, 8, s->inputs);
    int k = (int)choice(n, 9, WILLIS_CONV3D_TAPS);
    double sum = 0;
    for (ptrdiff_t v = 0; v < b->voxels; v++) {
      ptrdiff_t from = neighbour(b, v, k, 1);
      if (from >= 0) sum += exact_d_y(b, v, o, scattered) * (double)b->x[from * s->inputs + i];
    }
    double e = (double)b->d_weight[(o * s->inputs + i) * WILLIS_CONV3D_TAPS + k] - sum;
    error += e * e;
    size += sum * sum;
  }
  return sqrt(error / size);
}

static double check_data(const struct bed *b) {
  return check_d_x(b, false);
}

static double check_scattered_data(const struct bed *b) {
  return check_d_x(b, true);
}

static double check_weight(const struct bed *b) {
  return check_d_weight(b, false);
}

static double check_scattered_weight(const struct bed *b) {
  return check_d_weight(b, true);
}

static const struct {
  const char *name;
  enum peer_operation peer;
  void (*run)(struct bed *b);
  double (*check)(const struct bed *b);
} kernels[] = {
    {"forward", PEER_FORWARD, run_forward, check_y},
    {"forward, pooled", PEER_FORWARD, run_pooled_only, check_pooled},
    {"forward, pooled and raw", PEER_FORWARD, run_pooled_and_raw, check_y},
    {"data gradient", PEER_DATA, run_data, check_data},
    {"data gradient, scattered", PEER_DATA, run_scattered_data, check_scattered_data},
    {"weight gradient", PEER_WEIGHT, run_weight, check_weight},
    {"weight gradient, scattered", PEER_WEIGHT, run_scattered_weight, check_scattered_weight},
};
enum { KERNELS = sizeof kernels / sizeof *kernels };

static void measure(struct bed *b, int kernel, int pairs) {
  double wall[MOST_PAIRS], cpu[MOST_PAIRS], wall_ratio[MOST_PAIRS], cpu_ratio[MOST_PAIRS];
  double peer_wall[MOST_PAIRS];
  struct peer *peer =
      peer_create(b->shape.extent, b->shape.inputs, b->shape.outputs, kernels[kernel].peer);
  kernels[kernel].run(b);
  if (peer) peer_run(peer);
  for (int n = 0; n < pairs; n++) {
    struct cost start = cost_now();
    kernels[kernel].run(b);
    struct cost ours = cost_since(start), theirs = {0, 0};
    start = cost_now();
    if (peer) {
      peer_run(peer);
      theirs = cost_since(start);
    }
    wall[n] = ours.wall, cpu[n] = ours.cpu, peer_wall[n] = theirs.wall;
    wall_ratio[n] = theirs.wall / ours.wall, cpu_ratio[n] = theirs.cpu / ours.cpu;
  }
  double flop = 2.0 * WILLIS_CONV3D_TAPS * b->shape.inputs * b->shape.outputs * (double)b->voxels;
  printf("  %-28s %8.4f %8.4f %8.0f %9.1e", kernels[kernel].name, cost_median(wall, pairs),
         cost_median(cpu, pairs), 1e-9 * flop / cost_median(wall, pairs), kernels[kernel].check(b));
  if (peer)
    printf(" %9.4f %7.2f %7.2f", cost_median(peer_wall, pairs), cost_median(wall_ratio, pairs),
           cost_median(cpu_ratio, pairs));
  printf("\n");
  fflush(stdout);
  peer_destroy(peer);
}

static void measure_layer(const struct willis_conv3d_shape *shape, int pairs) {
  struct bed bed;
  printf("convolution %d -> %d, %td x %td x %td\n", shape->inputs, shape->outputs,
         shape->extent.depth, shape->extent.height, shape->extent.width);
  if (!bed_init(&bed, shape)) exit(1);
  for (int k = 0; k < KERNELS; k++) measure(&bed, k, pairs);
  willis_arena_release(&bed.arena);
}

int main(int argc, char **argv) {
  int edge = argc > 1 ? atoi(argv[1]) : 192, pairs = argc > 2 ? atoi(argv[2]) : 7;
  if (edge < 8 || edge % 8 || edge > 1024 || pairs < 1 || pairs > MOST_PAIRS) {
    fprintf(stderr,
            "usage: kernels [EDGE [PAIRS [avx2]]], EDGE a multiple of 8, at most %d PAIRS\n",
            MOST_PAIRS);
    return 2;
  }
  if (argc > 3) willis_cpu_mask(~(unsigned)WILLIS_CPU_AVX512);
  if (!(willis_cpu_features() & WILLIS_CPU_AVX2)) {
    printf("this processor has no AVX2: there are no kernels to measure\n");
    return 0;
  }
  printf("%d threads%s, peer: %s, %d pairs, volume %d^3\n", willis_parallel_threads(),
         omp_get_proc_bind() == omp_proc_bind_false
             ? " (not pinned: set OMP_PROC_BIND=true OMP_PLACES=cores)"
             : "",
         peer_name() ? peer_name() : "none", pairs, edge);
  printf("  %-28s %8s %8s %8s %9s %9s %7s %7s\n", "", "wall s", "cpu s", "Gflop/s", "error",
         "peer s", "ratio", "cpu");
  for (int level = 1; level <= 2; level++) {
    ptrdiff_t n = edge >> level;
    measure_layer(&(struct willis_conv3d_shape){{n, n, n}, 16 << level, 32 << level}, pairs);
  }
  return 0;
}
