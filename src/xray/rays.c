/* Bundles of rays: their geometry, what they may skip, and the loops around the kernels. */
#include "xray/rays.h"

#include "base/cpu.h"
#include "base/error.h"
#include "base/memory.h"

#include <math.h>

enum { MOST_ROW_OCTETS = 1024, OWNED_OCTETS = 64 };

static double dot(const double a[3], const double b[3]) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/* From millimetres along patient axes to voxels along the grid's. */
static void to_steps(const struct willis_grid *grid, const double mm[3], double index[3]) {
  for (int a = 0; a < 3; a++) {
    double along[3] = {grid->direction[a], grid->direction[3 + a], grid->direction[6 + a]};
    index[a] = dot(along, mm) / grid->spacing_mm[a];
  }
}

void willis_ray_map_init(struct willis_ray_map *map, const struct willis_view *view,
                         const double isocenter_mm[3], const struct willis_grid *grid) {
  bool cone = view->kind == WILLIS_VIEW_CONE;
  double d[3], u[3], v[3], source[3] = {0}, from[3], along[3], step[2][3];
  double p = view->column_spacing_mm, q = view->row_spacing_mm;
  double c0 = view->principal_column, r0 = view->principal_row;
  willis_view_axes(view, d, u, v);
  if (cone) willis_view_source(view, source);
  /* A beam reaches the detector at t = 1 (a cone) or is a millimetre long. */
  for (int a = 0; a < 3; a++) {
    from[a] = isocenter_mm[a] + source[a];
    along[a] = (cone ? view->source_to_detector_mm : 1) * d[a];
    step[0][a] = p * u[a];
    step[1][a] = -q * v[a];
  }
  double origin[3], middle[3], side[2][3];
  willis_grid_to_index(grid, from, origin);
  to_steps(grid, along, middle);
  for (int k = 0; k < 2; k++) to_steps(grid, step[k], side[k]);
  for (int a = 0; a < 3; a++) {
    const double x[3] = {-c0 * side[0][a] - r0 * side[1][a], side[0][a], side[1][a]};
    for (int k = 0; k < 3; k++) {
      map->start[a][k] = (k == 0 ? origin[a] : 0) + (cone ? 0 : x[k]);
      map->beam[a][k] = (k == 0 ? middle[a] : 0) + (cone ? x[k] : 0);
    }
    map->size[a] = grid->size[a];
    map->spacing_mm[a] = grid->spacing_mm[a];
  }
  /* Shadows: h2 = d·(X − S) / source to isocenter, h0 = c0·h2 + m·u·(X − S)/p and so on, m being
   * the magnification at the isocenter; for parallel beams h2 = 1 and m = 1. */
  double near = view->source_to_isocenter_mm, m = cone ? view->source_to_detector_mm / near : 1;
  for (int e = 0; e < 4; e++) {
    double x[3];
    for (int a = 0; a < 3; a++)
      x[a] =
          e < 3 ? grid->direction[3 * a + e] * grid->spacing_mm[e] : grid->origin_mm[a] - from[a];
    double h2 = cone ? dot(d, x) / near : (e == 3);
    map->shadow[0][e] = c0 * h2 + m * dot(u, x) / p;
    map->shadow[1][e] = r0 * h2 - m * dot(v, x) / q;
    map->shadow[2][e] = h2;
  }
}

double willis_ray_step_mm(const struct willis_ray_map *map, int axis, double column, double row) {
  double mm[3], length = 0;
  for (int a = 0; a < 3; a++) {
    mm[a] = willis_ray_at(map->beam[a], column, row) * map->spacing_mm[a];
    length += mm[a] * mm[a];
  }
  return sqrt(length) * map->spacing_mm[axis] / fabs(mm[axis]);
}

/* Hats reach one voxel beyond the grid: all of that has to lie before the source. */
static bool before_source(const struct willis_ray_map *map) {
  for (int corner = 0; corner < 8; corner++) {
    double x[3];
    for (int a = 0; a < 3; a++) x[a] = corner >> a & 1 ? (double)map->size[a] : -1;
    if (!(willis_affine(map->shadow[2], x[0], x[1], x[2]) > 0)) return false;
  }
  return true;
}

static uint64_t every_chunk(ptrdiff_t n, ptrdiff_t chunk) {
  ptrdiff_t count = (n + chunk - 1) / chunk;
  return count >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << count) - 1;
}

static int steepest(const struct willis_ray_map *map, double column, double row) {
  int axis = 0;
  double most = 0;
  for (int a = 0; a < 3; a++) {
    double beam = fabs(willis_ray_at(map->beam[a], column, row));
    if (beam > most) most = beam, axis = a;
  }
  return axis;
}

static void tiles_init(struct willis_rays *rays, struct willis_ray_view *view) {
  for (ptrdiff_t r = 0; r < rays->tile_rows; r++) {
    for (ptrdiff_t c = 0; c < rays->tile_columns; c++) {
      double half = (WILLIS_TILE - 1) / 2.0;
      int a =
          steepest(&view->map, (double)(c * WILLIS_TILE) + half, (double)(r * WILLIS_TILE) + half);
      view->tile[r * rays->tile_columns + c] =
          (struct willis_tile){every_chunk(rays->size[a], rays->chunk[a]), (unsigned char)a};
      view->axes |= 1u << a;
    }
  }
}

enum willis_status willis_rays_init(struct willis_rays *rays,
                                    const struct willis_projections *stack, const ptrdiff_t *view,
                                    ptrdiff_t count, const struct willis_grid *grid,
                                    struct willis_error *err) {
  ptrdiff_t tile_columns = (stack->columns + WILLIS_TILE - 1) / WILLIS_TILE;
  ptrdiff_t tile_rows = (stack->rows + WILLIS_TILE - 1) / WILLIS_TILE;
  ptrdiff_t tiles = tile_columns * tile_rows;
  *rays = (struct willis_rays){.columns = stack->columns,
                               .rows = stack->rows,
                               .tile_columns = tile_columns,
                               .tile_rows = tile_rows,
                               .view_count = count};
  for (int a = 0; a < 3; a++) {
    rays->size[a] = grid->size[a];
    rays->chunk[a] = WILLIS_BRICK * ((grid->size[a] + 64 * WILLIS_BRICK - 1) / (64 * WILLIS_BRICK));
  }
  rays->view = willis_take_zeroed(count, sizeof *rays->view);
  rays->tile = willis_take(count, (size_t)tiles * sizeof *rays->tile);
  enum willis_status status = WILLIS_OK;
  if (willis_grid_count(grid) > INT32_MAX) {
    status = willis_fail(err, WILLIS_UNSUPPORTED,
                         "a volume of %td voxels: cone beams take less than 2^31",
                         willis_grid_count(grid));
    goto out;
  }
  if (!rays->view || !rays->tile) {
    status = willis_fail_memory(err, "the rays", count, (size_t)tiles * sizeof *rays->tile);
    goto out;
  }
  for (ptrdiff_t i = 0; i < count; i++) {
    struct willis_ray_view *to = rays->view + i;
    to->image = view ? view[i] : i;
    to->tile = rays->tile + i * tiles;
    willis_ray_map_init(&to->map, stack->view + to->image, stack->isocenter_mm, grid);
    if (!before_source(&to->map)) {
      status = willis_fail(err, WILLIS_GEOMETRY,
                           "view %td: the volume reaches its source; expected all of it between "
                           "source and detector",
                           to->image);
      goto out;
    }
    tiles_init(rays, to);
  }
out:
  if (status) willis_rays_release(rays);
  return status;
}

size_t willis_rays_bytes(const struct willis_rays *rays) {
  size_t tiles = (size_t)(rays->tile_columns * rays->tile_rows) * sizeof *rays->tile;
  return (size_t)rays->view_count * (sizeof *rays->view + tiles);
}

void willis_rays_release(struct willis_rays *rays) {
  willis_release(rays->view);
  willis_release(rays->tile);
  *rays = (struct willis_rays){0};
}

static bool brick_filled(const struct willis_rays *rays, const float *voxels, float background,
                         const ptrdiff_t brick[3]) {
  const ptrdiff_t *n = rays->size;
  ptrdiff_t begin[3], end[3];
  for (int a = 0; a < 3; a++) {
    begin[a] = brick[a] * WILLIS_BRICK;
    end[a] = begin[a] + WILLIS_BRICK < n[a] ? begin[a] + WILLIS_BRICK : n[a];
  }
  for (ptrdiff_t k = begin[2]; k < end[2]; k++)
    for (ptrdiff_t j = begin[1]; j < end[1]; j++)
      for (ptrdiff_t i = begin[0]; i < end[0]; i++)
        if (voxels[(k * n[1] + j) * n[0] + i] != background) return true;
  return false;
}

/* The tiles that a box's shadow touches; false if none. */
static bool shadow_tiles(const struct willis_rays *rays, const struct willis_ray_map *map,
                         const ptrdiff_t brick[3], ptrdiff_t first[2], ptrdiff_t last[2]) {
  double low[2] = {INFINITY, INFINITY}, high[2] = {-INFINITY, -INFINITY};
  for (int corner = 0; corner < 8; corner++) {
    double x[3], h[3];
    for (int a = 0; a < 3; a++) {
      double begin = (double)(brick[a] * WILLIS_BRICK);
      x[a] = corner >> a & 1 ? fmin(begin + WILLIS_BRICK, (double)rays->size[a]) : begin - 1;
    }
    for (int k = 0; k < 3; k++) h[k] = willis_affine(map->shadow[k], x[0], x[1], x[2]);
    for (int k = 0; k < 2; k++) {
      low[k] = fmin(low[k], h[k] / h[2]);
      high[k] = fmax(high[k], h[k] / h[2]);
    }
  }
  const ptrdiff_t pixels[2] = {rays->columns, rays->rows};
  for (int k = 0; k < 2; k++) {
    /* A pixel to spare, for rounding. */
    double begin = fmax(floor(low[k]) - 1, 0), end = fmin(ceil(high[k]) + 1, (double)pixels[k] - 1);
    if (!(begin <= end)) return false;
    first[k] = (ptrdiff_t)begin / WILLIS_TILE;
    last[k] = (ptrdiff_t)end / WILLIS_TILE;
  }
  return true;
}

static void mark_brick(const struct willis_rays *rays, const struct willis_ray_view *view,
                       const ptrdiff_t brick[3]) {
  ptrdiff_t first[2], last[2];
  if (!shadow_tiles(rays, &view->map, brick, first, last)) return;
  for (ptrdiff_t r = first[1]; r <= last[1]; r++) {
    for (ptrdiff_t c = first[0]; c <= last[0]; c++) {
      struct willis_tile *tile = view->tile + r * rays->tile_columns + c;
      tile->planes |= (uint64_t)1 << brick[tile->axis] * WILLIS_BRICK / rays->chunk[tile->axis];
    }
  }
}

enum willis_status willis_rays_skip(struct willis_rays *rays, const float *voxels, float background,
                                    struct willis_error *err) {
  ptrdiff_t n[3];
  for (int a = 0; a < 3; a++) n[a] = (rays->size[a] + WILLIS_BRICK - 1) / WILLIS_BRICK;
  ptrdiff_t bricks = n[0] * n[1] * n[2], tiles = rays->tile_columns * rays->tile_rows;
  unsigned char *filled = willis_take(bricks, 1);
  if (!filled) return willis_fail_memory(err, "the bricks of the volume", bricks, 1);
#pragma omp parallel for schedule(static)
  for (ptrdiff_t b = 0; b < bricks; b++) {
    const ptrdiff_t brick[3] = {b % n[0], b / n[0] % n[1], b / n[0] / n[1]};
    filled[b] = brick_filled(rays, voxels, background, brick);
  }
#pragma omp parallel for schedule(dynamic, 1)
  for (ptrdiff_t v = 0; v < rays->view_count; v++) {
    struct willis_ray_view *view = rays->view + v;
    for (ptrdiff_t t = 0; t < tiles; t++) view->tile[t].planes = 0;
    for (ptrdiff_t b = 0; b < bricks; b++) {
      const ptrdiff_t brick[3] = {b % n[0], b / n[0] % n[1], b / n[0] / n[1]};
      if (filled[b]) mark_brick(rays, view, brick);
    }
  }
  willis_release(filled);
  return WILLIS_OK;
}

static const struct willis_ray_kernels *kernels(void) {
#ifdef WILLIS_HAVE_AVX2
  if (willis_cpu_features() & WILLIS_CPU_AVX2) return &willis_ray_avx2;
#endif
  return &willis_ray_plain;
}

void willis_rays_project(const struct willis_rays *rays, ptrdiff_t first, ptrdiff_t step,
                         const float *voxels, enum willis_projection_mode mode, float background,
                         float *pixels) {
  const struct willis_ray_kernels *kernel = kernels();
  ptrdiff_t views = first < rays->view_count ? (rays->view_count - first + step - 1) / step : 0;
#pragma omp parallel for schedule(dynamic, 1)
  for (ptrdiff_t job = 0; job < views * rays->tile_rows; job++) {
    const struct willis_ray_view *view = rays->view + first + job / rays->tile_rows * step;
    float *image = pixels + view->image * rays->columns * rays->rows;
    ptrdiff_t tile_row = job % rays->tile_rows, begin = tile_row * WILLIS_TILE;
    ptrdiff_t end = begin + WILLIS_TILE < rays->rows ? begin + WILLIS_TILE : rays->rows;
    for (ptrdiff_t t = 0; t < rays->tile_columns; t++) {
      const struct willis_tile *tile = view->tile + tile_row * rays->tile_columns + t;
      ptrdiff_t left = rays->columns - t * WILLIS_TILE;
      for (ptrdiff_t row = begin; row < end; row++) {
        float out[WILLIS_TILE], *to = image + row * rays->columns + t * WILLIS_TILE;
        kernel->project(&view->map, tile, rays->chunk[tile->axis], voxels, mode, background,
                        t * WILLIS_TILE, row, out);
        for (ptrdiff_t i = 0; i < WILLIS_TILE && i < left; i++) to[i] = out[i];
      }
    }
  }
}

/* What the transpose gathers from: the image times its rays' steps, on tiles of one axis. */
static void weigh_image(const struct willis_rays *rays, const struct willis_ray_view *view,
                        int axis, const float *pixels, float *weighed) {
  const float *image = pixels + view->image * rays->columns * rays->rows;
#pragma omp parallel for schedule(static)
  for (ptrdiff_t r = 0; r < rays->rows; r++) {
    const struct willis_tile *tiles = view->tile + r / WILLIS_TILE * rays->tile_columns;
    for (ptrdiff_t c = 0; c < rays->columns; c++) {
      ptrdiff_t p = r * rays->columns + c;
      bool on = tiles[c / WILLIS_TILE].axis == axis && image[p] != 0;
      weighed[p] = on ? (float)((double)image[p] *
                                willis_ray_step_mm(&view->map, axis, (double)c, (double)r))
                      : 0;
    }
  }
}

enum willis_status willis_rays_adjoint(const struct willis_rays *rays, ptrdiff_t first,
                                       ptrdiff_t step, const float *pixels,
                                       const struct willis_octet *octet, ptrdiff_t count,
                                       float *value, struct willis_error *err) {
  ptrdiff_t image = rays->columns * rays->rows;
  float *weighed = willis_take(image, sizeof *weighed);
  if (!weighed) return willis_fail_memory(err, "an image", image, sizeof *weighed);
  for (ptrdiff_t v = first; v < rays->view_count; v += step) {
    const struct willis_ray_view *view = rays->view + v;
    for (int axis = 0; axis < 3; axis++) {
      if (!(view->axes >> axis & 1)) continue;
      weigh_image(rays, view, axis, pixels, weighed);
#pragma omp parallel for schedule(dynamic, 4)
      for (ptrdiff_t o = 0; o < count; o += OWNED_OCTETS)
        kernels()->adjoint(&view->map, axis, weighed, rays->columns, rays->rows, octet + o,
                           count - o < OWNED_OCTETS ? count - o : OWNED_OCTETS,
                           value + o * WILLIS_OCTET);
    }
  }
  willis_release(weighed);
  return WILLIS_OK;
}

void willis_rays_gather(const struct willis_rays *rays, const float *pixels, enum willis_gather how,
                        const struct willis_octet *octet, ptrdiff_t count, float *value) {
#pragma omp parallel for schedule(dynamic, 4)
  for (ptrdiff_t o = 0; o < count; o += OWNED_OCTETS)
    for (ptrdiff_t v = 0; v < rays->view_count; v++)
      kernels()->gather(
          &rays->view[v].map, pixels + rays->view[v].image * rays->columns * rays->rows,
          rays->columns, rays->rows, how, octet + o,
          count - o < OWNED_OCTETS ? count - o : OWNED_OCTETS, value + o * WILLIS_OCTET);
}

/* A row of voxels as octets, with room for their values. */
struct row {
  struct willis_octet octet[MOST_ROW_OCTETS];
  float value[MOST_ROW_OCTETS * WILLIS_OCTET];
  ptrdiff_t count;
};

static void row_load(struct row *row, const float *voxels, ptrdiff_t n, ptrdiff_t y, ptrdiff_t z) {
  row->count = (n + WILLIS_OCTET - 1) / WILLIS_OCTET;
  for (ptrdiff_t o = 0; o < row->count; o++) {
    ptrdiff_t used = n - o * WILLIS_OCTET < WILLIS_OCTET ? n - o * WILLIS_OCTET : WILLIS_OCTET;
    row->octet[o] = (struct willis_octet){(int32_t)o, (int32_t)y, (int32_t)z, (1u << used) - 1};
  }
  for (ptrdiff_t i = 0; i < row->count * WILLIS_OCTET; i++) row->value[i] = i < n ? voxels[i] : 0;
}

void willis_rays_gather_slab(const struct willis_rays *rays, const float *pixels,
                             enum willis_gather how, const struct willis_slab *slab) {
  ptrdiff_t n = rays->size[0], rows = rays->size[1];
#pragma omp parallel for schedule(dynamic, 1)
  for (ptrdiff_t z = slab->begin; z < slab->end; z++) {
    struct row row;
    for (ptrdiff_t y = 0; y < rows; y++) {
      float *voxels = slab->voxels + ((z - slab->begin) * rows + y) * n;
      row_load(&row, voxels, n, y, z);
      for (ptrdiff_t v = 0; v < rays->view_count; v++)
        kernels()->gather(&rays->view[v].map,
                          pixels + rays->view[v].image * rays->columns * rays->rows, rays->columns,
                          rays->rows, how, row.octet, row.count, row.value);
      for (ptrdiff_t i = 0; i < n; i++) voxels[i] = row.value[i];
    }
  }
}

enum willis_status willis_rays_adjoint_volume(const struct willis_rays *rays, const float *pixels,
                                              float *voxels, struct willis_error *err) {
  ptrdiff_t n = rays->size[0], rows = rays->size[1] * rays->size[2];
  ptrdiff_t image = rays->columns * rays->rows;
  float *weighed = willis_take(image, sizeof *weighed);
  if (!weighed) return willis_fail_memory(err, "an image", image, sizeof *weighed);
  for (ptrdiff_t v = 0; v < rays->view_count; v++) {
    const struct willis_ray_view *view = rays->view + v;
    for (int axis = 0; axis < 3; axis++) {
      if (!(view->axes >> axis & 1)) continue;
      weigh_image(rays, view, axis, pixels, weighed);
#pragma omp parallel for schedule(dynamic, 64)
      for (ptrdiff_t r = 0; r < rows; r++) {
        struct row row;
        row_load(&row, voxels + r * n, n, r % rays->size[1], r / rays->size[1]);
        kernels()->adjoint(&view->map, axis, weighed, rays->columns, rays->rows, row.octet,
                           row.count, row.value);
        for (ptrdiff_t i = 0; i < n; i++) voxels[r * n + i] = row.value[i];
      }
    }
  }
  willis_release(weighed);
  return WILLIS_OK;
}

/* Every view owns its image. */
void willis_rays_gather_adjoint(const struct willis_rays *rays, const float *voxels,
                                float *pixels) {
  const ptrdiff_t *n = rays->size;
#pragma omp parallel for schedule(dynamic, 1)
  for (ptrdiff_t v = 0; v < rays->view_count; v++) {
    const struct willis_ray_map *map = &rays->view[v].map;
    float *image = pixels + rays->view[v].image * rays->columns * rays->rows;
    for (ptrdiff_t p = 0; p < rays->columns * rays->rows; p++) image[p] = 0;
    for (ptrdiff_t k = 0; k < n[2]; k++) {
      for (ptrdiff_t j = 0; j < n[1]; j++) {
        for (ptrdiff_t i = 0; i < n[0]; i++) {
          float value = voxels[(k * n[1] + j) * n[0] + i];
          if (value != 0) willis_ray_splat(map, i, j, k, value, image, rays->columns, rays->rows);
        }
      }
    }
  }
}
