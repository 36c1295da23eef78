/* One view at a time: a list of the voxels on each ray, sorted by depth; what is near a voxel is a
 * piece of that list, whose sum is the difference of two running sums. */
#include "xray/hull_ambiguity.h"
#include "xray/hull_shadow.h"

#include "base/error.h"
#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TAPS = 4, SEEN = WILLIS_HULL_SET_SEEN, VOXEL = WILLIS_HULL_SET_VOXEL, CHUNK = 256 };
static const float near_voxels = 3, gap_voxels = 2, certain = 0.5f;
static const double reach = 0.9;

/* A voxel on a ray. */
struct entry {
  double before; /* sum of what counts in the list before it */
  float depth, weight;
  int32_t row, tap;
};

struct work {
  const struct willis_hull_set *set;
  const float *probability;
  float *depth, *counted;    /* [rows] along the beam in voxels; q */
  ptrdiff_t *begin;          /* [rays + 1] where the list of each ray begins */
  struct entry *entry;       /* the lists */
  float *near_sum, *far_sum; /* [rows][TAPS], times the voxel's own weight */
};

static int ascending(const void *a, const void *b) {
  const struct entry *x = a, *y = b;
  if (x->depth < y->depth) return -1;
  if (x->depth > y->depth) return 1;
  return (x->row > y->row) - (x->row < y->row);
}

/* φ backwards. */
static double pixel_of(float phi) {
  return exp2((double)phi) - 1;
}

/* Depth along the middle beam, and q. */
static void measure(struct work *w, const struct willis_projections *stack,
                    const struct willis_grid *grid, int v) {
  const struct willis_hull_set *set = w->set;
  const bool maxima = stack->mode != WILLIS_PROJECTION_SUM;
  double beam[3], right[3], down[3];
  willis_view_axes(&stack->view[v], beam, right, down);
#pragma omp parallel for schedule(static)
  for (ptrdiff_t i = 0; i < set->rows; i++) {
    double place[3], world[3], depth = 0;
    willis_place_of(grid, set->voxel[i], place);
    willis_grid_to_world(grid, place, world);
    for (int a = 0; a < 3; a++) depth += (world[a] - stack->isocenter_mm[a]) * beam[a];
    w->depth[i] = (float)(depth / grid->spacing_mm[0]);
    w->counted[i] = w->probability[i];
    if (maxima && pixel_of(set->about_voxel[i * VOXEL]) <
                      reach * pixel_of(set->seen[(v * set->rows + i) * SEEN]))
      w->counted[i] = 0;
  }
}

/* The lists of one view, in the order of the rows. */
static void list_rays(struct work *w, int v) {
  const struct willis_hull_set *set = w->set;
  const struct willis_ray_place *place = set->place + v * set->rows;
  memset(w->begin, 0, (size_t)(set->rays + 1) * sizeof *w->begin);
  for (ptrdiff_t i = 0; i < set->rows; i++) {
    const struct willis_ray_taps taps = willis_ray_taps(&place[i], set->pitch[v]);
    for (int t = 0; t < taps.count; t++) w->begin[taps.ray[t] + 1]++;
  }
  for (ptrdiff_t r = 0; r < set->rays; r++) w->begin[r + 1] += w->begin[r];
  for (ptrdiff_t i = 0; i < set->rows; i++) {
    const struct willis_ray_taps taps = willis_ray_taps(&place[i], set->pitch[v]);
    for (int t = 0; t < taps.count; t++)
      w->entry[w->begin[taps.ray[t]]++] = (struct entry){
          .depth = w->depth[i], .weight = taps.weight[t], .row = (int32_t)i, .tap = t};
  }
  /* Filling has moved every beginning to the next ray's. */
  for (ptrdiff_t r = set->rays; r > 0; r--) w->begin[r] = w->begin[r - 1];
  w->begin[0] = 0;
}

/* The last entry of the run of certain voxels that begins with entry k. */
static ptrdiff_t end_of_run(const struct work *w, const struct entry *e, ptrdiff_t n, ptrdiff_t k) {
  ptrdiff_t last = k;
  for (ptrdiff_t m = k + 1; m < n && e[m].depth - e[last].depth <= gap_voxels; m++)
    if (w->probability[e[m].row] >= certain) last = m;
  return last;
}

static void add_up_ray(struct work *w, struct entry *e, ptrdiff_t n) {
  double sum = 0;
  ptrdiff_t low = 0, high = 0, first = 0, last = -1; /* within reach; the run under way */
  qsort(e, (size_t)n, sizeof *e, ascending);
  for (ptrdiff_t k = 0; k < n; k++) {
    e[k].before = sum;
    sum += (double)e[k].weight * (double)w->counted[e[k].row];
  }
  for (ptrdiff_t k = 0; k < n; k++) {
    while (e[k].depth - e[low].depth > near_voxels) low++;
    while (high + 1 < n && e[high + 1].depth - e[k].depth <= near_voxels) high++;
    const bool in_run = w->probability[e[k].row] >= certain;
    if (in_run && k > last) {
      first = k;
      last = end_of_run(w, e, n, k);
    }
    const ptrdiff_t from = in_run && first < low ? first : low;
    const ptrdiff_t to = in_run && last > high ? last : high;
    const double before = e[from].before, until = to + 1 < n ? e[to + 1].before : sum;
    const ptrdiff_t slot = (ptrdiff_t)e[k].row * TAPS + e[k].tap;
    w->near_sum[slot] = (float)((double)e[k].weight * (until - before));
    w->far_sum[slot] = (float)((double)e[k].weight * (before + (sum - until)));
  }
}

/* The least over the views so far. */
static void take_least(const struct work *w, int v, float *ambiguity) {
  const struct willis_hull_set *set = w->set;
#pragma omp parallel for schedule(static)
  for (ptrdiff_t i = 0; i < set->rows; i++) {
    const struct willis_ray_taps taps =
        willis_ray_taps(&set->place[v * set->rows + i], set->pitch[v]);
    double near_sum = 0, far_sum = 0;
    for (int t = 0; t < taps.count; t++) {
      near_sum += (double)w->near_sum[i * TAPS + t];
      far_sum += (double)w->far_sum[i * TAPS + t];
    }
    const double all = near_sum + far_sum;
    if (taps.count && all > 0) ambiguity[i] = fminf(ambiguity[i], (float)(far_sum / all));
  }
}

static ptrdiff_t most_entries(const struct willis_hull_set *set) {
  ptrdiff_t most = 1;
  for (int v = 0; v < set->views; v++) {
    ptrdiff_t count = 0;
    for (ptrdiff_t i = 0; i < set->rows; i++)
      count += willis_ray_taps(&set->place[v * set->rows + i], set->pitch[v]).count;
    if (count > most) most = count;
  }
  return most;
}

enum willis_status willis_hull_ambiguity(const struct willis_hull_set *set,
                                         const struct willis_projections *stack,
                                         const struct willis_grid *grid, const float *probability,
                                         float *ambiguity, struct willis_error *err) {
  const ptrdiff_t rows = set->rows, rays = set->rays, entries = most_entries(set);
  struct work w = {.set = set, .probability = probability};
  enum willis_status status = WILLIS_OK;
  w.depth = willis_take(rows, sizeof *w.depth);
  w.counted = willis_take(rows, sizeof *w.counted);
  w.begin = willis_take(rays + 1, sizeof *w.begin);
  w.entry = willis_take(entries, sizeof *w.entry);
  w.near_sum = willis_take(rows * TAPS, sizeof *w.near_sum);
  w.far_sum = willis_take(rows * TAPS, sizeof *w.far_sum);
  if (!w.depth || !w.counted || !w.begin || !w.entry || !w.near_sum || !w.far_sum) {
    status = willis_fail_memory(err, "lists of rays", entries, sizeof *w.entry);
    goto out;
  }
  for (ptrdiff_t i = 0; i < rows; i++) ambiguity[i] = 1;
  for (int v = 0; v < set->views && rows; v++) {
    measure(&w, stack, grid, v);
    list_rays(&w, v);
#pragma omp parallel for schedule(dynamic, CHUNK)
    for (ptrdiff_t r = 0; r < rays; r++)
      add_up_ray(&w, w.entry + w.begin[r], w.begin[r + 1] - w.begin[r]);
    take_least(&w, v, ambiguity);
  }
out:
  willis_release(w.depth);
  willis_release(w.counted);
  willis_release(w.begin);
  willis_release(w.entry);
  willis_release(w.near_sum);
  willis_release(w.far_sum);
  return status;
}
