/* Projection of planar views and its transpose, 32 slices at a time.
 *
 * A thread takes a slab of slices and walks it in strips of rows that fit into its second cache:
 * every ray of every view through one strip, then the next strip. Which samples of a ray lie in
 * which strip is the same for all slabs and found once. Rays are walked in segments of eight
 * samples, whose cells and fractions are computed at once from a double-precision start.
 *
 * Before that a segment is asked whether it matters: a strip keeps, for every 8×8 block of columns,
 * the largest value of the 16×16 box that starts there, which holds every segment that starts in
 * the block. If no lane of it can beat the maximum so far (for sums: if all is zero) the segment is
 * skipped, which is exact up to the rounding of an interpolation. Vessels fill a few thousandths of
 * a head, so nearly all segments are. */
#include "xray/planar_avx2.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/parallel.h"

#include <omp.h>
#include <string.h>

enum { VECTORS = 4, LANES = 8 * VECTORS, SEGMENT = 8, BLOCK = 8, TILE = 32 };
enum { STRIP_BYTES = 256 << 10 };

enum work { MAXIMUM, SUM, SCATTER };

/* The samples begin ≤ t < end of a ray in a strip. */
struct span {
  int16_t begin, end;
};

struct shared {
  const struct willis_planar *views;
  ptrdiff_t n, slabs;
  ptrdiff_t strips, strip_rows; /* rows of cells; the last strip may have fewer */
  ptrdiff_t blocks;             /* along x */
  int threads;                  /* at most one a slab */
  struct span *span;            /* [view][strip][column] */
  struct willis_arena arena;
  float *scratch;
  ptrdiff_t voxel_size, box_size, ray_size; /* floats of a thread's scratch */
};

/* What a thread works on: a strip of its slab, and every ray of it. */
struct strip {
  ptrdiff_t index, row, rows; /* first row of voxels and how many are packed */
  float *voxel;               /* [y − row][x][LANES] */
  float *box;                 /* [block row][block][LANES], largest value of a 16×16 box */
  float *ray;                 /* [view][column][LANES] */
};

static ptrdiff_t least(ptrdiff_t a, ptrdiff_t b) {
  return a < b ? a : b;
}

/* The first t from `begin` to `end` with p + t·w ≥ y (falling: < y); `end` if there is none. Exact,
 * because rounding keeps p + t·w monotonous in t. */
static ptrdiff_t crossing(double p, double w, bool falling, double y, ptrdiff_t begin,
                          ptrdiff_t end) {
  double guess = w != 0 ? (y - p) / w : p >= y ? -1 : (double)end;
  ptrdiff_t t = guess < (double)begin ? begin : guess > (double)end ? end : (ptrdiff_t)guess;
  while (t > begin && (p + (double)(t - 1) * w >= y) != falling) t--;
  while (t < end && (p + (double)t * w >= y) == falling) t++;
  return t;
}

/* Cuts a ray into the strips; rows of cells before 0 and after the last belong to the nearest. */
static void cut_ray(const struct shared *all, ptrdiff_t v, ptrdiff_t column) {
  const struct willis_view_map *map = all->views->map + v;
  struct span *span = all->span + v * all->strips * all->views->columns + column;
  double p = map->start[1] + (double)column * map->along_column[1], w = map->along_ray[1];
  bool falling = w < 0;
  ptrdiff_t begin, end;
  willis_view_map_range(map, all->n, (double)column, 0, &begin, &end);
  end = end + 1 > begin ? end + 1 : begin;
  for (ptrdiff_t i = 0; i < all->strips; i++) {
    ptrdiff_t s = falling ? all->strips - 1 - i : i; /* in the order of the ray */
    ptrdiff_t border = (falling ? s : s + 1) * all->strip_rows;
    bool last = i == all->strips - 1;
    ptrdiff_t next = last ? end : crossing(p, w, falling, (double)border, begin, end);
    span[s * all->views->columns] = (struct span){(int16_t)begin, (int16_t)next};
    begin = next;
  }
}

static enum willis_status shared_init(struct shared *all, const struct willis_planar *views,
                                      struct willis_error *err) {
  ptrdiff_t n = views->n, cells = n > 1 ? n - 1 : 1, rays, spans;
  *all = (struct shared){.views = views, .n = n, .slabs = (n + LANES - 1) / LANES};
  all->strip_rows = STRIP_BYTES / (n * LANES * (ptrdiff_t)sizeof(float)) / BLOCK * BLOCK;
  if (all->strip_rows < BLOCK) all->strip_rows = BLOCK;
  all->strips = (cells + all->strip_rows - 1) / all->strip_rows;
  all->blocks = (n + BLOCK - 1) / BLOCK;
  all->threads = (int)least(willis_parallel_threads(), all->slabs);
  all->voxel_size = (all->strip_rows + 1) * n * LANES;
  all->box_size = (all->strip_rows / BLOCK + 1) * all->blocks * LANES;
  if (!willis_multiply(views->view_count, views->columns, &rays) ||
      !willis_multiply(rays, LANES, &all->ray_size) || !willis_multiply(rays, all->strips, &spans))
    return willis_fail_memory(err, "the rays", views->view_count, sizeof *all->span);

  ptrdiff_t scratch = all->threads * (all->voxel_size + all->box_size + all->ray_size);
  for (int pass = 0; pass < 2; pass++) { /* to count, then to take */
    all->scratch = willis_arena_take(&all->arena, scratch, sizeof *all->scratch);
    all->span = willis_arena_take(&all->arena, spans, sizeof *all->span);
    if (pass) break;
    enum willis_status status = willis_arena_init(&all->arena, all->arena.peak, err);
    if (status) return status;
  }
#pragma omp parallel for schedule(static)
  for (ptrdiff_t ray = 0; ray < rays; ray++)
    cut_ray(all, ray / views->columns, ray % views->columns);
  return WILLIS_OK;
}

static struct strip strip_of_thread(const struct shared *all) {
  ptrdiff_t size = all->voxel_size + all->box_size + all->ray_size;
  float *scratch = all->scratch + omp_get_thread_num() * size;
  return (struct strip){.voxel = scratch,
                        .box = scratch + all->voxel_size,
                        .ray = scratch + all->voxel_size + all->box_size};
}

static void strip_move(const struct shared *all, struct strip *strip, ptrdiff_t index) {
  strip->index = index;
  strip->row = index * all->strip_rows;
  strip->rows = least(all->strip_rows + 1, all->n - strip->row);
}

/* Largest values (sums: largest magnitudes) of the boxes. */
static void find_boxes(const struct shared *all, const struct strip *strip, enum work work) {
  ptrdiff_t n = all->n, blocks = all->blocks, block_rows = (strip->rows + BLOCK - 1) / BLOCK;
  __m256 keep = _mm256_castsi256_ps(_mm256_set1_epi32(work == SUM ? 0x7fffffff : -1));
  for (ptrdiff_t by = 0; by < block_rows; by++) {
    for (ptrdiff_t bx = 0; bx < blocks; bx++) {
      const float *corner = strip->voxel + (by * n + bx) * BLOCK * LANES;
      ptrdiff_t width = least(BLOCK, n - bx * BLOCK);
      ptrdiff_t height = least(BLOCK, strip->rows - by * BLOCK);
      for (int q = 0; q < VECTORS; q++) {
        __m256 most = _mm256_and_ps(keep, _mm256_load_ps(corner + 8 * q));
        for (ptrdiff_t y = 0; y < height; y++)
          for (ptrdiff_t x = 0; x < width; x++)
            most = _mm256_max_ps(
                most, _mm256_and_ps(keep, _mm256_load_ps(corner + (y * n + x) * LANES + 8 * q)));
        _mm256_store_ps(strip->box + (by * blocks + bx) * LANES + 8 * q, most);
      }
    }
  }
  /* A block becomes a box by taking in its three upper neighbours, which are still blocks. */
  for (ptrdiff_t by = 0; by < block_rows; by++) {
    for (ptrdiff_t bx = 0; bx < blocks; bx++) {
      float *box = strip->box + (by * blocks + bx) * LANES;
      ptrdiff_t right = bx + 1 < blocks ? LANES : 0, up = by + 1 < block_rows ? blocks * LANES : 0;
      for (int q = 0; q < VECTORS; q++, box += 8) {
        __m256 low = _mm256_max_ps(_mm256_load_ps(box), _mm256_load_ps(box + right));
        __m256 high = _mm256_max_ps(_mm256_load_ps(box + up), _mm256_load_ps(box + up + right));
        _mm256_store_ps(box, _mm256_max_ps(low, high));
      }
    }
  }
}

/* The samples of a segment: offsets into strip->voxel and fractions. */
struct segment {
  int32_t offset[SEGMENT];
  float fx[SEGMENT], fy[SEGMENT];
};

/* `x` and `y` are the first sample's, y counted from the strip's first row. */
static inline __attribute__((always_inline)) void segment_locate(struct segment *segment, double x,
                                                                 double y, const double step[3],
                                                                 ptrdiff_t n, ptrdiff_t rows) {
  ptrdiff_t bx = (ptrdiff_t)x, by = (ptrdiff_t)y;
  const __m256 index = _mm256_setr_ps(0, 1, 2, 3, 4, 5, 6, 7);
  __m256 fx, fy;
  __m256 dx = _mm256_fmadd_ps(index, _mm256_set1_ps((float)step[0]),
                              _mm256_set1_ps((float)(x - (double)bx)));
  __m256 dy = _mm256_fmadd_ps(index, _mm256_set1_ps((float)step[1]),
                              _mm256_set1_ps((float)(y - (double)by)));
  __m256i ix = willis_base8(dx, -bx, n - 2 - bx, &fx),
          iy = willis_base8(dy, -by, rows - 2 - by, &fy);
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

/* One segment of one ray, t ≤ sample < end. */
static inline __attribute__((always_inline)) void
ray_segment(const struct shared *all, const struct strip *strip, const struct willis_view_map *map,
            ptrdiff_t column, ptrdiff_t t, ptrdiff_t end, float *ray, enum work work) {
  ptrdiff_t n = all->n, right = n > 1 ? LANES : 0, up = n > 1 ? n * LANES : 0;
  const double *step = map->along_ray;
  double length = (double)(end - 1 - t);
  double x = map->start[0] + (double)column * map->along_column[0] + (double)t * step[0];
  double y = map->start[1] + (double)column * map->along_column[1] + (double)t * step[1];
  y -= (double)strip->row;
  __m256 acc[VECTORS];
  for (int q = 0; q < VECTORS; q++) acc[q] = _mm256_load_ps(ray + 8 * q);
  if (work != SCATTER) {
    ptrdiff_t bx = (ptrdiff_t)(step[0] < 0 ? x + length * step[0] : x) / BLOCK;
    ptrdiff_t by = (ptrdiff_t)(step[1] < 0 ? y + length * step[1] : y) / BLOCK;
    if (!matters(strip->box + (by * all->blocks + bx) * LANES, work, acc)) return;
  }
  struct segment segment;
  segment_locate(&segment, x, y, step, n, strip->rows);
  if (work == SCATTER) {
    segment_scatter(&segment, end - t, strip->voxel, right, up, acc);
    return;
  }
  segment_project(&segment, end - t, strip->voxel, right, up, work, acc);
  for (int q = 0; q < VECTORS; q++) _mm256_store_ps(ray + 8 * q, acc[q]);
}

/* Every ray of every view through the strip. Within a tile of columns the inner loop goes over the
 * columns, as neighbours walk through the same cells. */
static inline __attribute__((always_inline)) void
strip_walk(const struct shared *all, const struct strip *strip, enum work work) {
  ptrdiff_t columns = all->views->columns;
  for (ptrdiff_t v = 0; v < all->views->view_count; v++) {
    const struct willis_view_map *map = all->views->map + v;
    const struct span *span = all->span + (v * all->strips + strip->index) * columns;
    float *ray = strip->ray + v * columns * LANES;
    for (ptrdiff_t begin = 0; begin < columns; begin += TILE) {
      ptrdiff_t end = least(begin + TILE, columns);
      bool more = true;
      for (ptrdiff_t done = 0; more; done += SEGMENT) {
        more = false;
        for (ptrdiff_t c = begin; c < end; c++) {
          ptrdiff_t t = span[c].begin + done;
          if (t >= span[c].end) continue;
          more = true;
          ray_segment(all, strip, map, c, t, least(t + SEGMENT, span[c].end), ray + c * LANES,
                      work);
        }
      }
    }
  }
}

/* One slab: its first slice and how many there are. */
static inline __attribute__((always_inline)) void slab_project(const struct shared *all,
                                                               const float *voxels, ptrdiff_t slice,
                                                               float background, float *pixels,
                                                               enum work work) {
  struct strip strip = strip_of_thread(all);
  ptrdiff_t n = all->n, columns = all->views->columns, used = least(LANES, n - slice);
  for (ptrdiff_t i = 0; i < all->ray_size; i++) strip.ray[i] = background;
  for (ptrdiff_t s = 0; s < all->strips; s++) {
    strip_move(all, &strip, s);
    for (ptrdiff_t y = 0; y < strip.rows; y++)
      willis_pack(strip.voxel + y * n * LANES, LANES, voxels + (slice * n + strip.row + y) * n,
                  n * n, used, n, background);
    find_boxes(all, &strip, work);
    strip_walk(all, &strip, work);
  }
  /* Row n−1−k of an image is slice k, so rows go upwards. */
  for (ptrdiff_t v = 0; v < all->views->view_count; v++)
    willis_unpack(strip.ray + v * columns * LANES, LANES,
                  pixels + (all->views->image[v] * n + n - 1 - slice) * columns, -columns, used,
                  columns, false);
}

enum willis_status willis_project_avx2(const struct willis_planar *views, const float *voxels,
                                       enum willis_projection_mode mode, float background,
                                       float *pixels, struct willis_error *err) {
  struct shared all;
  enum willis_status status = shared_init(&all, views, err);
  if (status) return status;
#pragma omp parallel for schedule(dynamic, 1) num_threads(all.threads)
  for (ptrdiff_t s = 0; s < all.slabs; s++) {
    if (mode == WILLIS_PROJECTION_MAX)
      slab_project(&all, voxels, s * LANES, background, pixels, MAXIMUM);
    else
      slab_project(&all, voxels, s * LANES, background, pixels, SUM);
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
  for (ptrdiff_t slab = 0; slab < all.slabs; slab++) {
    struct strip strip = strip_of_thread(&all);
    ptrdiff_t slice = slab * LANES, used = least(LANES, n - slice);
    for (ptrdiff_t v = 0; v < views->view_count; v++)
      willis_pack(strip.ray + v * columns * LANES, LANES,
                  pixels + (views->image[v] * n + n - 1 - slice) * columns, -columns, used, columns,
                  0);
    for (ptrdiff_t s = 0; s < all.strips; s++) {
      strip_move(&all, &strip, s);
      memset(strip.voxel, 0, (size_t)(strip.rows * n * LANES) * sizeof *strip.voxel);
      strip_walk(&all, &strip, SCATTER);
      for (ptrdiff_t y = 0; y < strip.rows; y++)
        willis_unpack(strip.voxel + y * n * LANES, LANES, voxels + (slice * n + strip.row + y) * n,
                      n * n, used, n, true);
    }
  }
  willis_arena_release(&all.arena);
  return WILLIS_OK;
}
