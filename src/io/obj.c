/* Wavefront OBJ: "v x y z" and "f a b c …" (a, a/t, a//n, a/t/n; from 1, or negative: counted
 * back). Other lines (normals, textures, groups, materials) say nothing about the surface's place.
 */
#include "base/error.h"
#include "base/memory.h"
#include "io/io.h"
#include "io/mesh_file.h"
#include "io/text.h"

#include <math.h>
#include <string.h>

struct obj {
  struct willis_mesh_builder builder;
  ptrdiff_t line;
  /* Faces may come before their vertices; the largest index is checked at the end. */
  uint32_t largest;
  ptrdiff_t largest_line;
};

static enum willis_status read_vertex(struct obj *obj, struct willis_text *line) {
  float position[3];
  for (int axis = 0; axis < 3; axis++) {
    struct willis_word word;
    double value = 0;
    if (!willis_text_word(line, &word) || !willis_word_real(word, &value) ||
        !isfinite((float)value))
      return willis_fail(obj->builder.err, WILLIS_FORMAT,
                         "line %td: coordinate %c of vertex %td is missing or not a finite number",
                         obj->line, "xyz"[axis], obj -> builder.mesh.vertex_count + 1);
    position[axis] = (float)value;
  }
  return willis_mesh_builder_vertex(&obj->builder, position);
}

static enum willis_status read_corner(struct obj *obj, struct willis_word word, uint32_t *index) {
  const char *slash = memchr(word.at, '/', word.length);
  struct willis_word number = {word.at, slash ? (size_t)(slash - word.at) : word.length};
  int64_t value;
  ptrdiff_t so_far = obj->builder.mesh.vertex_count;
  if (!willis_word_integer(number, &value) || value == 0 || value > UINT32_MAX || value < -so_far)
    return willis_fail(obj->builder.err, WILLIS_FORMAT,
                       "line %td: a face names vertex \"%.*s\" after %td vertices", obj->line,
                       WILLIS_WORD_ARGUMENTS(word), so_far);
  *index = (uint32_t)(value > 0 ? value - 1 : so_far + value);
  if (*index >= obj->largest) {
    obj->largest = *index;
    obj->largest_line = obj->line;
  }
  return WILLIS_OK;
}

static enum willis_status read_face(struct obj *obj, struct willis_text *line) {
  uint32_t first = 0, last = 0;
  int corners = 0;
  struct willis_word word;
  while (willis_text_word(line, &word)) {
    uint32_t index = 0;
    enum willis_status status = read_corner(obj, word, &index);
    if (!status && corners >= 2)
      status = willis_mesh_builder_triangle(&obj->builder, first, last, index);
    if (status) return status;
    if (corners++ == 0) first = index;
    last = index;
  }
  if (corners < 3)
    return willis_fail(obj->builder.err, WILLIS_FORMAT,
                       "line %td: a face of %d corners, expected at least 3", obj->line, corners);
  return WILLIS_OK;
}

enum willis_status willis_obj_parse(const unsigned char *bytes, size_t size,
                                    struct willis_mesh *mesh,
                                    const struct willis_warnings *warnings,
                                    struct willis_error *err) {
  (void)warnings;
  *mesh = (struct willis_mesh){0};
  struct obj obj = {.builder.err = err};
  struct willis_text text = willis_text_of(bytes, size), line;
  locale_t before = willis_locale_enter();
  enum willis_status status = WILLIS_OK;
  while (!status && willis_text_line(&text, &line)) {
    struct willis_word word;
    obj.line = text.line;
    if (!willis_text_word(&line, &word)) continue;
    if (willis_word_is(word, "v")) status = read_vertex(&obj, &line);
    if (willis_word_is(word, "f")) status = read_face(&obj, &line);
  }
  willis_locale_leave(before);
  const struct willis_mesh *made = &obj.builder.mesh;
  if (!status && made->triangle_count && (ptrdiff_t)obj.largest >= made->vertex_count)
    status = willis_fail(err, WILLIS_FORMAT, "line %td: a face names vertex %u of %td",
                         obj.largest_line, obj.largest + 1, made->vertex_count);
  if (!status && made->vertex_count == 0)
    status = willis_fail(err, WILLIS_FORMAT, "OBJ without a vertex, expected lines \"v x y z\"");
  if (status)
    willis_mesh_release(&obj.builder.mesh);
  else
    *mesh = *made;
  return status;
}

bool willis_obj_recognize(const unsigned char *bytes, size_t size, size_t whole) {
  (void)whole;

  static const char *const first_words[] = {"v", "f", "vn", "vt", "vp",     "o",
                                            "g", "s", "cn", "l",  "mtllib", "usemtl"};
  struct willis_text text = willis_text_of(bytes, size < 65536 ? size : 65536), line;
  while (willis_text_line(&text, &line)) {
    struct willis_word word;
    if (!willis_text_word(&line, &word) || word.at[0] == '#') continue;
    for (size_t i = 0; i < sizeof first_words / sizeof *first_words; i++)
      if (willis_word_is(word, first_words[i])) return true;
    return false;
  }
  return false;
}

enum willis_status willis_obj_print(struct willis_writer *writer, const struct willis_mesh *mesh,
                                    struct willis_error *err) {
  struct willis_out out = {.writer = writer, .err = err};
  locale_t before = willis_locale_enter();
  willis_out_print(&out, "# %s\n", WILLIS_FILE_COMMENT);
  for (ptrdiff_t v = 0; v < mesh->vertex_count; v++)
    willis_out_print(&out, "v %.9g %.9g %.9g\n", mesh->vertex[3 * v], mesh->vertex[3 * v + 1],
                     mesh->vertex[3 * v + 2]);
  for (ptrdiff_t t = 0; t < mesh->triangle_count; t++)
    willis_out_print(&out, "f %ju %ju %ju\n", (uintmax_t)mesh->triangle[3 * t] + 1,
                     (uintmax_t)mesh->triangle[3 * t + 1] + 1,
                     (uintmax_t)mesh->triangle[3 * t + 2] + 1);
  willis_locale_leave(before);
  return willis_out_flush(&out);
}
