/* Projection of planar views and its transpose, sixteen slices at a time.
 *
 * A thread packs a slab of slices into its own scratch (it stays in cache) and takes every view
 * through it. Rays are walked in segments of eight samples: cells and fractions of a segment are
 * computed at once from its double-precision start, so there are no tables. Before that a segment
 * is asked whether it matters: the slab keeps, for every 8×8 block of columns, the largest value of
 * the 16×16 box that starts there, which holds every segment that starts in the block. If no lane
 * of it can beat the maximum so far (for sums: if all is zero) the segment is skipped, which is
 * exact up to the rounding of an interpolation. Vessels fill a few thousandths of a head, so nearly
 * all are. */
#include "xray/planar_avx2.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/parallel.h"

#include <omp.h>
#include <string.h>

enum { VECTORS = 2, LANES = 8 * VECTORS, SEGMENT = 8, BLOCK = 8, TILE = 32 };

enum work { MAXIMUM, SUM, SCATTER };

/* One thread's scratch. */
struct slab {
  float *voxel; /* [y·n + x][LANES] */
  float *box;   /* [by·blocks + bx][LANES], largest value of a 16×16 box */
};

struct shared {
  const struct willis_planar *views;
  ptrdiff_t n, blocks, slabs;
  int threads;           /* at most one a slab */
  int32_t *first, *last; /* [view·columns + column], samples inside the volume */
  float *scratch;
  ptrdiff_t scratch_size; /* a thread's */
  struct willis_arena arena;
};

static ptrdiff_t least(ptrdiff_t a, ptrdiff_t b) {
  return a < b ? a : b;
}

static enum willis_status shared_init(struct shared *all, const struct willis_planar *views,
                                      struct willis_error *err) {
  ptrdiff_t n = views->n, blocks = (n + BLOCK - 1) / BLOCK, rays;
  *all =
      (struct shared){.views = views, .n = n, .blocks = blocks, .slabs = (n + LANES - 1) / LANES};
  all->scratch_size = (n * n + blocks * blocks) * LANES;
  all->threads = (int)least(willis_parallel_threads(), all->slabs);
  if (!willis_multiply(views->view_count, views->columns, &rays) || rays > PTRDIFF_MAX / 16)
    return willis_fail_memory(err, "the rays", views->view_count, sizeof *all->first);

  size_t bytes = (size_t)rays * 2 * sizeof *all->first +
                 (size_t)all->threads * (size_t)all->scratch_size * sizeof *all->scratch;
  enum willis_status status = willis_arena_init(&all->arena, bytes + 4 * WILLIS_ALIGNMENT, err);
  if (status) return status;
  all->scratch = willis_arena_take(&all->arena, all->threads * all->scratch_size, sizeof(float));
  all->first = willis_arena_take(&all->arena, rays, sizeof *all->first);
  all->last = willis_arena_take(&all->arena, rays, sizeof *all->last);
#pragma omp parallel for schedule(static)
  for (ptrdiff_t ray = 0; ray < rays; ray++) {
    ptrdiff_t v = ray / views->columns, c = ray % views->columns, first, last;
    willis_view_map_range(views->map + v, n, (double)c, 0, &first, &last);
    all->first[ray] = (int32_t)first;
    all->last[ray] = (int32_t)last;
  }
  return WILLIS_OK;
}

static struct slab slab_of_thread(const struct shared *all) {
  float *scratch = all->scratch + omp_get_thread_num() * all->scratch_size;
  return (struct slab){scratch, scratch + all->n * all->n * LANES};
}

/* Largest values (sums: largest magnitudes) of the boxes. */
static void find_boxes(const struct shared *all, const struct slab *slab, enum work work) {
  ptrdiff_t n = all->n, blocks = all->blocks;
  __m256 keep = _mm256_castsi256_ps(_mm256_set1_epi32(work == SUM ? 0x7fffffff : -1));
  for (ptrdiff_t by = 0; by < blocks; by++) {
    for (ptrdiff_t bx = 0; bx < blocks; bx++) {
      const float *corner = slab->voxel + (by * n + bx) * BLOCK * LANES;
      ptrdiff_t width = least(BLOCK, n - bx * BLOCK), height = least(BLOCK, n - by * BLOCK);
      for (int q = 0; q < VECTORS; q++) {
        __m256 most = _mm256_and_ps(keep, _mm256_load_ps(corner + 8 * q));
        for (ptrdiff_t y = 0; y < height; y++)
          for (ptrdiff_t x = 0; x < width; x++)
            most = _mm256_max_ps(
                most, _mm256_and_ps(keep, _mm256_load_ps(corner + (y * n + x) * LANES + 8 * q)));
        _mm256_store_ps(slab->box + (by * blocks + bx) * LANES + 8 * q, most);
      }
    }
  }
  /* A block becomes a box by taking in its three upper neighbours, which are still blocks. */
  for (ptrdiff_t by = 0; by < blocks; by++) {
    for (ptrdiff_t bx = 0; bx < blocks; bx++) {
      float *box = slab->box + (by * blocks + bx) * LANES;
      ptrdiff_t right = bx + 1 < blocks ? LANES : 0, up = by + 1 < blocks ? blocks * LANES : 0;
      for (int q = 0; q < VECTORS; q++, box += 8) {
        __m256 low = _mm256_max_ps(_mm256_load_ps(box), _mm256_load_ps(box + right));
        __m256 high = _mm256_max_ps(_mm256_load_ps(box + up), _mm256_load_ps(box + up + right));
        _mm256_store_ps(box, _mm256_max_ps(low, high));
      }
    }
  }
}

/* The samples of a segment: offsets into slab->voxel and fractions. */
struct segment {
  int32_t offset[SEGMENT];
  float fx[SEGMENT], fy[SEGMENT];
};

static inline __attribute__((always_inline)) void
segment_locate(struct segment *segment, double x, double y, const double step[3], ptrdiff_t n) {
  ptrdiff_t bx = (ptrdiff_t)x, by = (ptrdiff_t)y;
  const __m256 index = _mm256_setr_ps(0, 1, 2, 3, 4, 5, 6, 7);
  __m256 fx, fy;
  __m256 dx = _mm256_fmadd_ps(index, _mm256_set1_ps((float)step[0]),
                              _mm256_set1_ps((float)(x - (double)bx)));
  __m256 dy = _mm256_fmadd_ps(index, _mm256_set1_ps((float)step[1]),
                              _mm256_set1_ps((float)(y - (double)by)));
  __m256i ix = willis_base8(dx, bx, n, &fx), iy = willis_base8(dy, by, n, &fy);
  __m256i cell = _mm256_add_epi32(_mm256_mullo_epi32(iy, _mm256_set1_epi32((int)n)), ix);
  cell = _mm256_add_epi32(cell, _mm256_set1_epi32((int)(by * n + bx)));
  _mm256_storeu_si256((__m256i *)segment->offset,
                      _mm256_mullo_epi32(cell, _mm256_set1_epi32(LANES)));
  _mm256_storeu_ps(segment->fx, fx);
  _mm256_storeu_ps(segment->fy, fy);
}

static inline __attribute__((always_inline)) void
segment_project(const struct segment *segment, ptrdiff_t count, const float *voxel, ptrdiff_t right,
                ptrdiff_t up, enum work work, __m256 acc[VECTORS]) {
  __m256 part[VECTORS];
  for (int q = 0; q < VECTORS; q++) part[q] = work == SUM ? _mm256_setzero_ps() : acc[q];
  for (ptrdiff_t i = 0; i < count; i++) {
    const float *v = voxel + segment->offset[i];
    __m256 fx = _mm256_broadcast_ss(segment->fx + i), fy = _mm256_broadcast_ss(segment->fy + i);
    for (int q = 0; q < VECTORS; q++, v += 8) {
      __m256 a = _mm256_load_ps(v), b = _mm256_load_ps(v + up);
      __m256 below = _mm256_fmadd_ps(fx, _mm256_sub_ps(_mm256_load_ps(v + right), a), a);
      __m256 above = _mm256_fmadd_ps(fx, _mm256_sub_ps(_mm256_load_ps(v + up + right), b), b);
      __m256 value = _mm256_fmadd_ps(fy, _mm256_sub_ps(above, below), below);
      part[q] = work == SUM ? _mm256_add_ps(part[q], value) : _mm256_max_ps(part[q], value);
    }
  }
  for (int q = 0; q < VECTORS; q++) acc[q] = work == SUM ? _mm256_add_ps(acc[q], part[q]) : part[q];
}

static inline __attribute__((always_inline)) void segment_scatter(const struct segment *segment,
                                                                  ptrdiff_t count, float *voxel,
                                                                  ptrdiff_t right, ptrdiff_t up,
                                                                  const __m256 pixel[VECTORS]) {
  for (ptrdiff_t i = 0; i < count; i++) {
    float *v = voxel + segment->offset[i];
    __m256 fx = _mm256_broadcast_ss(segment->fx + i), fy = _mm256_broadcast_ss(segment->fy + i);
    for (int q = 0; q < VECTORS; q++, v += 8) {
      __m256 above = _mm256_mul_ps(fy, pixel[q]), below = _mm256_sub_ps(pixel[q], above);
      __m256 above_right = _mm256_mul_ps(fx, above), below_right = _mm256_mul_ps(fx, below);
      _mm256_store_ps(v, _mm256_add_ps(_mm256_load_ps(v), _mm256_sub_ps(below, below_right)));
      _mm256_store_ps(v + right, _mm256_add_ps(_mm256_load_ps(v + right), below_right));
      _mm256_store_ps(v + up,
                      _mm256_add_ps(_mm256_load_ps(v + up), _mm256_sub_ps(above, above_right)));
      _mm256_store_ps(v + up + right, _mm256_add_ps(_mm256_load_ps(v + up + right), above_right));
    }
  }
}

/* True if a lane of the box could change the result. */
static inline __attribute__((always_inline)) bool matters(const float *box, enum work work,
                                                          const __m256 acc[VECTORS]) {
  __m256 any = _mm256_setzero_ps();
  for (int q = 0; q < VECTORS; q++)
    any = _mm256_or_ps(any, _mm256_cmp_ps(_mm256_load_ps(box + 8 * q),
                                          work == SUM ? _mm256_setzero_ps() : acc[q], _CMP_GT_OQ));
  return _mm256_movemask_ps(any);
}

/* The rays of up to TILE columns through the slab; tile[column][LANES] are their pixels. Columns in
 * the inner loop: neighbours walk through the same cells. */
static inline __attribute__((always_inline)) void tile_walk(const struct shared *all,
                                                            const struct slab *slab, ptrdiff_t view,
                                                            ptrdiff_t begin, ptrdiff_t count,
                                                            float *tile, enum work work) {
  ptrdiff_t n = all->n, right = n > 1 ? LANES : 0, up = n > 1 ? n * LANES : 0;
  const struct willis_view_map *map = all->views->map + view;
  const int32_t *first = all->first + view * all->views->columns + begin;
  const int32_t *last = all->last + view * all->views->columns + begin;
  const double *step = map->along_ray;
  for (ptrdiff_t t0 = 0; t0 < n; t0 += SEGMENT) {
    for (ptrdiff_t c = 0; c < count; c++) {
      ptrdiff_t t = first[c] > t0 ? first[c] : t0, end = least(last[c] + 1, t0 + SEGMENT);
      if (t >= end) continue;
      double column = (double)(begin + c), depth = (double)t, length = (double)(end - 1 - t);
      double x = map->start[0] + column * map->along_column[0] + depth * step[0];
      double y = map->start[1] + column * map->along_column[1] + depth * step[1];
      __m256 acc[VECTORS];
      for (int q = 0; q < VECTORS; q++) acc[q] = _mm256_load_ps(tile + c * LANES + 8 * q);
      if (work != SCATTER) {
        ptrdiff_t bx = (ptrdiff_t)(step[0] < 0 ? x + length * step[0] : x) / BLOCK;
        ptrdiff_t by = (ptrdiff_t)(step[1] < 0 ? y + length * step[1] : y) / BLOCK;
        if (!matters(slab->box + (by * all->blocks + bx) * LANES, work, acc)) continue;
      }
      struct segment segment;
      segment_locate(&segment, x, y, step, n);
      if (work == SCATTER) {
        segment_scatter(&segment, end - t, slab->voxel, right, up, acc);
      } else {
        segment_project(&segment, end - t, slab->voxel, right, up, work, acc);
        for (int q = 0; q < VECTORS; q++) _mm256_store_ps(tile + c * LANES + 8 * q, acc[q]);
      }
    }
  }
}

/* Every view of one slab. Row n−1−k of an image is slice k, so rows go upwards. */
static inline __attribute__((always_inline)) void slab_project(const struct shared *all,
                                                               const struct slab *slab,
                                                               ptrdiff_t begin, float background,
                                                               float *pixels, enum work work) {
  ptrdiff_t n = all->n, columns = all->views->columns, used = least(LANES, n - begin);
  for (ptrdiff_t v = 0; v < all->views->view_count; v++) {
    float *row = pixels + (all->views->image[v] * n + n - 1 - begin) * columns;
    for (ptrdiff_t c = 0; c < columns; c += TILE) {
      _Alignas(32) float tile[TILE * LANES];
      ptrdiff_t count = least(TILE, columns - c);
      for (ptrdiff_t i = 0; i < TILE * LANES; i++) tile[i] = background;
      tile_walk(all, slab, v, c, count, tile, work);
      willis_unpack(tile, LANES, row + c, -columns, used, count, false);
    }
  }
}

enum willis_status willis_project_avx2(const struct willis_planar *views, const float *voxels,
                                       enum willis_projection_mode mode, float background,
                                       float *pixels, struct willis_error *err) {
  struct shared all;
  enum willis_status status = shared_init(&all, views, err);
  if (status) return status;
  ptrdiff_t n = views->n;
#pragma omp parallel for schedule(dynamic, 1) num_threads(all.threads)
  for (ptrdiff_t s = 0; s < all.slabs; s++) {
    struct slab slab = slab_of_thread(&all);
    ptrdiff_t begin = s * LANES;
    for (ptrdiff_t y = 0; y < n; y++)
      willis_pack(slab.voxel + y * n * LANES, LANES, voxels + (begin * n + y) * n, n * n,
                  least(LANES, n - begin), n, background);
    if (mode == WILLIS_PROJECTION_MAX) {
      find_boxes(&all, &slab, MAXIMUM);
      slab_project(&all, &slab, begin, background, pixels, MAXIMUM);
    } else {
      find_boxes(&all, &slab, SUM);
      slab_project(&all, &slab, begin, background, pixels, SUM);
    }
  }
  willis_arena_release(&all.arena);
  return WILLIS_OK;
}

enum willis_status willis_project_adjoint_avx2(const struct willis_planar *views,
                                               const float *pixels, float *voxels,
                                               struct willis_error *err) {
  struct shared all;
  enum willis_status status = shared_init(&all, views, err);
  if (status) return status;
  ptrdiff_t n = views->n, columns = views->columns;
#pragma omp parallel for schedule(dynamic, 1) num_threads(all.threads)
  for (ptrdiff_t s = 0; s < all.slabs; s++) {
    struct slab slab = slab_of_thread(&all);
    ptrdiff_t begin = s * LANES, used = least(LANES, n - begin);
    memset(slab.voxel, 0, (size_t)(n * n * LANES) * sizeof *slab.voxel);
    for (ptrdiff_t v = 0; v < views->view_count; v++) {
      const float *row = pixels + (views->image[v] * n + n - 1 - begin) * columns;
      for (ptrdiff_t c = 0; c < columns; c += TILE) {
        _Alignas(32) float tile[TILE * LANES];
        ptrdiff_t count = least(TILE, columns - c);
        willis_pack(tile, LANES, row + c, -columns, used, count, 0);
        tile_walk(&all, &slab, v, c, count, tile, SCATTER);
      }
    }
    for (ptrdiff_t y = 0; y < n; y++)
      willis_unpack(slab.voxel + y * n * LANES, LANES, voxels + (begin * n + y) * n, n * n, used, n,
                    true);
  }
  willis_arena_release(&all.arena);
  return WILLIS_OK;
}
