/* STL: triangles without shared vertices, binary (80 bytes, count, 50 bytes each) or text. Corners
 * with the same coordinates are made one vertex again, or every edge would look open. */
#include "base/error.h"
#include "base/memory.h"
#include "io/bytes.h"
#include "io/io.h"
#include "io/mesh_file.h"
#include "io/text.h"

#include <math.h>
#include <string.h>

enum { HEADER = 80, PREFIX = 84, FACET = 50 };

/* Vertices by position: open addressing, at most half full; a slot holds index + 1. */
struct welder {
  struct willis_mesh_builder builder;
  uint32_t *slot;
  ptrdiff_t slots;
};

static ptrdiff_t slot_of(const struct welder *w, const float position[3]) {
  uint32_t bits[3];
  memcpy(bits, position, sizeof bits);
  uint64_t hash = bits[0] * UINT64_C(0x9E3779B97F4A7C15);
  hash = (hash ^ (hash >> 29) ^ bits[1]) * UINT64_C(0xBF58476D1CE4E5B9);
  hash = (hash ^ (hash >> 32) ^ bits[2]) * UINT64_C(0x94D049BB133111EB);
  ptrdiff_t mask = w->slots - 1, at = (ptrdiff_t)(hash >> 33) & mask;
  const float *vertex = w->builder.mesh.vertex;
  /* Corners are the same when their bits are, as the hash has them.
   * NOLINTNEXTLINE(bugprone-suspicious-memory-comparison,cert-exp42-c,cert-flp37-c) */
  while (w->slot[at] && memcmp(vertex + 3 * (size_t)(w->slot[at] - 1), position, 12) != 0)
    at = (at + 1) & mask;
  return at;
}

static enum willis_status more_slots(struct welder *w) {
  uint32_t *old = w->slot;
  ptrdiff_t slots = w->slots ? 2 * w->slots : 1 << 13;
  uint32_t *slot = willis_take_zeroed(slots, sizeof *slot);
  if (!slot) return willis_fail_memory(w->builder.err, "vertex slots", slots, sizeof *slot);
  w->slot = slot;
  w->slots = slots;
  for (ptrdiff_t v = 0; v < w->builder.mesh.vertex_count; v++)
    slot[slot_of(w, w->builder.mesh.vertex + 3 * v)] = (uint32_t)v + 1;
  willis_release(old);
  return WILLIS_OK;
}

static enum willis_status weld(struct welder *w, float position[3], uint32_t *index) {
  /* −0 and 0 are one place. */
  for (int axis = 0; axis < 3; axis++) position[axis] += 0.0f;
  enum willis_status status = WILLIS_OK;
  if (2 * w->builder.mesh.vertex_count >= w->slots) status = more_slots(w);
  if (status) return status;
  ptrdiff_t at = slot_of(w, position);
  if (!w->slot[at]) {
    status = willis_mesh_builder_vertex(&w->builder, position);
    if (status) return status;
    w->slot[at] = (uint32_t)w->builder.mesh.vertex_count;
  }
  *index = w->slot[at] - 1;
  return WILLIS_OK;
}

static enum willis_status add_facet(struct welder *w, float corner[3][3]) {
  uint32_t index[3] = {0};
  for (int i = 0; i < 3; i++) {
    enum willis_status status = weld(w, corner[i], &index[i]);
    if (status) return status;
  }
  return willis_mesh_builder_triangle(&w->builder, index[0], index[1], index[2]);
}

static bool is_finite(float corner[3][3]) {
  for (int i = 0; i < 9; i++)
    if (!isfinite(corner[i / 3][i % 3])) return false;
  return true;
}

static bool starts_solid(const unsigned char *bytes, size_t size) {
  return size >= 6 && memcmp(bytes, "solid", 5) == 0 && (bytes[5] <= ' ');
}

/* Many binary files start with "solid" too, so the size decides first. */
static bool is_binary(const unsigned char *bytes, size_t size) {
  if (size < PREFIX) return false;
  uint64_t count = willis_load(bytes + HEADER, 4, false);
  return size == PREFIX + FACET * count || !starts_solid(bytes, size);
}

static enum willis_status read_binary(struct welder *w, const unsigned char *bytes, size_t size,
                                      const struct willis_warnings *warnings) {
  uint64_t count = willis_load(bytes + HEADER, 4, false);
  if (count > (size - PREFIX) / FACET)
    return willis_fail(w->builder.err, WILLIS_FORMAT,
                       "byte 80: %ju triangles named, but the %zu bytes that follow hold %zu",
                       (uintmax_t)count, size - PREFIX, (size - PREFIX) / FACET);
  if (size != PREFIX + FACET * count)
    willis_warn(warnings, "byte %ju: %ju bytes after the last triangle are ignored",
                (uintmax_t)(PREFIX + FACET * count), (uintmax_t)(size - PREFIX - FACET * count));
  for (uint64_t t = 0; t < count; t++) {
    const unsigned char *at = bytes + PREFIX + FACET * t;
    float corner[3][3];
    for (int i = 0; i < 9; i++) corner[i / 3][i % 3] = willis_load_f32(at + 12 + 4 * i, false);
    if (!is_finite(corner))
      return willis_fail(w->builder.err, WILLIS_FORMAT,
                         "byte %ju: triangle %ju has a coordinate that is not a finite number",
                         (uintmax_t)(PREFIX + FACET * t), (uintmax_t)t);
    enum willis_status status = add_facet(w, corner);
    if (status) return status;
  }
  return WILLIS_OK;
}

static enum willis_status read_text(struct welder *w, const unsigned char *bytes, size_t size) {
  struct willis_text text = willis_text_of(bytes, size), line;
  float corner[3][3];
  int corners = 0;
  bool ended = false;
  while (willis_text_line(&text, &line)) {
    struct willis_word word;
    if (!willis_text_word(&line, &word)) continue;
    ended = willis_word_is(word, "endsolid");
    if (willis_word_is(word, "endfacet")) {
      if (corners != 3)
        return willis_fail(w->builder.err, WILLIS_FORMAT,
                           "line %td: a facet of %d corners, expected 3", text.line, corners);
      enum willis_status status = add_facet(w, corner);
      if (status) return status;
      corners = 0;
    }
    if (!willis_word_is(word, "vertex")) continue;
    for (int axis = 0; axis < 3; axis++) {
      double value;
      if (corners == 3 || !willis_text_word(&line, &word) || !willis_word_real(word, &value) ||
          !isfinite((float)value))
        return willis_fail(w->builder.err, WILLIS_FORMAT,
                           "line %td: expected \"vertex x y z\", finite, thrice in a facet",
                           text.line);
      corner[corners][axis] = (float)value;
    }
    corners++;
  }
  if (!ended)
    return willis_fail(w->builder.err, WILLIS_FORMAT,
                       "line %td: the text ends before \"endsolid\"; is it cut?", text.line);
  return WILLIS_OK;
}

enum willis_status willis_stl_parse(const unsigned char *bytes, size_t size,
                                    struct willis_mesh *mesh,
                                    const struct willis_warnings *warnings,
                                    struct willis_error *err) {
  *mesh = (struct willis_mesh){0};
  struct welder w = {.builder.err = err};
  locale_t before = willis_locale_enter();
  enum willis_status status;
  if (is_binary(bytes, size))
    status = read_binary(&w, bytes, size, warnings);
  else if (starts_solid(bytes, size))
    status = read_text(&w, bytes, size);
  else
    status =
        willis_fail(err, WILLIS_FORMAT, "%zu bytes, but an STL has at least %d", size, (int)PREFIX);
  willis_locale_leave(before);
  willis_release(w.slot);
  if (status)
    willis_mesh_release(&w.builder.mesh);
  else
    *mesh = w.builder.mesh;
  return status;
}

/* Binary STL has no magic: a count that the size can hold, or the word "solid" with a facet. */
bool willis_stl_recognize(const unsigned char *bytes, size_t size, size_t whole) {

  if (size >= PREFIX) {
    uint64_t count = willis_load(bytes + HEADER, 4, false);
    if (whole == PREFIX + FACET * count) return true;
  }
  return starts_solid(bytes, size);
}

static void facet_normal(const struct willis_mesh *mesh, ptrdiff_t t, float normal[3]) {
  const float *corner[3];
  double a[3], b[3], n[3];
  for (int i = 0; i < 3; i++) corner[i] = mesh->vertex + 3 * (size_t)mesh->triangle[3 * t + i];
  for (int axis = 0; axis < 3; axis++) {
    a[axis] = (double)corner[1][axis] - corner[0][axis];
    b[axis] = (double)corner[2][axis] - corner[0][axis];
  }
  for (int axis = 0; axis < 3; axis++) {
    int p = (axis + 1) % 3, q = (axis + 2) % 3;
    n[axis] = a[p] * b[q] - a[q] * b[p];
  }
  double length = sqrt(n[0] * n[0] + n[1] * n[1] + n[2] * n[2]);
  for (int axis = 0; axis < 3; axis++) normal[axis] = length > 0 ? (float)(n[axis] / length) : 0;
}

enum willis_status willis_stl_print(struct willis_writer *writer, const struct willis_mesh *mesh,
                                    struct willis_error *err) {
  if (mesh->triangle_count > UINT32_MAX)
    return willis_fail(err, WILLIS_UNSUPPORTED, "%td triangles, but an STL counts to %u",
                       mesh->triangle_count, UINT32_MAX);
  unsigned char prefix[PREFIX] = {0};
  _Static_assert(sizeof WILLIS_FILE_COMMENT <= HEADER, "the remark fits the header");
  memcpy(prefix, WILLIS_FILE_COMMENT, sizeof WILLIS_FILE_COMMENT);
  willis_store(prefix + HEADER, (uint64_t)mesh->triangle_count, 4);
  struct willis_out out = {.writer = writer, .err = err};
  willis_out_put(&out, prefix, sizeof prefix);
  for (ptrdiff_t t = 0; t < mesh->triangle_count && !out.status; t++) {
    unsigned char facet[FACET] = {0};
    float normal[3];
    facet_normal(mesh, t, normal);
    for (int axis = 0; axis < 3; axis++) {
      willis_store_f32(facet + 4 * axis, normal[axis]);
      for (int i = 0; i < 3; i++)
        willis_store_f32(facet + 12 + 12 * i + 4 * axis,
                         mesh->vertex[3 * (size_t)mesh->triangle[3 * t + i] + (size_t)axis]);
    }
    willis_out_put(&out, facet, sizeof facet);
  }
  return willis_out_flush(&out);
}
