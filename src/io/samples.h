/* Samples as files hold them: any integer or floating type of either byte order, into float and
 * back. */
#ifndef WILLIS_IO_SAMPLES_H
#define WILLIS_IO_SAMPLES_H

#include <willis/io.h>

#include "base/file.h"

#include <stdbool.h>
#include <stddef.h>

enum willis_sample_type {
  WILLIS_SAMPLE_U8,
  WILLIS_SAMPLE_I8,
  WILLIS_SAMPLE_U16,
  WILLIS_SAMPLE_I16,
  WILLIS_SAMPLE_U32,
  WILLIS_SAMPLE_I32,
  WILLIS_SAMPLE_U64,
  WILLIS_SAMPLE_I64,
  WILLIS_SAMPLE_F32,
  WILLIS_SAMPLE_F64
};

/* value = slope · sample + intercept, computed in double. */
struct willis_samples {
  enum willis_sample_type type;
  bool big_endian;
  double slope, intercept;
};

size_t willis_sample_bytes(enum willis_sample_type type);
/* True when the values are whole numbers: an integer type, scaled by whole numbers if at all. */
bool willis_samples_integral(const struct willis_samples *samples);
/* `count` values from bytes that hold count · willis_sample_bytes(). */
void willis_samples_decode(const struct willis_samples *samples, const unsigned char *bytes,
                           ptrdiff_t count, float *value);

/* Bytes a voxel in a file of `type`. */
size_t willis_voxel_bytes(enum willis_voxel_type type);
/* Puts `count` values as little-endian `type`. INVALID_ARGUMENT with the first value that the type
 * cannot hold exactly, NUMERIC with the first that is not finite; both before anything is put. */
WILLIS_CHECKED enum willis_status willis_voxels_put(struct willis_writer *writer,
                                                    const float *value, ptrdiff_t count,
                                                    enum willis_voxel_type type,
                                                    struct willis_error *err);

#endif
