/* Weight gradient of the convolution by Winograd F(4×4×4, 3×3×3):
 *
 *   d_weight = Gᵀ [ Σ_tiles (Bᵀ x) ⊗ (A d_y) ].
 *
 * A layer's tiles are taken in equal blocks of at most BLOCK, and every block belongs to a shard. A
 * shard has its own sums and is one thread's work, so threads never wait for each other before the
 * end, and the order of addition depends neither on their number nor on the slabs. A shard's blocks
 * are neighbours in a layer and from layer to layer: most of what their patches share is still in
 * the cache. */
#include "nn/conv3d_avx2.h"

#include "base/cpu.h"
#include "base/parallel.h"
#include "nn/conv3d_weight_block_avx2.h"

#include <omp.h>

enum {
  MOST_SHARDS = 8,
  SHARD = 128 /* tiles that are worth sums of their own */
};

/* Floats of one thread's transforms. */
static ptrdiff_t block_count(const struct willis_conv3d_shape *shape) {
  return FREQUENCIES *
         ((ptrdiff_t)BLOCK * (shape->inputs + shape->outputs) + 2 * (ptrdiff_t)STAGGER);
}

ptrdiff_t willis_conv3d_weight_scratch_count(const struct willis_conv3d_shape *shape) {
  return willis_parallel_threads() * block_count(shape);
}

/* As many as threads can use; less for small volumes, where adding them up would be most of the
 * work. */
static ptrdiff_t shards_of(const struct willis_conv3d_shape *shape) {
  const struct tile_grid grid = tile_grid_of(shape->extent, 0, shape->extent.depth);
  ptrdiff_t shards = grid.layers * grid.rows * grid.columns / SHARD;
  return shards < 2 ? 2 : shards < MOST_SHARDS ? shards : MOST_SHARDS;
}

ptrdiff_t willis_conv3d_avx2_sum_count(const struct willis_conv3d_shape *shape) {
  return shards_of(shape) * willis_conv3d_avx2_packed_count(shape);
}

void willis_conv3d_avx2_backward_weight_start(const struct willis_conv3d_shape *shape, float *sum) {
  ptrdiff_t count = willis_conv3d_avx2_packed_count(shape);
#pragma omp parallel for schedule(static)
  for (ptrdiff_t shard = 0; shard < shards_of(shape); shard++)
    memset(sum + shard * count, 0, sizeof(float) * (size_t)count);
}

/* The shard of a layer's block. Layers take turns where they have few blocks. */
static ptrdiff_t shard_of(ptrdiff_t shards, ptrdiff_t blocks, ptrdiff_t layer, ptrdiff_t block) {
  ptrdiff_t beside = blocks < shards ? blocks : shards;
  return layer % (shards / beside) * beside + block * beside / blocks;
}

void willis_conv3d_avx2_backward_weight_add(const struct willis_conv3d_shape *shape,
                                            struct willis_conv3d_planes x,
                                            struct willis_conv3d_planes d_y, ptrdiff_t begin,
                                            ptrdiff_t end, float *sum, void *scratch) {
  struct willis_extent e = shape->extent;
  ptrdiff_t inputs = shape->inputs, outputs = shape->outputs;
  if (d_y.end > end) d_y.end = end; /* a last tile reaches beyond the slab: not its share */
  struct slab slab = {.x = {x, e.height, e.width, inputs},
                      .d_y = {d_y, e.height, e.width, outputs},
                      .grid = tile_grid_of(e, begin, end)};
  ptrdiff_t tiles = slab.grid.rows * slab.grid.columns, blocks = (tiles + BLOCK - 1) / BLOCK;
  ptrdiff_t above = begin / TILE; /* layers before this slab */
  ptrdiff_t shards = shards_of(shape), count = willis_conv3d_avx2_packed_count(shape);
  const bool wide = willis_cpu_features() & WILLIS_CPU_AVX512;
#pragma omp parallel for schedule(dynamic, 1)
  for (ptrdiff_t shard = 0; shard < shards; shard++) {
    float *v = (float *)scratch + omp_get_thread_num() * block_count(shape);
    ptrdiff_t last = -1, all = slab.grid.layers * blocks;
    for (ptrdiff_t n = 0; n <= all; n++) {
      if (n < all && shard_of(shards, blocks, above + n / blocks, n % blocks) != shard) continue;
      if (last >= 0)
        (wide ? willis_conv3d_weight_block_avx512
              : conv3d_weight_block)(&slab, tile_block_of(&slab.grid, blocks, last),
                                     tile_block_of(&slab.grid, blocks, n), sum + shard * count, v);
      last = n;
    }
  }
}

/* The shards added up, then Gᵀ along z, y, x for one input and GROUP outputs; in double, for sums
 * of whole volumes come in. */
static void inverse_transform(const float *sum, ptrdiff_t shards, ptrdiff_t frequency_stride,
                              double taps[WILLIS_CONV3D_TAPS][GROUP]) {
  double a[3 * PATCH * PATCH][GROUP] = {{0}}, b[9 * PATCH][GROUP] = {{0}};
  double total[FREQUENCIES][GROUP] = {{0}};
  for (ptrdiff_t s = 0; s < shards; s++)
    for (ptrdiff_t f = 0; f < FREQUENCIES; f++)
      for (int c = 0; c < GROUP; c++)
        total[f][c] += (double)sum[(s * FREQUENCIES + f) * frequency_stride + c];
  for (int f = 0; f < PATCH; f++)
    for (int k = 0; k < 3; k++)
      for (int r = 0; r < PATCH * PATCH; r++)
        for (int c = 0; c < GROUP; c++)
          a[k * PATCH * PATCH + r][c] += winograd_g[f][k] * total[f * PATCH * PATCH + r][c];
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
    inverse_transform(sum + pair, shards_of(shape), pairs, taps);
    for (int c = 0; c < GROUP; c++)
      for (int k = 0; k < WILLIS_CONV3D_TAPS; k++)
        d_weight[((o + c) * inputs + i) * WILLIS_CONV3D_TAPS + k] = (float)taps[k][c];
  }
}
