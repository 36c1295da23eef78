/* JPEG 2000 frames by OpenJPEG: DCMTK has nothing for them. */
#include "base/error.h"
#include "io/bytes.h"
#include "io/dicom_codec.h"

#include <openjpeg.h>
#include <stdint.h>
#include <string.h>

/* Bytes in memory as OpenJPEG's stream. */
struct source {
  const unsigned char *bytes;
  size_t size, at;
};

static OPJ_SIZE_T source_read(void *to, OPJ_SIZE_T want, void *context) {
  struct source *source = context;
  size_t left = source->size - source->at, got = want < left ? want : left;
  if (got == 0) return (OPJ_SIZE_T)-1;
  memcpy(to, source->bytes + source->at, got);
  source->at += got;
  return got;
}
static OPJ_BOOL source_seek(OPJ_OFF_T to, void *context) {
  struct source *source = context;
  if (to < 0 || (size_t)to > source->size) return OPJ_FALSE;
  source->at = (size_t)to;
  return OPJ_TRUE;
}

/* Size, depth and tiles out of the codestream's first segment (ISO 15444-1, A.5.1), before OpenJPEG
 * allocates by them. DICOM wants the bare codestream, without the boxes of a .jp2 file. */
enum willis_status willis_jpeg2000_check(const struct willis_dicom_format *format,
                                         const unsigned char *bytes, size_t size,
                                         struct willis_error *err) {
  enum { XSIZ = 8, CSIZ = 40, SEGMENT = 45, MOST_TILES = 4096 };
  static const unsigned char start[] = {0xFF, 0x4F, 0xFF, 0x51};
  if (size < SEGMENT || memcmp(bytes, start, sizeof start) != 0)
    return willis_fail(err, WILLIS_FORMAT, "the compressed frame does not begin as JPEG 2000");
  uint64_t field[8]; /* sizes, offsets, tile sizes and tile offsets, each across and down */
  for (size_t i = 0; i < 8; i++) field[i] = willis_load(bytes + XSIZ + 4 * i, 4, true);
  const uint64_t components = willis_load(bytes + CSIZ, 2, true);
  const int bits = (bytes[CSIZ + 2] & 0x7F) + 1;
  if (field[2] > field[0] || field[3] > field[1] ||
      field[0] - field[2] != (uint64_t)format->columns ||
      field[1] - field[3] != (uint64_t)format->rows || bytes[CSIZ + 3] != 1 || bytes[CSIZ + 4] != 1)
    return willis_fail(err, WILLIS_FORMAT,
                       "the compressed frame's grid ends at %ju, %ju, expected %td columns and "
                       "%td rows",
                       (uintmax_t)field[0], (uintmax_t)field[1], format->columns, format->rows);
  if (components != 1)
    return willis_fail(err, WILLIS_UNSUPPORTED,
                       "the compressed frame has %ju components, expected 1: grey values",
                       (uintmax_t)components);
  if (bits > format->allocated)
    return willis_fail(err, WILLIS_FORMAT,
                       "the compressed frame has %d bits a value, expected 1 to %d", bits,
                       format->allocated);
  /* The first tile begins at or before the picture and holds its corner, so that there are few. */
  uint64_t tiles = 1;
  for (size_t i = 0; i < 2; i++) {
    const uint64_t end = field[i], begin = field[2 + i], tile = field[4 + i], from = field[6 + i];
    const bool fits = from <= begin && begin - from < tile;
    tiles *= fits ? (end - from - 1) / tile + 1 : MOST_TILES + 1;
  }
  if (tiles > MOST_TILES)
    return willis_fail(err, WILLIS_FORMAT, "the compressed frame has tiles of %ju x %ju",
                       (uintmax_t)field[4], (uintmax_t)field[5]);
  return WILLIS_OK;
}

static enum willis_status decode(opj_codec_t *codec, opj_stream_t *stream, opj_image_t **image,
                                 const struct willis_dicom_format *format, unsigned short *value,
                                 struct willis_error *err) {
  opj_dparameters_t parameters;
  opj_set_default_decoder_parameters(&parameters);
  if (!opj_setup_decoder(codec, &parameters) || !opj_decoder_set_strict_mode(codec, OPJ_TRUE) ||
      !opj_read_header(stream, codec, image))
    return willis_fail(err, WILLIS_FORMAT, "the compressed frame does not begin as JPEG 2000");
  if (!opj_decode(codec, stream, *image))
    return willis_fail(err, WILLIS_FORMAT, "the JPEG 2000 frame is cut or broken");
  const opj_image_comp_t *comp = (*image)->comps;
  const ptrdiff_t count = format->columns * format->rows;
  const OPJ_INT32 *data = comp->data;
  if ((*image)->numcomps != 1 || !data || (ptrdiff_t)comp->w * (ptrdiff_t)comp->h != count)
    return willis_fail(err, WILLIS_FORMAT, "the JPEG 2000 frame is not whole");
  for (ptrdiff_t i = 0; i < count; i++) value[i] = (unsigned short)data[i];
  return WILLIS_OK;
}

enum willis_status willis_jpeg2000_decode(const struct willis_dicom_format *format,
                                          const unsigned char *bytes, size_t size,
                                          unsigned short *value, struct willis_error *err) {
  enum willis_status status = willis_jpeg2000_check(format, bytes, size, err);
  if (status) return status;
  struct source source = {bytes, size, 0};
  opj_image_t *image = NULL;
  opj_codec_t *codec = opj_create_decompress(OPJ_CODEC_J2K);
  opj_stream_t *stream = opj_stream_create(1 << 16, OPJ_TRUE);
  if (codec && stream) {
    opj_stream_set_user_data(stream, &source, NULL);
    opj_stream_set_user_data_length(stream, size);
    opj_stream_set_read_function(stream, source_read);
    opj_stream_set_seek_function(stream, source_seek);
    status = decode(codec, stream, &image, format, value, err);
  } else {
    status = willis_fail(err, WILLIS_OUT_OF_MEMORY, "no memory for a JPEG 2000 decoder");
  }
  if (image) opj_image_destroy(image);
  if (codec) opj_destroy_codec(codec);
  if (stream) opj_stream_destroy(stream);
  return status;
}
