/* What the files of `willis reconstruct` share. */
#ifndef WILLIS_CLI_RECONSTRUCT_H
#define WILLIS_CLI_RECONSTRUCT_H

#include "cli/prepare_options.h"

#include <limits.h>

enum reconstruct_option {
  MODEL = PREPARE_ROW_COUNT,
  MASK,
  MESH,
  THRESHOLD,
  KEEP_LARGEST,
  MIN_VOXELS,
  LIKE,
  SIZE,
  SPACING,
  MODELS,
  ANY_MODEL,
  MAX_MEMORY,
  AMBIGUITY
};

/* What one call makes. */
struct reconstruction {
  struct willis_projections stack;
  struct willis_grid grid;
  struct willis_network *network;
  struct willis_volume probability, mask;
  struct willis_mesh mesh;
  char model[PATH_MAX];
  struct willis_volume_writer *writer, *ambiguity_writer;
  double threshold;
  size_t memory; /* expected */
  ptrdiff_t voxels, found, kept;
};

/* Masks of the vessels of DICOM angiograms, for a network that was trained on projections of
 * vessels alone. 0, or an exit code after an error line. */
int read_angiograms(const struct call *call, struct willis_projections *masks);

typedef enum willis_status reconstruct_into(const struct call *call, struct reconstruction *r,
                                            const struct willis_reconstruct_options *options,
                                            struct willis_error *err);
/* The probability as a volume, mask and mesh as asked for, and all of their files. */
WILLIS_CHECKED reconstruct_into reconstruct_whole;
/* The probability alone, from slab to file. */
WILLIS_CHECKED reconstruct_into reconstruct_stream;
/* One of these, and the ambiguity beside it. */
WILLIS_CHECKED enum willis_status reconstruct_ambiguity(const struct call *call, const char *path,
                                                        struct reconstruction *r,
                                                        struct willis_reconstruct_options *options,
                                                        reconstruct_into *into,
                                                        struct willis_error *err);

#endif
