/* From a mask or a probability to a triangle surface. */
#ifndef WILLIS_SURFACE_H
#define WILLIS_SURFACE_H

#include <willis/volume.h>

WILLIS_BEGIN

/* Closed, consistently oriented (normals point to lower values) surface of value = level in the
 * volume's frame (LPS mm): marching cubes with linear interpolation along the edges between voxels,
 * vertices shared, every edge with exactly two triangles. A border of voxels below `level` is
 * understood around the volume, so the result is always watertight; there the surface lies half a
 * voxel outside the border voxels' centres. Vertices keep 1/1024 voxel from the voxels' centres.
 * The pieces of the mesh are the 26-connected pieces of the voxels ≥ level, and the holes that they
 * enclose (6-connected; normals point into the hole). A volume without a
 * voxel ≥ level gives an empty mesh. The caller releases it. NUMERIC, INVALID_ARGUMENT,
 * OUT_OF_MEMORY, UNSUPPORTED (more than 2^32 − 1 vertices). */
WILLIS_API WILLIS_CHECKED enum willis_status willis_isosurface(const struct willis_volume *volume,
                                                               double level,
                                                               struct willis_mesh *mesh,
                                                               struct willis_error *err);
/* Keeps the n connected pieces with most triangles. INVALID_ARGUMENT (n < 1, or no mesh: an index
 * or a coordinate that makes no sense; also below), OUT_OF_MEMORY. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_mesh_keep_largest(struct willis_mesh *mesh, ptrdiff_t n, struct willis_error *err);
/* n rounds of Taubin smoothing (λ 0.5, μ −0.53). Topology is kept; volume too, but for what is
 * thin: a vessel one or two voxels thick is all detail and can lose a quarter in 20 rounds. */
WILLIS_API WILLIS_CHECKED enum willis_status willis_mesh_smooth(struct willis_mesh *mesh, int n,
                                                                struct willis_error *err);
/* Reduces to `fraction` of the triangles (0 < fraction ≤ 1), or as near as it gets without changing
 * the topology: what is closed stays closed, no piece or handle is lost, open borders stay. After
 * OUT_OF_MEMORY the mesh is whole, but may be partly simplified. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_mesh_simplify(struct willis_mesh *mesh, double fraction, struct willis_error *err);

/* What a mesh is, for reports and tests. */
struct willis_mesh_measure {
  double area_mm2;
  double volume_mm3;       /* signed, positive when normals point outwards */
  ptrdiff_t open_edges;    /* edges with one triangle */
  ptrdiff_t odd_edges;     /* edges with more than two */
  ptrdiff_t flipped_edges; /* edges whose two triangles do not face the same side */
  ptrdiff_t components;
};
WILLIS_API WILLIS_CHECKED enum willis_status
willis_mesh_measure(const struct willis_mesh *mesh, struct willis_mesh_measure *measure,
                    struct willis_error *err);

/* Centre lines of the voxels > 0.5, with radii, as trees: thinned (Lee 1994), one node a voxel of
 * the line, parents before children; the radius is the distance to the surface. Loops are cut at
 * one place. The caller releases it; a mask without voxels gives a tree without nodes. GEOMETRY,
 * OUT_OF_MEMORY. */
WILLIS_API WILLIS_CHECKED enum willis_status willis_centerline(const struct willis_volume *mask,
                                                               struct willis_tree *tree,
                                                               struct willis_error *err);

WILLIS_END

#endif
