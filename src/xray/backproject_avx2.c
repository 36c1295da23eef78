/* Back-projection of planar views, its transpose, and the hull, 32 slices at a time.
 *
 * The images are packed once, slices in the lanes. The plane is cut into tiles of 16×16 columns.
 * Where each voxel of a tile falls on each detector (its tap) is found once and used for all
 * slices; then four views at a time are added to a slab of the tile, so that what they show of it
 * and their taps stay in the first cache. Views whose images are black where they show the tile are
 * left out of sums. */
#include "xray/planar_avx2.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/parallel.h"

#include <omp.h>

enum { VECTORS = 4, LANES = 8 * VECTORS, EDGE = 16, PIXELS = EDGE * EDGE, GROUP = 4 };

/* Offset of a voxel's left column in a packed image, and the fraction beyond it. */
struct taps {
  int32_t offset[PIXELS];
  float fraction[PIXELS];
};

/* Two columns are added to each image: what a voxel reads where the view does not see it. */
enum { BLANK = 2 };

struct packed {
  const struct willis_planar *views;
  ptrdiff_t n, tiles;
  ptrdiff_t begin, end, slabs; /* slices begin … end in `slabs` slabs */
  ptrdiff_t image_size;        /* floats of one packed image: (columns + BLANK)·LANES */
  int threads;
  float *image;      /* [slab][view][column][LANES] */
  int32_t *lit;      /* [slab][view][columns + 1]: columns < c that are not black */
  struct taps *taps; /* [thread][view] */
  int32_t *range;    /* [thread][view][2]: columns that a tile reads */
  struct willis_arena arena;
};

static ptrdiff_t least(ptrdiff_t a, ptrdiff_t b) {
  return a < b ? a : b;
}

static float *packed_image(const struct packed *all, ptrdiff_t slab, ptrdiff_t view) {
  return all->image + (slab * all->views->view_count + view) * all->image_size;
}

static int32_t *packed_lit(const struct packed *all, ptrdiff_t slab, ptrdiff_t view) {
  return all->lit + (slab * all->views->view_count + view) * (all->views->columns + 1);
}

/* The arena may only count. */
static enum willis_status packed_plan(struct packed *all, struct willis_error *err) {
  struct willis_arena *arena = &all->arena;
  ptrdiff_t images, lit, count = all->views->view_count;
  if (!willis_multiply(all->slabs * count, all->image_size, &images) ||
      !willis_multiply(all->slabs * count, all->views->columns + 1, &lit))
    return willis_fail_memory(err, "the packed images", count, sizeof *all->image);
  all->image = willis_arena_take(arena, images, sizeof *all->image);
  all->lit = willis_arena_take(arena, lit, sizeof *all->lit);
  all->taps = willis_arena_take(arena, all->threads * count, sizeof *all->taps);
  all->range = willis_arena_take(arena, all->threads * count * 2, sizeof *all->range);
  return WILLIS_OK;
}

static struct packed packed_of(const struct willis_planar *views, ptrdiff_t begin, ptrdiff_t end) {
  ptrdiff_t edge = (views->n + EDGE - 1) / EDGE;
  struct packed all = {
      .views = views, .n = views->n, .tiles = edge * edge, .begin = begin, .end = end};
  all.slabs = (end - begin + LANES - 1) / LANES;
  all.image_size = (views->columns + BLANK) * LANES;
  all.threads = (int)least(willis_parallel_threads(), all.tiles * all.slabs * views->view_count);
  return all;
}

static enum willis_status packed_init(struct packed *all, const struct willis_planar *views,
                                      ptrdiff_t begin, ptrdiff_t end, struct willis_error *err) {
  *all = packed_of(views, begin, end);
  enum willis_status status = packed_plan(all, err);
  if (!status) status = willis_arena_init(&all->arena, all->arena.peak, err);
  return status ? status : packed_plan(all, err);
}

enum willis_status willis_gather_bytes_avx2(const struct willis_planar *views, ptrdiff_t slices,
                                            size_t *bytes, struct willis_error *err) {
  struct packed all = packed_of(views, 0, slices);
  enum willis_status status = packed_plan(&all, err);
  *bytes = all.arena.peak;
  return status;
}

/* Packs the images of every slab; the blank columns hold `blank`. */
static void packed_fill(const struct packed *all, const float *pixels, float blank) {
  ptrdiff_t n = all->n, columns = all->views->columns, count = all->views->view_count;
#pragma omp parallel for schedule(dynamic, 1) num_threads(all->threads)
  for (ptrdiff_t i = 0; i < all->slabs * count; i++) {
    ptrdiff_t s = i / count, v = i % count, slice = all->begin + s * LANES;
    float *image = packed_image(all, s, v);
    int32_t *lit = packed_lit(all, s, v);
    /* Row n−1−k of an image is slice k, so rows go upwards. */
    willis_pack(image, LANES, pixels + (all->views->image[v] * n + n - 1 - slice) * columns,
                -columns, least(LANES, all->end - slice), columns, 0);
    for (ptrdiff_t p = columns * LANES; p < all->image_size; p++) image[p] = blank;
    lit[0] = 0;
    for (ptrdiff_t c = 0; c < columns; c++) {
      __m256 any = _mm256_setzero_ps();
      for (int q = 0; q < VECTORS; q++)
        any = _mm256_or_ps(any, _mm256_cmp_ps(_mm256_load_ps(image + c * LANES + 8 * q),
                                              _mm256_setzero_ps(), _CMP_NEQ_UQ));
      lit[c + 1] = lit[c] + (_mm256_movemask_ps(any) != 0);
    }
  }
}

/* Taps of a tile at whose border the view ends, voxel by voxel. */
static void taps_at_border(struct taps *taps, const struct willis_view_map *map, ptrdiff_t columns,
                           ptrdiff_t n, ptrdiff_t x, ptrdiff_t y) {
  for (ptrdiff_t p = 0; p < PIXELS; p++) {
    double i = (double)(x + p % EDGE), j = (double)(y + p / EDGE), fraction = 0;
    double column = willis_affine(map->column, i, j, 0), depth = willis_affine(map->depth, i, j, 0);
    bool seen =
        i < (double)n && j < (double)n && willis_within(column, columns) && willis_within(depth, n);
    ptrdiff_t base = seen ? willis_base(column, columns, &fraction) : columns;
    taps->offset[p] = (int32_t)(base * LANES);
    taps->fraction[p] = (float)fraction;
  }
}

/* Taps of a tile that the view sees whole, eight voxels at a time. */
static void taps_inside(struct taps *taps, const struct willis_view_map *map, ptrdiff_t columns,
                        ptrdiff_t x, ptrdiff_t y) {
  const __m256 index = _mm256_setr_ps(0, 1, 2, 3, 4, 5, 6, 7);
  double column = willis_affine(map->column, (double)x, (double)y, 0);
  ptrdiff_t base = (ptrdiff_t)column;
  for (ptrdiff_t p = 0; p < PIXELS; p += 8) {
    double i = (double)(p % EDGE), j = (double)(p / EDGE);
    double start = column - (double)base + i * map->column[0] + j * map->column[1];
    __m256 fraction;
    __m256 at =
        _mm256_fmadd_ps(index, _mm256_set1_ps((float)map->column[0]), _mm256_set1_ps((float)start));
    __m256i cell = willis_base8(at, -base, columns - 2 - base, &fraction);
    cell = _mm256_add_epi32(cell, _mm256_set1_epi32((int)base));
    _mm256_storeu_si256((__m256i *)(taps->offset + p),
                        _mm256_mullo_epi32(cell, _mm256_set1_epi32(LANES)));
    _mm256_storeu_ps(taps->fraction + p, fraction);
  }
}

static int32_t column_within(double column, ptrdiff_t columns) {
  if (column < 0) return 0;
  return column < (double)columns ? (int32_t)column : (int32_t)columns;
}

/* Taps of every view for the tile at (x,y), and the columns that they read. */
static void tile_locate(const struct packed *all, ptrdiff_t x, ptrdiff_t y, struct taps *taps,
                        int32_t *range) {
  ptrdiff_t n = all->n, columns = all->views->columns;
  for (ptrdiff_t v = 0; v < all->views->view_count; v++) {
    const struct willis_view_map *map = all->views->map + v;
    double lowest = (double)columns, highest = -1;
    bool inside = x + EDGE <= n && y + EDGE <= n;
    for (int corner = 0; corner < 4; corner++) {
      double i = (double)(x + (corner & 1 ? EDGE - 1 : 0));
      double j = (double)(y + (corner & 2 ? EDGE - 1 : 0));
      double column = willis_affine(map->column, i, j, 0);
      inside = inside && willis_within(column, columns) &&
               willis_within(willis_affine(map->depth, i, j, 0), n);
      lowest = column < lowest ? column : lowest;
      highest = column > highest ? column : highest;
    }
    if (inside)
      taps_inside(taps + v, map, columns, x, y);
    else
      taps_at_border(taps + v, map, columns, n, x, y);
    range[2 * v] = column_within(lowest - 1, columns);
    range[2 * v + 1] = column_within(highest + 3, columns);
  }
}

/* Adds a group of views to the tile[pixel][LANES], or takes their minimum. */
static inline __attribute__((always_inline)) void
group_gather(const struct taps *const *taps, const float *const *image, ptrdiff_t count,
             enum willis_gather how, float *tile) {
  for (ptrdiff_t p = 0; p < PIXELS; p++) {
    __m256 acc[VECTORS];
    for (int q = 0; q < VECTORS; q++) acc[q] = _mm256_load_ps(tile + p * LANES + 8 * q);
    for (ptrdiff_t g = 0; g < count; g++) {
      const float *at = image[g] + taps[g]->offset[p];
      __m256 f = _mm256_broadcast_ss(taps[g]->fraction + p);
      for (int q = 0; q < VECTORS; q++) {
        __m256 a = _mm256_load_ps(at + 8 * q);
        __m256 b = _mm256_sub_ps(_mm256_load_ps(at + LANES + 8 * q), a);
        __m256 value = _mm256_fmadd_ps(f, b, a);
        acc[q] =
            how == WILLIS_GATHER_SUM ? _mm256_add_ps(acc[q], value) : _mm256_min_ps(value, acc[q]);
      }
    }
    for (int q = 0; q < VECTORS; q++) _mm256_store_ps(tile + p * LANES + 8 * q, acc[q]);
  }
}

/* One slab of a tile. */
static void tile_gather(const struct packed *all, ptrdiff_t slab, const struct taps *taps,
                        const int32_t *range, enum willis_gather how, float *tile) {
  const struct taps *group_taps[GROUP];
  const float *group_image[GROUP];
  ptrdiff_t count = 0, views = all->views->view_count;
  for (ptrdiff_t i = 0; i < PIXELS * LANES; i++) tile[i] = willis_gather_start(how);
  for (ptrdiff_t v = 0; v < views; v++) {
    const int32_t *lit = packed_lit(all, slab, v);
    if (how == WILLIS_GATHER_SUM && lit[range[2 * v + 1]] == lit[range[2 * v]]) continue;
    group_taps[count] = taps + v;
    group_image[count++] = packed_image(all, slab, v);
    if (count < GROUP) continue;
    if (how == WILLIS_GATHER_SUM)
      group_gather(group_taps, group_image, GROUP, WILLIS_GATHER_SUM, tile);
    else
      group_gather(group_taps, group_image, GROUP, WILLIS_GATHER_LEAST, tile);
    count = 0;
  }
  if (count) group_gather(group_taps, group_image, count, how, tile);
}

enum willis_status willis_gather_avx2(const struct willis_planar *views, const float *pixels,
                                      enum willis_gather how, const struct willis_slab *slab,
                                      struct willis_error *err) {
  struct packed all;
  enum willis_status status = packed_init(&all, views, slab->begin, slab->end, err);
  if (status) return status;
  packed_fill(&all, pixels, willis_gather_start(how));
  ptrdiff_t n = views->n, edge = (n + EDGE - 1) / EDGE;
#pragma omp parallel for schedule(dynamic, 1) num_threads(all.threads)
  for (ptrdiff_t t = 0; t < all.tiles; t++) {
    ptrdiff_t x = t % edge * EDGE, y = t / edge * EDGE;
    struct taps *taps = all.taps + omp_get_thread_num() * views->view_count;
    int32_t *range = all.range + omp_get_thread_num() * views->view_count * 2;
    tile_locate(&all, x, y, taps, range);
    for (ptrdiff_t s = 0; s < all.slabs; s++) {
      _Alignas(32) float tile[PIXELS * LANES];
      tile_gather(&all, s, taps, range, how, tile);
      ptrdiff_t used = least(LANES, all.end - all.begin - s * LANES);
      for (ptrdiff_t j = 0; j < least(EDGE, n - y); j++)
        willis_unpack(tile + j * EDGE * LANES, LANES,
                      slab->voxels + (s * LANES * n + y + j) * n + x, n * n, used,
                      least(EDGE, n - x), false);
    }
  }
  willis_arena_release(&all.arena);
  return WILLIS_OK;
}

/* Gives a tile's voxels to the image of one view. */
static void tile_scatter(const struct taps *taps, const float *tile, float *image) {
  for (ptrdiff_t p = 0; p < PIXELS; p++) {
    float *at = image + taps->offset[p];
    __m256 f = _mm256_broadcast_ss(taps->fraction + p);
    for (int q = 0; q < VECTORS; q++, at += 8) {
      __m256 value = _mm256_load_ps(tile + p * LANES + 8 * q), share = _mm256_mul_ps(f, value);
      _mm256_store_ps(at, _mm256_add_ps(_mm256_load_ps(at), _mm256_sub_ps(value, share)));
      _mm256_store_ps(at + LANES, _mm256_add_ps(_mm256_load_ps(at + LANES), share));
    }
  }
}

enum willis_status willis_gather_adjoint_avx2(const struct willis_planar *views,
                                              const float *voxels, float *pixels,
                                              struct willis_error *err) {
  struct packed all;
  enum willis_status status = packed_init(&all, views, 0, views->n, err);
  if (status) return status;
  ptrdiff_t n = views->n, columns = views->columns;
#pragma omp parallel for schedule(dynamic, 1) num_threads(all.threads)
  for (ptrdiff_t s = 0; s < all.slabs; s++) {
    struct taps *taps = all.taps + omp_get_thread_num() * views->view_count;
    int32_t *range = all.range + omp_get_thread_num() * views->view_count * 2;
    ptrdiff_t begin = s * LANES, used = least(LANES, n - begin);
    float *images = packed_image(&all, s, 0);
    for (ptrdiff_t p = 0; p < views->view_count * all.image_size; p++) images[p] = 0;
    for (ptrdiff_t y = 0; y < n; y += EDGE) {
      for (ptrdiff_t x = 0; x < n; x += EDGE) {
        _Alignas(32) float tile[PIXELS * LANES] = {0};
        tile_locate(&all, x, y, taps, range);
        for (ptrdiff_t j = 0; j < least(EDGE, n - y); j++)
          willis_pack(tile + j * EDGE * LANES, LANES, voxels + (begin * n + y + j) * n + x, n * n,
                      used, least(EDGE, n - x), 0);
        for (ptrdiff_t v = 0; v < views->view_count; v++)
          tile_scatter(taps + v, tile, packed_image(&all, s, v));
      }
    }
    for (ptrdiff_t v = 0; v < views->view_count; v++)
      willis_unpack(packed_image(&all, s, v), LANES,
                    pixels + (views->image[v] * n + n - 1 - begin) * columns, -columns, used,
                    columns, false);
  }
  willis_arena_release(&all.arena);
  return WILLIS_OK;
}

const struct willis_planar_kernels willis_planar_avx2 = {
    willis_project_avx2, willis_project_adjoint_avx2, willis_gather_avx2,
    willis_gather_adjoint_avx2, willis_gather_bytes_avx2};
