/* Slices into a volume: read every header, sort by position along the normal, look for gaps, then
 * decode each slice into its place. */
#define _GNU_SOURCE
#include "io/dicom.h"

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "io/dicom_slice.h"
#include "io/io.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Tolerances. Headers carry positions as decimals of few digits, so steps of 6.96 and 7.07 mm
 * belong to the same regular series. */
static const double SAME_DIRECTION = 1e-3; /* difference of unit vectors */
static const double SAME_SPACING = 1e-3;   /* relative */
static const double SAME_PLACE = 0.01;     /* of the step: two slices at one place */
static const double MISSING = 1.5;         /* of the step: a slice is missing */
static const double UNEVEN = 0.05;         /* of the step: how far a slice may be from its place */
static const double DRIFT_PIXELS = 0.5;    /* sideways, over the whole series */
enum { MOST_FILES = 1 << 16 };

struct entry {
  char *path;
  const char *name; /* inside path */
  struct willis_dicom_slice slice;
  double place; /* mm along the normal */
};

struct series {
  struct entry *entry;
  ptrdiff_t count;
  const struct willis_limits *limits;
  const struct willis_warnings *warnings;
  struct willis_error *err;
};

static double dot(const double a[3], const double b[3]) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/* Unit vectors at right angles, or GEOMETRY when the file's are far from that. */
static enum willis_status make_axes(const struct willis_dicom_slice *slice, double axes[3][3],
                                    struct willis_error *err) {
  double *row = axes[0], *column = axes[1], *normal = axes[2];
  double a = sqrt(dot(slice->row_direction, slice->row_direction));
  double b = sqrt(dot(slice->column_direction, slice->column_direction));
  double across = dot(slice->row_direction, slice->column_direction);
  if (!(fabs(a - 1) < SAME_DIRECTION) || !(fabs(b - 1) < SAME_DIRECTION) ||
      !(fabs(across) < SAME_DIRECTION))
    return willis_fail(err, WILLIS_GEOMETRY,
                       "ImageOrientationPatient (0020,0037): lengths %g and %g, product %g, "
                       "expected two unit vectors at right angles",
                       a, b, across);
  for (int i = 0; i < 3; i++) row[i] = slice->row_direction[i] / a;
  across = dot(row, slice->column_direction);
  for (int i = 0; i < 3; i++) column[i] = slice->column_direction[i] - across * row[i];
  b = sqrt(dot(column, column));
  for (int i = 0; i < 3; i++) column[i] /= b;
  for (int i = 0; i < 3; i++) {
    int p = (i + 1) % 3, q = (i + 2) % 3;
    normal[i] = row[p] * column[q] - row[q] * column[p];
  }
  return WILLIS_OK;
}

static void make_grid(const struct willis_dicom_slice *first, double axes[3][3], double step_mm,
                      ptrdiff_t slices, struct willis_grid *grid) {
  *grid = (struct willis_grid){
      .size = {first->columns, first->rows, slices},
      .spacing_mm = {first->column_spacing_mm, first->row_spacing_mm, step_mm},
  };
  for (int row = 0; row < 3; row++) {
    grid->origin_mm[row] = first->position_mm[row];
    for (int axis = 0; axis < 3; axis++) grid->direction[3 * row + axis] = axes[axis][row] + 0.0;
  }
}

/* ---- one file ---- */

static enum willis_status scan_and_read(const unsigned char *bytes, size_t size,
                                        const struct willis_limits *limits, bool *is_image,
                                        struct willis_dicom_slice *slice, float *pixels,
                                        struct willis_error *err) {
  size_t end;
  enum willis_status status = willis_dicom_scan(bytes, size, &end, err);
  if (!status) status = willis_dicom_slice_read(bytes, end, limits, is_image, slice, pixels, err);
  return status;
}

enum willis_status willis_dicom_parse(const unsigned char *bytes, size_t size,
                                      const struct willis_limits *limits,
                                      struct willis_volume *volume,
                                      const struct willis_warnings *warnings,
                                      struct willis_error *err) {
  (void)warnings;
  *volume = (struct willis_volume){0};
  struct willis_dicom_slice slice;
  struct willis_grid grid;
  double axes[3][3];
  bool is_image;
  enum willis_status status = scan_and_read(bytes, size, limits, &is_image, &slice, NULL, err);
  if (!status && !is_image)
    status = willis_fail(err, WILLIS_UNSUPPORTED, "a DICOM file without an image");
  if (!status && slice.thickness_mm == 0)
    status = willis_fail(err, WILLIS_GEOMETRY,
                         "SliceThickness (0018,0050) is missing, expected the depth of the one "
                         "slice in mm");
  if (!status) status = make_axes(&slice, axes, err);
  if (status) return status;
  make_grid(&slice, axes, slice.thickness_mm, 1, &grid);
  status = willis_volume_create(volume, &grid, err);
  if (!status) status = scan_and_read(bytes, size, limits, &is_image, &slice, volume->voxels, err);
  volume->integral = slice.integral;
  if (status) willis_volume_release(volume);
  return status;
}

/* ---- a folder ---- */

static int by_place(const void *a, const void *b) {
  const struct entry *p = a, *q = b;
  if (p->place != q->place) return p->place < q->place ? -1 : 1;
  return strcmp(p->name, q->name);
}

static enum willis_status add_entry(struct series *s, ptrdiff_t *room, const char *folder,
                                    const char *name) {
  if (s->count == MOST_FILES)
    return willis_fail(s->err, WILLIS_UNSUPPORTED, "more than %d files", MOST_FILES);
  if (s->count == *room) {
    ptrdiff_t next = *room ? 2 * *room : 64;
    void *grown = willis_grow(s->entry, s->count, next, sizeof *s->entry);
    if (!grown) return willis_fail_memory(s->err, "slices", next, sizeof *s->entry);
    s->entry = grown;
    *room = next;
  }
  size_t folder_length = strlen(folder), length = folder_length + strlen(name) + 2;
  char *path = willis_take((ptrdiff_t)length, 1);
  if (!path) return willis_fail_memory(s->err, "a path", (ptrdiff_t)length, 1);
  snprintf(path, length, "%s/%s", folder, name);
  s->entry[s->count++] = (struct entry){.path = path, .name = path + folder_length + 1};
  return WILLIS_OK;
}

static enum willis_status list_folder(struct series *s, const char *folder) {
  struct willis_names names;
  ptrdiff_t room = 0;
  enum willis_status status = willis_folder_list(folder, &names, s->err);
  for (ptrdiff_t i = 0; i < names.count && !status; i++)
    if (names.name[i][0] != '.') status = add_entry(s, &room, folder, names.name[i]);
  willis_names_release(&names);
  return status;
}

/* Reads one file's header or, with `pixels`, its values. */
static enum willis_status read_entry(const struct series *s, struct entry *entry, bool *is_slice,
                                     float *pixels) {
  unsigned char *bytes;
  size_t size;
  *is_slice = false;
  enum willis_path_kind kind;
  enum willis_status status = willis_path_look(entry->path, &kind, s->err);
  if (status || kind == WILLIS_PATH_FOLDER) return status;
  status = willis_file_read(entry->path, s->limits->file_bytes, &bytes, &size, s->err);
  if (status) return status;
  if (willis_dicom_recognize(bytes, size)) {
    status = scan_and_read(bytes, size, s->limits, is_slice, &entry->slice, pixels, s->err);
    if (status) willis_fail_in(s->err, status, entry->name);
  }
  willis_release(bytes);
  return status;
}

/* Headers of all files; what is not a slice is dropped and counted. */
static enum willis_status read_headers(struct series *s) {
  ptrdiff_t kept = 0, skipped = 0;
  enum willis_status status = WILLIS_OK;
  for (ptrdiff_t i = 0; i < s->count; i++) {
    bool is_slice = false;
    if (!status) status = read_entry(s, &s->entry[i], &is_slice, NULL);
    if (!status && !is_slice) {
      willis_release(s->entry[i].path);
      skipped++;
    } else {
      s->entry[kept++] = s->entry[i];
    }
  }
  s->count = kept;
  if (status) return status;
  if (kept == 0)
    return willis_fail(s->err, WILLIS_FORMAT, "%td files, none of them a DICOM slice", skipped);
  if (skipped) willis_warn(s->warnings, "%td files that are no DICOM slices are skipped", skipped);
  return WILLIS_OK;
}

static bool differ(const double *a, const double *b, int count, double tolerance) {
  for (int i = 0; i < count; i++)
    if (!(fabs(a[i] - b[i]) <= tolerance)) return true;
  return false;
}

static enum willis_status check_alike(const struct series *s) {
  const struct willis_dicom_slice *first = &s->entry[0].slice;
  for (ptrdiff_t i = 1; i < s->count; i++) {
    const struct willis_dicom_slice *slice = &s->entry[i].slice;
    const char *what = NULL;
    if (strcmp(slice->series, first->series) != 0) what = "series";
    if (slice->rows != first->rows || slice->columns != first->columns) what = "size";
    if (fabs(slice->row_spacing_mm / first->row_spacing_mm - 1) > SAME_SPACING ||
        fabs(slice->column_spacing_mm / first->column_spacing_mm - 1) > SAME_SPACING)
      what = "pixel spacing";
    if (differ(slice->row_direction, first->row_direction, 3, SAME_DIRECTION) ||
        differ(slice->column_direction, first->column_direction, 3, SAME_DIRECTION))
      what = "orientation";
    if (what)
      return willis_fail(s->err, WILLIS_MISMATCH, "%s and %s differ in %s, expected one series",
                         s->entry[0].name, s->entry[i].name, what);
  }
  return WILLIS_OK;
}

static int by_value(const void *a, const void *b) {
  const double *p = a, *q = b;
  return (*p > *q) - (*p < *q);
}

/* The middle one of the gaps between neighbours, which a few missing slices do not move. */
static enum willis_status median_gap(const struct series *s, double *median) {
  ptrdiff_t gaps = s->count - 1;
  double *gap = willis_take(gaps, sizeof *gap);
  if (!gap) return willis_fail_memory(s->err, "gaps between slices", gaps, sizeof *gap);
  for (ptrdiff_t i = 0; i < gaps; i++) gap[i] = s->entry[i + 1].place - s->entry[i].place;
  qsort(gap, (size_t)gaps, sizeof *gap, by_value);
  *median = gap[gaps / 2];
  willis_release(gap);
  return WILLIS_OK;
}

static enum willis_status check_sideways(const struct series *s, double axes[3][3]) {
  const struct willis_dicom_slice *first = &s->entry[0].slice;
  for (ptrdiff_t i = 1; i < s->count; i++) {
    double away[3];
    for (int k = 0; k < 3; k++) away[k] = s->entry[i].slice.position_mm[k] - first->position_mm[k];
    double column = dot(away, axes[0]) / first->column_spacing_mm;
    double row = dot(away, axes[1]) / first->row_spacing_mm;
    if (fabs(column) > DRIFT_PIXELS || fabs(row) > DRIFT_PIXELS)
      return willis_fail(s->err, WILLIS_UNSUPPORTED,
                         "%s is shifted by %.3g columns and %.3g rows against %s, expected slices "
                         "straight above each other (no gantry tilt)",
                         s->entry[i].name, column, row, s->entry[0].name);
  }
  return WILLIS_OK;
}

/* Regular places, or which slices are double, missing or uneven. */
static enum willis_status find_step(const struct series *s, double *step_mm) {
  double usual = 0;
  enum willis_status status = median_gap(s, &usual);
  if (status) return status;
  for (ptrdiff_t i = 0; i + 1 < s->count; i++) {
    const char *here = s->entry[i].name, *next = s->entry[i + 1].name;
    double gap = s->entry[i + 1].place - s->entry[i].place;
    if (gap <= SAME_PLACE * usual || gap == 0)
      return willis_fail(s->err, WILLIS_FORMAT,
                         "%s and %s lie at the same place, expected each slice once", here, next);
    if (gap > MISSING * usual)
      return willis_fail(s->err, WILLIS_FORMAT,
                         "slices are missing between %s and %s: %.4g mm apart, expected %.4g", here,
                         next, gap, usual);
  }
  double first = s->entry[0].place;
  *step_mm = (s->entry[s->count - 1].place - first) / (double)(s->count - 1);
  for (ptrdiff_t i = 0; i < s->count; i++) {
    double off = s->entry[i].place - first - *step_mm * (double)i;
    if (fabs(off) > UNEVEN * *step_mm)
      return willis_fail(s->err, WILLIS_GEOMETRY,
                         "%s lies %.3g mm from its place in steps of %.4g mm, expected even steps",
                         s->entry[i].name, off, *step_mm);
  }
  return WILLIS_OK;
}

static enum willis_status order_slices(struct series *s, struct willis_grid *grid) {
  double axes[3][3], step_mm = s->entry[0].slice.thickness_mm;
  enum willis_status status = check_alike(s);
  if (!status) status = make_axes(&s->entry[0].slice, axes, s->err);
  if (status) return status;
  for (ptrdiff_t i = 0; i < s->count; i++)
    s->entry[i].place = dot(s->entry[i].slice.position_mm, axes[2]);
  qsort(s->entry, (size_t)s->count, sizeof *s->entry, by_place);
  if (s->count > 1) status = find_step(s, &step_mm);
  if (!status) status = check_sideways(s, axes);
  if (!status && step_mm == 0)
    status = willis_fail(s->err, WILLIS_GEOMETRY,
                         "one slice without SliceThickness (0018,0050), expected its depth in mm");
  if (!status) make_grid(&s->entry[0].slice, axes, step_mm, s->count, grid);
  return status;
}

enum willis_status willis_dicom_read_folder(const char *path, const struct willis_limits *limits,
                                            struct willis_volume *volume,
                                            const struct willis_warnings *warnings,
                                            struct willis_error *err) {
  *volume = (struct willis_volume){0};
  struct series s = {.limits = limits, .warnings = warnings, .err = err};
  struct willis_grid grid;
  enum willis_status status = list_folder(&s, path);
  if (!status) status = read_headers(&s);
  if (!status) status = order_slices(&s, &grid);
  if (!status) status = willis_volume_create(volume, &grid, err);
  volume->integral = !status;
  for (ptrdiff_t i = 0; i < s.count && !status; i++) {
    bool is_slice;
    status =
        read_entry(&s, &s.entry[i], &is_slice, volume->voxels + i * grid.size[0] * grid.size[1]);
    volume->integral = volume->integral && s.entry[i].slice.integral;
  }
  if (status) willis_volume_release(volume);
  for (ptrdiff_t i = 0; i < s.count; i++) willis_release(s.entry[i].path);
  willis_release(s.entry);
  return status;
}
