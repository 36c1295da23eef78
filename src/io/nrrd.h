/* NRRD (teem's "nearly raw raster data"): a text header, then voxels as raw bytes, gzip or text, in
 * the same file or in one beside it.
 *
 * Read: NRRD0001 to 0005 with three axes in space (further axes of size 1), spaces LPS, RAS and
 * LAS; space directions, or spacings along the axes of the space. A header without a space is taken
 * as LPS, with a warning; one without spacings is refused. Not read: bzip2 and hex, data in several
 * files. Written: LPS, gzip. */
#ifndef WILLIS_IO_NRRD_H
#define WILLIS_IO_NRRD_H

#include <willis/io.h>

#include "base/file.h"
#include "io/samples.h"

enum willis_nrrd_encoding {
  WILLIS_NRRD_NO_ENCODING,
  WILLIS_NRRD_RAW,
  WILLIS_NRRD_GZIP,
  WILLIS_NRRD_TEXT
};
enum { WILLIS_NRRD_NAME_BYTES = 256 };

struct willis_nrrd {
  struct willis_grid grid; /* LPS mm */
  ptrdiff_t count;
  struct willis_samples samples;
  enum willis_nrrd_encoding encoding;
  ptrdiff_t line_skip, byte_skip;         /* byte_skip −1: the voxels are the last bytes */
  size_t data;                            /* where they begin in this file */
  char data_file[WILLIS_NRRD_NAME_BYTES]; /* or the file beside it; "" for none */
};

bool willis_nrrd_recognize(const unsigned char *bytes, size_t size);
/* FORMAT, UNSUPPORTED, GEOMETRY, with the line. */
WILLIS_CHECKED enum willis_status willis_nrrd_header(const unsigned char *bytes, size_t size,
                                                     const struct willis_limits *limits,
                                                     struct willis_nrrd *nrrd,
                                                     const struct willis_warnings *warnings,
                                                     struct willis_error *err);
/* The bytes from nrrd->data on, or those of the data file, into a volume for the caller to release.
 */
WILLIS_CHECKED enum willis_status willis_nrrd_voxels(const struct willis_nrrd *nrrd,
                                                     const unsigned char *bytes, size_t size,
                                                     const struct willis_limits *limits,
                                                     struct willis_volume *volume,
                                                     struct willis_error *err);
/* Header and voxels of one file; `path` (null: none) is only there to find a data file beside it,
 * which must be a regular file in the same folder, not a link. */
WILLIS_CHECKED enum willis_status willis_nrrd_parse(const unsigned char *bytes, size_t size,
                                                    const struct willis_limits *limits,
                                                    const char *path, struct willis_volume *volume,
                                                    const struct willis_warnings *warnings,
                                                    struct willis_error *err);

/* What stands before the values; from there on the writer compresses. */
WILLIS_CHECKED enum willis_status willis_nrrd_print_header(struct willis_writer *writer,
                                                           const struct willis_grid *grid,
                                                           enum willis_voxel_type type,
                                                           struct willis_error *err);

#endif
