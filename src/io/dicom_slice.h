/* One DICOM file as a slice. */
#ifndef WILLIS_IO_DICOM_SLICE_H
#define WILLIS_IO_DICOM_SLICE_H

#include "io/dicom_scan.h"

WILLIS_BEGIN

/* Frame LPS mm. `row_direction` is where columns grow, `column_direction` where rows grow. */
struct willis_dicom_slice {
  ptrdiff_t columns, rows;
  double column_spacing_mm, row_spacing_mm;
  double thickness_mm; /* 0 when the file does not say */
  double position_mm[3], row_direction[3], column_direction[3];
  bool integral;
  char series[68]; /* the series' identifier, only to be compared */
};

/* Attributes and, unless `pixels` is null, rows × columns values into it (the caller has found the
 * sizes with a call before). `*is_image` is false, with OK, for a DICOM file without an image (a
 * directory, a report). FORMAT, GEOMETRY, UNSUPPORTED, OUT_OF_MEMORY. */
WILLIS_CHECKED enum willis_status willis_dicom_slice_read(const unsigned char *bytes, size_t size,
                                                          const struct willis_limits *limits,
                                                          bool *is_image,
                                                          struct willis_dicom_slice *slice,
                                                          float *pixels, struct willis_error *err);

WILLIS_END

#endif
