/* NIfTI-1 and NIfTI-2 in, NIfTI-1 out: the one place where RAS becomes LPS and back.
 *
 * Which geometry counts: the sform when its code is above 0, its axes are at right angles and its
 * voxel sizes agree with pixdim within 1 %; else the qform when its code is above 0 (with a warning
 * when an sform was passed over); with both codes 0 the sizes of pixdim along RAS axes from 0, with
 * a warning. Lengths are converted to mm by xyzt_units; no unit means mm. */
#ifndef WILLIS_IO_NIFTI_H
#define WILLIS_IO_NIFTI_H

#include <willis/io.h>

#include "base/file.h"
#include "io/samples.h"

/* A header whose sizes have been checked against nothing but the limits. */
struct willis_nifti {
  int version; /* 1 or 2 */
  ptrdiff_t size[3];
  ptrdiff_t count; /* voxels */
  struct willis_samples samples;
  size_t data, end; /* first byte of the voxels, first byte after them */
  double mm;        /* of the header's unit of length */
  double pixdim[4]; /* [0] is qfac */
  int qform_code, sform_code;
  double quatern[3], offset[3];
  double srow[3][4];
};

enum { WILLIS_NIFTI_HEADER_BYTES = 544 }; /* no header with its extension flag is longer */

/* True when the first bytes are a NIfTI header of either version and byte order, or half of an
 * Analyze or NIfTI pair (which are refused later, by name). */
bool willis_nifti_recognize(const unsigned char *bytes, size_t size);
/* FORMAT, UNSUPPORTED (pairs, more than three dimensions, complex and colour types). */
WILLIS_CHECKED enum willis_status willis_nifti_header(const unsigned char *bytes, size_t size,
                                                      const struct willis_limits *limits,
                                                      struct willis_nifti *nifti,
                                                      struct willis_error *err);
/* FORMAT when the `size` bytes of the whole file do not hold the voxels. */
WILLIS_CHECKED enum willis_status willis_nifti_fits(const struct willis_nifti *nifti, size_t size,
                                                    struct willis_error *err);
/* A whole file in memory into a volume. The caller releases it. */
WILLIS_CHECKED enum willis_status willis_nifti_parse(const unsigned char *bytes, size_t size,
                                                     const struct willis_limits *limits,
                                                     struct willis_volume *volume,
                                                     const struct willis_warnings *warnings,
                                                     struct willis_error *err);
/* The bytes of a NIfTI file from those of a file that may be gzip: inflated to what the header
 * claims and not a byte more. *plain is `bytes` itself or a new block for the caller to free. */
WILLIS_CHECKED enum willis_status willis_nifti_expand(unsigned char *bytes, size_t size,
                                                      const struct willis_limits *limits,
                                                      unsigned char **plain, size_t *plain_size,
                                                      struct willis_error *err);

/* What stands before the values. With a null grid the file says that its place is not known (both
 * codes 0) and only carries `size` and `spacing`. */
WILLIS_CHECKED enum willis_status
willis_nifti_print_header(struct willis_writer *writer, const ptrdiff_t size[3],
                          const double spacing[3], const struct willis_grid *grid,
                          enum willis_voxel_type type, struct willis_error *err);
/* Header and values as NIfTI-1 without scaling. */
WILLIS_CHECKED enum willis_status
willis_nifti_print(struct willis_writer *writer, const ptrdiff_t size[3], const double spacing[3],
                   const struct willis_grid *grid, const float *value, enum willis_voxel_type type,
                   struct willis_error *err);

#endif
