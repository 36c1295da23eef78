/* One slice: attributes by dicom_header, pixels raw or frame by frame through dicom_codec. */
#include "io/dicom_slice.h"

#include "base/error.h"
#include "base/memory.h"
#include "io/bytes.h"
#include "io/dicom_codec.h"
#include "io/dicom_header.h"

#include <math.h>
#include <string.h>

/* An attribute as messages call it: its name in the standard and its tag. */
struct attribute {
  const char *name;
  uint32_t tag;
};
static const struct attribute ROWS = {"Rows", 0x00280010};
static const struct attribute COLUMNS = {"Columns", 0x00280011};
static const struct attribute FRAMES = {"NumberOfFrames", 0x00280008};
static const struct attribute SAMPLES = {"SamplesPerPixel", 0x00280002};
static const struct attribute SPACING = {"PixelSpacing", 0x00280030};
static const struct attribute POSITION = {"ImagePositionPatient", 0x00200032};
static const struct attribute ORIENTATION = {"ImageOrientationPatient", 0x00200037};
static const struct attribute THICKNESS = {"SliceThickness", 0x00180050};
static const struct attribute BETWEEN = {"SpacingBetweenSlices", 0x00180088};
static const struct attribute SLOPE = {"RescaleSlope", 0x00281053};
static const struct attribute INTERCEPT = {"RescaleIntercept", 0x00281052};
static const struct attribute ALLOCATED = {"BitsAllocated", 0x00280100};
static const struct attribute STORED = {"BitsStored", 0x00280101};
static const struct attribute HIGH = {"HighBit", 0x00280102};
static const struct attribute SIGN = {"PixelRepresentation", 0x00280103};
static const struct attribute PIXELS = {"PixelData", 0x7FE00010};
static const uint32_t SERIES = 0x0020000E;

struct reader {
  const unsigned char *bytes;
  struct willis_dicom_layout layout;
  const struct willis_dicom_item *root;
  const struct willis_limits *limits;
  struct willis_error *err;
};

/* How a stored value becomes a number. */
struct pixel_format {
  struct willis_dicom_format stored;
  double slope, intercept;
};

static enum willis_status refuse(const struct reader *r, enum willis_status status,
                                 const struct attribute *a, const char *expected) {
  double value;
  const bool there = a->tag == PIXELS.tag ? r->layout.has_pixels
                                          : willis_dicom_reals(r->root, a->tag, &value, 1) != 0;
  return willis_fail(r->err, status, "%s (%04x,%04x) is %s, expected %s", a->name, a->tag >> 16,
                     a->tag & 0xFFFF, there ? "something else" : "missing", expected);
}
static enum willis_status refuse_value(const struct reader *r, enum willis_status status,
                                       const struct attribute *a, double value,
                                       const char *expected) {
  return willis_fail(r->err, status, "%s (%04x,%04x) is %g, expected %s", a->name, a->tag >> 16,
                     a->tag & 0xFFFF, value, expected);
}

/* Exactly or at least `count` numbers. */
static bool reals(const struct reader *r, const struct attribute *a, ptrdiff_t count,
                  double *value) {
  return willis_dicom_reals(r->root, a->tag, value, count) >= count;
}
static double real(const struct reader *r, const struct attribute *a, double fallback) {
  double value;
  return reals(r, a, 1, &value) ? value : fallback;
}

static enum willis_status read_sizes(const struct reader *r, struct willis_dicom_slice *slice) {
  const double edge = (double)r->limits->edge;
  const double rows = real(r, &ROWS, 0), columns = real(r, &COLUMNS, 0);
  if (!(rows >= 1 && rows <= edge) || rows != floor(rows))
    return refuse_value(r, WILLIS_FORMAT, &ROWS, rows, "1 to the limit of an edge");
  if (!(columns >= 1 && columns <= edge) || columns != floor(columns))
    return refuse_value(r, WILLIS_FORMAT, &COLUMNS, columns, "1 to the limit of an edge");
  slice->rows = (ptrdiff_t)rows;
  slice->columns = (ptrdiff_t)columns;
  const double frames = real(r, &FRAMES, 1), samples = real(r, &SAMPLES, 1);
  if (frames != 1)
    return refuse_value(r, WILLIS_UNSUPPORTED, &FRAMES, frames, "1: a run of frames is no volume");
  if (samples != 1)
    return refuse_value(r, WILLIS_UNSUPPORTED, &SAMPLES, samples, "1: grey values, not colours");
  return WILLIS_OK;
}

static enum willis_status read_place(const struct reader *r, struct willis_dicom_slice *slice) {
  double spacing[2], orientation[6], thickness = 0;
  if (!reals(r, &SPACING, 2, spacing) || !(spacing[0] > 0) || !(spacing[1] > 0))
    return refuse(r, WILLIS_GEOMETRY, &SPACING, "two lengths in mm above 0");
  if (!reals(r, &POSITION, 3, slice->position_mm))
    return refuse(r, WILLIS_GEOMETRY, &POSITION, "three coordinates in mm");
  if (!reals(r, &ORIENTATION, 6, orientation))
    return refuse(r, WILLIS_GEOMETRY, &ORIENTATION, "two directions");
  slice->row_spacing_mm = spacing[0];
  slice->column_spacing_mm = spacing[1];
  memcpy(slice->row_direction, orientation, sizeof slice->row_direction);
  memcpy(slice->column_direction, orientation + 3, sizeof slice->column_direction);
  if (reals(r, &THICKNESS, 1, &thickness) && thickness < 0)
    return refuse(r, WILLIS_GEOMETRY, &THICKNESS, "a length in mm above 0");
  slice->thickness_mm = thickness > 0 ? thickness : fabs(real(r, &BETWEEN, 0));
  willis_dicom_text(r->root, SERIES, slice->series, sizeof slice->series);
  return WILLIS_OK;
}

static enum willis_status read_pixel_format(const struct reader *r,
                                            const struct willis_dicom_slice *slice,
                                            struct pixel_format *format) {
  const double allocated = real(r, &ALLOCATED, 0), stored = real(r, &STORED, allocated);
  if (allocated != 8 && allocated != 16 && allocated != 32)
    return refuse_value(r, WILLIS_UNSUPPORTED, &ALLOCATED, allocated, "8, 16 or 32");
  if (!(stored >= 1 && stored <= allocated) || stored != floor(stored))
    return refuse_value(r, WILLIS_FORMAT, &STORED, stored, "1 to BitsAllocated");
  const double high = real(r, &HIGH, stored - 1);
  if (high != stored - 1) return refuse_value(r, WILLIS_UNSUPPORTED, &HIGH, high, "BitsStored - 1");
  format->stored = (struct willis_dicom_format){slice->columns, slice->rows, (int)allocated,
                                                (int)stored, real(r, &SIGN, 0) != 0};
  format->slope = real(r, &SLOPE, 1);
  format->intercept = real(r, &INTERCEPT, 0);
  if (format->slope == 0) return refuse(r, WILLIS_FORMAT, &SLOPE, "a number other than 0");
  return WILLIS_OK;
}

static float convert(uint64_t bits, const struct pixel_format *format) {
  const int64_t levels = (int64_t)1 << format->stored.stored;
  int64_t value = (int64_t)bits & (levels - 1);
  if (format->stored.is_signed && value >= levels / 2) value -= levels;
  return (float)(format->slope * (double)value + format->intercept);
}

static enum willis_status read_raw(const struct reader *r, const struct pixel_format *format,
                                   float *pixels) {
  const struct willis_dicom_layout *layout = &r->layout;
  const size_t count = (size_t)(format->stored.columns * format->stored.rows);
  const size_t width = (size_t)format->stored.allocated / 8;
  const unsigned char *first = r->bytes + layout->value;
  if (layout->length / width < count)
    return refuse(r, WILLIS_FORMAT, &PIXELS, "Rows x Columns values");
  if (!pixels) return WILLIS_OK;
  /* Big-endian words of two values have the second one first. */
  const bool is_swapped = width == 1 && layout->big_endian && layout->length % 2 == 0 &&
                          memcmp(r->bytes + layout->header_end + 4, "OW", 2) == 0;
  for (size_t i = 0; i < count; i++)
    pixels[i] = convert(
        willis_load(first + width * (is_swapped ? i ^ 1 : i), width, layout->big_endian), format);
  return WILLIS_OK;
}

/* The fragments of the one frame behind each other; the first is a table of offsets. */
static enum willis_status join(const struct reader *r, unsigned char *joined, size_t *size) {
  size_t at = r->layout.value;
  *size = 0;
  for (ptrdiff_t fragment = 0;; fragment++) {
    size_t value, length;
    enum willis_status status =
        willis_dicom_fragment_next(r->bytes, r->layout.end, &at, &value, &length, r->err);
    if (status || value == 0) return status;
    if (fragment == 0) continue;
    if (joined) memcpy(joined + *size, r->bytes + value, length);
    *size += length;
  }
}

static enum willis_status read_compressed(const struct reader *r, const struct pixel_format *format,
                                          float *pixels) {
  const ptrdiff_t count = format->stored.columns * format->stored.rows;
  size_t size;
  enum willis_status status = join(r, NULL, &size);
  if (status) return status;
  if (format->stored.allocated > 16)
    return refuse_value(r, WILLIS_UNSUPPORTED, &ALLOCATED, format->stored.allocated,
                        "8 or 16 in compressed pixels");
  unsigned char *joined = willis_take((ptrdiff_t)size, 1);
  unsigned short *value = pixels ? willis_take(count, sizeof *value) : NULL;
  if (!joined || (pixels && !value))
    status = willis_fail_memory(r->err, "a compressed slice", count, 3);
  if (!status) status = join(r, joined, &size);
  if (!status && !pixels)
    status = willis_dicom_frame_check(r->layout.syntax, &format->stored, joined, size, r->err);
  else if (!status)
    status =
        willis_dicom_frame_decode(r->layout.syntax, &format->stored, joined, size, value, r->err);
  for (ptrdiff_t i = 0; pixels && i < count && !status; i++) pixels[i] = convert(value[i], format);
  willis_release(joined);
  willis_release(value);
  return status;
}

static enum willis_status read_slice(const struct reader *r, bool *is_image,
                                     struct willis_dicom_slice *slice, float *pixels) {
  double rows;
  struct pixel_format format;
  *is_image = r->layout.has_pixels || willis_dicom_reals(r->root, ROWS.tag, &rows, 1) != 0;
  if (!*is_image) return WILLIS_OK;
  enum willis_status status = read_sizes(r, slice);
  if (!status) status = read_place(r, slice);
  if (!status) status = read_pixel_format(r, slice, &format);
  if (status) return status;
  slice->integral =
      format.slope == floor(format.slope) && format.intercept == floor(format.intercept);
  if (!r->layout.has_pixels) return refuse(r, WILLIS_FORMAT, &PIXELS, "Rows x Columns values");
  return r->layout.is_encapsulated ? read_compressed(r, &format, pixels)
                                   : read_raw(r, &format, pixels);
}

enum willis_status willis_dicom_slice_read(const unsigned char *bytes, size_t size,
                                           const struct willis_limits *limits, bool *is_image,
                                           struct willis_dicom_slice *slice, float *pixels,
                                           struct willis_error *err) {
  *is_image = false;
  *slice = (struct willis_dicom_slice){0};
  struct willis_dicom_header *header;
  struct reader r = {.bytes = bytes, .limits = limits, .err = err};
  enum willis_status status = willis_dicom_header_open(bytes, size, &r.layout, &header, err);
  if (status) return status;
  r.root = willis_dicom_header_root(header);
  status = read_slice(&r, is_image, slice, pixels);
  willis_dicom_header_close(header);
  return status;
}
