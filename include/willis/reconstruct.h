/* From a projection stack to a vessel probability (M5, M7) and to a mask; and which model fits. */
#ifndef WILLIS_RECONSTRUCT_H
#define WILLIS_RECONSTRUCT_H

#include <willis/geometry.h>
#include <willis/network.h>
#include <willis/progress.h>
#include <willis/volume.h>

WILLIS_BEGIN

/* What a model was trained for, out of its metadata (M7). */
struct willis_model_card {
  int views;
  double arc_deg;
  enum willis_projection_mode mode;
  ptrdiff_t size;
  double threshold; /* 0.5 when the file has none */
  char trained_on[128];
};
/* FORMAT when a key is missing or is no number in its range. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_model_describe(const struct willis_network *network, struct willis_model_card *card,
                      struct willis_error *err);
/* MISMATCH, with what was expected, unless the stack has the model's number of views, their angles
 * (within 1°) and its projection mode. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_model_check(const struct willis_model_card *card, const struct willis_projections *stack,
                   struct willis_error *err);

/* A model by path ("…/x.safetensors" or anything with a '/'), or by short name ("dae-10") in the
 * folders, searched in order. With a null name, the model in the folders that fits the stack; of
 * several, the one trained nearest to `size`, then the first in byte order. MISMATCH when none
 * fits, with the names of those there are. Folders that do not exist are skipped. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_model_find(const char *name, const char *const *folder, int folder_count,
                  const struct willis_projections *stack, ptrdiff_t size, char *path,
                  size_t path_size, struct willis_error *err);

struct willis_reconstruct_options {
  const struct willis_grid *grid; /* the output's; null: willis_projections_output_grid() */
  size_t max_memory;              /* bytes; 0: no limit. Refused before any work. */
  bool any_model;                 /* skip willis_model_check() */
};
/* Bytes that willis_reconstruct() needs for that grid, the result included. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_reconstruct_bytes(const struct willis_network *network, const struct willis_grid *grid,
                         size_t *bytes, struct willis_error *err);
/* Back-projects, normalises, infers. Edges that are no multiple of 8 are padded with zeros for the
 * network and cropped, which is a warning, as is a voxel edge count far from the model's. The
 * caller releases `probability`. MISMATCH, OUT_OF_MEMORY (also for max_memory), CANCELLED.
 * Views are of either kind; the grid lies in patient mm. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_reconstruct(const struct willis_projections *stack, const struct willis_network *network,
                   const struct willis_reconstruct_options *options,
                   const struct willis_progress *progress, const struct willis_warnings *warnings,
                   struct willis_volume *probability, struct willis_error *err);

WILLIS_END

#endif
