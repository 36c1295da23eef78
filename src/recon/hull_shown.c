/* Truth and grey values go the same way, so that a target is what the pictures show. */
#include "recon/hull_shown.h"

#include <math.h>

/* Where planes lie, in parts of the cube. */
static const double first_plane = 0.35, last_plane = 0.65;
/* Of a coarser grid's voxel, from which on it is vessel: Otsu's threshold of grids of that size is
 * 0.35 to 0.39 of a full voxel (doc/beyond.md). */
static const double least_part = 0.36;

struct willis_shown willis_shown_pose(ptrdiff_t edge, ptrdiff_t number) {
  static const int order[6][3] = {{0, 1, 2}, {1, 0, 2}, {0, 2, 1}, {2, 1, 0}, {1, 2, 0}, {2, 0, 1}};
  struct willis_shown shown = {.edge = edge};
  for (int a = 0; a < 3; a++) {
    shown.from[a] = order[number / 8][a];
    shown.flipped[a] = number >> a & 1;
  }
  return shown;
}

ptrdiff_t willis_shown_source(const struct willis_shown *shown, ptrdiff_t index) {
  const ptrdiff_t n = shown->edge, place[3] = {index % n, index / n % n, index / n / n};
  ptrdiff_t was[3];
  for (int a = 0; a < 3; a++) was[shown->from[a]] = shown->flipped[a] ? n - 1 - place[a] : place[a];
  return (was[2] * n + was[1]) * n + was[0];
}

static bool is_off(const struct willis_shown *shown, ptrdiff_t index) {
  const ptrdiff_t n = shown->edge;
  const ptrdiff_t at = shown->axis == 0   ? index % n
                       : shown->axis == 1 ? index / n % n
                                          : index / n / n;
  return shown->cut && (at >= shown->plane) == shown->above;
}

float willis_shown_target(const struct willis_shown *shown, const struct willis_volume *truth,
                          ptrdiff_t index) {
  return is_off(shown, index) ? 0 : truth->voxels[willis_shown_source(shown, index)];
}

float willis_shown_target_on(const struct willis_shown *shown, const struct willis_volume *truth,
                             ptrdiff_t edge, ptrdiff_t index) {
  const ptrdiff_t n = shown->edge;
  ptrdiff_t times = 1, vessel = 0;
  while (edge * times < n) times *= 2;
  if (times == 1) return willis_shown_target(shown, truth, index);
  const ptrdiff_t x = index % edge * times, y = index / edge % edge * times;
  const ptrdiff_t z = index / edge / edge * times;
  for (ptrdiff_t k = z; k < z + times && k < n; k++)
    for (ptrdiff_t j = y; j < y + times && j < n; j++)
      for (ptrdiff_t i = x; i < x + times && i < n; i++)
        vessel += willis_shown_target(shown, truth, (k * n + j) * n + i) > 0;
  return (double)vessel >= least_part * (double)(times * times * times) ? 1 : 0;
}

void willis_shown_cut(struct willis_shown *shown, double place, const struct willis_volume *truth) {
  const ptrdiff_t n = shown->edge;
  const double six = place * 6;
  const double part = first_plane + (last_plane - first_plane) * (six - floor(six));
  shown->axis = (int)six / 2;
  shown->above = (int)six % 2;
  shown->plane = (ptrdiff_t)(part * (double)n);
  shown->cut = true;
  for (ptrdiff_t i = 0; i < n * n * n; i++)
    if (willis_shown_target(shown, truth, i) > 0) return;
  shown->cut = false;
}

enum willis_status willis_shown_volume(const struct willis_shown *shown,
                                       const struct willis_volume *volume,
                                       struct willis_volume *turned, struct willis_error *err) {
  enum willis_status status = willis_volume_create(turned, &volume->grid, err);
  if (status) return status;
  const ptrdiff_t n = shown->edge;
#pragma omp parallel for schedule(static)
  for (ptrdiff_t i = 0; i < n * n * n; i++) {
    const float value = volume->voxels[willis_shown_source(shown, i)];
    turned->voxels[i] = is_off(shown, i) ? fminf(value, 0) : value;
  }
  return WILLIS_OK;
}
