/* DICOM slices as a volume. DICOM's patient frame is LPS mm already.
 *
 * Read: files with the "DICM" mark, one monochrome frame each, uncompressed, RLE, JPEG, JPEG-LS or
 * JPEG 2000. Slices are put in the order of their positions along the normal of their plane,
 * whatever their names; the grid keeps their orientation. Nothing about a patient is read into
 * anything that is shown: messages name files and attributes only. */
#ifndef WILLIS_IO_DICOM_H
#define WILLIS_IO_DICOM_H

#include <willis/io.h>

#include <stdbool.h>

bool willis_dicom_recognize(const unsigned char *bytes, size_t size);
/* One slice as a volume, as thick as the file says (GEOMETRY if it does not). */
WILLIS_CHECKED enum willis_status willis_dicom_parse(const unsigned char *bytes, size_t size,
                                                     const struct willis_limits *limits,
                                                     struct willis_volume *volume,
                                                     const struct willis_warnings *warnings,
                                                     struct willis_error *err);
/* Every slice in a folder (not its subfolders). FORMAT for missing or double slices, MISMATCH for
 * slices of another series, size or orientation, GEOMETRY, UNSUPPORTED. */
WILLIS_CHECKED enum willis_status willis_dicom_read_folder(const char *path,
                                                           const struct willis_limits *limits,
                                                           struct willis_volume *volume,
                                                           const struct willis_warnings *warnings,
                                                           struct willis_error *err);

#endif
