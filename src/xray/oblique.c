/* Any parallel view, one at a time: rays through the volume with trilinear, voxels onto the
 * detector with bilinear interpolation. The formulas are those of the planar kernels, without their
 * restriction to one plane; each adjoint visits the same pairs with the same weights.
 *
 * Determinism of the scatters: every thread owns slices (or an image) and walks all rays in order,
 * adding only what falls into its own. */
#include "xray/operators.h"

#include <math.h>

enum { OWNED_SLICES = 8 };

/* The eight voxels around a point inside the volume, and their weights. */
struct corner {
  ptrdiff_t slice[2], offset[4];
  float weight_z[2], weight[4];
};

static struct corner corners(const struct willis_view_map *map, double column, double row, double t,
                             ptrdiff_t n) {
  double f[3];
  ptrdiff_t base[3], next = n > 1;
  for (int a = 0; a < 3; a++) {
    double x = map->start[a] + column * map->along_column[a] + row * map->along_row[a];
    base[a] = willis_base(x + t * map->along_ray[a], n, &f[a]);
  }
  ptrdiff_t first = base[1] * n + base[0];
  return (struct corner){.slice = {base[2], base[2] + next},
                         .weight_z = {(float)(1 - f[2]), (float)f[2]},
                         .offset = {first, first + next, first + next * n, first + next * n + next},
                         .weight = {(float)((1 - f[0]) * (1 - f[1])), (float)(f[0] * (1 - f[1])),
                                    (float)((1 - f[0]) * f[1]), (float)(f[0] * f[1])}};
}

void willis_oblique_project(const struct willis_view_map *map, const float *voxels, ptrdiff_t n,
                            enum willis_projection_mode mode, float background, float *image,
                            ptrdiff_t columns, ptrdiff_t rows) {
#pragma omp parallel for schedule(dynamic, 1)
  for (ptrdiff_t r = 0; r < rows; r++) {
    for (ptrdiff_t c = 0; c < columns; c++) {
      ptrdiff_t first, last;
      willis_view_map_range(map, n, (double)c, (double)r, &first, &last);
      double sum = 0;
      float most = background;
      for (ptrdiff_t t = first; t <= last; t++) {
        struct corner at = corners(map, (double)c, (double)r, (double)t, n);
        float value = 0;
        for (int z = 0; z < 2; z++) {
          const float *slice = voxels + at.slice[z] * n * n;
          for (int k = 0; k < 4; k++) value += at.weight_z[z] * at.weight[k] * slice[at.offset[k]];
        }
        most = value > most ? value : most;
        sum += value;
      }
      image[r * columns + c] = mode == WILLIS_PROJECTION_MAX ? most : (float)sum;
    }
  }
}

/* Adds to the slices [begin,end) what the ray of one pixel gives them. */
static void scatter_ray(const struct willis_view_map *map, double column, double row, float pixel,
                        float *voxels, ptrdiff_t n, ptrdiff_t begin, ptrdiff_t end) {
  ptrdiff_t first, last;
  willis_view_map_range(map, n, column, row, &first, &last);
  /* Only samples with begin − 1 ≤ z < end touch these slices; one to spare for rounding. */
  double w = map->along_ray[2];
  double z0 = map->start[2] + column * map->along_column[2] + row * map->along_row[2];
  if (w != 0) {
    double t0 = ((double)begin - 2 - z0) / w, t1 = ((double)end + 1 - z0) / w;
    first = (ptrdiff_t)fmax((double)first, floor(fmin(t0, t1)));
    last = (ptrdiff_t)fmin((double)last, ceil(fmax(t0, t1)));
  }
  for (ptrdiff_t t = first; t <= last; t++) {
    struct corner at = corners(map, column, row, (double)t, n);
    for (int z = 0; z < 2; z++) {
      if (at.slice[z] < begin || at.slice[z] >= end) continue;
      float *slice = voxels + at.slice[z] * n * n;
      for (int k = 0; k < 4; k++) slice[at.offset[k]] += at.weight_z[z] * at.weight[k] * pixel;
    }
  }
}

void willis_oblique_project_adjoint(const struct willis_view_map *map, const float *image,
                                    ptrdiff_t columns, ptrdiff_t rows, float *voxels, ptrdiff_t n) {
#pragma omp parallel for schedule(dynamic, 1)
  for (ptrdiff_t begin = 0; begin < n; begin += OWNED_SLICES) {
    ptrdiff_t end = begin + OWNED_SLICES < n ? begin + OWNED_SLICES : n;
    for (ptrdiff_t r = 0; r < rows; r++)
      for (ptrdiff_t c = 0; c < columns; c++)
        scatter_ray(map, (double)c, (double)r, image[r * columns + c], voxels, n, begin, end);
  }
}

/* The four pixels around a voxel's place on the detector; false where the view does not see it. */
struct footprint {
  ptrdiff_t offset[4];
  float weight[4];
};

static bool footprint(const struct willis_view_map *map, ptrdiff_t i, ptrdiff_t j, ptrdiff_t k,
                      ptrdiff_t n, ptrdiff_t columns, ptrdiff_t rows, struct footprint *at) {
  double column = willis_affine(map->column, (double)i, (double)j, (double)k);
  double row = willis_affine(map->row, (double)i, (double)j, (double)k);
  double depth = willis_affine(map->depth, (double)i, (double)j, (double)k);
  if (!willis_within(column, columns) || !willis_within(row, rows) || !willis_within(depth, n))
    return false;
  double fc, fr;
  ptrdiff_t c = willis_base(column, columns, &fc), r = willis_base(row, rows, &fr);
  ptrdiff_t right = columns > 1, below = rows > 1 ? columns : 0, first = r * columns + c;
  *at = (struct footprint){.offset = {first, first + right, first + below, first + below + right},
                           .weight = {(float)((1 - fc) * (1 - fr)), (float)(fc * (1 - fr)),
                                      (float)((1 - fc) * fr), (float)(fc * fr)}};
  return true;
}

void willis_oblique_gather(const struct willis_view_map *map, const float *image, ptrdiff_t columns,
                           ptrdiff_t rows, enum willis_gather how, ptrdiff_t n,
                           const struct willis_slab *slab) {
#pragma omp parallel for schedule(dynamic, 1)
  for (ptrdiff_t k = slab->begin; k < slab->end; k++) {
    float *slice = slab->voxels + (k - slab->begin) * n * n;
    for (ptrdiff_t j = 0; j < n; j++) {
      for (ptrdiff_t i = 0; i < n; i++) {
        struct footprint at;
        if (!footprint(map, i, j, k, n, columns, rows, &at)) continue;
        float value = 0, *voxel = slice + j * n + i;
        for (int p = 0; p < 4; p++) value += at.weight[p] * image[at.offset[p]];
        *voxel = how == WILLIS_GATHER_SUM ? *voxel + value : (value < *voxel ? value : *voxel);
      }
    }
  }
}

void willis_oblique_gather_adjoint(const struct willis_view_map *map, const float *voxels,
                                   ptrdiff_t n, float *image, ptrdiff_t columns, ptrdiff_t rows) {
  for (ptrdiff_t p = 0; p < columns * rows; p++) image[p] = 0;
  for (ptrdiff_t k = 0; k < n; k++) {
    for (ptrdiff_t j = 0; j < n; j++) {
      for (ptrdiff_t i = 0; i < n; i++) {
        struct footprint at;
        if (!footprint(map, i, j, k, n, columns, rows, &at)) continue;
        float value = voxels[(k * n + j) * n + i];
        for (int p = 0; p < 4; p++) image[at.offset[p]] += at.weight[p] * value;
      }
    }
  }
}
