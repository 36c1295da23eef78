/* Reading and writing the two files of a projection stack. */
#include "io/stack.h"

#include "base/error.h"
#include "base/memory.h"
#include "io/bytes.h"
#include "io/io.h"
#include "io/nifti.h"
#include "io/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum willis_status willis_stack_json_path(const char *image, char **json,
                                          struct willis_error *err) {
  static const char *const endings[] = {".nii.gz", ".nii"};
  *json = NULL;
  for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
    if (!willis_path_ends(image, endings[i])) continue;
    size_t stem = strlen(image) - strlen(endings[i]);
    char *path = willis_take((ptrdiff_t)(stem + sizeof ".json"), 1);
    if (!path) return willis_fail_memory(err, "a path", (ptrdiff_t)stem, 1);
    /* NOLINTNEXTLINE(bugprone-not-null-terminated-result): the ending brings the zero. */
    memcpy(path, image, stem);
    memcpy(path + stem, ".json", sizeof ".json");
    *json = path;
    return WILLIS_OK;
  }
  return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                     "%s: a projection stack is a .nii.gz with a .json beside it", image);
}

uint32_t willis_stack_checksum(const struct willis_projections *stack) {
  enum { BATCH = 4096 };
  unsigned char bytes[4 * BATCH];
  const ptrdiff_t count = stack->columns * stack->rows * stack->view_count;
  uLong sum = crc32_z(0, NULL, 0);
  for (ptrdiff_t done = 0; done < count;) {
    ptrdiff_t part = count - done < BATCH ? count - done : BATCH;
    /* + 0: scaling by the header on reading makes 0 of −0. */
    for (ptrdiff_t i = 0; i < part; i++)
      willis_store_f32(bytes + 4 * i, stack->pixels[done + i] + 0.0f);
    sum = crc32_z(sum, bytes, 4 * (size_t)part);
    done += part;
  }
  return (uint32_t)sum;
}

static enum willis_status check_pixels(const struct willis_projections *stack,
                                       struct willis_error *err) {
  ptrdiff_t image = stack->columns * stack->rows, count = image * stack->view_count;
  for (ptrdiff_t i = 0; i < count; i++)
    if (!isfinite(stack->pixels[i]))
      return willis_fail(
          err, WILLIS_NUMERIC, "column %td, row %td of view %td is %g, expected a finite number",
          i % stack->columns, i % image / stack->columns, i / image, (double)stack->pixels[i]);
  return WILLIS_OK;
}

enum willis_status willis_stack_parse_image(const unsigned char *bytes, size_t size,
                                            const struct willis_limits *limits,
                                            struct willis_projections *stack,
                                            struct willis_error *err) {
  *stack = (struct willis_projections){0};
  struct willis_nifti nifti;
  enum willis_status status = willis_nifti_header(bytes, size, limits, &nifti, err);
  if (!status) status = willis_nifti_fits(&nifti, size, err);
  if (!status)
    status = willis_projections_create(stack, nifti.size[0], nifti.size[1], nifti.size[2], err);
  if (status) return status;
  willis_samples_decode(&nifti.samples, bytes + nifti.data, nifti.count, stack->pixels);
  status = check_pixels(stack, err);
  if (status) willis_projections_release(stack);
  return status;
}

static enum willis_status read_image(const char *path, struct willis_projections *stack,
                                     struct willis_error *err) {
  struct willis_limits limits = willis_limits_defaults();
  unsigned char *bytes = NULL, *plain = NULL;
  size_t size, plain_size = 0;
  enum willis_status status = willis_file_read(path, limits.file_bytes, &bytes, &size, err);
  if (status) return status;
  status = willis_nifti_expand(bytes, size, &limits, &plain, &plain_size, err);
  if (!status) status = willis_stack_parse_image(plain, plain_size, &limits, stack, err);
  if (plain != bytes) willis_release(plain);
  willis_release(bytes);
  return status ? willis_fail_in(err, status, path) : WILLIS_OK;
}

enum willis_status willis_projections_read(const char *path, struct willis_projections *stack,
                                           const struct willis_warnings *warnings,
                                           struct willis_error *err) {
  (void)warnings;
  *stack = (struct willis_projections){0};
  char *json = NULL;
  unsigned char *bytes = NULL;
  size_t size;
  enum willis_status status = willis_stack_json_path(path, &json, err);
  if (!status) status = willis_file_read(json, WILLIS_STACK_JSON_BYTES, &bytes, &size, err);
  if (!status) status = read_image(path, stack, err);
  if (!status) {
    status = willis_stack_parse_json(bytes, size, stack, err);
    if (status) willis_fail_in(err, status, json);
  }
  if (!status) willis_projections_hide(stack);
  if (status) willis_projections_release(stack);
  willis_release(bytes);
  willis_release(json);
  return status;
}

/* ---- writing ---- */

/* The shortest decimal that reads back as the same double. */
static void print_real(struct willis_out *out, const char *before, double value) {
  char text[32];
  for (int digits = 15; digits <= 17; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, value);
    if (strtod(text, NULL) == value) break;
  }
  willis_out_print(out, "%s%s", before, text);
}

static void print_reals(struct willis_out *out, const char *before, const double *value,
                        int count) {
  for (int i = 0; i < count; i++) print_real(out, i == 0 ? before : ", ", value[i]);
  willis_out_print(out, "]");
}

static void print_shown(struct willis_out *out, const struct willis_shutter *s) {
  const char *before = "";
  if (!s->any) return;
  willis_out_print(out, ", \"shown\": {");
  if (s->is_rectangle) {
    const double side[] = {s->left, s->upper, s->right, s->lower};
    print_reals(out, "\"rectangle\": [", side, 4);
    before = ", ";
  }
  if (s->is_circle) {
    const double circle[] = {s->centre_column, s->centre_row, s->radius};
    willis_out_print(out, "%s", before);
    print_reals(out, "\"circle\": [", circle, 3);
    before = ", ";
  }
  for (int i = 0; i < s->corner_count; i++) {
    if (i == 0) willis_out_print(out, "%s\"polygon\": [", before);
    print_real(out, i ? ", " : "", s->corner[i][1]);
    print_real(out, ", ", s->corner[i][0]);
  }
  if (s->corner_count) willis_out_print(out, "]");
  willis_out_print(out, "}");
}

static void print_json(struct willis_out *out, const struct willis_projections *stack) {
  const char *mode = stack->mode == WILLIS_PROJECTION_MAX ? "max" : "sum";
  willis_out_print(out, "{\n\"comment\": \"%s\",\n\"frame\": \"LPS\",\n\"mode\": \"%s\",\n",
                   WILLIS_FILE_COMMENT, mode);
  willis_out_print(out, "\"columns\": %td,\n\"rows\": %td,\n", stack->columns, stack->rows);
  willis_out_print(out, "\"pixels_crc32\": %" PRIu32 ",\n", willis_stack_checksum(stack));
  print_reals(out, "\"isocenter_mm\": [", stack->isocenter_mm, 3);
  if (stack->has_grid) {
    const struct willis_grid *grid = &stack->grid;
    willis_out_print(out, ",\n\"grid\": {\"size\": [%td, %td, %td],\n", grid->size[0],
                     grid->size[1], grid->size[2]);
    print_reals(out, "  \"spacing\": [", grid->spacing_mm, 3);
    print_reals(out, ",\n  \"origin\": [", grid->origin_mm, 3);
    print_reals(out, ",\n  \"direction\": [", grid->direction, 9);
    willis_out_print(out, "}");
  }
  willis_out_print(out, ",\n\"views\": [");
  for (ptrdiff_t i = 0; i < stack->view_count; i++) {
    const struct willis_view *view = &stack->view[i];
    willis_out_print(out, "%s\n  {\"kind\": \"%s\"", i ? "," : "",
                     view->kind == WILLIS_VIEW_CONE ? "cone" : "parallel");
    print_real(out, ", \"primary_angle_deg\": ", view->primary_angle_deg);
    print_real(out, ", \"secondary_angle_deg\": ", view->secondary_angle_deg);
    print_real(out, ", \"source_to_detector_mm\": ", view->source_to_detector_mm);
    print_real(out, ", \"source_to_isocenter_mm\": ", view->source_to_isocenter_mm);
    print_real(out, ", \"column_spacing_mm\": ", view->column_spacing_mm);
    print_real(out, ", \"row_spacing_mm\": ", view->row_spacing_mm);
    print_real(out, ", \"principal_column\": ", view->principal_column);
    print_real(out, ", \"principal_row\": ", view->principal_row);
    if (view->in_plane_angle_deg != 0)
      print_real(out, ", \"in_plane_angle_deg\": ", view->in_plane_angle_deg);
    if (view->source_offset_mm[0] != 0 || view->source_offset_mm[1] != 0)
      print_reals(out, ", \"source_offset_mm\": [", view->source_offset_mm, 2);
    print_shown(out, &view->shutter);
    willis_out_print(out, ", \"values\": \"%s\"}", mode);
  }
  willis_out_print(out, "\n]\n}\n");
}

static enum willis_status put_json(struct willis_writer *writer,
                                   const struct willis_projections *stack,
                                   struct willis_error *err) {
  struct willis_out out = {.writer = writer, .err = err};
  locale_t before = willis_locale_enter();
  print_json(&out, stack);
  willis_locale_leave(before);
  return willis_out_flush(&out);
}

/* Both files are complete before the first appears; the text appears last, so that an image without
 * it is known to be incomplete. When the process dies between the two and there was an older text,
 * the checksum tells that it is not the image's. */
enum willis_status willis_projections_write(const char *path,
                                            const struct willis_projections *stack, bool overwrite,
                                            struct willis_error *err) {
  struct willis_writer *image = NULL, *text = NULL;
  char *json = NULL;
  const ptrdiff_t size[3] = {stack->columns, stack->rows, stack->view_count};
  enum willis_status status = willis_projections_check(stack, err);
  if (!status) status = willis_stack_json_path(path, &json, err);
  if (!status) status = willis_writer_open(json, overwrite, false, &text, err);
  if (!status)
    status = willis_writer_open(path, overwrite, willis_path_ends(path, ".gz"), &image, err);
  if (!status) status = put_json(text, stack, err);
  if (!status) {
    const double spacing[3] = {stack->view->column_spacing_mm, stack->view->row_spacing_mm, 1};
    status =
        willis_nifti_print(image, size, spacing, NULL, stack->pixels, WILLIS_VOXEL_FLOAT32, err);
  }
  if (!status) {
    status = willis_writer_commit(image, err);
    image = NULL;
  }
  if (!status) {
    status = willis_writer_commit(text, err);
    text = NULL;
  }
  willis_writer_abandon(image, err);
  willis_writer_abandon(text, err);
  willis_release(json);
  return status;
}
