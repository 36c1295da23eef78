/* Checks and times the decoder's forward pass, which has all three transposed convolutions, batch
 * normalisation and ReLU in one, beside the three layers alone in oneDNN. Paired runs.
 *
 * Usage: transposed [EDGE [PAIRS [avx2]]]   as the network has it in a volume of EDGE³, 192 untold;
 * avx2: ours without wider vectors
 *
 * A layer of a pass has no time of its own. The last line gives the ratio that the pass would have
 * if every layer met its goal: the peer's seconds over the sum of its layers' seconds over goals.
 */
#include "base/cpu.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "base/random.h"
#include "cost.h"
#include "nn/decoder.h"
#include "peer_dnnl.h"

#include <math.h>
#include <stdio.h>

enum { LAYERS = WILLIS_DECODER_BLOCKS, WIDEST = 128, SAMPLES = 200 };
static const int width[LAYERS + 1] = {WIDEST, 64, 32, 1};
static const double goals[LAYERS] = {4, 7, 10};

struct bed {
  struct willis_extent extent; /* of x */
  struct willis_arena arena;
  struct willis_decoder decoder;
  struct willis_block_parameters p[LAYERS];
  float *x, *logit;
};

static ptrdiff_t weights_of(int layer) {
  return (ptrdiff_t)width[layer] * width[layer + 1] * WILLIS_CONV_TRANSPOSE3D_TAPS;
}

static void take_arrays(struct bed *b) {
  const ptrdiff_t points = willis_extent_count(b->extent);
  willis_decoder_plan(&b->decoder, b->extent, width, WILLIS_DECODER_INFER, &b->arena);
  b->x = willis_arena_take(&b->arena, points * width[0], sizeof(float));
  b->logit = willis_arena_take(&b->arena, points * 512, sizeof(float));
  for (int l = 0; l < LAYERS; l++) {
    struct willis_block_parameters *p = &b->p[l];
    float **rest[] = {&p->bias, &p->gamma, &p->beta, &p->running_mean, &p->running_variance};
    p->weight = willis_arena_take(&b->arena, weights_of(l), sizeof(float));
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++)
      *rest[i] = willis_arena_take(&b->arena, width[l + 1], sizeof(float));
  }
  willis_decoder_plan_scratch(&b->decoder, &b->arena);
}

static void fill(float *array, uint64_t stream, ptrdiff_t count, double scale, double middle) {
#pragma omp parallel for schedule(static)
  for (ptrdiff_t i = 0; i < count; i++)
    array[i] = (float)(middle + scale * willis_random_normal(5, stream, (uint64_t)i));
}

static bool bed_init(struct bed *b, ptrdiff_t edge) {
  struct willis_error err;
  *b = (struct bed){.extent = {edge, edge, edge}};
  take_arrays(b);
  if (willis_arena_init(&b->arena, b->arena.peak, &err)) {
    fprintf(stderr, "transposed: %s\n", err.message);
    return false;
  }
  memset(b->arena.base, 0, b->arena.size);
  take_arrays(b);
  const ptrdiff_t count = willis_extent_count(b->extent) * width[0];
  fill(b->x, 1, count, 1, 0);
  for (ptrdiff_t i = 0; i < count; i++) b->x[i] = fmaxf(b->x[i], 0);
  for (int l = 0; l < LAYERS; l++) {
    const struct willis_block_parameters *p = &b->p[l];
    const uint64_t stream = 10 * (uint64_t)(l + 1);
    fill(p->weight, stream, weights_of(l), 1 / sqrt(width[l]), 0);
    fill(p->bias, stream + 1, width[l + 1], 0.3, 0);
    fill(p->gamma, stream + 2, width[l + 1], 0.2, 1);
    fill(p->beta, stream + 3, width[l + 1], 0.2, 0);
    fill(p->running_mean, stream + 4, width[l + 1], 0.2, 0);
    fill(p->running_variance, stream + 5, width[l + 1], 0.05, 1);
  }
  return true;
}

/* The logit that a point has at (z, y, x) of its 8×8×8 voxels, in double. */
static double exact(const struct bed *b, ptrdiff_t point, const int at[3]) {
  double value[WIDEST], next[WIDEST];
  for (int i = 0; i < width[0]; i++) value[i] = (double)b->x[point * width[0] + i];
  for (int l = 0; l < LAYERS; l++) {
    const struct willis_block_parameters *p = &b->p[l];
    const int shift = LAYERS - 1 - l;
    const int tap = (at[0] >> shift & 1) * 4 + (at[1] >> shift & 1) * 2 + (at[2] >> shift & 1);
    for (int o = 0; o < width[l + 1]; o++) {
      next[o] = (double)p->bias[o];
      for (int i = 0; i < width[l]; i++)
        next[o] += value[i] * (double)p->weight[(i * width[l + 1] + o) * 8 + tap];
      if (l == LAYERS - 1) continue;
      const double sd = sqrt((double)p->running_variance[o] + 1e-5);
      next[o] = (next[o] - (double)p->running_mean[o]) / sd * (double)p->gamma[o];
      next[o] = fmax(next[o] + (double)p->beta[o], 0);
    }
    memcpy(value, next, sizeof value);
  }
  return value[0];
}

static double check(const struct bed *b) {
  const struct willis_extent e = b->extent;
  double error = 0, size = 0;
  for (uint64_t n = 0; n < SAMPLES; n++) {
    const ptrdiff_t point =
        (ptrdiff_t)(willis_random_uniform(6, 1, n) * (double)willis_extent_count(e));
    const int at[3] = {(int)(n / 64 % 8), (int)(n / 8 % 8), (int)(n % 8)};
    const ptrdiff_t z = point / (e.height * e.width) * 8 + at[0],
                    y = point / e.width % e.height * 8 + at[1], x = point % e.width * 8 + at[2];
    const double value = exact(b, point, at),
                 found = (double)b->logit[(z * 8 * e.height + y) * 8 * e.width + x];
    error += (found - value) * (found - value);
    size += value * value;
  }
  return sqrt(error / size);
}

/* Peers' seconds of the layers, and of all; our seconds, of all. */
static void measure(struct bed *b, int pairs) {
  double wall[MOST_PAIRS], cpu[MOST_PAIRS], wall_ratio[MOST_PAIRS], cpu_ratio[MOST_PAIRS];
  double layer[LAYERS][MOST_PAIRS], all[MOST_PAIRS], goal[MOST_PAIRS];
  struct peer *peer[LAYERS];
  struct willis_extent e = b->extent;
  bool peers = true;
  for (int l = 0; l < LAYERS; l++, e.depth *= 2, e.height *= 2, e.width *= 2)
    peers &= (peer[l] = peer_create(e, width[l], width[l + 1], PEER_TRANSPOSED)) != NULL;
  for (int n = -1; n < pairs; n++) { /* the first touches the memory */
    const int to = n < 0 ? 0 : n;
    struct cost start = cost_now();
    willis_decoder_forward(&b->decoder, b->p, b->x, b->logit);
    const struct cost ours = cost_since(start);
    struct cost theirs = {0, 0};
    double wanted = 0;
    for (int l = 0; peers && l < LAYERS; l++) {
      start = cost_now();
      peer_run(peer[l]);
      const struct cost one = cost_since(start);
      theirs.wall += one.wall, theirs.cpu += one.cpu;
      layer[l][to] = one.wall;
      wanted += one.wall / goals[l];
    }
    wall[to] = ours.wall, cpu[to] = ours.cpu, all[to] = theirs.wall;
    wall_ratio[to] = theirs.wall / ours.wall, cpu_ratio[to] = theirs.cpu / ours.cpu;
    goal[to] = theirs.wall / wanted;
  }
  for (int l = 0; peers && l < LAYERS; l++)
    printf("  transposed %d -> %d alone: peer %.4f\n", width[l], width[l + 1],
           cost_median(layer[l], pairs));
  printf("  decoder in one pass: wall %.4f cpu %.4f error %.1e", cost_median(wall, pairs),
         cost_median(cpu, pairs), check(b));
  if (peers)
    printf(" peer %.4f ratio %.2f cpu %.2f goal %.2f", cost_median(all, pairs),
           cost_median(wall_ratio, pairs), cost_median(cpu_ratio, pairs), cost_median(goal, pairs));
  printf("\n");
  for (int l = 0; l < LAYERS; l++) peer_destroy(peer[l]);
}

int main(int argc, char **argv) {
  const int edge = argc > 1 ? atoi(argv[1]) : 192, pairs = argc > 2 ? atoi(argv[2]) : 7;
  struct bed bed;
  if (edge < 8 || edge % 8 || edge > 1024 || pairs < 1 || pairs > MOST_PAIRS) {
    fprintf(stderr, "usage: transposed [EDGE [PAIRS [avx2]]], EDGE a multiple of 8\n");
    return 2;
  }
  if (argc > 3) willis_cpu_mask(~(unsigned)WILLIS_CPU_AVX512);
  printf("%d threads, peer: %s, %d pairs, volume %d^3\n", willis_parallel_threads(),
         peer_name() ? peer_name() : "none", pairs, edge);
  if (!bed_init(&bed, edge / 8)) return 1;
  measure(&bed, pairs);
  willis_arena_release(&bed.arena);
  return 0;
}
