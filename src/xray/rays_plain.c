/* Rays and shadows by plain loops, in double: the reference of the variants. */
#include "xray/rays.h"

#include <math.h>

/* Bilinear interpolation in a plane of nb×nc voxels; outside it is `background`. Written as a +
 * f·(b − a), so that equal values stay what they are. */
static double in_plane(const float *plane, const ptrdiff_t n[2], const ptrdiff_t stride[2],
                       const double at[2], double background) {
  ptrdiff_t base[2];
  double f[2], value[2][2];
  for (int k = 0; k < 2; k++) {
    double low = floor(at[k]);
    if (!(low >= -1 && low < (double)n[k])) return background;
    base[k] = (ptrdiff_t)low;
    f[k] = at[k] - low;
  }
  for (int q = 0; q < 2; q++) {
    for (int p = 0; p < 2; p++) {
      ptrdiff_t b = base[0] + p, c = base[1] + q;
      bool inside = b >= 0 && b < n[0] && c >= 0 && c < n[1];
      value[q][p] = inside ? (double)plane[b * stride[0] + c * stride[1]] : background;
    }
  }
  double low = value[0][0] + f[0] * (value[0][1] - value[0][0]);
  double high = value[1][0] + f[0] * (value[1][1] - value[1][0]);
  return low + f[1] * (high - low);
}

static void project(const struct willis_ray_map *map, const struct willis_tile *tile,
                    ptrdiff_t chunk, const float *voxels, enum willis_projection_mode mode,
                    float background, ptrdiff_t first_column, ptrdiff_t row,
                    float out[WILLIS_TILE]) {
  const ptrdiff_t all[3] = {1, map->size[0], map->size[0] * map->size[1]};
  int a = tile->axis, b = (a + 1) % 3, c = (a + 2) % 3;
  const ptrdiff_t n[2] = {map->size[b], map->size[c]}, stride[2] = {all[b], all[c]};
  for (int lane = 0; lane < WILLIS_TILE; lane++) {
    double column = (double)(first_column + lane), r = (double)row, start[3], beam[3];
    for (int k = 0; k < 3; k++) {
      start[k] = willis_ray_at(map->start[k], column, r);
      beam[k] = willis_ray_at(map->beam[k], column, r);
    }
    double slope[2] = {beam[b] / beam[a], beam[c] / beam[a]}, sum = 0, most = background;
    for (uint64_t planes = tile->planes; planes; planes &= planes - 1) {
      ptrdiff_t i = __builtin_ctzll(planes) * chunk, end = i + chunk;
      for (; i < end && i < map->size[a]; i++) {
        double t = (double)i - start[a];
        double at[2] = {start[b] + t * slope[0], start[c] + t * slope[1]};
        double value = in_plane(voxels + i * all[a], n, stride, at, background);
        sum += value;
        most = fmax(most, value);
      }
    }
    out[lane] =
        (float)(mode == WILLIS_PROJECTION_MAX ? most : sum * willis_ray_step_mm(map, a, column, r));
  }
}

/* The shadow of one voxel's pair of hats: pixels around (column,row) within `reach`. A ray misses
 * the voxel's centre, along in-plane axis k, by slope[k]·(pixel − shadow) / beam. */
struct hats {
  double column, row, slope[2][2], reach[2];
};

static struct hats hats(const struct willis_ray_map *map, int a, const double voxel[3]) {
  struct hats h;
  double weight = willis_affine(map->shadow[2], voxel[0], voxel[1], voxel[2]);
  h.column = willis_affine(map->shadow[0], voxel[0], voxel[1], voxel[2]) / weight;
  h.row = willis_affine(map->shadow[1], voxel[0], voxel[1], voxel[2]) / weight;
  const double *beam = map->beam[a], *start = map->start[a];
  for (int k = 0; k < 2; k++) {
    int b = (a + 1 + k) % 3;
    for (int p = 0; p < 2; p++)
      h.slope[k][p] = map->beam[b][1 + p] * (voxel[a] - start[0]) -
                      beam[1 + p] * (voxel[b] - map->start[b][0]) + beam[0] * map->start[b][1 + p] -
                      map->beam[b][0] * start[1 + p];
  }
  /* |slope·offset| < |beam| for both k bounds the offset; the beam itself grows with the offset. */
  double area = fabs(h.slope[0][0] * h.slope[1][1] - h.slope[0][1] * h.slope[1][0]);
  double reach[2] = {(fabs(h.slope[0][1]) + fabs(h.slope[1][1])) / area,
                     (fabs(h.slope[0][0]) + fabs(h.slope[1][0])) / area};
  double shrink = 1 - fabs(beam[1]) * reach[0] - fabs(beam[2]) * reach[1];
  double middle = fabs(willis_ray_at(beam, h.column, h.row));
  for (int p = 0; p < 2; p++) h.reach[p] = shrink > 0 ? reach[p] * middle / shrink : INFINITY;
  return h;
}

static void adjoint(const struct willis_ray_map *map, int axis, const float *image,
                    ptrdiff_t columns, ptrdiff_t rows, const struct willis_octet *octet,
                    ptrdiff_t count, float *value) {
  for (ptrdiff_t o = 0; o < count; o++) {
    for (int lane = 0; lane < WILLIS_OCTET; lane++) {
      if (!(octet[o].lanes >> lane & 1)) continue;
      double voxel[3] = {(double)(octet[o].x * WILLIS_OCTET + lane), octet[o].y, octet[o].z};
      struct hats h = hats(map, axis, voxel);
      ptrdiff_t c0 = (ptrdiff_t)fmax(ceil(h.column - h.reach[0]), 0);
      ptrdiff_t c1 = (ptrdiff_t)fmin(floor(h.column + h.reach[0]), (double)(columns - 1));
      ptrdiff_t r0 = (ptrdiff_t)fmax(ceil(h.row - h.reach[1]), 0);
      ptrdiff_t r1 = (ptrdiff_t)fmin(floor(h.row + h.reach[1]), (double)(rows - 1));
      double sum = 0;
      for (ptrdiff_t r = r0; r <= r1; r++) {
        for (ptrdiff_t c = c0; c <= c1; c++) {
          double dc = (double)c - h.column, dr = (double)r - h.row;
          double beam = willis_ray_at(map->beam[axis], (double)c, (double)r);
          double u = 1 - fabs((h.slope[0][0] * dc + h.slope[0][1] * dr) / beam);
          double v = 1 - fabs((h.slope[1][0] * dc + h.slope[1][1] * dr) / beam);
          if (u > 0 && v > 0) sum += u * v * (double)image[r * columns + c];
        }
      }
      value[o * WILLIS_OCTET + lane] += (float)sum;
    }
  }
}

static float combine(enum willis_gather how, float before, double value, double weight) {
  switch (how) {
  case WILLIS_GATHER_SUM:
    return before + (float)value;
  case WILLIS_GATHER_LEAST:
    return (float)value < before ? (float)value : before;
  case WILLIS_GATHER_CLOSER:
    return before + (float)(value / (weight * weight));
  }
  return before;
}

/* The four pixels around a voxel's shadow; false where the view does not see it. */
struct pixels {
  ptrdiff_t first, right, below;
  double fc, fr, weight;
};

static bool shadow(const struct willis_ray_map *map, double i, double j, double k,
                   ptrdiff_t columns, ptrdiff_t rows, struct pixels *at) {
  double h[3];
  for (int a = 0; a < 3; a++) h[a] = willis_affine(map->shadow[a], i, j, k);
  double column = h[0] / h[2], row = h[1] / h[2];
  if (!willis_within(column, columns) || !willis_within(row, rows)) return false;
  ptrdiff_t c = willis_base(column, columns, &at->fc), r = willis_base(row, rows, &at->fr);
  at->first = r * columns + c;
  at->right = columns > 1;
  at->below = rows > 1 ? columns : 0;
  at->weight = h[2];
  return true;
}

static void gather(const struct willis_ray_map *map, const float *image, ptrdiff_t columns,
                   ptrdiff_t rows, enum willis_gather how, const struct willis_octet *octet,
                   ptrdiff_t count, float *value) {
  for (ptrdiff_t o = 0; o < count; o++) {
    for (int lane = 0; lane < WILLIS_OCTET; lane++) {
      struct pixels at;
      double i = (double)(octet[o].x * WILLIS_OCTET + lane);
      if (!(octet[o].lanes >> lane & 1)) continue;
      if (!shadow(map, i, octet[o].y, octet[o].z, columns, rows, &at)) continue;
      const float *p = image + at.first;
      double top = p[0] + at.fc * ((double)p[at.right] - p[0]);
      double bottom = p[at.below] + at.fc * ((double)p[at.below + at.right] - p[at.below]);
      float *to = value + o * WILLIS_OCTET + lane;
      *to = combine(how, *to, top + at.fr * (bottom - top), at.weight);
    }
  }
}

void willis_ray_splat(const struct willis_ray_map *map, ptrdiff_t i, ptrdiff_t j, ptrdiff_t k,
                      float value, float *image, ptrdiff_t columns, ptrdiff_t rows) {
  struct pixels at;
  if (!shadow(map, (double)i, (double)j, (double)k, columns, rows, &at)) return;
  float *p = image + at.first;
  p[0] += (float)((1 - at.fc) * (1 - at.fr)) * value;
  p[at.right] += (float)(at.fc * (1 - at.fr)) * value;
  p[at.below] += (float)((1 - at.fc) * at.fr) * value;
  p[at.below + at.right] += (float)(at.fc * at.fr) * value;
}

const struct willis_ray_kernels willis_ray_plain = {project, adjoint, gather};
