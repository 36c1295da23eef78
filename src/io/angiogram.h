/* The reader of angiograms, in parts: where frames lie (angiogram_frames.c), what attributes say
 * (angiogram_pose.c), views (angiogram_view.c). */
#ifndef WILLIS_IO_ANGIOGRAM_H
#define WILLIS_IO_ANGIOGRAM_H

#include <willis/angiogram.h>
#include <willis/io.h>

#include "io/dicom_codec.h"
#include "io/dicom_header.h"
#include "io/dicom_scan.h"

/* A fragment of compressed pixels, or all of a raw frame. */
struct willis_piece {
  size_t at, length;
};

/* The open file. Pieces first[f] … first[f+1]−1 make frame f. */
struct willis_angiogram_source {
  unsigned char *bytes; /* never deflated */
  size_t size;
  struct willis_dicom_layout layout;
  struct willis_dicom_format format;
  bool is_swapped; /* 8-bit values in words of the other byte order */
  bool is_inverted;
  double slope, intercept;
  double *rescale; /* [frames][slope, intercept] where frames have their own; else null */
  struct willis_piece *piece;
  ptrdiff_t *first;
};

/* True when the file's head names one of the kinds above. */
bool willis_angiogram_recognize(const unsigned char *bytes, size_t size);
/* Takes `bytes` over, whatever happens (they come from willis_take()). */
WILLIS_CHECKED enum willis_status willis_angiogram_parse(unsigned char *bytes, size_t size,
                                                         const struct willis_limits *limits,
                                                         struct willis_angiogram *angiogram,
                                                         const struct willis_warnings *warnings,
                                                         struct willis_error *err);

/* Where every frame is; sets `piece` and `first`. FORMAT when there are fewer frames than declared.
 */
WILLIS_CHECKED enum willis_status
willis_angiogram_find_frames(struct willis_angiogram_source *source, ptrdiff_t frames,
                             struct willis_error *err);
/* From a place on the upright picture of columns × rows to the stored one, and from the stored one
 * of columns × rows to the upright one. */
void willis_turn_place(const struct willis_turn *turn, ptrdiff_t columns, ptrdiff_t rows,
                       double *column, double *row);
void willis_turn_undo(const struct willis_turn *turn, ptrdiff_t columns, ptrdiff_t rows,
                      double *column, double *row);
/* The shutter of a stored picture of columns × rows becomes that of the upright one. */
void willis_turn_shutter(const struct willis_turn *turn, ptrdiff_t columns, ptrdiff_t rows,
                         struct willis_shutter *shutter);
/* Poses, shutters, subtraction: everything but the pixels. */
WILLIS_CHECKED enum willis_status
willis_angiogram_describe(const struct willis_dicom_header *header,
                          struct willis_angiogram *angiogram,
                          const struct willis_warnings *warnings, struct willis_error *err);

#endif
