/* From DICOM angiograms to a projection stack: choose frames, subtract, take logarithms, bin, and
 * say where every view was seen from. */
#ifndef WILLIS_PREPARE_H
#define WILLIS_PREPARE_H

#include <willis/angiogram.h>
#include <willis/progress.h>

WILLIS_BEGIN

enum willis_frame_choice {
  WILLIS_FRAME_PEAK,   /* the frame, or the window of frames, with most contrast */
  WILLIS_FRAME_NUMBER, /* frame, frame + 1 … frame + window − 1 */
  WILLIS_FRAME_ALL     /* every frame is a view: runs of a turning C-arm */
};
enum willis_subtract_choice {
  WILLIS_SUBTRACT_AS_WRITTEN, /* by the file's mask subtraction sequence, if it has one */
  WILLIS_SUBTRACT_NEVER,
  WILLIS_SUBTRACT_MASK /* from the mean of the frames mask_first … mask_last */
};

enum willis_combine {
  WILLIS_COMBINE_DARKEST, /* the largest attenuation over time: contrast that moves on */
  WILLIS_COMBINE_MEAN     /* less noise */
};

/* Frames are counted from 1, as in DICOM. */
struct willis_prepare_options {
  enum willis_frame_choice choice;
  ptrdiff_t frame, window;
  enum willis_combine combine;         /* what becomes of a window of several frames */
  enum willis_orientation orientation; /* which way up pictures are, by whose word */
  enum willis_subtract_choice subtract;
  ptrdiff_t mask_first, mask_last;
  ptrdiff_t bin; /* pixels of bin × bin become one, their mean */
  struct willis_pose_override override;
  const double *angle_deg;        /* primary and secondary for each run, or null */
  const struct willis_view *view; /* for every view made, instead of attributes, or null */
  const bool *mirrored;           /* with `view`: this view's columns run the other way, or null */
  ptrdiff_t angle_count, view_count; /* pairs, views */
};
WILLIS_API struct willis_prepare_options willis_prepare_defaults(void);

/* What was done for a view. */
struct willis_prepared_view {
  ptrdiff_t run, first_frame, last_frame; /* run from 0, frames from 1 */
  enum willis_intensity intensity;
  enum willis_subtraction_kind subtraction;
  struct willis_turn turn; /* what was undone */
};

/* Reads runs (all of one matrix size) into a stack of attenuations, mode SUM, isocenter at 0, and
 * prepared[view_count], which the caller frees with willis_prepared_release(). Pixels behind a
 * shutter are 0 and not shown; a frame without a mask has 0 at its brightest pixel. Pictures are
 * made upright. Warns of mixed patients or studies, of views less than 25° apart, of runs without
 * contrast that comes or goes, and of values that are no line integrals. GEOMETRY names
 * the option that gives what is missing. MISMATCH, INVALID_ARGUMENT, and what reading gives. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_prepare(const char *const *path, ptrdiff_t path_count,
               const struct willis_prepare_options *options, struct willis_projections *stack,
               struct willis_prepared_view **prepared, const struct willis_progress *progress,
               const struct willis_warnings *warnings, struct willis_error *err);
WILLIS_API void willis_prepared_release(struct willis_prepared_view *prepared);

WILLIS_END

#endif
