/* What the edges of a mesh say about its surface. */
#ifndef WILLIS_VOLUME_MESH_EDGES_H
#define WILLIS_VOLUME_MESH_EDGES_H

#include <willis/volume.h>

struct willis_mesh_edges {
  ptrdiff_t edges;
  ptrdiff_t open; /* used an odd number of times: the surface ends there */
  bool oriented;  /* every other edge is run through equally often both ways */
};
/* Vertices at the same place count as one, so triangles that share no indices (STL) are joined.
 * Indices must be in range. OUT_OF_MEMORY. */
WILLIS_CHECKED enum willis_status willis_mesh_count_edges(const struct willis_mesh *mesh,
                                                          struct willis_mesh_edges *edges,
                                                          struct willis_error *err);

#endif
