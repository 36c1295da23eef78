/* What the files about meshes share. */
#ifndef WILLIS_SURFACE_MESH_H
#define WILLIS_SURFACE_MESH_H

#include <willis/surface.h>

/* INVALID_ARGUMENT unless every corner of a triangle is a vertex and every coordinate finite. */
WILLIS_CHECKED enum willis_status willis_mesh_check(const struct willis_mesh *mesh,
                                                    struct willis_error *err);
/* label[v] = number of the piece that vertex v belongs to, in the order of the pieces' first
 * vertices. Vertices without a triangle are pieces of their own. */
void willis_mesh_label(const struct willis_mesh *mesh, uint32_t *label, ptrdiff_t *pieces);

/* The edges of a mesh, each triangle's three, in buckets by their lower vertex. Bucket v
 * is other[first[v]] … other[first[v+1]−1]; bit 0 is the direction (1: from the higher vertex to
 * the lower), the bits above it the higher vertex; ascending. Released by
 * willis_edge_buckets_release(). */
struct willis_edge_buckets {
  ptrdiff_t *first; /* vertex_count + 1 */
  uint64_t *other;
};
WILLIS_CHECKED enum willis_status willis_edge_buckets_init(struct willis_edge_buckets *edges,
                                                           const struct willis_mesh *mesh,
                                                           struct willis_error *err);
void willis_edge_buckets_release(struct willis_edge_buckets *edges);

#endif
