/* Triangle surfaces in files: OBJ, STL and PLY. Coordinates are taken as LPS mm as they stand, for
 * reading and writing.
 *
 * Why not assimp: version 5.2.5 was tried. It reads a PLY face that names vertex 7 of 3 without a
 * word, takes a vertex's missing coordinate from the next line, gives no position in its messages,
 * allocates outside the library's allocator, and is four times slower on the IntrA surfaces. The
 * three formats are small. */
#ifndef WILLIS_IO_MESH_FILE_H
#define WILLIS_IO_MESH_FILE_H

#include <willis/io.h>

#include "base/file.h"

#include <stdbool.h>

/* A mesh that grows with what is really in the file, never by what a header says. */
struct willis_mesh_builder {
  struct willis_mesh mesh;
  ptrdiff_t vertex_room, triangle_room;
  struct willis_error *err;
};
WILLIS_CHECKED enum willis_status willis_mesh_builder_vertex(struct willis_mesh_builder *builder,
                                                             const float position[3]);
WILLIS_CHECKED enum willis_status willis_mesh_builder_triangle(struct willis_mesh_builder *builder,
                                                               uint32_t a, uint32_t b, uint32_t c);

/* FORMAT or UNSUPPORTED with the line or byte. The caller releases the mesh; it is empty after a
 * failure. STL corners at the same place become one vertex; OBJ and PLY vertices stay as they are.
 * Polygons become fans. */
typedef enum willis_status willis_mesh_parser(const unsigned char *bytes, size_t size,
                                              struct willis_mesh *mesh,
                                              const struct willis_warnings *warnings,
                                              struct willis_error *err);
willis_mesh_parser willis_obj_parse WILLIS_CHECKED;
willis_mesh_parser willis_stl_parse WILLIS_CHECKED;
willis_mesh_parser willis_ply_parse WILLIS_CHECKED;

/* Whether a file of `whole` bytes that begins with these `size` looks like the format. */
bool willis_obj_recognize(const unsigned char *bytes, size_t size, size_t whole);
bool willis_stl_recognize(const unsigned char *bytes, size_t size, size_t whole);
bool willis_ply_recognize(const unsigned char *bytes, size_t size, size_t whole);

typedef enum willis_status willis_mesh_printer(struct willis_writer *writer,
                                               const struct willis_mesh *mesh,
                                               struct willis_error *err);
willis_mesh_printer willis_obj_print WILLIS_CHECKED;
willis_mesh_printer willis_stl_print WILLIS_CHECKED;
willis_mesh_printer willis_ply_print WILLIS_CHECKED;

/* One row a format. */
struct willis_mesh_format {
  const char *name, *ending;
  bool (*recognize)(const unsigned char *bytes, size_t size, size_t whole);
  willis_mesh_parser *parse;
  willis_mesh_printer *print;
};
/* Ends with a row whose name is null. */
extern const struct willis_mesh_format willis_mesh_formats[];
/* The row whose ending `path` has, or the last; *gzip (may be null) tells of a ".gz" behind it. */
const struct willis_mesh_format *willis_mesh_format_named(const char *path, bool *gzip);

#endif
