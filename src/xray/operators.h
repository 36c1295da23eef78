/* What the operators share: doubt about their arguments, and the views sorted into those that every
 * slice sees alike (planar, fast) and the others (oblique). */
#ifndef WILLIS_XRAY_OPERATORS_H
#define WILLIS_XRAY_OPERATORS_H

#include "xray/view_map.h"

struct willis_rays;

/* The planar views of a stack against one n³ volume. Images have `columns` columns and n rows. */
struct willis_planar {
  ptrdiff_t n, columns, view_count;
  const struct willis_view_map *map; /* [view_count] */
  const ptrdiff_t *image;            /* [view_count], the view's place in the stack's pixels */
};

struct willis_view_set {
  struct willis_view_map
      *map; /* parallel views: planar ones first, otherwise in the order asked for */
  ptrdiff_t *image;
  ptrdiff_t count; /* parallel views */
  struct willis_planar planar;
  struct willis_rays *cone; /* the others; null for none */
  ptrdiff_t slice, voxels;  /* how many the grid has in a slice, and in all */
};

/* Checks stack, grid and `count` view numbers (null: all views of the stack) and maps the views.
 * A stack with parallel views needs a cubic grid along LPS. GEOMETRY, INVALID_ARGUMENT,
 * UNSUPPORTED (too large), OUT_OF_MEMORY. */
WILLIS_CHECKED enum willis_status willis_view_set_init(struct willis_view_set *set,
                                                       const struct willis_projections *stack,
                                                       const ptrdiff_t *view, ptrdiff_t count,
                                                       const struct willis_grid *grid,
                                                       struct willis_error *err);
/* UNSUPPORTED when an edge is longer than the kernels' tables can hold. */
WILLIS_CHECKED enum willis_status
willis_operators_check_size(const struct willis_projections *stack, const struct willis_grid *grid,
                            struct willis_error *err);
void willis_view_set_release(struct willis_view_set *set);

/* A copy of the pixels with NaN where they are not shown, for LEAST, which passes over NaN; null
 * when all of them are shown. The caller frees it. OUT_OF_MEMORY. */
WILLIS_CHECKED enum willis_status willis_mark_hidden(const struct willis_projections *stack,
                                                     float **marked, struct willis_error *err);

/* What one voxel makes of the images. A voxel that no view sees keeps the start value. CLOSER is a
 * sum with weights (source to isocenter / depth)², for bundles of rays only. */
enum willis_gather { WILLIS_GATHER_SUM, WILLIS_GATHER_LEAST, WILLIS_GATHER_CLOSER };
float willis_gather_start(enum willis_gather how);

/* The slices [begin,end) of a volume; `voxels` is the first of slice `begin`. */
struct willis_slab {
  ptrdiff_t begin, end;
  float *voxels;
};

/* Gathers the images of a set into the slab: every voxel's start value, then each view. */
WILLIS_CHECKED enum willis_status willis_gather_views(const struct willis_view_set *set,
                                                      const struct willis_projections *stack,
                                                      enum willis_gather how,
                                                      const struct willis_slab *slab,
                                                      struct willis_error *err);

/* Planar kernels: plain ones, and variants for one instruction set that compute the same within
 * rounding. The projectors overwrite the images of the planar views; the adjoints add into the
 * volume (…_scatter) or overwrite images (…_gather_adjoint); gathering overwrites the slab.
 * `background` is what a ray starts with: the minimum of the volume for MAX, 0 for SUM. */
struct willis_planar_kernels {
  enum willis_status (*project)(const struct willis_planar *views, const float *voxels,
                                enum willis_projection_mode mode, float background, float *pixels,
                                struct willis_error *err);
  enum willis_status (*project_adjoint)(const struct willis_planar *views, const float *pixels,
                                        float *voxels, struct willis_error *err);
  enum willis_status (*gather)(const struct willis_planar *views, const float *pixels,
                               enum willis_gather how, const struct willis_slab *slab,
                               struct willis_error *err);
  enum willis_status (*gather_adjoint)(const struct willis_planar *views, const float *voxels,
                                       float *pixels, struct willis_error *err);
  /* Exactly what `gather` allocates for so many slices. */
  enum willis_status (*gather_bytes)(const struct willis_planar *views, ptrdiff_t slices,
                                     size_t *bytes, struct willis_error *err);
};
extern const struct willis_planar_kernels willis_planar_plain;
extern const struct willis_planar_kernels willis_planar_avx2;
/* The best ones for this processor. */
const struct willis_planar_kernels *willis_planar_kernels(void);

/* One view of any direction, by rays and voxels; `image` is that view's. As above. */
void willis_oblique_project(const struct willis_view_map *map, const float *voxels, ptrdiff_t n,
                            enum willis_projection_mode mode, float background, float *image,
                            ptrdiff_t columns, ptrdiff_t rows);
void willis_oblique_project_adjoint(const struct willis_view_map *map, const float *image,
                                    ptrdiff_t columns, ptrdiff_t rows, float *voxels, ptrdiff_t n);
void willis_oblique_gather(const struct willis_view_map *map, const float *image, ptrdiff_t columns,
                           ptrdiff_t rows, enum willis_gather how, ptrdiff_t n,
                           const struct willis_slab *slab);
void willis_oblique_gather_adjoint(const struct willis_view_map *map, const float *voxels,
                                   ptrdiff_t n, float *image, ptrdiff_t columns, ptrdiff_t rows);

#endif
