/* The table of surface formats and what they share. */
#include "io/mesh_file.h"

#include "base/error.h"
#include "base/memory.h"
#include "io/io.h"

#include <stdio.h>
#include <string.h>

const struct willis_mesh_format willis_mesh_formats[] = {
    {"STL", ".stl", willis_stl_recognize, willis_stl_parse, willis_stl_print},
    {"PLY", ".ply", willis_ply_recognize, willis_ply_parse, willis_ply_print},
    {"OBJ", ".obj", willis_obj_recognize, willis_obj_parse, willis_obj_print},
    {0},
};

enum { FIRST_ROOM = 1 << 12 };

enum willis_status willis_mesh_builder_vertex(struct willis_mesh_builder *builder,
                                              const float position[3]) {
  struct willis_mesh *mesh = &builder->mesh;
  if (mesh->vertex_count == builder->vertex_room) {
    ptrdiff_t room = builder->vertex_room ? 2 * builder->vertex_room : FIRST_ROOM;
    if (room > UINT32_MAX)
      return willis_fail(builder->err, WILLIS_UNSUPPORTED, "more than %td vertices",
                         mesh->vertex_count);
    void *grown = willis_grow(mesh->vertex, mesh->vertex_count, room, 3 * sizeof *mesh->vertex);
    if (!grown) return willis_fail_memory(builder->err, "vertices", room, 3 * sizeof *mesh->vertex);
    mesh->vertex = grown;
    builder->vertex_room = room;
  }
  memcpy(mesh->vertex + 3 * mesh->vertex_count++, position, 3 * sizeof *position);
  return WILLIS_OK;
}

enum willis_status willis_mesh_builder_triangle(struct willis_mesh_builder *builder, uint32_t a,
                                                uint32_t b, uint32_t c) {
  struct willis_mesh *mesh = &builder->mesh;
  if (mesh->triangle_count == builder->triangle_room) {
    ptrdiff_t room = builder->triangle_room ? 2 * builder->triangle_room : FIRST_ROOM;
    void *grown =
        willis_grow(mesh->triangle, mesh->triangle_count, room, 3 * sizeof *mesh->triangle);
    if (!grown)
      return willis_fail_memory(builder->err, "triangles", room, 3 * sizeof *mesh->triangle);
    mesh->triangle = grown;
    builder->triangle_room = room;
  }
  uint32_t *corner = mesh->triangle + 3 * mesh->triangle_count++;
  corner[0] = a;
  corner[1] = b;
  corner[2] = c;
  return WILLIS_OK;
}

const struct willis_mesh_format *willis_mesh_format_named(const char *path, bool *gzip) {
  const struct willis_mesh_format *format = willis_mesh_formats;
  for (; format->name; format++) {
    char packed[16];
    snprintf(packed, sizeof packed, "%s.gz", format->ending);
    bool is_packed = willis_path_ends(path, packed);
    if (gzip) *gzip = is_packed;
    if (is_packed || willis_path_ends(path, format->ending)) break;
  }
  return format;
}

/* By content; a file that no format recognizes is judged by the reader its name promises. */
static const struct willis_mesh_format *find_format(const char *path, const unsigned char *bytes,
                                                    size_t size) {
  const struct willis_mesh_format *format = willis_mesh_formats;
  while (format->name && !format->recognize(bytes, size, size)) format++;
  return format->name ? format : willis_mesh_format_named(path, NULL);
}

enum willis_status willis_mesh_read(const char *path, struct willis_mesh *mesh,
                                    const struct willis_warnings *warnings,
                                    struct willis_error *err) {
  *mesh = (struct willis_mesh){0};
  unsigned char *bytes;
  size_t size;
  enum willis_status status =
      willis_file_read_expanded(path, WILLIS_SHAPE_BYTES, WILLIS_SHAPE_BYTES, &bytes, &size, err);
  if (status) return status;
  const struct willis_mesh_format *format = find_format(path, bytes, size);
  struct willis_warned_path named;
  const struct willis_warnings *listener = willis_warnings_name(&named, warnings, path);
  if (format->name)
    status = format->parse(bytes, size, mesh, listener, err);
  else
    status = willis_fail(err, WILLIS_FORMAT, "neither OBJ, STL nor PLY");
  if (!status && mesh->triangle_count == 0) willis_warn(listener, "a surface without triangles");
  willis_release(bytes);
  return status ? willis_fail_in(err, status, path) : WILLIS_OK;
}

enum willis_status willis_mesh_write(const char *path, const struct willis_mesh *mesh,
                                     bool overwrite, struct willis_error *err) {
  bool gzip = false;
  const struct willis_mesh_format *format = willis_mesh_format_named(path, &gzip);
  if (strcmp(path, "-") == 0) format = willis_mesh_formats;
  if (!format->name)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                       "%s: a surface is written as .stl, .ply or .obj", path);
  for (ptrdiff_t i = 0; i < 3 * mesh->triangle_count; i++)
    if ((ptrdiff_t)mesh->triangle[i] >= mesh->vertex_count)
      return willis_fail(err, WILLIS_INVALID_ARGUMENT, "triangle %td names vertex %u of %td", i / 3,
                         mesh->triangle[i], mesh->vertex_count);
  struct willis_writer *writer;
  enum willis_status status = willis_writer_open(path, overwrite, gzip, &writer, err);
  if (status) return status;
  status = format->print(writer, mesh, err);
  if (status) {
    willis_writer_abandon(writer, err);
    return status;
  }
  return willis_writer_commit(writer, err);
}
