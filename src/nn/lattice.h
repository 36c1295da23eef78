/* Voxels that are there, as lists with tables of neighbours, and coarser lists above them: where a
 * sparse network lives. Level l has cells of 2^l voxels; a cell is there when one of its voxels is.
 * Rows of a level are its cells in ascending order of (z·H + y)·W + x. */
#ifndef WILLIS_NN_LATTICE_H
#define WILLIS_NN_LATTICE_H

#include "nn/sparse_conv.h"

#include <willis/error.h>

enum { WILLIS_LATTICE_LEVELS = 4, WILLIS_AROUND = 27, WILLIS_OCTANTS = 8 };

/* Taps in PyTorch's order of a kernel: z slowest, x fastest. */
struct willis_lattice_level {
  ptrdiff_t rows;
  struct willis_taps around;   /* 3³: a row's neighbours in its level, itself in the middle */
  struct willis_taps children; /* 2³ rows of the level below → this level; not in level 0 */
  struct willis_taps parents;  /* the one row of the level above, at the tap of its octant; not in
                                  the last level */
  int32_t *around_index, *children_index, *parents_index;
};

struct willis_lattice {
  struct willis_lattice_level level[WILLIS_LATTICE_LEVELS];
};

/* From the indices (z·H + y)·W + x of voxels of a grid `size` = {x, y, z}, ascending, each once; H
 * and W are those of the grid. The lattice must stay where it is: its tables point at each other.
 * INVALID_ARGUMENT (no voxel, a grid of 2^31 voxels or more, not ascending), OUT_OF_MEMORY; then
 * there is nothing to release. */
WILLIS_CHECKED enum willis_status willis_lattice_init(struct willis_lattice *lattice,
                                                      const ptrdiff_t size[3], ptrdiff_t count,
                                                      const int32_t *voxel,
                                                      struct willis_error *err);
/* The rows that the same voxels will have on each level, without the tables. As
 * willis_lattice_init(). */
WILLIS_CHECKED enum willis_status willis_lattice_count_rows(const ptrdiff_t size[3],
                                                            ptrdiff_t count, const int32_t *voxel,
                                                            ptrdiff_t rows[WILLIS_LATTICE_LEVELS],
                                                            struct willis_error *err);
/* The rows that `count` voxels have when a cell of the next level holds `crowd` of a level on
 * average: with `crowd` 1 the most that can be; hulls of vessels have 3 and more. */
void willis_lattice_most_rows(const ptrdiff_t size[3], ptrdiff_t count, int crowd,
                              ptrdiff_t rows[WILLIS_LATTICE_LEVELS]);
/* What a lattice of so many rows takes, its making included. */
size_t willis_lattice_bytes(const ptrdiff_t size[3], const ptrdiff_t rows[WILLIS_LATTICE_LEVELS]);
void willis_lattice_release(struct willis_lattice *lattice);

#endif
