/* Which codec, and what a compressed frame says of itself: size and depth are compared with the
 * attributes before a decoder writes into memory of the attributes' size. */
#include "io/dicom_codec.h"

#include "base/error.h"

#include <stdint.h>
#include <string.h>

enum codec { CODEC_RLE, CODEC_JPEG, CODEC_JPEG_2000 };

static const struct {
  const char *syntax;
  enum codec codec;
} known[] = {
    {"1.2.840.10008.1.2.5", CODEC_RLE},
    {"1.2.840.10008.1.2.4.50", CODEC_JPEG},      /* baseline */
    {"1.2.840.10008.1.2.4.51", CODEC_JPEG},      /* extended, 12 bits */
    {"1.2.840.10008.1.2.4.57", CODEC_JPEG},      /* lossless */
    {"1.2.840.10008.1.2.4.70", CODEC_JPEG},      /* lossless, first-order prediction */
    {"1.2.840.10008.1.2.4.80", CODEC_JPEG},      /* JPEG-LS */
    {"1.2.840.10008.1.2.4.81", CODEC_JPEG},      /* JPEG-LS, near lossless */
    {"1.2.840.10008.1.2.4.90", CODEC_JPEG_2000}, /* reversible */
    {"1.2.840.10008.1.2.4.91", CODEC_JPEG_2000},
};

static int find(const char *syntax) {
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (strcmp(known[i].syntax, syntax) == 0) return (int)i;
  return -1;
}

bool willis_dicom_codec_known(const char *syntax) {
  return find(syntax) >= 0;
}

/* True for the markers that begin a frame header (ISO 10918-1, B.2.2) or JPEG-LS's (14495-1). */
static bool is_frame_header(unsigned marker) {
  return (marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC) ||
         marker == 0xF7;
}

static enum willis_status check_frame_header(const struct willis_dicom_format *format,
                                             const unsigned char *at, int *precision,
                                             struct willis_error *err) {
  *precision = at[0];
  int rows = at[1] << 8 | at[2], columns = at[3] << 8 | at[4], components = at[5];
  if (rows != format->rows || columns != format->columns)
    return willis_fail(err, WILLIS_FORMAT,
                       "the compressed frame has %d columns and %d rows, expected %td and %td",
                       columns, rows, format->columns, format->rows);
  if (components != 1)
    return willis_fail(err, WILLIS_UNSUPPORTED,
                       "the compressed frame has %d components, expected 1: grey values",
                       components);
  if (*precision < 2 || *precision > format->allocated)
    return willis_fail(err, WILLIS_FORMAT,
                       "the compressed frame has %d bits a value, expected 2 to %d", *precision,
                       format->allocated);
  return WILLIS_OK;
}

/* Finds the frame header among the segments of a JPEG or JPEG-LS stream. */
static enum willis_status check_jpeg(const struct willis_dicom_format *format,
                                     const unsigned char *bytes, size_t size, int *precision,
                                     struct willis_error *err) {
  size_t at = 2;
  if (size < 4 || bytes[0] != 0xFF || bytes[1] != 0xD8)
    return willis_fail(err, WILLIS_FORMAT, "the compressed frame does not begin as JPEG");
  while (size - at >= 4) {
    if (bytes[at] != 0xFF) break;
    unsigned marker = bytes[at + 1];
    if (marker == 0xFF) {
      at++; /* fill bytes */
      continue;
    }
    size_t length = (size_t)bytes[at + 2] << 8 | bytes[at + 3];
    if (length < 2 || length > size - at - 2) break;
    if (is_frame_header(marker) && length >= 8)
      return check_frame_header(format, bytes + at + 4, precision, err);
    if (marker == 0xDA) break;
    at += 2 + length;
  }
  return willis_fail(err, WILLIS_FORMAT, "byte %zu of the compressed frame: no frame header", at);
}

static enum willis_status check(int row, const struct willis_dicom_format *format,
                                const unsigned char *bytes, size_t size, int *precision,
                                struct willis_error *err) {
  enum { PLENTY = 1 << 22, MOST_RATIO = 100 }; /* pixels; bytes out of bytes in */
  const ptrdiff_t count = format->columns * format->rows;
  const size_t plain = (size_t)count * (size_t)format->allocated / 8;
  *precision = format->allocated;
  if (row < 0)
    return willis_fail(err, WILLIS_UNSUPPORTED,
                       "TransferSyntaxUID (0002,0010) is none of raw, deflated, RLE, JPEG, JPEG-LS "
                       "and JPEG 2000");
  if (count > PLENTY && plain / MOST_RATIO > size)
    return willis_fail(err, WILLIS_FORMAT,
                       "the compressed frame has %zu bytes for %td columns and %td rows, expected "
                       "a hundredth of %zu or more",
                       size, format->columns, format->rows, plain);
  switch (known[row].codec) {
  case CODEC_JPEG_2000:
    return willis_jpeg2000_check(format, bytes, size, err);
  case CODEC_JPEG:
    return check_jpeg(format, bytes, size, precision, err);
  default:
    return WILLIS_OK;
  }
}

enum willis_status willis_dicom_frame_check(const char *syntax,
                                            const struct willis_dicom_format *format,
                                            const unsigned char *bytes, size_t size,
                                            struct willis_error *err) {
  int precision;
  return check(find(syntax), format, bytes, size, &precision, err);
}

enum willis_status willis_dicom_frame_decode(const char *syntax,
                                             const struct willis_dicom_format *format,
                                             const unsigned char *bytes, size_t size,
                                             unsigned short *value, struct willis_error *err) {
  const int row = find(syntax);
  int precision;
  enum willis_status status = check(row, format, bytes, size, &precision, err);
  if (status) return status;
  switch (known[row].codec) {
  case CODEC_JPEG_2000:
    return willis_jpeg2000_decode(format, bytes, size, value, err);
  case CODEC_RLE:
    return willis_rle_decode(format, bytes, size, value, err);
  default:
    break;
  }
  return willis_dicom_dcmtk_decode(syntax, format, precision > 8, bytes, size, value, err);
}
