/* 26-connected components of a mask, from its runs.
 *
 * A row of the mask becomes its runs of set voxels; runs that touch in the four neighbour rows
 * visited before are joined (union by lower number, path halving). Vessels are few, so this is one
 * pass over the voxels and next to nothing else. Memory: 32 bytes a run and 8 bytes a row; at most
 * 16 bytes a voxel for the worst mask (every other voxel set), 0.3 bytes a voxel for vessels. */
#include <willis/volume.h>

#include "base/error.h"
#include "base/memory.h"

#include <stdlib.h>

struct run {
  ptrdiff_t begin, end; /* voxels [begin, end) of the row */
  ptrdiff_t parent;     /* a run of the same component; roots are their own */
  ptrdiff_t voxels;     /* of the component, at its root */
};

struct runs {
  ptrdiff_t *row; /* run of row r: [row[r], row[r + 1]) */
  struct run *run;
  ptrdiff_t count;
};

static inline bool is_set(float v) {
  return v > 0.5f;
}

/* Counts the runs of a row, and writes them if `run` is given. */
static ptrdiff_t row_runs(const float *voxels, ptrdiff_t n, struct run *run) {
  ptrdiff_t count = 0;
  for (ptrdiff_t i = 0; i < n; i++) {
    if (!is_set(voxels[i])) continue;
    ptrdiff_t begin = i;
    while (i < n && is_set(voxels[i])) i++;
    if (run) run[count] = (struct run){.begin = begin, .end = i};
    count++;
  }
  return count;
}

static enum willis_status runs_init(struct runs *runs, const struct willis_volume *mask,
                                    struct willis_error *err) {
  const ptrdiff_t *n = mask->grid.size;
  ptrdiff_t rows = n[1] * n[2];
  *runs = (struct runs){0};
  runs->row = willis_take(rows + 1, sizeof *runs->row);
  if (!runs->row) return willis_fail_memory(err, "rows of a mask", rows + 1, sizeof *runs->row);
#pragma omp parallel for schedule(static)
  for (ptrdiff_t r = 0; r < rows; r++)
    runs->row[r + 1] = row_runs(mask->voxels + r * n[0], n[0], NULL);
  runs->row[0] = 0;
  for (ptrdiff_t r = 0; r < rows; r++) runs->row[r + 1] += runs->row[r];
  runs->count = runs->row[rows];
  runs->run = willis_take(runs->count, sizeof *runs->run);
  if (!runs->run) return willis_fail_memory(err, "runs of a mask", runs->count, sizeof *runs->run);
#pragma omp parallel for schedule(static)
  for (ptrdiff_t r = 0; r < rows; r++)
    row_runs(mask->voxels + r * n[0], n[0], runs->run + runs->row[r]);
  for (ptrdiff_t i = 0; i < runs->count; i++) {
    runs->run[i].parent = i;
    runs->run[i].voxels = 0;
  }
  return WILLIS_OK;
}

static void runs_release(struct runs *runs) {
  willis_release(runs->row);
  willis_release(runs->run);
}

static ptrdiff_t root_of(struct run *run, ptrdiff_t i) {
  while (run[i].parent != i) i = run[i].parent = run[run[i].parent].parent;
  return i;
}

static void join_rows(struct runs *runs, ptrdiff_t a, ptrdiff_t b) {
  struct run *run = runs->run;
  ptrdiff_t i = runs->row[a], j = runs->row[b];
  while (i < runs->row[a + 1] && j < runs->row[b + 1]) {
    /* 26-connected: touching at a corner counts. */
    if (run[i].begin <= run[j].end && run[j].begin <= run[i].end) {
      ptrdiff_t p = root_of(run, i), q = root_of(run, j);
      if (p < q)
        run[q].parent = p;
      else
        run[p].parent = q;
    }
    if (run[i].end < run[j].end)
      i++;
    else
      j++;
  }
}

static void join(struct runs *runs, const ptrdiff_t n[3]) {
  static const int before[4][2] = {{-1, 0}, {-1, -1}, {0, -1}, {1, -1}}; /* j, k */
  for (ptrdiff_t k = 0; k < n[2]; k++)
    for (ptrdiff_t j = 0; j < n[1]; j++)
      for (int b = 0; b < 4; b++) {
        ptrdiff_t other_j = j + before[b][0], other_k = k + before[b][1];
        if (other_j >= 0 && other_j < n[1] && other_k >= 0)
          join_rows(runs, k * n[1] + j, other_k * n[1] + other_j);
      }
  for (ptrdiff_t i = 0; i < runs->count; i++)
    runs->run[root_of(runs->run, i)].voxels += runs->run[i].end - runs->run[i].begin;
}

struct component {
  ptrdiff_t voxels, root;
};

/* Larger first; of equals the one that comes first in memory. */
static int by_size(const void *left, const void *right) {
  const struct component *a = left, *b = right;
  if (a->voxels != b->voxels) return a->voxels < b->voxels ? 1 : -1;
  return (a->root > b->root) - (a->root < b->root);
}

/* Sets voxels = 0 at the roots of components that are not to stay. */
static enum willis_status choose(struct runs *runs, ptrdiff_t keep_largest, ptrdiff_t min_voxels,
                                 ptrdiff_t *found, ptrdiff_t *kept, struct willis_error *err) {
  struct run *run = runs->run;
  ptrdiff_t count = 0, stay = 0;
  for (ptrdiff_t i = 0; i < runs->count; i++) count += run[i].parent == i;
  struct component *component = willis_take(count, sizeof *component);
  if (!component) return willis_fail_memory(err, "components", count, sizeof *component);
  count = 0;
  for (ptrdiff_t i = 0; i < runs->count; i++)
    if (run[i].parent == i) component[count++] = (struct component){run[i].voxels, i};
  qsort(component, (size_t)count, sizeof *component, by_size);
  while (stay < count && component[stay].voxels >= min_voxels &&
         (keep_largest == 0 || stay < keep_largest))
    stay++;
  for (ptrdiff_t c = stay; c < count; c++) run[component[c].root].voxels = 0;
  willis_release(component);
  *found = count;
  *kept = stay;
  return WILLIS_OK;
}

static void erase(struct willis_volume *mask, struct runs *runs) {
  const ptrdiff_t *n = mask->grid.size;
  for (ptrdiff_t r = 0; r < n[1] * n[2]; r++)
    for (ptrdiff_t i = runs->row[r]; i < runs->row[r + 1]; i++) {
      if (runs->run[root_of(runs->run, i)].voxels > 0) continue;
      float *row = mask->voxels + r * n[0];
      for (ptrdiff_t x = runs->run[i].begin; x < runs->run[i].end; x++) row[x] = 0;
    }
}

enum willis_status willis_mask_keep_components(struct willis_volume *mask, ptrdiff_t keep_largest,
                                               ptrdiff_t min_voxels, ptrdiff_t *found,
                                               ptrdiff_t *kept, struct willis_error *err) {
  struct runs runs = {0};
  ptrdiff_t unused[2];
  enum willis_status status = willis_grid_check(&mask->grid, "mask", err);
  if (status) return status;
  if (keep_largest < 0 || min_voxels < 0)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                       "keep the largest %td of at least %td voxels, expected numbers from 0",
                       keep_largest, min_voxels);
  status = runs_init(&runs, mask, err);
  if (status) goto out;
  join(&runs, mask->grid.size);
  status = choose(&runs, keep_largest, min_voxels, found ? found : unused, kept ? kept : unused + 1,
                  err);
  if (status) goto out;
  erase(mask, &runs);
out:
  runs_release(&runs);
  return status;
}
