/* From a projection stack to a vessel probability (M5, M7) and to a mask; and which model fits. */
#ifndef WILLIS_RECONSTRUCT_H
#define WILLIS_RECONSTRUCT_H

#include <willis/calibration.h>
#include <willis/geometry.h>
#include <willis/network.h>
#include <willis/progress.h>
#include <willis/volume.h>

WILLIS_BEGIN

/* What a model was trained for, out of its metadata (M7). */
struct willis_model_card {
  bool any_views; /* network "hull": of any number, arc and kind of beam; then `views` and `arc_deg`
                     are 0 */
  bool any_mode;
  int views;
  double arc_deg;
  double source_to_isocenter_mm;    /* of cone beams; 0: learned from parallel ones */
  enum willis_projection_mode mode; /* unless any_mode */
  ptrdiff_t size;
  double threshold; /* 0.5 when the file has none */
  struct willis_calibration calibration;
  char trained_on[128];
};
/* FORMAT when a key is missing or is not as it should be, UNSUPPORTED for a hull network that
 * learned from other inputs than this version shows. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_model_describe(const struct willis_network *network, struct willis_model_card *card,
                      struct willis_error *err);
/* Vessel from this probability on, in what the model makes of this stack. */
WILLIS_API double willis_model_threshold(const struct willis_model_card *card,
                                         const struct willis_projections *stack);
/* MISMATCH, with what was expected, unless the stack has the model's number of views, their angles
 * (within 1°) and its projection mode; a model of cone beams wants cone beams whose source is as
 * far away (within 10 %). One of parallel beams takes cones too (doc/results/solve.md tells how
 * well). */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_model_check(const struct willis_model_card *card, const struct willis_projections *stack,
                   struct willis_error *err);

/* A model by path ("…/x.safetensors" or anything with a '/'), or by short name ("dae-10") in the
 * folders, searched in order. With a null name, the model in the folders that fits the stack; of
 * several, the one trained nearest to `size`, then one for any views, then the first in byte order.
 * MISMATCH when none fits, with the names of those there are. Folders that do not exist are
 * skipped. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_model_find(const char *name, const char *const *folder, int folder_count,
                  const struct willis_projections *stack, ptrdiff_t size, char *path,
                  size_t path_size, struct willis_error *err);

struct willis_reconstruct_options {
  const struct willis_grid *grid; /* the output's; null: willis_projections_output_grid() */
  size_t max_memory;              /* bytes; 0: no limit. Refused before any work, but network "hull"
                                     also when a hull turns out larger than its plan */
  size_t held_memory;             /* what of max_memory the caller has taken already */
  bool any_model;                 /* skip willis_model_check() */
  /* Network "hull" (else UNSUPPORTED): where the slices of the ambiguity go, in [0,1], after those
   * of the probability; null: nowhere. 0 where some view shows a voxel alone or there is none of
   * the hull, towards 1 where in every view others could be what it shows (doc/beyond.md, H9). */
  const struct willis_plane_sink *ambiguity;
};

/* How many slices are worked on at a time, and the bytes that this takes, `held` included: of
 * network "hull" a guess, since only the hull tells how large it is. */
struct willis_reconstruct_plan {
  ptrdiff_t height;
  size_t bytes;
};
/* The fastest plan of willis_reconstruct_slabs() that stays within `most` bytes (0: no limit), of
 * which `held` are taken by others. OUT_OF_MEMORY, with the least that can be, when there is none.
 */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_reconstruct_plan(const struct willis_projections *stack,
                        const struct willis_network *network, const struct willis_grid *grid,
                        size_t held, size_t most, struct willis_reconstruct_plan *plan,
                        struct willis_error *err);

/* Back-projects, normalises, infers: slices of the probability go to the sink in order, and neither
 * they nor what the network sees exist whole. The range of the back-projection takes a pass of its
 * own. Edges that are no multiple of 8 are padded with zeros for the network and cropped, which is
 * a warning, as is a voxel edge count far from the model's. MISMATCH, OUT_OF_MEMORY (also for
 * max_memory), CANCELLED, and what the sink returns. Views are of either kind; the grid lies in
 * patient mm. */
WILLIS_API WILLIS_CHECKED enum willis_status willis_reconstruct_slabs(
    const struct willis_projections *stack, const struct willis_network *network,
    const struct willis_reconstruct_options *options, const struct willis_progress *progress,
    const struct willis_warnings *warnings, const struct willis_plane_sink *sink,
    struct willis_error *err);
/* The same into a volume, which counts against max_memory. The caller releases it. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_reconstruct(const struct willis_projections *stack, const struct willis_network *network,
                   const struct willis_reconstruct_options *options,
                   const struct willis_progress *progress, const struct willis_warnings *warnings,
                   struct willis_volume *probability, struct willis_error *err);

WILLIS_END

#endif
