/* Views out of files: which kind, 3×4 matrices, and the text of a projection stack. */
#include "io/geometry_file.h"

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "io/stack.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double SQUARE = 1e-3; /* a pixel's corner may be off by this much, relative */

void willis_view_list_release(struct willis_view_list *list) {
  willis_release(list->view);
  willis_release(list->mirrored);
  *list = (struct willis_view_list){0};
}

enum willis_status willis_view_list_add(struct willis_view_list *list, struct willis_view **view,
                                        struct willis_error *err) {
  const ptrdiff_t count = list->count, most = willis_limits_defaults().edge;
  if (count == most) return willis_fail(err, WILLIS_FORMAT, "more than %td views", most);
  /* Blocks of powers of two: the list is full when its length is one. */
  if ((count & (count - 1)) == 0) {
    const ptrdiff_t room = count ? 2 * count : 1;
    void *grown = willis_grow(list->view, count, room, sizeof *list->view);
    if (grown) list->view = grown;
    void *mirrored =
        grown ? willis_grow(list->mirrored, count, room, sizeof *list->mirrored) : NULL;
    if (mirrored) list->mirrored = mirrored;
    if (!mirrored) return willis_fail_memory(err, "views", room, sizeof *list->view);
  }
  list->view[count] = (struct willis_view){0};
  list->mirrored[count] = false;
  *view = &list->view[list->count++];
  return WILLIS_OK;
}

/* ---- matrices ---- */

static double dot(const double a[3], const double b[3]) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}
/* a − (a·b)·b; returns a·b. */
static double take_off(double a[3], const double b[3]) {
  const double along = dot(a, b);
  for (int i = 0; i < 3; i++) a[i] -= along * b[i];
  return along;
}
static double unit(double a[3]) {
  const double length = sqrt(dot(a, a));
  for (int i = 0; i < 3; i++) a[i] /= length;
  return length;
}

/* The third row, of length 1, is d; what the others have across d are the axes of the pixels, and
 * what they have along it the principal point (Hartley and Zisserman, 6.2.4). */
enum willis_status willis_view_from_matrix(const double matrix[12],
                                           const struct willis_view_file *of,
                                           struct willis_view *view, bool *mirrored,
                                           struct willis_error *err) {
  double row[3][3], last[3];
  for (int r = 0; r < 3; r++) {
    for (int i = 0; i < 3; i++) row[r][i] = matrix[4 * r + i];
    last[r] = matrix[4 * r + 3];
  }
  double scale = sqrt(dot(row[2], row[2]));
  if (last[2] < 0) scale = -scale; /* the isocenter is in front of the source */
  if (!isfinite(scale) || scale == 0 || last[2] == 0)
    return willis_fail(err, WILLIS_GEOMETRY,
                       "a 3x4 matrix has no source at a distance from the isocenter");
  for (int r = 0; r < 3; r++) {
    for (int i = 0; i < 3; i++) row[r][i] /= scale;
    last[r] /= scale;
  }
  const double *d = row[2];
  double *u = row[0], *down = row[1], cross[3], source[3];
  double column = take_off(u, d), line = take_off(down, d);
  const double across = unit(u), skew = take_off(down, u), length = unit(down);
  if (!isfinite(across) || !isfinite(length) || !(across > 0) || !(length > 0) ||
      !(fabs(skew) < SQUARE * length))
    return willis_fail(err, WILLIS_GEOMETRY,
                       "a 3x4 matrix has pixels of %g by %g with a slant of %g, expected right "
                       "angles",
                       across, length, skew);
  /* The source is what the matrix takes to 0. */
  const double x = (last[0] - column * last[2]) / across;
  const double y = (last[1] - line * last[2] - skew * x) / length;
  for (int i = 0; i < 3; i++) {
    const int p = (i + 1) % 3, q = (i + 2) % 3;
    cross[i] = u[p] * down[q] - u[q] * down[p];
    source[i] = -(x * u[i] + y * down[i] + last[2] * d[i]);
  }
  *mirrored = dot(cross, d) > 0; /* seen from the source */
  if (*mirrored) {
    for (int i = 0; i < 3; i++) u[i] = -u[i];
    column = (double)(of->columns - 1) - column;
  }
  *view = (struct willis_view){.kind = WILLIS_VIEW_CONE,
                               .source_to_detector_mm = across * of->pixel_spacing_mm,
                               .source_to_isocenter_mm = -dot(source, d),
                               .column_spacing_mm = of->pixel_spacing_mm,
                               .row_spacing_mm = across * of->pixel_spacing_mm / length,
                               .principal_column = column,
                               .principal_row = line,
                               .source_offset_mm = {dot(source, u), -dot(source, down)}};
  return willis_view_set_axes(view, d, u, err);
}

static enum willis_status need_spacing(const struct willis_view_file *of,
                                       struct willis_error *err) {
  if (of->pixel_spacing_mm > 0) return WILLIS_OK;
  return willis_fail(err, WILLIS_GEOMETRY,
                     "this geometry does not say how large a pixel is, give it with "
                     "--pixel-spacing MM");
}

static enum willis_status parse_matrices(const unsigned char *bytes,
                                         const struct willis_view_file *of,
                                         struct willis_view_list *list, struct willis_error *err) {
  const char *at = (const char *)bytes;
  double matrix[12];
  int have = 0, line = 1;
  enum willis_status status = need_spacing(of, err);
  while (!status) {
    for (; *at && strchr(" \t\r\n,;[]", *at); at++) line += *at == '\n';
    if (*at == '#')
      while (*at && *at != '\n') at++;
    if (*at == '\n') continue;
    if (!*at) break;
    char *end;
    matrix[have] = strtod(at, &end);
    if (end == at || !isfinite(matrix[have]))
      return willis_fail(err, WILLIS_FORMAT, "line %d: expected a number of a 3x4 matrix", line);
    at = end;
    if (++have < 12) continue;
    have = 0;
    struct willis_view *view;
    status = willis_view_list_add(list, &view, err);
    if (!status)
      status = willis_view_from_matrix(matrix, of, view, &list->mirrored[list->count - 1], err);
  }
  if (!status && (have || list->count == 0))
    return willis_fail(err, WILLIS_FORMAT, "line %d: %d numbers left over, expected 12 a view",
                       line, have);
  return status;
}

/* ---- the text of a projection stack ---- */

/* How many views there are. A view takes a kilobyte of memory and `{}` two of text, so none is
 * counted that cannot hold what every view has: kind, two angles and two spacings. */
static enum willis_status count_views(const json_t *root, size_t *count, struct willis_error *err) {
  enum { FEWEST_MEMBERS = 5 };
  const json_t *views = json_object_get(root, "views");
  *count = json_array_size(views);
  for (size_t i = 0; i < *count; i++) {
    const size_t members = json_object_size(json_array_get(views, i));
    if (members < FEWEST_MEMBERS)
      return willis_fail(err, WILLIS_FORMAT,
                         "views[%zu] has %zu members, expected kind, angles and spacings", i,
                         members);
  }
  return WILLIS_OK;
}

static enum willis_status parse_json(const unsigned char *bytes, size_t size,
                                     const struct willis_view_file *of,
                                     struct willis_view_list *list, struct willis_error *err) {
  json_t *root =
      size <= WILLIS_STACK_JSON_BYTES ? json_loadb((const char *)bytes, size, 0, NULL) : NULL;
  list->upright = true;
  size_t views;
  enum willis_status status = count_views(root, &views, err);
  json_decref(root);
  struct willis_view *view;
  for (size_t i = 0; i < views && !status; i++) status = willis_view_list_add(list, &view, err);
  struct willis_projections stack = {
      .columns = of->columns, .rows = of->rows, .view_count = list->count, .view = list->view};
  if (!status) status = willis_stack_parse_json(bytes, size, &stack, err);
  for (int i = 0; i < 3 && !status; i++)
    if (stack.isocenter_mm[i] != 0)
      status = willis_fail(err, WILLIS_UNSUPPORTED,
                           "isocenter_mm is not 0, expected views around the origin");
  return status;
}

/* ---- all ---- */

enum willis_status willis_views_parse(const unsigned char *bytes, size_t size,
                                      const struct willis_view_file *of,
                                      struct willis_view_list *list, struct willis_error *err) {
  *list = (struct willis_view_list){0};
  size_t at = 0;
  while (at < size && strchr(" \t\r\n", bytes[at]) && bytes[at]) at++;
  const unsigned char first = at < size ? bytes[at] : 0;
  enum willis_status status = WILLIS_OK;
  if (first == '<')
    status = need_spacing(of, err);
  else if (first == '{')
    return parse_json(bytes, size, of, list, err);
  else
    return parse_matrices(bytes, of, list, err);
  return status ? status : willis_views_parse_rtk(bytes, size, of, list, err);
}

enum willis_status willis_views_read(const char *path, const struct willis_view_file *of,
                                     struct willis_view_list *list, struct willis_error *err) {
  *list = (struct willis_view_list){0};
  unsigned char *bytes;
  size_t size;
  enum willis_status status = willis_file_read(path, WILLIS_GEOMETRY_BYTES, &bytes, &size, err);
  if (status) return status;
  status = willis_views_parse(bytes, size, of, list, err);
  willis_release(bytes);
  if (!status) return WILLIS_OK;
  willis_view_list_release(list);
  return willis_fail_in(err, status, path);
}
