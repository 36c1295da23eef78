/* Tiles of a channels-last tensor into the transformed domain, GROUP channels at a time. */
#ifndef WILLIS_NN_WINOGRAD_TILE_AVX2_H
#define WILLIS_NN_WINOGRAD_TILE_AVX2_H

#include "nn/winograd_avx2.h"

#include "nn/conv3d_avx2.h"

#include <string.h>

/* A tensor to read tiles from; planes that it does not hold and voxels outside the volume are 0. */
struct tile_source {
  struct willis_conv3d_planes planes;
  ptrdiff_t height, width, channels;
};

/* Tiles of the planes [begin, end): layers along z, in a layer rows along y and columns along x. */
struct tile_grid {
  ptrdiff_t begin, end, layers, rows, columns;
};

WINOGRAD_INLINE struct tile_grid tile_grid_of(struct willis_extent e, ptrdiff_t begin,
                                              ptrdiff_t end) {
  return (struct tile_grid){begin, end, (end - begin + TILE - 1) / TILE,
                            (e.height + TILE - 1) / TILE, (e.width + TILE - 1) / TILE};
}

/* Tiles [first, last) of a layer, counted along its rows. */
struct tile_block {
  ptrdiff_t layer, first, last;
};

/* Block `number` of a grid whose layers are cut into `blocks` equal ones; empty beyond the grid. */
WINOGRAD_INLINE struct tile_block tile_block_of(const struct tile_grid *grid, ptrdiff_t blocks,
                                                ptrdiff_t number) {
  ptrdiff_t layer = number / blocks, block = number % blocks, tiles = grid->rows * grid->columns;
  if (layer >= grid->layers) return (struct tile_block){grid->layers, 0, 0};
  return (struct tile_block){layer, block * tiles / blocks, (block + 1) * tiles / blocks};
}

/* Asks memory for a FREQUENCIES-th of the voxels that a block brings, to be called for every
 * `frequency` while the block before it is multiplied: that takes long and leaves memory idle.
 * `halo`: 1 where patches are read, whose voxels reach one beyond the tile's, else 0. */
WINOGRAD_INLINE void tile_fetch(const struct tile_source *s, const struct tile_grid *grid,
                                const struct tile_block *block, ptrdiff_t frequency,
                                ptrdiff_t halo) {
  ptrdiff_t rows = (block->last - block->first) * TILE * TILE;
  ptrdiff_t end = rows * (frequency + 1) / FREQUENCIES;
  for (ptrdiff_t row = rows * frequency / FREQUENCIES; row < end; row++) {
    ptrdiff_t t = block->first + row / (TILE * TILE);
    ptrdiff_t z = grid->begin + block->layer * TILE + row / TILE % TILE + halo;
    ptrdiff_t y = t / grid->columns * TILE + row % TILE + halo;
    ptrdiff_t x = t % grid->columns * TILE + halo, width = s->width - x;
    if (z < s->planes.begin || z >= s->planes.end || y >= s->height) continue;
    const float *from =
        s->planes.data + (((z - s->planes.begin) * s->height + y) * s->width + x) * s->channels;
    for (ptrdiff_t i = 0; i < (width < TILE ? width : TILE) * s->channels; i += GROUP)
      _mm_prefetch(from + i, _MM_HINT_T1);
  }
}

/* `count` pixels, some of them perhaps outside, of a source with a scatter into `to`. */
WINOGRAD_INLINE void tile_scattered_row(const struct tile_source *s, ptrdiff_t z, ptrdiff_t y,
                                        ptrdiff_t x, ptrdiff_t channel, int count, float *to) {
  const struct willis_conv3d_scatter *scatter = s->planes.scatter;
  ptrdiff_t plane = z - s->planes.begin, channels = s->channels;
  const float *a = s->planes.data + (plane * s->height + y) * s->width * channels + channel;
  ptrdiff_t pooled = ((plane >> 1) * (s->height >> 1) + (y >> 1)) * (s->width >> 1) * channels;
  int position = (int)((z & 1) * 4 + (y & 1) * 2);
  for (int half = 0; half < GROUP; half += LANES) {
    lanes level = lanes_load_any(scatter->level + channel + half);
    lanes slope = lanes_load_any(scatter->slope + channel + half);
    for (int i = 0; i < count; i++) {
      ptrdiff_t at = x + i, window = pooled + (at >> 1) * channels + channel + half;
      lanes value = lanes_zero();
      if (at >= 0 && at < s->width) {
        value = lanes_fmadd(slope, lanes_load_any(a + at * channels + half), level);
        value =
            lanes_add(value, lanes_where_byte(scatter->argmax + window, position + (int)(at & 1),
                                              lanes_load_any(scatter->d_pooled + window)));
      }
      lanes_store(to + i * GROUP + half, value);
    }
  }
}

/* `count` pixels of GROUP channels from (z, y, x) on, some of them perhaps outside. Gives their
 * address and sets the stride between pixels; null for a row of zeros. `spare` has room for them.
 */
WINOGRAD_INLINE const float *tile_row(const struct tile_source *s, ptrdiff_t z, ptrdiff_t y,
                                      ptrdiff_t x, ptrdiff_t channel, int count, float *spare,
                                      ptrdiff_t *stride) {
  if (z < s->planes.begin || z >= s->planes.end || y < 0 || y >= s->height) return NULL;
  *stride = GROUP;
  if (s->planes.scatter) {
    tile_scattered_row(s, z, y, x, channel, count, spare);
    return spare;
  }
  const float *row =
      s->planes.data + ((z - s->planes.begin) * s->height + y) * s->width * s->channels + channel;
  if (x >= 0 && x + count <= s->width) {
    *stride = s->channels;
    return row + x * s->channels;
  }
  memset(spare, 0, sizeof(float) * (size_t)count * GROUP);
  for (int i = 0; i < count; i++)
    if (x + i >= 0 && x + i < s->width)
      memcpy(spare + i * GROUP, row + (x + i) * s->channels, sizeof(float) * GROUP);
  return spare;
}

WINOGRAD_INLINE void clear_pixels(float *to, int count) {
  for (int i = 0; i < count * GROUP; i += LANES) lanes_store(to + i, lanes_zero());
}

/* Bᵀ in three dimensions on the patch whose first voxel is (z, y, x): frequency f of channel c goes
 * to to[f·frequency_stride + c]. Fetches the next patch of the row early, and the lines that are
 * about to be written. */
WINOGRAD_INLINE void tile_input(const struct tile_source *s, ptrdiff_t z, ptrdiff_t y, ptrdiff_t x,
                                ptrdiff_t channel, float *to, ptrdiff_t frequency_stride) {
  enum { LINE = PATCH * GROUP, PLANE = PATCH * LINE };
  _Alignas(64) float t[PATCH * PLANE], spare[LINE];
  for (int i = 0; i < PATCH; i++) {
    for (int j = 0; j < PATCH; j++) {
      float *line = t + i * PLANE + j * LINE;
      ptrdiff_t stride = 0;
      const float *row = tile_row(s, z + i, y + j, x, channel, PATCH, spare, &stride);
      if (!row) {
        clear_pixels(line, PATCH);
        continue;
      }
      for (int k = 0; k < TILE; k++) _mm_prefetch(row + (PATCH + k) * stride, _MM_HINT_T0);
      winograd_input_pass(row, stride, line, GROUP);
    }
    for (int k = 0; k < PATCH; k++) {
      float *column = t + i * PLANE + k * GROUP;
      winograd_input_pass(column, LINE, column, LINE);
      for (int j = 0; j < PATCH; j++)
        __builtin_prefetch(to + ((i * PATCH + j) * PATCH + k) * frequency_stride, 1);
    }
  }
  for (int k = 0; k < PATCH * PATCH; k++)
    winograd_input_pass(t + k * GROUP, PLANE, to + k * frequency_stride,
                        PATCH * PATCH * frequency_stride);
}

/* Keeps a row of scattered pixels, as far as it is inside. */
WINOGRAD_INLINE void keep_row(const struct tile_source *s, ptrdiff_t z, ptrdiff_t y, ptrdiff_t x,
                              ptrdiff_t channel, const float *row) {
  float *to = s->planes.scatter->dense +
              (((z - s->planes.begin) * s->height + y) * s->width + x) * s->channels + channel;
  for (int k = 0; k < TILE && x + k < s->width; k++, to += s->channels, row += GROUP)
    for (int half = 0; half < GROUP; half += LANES)
      lanes_store_any(to + half, lanes_load(row + half));
}

/* A in three dimensions on the 4×4×4 tile at (z, y, x), laid out as by tile_input(). */
WINOGRAD_INLINE void tile_gradient(const struct tile_source *s, ptrdiff_t z, ptrdiff_t y,
                                   ptrdiff_t x, ptrdiff_t channel, float *to,
                                   ptrdiff_t frequency_stride) {
  enum { LINE = PATCH * GROUP, PLANE = PATCH * LINE, COLUMN = FREQUENCIES / (TILE * PATCH) };
  _Alignas(64) float t[TILE * PLANE], lines[TILE * LINE], spare[TILE * GROUP];
  for (int i = 0; i < TILE; i++) {
    for (int j = 0; j < TILE; j++) {
      ptrdiff_t stride = 0;
      const float *row = tile_row(s, z + i, y + j, x, channel, TILE, spare, &stride);
      if (!row) {
        clear_pixels(lines + j * LINE, PATCH);
        continue;
      }
      if (s->planes.scatter && s->planes.scatter->dense) keep_row(s, z + i, y + j, x, channel, row);
      for (int k = 0; k < TILE; k++) _mm_prefetch(row + (TILE + k) * stride, _MM_HINT_T0);
      winograd_gradient_pass(row, stride, lines + j * LINE, GROUP);
    }
    for (int k = 0; k < PATCH; k++) {
      winograd_gradient_pass(lines + k * GROUP, LINE, t + i * PLANE + k * GROUP, LINE);
      for (int j = 0; j < COLUMN; j++)
        __builtin_prefetch(to + ((i * PATCH + k) * COLUMN + j) * frequency_stride, 1);
    }
  }
  for (int k = 0; k < PATCH * PATCH; k++)
    winograd_gradient_pass(t + k * GROUP, PLANE, to + k * frequency_stride,
                           PATCH * PATCH * frequency_stride);
}

/* Aᵀ in three dimensions: 4×4×4 pixels of GROUP channels, to[((z·4 + y)·4 + x)·GROUP + c]. */
WINOGRAD_INLINE void tile_output(const float *from, ptrdiff_t frequency_stride, float *to) {
  enum { LINE = PATCH * GROUP, PLANE = PATCH * LINE };
  _Alignas(64) float t[TILE * PLANE], lines[TILE * LINE];
  for (int k = 0; k < PATCH * PATCH; k++)
    winograd_output_pass(from + k * frequency_stride, PATCH * PATCH * frequency_stride,
                         t + k * GROUP, PLANE);
  for (int i = 0; i < TILE; i++) {
    for (int k = 0; k < PATCH; k++)
      winograd_output_pass(t + i * PLANE + k * GROUP, LINE, lines + k * GROUP, LINE);
    for (int j = 0; j < TILE; j++)
      winograd_output_pass(lines + j * LINE, GROUP, to + (i * TILE + j) * TILE * GROUP, GROUP);
  }
}

/* Floats of scratch that the weight gradient needs, for any number of threads. */
ptrdiff_t willis_conv3d_weight_scratch_count(const struct willis_conv3d_shape *shape);

#endif
