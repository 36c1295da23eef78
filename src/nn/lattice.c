/* A bitmap of the cells that are there and the number of set bits before each word answer "which
 * row is this cell" in two reads, at 1.5 bits a voxel. */
#include "nn/lattice.h"

#include "base/error.h"
#include "base/memory.h"

#include <string.h>

enum { WORD = 64, CHUNK = 1024 };

struct cells {
  ptrdiff_t size[3], count;
  int32_t *cell; /* [count], ascending */
  uint64_t *bits;
  int32_t *before; /* set bits before each word */
};

static void cells_release(struct cells *cells) {
  willis_release(cells->cell);
  willis_release(cells->bits);
  willis_release(cells->before);
  *cells = (struct cells){0};
}

static ptrdiff_t words_of(const ptrdiff_t size[3]) {
  return (size[0] * size[1] * size[2] + WORD - 1) / WORD;
}

/* Rows come out of the bitmap in order, whatever order the bits were set in. */
static enum willis_status cells_index(struct cells *cells, struct willis_error *err) {
  ptrdiff_t words = words_of(cells->size), count = 0;
  for (ptrdiff_t w = 0; w < words; w++) {
    cells->before[w] = (int32_t)count;
    count += __builtin_popcountll(cells->bits[w]);
  }
  cells->count = count;
  cells->cell = willis_take(count, sizeof *cells->cell);
  if (!cells->cell) return willis_fail_memory(err, "cells", count, sizeof *cells->cell);
  int32_t *to = cells->cell;
  for (ptrdiff_t w = 0; w < words; w++)
    for (uint64_t rest = cells->bits[w]; rest; rest &= rest - 1)
      *to++ = (int32_t)(w * WORD + __builtin_ctzll(rest));
  return WILLIS_OK;
}

static enum willis_status cells_create(struct cells *cells, const ptrdiff_t size[3],
                                       struct willis_error *err) {
  *cells = (struct cells){.size = {size[0], size[1], size[2]}};
  ptrdiff_t words = words_of(size);
  cells->bits = willis_take_zeroed(words, sizeof *cells->bits);
  cells->before = willis_take(words, sizeof *cells->before);
  if (cells->bits && cells->before) return WILLIS_OK;
  return willis_fail_memory(err, "a bitmap of cells", words, sizeof *cells->bits);
}

static void set_cell(struct cells *cells, ptrdiff_t at) {
  cells->bits[at / WORD] |= (uint64_t)1 << at % WORD;
}

static int32_t row_of(const struct cells *cells, ptrdiff_t x, ptrdiff_t y, ptrdiff_t z) {
  if (x < 0 || y < 0 || z < 0 || x >= cells->size[0] || y >= cells->size[1] || z >= cells->size[2])
    return -1;
  ptrdiff_t at = (z * cells->size[1] + y) * cells->size[0] + x;
  uint64_t word = cells->bits[at / WORD], bit = (uint64_t)1 << at % WORD;
  if (!(word & bit)) return -1;
  return cells->before[at / WORD] + __builtin_popcountll(word & (bit - 1));
}

static void place_of(const struct cells *cells, ptrdiff_t row, ptrdiff_t place[3]) {
  ptrdiff_t at = cells->cell[row];
  place[0] = at % cells->size[0];
  place[1] = at / cells->size[0] % cells->size[1];
  place[2] = at / cells->size[0] / cells->size[1];
}

static enum willis_status first_cells(struct cells *cells, const ptrdiff_t size[3], ptrdiff_t count,
                                      const int32_t *voxel, struct willis_error *err) {
  ptrdiff_t voxels = 0;
  if (!willis_multiply(size[0], size[1], &voxels) || !willis_multiply(voxels, size[2], &voxels) ||
      voxels < 1 || voxels > INT32_MAX)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                       "a lattice in %td×%td×%td voxels: expected 1 to 2^31 - 1 of them", size[0],
                       size[1], size[2]);
  if (count < 1)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "a lattice without a single voxel");
  for (ptrdiff_t i = 0; i < count; i++)
    if (voxel[i] < 0 || voxel[i] >= voxels || (i && voxel[i] <= voxel[i - 1]))
      return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                         "a lattice's voxel %td is %d: expected ascending below %td", i, voxel[i],
                         voxels);
  enum willis_status status = cells_create(cells, size, err);
  for (ptrdiff_t i = 0; i < count && !status; i++) set_cell(cells, voxel[i]);
  return status ? status : cells_index(cells, err);
}

static enum willis_status coarser_cells(struct cells *cells, const struct cells *fine,
                                        struct willis_error *err) {
  ptrdiff_t size[3], place[3];
  for (int a = 0; a < 3; a++) size[a] = (fine->size[a] + 1) / 2;
  enum willis_status status = cells_create(cells, size, err);
  for (ptrdiff_t i = 0; i < fine->count && !status; i++) {
    place_of(fine, i, place);
    set_cell(cells, (place[2] / 2 * size[1] + place[1] / 2) * size[0] + place[0] / 2);
  }
  return status ? status : cells_index(cells, err);
}

static enum willis_status link_around(struct willis_lattice_level *level, const struct cells *cells,
                                      struct willis_error *err) {
  level->rows = cells->count;
  int32_t *index = level->around_index =
      willis_take(cells->count, WILLIS_AROUND * sizeof *level->around_index);
  if (!index)
    return willis_fail_memory(err, "neighbours", cells->count, WILLIS_AROUND * sizeof *index);
#pragma omp parallel for schedule(static, CHUNK)
  for (ptrdiff_t i = 0; i < cells->count; i++) {
    ptrdiff_t place[3], tap = 0;
    place_of(cells, i, place);
    for (ptrdiff_t z = -1; z <= 1; z++)
      for (ptrdiff_t y = -1; y <= 1; y++)
        for (ptrdiff_t x = -1; x <= 1; x++, tap++)
          index[i * WILLIS_AROUND + tap] = row_of(cells, place[0] + x, place[1] + y, place[2] + z);
  }
  level->around =
      (struct willis_taps){cells->count, WILLIS_AROUND, index, &level->around, .mirrored = true};
  return WILLIS_OK;
}

static enum willis_status link_levels(struct willis_lattice_level *fine,
                                      struct willis_lattice_level *coarse,
                                      const struct cells *cells, const struct cells *above,
                                      struct willis_error *err) {
  const size_t row = WILLIS_OCTANTS * sizeof(int32_t);
  int32_t *children = coarse->children_index = willis_take(above->count, row);
  int32_t *parents = fine->parents_index = willis_take(cells->count, row);
  if (!children || !parents) return willis_fail_memory(err, "children", cells->count, row);
  memset(children, 0xff, (size_t)above->count * row);
  memset(parents, 0xff, (size_t)cells->count * row);
  for (ptrdiff_t i = 0; i < cells->count; i++) {
    ptrdiff_t place[3];
    place_of(cells, i, place);
    int32_t parent = row_of(above, place[0] / 2, place[1] / 2, place[2] / 2);
    ptrdiff_t octant = place[2] % 2 * 4 + place[1] % 2 * 2 + place[0] % 2;
    children[parent * WILLIS_OCTANTS + octant] = (int32_t)i;
    parents[i * WILLIS_OCTANTS + octant] = parent;
  }
  coarse->children =
      (struct willis_taps){above->count, WILLIS_OCTANTS, children, &fine->parents, false};
  fine->parents =
      (struct willis_taps){cells->count, WILLIS_OCTANTS, parents, &coarse->children, false};
  return WILLIS_OK;
}

enum willis_status willis_lattice_init(struct willis_lattice *lattice, const ptrdiff_t size[3],
                                       ptrdiff_t count, const int32_t *voxel,
                                       struct willis_error *err) {
  struct cells cells = {0}, above = {0};
  *lattice = (struct willis_lattice){0};
  enum willis_status status = first_cells(&cells, size, count, voxel, err);
  for (int l = 0; l < WILLIS_LATTICE_LEVELS && !status; l++) {
    struct willis_lattice_level *level = &lattice->level[l];
    status = link_around(level, &cells, err);
    if (status || l + 1 == WILLIS_LATTICE_LEVELS) break;
    status = coarser_cells(&above, &cells, err);
    if (!status) status = link_levels(level, level + 1, &cells, &above, err);
    cells_release(&cells);
    cells = above;
    above = (struct cells){0};
  }
  cells_release(&cells);
  cells_release(&above);
  if (status) willis_lattice_release(lattice);
  return status;
}

enum willis_status willis_lattice_count_rows(const ptrdiff_t size[3], ptrdiff_t count,
                                             const int32_t *voxel,
                                             ptrdiff_t rows[WILLIS_LATTICE_LEVELS],
                                             struct willis_error *err) {
  struct cells cells = {0}, above = {0};
  enum willis_status status = first_cells(&cells, size, count, voxel, err);
  for (int l = 0; l < WILLIS_LATTICE_LEVELS && !status; l++) {
    rows[l] = cells.count;
    if (l + 1 < WILLIS_LATTICE_LEVELS) status = coarser_cells(&above, &cells, err);
    cells_release(&cells);
    cells = above;
    above = (struct cells){0};
  }
  cells_release(&cells);
  cells_release(&above);
  return status;
}

void willis_lattice_most_rows(const ptrdiff_t size[3], ptrdiff_t count, int crowd,
                              ptrdiff_t rows[WILLIS_LATTICE_LEVELS]) {
  ptrdiff_t cells[3] = {size[0], size[1], size[2]};
  for (int l = 0; l < WILLIS_LATTICE_LEVELS; l++) {
    const ptrdiff_t all = cells[0] * cells[1] * cells[2];
    rows[l] = count < all ? count : all;
    count = (count + crowd - 1) / crowd;
    for (int a = 0; a < 3; a++) cells[a] = (cells[a] + 1) / 2;
  }
}

size_t willis_lattice_bytes(const ptrdiff_t size[3], const ptrdiff_t rows[WILLIS_LATTICE_LEVELS]) {
  const size_t word = sizeof(uint64_t) + sizeof(int32_t);
  size_t numbers = 0;
  for (int l = 0; l < WILLIS_LATTICE_LEVELS; l++)
    numbers += (size_t)rows[l] * (WILLIS_AROUND + (l > 0 ? WILLIS_OCTANTS : 0) +
                                  (l + 1 < WILLIS_LATTICE_LEVELS ? WILLIS_OCTANTS : 0));
  /* The bitmaps of two levels with their lists. */
  numbers += (size_t)(rows[0] + rows[1]);
  return numbers * sizeof(int32_t) + 2 * (size_t)words_of(size) * word;
}

void willis_lattice_release(struct willis_lattice *lattice) {
  for (int l = 0; l < WILLIS_LATTICE_LEVELS; l++) {
    willis_release(lattice->level[l].around_index);
    willis_release(lattice->level[l].children_index);
    willis_release(lattice->level[l].parents_index);
  }
  *lattice = (struct willis_lattice){0};
}
