/* A mesh or a tree; a tree has nodes, a mesh has triangles. */
#include "recon/shape.h"

enum willis_status willis_shape_read(const char *path, enum willis_file_kind kind,
                                     const struct willis_warnings *warnings,
                                     struct willis_shape *shape, struct willis_error *err) {
  *shape = (struct willis_shape){0};
  return kind == WILLIS_FILE_MESH ? willis_mesh_read(path, &shape->mesh, warnings, err)
                                  : willis_tree_read(path, &shape->tree, warnings, err);
}

bool willis_shape_empty(const struct willis_shape *shape) {
  return !shape->mesh.vertex && !shape->tree.node;
}

size_t willis_shape_bytes(const struct willis_shape *shape) {
  return (size_t)shape->mesh.vertex_count * 3 * sizeof *shape->mesh.vertex +
         (size_t)shape->mesh.triangle_count * 3 * sizeof *shape->mesh.triangle +
         (size_t)shape->tree.node_count * sizeof *shape->tree.node;
}

enum willis_status willis_shape_voxelize(const struct willis_shape *shape,
                                         const struct willis_voxelize_options *options,
                                         const struct willis_warnings *warnings,
                                         struct willis_volume *volume, struct willis_error *err) {
  return shape->tree.node ? willis_tree_voxelize(&shape->tree, options, warnings, volume, err)
                          : willis_mesh_voxelize(&shape->mesh, options, warnings, volume, err);
}

enum willis_status willis_shape_change(const struct willis_shape *shape,
                                       const struct willis_shape_change *change,
                                       struct willis_shape *changed, struct willis_error *err) {
  *changed = (struct willis_shape){0};
  return shape->tree.node ? willis_tree_change(&shape->tree, change, &changed->tree, err)
                          : willis_mesh_change(&shape->mesh, change, &changed->mesh, err);
}

void willis_shape_release(struct willis_shape *shape) {
  willis_mesh_release(&shape->mesh);
  willis_tree_release(&shape->tree);
  *shape = (struct willis_shape){0};
}
