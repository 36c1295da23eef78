/* RLE frames (PS3.5, annex G): a table of 15 offsets, then one PackBits stream for each byte of a
 * value, the high one first. Our own, because DCMTK 3.6.7 reads beyond a cut stream. */
#include "base/error.h"
#include "io/bytes.h"
#include "io/dicom_codec.h"

enum { TABLE = 64 };

/* Adds the bytes of a segment, shifted, to the values. Returns how many it gave. */
static ptrdiff_t unpack(const unsigned char *at, const unsigned char *end, int shift,
                        unsigned short *value, ptrdiff_t count) {
  ptrdiff_t given = 0;
  while (given < count && at < end) {
    const int code = *at++;
    if (code == 128) continue;
    const bool repeat = code > 128;
    const ptrdiff_t run = repeat ? 257 - code : code + 1;
    if (end - at < (repeat ? 1 : run)) break;
    for (ptrdiff_t i = 0; i < run && given < count; i++, given++)
      value[given] = (unsigned short)(value[given] | (at[repeat ? 0 : i] << shift));
    at += repeat ? 1 : run;
  }
  return given;
}

enum willis_status willis_rle_decode(const struct willis_dicom_format *format,
                                     const unsigned char *bytes, size_t size, unsigned short *value,
                                     struct willis_error *err) {
  const ptrdiff_t count = format->columns * format->rows;
  const uint64_t segments = size < TABLE ? 0 : willis_load(bytes, 4, false);
  const uint64_t expected = (uint64_t)format->allocated / 8;
  if (segments != expected)
    return willis_fail(err, WILLIS_FORMAT,
                       "the compressed frame has %ju RLE segments, expected %ju: one for each byte "
                       "of a value",
                       (uintmax_t)segments, (uintmax_t)expected);
  for (ptrdiff_t i = 0; i < count; i++) value[i] = 0;
  for (uint64_t s = 0; s < segments; s++) {
    const uint64_t from = willis_load(bytes + 4 + 4 * s, 4, false);
    const uint64_t to = s + 1 < segments ? willis_load(bytes + 8 + 4 * s, 4, false) : size;
    if (from < TABLE || from > to || to > size)
      return willis_fail(err, WILLIS_FORMAT,
                         "RLE segment %ju lies from byte %ju to %ju of %zu, expected it inside",
                         (uintmax_t)s, (uintmax_t)from, (uintmax_t)to, size);
    const int shift = 8 * (int)(segments - 1 - s);
    const ptrdiff_t given = unpack(bytes + from, bytes + to, shift, value, count);
    if (given < count)
      return willis_fail(err, WILLIS_FORMAT, "RLE segment %ju holds %td values, expected %td",
                         (uintmax_t)s, given, count);
  }
  return WILLIS_OK;
}
