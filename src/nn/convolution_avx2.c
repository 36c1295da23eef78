/* Convolution as matrix products of gathered patches (one row an output voxel, one column a tap and
 * an input channel), on AVX2 and FMA.
 *
 * Forward and data gradient are the same walk over a lattice of rows: row r of the lattice reads
 * source voxels step·r + offset[tap] and writes one voxel. Forward is one lattice; the data
 * gradient of stride s is s³ of them, one for each residue of the voxel's place, since only the
 * taps of that residue reach it. So every voxel is written once, by one thread, and nothing is
 * scattered. */
#include "nn/convolution.h"

#include "base/cpu.h"
#include "base/parallel.h"
#include "nn/conv3d_avx2.h"
#include "nn/gemm_avx2.h"

#include <omp.h>
#include <string.h>

enum {
  PANEL = WILLIS_GEMM_PANEL,
  HALF = 8,
  ROWS = 96,
  TAPS_MOST = 64,
  INPUTS_STEP = 8,
  SHARDS = 4
};

static ptrdiff_t up(ptrdiff_t n, ptrdiff_t step) {
  return (n + step - 1) / step * step;
}

/* Columns of a product with so many channels: half a panel has kernels of its own. */
static int columns_of(int channels) {
  return channels <= HALF ? HALF : (int)up(channels, PANEL);
}

struct lattice {
  ptrdiff_t source[3], rows[3], target[3]; /* edges */
  int channels;                            /* of the source */
  int step[3];
  /* Taps that are neighbours along x in the source are one line of it. */
  int lines, run, offset[TAPS_MOST][3]; /* taps of a line; of its first */
  int tap[TAPS_MOST];                   /* which of the kernel, [lines][run] */
  int target_step[3], target_first[3];
};

static ptrdiff_t row_count(const struct lattice *l) {
  return l->rows[0] * l->rows[1] * l->rows[2];
}

static void edges(struct willis_extent e, ptrdiff_t edge[3]) {
  edge[0] = e.depth;
  edge[1] = e.height;
  edge[2] = e.width;
}

static void forward_lattice(const struct willis_convolution *c, struct lattice *l) {
  const struct willis_stencil *w = &c->stencil;
  *l = (struct lattice){.channels = c->inputs, .run = w->kernel[2], .target_step = {1, 1, 1}};
  edges(c->extent, l->source);
  edges(willis_convolution_extent(c), l->rows);
  edges(willis_convolution_extent(c), l->target);
  memcpy(l->step, w->stride, sizeof l->step);
  for (int z = 0; z < w->kernel[0]; z++)
    for (int y = 0; y < w->kernel[1]; y++, l->lines++) {
      int *offset = l->offset[l->lines];
      offset[0] = z - w->pad[0];
      offset[1] = y - w->pad[1];
      offset[2] = -w->pad[2];
    }
  for (int t = 0; t < l->lines * l->run; t++) l->tap[t] = t;
}

/* The voxels of x with residue `residue` of (place + pad) by the stride. */
static void backward_lattice(const struct willis_convolution *c, const int residue[3],
                             struct lattice *l) {
  const struct willis_stencil *w = &c->stencil;
  *l = (struct lattice){.channels = c->outputs, .step = {1, 1, 1}};
  edges(willis_convolution_extent(c), l->source);
  edges(c->extent, l->target);
  int shift[3], taps[3]; /* the output that tap `residue` belongs to; taps along each edge */
  for (int d = 0; d < 3; d++) {
    const int s = w->stride[d], first = ((residue[d] - w->pad[d]) % s + s) % s;
    l->target_first[d] = first;
    l->target_step[d] = s;
    l->rows[d] = l->target[d] > first ? (l->target[d] - first - 1) / s + 1 : 0;
    shift[d] = (first + w->pad[d] - residue[d]) / s;
    taps[d] = w->kernel[d] > residue[d] ? (w->kernel[d] - residue[d] - 1) / s + 1 : 0;
  }
  l->run = taps[2];
  /* A later tap belongs to an earlier output: backwards along x, the source goes forwards. */
  for (int z = 0; z < taps[0]; z++)
    for (int y = 0; y < taps[1]; y++, l->lines++) {
      int *offset = l->offset[l->lines], *tap = l->tap + l->lines * l->run;
      offset[0] = shift[0] - z;
      offset[1] = shift[1] - y;
      offset[2] = shift[2] - (taps[2] - 1);
      const int kz = residue[0] + z * w->stride[0], ky = residue[1] + y * w->stride[1];
      for (int x = 0; x < l->run; x++)
        tap[x] =
            (kz * w->kernel[1] + ky) * w->kernel[2] + residue[2] + (taps[2] - 1 - x) * w->stride[2];
    }
}

static void place(const struct lattice *l, ptrdiff_t row, ptrdiff_t at[3]) {
  at[0] = row / (l->rows[1] * l->rows[2]);
  at[1] = row / l->rows[2] % l->rows[1];
  at[2] = row % l->rows[2];
}

/* One line of a patch; what lies outside the source is zero. */
static void gather_line(const struct lattice *l, const float *row, ptrdiff_t x, float *to) {
  const ptrdiff_t before = x < 0 ? (-x < l->run ? -x : l->run) : 0;
  const ptrdiff_t end = x + l->run > l->source[2] ? l->source[2] - x : l->run;
  const ptrdiff_t inside = end > before ? end - before : 0, c = l->channels;
  memset(to, 0, (size_t)(before * c) * sizeof *to);
  if (inside) memcpy(to + before * c, row + (x + before) * c, (size_t)(inside * c) * sizeof *to);
  memset(to + (before + inside) * c, 0, (size_t)((l->run - before - inside) * c) * sizeof *to);
}

/* patch[r][tap][channel] of rows [first, first + count), rows `stride` floats apart. */
static void gather(const struct lattice *l, const float *source, ptrdiff_t first, int count,
                   float *patch, ptrdiff_t stride) {
  const ptrdiff_t length = (ptrdiff_t)l->run * l->channels;
  for (int r = 0; r < count; r++) {
    ptrdiff_t at[3];
    place(l, first + r, at);
    float *to = patch + r * stride;
    for (int n = 0; n < l->lines; n++, to += length) {
      const ptrdiff_t z = at[0] * l->step[0] + l->offset[n][0],
                      y = at[1] * l->step[1] + l->offset[n][1],
                      x = at[2] * l->step[2] + l->offset[n][2];
      if (z < 0 || z >= l->source[0] || y < 0 || y >= l->source[1])
        memset(to, 0, (size_t)length * sizeof *to);
      else
        gather_line(l, source + (z * l->source[1] + y) * l->source[2] * l->channels, x, to);
    }
  }
}

static void put(const struct lattice *l, const float *product, ptrdiff_t product_stride,
                ptrdiff_t first, int count, int channels, float *target) {
  for (int r = 0; r < count; r++) {
    ptrdiff_t at[3], index = 0;
    place(l, first + r, at);
    for (int d = 0; d < 3; d++)
      index = index * l->target[d] + at[d] * l->target_step[d] + l->target_first[d];
    memcpy(target + index * channels, product + r * product_stride,
           (size_t)channels * sizeof *product);
  }
}

/* ---- scratch: [packed weights][start][each thread: patch, product] ---- */

static ptrdiff_t most(ptrdiff_t a, ptrdiff_t b) {
  return a > b ? a : b;
}

static ptrdiff_t widest(const struct willis_convolution *c) {
  return most(c->inputs, c->outputs);
}

/* Floats of weights as panels of either direction, of the zeros that sums start with, of one
 * thread's rows, and of one shard of the weight gradient. */
static ptrdiff_t packed_count(const struct willis_convolution *c) {
  return willis_stencil_taps(&c->stencil) * widest(c) * up(widest(c), PANEL);
}
static ptrdiff_t thread_count(const struct willis_convolution *c) {
  return ROWS * (up(willis_stencil_taps(&c->stencil) * widest(c), PANEL) + up(widest(c), PANEL));
}
static ptrdiff_t shard_count(const struct willis_convolution *c) {
  return up((ptrdiff_t)willis_stencil_taps(&c->stencil) * c->inputs, INPUTS_STEP) *
         up(c->outputs, PANEL);
}

static size_t patches_scratch_bytes(const struct willis_convolution *c) {
  const ptrdiff_t threads = willis_parallel_threads();
  const ptrdiff_t held = most(packed_count(c) + up(widest(c), PANEL), SHARDS * shard_count(c));
  return (size_t)(held + threads * thread_count(c)) * sizeof(float);
}

static bool patches_fits(const struct willis_convolution *c) {
  return willis_stencil_taps(&c->stencil) <= TAPS_MOST;
}

/* weight[c][i][k] as panels over the target's channels: packed[panel][tap][source channel][16]. */
static void pack(const struct willis_convolution *c, const struct lattice *l, bool forward,
                 const float *weight, float *packed) {
  const int taps = willis_stencil_taps(&c->stencil), targets = forward ? c->outputs : c->inputs;
  const int columns = columns_of(targets), panel = columns < PANEL ? columns : PANEL;
  const ptrdiff_t depth = (ptrdiff_t)l->lines * l->run * l->channels;
#pragma omp parallel for schedule(static)
  for (ptrdiff_t column = 0; column < columns; column++) {
    float *to = packed + column / panel * panel * depth + column % panel;
    for (int t = 0; t < l->lines * l->run; t++)
      for (int s = 0; s < l->channels; s++, to += panel) {
        const ptrdiff_t o = forward ? column : s, i = forward ? s : column;
        *to = column < targets ? weight[(o * c->inputs + i) * taps + l->tap[t]] : 0;
      }
  }
}

/* One lattice: every row's patch times the packed weights. */
static void multiply(const struct willis_convolution *c, const struct lattice *l, bool forward,
                     const float *source, const float *weight, float *target, float *scratch) {
  const int targets = forward ? c->outputs : c->inputs, columns = columns_of(targets);
  const int depth = l->lines * l->run * l->channels;
  float *packed = scratch, *start = packed + packed_count(c);
  float *each = start + up(widest(c), PANEL);
  const ptrdiff_t rows = row_count(l), own = thread_count(c);
  memset(start, 0, (size_t)columns * sizeof *start);
  pack(c, l, forward, weight, packed);
#pragma omp parallel
  {
    float *patch = each + omp_get_thread_num() * own;
    float *product = patch + ROWS * up((ptrdiff_t)depth, PANEL);
#pragma omp for schedule(dynamic, 1)
    for (ptrdiff_t first = 0; first < rows; first += ROWS) {
      int count = rows - first < ROWS ? (int)(rows - first) : ROWS;
      gather(l, source, first, count, patch, depth);
      if (columns == HALF)
        willis_gemm8_avx2(count, patch, depth, depth, packed, start, product);
      else
        willis_gemm()->product(count, patch, depth, depth, packed, start, columns, product,
                               columns);
      put(l, product, columns, first, count, targets, target);
    }
  }
}

static void patches_forward(const struct willis_convolution *c, const float *x, const float *weight,
                            float *y, void *scratch) {
  struct lattice l;
  forward_lattice(c, &l);
  multiply(c, &l, true, x, weight, y, scratch);
}

static void patches_backward_data(const struct willis_convolution *c, const float *d_y,
                                  const float *weight, float *d_x, void *scratch) {
  const int *s = c->stencil.stride;
  for (int r = 0; r < s[0] * s[1] * s[2]; r++) {
    const int residue[3] = {r / (s[1] * s[2]), r / s[2] % s[1], r % s[2]};
    struct lattice l;
    backward_lattice(c, residue, &l);
    /* Without a tap (stride > kernel) the product of nothing is zero, as it should be. */
    multiply(c, &l, false, d_y, weight, d_x, scratch);
  }
}

/* Shard s takes chunks s, s + SHARDS, …, whoever computes it; then the shards are added in order.
 */
static void patches_backward_weight(const struct willis_convolution *c, const float *x,
                                    const float *d_y, float *d_weight, void *scratch) {
  struct lattice l;
  forward_lattice(c, &l);
  const int taps = willis_stencil_taps(&c->stencil), depth = taps * c->inputs;
  const int padded = (int)up(depth, INPUTS_STEP), columns = columns_of(c->outputs);
  const ptrdiff_t rows = row_count(&l), own = thread_count(c), shard = shard_count(c);
  const ptrdiff_t chunks = (rows + ROWS - 1) / ROWS;
  const int shards = chunks < SHARDS ? (int)chunks : SHARDS;
  float *sum = scratch, *each = sum + SHARDS * shard;
#pragma omp parallel for schedule(static, 1)
  for (int s = 0; s < shards; s++) {
    float *patch = each + omp_get_thread_num() * own;
    float *right = patch + ROWS * up((ptrdiff_t)depth, PANEL);
    memset(sum + s * shard, 0, (size_t)shard * sizeof *sum);
    memset(patch, 0, (size_t)own * sizeof *patch);
    for (ptrdiff_t chunk = s; chunk < chunks; chunk += SHARDS) {
      const ptrdiff_t first = chunk * ROWS;
      int count = rows - first < ROWS ? (int)(rows - first) : ROWS;
      gather(&l, x, first, count, patch, padded);
      for (int r = 0; r < count; r++)
        memcpy(right + r * columns, d_y + (first + r) * c->outputs,
               (size_t)c->outputs * sizeof *right);
      if (columns == HALF)
        willis_gemm8_transposed_avx2(count, patch, padded, padded, right, sum + s * shard);
      else
        willis_gemm()->transposed(count, patch, padded, padded, right, columns, columns,
                                  sum + s * shard);
    }
  }
#pragma omp parallel for schedule(static)
  for (int o = 0; o < c->outputs; o++)
    for (int i = 0; i < c->inputs; i++)
      for (int k = 0; k < taps; k++) {
        float total = 0;
        for (int s = 0; s < shards; s++)
          total += sum[s * shard + (ptrdiff_t)(k * c->inputs + i) * columns + o];
        d_weight[((ptrdiff_t)o * c->inputs + i) * taps + k] = total;
      }
}

const struct willis_convolution_variant willis_convolution_patches_avx2 = {
    .name = "patches, AVX2",
    .features = WILLIS_CPU_AVX2,
    .fits = patches_fits,
    .scratch_bytes = patches_scratch_bytes,
    .forward = patches_forward,
    .backward_data = patches_backward_data,
    .backward_weight = patches_backward_weight,
};

/* ---- 3×3×3, stride 1, padding 1 ---- */

static struct willis_conv3d_shape shape_of(const struct willis_convolution *c) {
  return (struct willis_conv3d_shape){c->extent, c->inputs, c->outputs};
}

static bool winograd_fits(const struct willis_convolution *c) {
  const struct willis_conv3d_shape shape = shape_of(c);
  for (int d = 0; d < 3; d++)
    if (c->stencil.kernel[d] != 3 || c->stencil.stride[d] != 1 || c->stencil.pad[d] != 1)
      return false;
  return willis_conv3d_avx2_fits(&shape);
}

static size_t winograd_scratch_bytes(const struct willis_convolution *c) {
  const struct willis_conv3d_shape shape = shape_of(c);
  const ptrdiff_t packed =
      most(willis_conv3d_avx2_packed_count(&shape), willis_conv3d_avx2_sum_count(&shape));
  return (size_t)up(packed, PANEL) * sizeof(float) + (size_t)up(c->outputs, PANEL) * sizeof(float) +
         willis_conv3d_avx2_scratch_bytes(&shape, c->extent.depth);
}

/* Scratch: [packed weights or sums][zero bias][of the kernels]. */
struct winograd {
  struct willis_conv3d_shape shape;
  float *packed, *bias;
  void *inner;
};

static struct winograd split(const struct willis_convolution *c, void *scratch) {
  struct winograd w = {.shape = shape_of(c), .packed = scratch};
  const ptrdiff_t packed =
      most(willis_conv3d_avx2_packed_count(&w.shape), willis_conv3d_avx2_sum_count(&w.shape));
  w.bias = w.packed + up(packed, PANEL);
  w.inner = w.bias + up(c->outputs, PANEL);
  memset(w.bias, 0, (size_t)up(c->outputs, PANEL) * sizeof *w.bias);
  return w;
}

static struct willis_conv3d_planes whole(const struct willis_convolution *c, const float *data) {
  return (struct willis_conv3d_planes){.data = data, .begin = 0, .end = c->extent.depth};
}

static void winograd_forward(const struct willis_convolution *c, const float *x,
                             const float *weight, float *y, void *scratch) {
  struct winograd w = split(c, scratch);
  willis_conv3d_avx2_pack_forward(&w.shape, weight, w.packed);
  willis_conv3d_avx2_forward(&w.shape, whole(c, x), w.packed, w.bias, 0, c->extent.depth, y, NULL,
                             w.inner);
}

static void winograd_backward_data(const struct willis_convolution *c, const float *d_y,
                                   const float *weight, float *d_x, void *scratch) {
  struct winograd w = split(c, scratch);
  willis_conv3d_avx2_pack_backward(&w.shape, weight, w.packed);
  willis_conv3d_avx2_backward_data(&w.shape, whole(c, d_y), w.packed, 0, c->extent.depth, d_x,
                                   w.inner);
}

static void winograd_backward_weight(const struct willis_convolution *c, const float *x,
                                     const float *d_y, float *d_weight, void *scratch) {
  struct winograd w = split(c, scratch);
  willis_conv3d_avx2_backward_weight_start(&w.shape, w.packed);
  willis_conv3d_avx2_backward_weight_add(&w.shape, whole(c, x), whole(c, d_y), 0, c->extent.depth,
                                         w.packed, w.inner);
  willis_conv3d_avx2_backward_weight_finish(&w.shape, w.packed, d_weight);
}

const struct willis_convolution_variant willis_convolution_winograd_avx2 = {
    .name = "Winograd, AVX2",
    .features = WILLIS_CPU_AVX2,
    .fits = winograd_fits,
    .scratch_bytes = winograd_scratch_bytes,
    .forward = winograd_forward,
    .backward_data = winograd_backward_data,
    .backward_weight = winograd_backward_weight,
};
