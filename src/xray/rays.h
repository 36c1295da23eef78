/* Views as bundles of rays in the index space of any grid: cone beams, and parallel ones alike.
 *
 * Line integrals are Joseph's (IEEE TMI 1982): a ray is sampled where it crosses the planes of
 * voxels across its steepest axis, bilinearly within the plane, and the sum is multiplied by the
 * millimetres from one plane to the next. Outside the grid counts as 0. A voxel's weight on a ray
 * is then a product of two hats, so the transpose can be gathered, voxel by voxel, from the few
 * pixels around the voxel's shadow: no scatter, and nothing depends on the number of threads.
 *
 * Pixels are treated in tiles of 8×8, which share one steepest axis; voxels in octets, eight along
 * x.
 */
#ifndef WILLIS_XRAY_RAYS_H
#define WILLIS_XRAY_RAYS_H

#include "xray/operators.h"

enum { WILLIS_TILE = 8, WILLIS_OCTET = 8, WILLIS_BRICK = 8 };

/* The ray of pixel (c,r) is start + t·beam; each coordinate is x[0] + x[1]·c + x[2]·r, and either
 * all starts are equal (a cone) or all beams are. Voxel (i,j,k) falls on column = h0/h2, row =
 * h1/h2 with h affine in (i,j,k); h2 is 1 at the isocenter and for parallel beams. */
struct willis_ray_map {
  double start[3][3], beam[3][3];
  double shadow[3][4];
  ptrdiff_t size[3];
  double spacing_mm[3];
};

void willis_ray_map_init(struct willis_ray_map *map, const struct willis_view *view,
                         const double isocenter_mm[3], const struct willis_grid *grid);

/* Which planes a tile's rays must visit: bit b stands for `chunk` planes along the tile's axis. */
struct willis_tile {
  uint64_t planes;
  unsigned char axis;
};

struct willis_ray_view {
  struct willis_ray_map map;
  ptrdiff_t image;          /* its place in the stack */
  unsigned axes;            /* bit a: some tile's axis is a */
  struct willis_tile *tile; /* [tile_rows][tile_columns] */
};

struct willis_rays {
  ptrdiff_t columns, rows, tile_columns, tile_rows, view_count;
  ptrdiff_t size[3], chunk[3];
  struct willis_ray_view *view;
  struct willis_tile *tile;
};

/* Eight voxels along x: voxel 8·x + lane for every bit of `lanes`. */
struct willis_octet {
  int32_t x, y, z;
  uint32_t lanes;
};

/* The views view[count] of a checked stack against a checked grid, with every plane to be visited.
 * GEOMETRY when a source is inside the grid or behind it; OUT_OF_MEMORY. */
WILLIS_CHECKED enum willis_status willis_rays_init(struct willis_rays *rays,
                                                   const struct willis_projections *stack,
                                                   const ptrdiff_t *view, ptrdiff_t count,
                                                   const struct willis_grid *grid,
                                                   struct willis_error *err);
void willis_rays_release(struct willis_rays *rays);
/* What they hold. */
size_t willis_rays_bytes(const struct willis_rays *rays);
/* Lets the rays skip what holds only `background`. Results stay the same to the last bit. */
WILLIS_CHECKED enum willis_status willis_rays_skip(struct willis_rays *rays, const float *voxels,
                                                   float background, struct willis_error *err);

/* Projects into pixels[image][row][column] for the views first, first+step, … */
void willis_rays_project(const struct willis_rays *rays, ptrdiff_t first, ptrdiff_t step,
                         const float *voxels, enum willis_projection_mode mode, float background,
                         float *pixels);
/* The transpose of its sums, added to value[octet][lane]; lanes that are off stay. */
WILLIS_CHECKED enum willis_status
willis_rays_adjoint(const struct willis_rays *rays, ptrdiff_t first, ptrdiff_t step,
                    const float *pixels, const struct willis_octet *octet, ptrdiff_t count,
                    float *value, struct willis_error *err);
/* What voxels make of the bilinearly interpolated images, into value[octet][lane], which holds
 * earlier views' or the start value. */
void willis_rays_gather(const struct willis_rays *rays, const float *pixels, enum willis_gather how,
                        const struct willis_octet *octet, ptrdiff_t count, float *value);
/* The transpose of gathering sums: overwrites the images of these views. */
void willis_rays_gather_adjoint(const struct willis_rays *rays, const float *voxels, float *pixels);

/* The same on whole slices. */
void willis_rays_gather_slab(const struct willis_rays *rays, const float *pixels,
                             enum willis_gather how, const struct willis_slab *slab);
WILLIS_CHECKED enum willis_status willis_rays_adjoint_volume(const struct willis_rays *rays,
                                                             const float *pixels, float *voxels,
                                                             struct willis_error *err);

/* Kernels: one tile of an image; one view and some octets. In `adjoint` the image is multiplied by
 * the rays' step beforehand and zero on tiles of another axis than `axis`. */
struct willis_ray_kernels {
  void (*project)(const struct willis_ray_map *map, const struct willis_tile *tile, ptrdiff_t chunk,
                  const float *voxels, enum willis_projection_mode mode, float background,
                  ptrdiff_t first_column, ptrdiff_t row, float out[WILLIS_TILE]);
  void (*adjoint)(const struct willis_ray_map *map, int axis, const float *image, ptrdiff_t columns,
                  ptrdiff_t rows, const struct willis_octet *octet, ptrdiff_t count, float *value);
  void (*gather)(const struct willis_ray_map *map, const float *image, ptrdiff_t columns,
                 ptrdiff_t rows, enum willis_gather how, const struct willis_octet *octet,
                 ptrdiff_t count, float *value);
};
extern const struct willis_ray_kernels willis_ray_plain;
extern const struct willis_ray_kernels willis_ray_avx2;

/* Adds a voxel's value to the four pixels around its shadow: what `gather` takes, given back. */
void willis_ray_splat(const struct willis_ray_map *map, ptrdiff_t i, ptrdiff_t j, ptrdiff_t k,
                      float value, float *image, ptrdiff_t columns, ptrdiff_t rows);
/* Millimetres from one plane of `axis` to the next along the ray of a pixel. */
double willis_ray_step_mm(const struct willis_ray_map *map, int axis, double column, double row);

static inline double willis_ray_at(const double x[3], double column, double row) {
  return x[0] + x[1] * column + x[2] * row;
}

#endif
