/* Volumes: a grid in patient space and the voxels on it.
 *
 * Frame: LPS in millimetres everywhere inside Willis (x to the patient's left, y to the back, z to
 * the head). Files in other frames are converted where they are read and written (src/io). */
#ifndef WILLIS_VOLUME_H
#define WILLIS_VOLUME_H

#include <willis/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

WILLIS_BEGIN

/* Where voxels are. Voxel (i,j,k) has its centre at
 *   world = origin_mm + direction · diag(spacing_mm) · (i,j,k)
 * with direction the 3×3 matrix, row-major, whose columns are the unit vectors of i, j and k. */
struct willis_grid {
  ptrdiff_t size[3];
  double spacing_mm[3];
  double origin_mm[3];
  double direction[9];
};

/* A scalar volume. voxels[(k·size[1] + j)·size[0] + i], i (x) fastest. Made by
 * willis_volume_create() or a reader, released by willis_volume_release(). `integral` says that
 * the values came from an integer type (Otsu then takes one bin a value). */
struct willis_volume {
  struct willis_grid grid;
  float *voxels;
  bool integral;
};

/* A cube of n³ voxels of spacing_mm, axes along LPS, centred on centre_mm (null: on 0,0,0). */
WILLIS_API struct willis_grid willis_grid_cube(ptrdiff_t n, double spacing_mm,
                                               const double centre_mm[3]);
/* Number of voxels; 0 if a size is not positive or the product does not fit. */
WILLIS_API ptrdiff_t willis_grid_count(const struct willis_grid *grid);
/* GEOMETRY unless sizes are positive, spacings finite and positive, origin finite and direction
 * orthonormal within 1e-4. `what` names the thing in the message. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_grid_check(const struct willis_grid *grid, const char *what, struct willis_error *err);
/* True when both have the same sizes and every voxel centre agrees within 1e-3 of a voxel. */
WILLIS_API bool willis_grid_equal(const struct willis_grid *a, const struct willis_grid *b);
/* True for axes along +x, +y, +z (LPS), equal sizes and equal spacing: what M1 wants. */
WILLIS_API bool willis_grid_is_lps_cube(const struct willis_grid *grid);
WILLIS_API void willis_grid_to_world(const struct willis_grid *grid, const double index[3],
                                     double world_mm[3]);
WILLIS_API void willis_grid_to_index(const struct willis_grid *grid, const double world_mm[3],
                                     double index[3]);
/* World position of the grid's centre. */
WILLIS_API void willis_grid_centre(const struct willis_grid *grid, double world_mm[3]);

/* Zero-filled. The caller releases it. OUT_OF_MEMORY, GEOMETRY. */
WILLIS_API WILLIS_CHECKED enum willis_status willis_volume_create(struct willis_volume *volume,
                                                                  const struct willis_grid *grid,
                                                                  struct willis_error *err);
WILLIS_API void willis_volume_release(struct willis_volume *volume);
/* NUMERIC with the first offending voxel if a value is NaN or infinite. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_volume_check_finite(const struct willis_volume *volume, const char *what,
                           struct willis_error *err);
WILLIS_API void willis_volume_range(const struct willis_volume *volume, float *minimum,
                                    float *maximum);
/* Min–max to [0,1] in place; a constant volume becomes 0 (M5). */
WILLIS_API void willis_volume_normalize(struct willis_volume *volume);
/* The same for `count` values out of a volume whose range is known. */
WILLIS_API void willis_values_normalize(ptrdiff_t count, float *value, float minimum,
                                        float maximum);

/* Permutes and flips the axes to the nearest LPS order in place of `volume` (M1). Exact, no
 * interpolation. An oblique volume keeps its own axes nearest LPS and is reported to `warnings`. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_volume_orient_lps(struct willis_volume *volume, const struct willis_warnings *warnings,
                         struct willis_error *err);
/* Trilinear resampling onto `grid`. Where a voxel of `grid` is larger than one of `from`, the mean
 * of evenly spread samples over it (for whole factors on aligned grids: the block mean). The
 * border's value holds to the outer face of its voxel; beyond is the volume's minimum. GEOMETRY,
 * OUT_OF_MEMORY. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_volume_resample(const struct willis_volume *from, const struct willis_grid *grid,
                       struct willis_volume *to, struct willis_error *err);
/* The cubic, isotropic LPS grid that covers `grid`: size n (0: from spacing), spacing (0: from n;
 * both 0: the smallest spacing of `grid`). */
WILLIS_API WILLIS_CHECKED enum willis_status willis_grid_make_cubic(const struct willis_grid *grid,
                                                                    ptrdiff_t n, double spacing_mm,
                                                                    struct willis_grid *cubic,
                                                                    struct willis_error *err);

/* Otsu's threshold as scikit-image's threshold_otsu (M6): 256 bins between minimum and maximum, one
 * bin a value if `volume->integral`; returns the centre of the winning bin. A constant volume
 * returns its value. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_volume_otsu(const struct willis_volume *volume, double *threshold, struct willis_error *err);
/* mask = value > threshold (strict, M6) or value >= threshold (`inclusive`, M10), as 0 and 1. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_volume_threshold(const struct willis_volume *volume, double threshold, bool inclusive,
                        struct willis_volume *mask, struct willis_error *err);
/* Keeps, of the 26-connected components of voxels > 0.5, the `keep_largest` largest (0: all) that
 * have at least `min_voxels` voxels; the others become 0. Of equals the first in memory counts as
 * larger. Tells how many were `found` and `kept` (either may be null). Memory: 32 bytes a run of
 * set voxels along x, 8 a row. On failure the mask is unchanged. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_mask_keep_components(struct willis_volume *mask, ptrdiff_t keep_largest,
                            ptrdiff_t min_voxels, ptrdiff_t *found, ptrdiff_t *kept,
                            struct willis_error *err);

/* A triangle surface, vertices in LPS mm. vertex[3·v + axis], triangle[3·t + corner]. */
struct willis_mesh {
  float *vertex;
  uint32_t *triangle;
  ptrdiff_t vertex_count;
  ptrdiff_t triangle_count;
};
WILLIS_API void willis_mesh_release(struct willis_mesh *mesh);

/* A vessel tree: nodes with position (LPS mm), radius and parent (-1 for a root; a parent may come
 * after its child). `kind` is SWC's structure identifier. */
struct willis_tree_node {
  double position_mm[3];
  double radius_mm;
  ptrdiff_t parent;
  int kind;
};
struct willis_tree {
  struct willis_tree_node *node;
  ptrdiff_t node_count;
};
WILLIS_API void willis_tree_release(struct willis_tree *tree);

struct willis_voxelize_options {
  ptrdiff_t size;           /* voxels along each edge of the cube; used unless `grid` is given */
  double margin;            /* free border on each side as a fraction of the cube (0.04) */
  double min_radius_voxels; /* trees: radii are not under this (0.75) */
  const struct willis_grid *grid; /* null, or the grid to fill */
  double noise_sd;                /* Gaussian noise in value units, 0 for none */
  bool tissue;                    /* add soft tissue (40) and a skull (180), see voxelize.c */
  uint64_t seed;
};
/* Value = occupied fraction of the voxel (4×4×4 samples) × 1000, then tissue, then noise. Meshes:
 * winding number along rays of three axes, majority (parity if the triangles are not oriented
 * alike); open edges are reported to `warnings`. Trees: union of tapered capsules, that is of all
 * balls along each edge. Same bytes for any number of threads. INVALID_ARGUMENT, GEOMETRY (no
 * extent), NUMERIC (coordinates that are not finite), OUT_OF_MEMORY; then `volume` is untouched. */
WILLIS_API struct willis_voxelize_options willis_voxelize_defaults(void);
WILLIS_API WILLIS_CHECKED enum willis_status
willis_mesh_voxelize(const struct willis_mesh *mesh, const struct willis_voxelize_options *options,
                     const struct willis_warnings *warnings, struct willis_volume *volume,
                     struct willis_error *err);
WILLIS_API WILLIS_CHECKED enum willis_status
willis_tree_voxelize(const struct willis_tree *tree, const struct willis_voxelize_options *options,
                     const struct willis_warnings *warnings, struct willis_volume *volume,
                     struct willis_error *err);
/* A random head's arterial tree (two carotids and a basilar into a ring, then branches), always the
 * same for the same seed. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_tree_phantom(uint64_t seed, struct willis_tree *tree, struct willis_error *err);

WILLIS_END

#endif
