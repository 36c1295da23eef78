/* What training needs to know about a data set besides willis/train.h. */
#ifndef WILLIS_RECON_DATASET_H
#define WILLIS_RECON_DATASET_H

#include "recon/digest.h"
#include "volume/shape_change.h"

#include <willis/train.h>

/* SHA-256 of a patient's file; of a folder, of its files' digests in byte order. */
const unsigned char *willis_dataset_digest(const struct willis_dataset *dataset, ptrdiff_t i);
/* Adds the distances of cone beams; nothing for parallel ones. */
void willis_sampling_digest_beams(const struct willis_sampling *sampling,
                                  struct willis_digest *digest);
/* Adds the sampling and the files of the subset: what "the same data" means. */
void willis_subset_digest(const struct willis_subset *subset, struct willis_digest *digest);
ptrdiff_t willis_subset_count(const struct willis_subset *subset);

/* Patient i with its shape changed and voxelized again; a scan as it is. The input is null.
 * Borrowed until the next call with the data set, which keeps the shape from the first time on. */
WILLIS_CHECKED enum willis_status
willis_dataset_fetch_changed(struct willis_dataset *dataset, ptrdiff_t i,
                             const struct willis_shape_change *change, struct willis_pair *pair,
                             struct willis_error *err);

#endif
