/* One frame of compressed pixels into plain ones. */
#ifndef WILLIS_IO_DICOM_CODEC_H
#define WILLIS_IO_DICOM_CODEC_H

#include <willis/error.h>

#include <stdbool.h>
#include <stddef.h>

WILLIS_BEGIN

/* How the stored values of a frame are written, as the attributes say. */
struct willis_dicom_format {
  ptrdiff_t columns, rows;
  int allocated, stored; /* bits: 8 or 16; 1 … allocated */
  bool is_signed;
};

/* True for the syntaxes that willis_dicom_frame_decode() knows. */
bool willis_dicom_codec_known(const char *syntax);
/* What can be said of the frame's bytes before memory of the picture's size is taken: the size and
 * depth that a JPEG or JPEG 2000 claims, and that more than 4 Mi pixels are not the hundredfold. */
WILLIS_CHECKED enum willis_status willis_dicom_frame_check(const char *syntax,
                                                           const struct willis_dicom_format *format,
                                                           const unsigned char *bytes, size_t size,
                                                           struct willis_error *err);
/* The frame's bytes (its fragments joined) into columns × rows values of 16 bits, the stored ones
 * in the low bits, what lies above them not defined. FORMAT when the picture inside is broken or of
 * another size or depth than the attributes say, UNSUPPORTED, OUT_OF_MEMORY. */
WILLIS_CHECKED enum willis_status
willis_dicom_frame_decode(const char *syntax, const struct willis_dicom_format *format,
                          const unsigned char *bytes, size_t size, unsigned short *value,
                          struct willis_error *err);

/* Behind it: JPEG, JPEG-LS and RLE by DCMTK (`wide`: 2 bytes a value come out, else 1), JPEG 2000
 * by OpenJPEG. */
WILLIS_CHECKED enum willis_status
willis_dicom_dcmtk_decode(const char *syntax, const struct willis_dicom_format *format, bool wide,
                          const unsigned char *bytes, size_t size, unsigned short *value,
                          struct willis_error *err);
WILLIS_CHECKED enum willis_status willis_jpeg2000_check(const struct willis_dicom_format *format,
                                                        const unsigned char *bytes, size_t size,
                                                        struct willis_error *err);
WILLIS_CHECKED enum willis_status willis_jpeg2000_decode(const struct willis_dicom_format *format,
                                                         const unsigned char *bytes, size_t size,
                                                         unsigned short *value,
                                                         struct willis_error *err);

WILLIS_CHECKED enum willis_status willis_rle_decode(const struct willis_dicom_format *format,
                                                    const unsigned char *bytes, size_t size,
                                                    unsigned short *value,
                                                    struct willis_error *err);

WILLIS_END

#endif
