/* A place between the rays of a view: what measuring (xray) and learning (nn) both know of rays. */
#ifndef WILLIS_BASE_RAY_PLACE_H
#define WILLIS_BASE_RAY_PLACE_H

#include <stdint.h>

/* Between ray `ray` and its next ones, `across` and `down` of the way to them (0 ≤ each < 1); ray
 * −1: not seen. Rays are numbered row by row. */
struct willis_ray_place {
  int32_t ray;
  float across, down;
};

/* The rays around a place and its linear weights, which add up to 1; none for what is not seen. */
struct willis_ray_taps {
  int count;
  int32_t ray[4];
  float weight[4];
};

/* `pitch`: rays in a row of them. */
static inline struct willis_ray_taps willis_ray_taps(const struct willis_ray_place *place,
                                                     int32_t pitch) {
  struct willis_ray_taps taps = {.count = 0};
  if (place->ray < 0) return taps;
  const float a = place->across, d = place->down;
  const float weight[4] = {(1 - a) * (1 - d), a * (1 - d), (1 - a) * d, a * d};
  const int32_t step[4] = {0, 1, pitch, pitch + 1};
  for (int t = 0; t < 4; t++) {
    if (!(weight[t] > 0)) continue;
    taps.ray[taps.count] = place->ray + step[t];
    taps.weight[taps.count++] = weight[t];
  }
  return taps;
}

/* Σ weight·value over the rays around a place that is seen, with the bits of a sum over its taps.
 */
static inline float willis_ray_read(const struct willis_ray_place *place, int32_t pitch,
                                    const float *value) {
  const float a = place->across, d = place->down, *on = value + place->ray;
  float sum = (1 - a) * (1 - d) * on[0];
  if (a > 0) sum += a * (1 - d) * on[1];
  if (!(d > 0)) return sum;
  sum += (1 - a) * d * on[pitch];
  return a > 0 ? sum + a * d * on[pitch + 1] : sum;
}

/* Its adjoint: adds weight·x to them. */
static inline void willis_ray_add(const struct willis_ray_place *place, int32_t pitch, float x,
                                  float *value) {
  const float a = place->across, d = place->down;
  float *on = value + place->ray;
  on[0] += (1 - a) * (1 - d) * x;
  if (a > 0) on[1] += a * (1 - d) * x;
  if (!(d > 0)) return;
  on[pitch] += (1 - a) * d * x;
  if (a > 0) on[pitch + 1] += a * d * x;
}

/* The one ray that a place is nearest to; −1 for what is not seen. */
static inline int32_t willis_ray_nearest(const struct willis_ray_place *place, int32_t pitch) {
  if (place->ray < 0) return -1;
  return place->ray + (place->across >= 0.5f) + (place->down >= 0.5f) * pitch;
}

#endif
