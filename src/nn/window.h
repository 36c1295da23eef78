/* A window on the planes of a tensor that moves along z, so that the tensor never exists whole. */
#ifndef WILLIS_NN_WINDOW_H
#define WILLIS_NN_WINDOW_H

#include "base/memory.h"
#include "nn/tensor.h"

#include <stdint.h>
#include <string.h>

/* Planes first … end, the oldest at `data`. */
struct willis_window {
  struct willis_extent extent; /* of the whole tensor */
  ptrdiff_t plane;             /* values of a plane */
  ptrdiff_t step, room;        /* planes made at a time; planes that fit */
  ptrdiff_t first, end;
  float *data;
  uint8_t *bytes; /* one for each value, moving with it; may be null */
};

static inline struct willis_planes willis_window_planes(const struct willis_window *w) {
  return (struct willis_planes){w->data, w->first, w->end};
}

/* Where planes from w->end to `next` go; those before `begin` may be forgotten. The caller sets
 * w->end when they are there. */
static inline float *willis_window_advance(struct willis_window *w, ptrdiff_t begin,
                                           ptrdiff_t next) {
  if (next - w->first > w->room) {
    const size_t count = (size_t)((w->end - begin) * w->plane);
    memmove(w->data, w->data + (begin - w->first) * w->plane, count * sizeof *w->data);
    if (w->bytes) memmove(w->bytes, w->bytes + (begin - w->first) * w->plane, count);
    w->first = begin;
  }
  return w->data + (w->end - w->first) * w->plane;
}

#endif
