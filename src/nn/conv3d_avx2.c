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

#include "base/parallel.h"
#include "nn/winograd_tile_avx2.h"

#include <omp.h>

enum {
  BLOCK = 12,     /* tiles: V of 32 channels and M of SPAN are 0.5 MB */
  SPAN = GROUP,   /* outputs */
  PART = 64,      /* inputs */
  STAGGER = GROUP /* keeps the frequencies off the same cache sets */
};

bool willis_conv3d_avx2_fits(const struct willis_conv3d_shape *shape) {
  return shape->inputs > 0 && shape->outputs > 0 && shape->inputs % GROUP == 0 &&
         shape->outputs % GROUP == 0;
}

ptrdiff_t willis_conv3d_avx2_packed_count(const struct willis_conv3d_shape *shape) {
  return (ptrdiff_t)FREQUENCIES * shape->inputs * shape->outputs;
}

static ptrdiff_t least(ptrdiff_t a, ptrdiff_t b) {
  return a < b ? a : b;
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

/* m[t][0..GROUP) = Σ_i v[t][i]·u[i][0..GROUP) for `rows` tiles t. Long sums are made of parts of
 * PART terms, which halves their rounding error at 128 inputs. */
WINOGRAD_INLINE void multiply_rows(int rows, const float *v, ptrdiff_t inputs, const float *u,
                                   float *m, ptrdiff_t m_stride) {
  for (ptrdiff_t part = 0; part < inputs; part += PART) {
    ptrdiff_t end = least(inputs, part + PART);
    __m256 sum[ROWS][2];
    for (int r = 0; r < rows; r++) sum[r][0] = sum[r][1] = _mm256_setzero_ps();
    _Pragma("GCC unroll 8") for (ptrdiff_t i = part; i < end; i++) {
      __m256 u0 = _mm256_load_ps(u + i * GROUP), u1 = _mm256_load_ps(u + i * GROUP + 8);
      _Pragma("GCC unroll 6") for (int r = 0; r < rows; r++) {
        __m256 a = _mm256_broadcast_ss(v + r * inputs + i);
        sum[r][0] = _mm256_fmadd_ps(a, u0, sum[r][0]);
        sum[r][1] = _mm256_fmadd_ps(a, u1, sum[r][1]);
      }
    }
    _Pragma("GCC unroll 6") for (int r = 0; r < rows; r++) {
      float *to = m + r * m_stride;
      if (part) {
        sum[r][0] = _mm256_add_ps(_mm256_load_ps(to), sum[r][0]);
        sum[r][1] = _mm256_add_ps(_mm256_load_ps(to + 8), sum[r][1]);
      }
      _mm256_store_ps(to, sum[r][0]);
      _mm256_store_ps(to + 8, sum[r][1]);
    }
  }
}

static void multiply(ptrdiff_t tiles, const float *v, ptrdiff_t inputs, const float *u, float *m,
                     ptrdiff_t m_stride) {
  for (; tiles >= ROWS; tiles -= ROWS, v += ROWS * inputs, m += ROWS * m_stride)
    multiply_rows(ROWS, v, inputs, u, m, m_stride);
  switch (tiles) {
  case 5:
    multiply_rows(5, v, inputs, u, m, m_stride);
    break;
  case 4:
    multiply_rows(4, v, inputs, u, m, m_stride);
    break;
  case 3:
    multiply_rows(3, v, inputs, u, m, m_stride);
    break;
  case 2:
    multiply_rows(2, v, inputs, u, m, m_stride);
    break;
  case 1:
    multiply_rows(1, v, inputs, u, m, m_stride);
    break;
  default:
    break;
  }
}

/* What a pass over the tiles needs to know. */
struct pass {
  struct tile_source source;
  struct tile_grid grid;
  ptrdiff_t inputs, outputs;
  const float *packed, *bias;
  float *y; /* planes [grid.begin, grid.end); or null */
  const struct willis_conv3d_pooled *pooled;
};

/* A finished tile: 4×4×4 pixels of GROUP channels at (z, y, x), and how much of it is inside. */
struct finished {
  float value[TILE][TILE][TILE][GROUP];
  ptrdiff_t z, y, x, depth, height, width, channel;
};

/* Sums of one tile in single precision, of tiles in double. */
static void add_sums(const struct finished *tile, double *sum, double *square) {
  for (int half = 0; half < GROUP; half += 8) {
    __m256 s = _mm256_setzero_ps(), q = _mm256_setzero_ps();
    for (ptrdiff_t i = 0; i < tile->depth; i++)
      for (ptrdiff_t j = 0; j < tile->height; j++)
        for (ptrdiff_t k = 0; k < tile->width; k++) {
          __m256 v = _mm256_load_ps(tile->value[i][j][k] + half);
          s = _mm256_add_ps(s, v);
          q = _mm256_fmadd_ps(v, v, q);
        }
    for (int c = 0; c < 8; c++) {
      sum[half + c] += (double)s[c];
      square[half + c] += (double)q[c];
    }
  }
}

static void add_bias(struct finished *tile, const float *bias) {
  __m256 b0 = _mm256_loadu_ps(bias + tile->channel), b1 = _mm256_loadu_ps(bias + tile->channel + 8);
  float *pixel = &tile->value[0][0][0][0];
  for (int i = 0; i < TILE * TILE * TILE; i++, pixel += GROUP) {
    _mm256_store_ps(pixel, _mm256_add_ps(_mm256_load_ps(pixel), b0));
    _mm256_store_ps(pixel + 8, _mm256_add_ps(_mm256_load_ps(pixel + 8), b1));
  }
}

static void store_tile(const struct pass *p, const struct finished *tile) {
  ptrdiff_t height = p->source.height, width = p->source.width;
  for (ptrdiff_t i = 0; i < tile->depth; i++)
    for (ptrdiff_t j = 0; j < tile->height; j++) {
      ptrdiff_t line = (tile->z + i - p->grid.begin) * height + tile->y + j;
      float *to = p->y + (line * width + tile->x) * p->outputs + tile->channel;
      for (ptrdiff_t k = 0; k < tile->width; k++, to += p->outputs) {
        const float *from = tile->value[i][j][k];
        _mm256_stream_ps(to, _mm256_load_ps(from));
        _mm256_stream_ps(to + 8, _mm256_load_ps(from + 8));
      }
    }
}

/* Extreme and its position of 8 channels of the window at (i, j, k) of the tile. `flip` holds the
 * sign bit of channels whose minimum is wanted. A NaN shows in the sums. */
WINOGRAD_INLINE __m256 window_extreme(const struct finished *tile, ptrdiff_t i, ptrdiff_t j,
                                      ptrdiff_t k, int half, __m256 flip, __m256i *position) {
  __m256 best = _mm256_xor_ps(_mm256_load_ps(tile->value[i][j][k] + half), flip);
  __m256 where = _mm256_setzero_ps();
  _Pragma("GCC unroll 8") for (int n = 1; n < 8; n++) {
    const float *from = tile->value[i + (n >> 2)][j + (n >> 1 & 1)][k + (n & 1)] + half;
    __m256 v = _mm256_xor_ps(_mm256_load_ps(from), flip);
    __m256 more = _mm256_cmp_ps(v, best, _CMP_GT_OQ);
    best = _mm256_blendv_ps(best, v, more);
    where = _mm256_blendv_ps(where, _mm256_castsi256_ps(_mm256_set1_epi32(n)), more);
  }
  *position = _mm256_castps_si256(where);
  return _mm256_xor_ps(best, flip);
}

static void pool_tile(const struct pass *p, const struct finished *tile) {
  const struct willis_conv3d_pooled *pooled = p->pooled;
  ptrdiff_t height = p->source.height / 2, width = p->source.width / 2;
  __m256 zero = _mm256_setzero_ps(), sign_bit = _mm256_set1_ps(-0.0f), flip[2];
  for (int h = 0; h < 2; h++) {
    __m256 sign = _mm256_loadu_ps(pooled->sign + tile->channel + 8 * h);
    flip[h] = _mm256_and_ps(_mm256_cmp_ps(sign, zero, _CMP_LT_OQ), sign_bit);
  }
  for (ptrdiff_t i = 0; i < tile->depth; i += 2)
    for (ptrdiff_t j = 0; j < tile->height; j += 2)
      for (ptrdiff_t k = 0; k < tile->width; k += 2) {
        ptrdiff_t line = (tile->z + i - p->grid.begin) / 2 * height + (tile->y + j) / 2;
        ptrdiff_t at = (line * width + (tile->x + k) / 2) * p->outputs + tile->channel;
        __m256i position[2];
        for (int h = 0; h < 2; h++)
          _mm256_storeu_ps(pooled->extreme + at + 8 * h,
                           window_extreme(tile, i, j, k, 8 * h, flip[h], &position[h]));
        /* 16 integers to bytes: packs work in lanes, so the middle quarters change places. */
        __m256i words =
            _mm256_permute4x64_epi64(_mm256_packus_epi32(position[0], position[1]), 0xd8);
        _mm_storeu_si128(
            (__m128i *)(pooled->argmax + at),
            _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
      }
}

static void finish_tile(const struct pass *p, const float *m, ptrdiff_t frequency_stride,
                        ptrdiff_t z, ptrdiff_t y, ptrdiff_t x, ptrdiff_t channel, double *sums) {
  _Alignas(64) struct finished tile;
  tile.z = z, tile.y = y, tile.x = x, tile.channel = channel;
  tile.depth = least(TILE, p->grid.end - z);
  tile.height = least(TILE, p->source.height - y);
  tile.width = least(TILE, p->source.width - x);
  tile_output(m, frequency_stride, &tile.value[0][0][0][0]);
  if (sums) add_sums(&tile, sums + channel, sums + p->outputs + channel);
  if (p->bias) add_bias(&tile, p->bias);
  if (p->y) store_tile(p, &tile);
  if (p->pooled) pool_tile(p, &tile);
}

/* Puts out a block and meanwhile asks for the voxels of one to come. */
static void run_block(const struct pass *p, struct tile_block block, struct tile_block next,
                      double *sums, float *v) {
  ptrdiff_t first = block.first, last = block.last;
  ptrdiff_t v_stride = BLOCK * p->inputs + STAGGER;
  float *m = v + FREQUENCIES * v_stride;
  ptrdiff_t z = p->grid.begin + block.layer * TILE, columns = p->grid.columns;
  for (ptrdiff_t t = first; t < last; t++)
    for (ptrdiff_t c = 0; c < p->inputs; c += GROUP)
      tile_input(&p->source, z - 1, t / columns * TILE - 1, t % columns * TILE - 1, c,
                 v + (t - first) * p->inputs + c, v_stride);
  if (sums) memset(sums, 0, sizeof(double) * 2 * (size_t)p->outputs);
  for (ptrdiff_t span = 0; span < p->outputs; span += SPAN) {
    ptrdiff_t width = least(SPAN, p->outputs - span), m_stride = BLOCK * width + STAGGER;
    const float *u = p->packed + span * FREQUENCIES * p->inputs;
    for (ptrdiff_t f = 0; f < FREQUENCIES; f++) {
      if (!span) tile_fetch(&p->source, &p->grid, &next, f, 1);
      for (ptrdiff_t o = 0; o < width; o += GROUP, u += GROUP * p->inputs)
        multiply(last - first, v + f * v_stride, p->inputs, u, m + f * m_stride + o, width);
    }
    for (ptrdiff_t t = first; t < last; t++)
      for (ptrdiff_t o = 0; o < width; o += GROUP)
        finish_tile(p, m + (t - first) * width + o, m_stride, z, t / columns * TILE,
                    t % columns * TILE, span + o, sums);
  }
  _mm_sfence(); /* the streamed tiles are seen by whoever waits for this thread */
}

static ptrdiff_t blocks_of(const struct tile_grid *grid) {
  return (grid->rows * grid->columns + BLOCK - 1) / BLOCK;
}

static void run(struct pass *p, void *scratch) {
  ptrdiff_t blocks = blocks_of(&p->grid);
  ptrdiff_t jobs = p->grid.layers * blocks, outputs = p->outputs;
  ptrdiff_t count = block_count(p->inputs, outputs);
  double *partial = p->pooled && p->pooled->sum ? scratch : NULL;
  float *free_scratch = (float *)scratch + (partial ? partial_count(jobs, outputs) : 0);
#pragma omp parallel for schedule(dynamic, 1)
  for (ptrdiff_t job = 0; job < jobs; job++) {
    run_block(p, tile_block_of(&p->grid, blocks, job),
              tile_block_of(&p->grid, blocks, job + omp_get_num_threads()),
              partial ? partial + job * 2 * outputs : NULL,
              free_scratch + omp_get_thread_num() * count);
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
