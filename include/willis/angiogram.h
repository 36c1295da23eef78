/* X-ray angiograms as they come: DICOM files of runs of frames, and what their attributes say of
 * where they were seen from. Nothing is guessed: what a file does not say is NaN, and has to be
 * given before a view is made of it. Nothing about a patient is kept. */
#ifndef WILLIS_ANGIOGRAM_H
#define WILLIS_ANGIOGRAM_H

#include <willis/geometry.h>

WILLIS_BEGIN

enum willis_angiogram_kind {
  WILLIS_ANGIOGRAM_XA,
  WILLIS_ANGIOGRAM_ENHANCED_XA,
  WILLIS_ANGIOGRAM_XRF,    /* radiofluoroscopy, plain or enhanced */
  WILLIS_ANGIOGRAM_CAPTURE /* Secondary Capture: has no geometry */
};

/* PixelIntensityRelationship (0028,1040): how values follow the X-rays that arrive. */
enum willis_intensity {
  WILLIS_INTENSITY_UNKNOWN, /* processed for display, or not said */
  WILLIS_INTENSITY_LINEAR,
  WILLIS_INTENSITY_LOGARITHMIC
};

/* What the attributes say of one frame, as they say it: degrees, and mm at the detector. NaN for
 * what they do not say, infinite for what is there and no finite number (or pair of them). */
struct willis_pose {
  double primary_angle_deg, secondary_angle_deg;
  double source_to_detector_mm, source_to_isocenter_mm;
  double row_spacing_mm, column_spacing_mm;
};

/* How the angles of a moving C-arm are written: PositionerPrimaryAngleIncrement (0018,1520) and
 * the secondary one hold, for every frame, the offset from the first frame's angle. */
enum willis_increments {
  WILLIS_INCREMENTS_NONE,
  WILLIS_INCREMENTS_OFFSETS,
  WILLIS_INCREMENTS_ON_ZERO, /* they begin away from 0 on a base of 0: absolute, and the same sum */
  WILLIS_INCREMENTS_DOUBTFUL /* they begin at the base angle itself: absolute, it seems */
};

/* How an upright picture (row 0 towards the head, columns along u of geometry.h) was laid down:
 * turned clockwise by quarters of a turn, then mirrored left to right. */
struct willis_turn {
  int quarters; /* 0 to 3 */
  bool mirrored;
};

/* One item of a mask subtraction sequence (0028,6100), frames 0-based. */
enum willis_subtraction_kind {
  WILLIS_SUBTRACTION_NONE,
  WILLIS_SUBTRACTION_AVERAGE,     /* AVG_SUB: the mean of `mask` */
  WILLIS_SUBTRACTION_INTERVAL,    /* TID: the frame `interval` before */
  WILLIS_SUBTRACTION_REV_INTERVAL /* REV_TID: as far before the first frame as it is after it */
};
struct willis_subtraction {
  enum willis_subtraction_kind kind;
  ptrdiff_t range_count; /* pairs; 0: every frame that has a mask */
  ptrdiff_t *range;      /* range[2·i], range[2·i + 1]: first and last */
  ptrdiff_t mask_count;
  ptrdiff_t *mask;
  ptrdiff_t averaging; /* contrast frames to average, from the current one on; at least 1 */
  ptrdiff_t interval;
  double shift_rows, shift_columns; /* of the mask, downwards and to the right, in pixels */
};

/* A run of frames. `source` is the reader's own. */
struct willis_angiogram {
  enum willis_angiogram_kind kind;
  ptrdiff_t columns, rows, frame_count;
  int bits; /* of a stored value */
  enum willis_intensity intensity;
  bool is_dynamic; /* the C-arm moves during the run (PositionerMotion) */
  enum willis_increments increments;
  double base_primary_deg, base_secondary_deg; /* NaN when not said */
  double magnification;           /* EstimatedRadiographicMagnificationFactor, as above */
  double field_of_view_mm[2];     /* FieldOfViewDimensions of a rectangle, or NaN */
  struct willis_pose *pose;       /* frame_count of them */
  char patient_orientation[32];   /* (0020,0020) of the first frame; empty when not said */
  double field_rotation_deg;      /* (0018,7032) of the first frame, clockwise; as above */
  bool field_flipped;             /* (0018,7034) */
  struct willis_shutter *shutter; /* one, or frame_count of them when frames have their own */
  bool has_frame_shutters;
  ptrdiff_t subtraction_count;
  struct willis_subtraction *subtraction;
  uint64_t patient, study; /* only to be compared, 0 when not said */
  struct willis_angiogram_source *source;
};

/* XA, Enhanced XA, XRF and Secondary Capture, raw or compressed (RLE, JPEG, JPEG-LS, JPEG 2000,
 * deflated), 8 to 16 bits. The file's bytes stay in memory, frames are decoded when asked for.
 * Doubts about what is written go to `warnings`. IO, FORMAT, UNSUPPORTED. The caller closes it. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_angiogram_open(const char *path, struct willis_angiogram *angiogram,
                      const struct willis_warnings *warnings, struct willis_error *err);
WILLIS_API void willis_angiogram_close(struct willis_angiogram *angiogram);
/* Frame `frame` (0-based) into pixels[rows · columns], rescaled, and so that more is always more
 * X-rays: what is written the other way round is turned about the middle of its range. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_angiogram_read(const struct willis_angiogram *angiogram, ptrdiff_t frame, float *pixels,
                      struct willis_error *err);

/* The shutter of a frame (0-based). */
WILLIS_API const struct willis_shutter *
willis_angiogram_shutter(const struct willis_angiogram *angiogram, ptrdiff_t frame);

/* What the user says instead of the file; NaN (of an angle), 0 (of a length) where the file is to
 * be believed. */
struct willis_pose_override {
  double primary_angle_deg, secondary_angle_deg;
  double source_to_detector_mm, source_to_isocenter_mm;
  double pixel_spacing_mm;
  bool from_field_of_view; /* pixel spacing = field of view / matrix, if the file has no spacing */
  bool ignore_magnification; /* distances are right although the magnification says otherwise */
  enum willis_increments increments; /* OFFSETS or ON_ZERO (absolute) settle a doubt; else NONE */
};
WILLIS_API struct willis_pose_override willis_pose_override_none(void);
/* The cone-beam view of a frame. GEOMETRY for a number that is missing, impossible or contradicted,
 * with the option of `willis prepare` that gives it. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_angiogram_view(const struct willis_angiogram *angiogram, ptrdiff_t frame,
                      const struct willis_pose_override *override, struct willis_view *view,
                      struct willis_error *err);

enum willis_orientation {
  WILLIS_ORIENTATION_HEADER, /* what the file says; refused when it contradicts itself */
  WILLIS_ORIENTATION_PATIENT,
  WILLIS_ORIENTATION_FIELD_OF_VIEW,
  WILLIS_ORIENTATION_STORED /* upright, whatever the file says */
};
/* How the pictures of a run were laid down: from Patient Orientation and the angles of `view`, that
 * of the first frame (null: not known, and Patient Orientation is passed over), and from Field of
 * View Rotation and Flip. GEOMETRY, with the option of `willis prepare` that settles it, for what
 * is no direction, does not fit the angles, or contradicts itself. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_angiogram_turn(const struct willis_angiogram *angiogram, enum willis_orientation believe,
                      const struct willis_view *view, struct willis_turn *turn,
                      struct willis_error *err);

/* Views out of a file, for images of `columns` × `rows` that are kept elsewhere. A mirrored view is
 * that of its image with the columns reversed: seen from the source instead of from the detector.
 */
struct willis_view_list {
  ptrdiff_t count;
  bool upright; /* of upright images, as in a projection stack; else of images as they are stored */
  struct willis_view *view;
  bool *mirrored;
};
struct willis_view_file {
  ptrdiff_t columns, rows;
  double pixel_spacing_mm; /* at the detector; 0: not known, which the .json does not need */
};
/* By content: RTK's ThreeDCircularProjectionGeometry (XML; its frame is taken as IEC 61217 around a
 * patient on the back, head first, its images as centred on the detector's origin, rows along +v),
 * the .json of a projection stack, or text of 3×4 matrices, twelve numbers a view, that take
 * (x, y, z, 1), LPS mm from the isocenter, to (w·column, w·row, w). FORMAT, UNSUPPORTED, GEOMETRY
 * (impossible or contradictory numbers). The caller releases the list. */
WILLIS_API WILLIS_CHECKED enum willis_status willis_views_read(const char *path,
                                                               const struct willis_view_file *of,
                                                               struct willis_view_list *list,
                                                               struct willis_error *err);
WILLIS_API void willis_view_list_release(struct willis_view_list *list);

WILLIS_END

#endif
