/* Planar views slice by slice, as plainly as they can be said: the oracle of the fast kernels, and
 * what runs without them.
 *
 * Slice k of the volume and row n−1−k of an image are a problem of their own, the same for every k:
 * so a view is first written down as a table of its samples in the plane, and the table is then
 * applied to all slices. */
#include "xray/operators.h"

#include "base/error.h"
#include "base/memory.h"

/* A sample of a ray: lower left voxel of its cell and where in the cell it lies. */
struct sample {
  ptrdiff_t offset;
  float fx, fy;
};

/* The rays of a view: sample[column·n + t] for first[column] ≤ t ≤ last[column]. */
struct rays {
  struct sample *sample;
  ptrdiff_t *first, *last;
};

static enum willis_status rays_init(struct rays *rays, const struct willis_planar *views,
                                    struct willis_error *err) {
  ptrdiff_t count;
  *rays = (struct rays){0};
  if (willis_multiply(views->columns, views->n, &count))
    rays->sample = willis_take(count, sizeof *rays->sample);
  rays->first = willis_take(views->columns, sizeof *rays->first);
  rays->last = willis_take(views->columns, sizeof *rays->last);
  if (rays->sample && rays->first && rays->last) return WILLIS_OK;
  return willis_fail_memory(err, "the rays of a view", count, sizeof *rays->sample);
}

static void rays_release(struct rays *rays) {
  willis_release(rays->sample);
  willis_release(rays->first);
  willis_release(rays->last);
}

static void rays_trace(struct rays *rays, const struct willis_view_map *map, ptrdiff_t columns,
                       ptrdiff_t n) {
  for (ptrdiff_t c = 0; c < columns; c++) {
    willis_view_map_range(map, n, (double)c, 0, rays->first + c, rays->last + c);
    double x0 = map->start[0] + (double)c * map->along_column[0];
    double y0 = map->start[1] + (double)c * map->along_column[1];
    for (ptrdiff_t t = rays->first[c]; t <= rays->last[c]; t++) {
      double fx, fy;
      ptrdiff_t x = willis_base(x0 + (double)t * map->along_ray[0], n, &fx);
      ptrdiff_t y = willis_base(y0 + (double)t * map->along_ray[1], n, &fy);
      rays->sample[c * n + t] = (struct sample){y * n + x, (float)fx, (float)fy};
    }
  }
}

static void project_row(const struct rays *rays, const struct willis_planar *views,
                        const float *slice, enum willis_projection_mode mode, float background,
                        float *row) {
  ptrdiff_t n = views->n, right = n > 1, up = n > 1 ? n : 0;
  for (ptrdiff_t c = 0; c < views->columns; c++) {
    double sum = 0;
    float most = background;
    for (ptrdiff_t t = rays->first[c]; t <= rays->last[c]; t++) {
      struct sample s = rays->sample[c * n + t];
      const float *v = slice + s.offset;
      float below = v[0] + s.fx * (v[right] - v[0]);
      float above = v[up] + s.fx * (v[up + right] - v[up]);
      float value = below + s.fy * (above - below);
      most = value > most ? value : most;
      sum += value;
    }
    row[c] = mode == WILLIS_PROJECTION_MAX ? most : (float)sum;
  }
}

static enum willis_status project(const struct willis_planar *views, const float *voxels,
                                  enum willis_projection_mode mode, float background, float *pixels,
                                  struct willis_error *err) {
  ptrdiff_t n = views->n, columns = views->columns;
  struct rays rays;
  enum willis_status status = rays_init(&rays, views, err);
  for (ptrdiff_t v = 0; v < views->view_count && !status; v++) {
    rays_trace(&rays, views->map + v, columns, n);
    float *image = pixels + views->image[v] * columns * n;
#pragma omp parallel for schedule(dynamic, 1)
    for (ptrdiff_t k = 0; k < n; k++)
      project_row(&rays, views, voxels + k * n * n, mode, background,
                  image + (n - 1 - k) * columns);
  }
  rays_release(&rays);
  return status;
}

static void project_row_adjoint(const struct rays *rays, const struct willis_planar *views,
                                const float *row, float *slice) {
  ptrdiff_t n = views->n, right = n > 1, up = n > 1 ? n : 0;
  for (ptrdiff_t c = 0; c < views->columns; c++) {
    for (ptrdiff_t t = rays->first[c]; t <= rays->last[c]; t++) {
      struct sample s = rays->sample[c * n + t];
      float *v = slice + s.offset;
      float above = s.fy * row[c], below = row[c] - above;
      v[0] += below - s.fx * below;
      v[right] += s.fx * below;
      v[up] += above - s.fx * above;
      v[up + right] += s.fx * above;
    }
  }
}

static enum willis_status project_adjoint(const struct willis_planar *views, const float *pixels,
                                          float *voxels, struct willis_error *err) {
  ptrdiff_t n = views->n, columns = views->columns;
  struct rays rays;
  enum willis_status status = rays_init(&rays, views, err);
  for (ptrdiff_t v = 0; v < views->view_count && !status; v++) {
    rays_trace(&rays, views->map + v, columns, n);
    const float *image = pixels + views->image[v] * columns * n;
#pragma omp parallel for schedule(dynamic, 1)
    for (ptrdiff_t k = 0; k < n; k++)
      project_row_adjoint(&rays, views, image + (n - 1 - k) * columns, voxels + k * n * n);
  }
  rays_release(&rays);
  return status;
}

/* Where the voxels of a slice fall in a row of an image; column −1 where the view does not see. */
struct tap {
  int32_t column;
  float fraction;
};

static enum willis_status taps_init(struct tap **tap, ptrdiff_t n, struct willis_error *err) {
  *tap = willis_take(n * n, sizeof **tap);
  return *tap ? WILLIS_OK : willis_fail_memory(err, "the voxels of a slice", n * n, sizeof **tap);
}

static void taps_find(struct tap *tap, const struct willis_view_map *map, ptrdiff_t columns,
                      ptrdiff_t n) {
  for (ptrdiff_t j = 0; j < n; j++) {
    for (ptrdiff_t i = 0; i < n; i++) {
      double column = willis_affine(map->column, (double)i, (double)j, 0), fraction;
      double depth = willis_affine(map->depth, (double)i, (double)j, 0);
      struct tap *at = tap + j * n + i;
      *at = (struct tap){.column = -1};
      if (!willis_within(column, columns) || !willis_within(depth, n)) continue;
      at->column = (int32_t)willis_base(column, columns, &fraction);
      at->fraction = (float)fraction;
    }
  }
}

static enum willis_status gather(const struct willis_planar *views, const float *pixels,
                                 enum willis_gather how, const struct willis_slab *slab,
                                 struct willis_error *err) {
  ptrdiff_t n = views->n, columns = views->columns, right = columns > 1;
  struct tap *tap;
  enum willis_status status = taps_init(&tap, n, err);
  for (ptrdiff_t p = 0; p < (slab->end - slab->begin) * n * n && !status; p++)
    slab->voxels[p] = willis_gather_start(how);
  for (ptrdiff_t v = 0; v < views->view_count && !status; v++) {
    taps_find(tap, views->map + v, columns, n);
    const float *image = pixels + views->image[v] * columns * n;
#pragma omp parallel for schedule(dynamic, 1)
    for (ptrdiff_t k = slab->begin; k < slab->end; k++) {
      const float *row = image + (n - 1 - k) * columns;
      float *slice = slab->voxels + (k - slab->begin) * n * n;
      for (ptrdiff_t p = 0; p < n * n; p++) {
        if (tap[p].column < 0) continue;
        const float *at = row + tap[p].column;
        float value = at[0] + tap[p].fraction * (at[right] - at[0]);
        slice[p] =
            how == WILLIS_GATHER_SUM ? slice[p] + value : (value < slice[p] ? value : slice[p]);
      }
    }
  }
  willis_release(tap);
  return status;
}

static enum willis_status gather_adjoint(const struct willis_planar *views, const float *voxels,
                                         float *pixels, struct willis_error *err) {
  ptrdiff_t n = views->n, columns = views->columns, right = columns > 1;
  struct tap *tap;
  enum willis_status status = taps_init(&tap, n, err);
  for (ptrdiff_t v = 0; v < views->view_count && !status; v++) {
    taps_find(tap, views->map + v, columns, n);
    float *image = pixels + views->image[v] * columns * n;
#pragma omp parallel for schedule(dynamic, 1)
    for (ptrdiff_t k = 0; k < n; k++) {
      float *row = image + (n - 1 - k) * columns;
      const float *slice = voxels + k * n * n;
      for (ptrdiff_t c = 0; c < columns; c++) row[c] = 0;
      for (ptrdiff_t p = 0; p < n * n; p++) {
        if (tap[p].column < 0) continue;
        float *at = row + tap[p].column, share = tap[p].fraction * slice[p];
        at[0] += slice[p] - share;
        at[right] += share;
      }
    }
  }
  willis_release(tap);
  return status;
}

static enum willis_status gather_bytes(const struct willis_planar *views, ptrdiff_t slices,
                                       size_t *bytes, struct willis_error *err) {
  (void)slices, (void)err;
  *bytes = (size_t)(views->n * views->n) * sizeof(struct tap);
  return WILLIS_OK;
}

const struct willis_planar_kernels willis_planar_plain = {project, project_adjoint, gather,
                                                          gather_adjoint, gather_bytes};
