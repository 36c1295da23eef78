/* Forward convolution and its data gradient by Winograd F(4×4×4, 3×3×3).
 *
 * A layer of tiles is cut into equal blocks of at most BLOCK. A block is transformed (V),
 * multiplied for each of 216 frequencies by that frequency's matrix of weights, SPAN outputs at a
 * time (M), and transformed back. V and M of a block stay in the second-level cache; the weights
 * stream through it once a block. A tile's result does not depend on the block it is in. Results
 * go past the caches: nobody reads them soon. The data gradient is the same convolution with the
 * roles of the channels exchanged and the taps mirrored.
 */
#include "nn/conv3d_avx2.h"

#include "base/cpu.h"
#include "base/parallel.h"
#include "nn/conv3d_block_avx2.h"

#include <omp.h>

bool willis_conv3d_avx2_fits(const struct willis_conv3d_shape *shape) {
  return shape->inputs > 0 && shape->outputs > 0 && shape->inputs % GROUP == 0 &&
         shape->outputs % GROUP == 0;
}

ptrdiff_t willis_conv3d_avx2_packed_count(const struct willis_conv3d_shape *shape) {
  return (ptrdiff_t)FREQUENCIES * shape->inputs * shape->outputs;
}

/* Floats of V and M of one thread. */
static ptrdiff_t block_count(ptrdiff_t inputs, ptrdiff_t outputs) {
  return FREQUENCIES * (BLOCK * (inputs + least(SPAN, outputs)) + 2 * STAGGER);
}

/* Floats that hold the partial sums of a slab, two doubles an output and job. */
static ptrdiff_t partial_count(ptrdiff_t jobs, ptrdiff_t outputs) {
  return jobs * outputs * 2 * (ptrdiff_t)(sizeof(double) / sizeof(float));
}

/* For one input channel and GROUP output channels: taps [27][GROUP] to [216][GROUP] by G along
 * z, y, x. In double: the weights are few and every output depends on them. */
static void transform_weights(const double taps[WILLIS_CONV3D_TAPS][GROUP], float *to,
                              ptrdiff_t frequency_stride) {
  double a[PATCH * 9][GROUP] = {{0}}, b[PATCH * PATCH * 3][GROUP] = {{0}};
  for (int f = 0; f < PATCH; f++)
    for (int k = 0; k < 3; k++)
      for (int r = 0; r < 9; r++)
        for (int c = 0; c < GROUP; c++) a[f * 9 + r][c] += winograd_g[f][k] * taps[k * 9 + r][c];
  for (int z = 0; z < PATCH; z++)
    for (int f = 0; f < PATCH; f++)
      for (int k = 0; k < 3; k++)
        for (int r = 0; r < 3; r++)
          for (int c = 0; c < GROUP; c++)
            b[(z * PATCH + f) * 3 + r][c] += winograd_g[f][k] * a[z * 9 + k * 3 + r][c];
  for (int zy = 0; zy < PATCH * PATCH; zy++)
    for (int f = 0; f < PATCH; f++) {
      const double *g = winograd_g[f];
      for (int c = 0; c < GROUP; c++)
        to[(zy * PATCH + f) * frequency_stride + c] =
            (float)(g[0] * b[zy * 3][c] + g[1] * b[zy * 3 + 1][c] + g[2] * b[zy * 3 + 2][c]);
    }
}

/* Where the GROUP outputs from `output` on of frequency 0 and input 0 are kept: by span, frequency,
 * group of outputs, input. `*frequency_stride` leads to the next frequency. */
static ptrdiff_t packed_offset(ptrdiff_t output, ptrdiff_t inputs, ptrdiff_t outputs,
                               ptrdiff_t *frequency_stride) {
  ptrdiff_t first = output / SPAN * SPAN;
  *frequency_stride = least(SPAN, outputs - first) * inputs;
  return first * FREQUENCIES * inputs + (output - first) * inputs;
}

/* Element (to, from, k) of the filter is weight[to·to_stride + from·from_stride + tap(k)]. */
static void pack(ptrdiff_t inputs, ptrdiff_t outputs, const float *weight, ptrdiff_t input_stride,
                 ptrdiff_t output_stride, bool mirrored, float *packed) {
  ptrdiff_t groups = outputs / GROUP;
#pragma omp parallel for schedule(static)
  for (ptrdiff_t job = 0; job < inputs * groups; job++) {
    ptrdiff_t i = job % inputs, o = job / inputs * GROUP, frequency_stride;
    double taps[WILLIS_CONV3D_TAPS][GROUP];
    for (int k = 0; k < WILLIS_CONV3D_TAPS; k++)
      for (int c = 0; c < GROUP; c++)
        taps[k][c] = weight[i * input_stride + (o + c) * output_stride +
                            (mirrored ? WILLIS_CONV3D_TAPS - 1 - k : k)];
    float *to = packed + packed_offset(o, inputs, outputs, &frequency_stride) + i * GROUP;
    transform_weights(taps, to, frequency_stride);
  }
}

void willis_conv3d_avx2_pack_forward(const struct willis_conv3d_shape *shape, const float *weight,
                                     float *packed) {
  pack(shape->inputs, shape->outputs, weight, WILLIS_CONV3D_TAPS,
       (ptrdiff_t)shape->inputs * WILLIS_CONV3D_TAPS, false, packed);
}

void willis_conv3d_avx2_pack_backward(const struct willis_conv3d_shape *shape, const float *weight,
                                      float *packed) {
  pack(shape->outputs, shape->inputs, weight, (ptrdiff_t)shape->inputs * WILLIS_CONV3D_TAPS,
       WILLIS_CONV3D_TAPS, true, packed);
}

static ptrdiff_t blocks_of(const struct tile_grid *grid) {
  return (grid->rows * grid->columns + BLOCK - 1) / BLOCK;
}

static void run(struct pass *p, void *scratch) {
  ptrdiff_t blocks = blocks_of(&p->grid);
  ptrdiff_t jobs = p->grid.layers * blocks, outputs = p->outputs;
  ptrdiff_t count = block_count(p->inputs, outputs);
  double *partial = p->pooled && p->pooled->sum ? scratch : NULL;
  const bool wide = willis_cpu_features() & WILLIS_CPU_AVX512;
  float *free_scratch = (float *)scratch + (partial ? partial_count(jobs, outputs) : 0);
#pragma omp parallel for schedule(dynamic, 1)
  for (ptrdiff_t job = 0; job < jobs; job++) {
    (wide ? willis_conv3d_block_avx512 : conv3d_block)(
        p, tile_block_of(&p->grid, blocks, job),
        tile_block_of(&p->grid, blocks, job + omp_get_num_threads()),
        partial ? partial + job * 2 * outputs : NULL, free_scratch + omp_get_thread_num() * count);
  }
  for (ptrdiff_t job = 0; partial && job < jobs; job++)
    for (ptrdiff_t c = 0; c < outputs; c++) {
      p->pooled->sum[c] += partial[job * 2 * outputs + c];
      p->pooled->square[c] += partial[(job * 2 + 1) * outputs + c];
    }
}

void willis_conv3d_avx2_forward(const struct willis_conv3d_shape *shape,
                                struct willis_conv3d_planes x, const float *packed,
                                const float *bias, ptrdiff_t begin, ptrdiff_t end, float *y,
                                const struct willis_conv3d_pooled *pooled, void *scratch) {
  struct willis_extent e = shape->extent;
  struct pass pass = {.source = {x, e.height, e.width, shape->inputs},
                      .grid = tile_grid_of(e, begin, end),
                      .inputs = shape->inputs,
                      .outputs = shape->outputs,
                      .packed = packed,
                      .bias = bias,
                      .y = y,
                      .pooled = pooled};
  run(&pass, scratch);
}

void willis_conv3d_avx2_backward_data(const struct willis_conv3d_shape *shape,
                                      struct willis_conv3d_planes d_y, const float *packed,
                                      ptrdiff_t begin, ptrdiff_t end, float *d_x, void *scratch) {
  struct willis_extent e = shape->extent;
  struct pass pass = {.source = {d_y, e.height, e.width, shape->outputs},
                      .grid = tile_grid_of(e, begin, end),
                      .inputs = shape->outputs,
                      .outputs = shape->inputs,
                      .packed = packed,
                      .y = d_x};
  run(&pass, scratch);
}

size_t willis_conv3d_avx2_infer_scratch_bytes(const struct willis_conv3d_shape *shape) {
  ptrdiff_t count = willis_parallel_threads() * block_count(shape->inputs, shape->outputs);
  return sizeof(float) * (size_t)count;
}

size_t willis_conv3d_avx2_scratch_bytes(const struct willis_conv3d_shape *shape, ptrdiff_t planes) {
  struct tile_grid grid = tile_grid_of(shape->extent, 0, planes);
  ptrdiff_t threads = willis_parallel_threads(), outputs = shape->outputs;
  ptrdiff_t forward = threads * block_count(shape->inputs, outputs) +
                      partial_count(grid.layers * blocks_of(&grid), outputs);
  ptrdiff_t data = threads * block_count(outputs, shape->inputs);
  ptrdiff_t most = willis_conv3d_weight_scratch_count(shape);
  if (most < forward) most = forward;
  if (most < data) most = data;
  return sizeof(float) * (size_t)most;
}
