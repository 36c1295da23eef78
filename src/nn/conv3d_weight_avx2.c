/* Weight gradient of the convolution by Winograd F(4×4×4, 3×3×3):
 *
 *   d_weight = Gᵀ [ Σ_tiles (Bᵀ x) ⊗ (A d_y) ].
 *
 * A layer's tiles are taken in equal batches of at most BATCH. All threads transform a batch
 * together, and then each of the 216 frequencies' [inputs][outputs] sums is updated by one thread;
 * so there is one copy of the sums, and the order of addition depends neither on the number of
 * threads nor on the slabs. */
#include "nn/conv3d_avx2.h"

#include "base/parallel.h"
#include "nn/winograd_tile_avx2.h"

enum {
  BATCH = 48,     /* tiles: their transforms stay in the third-level cache */
  STAGGER = GROUP /* keeps the frequencies off the same cache sets */
};

ptrdiff_t willis_conv3d_weight_scratch_count(const struct willis_conv3d_shape *shape) {
  return FREQUENCIES *
         ((ptrdiff_t)BATCH * (shape->inputs + shape->outputs) + 2 * (ptrdiff_t)STAGGER);
}

void willis_conv3d_avx2_backward_weight_start(const struct willis_conv3d_shape *shape, float *sum) {
  memset(sum, 0, sizeof(float) * (size_t)willis_conv3d_avx2_packed_count(shape));
}

/* sum[i][0..GROUP) += Σ_t v[t][i]·g[t][0..GROUP) for `rows` inputs i; the batch is summed first,
 * so that long volumes lose no digits. */
WINOGRAD_INLINE void accumulate_rows(int rows, ptrdiff_t tiles, const float *v, ptrdiff_t inputs,
                                     const float *g, ptrdiff_t outputs, float *sum) {
  __m256 part[ROWS][2];
  for (int r = 0; r < rows; r++) part[r][0] = part[r][1] = _mm256_setzero_ps();
  _Pragma("GCC unroll 4") for (ptrdiff_t t = 0; t < tiles; t++) {
    __m256 g0 = _mm256_load_ps(g + t * outputs), g1 = _mm256_load_ps(g + t * outputs + 8);
    _Pragma("GCC unroll 6") for (int r = 0; r < rows; r++) {
      __m256 a = _mm256_broadcast_ss(v + t * inputs + r);
      part[r][0] = _mm256_fmadd_ps(a, g0, part[r][0]);
      part[r][1] = _mm256_fmadd_ps(a, g1, part[r][1]);
    }
  }
  _Pragma("GCC unroll 6") for (int r = 0; r < rows; r++) {
    float *to = sum + r * outputs;
    _mm256_store_ps(to, _mm256_add_ps(_mm256_load_ps(to), part[r][0]));
    _mm256_store_ps(to + 8, _mm256_add_ps(_mm256_load_ps(to + 8), part[r][1]));
  }
}

/* `inputs` is even, so rows of 6 and at most two of 4 cover it. */
static void accumulate(ptrdiff_t tiles, const float *v, ptrdiff_t inputs, const float *g,
                       ptrdiff_t outputs, float *sum) {
  ptrdiff_t fours = (ROWS - inputs % ROWS) % ROWS / 2, sixes = (inputs - 4 * fours) / ROWS;
  for (ptrdiff_t o = 0; o < outputs; o += GROUP) {
    ptrdiff_t i = 0;
    for (; i < sixes * ROWS; i += ROWS)
      accumulate_rows(ROWS, tiles, v + i, inputs, g + o, outputs, sum + i * outputs + o);
    for (; i < inputs; i += 4)
      accumulate_rows(4, tiles, v + i, inputs, g + o, outputs, sum + i * outputs + o);
  }
}

void willis_conv3d_avx2_backward_weight_add(const struct willis_conv3d_shape *shape,
                                            struct willis_conv3d_planes x,
                                            struct willis_conv3d_planes d_y, ptrdiff_t begin,
                                            ptrdiff_t end, float *sum, void *scratch) {
  struct willis_extent e = shape->extent;
  ptrdiff_t inputs = shape->inputs, outputs = shape->outputs;
  if (d_y.end > end) d_y.end = end; /* a last tile reaches beyond the slab: not its share */
  const struct tile_source from_x = {x, e.height, e.width, inputs};
  const struct tile_source from_y = {d_y, e.height, e.width, outputs};
  const struct tile_grid grid = tile_grid_of(e, begin, end);
  ptrdiff_t v_stride = BATCH * inputs + STAGGER, g_stride = BATCH * outputs + STAGGER;
  float *v = scratch, *g = v + FREQUENCIES * v_stride;
  ptrdiff_t tiles = grid.rows * grid.columns, batches = (tiles + BATCH - 1) / BATCH;
#pragma omp parallel
  for (ptrdiff_t job = 0; job < grid.layers * batches; job++) {
    ptrdiff_t z = begin + job / batches * TILE, batch = job % batches;
    ptrdiff_t first = batch * tiles / batches, count = (batch + 1) * tiles / batches - first;
#pragma omp for schedule(dynamic, 2)
    for (ptrdiff_t t = 0; t < count; t++) {
      ptrdiff_t row = (first + t) / grid.columns * TILE, column = (first + t) % grid.columns * TILE;
      for (ptrdiff_t c = 0; c < inputs; c += GROUP)
        tile_input(&from_x, z - 1, row - 1, column - 1, c, v + t * inputs + c, v_stride);
      for (ptrdiff_t c = 0; c < outputs; c += GROUP)
        tile_gradient(&from_y, z, row, column, c, g + t * outputs + c, g_stride);
    }
#pragma omp for schedule(dynamic, 4)
    for (ptrdiff_t f = 0; f < FREQUENCIES; f++)
      accumulate(count, v + f * v_stride, inputs, g + f * g_stride, outputs,
                 sum + f * inputs * outputs);
  }
}

/* Gᵀ along z, y, x for one input and GROUP outputs, in double: sums of whole volumes come in. */
static void inverse_transform(const float *sum, ptrdiff_t frequency_stride,
                              double taps[WILLIS_CONV3D_TAPS][GROUP]) {
  double a[3 * PATCH * PATCH][GROUP] = {{0}}, b[9 * PATCH][GROUP] = {{0}};
  for (int f = 0; f < PATCH; f++)
    for (int k = 0; k < 3; k++)
      for (int r = 0; r < PATCH * PATCH; r++) {
        const float *from = sum + (f * PATCH * PATCH + r) * frequency_stride;
        for (int c = 0; c < GROUP; c++)
          a[k * PATCH * PATCH + r][c] += winograd_g[f][k] * (double)from[c];
      }
  for (int z = 0; z < 3; z++)
    for (int f = 0; f < PATCH; f++)
      for (int k = 0; k < 3; k++)
        for (int r = 0; r < PATCH; r++)
          for (int c = 0; c < GROUP; c++)
            b[(z * 3 + k) * PATCH + r][c] += winograd_g[f][k] * a[(z * PATCH + f) * PATCH + r][c];
  for (int zy = 0; zy < 9; zy++)
    for (int k = 0; k < 3; k++)
      for (int c = 0; c < GROUP; c++) {
        double tap = 0;
        for (int f = 0; f < PATCH; f++) tap += winograd_g[f][k] * b[zy * PATCH + f][c];
        taps[zy * 3 + k][c] = tap;
      }
}

void willis_conv3d_avx2_backward_weight_finish(const struct willis_conv3d_shape *shape,
                                               const float *sum, float *d_weight) {
  ptrdiff_t inputs = shape->inputs, outputs = shape->outputs, pairs = inputs * outputs;
#pragma omp parallel for schedule(static)
  for (ptrdiff_t pair = 0; pair < pairs; pair += GROUP) {
    ptrdiff_t i = pair / outputs, o = pair % outputs;
    double taps[WILLIS_CONV3D_TAPS][GROUP];
    inverse_transform(sum + pair, pairs, taps);
    for (int c = 0; c < GROUP; c++)
      for (int k = 0; k < WILLIS_CONV3D_TAPS; k++)
        d_weight[((o + c) * inputs + i) * WILLIS_CONV3D_TAPS + k] = (float)taps[k][c];
  }
}
