/* A DICOM run of frames: its bytes stay in memory, the attributes are read once, and a frame is
 * decoded when it is asked for, so that a run of any length takes the memory of its file and one
 * frame. */
#include "io/angiogram.h"

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "io/bytes.h"
#include "io/dicom.h"
#include "io/io.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct {
  const char *uid;
  enum willis_angiogram_kind kind;
} classes[] = {
    {"1.2.840.10008.5.1.4.1.1.12.1", WILLIS_ANGIOGRAM_XA},
    {"1.2.840.10008.5.1.4.1.1.12.1.1", WILLIS_ANGIOGRAM_ENHANCED_XA},
    {"1.2.840.10008.5.1.4.1.1.12.2", WILLIS_ANGIOGRAM_XRF},
    {"1.2.840.10008.5.1.4.1.1.12.2.1", WILLIS_ANGIOGRAM_XRF},
    {"1.2.840.10008.5.1.4.1.1.7", WILLIS_ANGIOGRAM_CAPTURE},
    {"1.2.840.10008.5.1.4.1.1.7.2", WILLIS_ANGIOGRAM_CAPTURE},
    {"1.2.840.10008.5.1.4.1.1.7.3", WILLIS_ANGIOGRAM_CAPTURE},
};

static bool find_class(const char *uid, enum willis_angiogram_kind *kind) {
  for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
    if (strcmp(classes[i].uid, uid) == 0) {
      *kind = classes[i].kind;
      return true;
    }
  return false;
}

bool willis_angiogram_recognize(const unsigned char *bytes, size_t size) {
  char uid[WILLIS_DICOM_UID];
  enum willis_angiogram_kind kind;
  return willis_dicom_storage_class(bytes, size, uid) && find_class(uid, &kind);
}

/* ---- attributes of the pixels ---- */

enum tag {
  SOP_CLASS = 0x00080016,
  SAMPLES = 0x00280002,
  PHOTOMETRIC = 0x00280004,
  FRAMES = 0x00280008,
  ROWS = 0x00280010,
  COLUMNS = 0x00280011,
  ALLOCATED = 0x00280100,
  STORED = 0x00280101,
  HIGH = 0x00280102,
  SIGN = 0x00280103,
  RELATIONSHIP = 0x00281040,
  RELATIONSHIP_SIGN = 0x00281041,
  INTERCEPT = 0x00281052,
  SLOPE = 0x00281053,
};

/* A whole number and the limits it has to keep. */
struct whole {
  const char *name;
  uint32_t tag;
  double fallback; /* NaN: it must be there */
  double least, most;
  enum willis_status otherwise;
  const char *expected;
};

static enum willis_status read_whole(const struct willis_dicom_item *root, const struct whole *rule,
                                     ptrdiff_t *to, struct willis_error *err) {
  double value = rule->fallback;
  const unsigned group = rule->tag >> 16, element = rule->tag & 0xFFFF;
  ptrdiff_t count = willis_dicom_reals(root, rule->tag, &value, 1);
  if (count < 0 || isnan(value))
    return willis_fail(err, WILLIS_FORMAT, "%s (%04x,%04x) is %s, expected %s", rule->name, group,
                       element, count ? "no number" : "missing", rule->expected);
  if (!(value >= rule->least && value <= rule->most) || value != floor(value))
    return willis_fail(err, rule->otherwise, "%s (%04x,%04x) is %g, expected %s", rule->name, group,
                       element, value, rule->expected);
  *to = (ptrdiff_t)value;
  return WILLIS_OK;
}

static enum willis_status read_sizes(const struct willis_dicom_item *root,
                                     const struct willis_limits *limits, struct willis_angiogram *a,
                                     struct willis_error *err) {
  const double edge = (double)limits->edge, most = 1 << 20;
  const enum willis_status no = WILLIS_UNSUPPORTED;
  ptrdiff_t samples, allocated, stored, high, sign;
  const struct {
    struct whole rule;
    ptrdiff_t *to;
  } row[] = {
      {{"SamplesPerPixel", SAMPLES, 1, 1, 1, no, "1: grey values, not colours"}, &samples},
      {{"Rows", ROWS, NAN, 1, edge, WILLIS_FORMAT, "1 to the limit of an edge"}, &a->rows},
      {{"Columns", COLUMNS, NAN, 1, edge, WILLIS_FORMAT, "1 to the limit of an edge"}, &a->columns},
      {{"NumberOfFrames", FRAMES, 1, 1, most, WILLIS_FORMAT, "1 or more"}, &a->frame_count},
      {{"BitsAllocated", ALLOCATED, NAN, 8, 16, no, "8 or 16"}, &allocated},
      {{"BitsStored", STORED, NAN, 1, 16, WILLIS_FORMAT, "1 to BitsAllocated"}, &stored},
      {{"HighBit", HIGH, -1, -1, 15, WILLIS_FORMAT, "BitsStored - 1"}, &high},
      {{"PixelRepresentation", SIGN, 0, 0, 1, WILLIS_FORMAT, "0 or 1"}, &sign},
  };
  for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
    enum willis_status status = read_whole(root, &row[i].rule, row[i].to, err);
    if (status) return status;
  }
  if (allocated != 8 && allocated != 16)
    return willis_fail(err, no, "BitsAllocated (0028,0100) is %td, expected 8 or 16", allocated);
  if (stored > allocated)
    return willis_fail(err, WILLIS_FORMAT,
                       "BitsStored (0028,0101) is %td, expected at most the %td of BitsAllocated "
                       "(0028,0100)",
                       stored, allocated);
  if (high >= 0 && high != stored - 1)
    return willis_fail(err, no, "HighBit (0028,0102) is %td, expected BitsStored - 1 = %td", high,
                       stored - 1);
  a->bits = (int)stored;
  a->source->format =
      (struct willis_dicom_format){a->columns, a->rows, (int)allocated, (int)stored, sign == 1};
  return WILLIS_OK;
}

static enum willis_status read_values(const struct willis_dicom_item *root,
                                      struct willis_angiogram *a, struct willis_error *err) {
  struct willis_angiogram_source *source = a->source;
  char text[32];
  double sign = 0;
  source->slope = 1;
  if (willis_dicom_reals(root, SLOPE, &source->slope, 1) < 0 ||
      willis_dicom_reals(root, INTERCEPT, &source->intercept, 1) < 0 || source->slope == 0)
    return willis_fail(err, WILLIS_FORMAT,
                       "RescaleSlope (0028,1053) and RescaleIntercept (0028,1052): expected "
                       "numbers, the first not 0");
  willis_dicom_text(root, PHOTOMETRIC, text, sizeof text);
  bool white_is_least = strcmp(text, "MONOCHROME1") == 0;
  if (!white_is_least && strcmp(text, "MONOCHROME2") != 0)
    return willis_fail(err, WILLIS_UNSUPPORTED,
                       "PhotometricInterpretation (0028,0004) is \"%s\", expected MONOCHROME1 or "
                       "MONOCHROME2",
                       text);
  /* The sign says outright what display only suggests: that white is where X-rays arrived. */
  ptrdiff_t said = willis_dicom_reals(root, RELATIONSHIP_SIGN, &sign, 1);
  source->is_inverted = said > 0 && sign != 0 ? sign < 0 : white_is_least;
  willis_dicom_text(root, RELATIONSHIP, text, sizeof text);
  a->intensity = strcmp(text, "LIN") == 0   ? WILLIS_INTENSITY_LINEAR
                 : strcmp(text, "LOG") == 0 ? WILLIS_INTENSITY_LOGARITHMIC
                                            : WILLIS_INTENSITY_UNKNOWN;
  return WILLIS_OK;
}

/* ---- opening ---- */

static enum willis_status check_syntax(struct willis_angiogram_source *source,
                                       struct willis_error *err) {
  static const char *const raw[] = {WILLIS_DICOM_IMPLICIT, WILLIS_DICOM_EXPLICIT,
                                    WILLIS_DICOM_BIG_ENDIAN};
  const struct willis_dicom_layout *layout = &source->layout;
  bool is_raw = false;
  for (size_t i = 0; i < sizeof raw / sizeof *raw; i++)
    is_raw = is_raw || strcmp(layout->syntax, raw[i]) == 0;
  if (!is_raw && !willis_dicom_codec_known(layout->syntax))
    return willis_fail(err, WILLIS_UNSUPPORTED,
                       "TransferSyntaxUID (0002,0010) is none of raw, deflated, RLE, JPEG, JPEG-LS "
                       "and JPEG 2000");
  if (is_raw == layout->is_encapsulated)
    return willis_fail(err, WILLIS_FORMAT,
                       "PixelData (7fe0,0010) is %s, but TransferSyntaxUID says "
                       "%s",
                       is_raw ? "compressed" : "raw", is_raw ? "raw" : "compressed");
  source->is_swapped = layout->big_endian && layout->length % 2 == 0 &&
                       memcmp(source->bytes + layout->header_end + 4, "OW", 2) == 0;
  return WILLIS_OK;
}

/* The pieces of a frame behind each other, for the caller to free; null without memory. */
static unsigned char *join(const struct willis_angiogram_source *source, ptrdiff_t frame,
                           size_t *size) {
  const ptrdiff_t begin = source->first[frame], end = source->first[frame + 1];
  *size = 0;
  for (ptrdiff_t p = begin; p < end; p++) *size += source->piece[p].length;
  unsigned char *joined = willis_take((ptrdiff_t)*size, 1);
  size_t at = 0;
  for (ptrdiff_t p = begin; p < end && joined; p++) {
    memcpy(joined + at, source->bytes + source->piece[p].at, source->piece[p].length);
    at += source->piece[p].length;
  }
  return joined;
}

/* Whoever reads takes memory of the claimed size: the first frame has to bear it out. */
static enum willis_status check_first_frame(const struct willis_angiogram_source *source,
                                            struct willis_error *err) {
  size_t size;
  if (!source->layout.is_encapsulated) return WILLIS_OK;
  unsigned char *joined = join(source, 0, &size);
  if (!joined) return willis_fail_memory(err, "a compressed frame", (ptrdiff_t)size, 1);
  enum willis_status status =
      willis_dicom_frame_check(source->layout.syntax, &source->format, joined, size, err);
  willis_release(joined);
  return status ? willis_fail_in(err, status, "frame 1") : WILLIS_OK;
}

static enum willis_status parse(struct willis_angiogram *a, const struct willis_limits *limits,
                                const struct willis_warnings *warnings, struct willis_error *err) {
  struct willis_angiogram_source *source = a->source;
  struct willis_dicom_header *header = NULL;
  char uid[WILLIS_DICOM_UID];
  enum willis_status status =
      willis_dicom_header_open(source->bytes, source->size, &source->layout, &header, err);
  if (status) return status;
  const struct willis_dicom_item *root = willis_dicom_header_root(header);
  willis_dicom_text(root, SOP_CLASS, uid, sizeof uid);
  if (!find_class(uid, &a->kind))
    status = willis_fail(err, WILLIS_UNSUPPORTED,
                         "a DICOM file of another kind, expected X-Ray Angiographic, Enhanced XA, "
                         "XRF or Secondary Capture");
  else if (!source->layout.has_pixels)
    status = willis_fail(err, WILLIS_FORMAT, "PixelData (7fe0,0010) is missing");
  if (!status) status = read_sizes(root, limits, a, err);
  if (!status) status = read_values(root, a, err);
  if (!status) status = check_syntax(source, err);
  if (!status) status = willis_angiogram_find_frames(source, a->frame_count, err);
  if (!status) status = check_first_frame(source, err);
  if (!status) status = willis_angiogram_describe(header, a, warnings, err);
  willis_dicom_header_close(header);
  return status;
}

enum willis_status willis_angiogram_parse(unsigned char *bytes, size_t size,
                                          const struct willis_limits *limits,
                                          struct willis_angiogram *angiogram,
                                          const struct willis_warnings *warnings,
                                          struct willis_error *err) {
  *angiogram = (struct willis_angiogram){0};
  struct willis_angiogram_source *source = willis_take_zeroed(1, sizeof *source);
  enum willis_status status =
      source ? WILLIS_OK : willis_fail_memory(err, "an angiogram", 1, sizeof *source);
  if (!status && willis_dicom_deflated(bytes, size)) {
    status = willis_dicom_inflate(bytes, size, limits, &source->bytes, &source->size, err);
    willis_release(bytes);
  } else if (!status) {
    source->bytes = bytes;
    source->size = size;
  } else {
    willis_release(bytes);
  }
  angiogram->source = source;
  if (!status) status = parse(angiogram, limits, warnings, err);
  if (status) willis_angiogram_close(angiogram);
  return status;
}

enum willis_status willis_angiogram_open(const char *path, struct willis_angiogram *angiogram,
                                         const struct willis_warnings *warnings,
                                         struct willis_error *err) {
  *angiogram = (struct willis_angiogram){0};
  struct willis_limits limits = willis_limits_defaults();
  struct willis_warned_path named;
  unsigned char *bytes;
  size_t size;
  enum willis_status status = willis_file_read(path, limits.file_bytes, &bytes, &size, err);
  if (status) return status;
  status = willis_angiogram_parse(bytes, size, &limits, angiogram,
                                  willis_warnings_name(&named, warnings, path), err);
  return status ? willis_fail_in(err, status, path) : WILLIS_OK;
}

void willis_angiogram_close(struct willis_angiogram *angiogram) {
  if (!angiogram) return;
  struct willis_angiogram_source *source = angiogram->source;
  if (source) {
    willis_release(source->bytes);
    willis_release(source->piece);
    willis_release(source->first);
    willis_release(source->rescale);
  }
  for (ptrdiff_t i = 0; angiogram->subtraction && i < angiogram->subtraction_count; i++) {
    willis_release(angiogram->subtraction[i].range);
    willis_release(angiogram->subtraction[i].mask);
  }
  willis_release(angiogram->subtraction);
  willis_release(angiogram->shutter);
  willis_release(angiogram->pose);
  willis_release(source);
  *angiogram = (struct willis_angiogram){0};
}

/* ---- a frame ---- */

/* What stored values mean: the frame's slope and intercept. */
static void scale_of(const struct willis_angiogram_source *source, ptrdiff_t frame,
                     double scale[2]) {
  scale[0] = source->rescale ? source->rescale[2 * frame] : source->slope;
  scale[1] = source->rescale ? source->rescale[2 * frame + 1] : source->intercept;
}

static float convert(const struct willis_angiogram_source *source, const double scale[2],
                     unsigned value) {
  const int stored = source->format.stored;
  const long levels = 1L << stored;
  long number = (long)value & (levels - 1);
  if (source->format.is_signed && number >= levels / 2) number -= levels;
  if (source->is_inverted) number = source->format.is_signed ? -1 - number : levels - 1 - number;
  return (float)(scale[0] * (double)number + scale[1]);
}

static void unpack(const struct willis_angiogram_source *source, ptrdiff_t frame, ptrdiff_t count,
                   float *pixels) {
  const size_t from = source->piece[frame].at - source->layout.value;
  double scale[2];
  scale_of(source, frame, scale);
  const struct willis_dicom_layout *layout = &source->layout;
  const unsigned char *first = source->bytes + layout->value;
  if (source->format.allocated == 16)
    for (ptrdiff_t i = 0; i < count; i++) {
      const unsigned char *at = first + from + 2 * (size_t)i;
      pixels[i] = convert(source, scale, (unsigned)willis_load(at, 2, layout->big_endian));
    }
  else /* big-endian words of two values have the second one first */
    for (ptrdiff_t i = 0; i < count; i++)
      pixels[i] = convert(source, scale, first[(from + (size_t)i) ^ (source->is_swapped ? 1 : 0)]);
}

static enum willis_status decode(const struct willis_angiogram_source *source, ptrdiff_t frame,
                                 float *pixels, struct willis_error *err) {
  const ptrdiff_t count = source->format.columns * source->format.rows;
  size_t size;
  double scale[2];
  scale_of(source, frame, scale);
  unsigned char *joined = join(source, frame, &size);
  unsigned short *value = willis_take(count, sizeof *value);
  enum willis_status status = WILLIS_OK;
  if (!joined || !value) status = willis_fail_memory(err, "a compressed frame", count, 3);
  if (!status)
    status =
        willis_dicom_frame_decode(source->layout.syntax, &source->format, joined, size, value, err);
  for (ptrdiff_t i = 0; i < count && !status; i++) pixels[i] = convert(source, scale, value[i]);
  willis_release(joined);
  willis_release(value);
  return status;
}

enum willis_status willis_angiogram_read(const struct willis_angiogram *angiogram, ptrdiff_t frame,
                                         float *pixels, struct willis_error *err) {
  const struct willis_angiogram_source *source = angiogram->source;
  if (frame < 0 || frame >= angiogram->frame_count)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "frame %td, expected 1 to %td", frame + 1,
                       angiogram->frame_count);
  const ptrdiff_t count = angiogram->columns * angiogram->rows;
  if (!source->layout.is_encapsulated) {
    unpack(source, frame, count, pixels);
    return WILLIS_OK;
  }
  enum willis_status status = decode(source, frame, pixels, err);
  if (!status) return WILLIS_OK;
  char name[32];
  snprintf(name, sizeof name, "frame %td", frame + 1);
  return willis_fail_in(err, status, name);
}
