/* Another head out of one: a shape turned, stretched, bent and made thicker, so that few patients
 * teach more. Shapes are exact, so what is voxelized of a changed one is too. */
#ifndef WILLIS_VOLUME_SHAPE_CHANGE_H
#define WILLIS_VOLUME_SHAPE_CHANGE_H

#include <willis/volume.h>

/* A shape without extent stays where it is; a vertex without triangles or only of triangles without
 * area has no normal and is not moved outwards.
 *
 * Of a place q = (p − centre)/half, half the longest half edge of the shape's box, the place
 *   centre + half·(R·S·(q + bend(q))),  bend_a = amplitude_a·sin(wave_a·q_{by_a} + phase_a). */
struct willis_shape_change {
  double turn[9];    /* R, row by row */
  double stretch[3]; /* S along the shape's axes */
  double amplitude[3], wave[3], phase[3];
  int by[3];
  double thicken_mm; /* outwards along a mesh's normals; added to a tree's radii, not below 0 */
  double margin;     /* of the cube around it (willis_voxelize_options) */
};

/* A head that could be: up to 25° about any axis, lengths by factors of exp(−0.12) to exp(0.12),
 * bends by up to 6 % of the half edge, walls by −0.1 to 0.2 mm, margins of 2 to 10 %. A function of
 * seed and number. */
struct willis_shape_change willis_shape_change_draw(uint64_t seed, uint64_t number);

/* A changed copy; the caller releases it. OUT_OF_MEMORY. */
WILLIS_CHECKED enum willis_status willis_mesh_change(const struct willis_mesh *mesh,
                                                     const struct willis_shape_change *change,
                                                     struct willis_mesh *changed,
                                                     struct willis_error *err);
WILLIS_CHECKED enum willis_status willis_tree_change(const struct willis_tree *tree,
                                                     const struct willis_shape_change *change,
                                                     struct willis_tree *changed,
                                                     struct willis_error *err);

#endif
