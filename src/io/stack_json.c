/* The text of a projection stack. Geometry is never guessed: a key that says where a view was
 * taken from is required, and the error names it. */
#include "base/error.h"
#include "io/stack.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* An object and how messages call it ("views[3]."). */
struct place {
  const json_t *object;
  char name[32];
  struct willis_error *err;
};

static enum willis_status missing(const struct place *at, const char *key, const char *expected) {
  return willis_fail(at->err, WILLIS_GEOMETRY, "%s%s is missing, expected %s", at->name, key,
                     expected);
}

static enum willis_status wrong(const struct place *at, const char *key, const char *expected) {
  return willis_fail(at->err, WILLIS_FORMAT, "%s%s: expected %s", at->name, key, expected);
}

/* A required number; with `fallback`, an optional one. */
static enum willis_status read_number(const struct place *at, const char *key, const char *expected,
                                      const double *fallback, double *number) {
  const json_t *value = json_object_get(at->object, key);
  if (!value && fallback) *number = *fallback;
  if (!value) return fallback ? WILLIS_OK : missing(at, key, expected);
  if (!json_is_number(value)) return wrong(at, key, expected);
  *number = json_number_value(value);
  return WILLIS_OK;
}

static enum willis_status read_numbers(const struct place *at, const char *key,
                                       const char *expected, size_t count, double *number) {
  const json_t *array = json_object_get(at->object, key);
  if (!array) return missing(at, key, expected);
  if (!json_is_array(array) || json_array_size(array) != count) return wrong(at, key, expected);
  for (size_t i = 0; i < count; i++) {
    const json_t *value = json_array_get(array, i);
    if (!json_is_number(value)) return wrong(at, key, expected);
    number[i] = json_number_value(value);
  }
  return WILLIS_OK;
}

/* The index of a required text among `choices` (ends with null); another text is UNSUPPORTED. */
static enum willis_status read_choice(const struct place *at, const char *key,
                                      const char *const *choices, const char *expected,
                                      int *choice) {
  const json_t *value = json_object_get(at->object, key);
  if (!value) return missing(at, key, expected);
  if (!json_is_string(value)) return wrong(at, key, expected);
  for (*choice = 0; choices[*choice]; (*choice)++)
    if (strcmp(json_string_value(value), choices[*choice]) == 0) return WILLIS_OK;
  return willis_fail(at->err, WILLIS_UNSUPPORTED, "%s%s is \"%.40s\", expected %s", at->name, key,
                     json_string_value(value), expected);
}

/* {"rectangle": [first column, first row, last column, last row], "circle": [column, row, radius],
 * "polygon": [column, row, column, row, …]}; numbers are judged later. */
static enum willis_status read_shown(const struct place *at, struct willis_shutter *shutter) {
  double side[4], circle[3], corner[2 * WILLIS_SHUTTER_CORNERS];
  const json_t *polygon = json_object_get(at->object, "polygon");
  const size_t numbers = polygon ? json_array_size(polygon) : 0;
  enum willis_status status = WILLIS_OK;
  shutter->is_rectangle = json_object_get(at->object, "rectangle") != NULL;
  shutter->is_circle = json_object_get(at->object, "circle") != NULL;
  if (shutter->is_rectangle)
    status = read_numbers(at, "rectangle", "first column and row, last column and row", 4, side);
  if (!status && shutter->is_circle)
    status = read_numbers(at, "circle", "column, row, radius", 3, circle);
  if (!status && polygon && (numbers < 6 || numbers > 2 * WILLIS_SHUTTER_CORNERS || numbers % 2))
    status = wrong(at, "polygon", "column and row of 3 to 64 corners");
  if (!status && polygon) status = read_numbers(at, "polygon", "columns and rows", numbers, corner);
  if (status) return status;
  if (shutter->is_rectangle)
    shutter->left = side[0], shutter->upper = side[1], shutter->right = side[2],
    shutter->lower = side[3];
  if (shutter->is_circle)
    shutter->centre_column = circle[0], shutter->centre_row = circle[1],
    shutter->radius = circle[2];
  shutter->corner_count = (int)(numbers / 2);
  for (int i = 0; i < shutter->corner_count; i++)
    shutter->corner[i][0] = corner[2 * i + 1], shutter->corner[i][1] = corner[2 * i];
  shutter->any = shutter->is_rectangle || shutter->is_circle || shutter->corner_count > 0;
  return WILLIS_OK;
}

static const char *const modes[] = {
    [WILLIS_PROJECTION_MAX] = "max", [WILLIS_PROJECTION_SUM] = "sum", NULL};
static const char *const kinds[] = {
    [WILLIS_VIEW_PARALLEL] = "parallel", [WILLIS_VIEW_CONE] = "cone", NULL};
static const char expected_mode[] = "\"max\" or \"sum\"";

static enum willis_status read_view(const struct place *at, const struct willis_projections *stack,
                                    struct willis_view *view) {
  int kind = 0, mode = 0;
  enum willis_status status = read_choice(at, "kind", kinds, "\"parallel\" or \"cone\"", &kind);
  if (status) return status;
  view->kind = (enum willis_view_kind)kind;
  const double middle_column = 0.5 * (double)(stack->columns - 1);
  const double middle_row = 0.5 * (double)(stack->rows - 1), none = 0;
  const double *distance = view->kind == WILLIS_VIEW_PARALLEL ? &none : NULL;
  const struct {
    const char *key, *expected;
    const double *fallback;
    double *number;
  } row[] = {
      {"primary_angle_deg", "degrees", NULL, &view->primary_angle_deg},
      {"secondary_angle_deg", "degrees", NULL, &view->secondary_angle_deg},
      {"column_spacing_mm", "mm", NULL, &view->column_spacing_mm},
      {"row_spacing_mm", "mm", NULL, &view->row_spacing_mm},
      {"source_to_detector_mm", "mm", distance, &view->source_to_detector_mm},
      {"source_to_isocenter_mm", "mm", distance, &view->source_to_isocenter_mm},
      {"principal_column", "a column", &middle_column, &view->principal_column},
      {"principal_row", "a row", &middle_row, &view->principal_row},
      {"in_plane_angle_deg", "degrees", &none, &view->in_plane_angle_deg},
  };
  for (size_t i = 0; i < sizeof row / sizeof *row && !status; i++)
    status = read_number(at, row[i].key, row[i].expected, row[i].fallback, row[i].number);
  if (!status && json_object_get(at->object, "source_offset_mm"))
    status = read_numbers(at, "source_offset_mm", "two lengths in mm", 2, view->source_offset_mm);
  struct place shown = {.object = json_object_get(at->object, "shown"), .err = at->err};
  snprintf(shown.name, sizeof shown.name, "%.20sshown.", at->name);
  if (!status && shown.object && !json_is_object(shown.object))
    return wrong(at, "shown", "an object");
  if (!status && shown.object) status = read_shown(&shown, &view->shutter);
  if (status || !json_object_get(at->object, "values")) return status;
  status = read_choice(at, "values", modes, expected_mode, &mode);
  if (!status && mode != (int)stack->mode)
    return willis_fail(at->err, WILLIS_UNSUPPORTED,
                       "%svalues is \"%s\" in a stack of mode \"%s\", expected one kind", at->name,
                       modes[mode], modes[stack->mode]);
  return status;
}

static enum willis_status read_grid(const struct place *at, struct willis_grid *grid) {
  double size[3] = {0};
  enum willis_status status = read_numbers(at, "size", "three whole numbers", 3, size);
  if (!status) status = read_numbers(at, "spacing", "three lengths in mm", 3, grid->spacing_mm);
  if (!status) status = read_numbers(at, "origin", "three coordinates in mm", 3, grid->origin_mm);
  if (!status)
    status = read_numbers(at, "direction", "nine numbers, row by row", 9, grid->direction);
  for (int axis = 0; axis < 3 && !status; axis++) {
    if (!(size[axis] >= 1 && size[axis] <= 1e9) || size[axis] != floor(size[axis]))
      return wrong(at, "size", "three whole numbers from 1");
    grid->size[axis] = (ptrdiff_t)size[axis];
  }
  return status;
}

/* Sizes are the image's; the text may repeat them, and must then agree. */
static enum willis_status check_sizes(const struct place *at,
                                      const struct willis_projections *stack, const json_t *views) {
  const struct {
    const char *key;
    ptrdiff_t size;
  } row[] = {{"columns", stack->columns}, {"rows", stack->rows}};
  for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
    double own = (double)row[i].size, said = own;
    enum willis_status status = read_number(at, row[i].key, "a whole number", &own, &said);
    if (status) return status;
    if (said != own)
      return willis_fail(at->err, WILLIS_MISMATCH, "%s is %g, but the image has %g", row[i].key,
                         said, own);
  }
  if (json_array_size(views) != (size_t)stack->view_count)
    return willis_fail(at->err, WILLIS_MISMATCH, "views has %zu entries, but the image has %td",
                       json_array_size(views), stack->view_count);
  return WILLIS_OK;
}

/* Of a text without the sum nothing is known; who reads the views alone has no image. */
static enum willis_status check_sum(const struct place *at,
                                    const struct willis_projections *stack) {
  if (!stack->pixels) return WILLIS_OK;
  const double own = willis_stack_checksum(stack);
  double said = own;
  enum willis_status status = read_number(at, "pixels_crc32", "a whole number", &own, &said);
  if (status || said == own) return status;
  return willis_fail(at->err, WILLIS_MISMATCH,
                     "pixels_crc32 is %.0f, but the image's is %.0f: the two were not written "
                     "together, so make the stack again; if the image was changed on purpose, take "
                     "the key out",
                     said, own);
}

static enum willis_status read_stack(const struct place *at, struct willis_projections *stack) {
  static const char *const frames[] = {"LPS", NULL};
  int choice = 0;
  if (!json_is_object(at->object)) return wrong(at, "the text", "an object");
  enum willis_status status = read_choice(at, "frame", frames, "\"LPS\"", &choice);
  if (!status) status = read_choice(at, "mode", modes, expected_mode, &choice);
  if (status) return status;
  stack->mode = (enum willis_projection_mode)choice;
  status = read_numbers(at, "isocenter_mm", "three coordinates in mm", 3, stack->isocenter_mm);
  if (status) return status;
  const json_t *views = json_object_get(at->object, "views");
  if (!views) return missing(at, "views", "an object for every view");
  if (!json_is_array(views)) return wrong(at, "views", "an array");
  status = check_sizes(at, stack, views);
  for (ptrdiff_t i = 0; i < stack->view_count && !status; i++) {
    struct place view = {.object = json_array_get(views, (size_t)i), .err = at->err};
    snprintf(view.name, sizeof view.name, "views[%td].", i);
    if (!json_is_object(view.object)) return wrong(at, "views", "an array of objects");
    status = read_view(&view, stack, &stack->view[i]);
  }
  const json_t *grid = json_object_get(at->object, "grid");
  if (status || !grid || json_is_null(grid)) return status;
  stack->has_grid = true;
  struct place where = {.object = grid, .name = "grid.", .err = at->err};
  if (!json_is_object(grid)) return wrong(at, "grid", "an object");
  return read_grid(&where, &stack->grid);
}

enum willis_status willis_stack_parse_json(const unsigned char *bytes, size_t size,
                                           struct willis_projections *stack,
                                           struct willis_error *err) {
  if (size > WILLIS_STACK_JSON_BYTES)
    return willis_fail(err, WILLIS_FORMAT, "%zu bytes of JSON, at most %d are read", size,
                       WILLIS_STACK_JSON_BYTES);
  json_error_t why;
  json_t *root = json_loadb((const char *)bytes, size, JSON_REJECT_DUPLICATES, &why);
  if (!root)
    return willis_fail(err, WILLIS_FORMAT, "line %d, column %d: %.120s", why.line, why.column,
                       why.text);
  struct place at = {.object = root, .err = err};
  enum willis_status status = read_stack(&at, stack);
  if (!status) status = check_sum(&at, stack);
  json_decref(root);
  return status ? status : willis_projections_check(stack, err);
}
