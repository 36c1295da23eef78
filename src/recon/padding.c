/* Rows that end early, rows and planes that are not there. */
#include "recon/padding.h"

#include "base/error.h"
#include "base/memory.h"

#include <string.h>

ptrdiff_t willis_padding_edge(ptrdiff_t size) {
  return (size + WILLIS_PADDING_MULTIPLE - 1) / WILLIS_PADDING_MULTIPLE * WILLIS_PADDING_MULTIPLE;
}

void willis_padding_init(struct willis_padding *padding, ptrdiff_t size) {
  *padding = (struct willis_padding){.size = size, .edge = willis_padding_edge(size)};
}

void willis_padding_release(struct willis_padding *padding) {
  willis_release(padding->x);
  willis_release(padding->target);
  willis_release(padding->bits);
}

/* The border of `to` is zero already. */
static void copy_rows(const struct willis_padding *p, const float *from, float *to) {
  for (ptrdiff_t z = 0; z < p->size; z++)
    for (ptrdiff_t y = 0; y < p->size; y++)
      memcpy(to + (z * p->edge + y) * p->edge, from + (z * p->size + y) * p->size,
             (size_t)p->size * sizeof *to);
}

enum willis_status willis_padding_volumes(struct willis_padding *padding,
                                          const struct willis_pair *pair,
                                          struct willis_error *err) {
  const ptrdiff_t count = padding->edge * padding->edge * padding->edge;
  if (!padding->x) padding->x = willis_take_zeroed(count, sizeof *padding->x);
  if (!padding->target) padding->target = willis_take_zeroed(count, sizeof *padding->target);
  if (!padding->x || !padding->target)
    return willis_fail_memory(err, "padded volumes", 2 * count, sizeof(float));
  copy_rows(padding, pair->input->voxels, padding->x);
  copy_rows(padding, pair->truth->voxels, padding->target);
  return WILLIS_OK;
}

/* The planes that there are, close together at first, and then from the last row on moved to where
 * they belong. */
static enum willis_status read_padded(ptrdiff_t begin, ptrdiff_t end, float *planes, void *context,
                                      struct willis_error *err) {
  const struct willis_padding *p = context;
  const ptrdiff_t last = end < p->size ? end : p->size, rows = (end - begin) * p->edge;
  const ptrdiff_t there = last > begin ? last - begin : 0;
  if (there) {
    enum willis_status status = p->inner.read(begin, last, planes, p->inner.context, err);
    if (status) return status;
  }
  for (ptrdiff_t row = rows - 1; row >= 0; row--) {
    const ptrdiff_t z = row / p->edge, y = row % p->edge;
    const ptrdiff_t inside = z < there && y < p->size ? p->size : 0;
    float *to = planes + row * p->edge;
    if (inside) memmove(to, planes + (z * p->size + y) * p->size, (size_t)inside * sizeof *to);
    memset(to + inside, 0, (size_t)(p->edge - inside) * sizeof *to);
  }
  return WILLIS_OK;
}

enum willis_status willis_padding_planes(struct willis_padding *padding,
                                         const struct willis_planes_pair *pair,
                                         struct willis_plane_source *source,
                                         struct willis_error *err) {
  const ptrdiff_t size = padding->size, edge = padding->edge, bytes = edge * edge * edge / 8;
  if (!padding->bits) padding->bits = willis_take_zeroed(bytes, 1);
  if (!padding->bits) return willis_fail_memory(err, "a padded target", bytes, 1);
  memset(padding->bits, 0, (size_t)bytes);
  for (ptrdiff_t z = 0, from = 0; z < size; z++)
    for (ptrdiff_t y = 0; y < size; y++)
      for (ptrdiff_t x = 0; x < size; x++, from++) {
        const ptrdiff_t to = (z * edge + y) * edge + x;
        if (pair->truth[from / 8] >> from % 8 & 1) padding->bits[to / 8] |= (uint8_t)(1 << to % 8);
      }
  padding->inner = pair->input;
  *source = (struct willis_plane_source){read_padded, padding};
  return WILLIS_OK;
}
