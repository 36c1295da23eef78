/* A shape of either kind, kept so that it can be voxelized more than once. */
#ifndef WILLIS_RECON_SHAPE_H
#define WILLIS_RECON_SHAPE_H

#include "volume/shape_change.h"

#include <willis/io.h>

/* One of the two is there, or neither. */
struct willis_shape {
  struct willis_mesh mesh;
  struct willis_tree tree;
};

/* `kind`: MESH or TREE. The caller releases the shape, also an empty one. */
WILLIS_CHECKED enum willis_status willis_shape_read(const char *path, enum willis_file_kind kind,
                                                    const struct willis_warnings *warnings,
                                                    struct willis_shape *shape,
                                                    struct willis_error *err);
bool willis_shape_empty(const struct willis_shape *shape);
size_t willis_shape_bytes(const struct willis_shape *shape);
WILLIS_CHECKED enum willis_status willis_shape_voxelize(
    const struct willis_shape *shape, const struct willis_voxelize_options *options,
    const struct willis_warnings *warnings, struct willis_volume *volume, struct willis_error *err);
/* A changed copy. */
WILLIS_CHECKED enum willis_status willis_shape_change(const struct willis_shape *shape,
                                                      const struct willis_shape_change *change,
                                                      struct willis_shape *changed,
                                                      struct willis_error *err);
void willis_shape_release(struct willis_shape *shape);

#endif
