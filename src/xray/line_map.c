#include "xray/line_map.h"

#include "base/error.h"
#include "base/memory.h"
#include "volume/thinning.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

enum { NEIGHBOURS = 4 }; /* pixels to each side that say which way a line runs */

void willis_line_map_release(struct willis_line_map *map) {
  willis_release(map->place);
  willis_release(map->normal);
  willis_release(map->nearest);
  *map = (struct willis_line_map){0};
}

/* The line through the line pixels around one: its normal is the direction of least spread. */
static void fit(struct willis_line_map *map, const unsigned char *line, ptrdiff_t at,
                ptrdiff_t index) {
  const ptrdiff_t column = at % map->columns, row = at / map->columns;
  double sum[5] = {0}, count = 0;
  for (ptrdiff_t r = row - NEIGHBOURS; r <= row + NEIGHBOURS; r++)
    for (ptrdiff_t c = column - NEIGHBOURS; c <= column + NEIGHBOURS; c++) {
      if (c < 0 || r < 0 || c >= map->columns || r >= map->rows) continue;
      if (!line[r * map->columns + c]) continue;
      const double x = (double)(c - column), y = (double)(r - row);
      if (x * x + y * y > NEIGHBOURS * NEIGHBOURS) continue;
      const double add[5] = {x, y, x * x, x * y, y * y};
      for (int k = 0; k < 5; k++) sum[k] += add[k];
      count++;
    }
  for (int k = 0; k < 5; k++) sum[k] /= count;
  const double xx = sum[2] - sum[0] * sum[0], xy = sum[3] - sum[0] * sum[1];
  const double yy = sum[4] - sum[1] * sum[1];
  const double along = 0.5 * atan2(2 * xy, xx - yy);
  const double normal[2] = {-sin(along), cos(along)};
  const double off = sum[0] * normal[0] + sum[1] * normal[1];
  for (int k = 0; k < 2; k++) {
    map->normal[index][k] = normal[k];
    map->place[index][k] = (double)(k ? row : column) + off * normal[k];
  }
}

/* The nearest line pixel of the same row, for every pixel. */
static void nearest_in_row(const struct willis_line_map *map, const ptrdiff_t *own, ptrdiff_t *to) {
  for (ptrdiff_t c = 0, last = -1; c < map->columns; c++) {
    if (own[c] >= 0) last = c;
    to[c] = last;
  }
  for (ptrdiff_t c = map->columns - 1, next = -1; c >= 0; c--) {
    if (own[c] >= 0) next = c;
    if (next >= 0 && (to[c] < 0 || next - c < c - to[c])) to[c] = next;
  }
}

/* Of the rows' nearest, the nearest: rows further away than the best so far need not be looked at.
 */
static void nearest_of_rows(const struct willis_line_map *map, const ptrdiff_t *own,
                            const ptrdiff_t *in_row) {
  const ptrdiff_t columns = map->columns, rows = map->rows;
#pragma omp parallel for schedule(static, 8)
  for (ptrdiff_t i = 0; i < columns * rows; i++) {
    const ptrdiff_t c = i % columns, r = i / columns;
    ptrdiff_t least = PTRDIFF_MAX, best = -1;
    for (ptrdiff_t k = 0; k < rows && k * k < least; k++)
      for (int side = 0; side < 2; side++) {
        const ptrdiff_t at = side ? r + k : r - k;
        if (at < 0 || at >= rows || in_row[at * columns + c] < 0) continue;
        const ptrdiff_t across = in_row[at * columns + c] - c, squared = across * across + k * k;
        if (squared < least) {
          least = squared;
          best = own[at * columns + in_row[at * columns + c]];
        }
      }
    map->nearest[i] = best;
  }
}

enum willis_status willis_line_map_create(const float *picture, ptrdiff_t columns, ptrdiff_t rows,
                                          struct willis_line_map *map, struct willis_error *err) {
  const ptrdiff_t count = columns * rows, size[3] = {columns, rows, 1};
  unsigned char *line = willis_take(count, sizeof *line);
  ptrdiff_t *own = willis_take(count, sizeof *own), *in_row = willis_take(count, sizeof *in_row);
  *map = (struct willis_line_map){.columns = columns, .rows = rows};
  map->nearest = willis_take(count, sizeof *map->nearest);
  enum willis_status status = WILLIS_OK;
  if (!line || !own || !in_row || !map->nearest)
    status = willis_fail_memory(err, "centre lines", count, 3 * sizeof *own);
  for (ptrdiff_t i = 0; i < count && !status; i++) line[i] = picture[i] >= 0.5f;
  if (!status) status = willis_mask_thin(line, size, err);
  if (status) goto out;
  for (ptrdiff_t i = 0; i < count; i++) own[i] = line[i] ? map->count++ : -1;
  map->place = willis_take(map->count + 1, sizeof *map->place);
  map->normal = willis_take(map->count + 1, sizeof *map->normal);
  if (!map->place || !map->normal) {
    status = willis_fail_memory(err, "centre lines", map->count + 1, sizeof *map->place);
    goto out;
  }
  for (ptrdiff_t i = 0; i < count; i++)
    if (own[i] >= 0) fit(map, line, i, own[i]);
  for (ptrdiff_t r = 0; r < rows; r++) nearest_in_row(map, own + r * columns, in_row + r * columns);
  nearest_of_rows(map, own, in_row);
out:
  willis_release(line);
  willis_release(own);
  willis_release(in_row);
  if (status) willis_line_map_release(map);
  return status;
}
