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

#include "base/parallel.h"
#include "nn/winograd_tile_avx2.h"

#include <omp.h>

enum {
  BLOCK = 24, /* tiles */
  MOST_SHARDS = 8,
  SHARD = 128,    /* tiles that are worth sums of their own */
  FETCHED = 4096, /* products of channels up to which fetching ahead pays: the sums of wider layers
                     are too large for the second-level cache and need the memory themselves */
  STAGGER = GROUP /* keeps the frequencies off the same cache sets */
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

/* sum[i][0..GROUP) += Σ_t v[t][i]·g[t][0..GROUP) for `rows` inputs i; the block is summed first,
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

/* What to take the tiles from. */
struct slab {
  struct tile_source x, d_y;
  struct tile_grid grid;
};

/* The shard of a layer's block. Layers take turns where they have few blocks. */
static ptrdiff_t shard_of(ptrdiff_t shards, ptrdiff_t blocks, ptrdiff_t layer, ptrdiff_t block) {
  ptrdiff_t beside = blocks < shards ? blocks : shards;
  return layer % (shards / beside) * beside + block * beside / blocks;
}

/* Adds a block and meanwhile asks for the voxels of the one that this thread takes next. */
static void add_block(const struct slab *s, struct tile_block block, struct tile_block next,
                      float *sum, float *v) {
  ptrdiff_t inputs = s->x.channels, outputs = s->d_y.channels, columns = s->grid.columns;
  ptrdiff_t v_stride = BLOCK * inputs + STAGGER, g_stride = BLOCK * outputs + STAGGER;
  ptrdiff_t z = s->grid.begin + block.layer * TILE, first = block.first, last = block.last;
  float *g = v + FREQUENCIES * v_stride;
  for (ptrdiff_t t = first; t < last; t++)
    for (ptrdiff_t c = 0; c < inputs; c += GROUP)
      tile_input(&s->x, z - 1, t / columns * TILE - 1, t % columns * TILE - 1, c,
                 v + (t - first) * inputs + c, v_stride);
  for (ptrdiff_t t = first; t < last; t++)
    for (ptrdiff_t c = 0; c < outputs; c += GROUP)
      tile_gradient(&s->d_y, z, t / columns * TILE, t % columns * TILE, c,
                    g + (t - first) * outputs + c, g_stride);
  for (ptrdiff_t f = 0; f < FREQUENCIES; f++) {
    if (inputs * outputs <= FETCHED) {
      tile_fetch(&s->x, &s->grid, &next, f, 1);
      tile_fetch(&s->d_y, &s->grid, &next, f, 0);
    }
    accumulate(last - first, v + f * v_stride, inputs, g + f * g_stride, outputs,
               sum + f * inputs * outputs);
  }
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
#pragma omp parallel for schedule(dynamic, 1)
  for (ptrdiff_t shard = 0; shard < shards; shard++) {
    float *v = (float *)scratch + omp_get_thread_num() * block_count(shape);
    ptrdiff_t last = -1, all = slab.grid.layers * blocks;
    for (ptrdiff_t n = 0; n <= all; n++) {
      if (n < all && shard_of(shards, blocks, above + n / blocks, n % blocks) != shard) continue;
      if (last >= 0)
        add_block(&slab, tile_block_of(&slab.grid, blocks, last),
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
