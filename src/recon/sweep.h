/* Overlap at every threshold at once, to choose one that is common to several patients. */
#ifndef WILLIS_RECON_SWEEP_H
#define WILLIS_RECON_SWEEP_H

#include <willis/volume.h>

#include <stdint.h>

enum { WILLIS_SWEEP_STEPS = 1000 };

/* Sums over the patients added so far; mask = value ≥ k / WILLIS_SWEEP_STEPS. */
struct willis_sweep {
  ptrdiff_t cases;
  double iou[WILLIS_SWEEP_STEPS + 1];
  double recall[WILLIS_SWEEP_STEPS + 1];
  double fraction[WILLIS_SWEEP_STEPS + 1]; /* of all voxels in the mask */
};

/* One patient's point on the sweep. */
struct willis_sweep_point {
  double threshold;
  double iou, recall, fraction; /* means over the patients */
};

/* A patient whose voxels come in pieces; zeroed at first. */
struct willis_sweep_case {
  ptrdiff_t count, positive;
  ptrdiff_t all[WILLIS_SWEEP_STEPS + 1], inside[WILLIS_SWEEP_STEPS + 1];
};
/* `count` voxels; truth: the bits from bit `first` on. */
void willis_sweep_count(struct willis_sweep_case *counts, ptrdiff_t count, const float *prediction,
                        const uint8_t *truth, ptrdiff_t first);
/* When all have come. */
void willis_sweep_add_case(struct willis_sweep *sweep, const struct willis_sweep_case *counts);
/* Adds a patient to a zeroed sweep. Values in [0,1]; truth is value > 0.5; same sizes. An empty
 * mask of an empty truth counts as 0. */
void willis_sweep_add(struct willis_sweep *sweep, const struct willis_volume *prediction,
                      const struct willis_volume *truth);
/* At the step nearest to `threshold`. */
struct willis_sweep_point willis_sweep_at(const struct willis_sweep *sweep, double threshold);
/* The highest mean IoU; of equal ones the lowest threshold. */
struct willis_sweep_point willis_sweep_best(const struct willis_sweep *sweep);
/* The highest threshold with a mean recall of at least `least`; the lowest one if there is none. */
struct willis_sweep_point willis_sweep_recall(const struct willis_sweep *sweep, double least);

#endif
