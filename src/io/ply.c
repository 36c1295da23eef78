/* PLY (Turk 1994): a text header that declares elements and properties, then their values as text
 * or binary of either byte order. Vertices and faces are taken, all else is stepped over. */
#include "base/error.h"
#include "base/memory.h"
#include "io/bytes.h"
#include "io/io.h"
#include "io/mesh_file.h"
#include "io/text.h"

#include <math.h>
#include <string.h>

enum { MOST_ELEMENTS = 16, MOST_PROPERTIES = 64 };
enum ply_type { PLY_NONE, PLY_I8, PLY_U8, PLY_I16, PLY_U16, PLY_I32, PLY_U32, PLY_F32, PLY_F64 };

static const struct {
  const char *name;
  enum ply_type type;
} type_names[] = {
    {"char", PLY_I8},   {"int8", PLY_I8},     {"uchar", PLY_U8},   {"uint8", PLY_U8},
    {"short", PLY_I16}, {"int16", PLY_I16},   {"ushort", PLY_U16}, {"uint16", PLY_U16},
    {"int", PLY_I32},   {"int32", PLY_I32},   {"uint", PLY_U32},   {"uint32", PLY_U32},
    {"float", PLY_F32}, {"float32", PLY_F32}, {"double", PLY_F64}, {"float64", PLY_F64},
};
static const size_t type_bytes[] = {0, 1, 1, 2, 2, 4, 4, 4, 8};

/* What a property's values are for. */
enum ply_use { USE_NONE, USE_X, USE_Y, USE_Z, USE_FACE };

struct property {
  enum ply_type type, count_type; /* count_type PLY_NONE unless it is a list */
  enum ply_use use;
};
struct element {
  bool is_vertex, is_face;
  int64_t count;
  int properties;
  struct property property[MOST_PROPERTIES];
};

struct ply {
  struct willis_mesh_builder builder;
  struct willis_text text; /* what has not been read yet */
  const char *start;
  bool is_text, big_endian;
  int elements;
  struct element element[MOST_ELEMENTS];
  struct willis_error *err;
};

static enum willis_status bad_header(struct ply *ply, const char *expected) {
  return willis_fail(ply->err, WILLIS_FORMAT, "header line %td: expected %s", ply->text.line,
                     expected);
}

static enum ply_type read_type(struct willis_text *line) {
  struct willis_word word;
  if (!willis_text_word(line, &word)) return PLY_NONE;
  for (size_t i = 0; i < sizeof type_names / sizeof *type_names; i++)
    if (willis_word_is(word, type_names[i].name)) return type_names[i].type;
  return PLY_NONE;
}

static enum willis_status read_format(struct ply *ply, struct willis_text *line) {
  struct willis_word word;
  if (!willis_text_word(line, &word)) return bad_header(ply, "a format");
  ply->is_text = willis_word_is(word, "ascii");
  ply->big_endian = willis_word_is(word, "binary_big_endian");
  if (!ply->is_text && !ply->big_endian && !willis_word_is(word, "binary_little_endian"))
    return bad_header(ply, "ascii, binary_little_endian or binary_big_endian");
  return WILLIS_OK;
}

static enum willis_status read_element(struct ply *ply, struct willis_text *line) {
  struct willis_word name, count;
  if (ply->elements == MOST_ELEMENTS) return bad_header(ply, "at most 16 elements");
  struct element *element = &ply->element[ply->elements++];
  *element = (struct element){0};
  if (!willis_text_word(line, &name) || !willis_text_word(line, &count) ||
      !willis_word_integer(count, &element->count) || element->count < 0)
    return bad_header(ply, "element, a name and a count from 0");
  element->is_vertex = willis_word_is(name, "vertex");
  element->is_face = willis_word_is(name, "face");
  if (willis_word_is(name, "tristrips") && element->count)
    return willis_fail(ply->err, WILLIS_UNSUPPORTED,
                       "header line %td: triangle strips, expected faces", ply->text.line);
  return WILLIS_OK;
}

static enum willis_status read_property(struct ply *ply, struct willis_text *line) {
  if (!ply->elements) return bad_header(ply, "an element before its properties");
  struct element *element = &ply->element[ply->elements - 1];
  if (element->properties == MOST_PROPERTIES) return bad_header(ply, "at most 64 properties");
  struct property *property = &element->property[element->properties++];
  *property = (struct property){0};
  struct willis_text peek = *line;
  struct willis_word word;
  bool is_list = willis_text_word(&peek, &word) && willis_word_is(word, "list");
  if (is_list) {
    *line = peek;
    property->count_type = read_type(line);
    if (property->count_type == PLY_NONE || property->count_type >= PLY_F32)
      return bad_header(ply, "an integer type for the length of a list");
  }
  property->type = read_type(line);
  if (property->type == PLY_NONE || !willis_text_word(line, &word))
    return bad_header(ply, "property, a type and a name");
  if (element->is_vertex && !is_list && word.length == 1 && *word.at >= 'x' && *word.at <= 'z')
    property->use = (enum ply_use)(USE_X + (*word.at - 'x'));
  if (element->is_face && is_list &&
      (willis_word_is(word, "vertex_indices") || willis_word_is(word, "vertex_index")))
    property->use = USE_FACE;
  return WILLIS_OK;
}

static enum willis_status check_elements(struct ply *ply) {
  unsigned found = 0;
  for (int i = 0; i < ply->elements; i++) {
    const struct element *element = &ply->element[i];
    if (element->count && !element->properties)
      return bad_header(ply, "at least one property in every element");
    for (int k = 0; k < element->properties; k++) {
      unsigned bit = 1u << element->property[k].use;
      if (bit > 1 && found & bit) return bad_header(ply, "x, y, z and the faces' list once each");
      found |= bit;
    }
  }
  unsigned place = 1u << USE_X | 1u << USE_Y | 1u << USE_Z;
  if ((found & place) != place) return bad_header(ply, "vertices with x, y and z");
  return WILLIS_OK;
}

static enum willis_status read_header(struct ply *ply) {
  struct willis_text line;
  struct willis_word word;
  bool has_format = false;
  if (!willis_text_line(&ply->text, &line) || !willis_text_word(&line, &word) ||
      !willis_word_is(word, "ply"))
    return bad_header(ply, "\"ply\"");
  while (willis_text_line(&ply->text, &line)) {
    if (!willis_text_word(&line, &word)) continue;
    enum willis_status status = WILLIS_OK;
    if (willis_word_is(word, "format")) {
      status = read_format(ply, &line);
      has_format = true;
    } else if (willis_word_is(word, "element")) {
      status = read_element(ply, &line);
    } else if (willis_word_is(word, "property")) {
      status = read_property(ply, &line);
    } else if (willis_word_is(word, "end_header")) {
      return has_format ? check_elements(ply) : bad_header(ply, "a line \"format\" before this");
    }
    if (status) return status;
  }
  return bad_header(ply, "\"end_header\"");
}

static enum willis_status bad_value(struct ply *ply, const char *what) {
  if (ply->is_text)
    return willis_fail(ply->err, WILLIS_FORMAT, "line %td: %s", ply->text.line, what);
  return willis_fail(ply->err, WILLIS_FORMAT, "byte %td: %s", ply->text.at - ply->start, what);
}

static double load_value(const unsigned char *at, enum ply_type type, bool big_endian) {
  uint64_t bits = willis_load(at, type_bytes[type], big_endian);
  switch (type) {
  case PLY_I8:
    return (int8_t)bits;
  case PLY_I16:
    return (int16_t)bits;
  case PLY_I32:
    return (int32_t)bits;
  case PLY_F32:
    return willis_load_f32(at, big_endian);
  case PLY_F64:
    return willis_load_f64(at, big_endian);
  default:
    return (double)bits;
  }
}

static enum willis_status read_value(struct ply *ply, enum ply_type type, double *value) {
  if (ply->is_text) {
    struct willis_word word;
    if (!willis_text_word(&ply->text, &word)) return bad_value(ply, "the file ends early");
    if (!willis_word_real(word, value)) return bad_value(ply, "expected a number");
    return WILLIS_OK;
  }
  size_t bytes = type_bytes[type];
  if ((size_t)(ply->text.end - ply->text.at) < bytes) return bad_value(ply, "the file ends early");
  *value = load_value((const unsigned char *)ply->text.at, type, ply->big_endian);
  ply->text.at += bytes;
  return WILLIS_OK;
}

static enum willis_status read_list(struct ply *ply, const struct property *property) {
  double count = 0, value = 0;
  enum willis_status status = read_value(ply, property->count_type, &count);
  if (status) return status;
  if (!(count >= 0 && count <= UINT32_MAX && count == floor(count)))
    return bad_value(ply, "a list's length is not a count");
  bool face = property->use == USE_FACE;
  if (face && count < 3) return bad_value(ply, "a face of fewer than 3 corners");
  uint32_t first = 0, last = 0, corners = (uint32_t)count;
  for (uint32_t i = 0; i < corners; i++) {
    status = read_value(ply, property->type, &value);
    if (status) return status;
    if (!face) continue;
    if (!(value >= 0 && value < UINT32_MAX && value == floor(value)))
      return bad_value(ply, "a face's corner is not the index of a vertex");
    uint32_t index = (uint32_t)value;
    if (i >= 2) status = willis_mesh_builder_triangle(&ply->builder, first, last, index);
    if (status) return status;
    if (i == 0) first = index;
    last = index;
  }
  return WILLIS_OK;
}

static enum willis_status read_instance(struct ply *ply, const struct element *element) {
  float position[3] = {0};
  for (int k = 0; k < element->properties; k++) {
    const struct property *property = &element->property[k];
    double value = 0;
    enum willis_status status =
        property->count_type ? read_list(ply, property) : read_value(ply, property->type, &value);
    if (status) return status;
    if (property->use < USE_X || property->use > USE_Z) continue;
    if (!isfinite((float)value)) return bad_value(ply, "a coordinate is not a finite number");
    position[property->use - USE_X] = (float)value;
  }
  return element->is_vertex ? willis_mesh_builder_vertex(&ply->builder, position) : WILLIS_OK;
}

static enum willis_status read_body(struct ply *ply) {
  ply->text.line++; /* the header's last line has been taken as a whole */
  for (int i = 0; i < ply->elements; i++) {
    const struct element *element = &ply->element[i];
    for (int64_t n = 0; n < element->count; n++) {
      enum willis_status status = read_instance(ply, element);
      if (status) return status;
    }
  }
  /* Faces may be declared before vertices, so corners are checked when all is there. */
  const struct willis_mesh *mesh = &ply->builder.mesh;
  for (ptrdiff_t i = 0; i < 3 * mesh->triangle_count; i++)
    if ((ptrdiff_t)mesh->triangle[i] >= mesh->vertex_count)
      return willis_fail(ply->err, WILLIS_FORMAT, "triangle %td names vertex %u of 0 to %td", i / 3,
                         mesh->triangle[i], mesh->vertex_count - 1);
  return WILLIS_OK;
}

enum willis_status willis_ply_parse(const unsigned char *bytes, size_t size,
                                    struct willis_mesh *mesh,
                                    const struct willis_warnings *warnings,
                                    struct willis_error *err) {
  (void)warnings;
  *mesh = (struct willis_mesh){0};
  struct ply *ply = willis_take_zeroed(1, sizeof *ply);
  if (!ply) return willis_fail_memory(err, "a PLY header", 1, sizeof *ply);
  ply->err = ply->builder.err = err;
  ply->text = willis_text_of(bytes, size);
  ply->start = ply->text.at;
  locale_t before = willis_locale_enter();
  enum willis_status status = read_header(ply);
  if (!status) status = read_body(ply);
  willis_locale_leave(before);
  if (status)
    willis_mesh_release(&ply->builder.mesh);
  else
    *mesh = ply->builder.mesh;
  willis_release(ply);
  return status;
}

bool willis_ply_recognize(const unsigned char *bytes, size_t size, size_t whole) {
  (void)whole;

  return size >= 4 && memcmp(bytes, "ply", 3) == 0 && (bytes[3] == '\n' || bytes[3] == '\r');
}

enum willis_status willis_ply_print(struct willis_writer *writer, const struct willis_mesh *mesh,
                                    struct willis_error *err) {
  struct willis_out out = {.writer = writer, .err = err};
  willis_out_print(&out, "ply\nformat binary_little_endian 1.0\ncomment %s\n", WILLIS_FILE_COMMENT);
  willis_out_print(&out,
                   "element vertex %td\nproperty float x\nproperty float y\nproperty float z\n"
                   "element face %td\nproperty list uchar uint vertex_indices\nend_header\n",
                   mesh->vertex_count, mesh->triangle_count);
  for (ptrdiff_t i = 0; i < 3 * mesh->vertex_count; i++) {
    unsigned char value[4];
    willis_store_f32(value, mesh->vertex[i]);
    willis_out_put(&out, value, sizeof value);
  }
  for (ptrdiff_t t = 0; t < mesh->triangle_count; t++) {
    unsigned char face[13] = {3};
    for (int i = 0; i < 3; i++) willis_store(face + 1 + 4 * i, mesh->triangle[3 * t + i], 4);
    willis_out_put(&out, face, sizeof face);
  }
  return willis_out_flush(&out);
}
