/* Only rays near a voxel's shadow are followed. A sample asks for its voxels line by line: where
 * the voxels of every line of the grid begin in the list is known. */
#include "xray/hull_samples.h"
#include "xray/hull_shadow.h"
#include "xray/rays.h"
#include "xray/view_map.h"

#include "base/error.h"
#include "base/memory.h"

#include <math.h>
#include <string.h>

/* Samples for each voxel that there is room for; lists of vessels have 1.4. */
enum { BESIDE = 3 };
/* What is nearer to a voxel is on it. */
static const double hair = 1e-6;

/* The list by lines along x: those of line (y,z) are first[z·ny + y] … next − 1. */
struct lines {
  const struct willis_hull_set *set;
  ptrdiff_t size[3];
  int32_t *first;
};

/* Four voxels of a plane: from `base` one step along the axes `across` and `along`. */
struct cell {
  ptrdiff_t base[3];
  int across, along;
  double fraction[2];
};

/* How the rays of a view are sampled. */
struct sampler {
  bool raster; /* at the samples of the projector of slices */
  struct willis_view_map slices;
  struct willis_ray_map planes;
};

/* A ray with its samples first … last. */
struct ray {
  double start[3], step[3];
  int axis; /* whose planes it is sampled at */
  ptrdiff_t first, last;
};

/* ---- the list ---- */

static enum willis_status lines_init(struct lines *lines, const struct willis_hull_set *set,
                                     const struct willis_grid *grid, struct willis_error *err) {
  const ptrdiff_t count = grid->size[1] * grid->size[2];
  *lines = (struct lines){.set = set, .first = willis_take(count + 1, sizeof *lines->first)};
  memcpy(lines->size, grid->size, sizeof lines->size);
  if (!lines->first) return willis_fail_memory(err, "lines", count + 1, sizeof *lines->first);
  ptrdiff_t row = 0;
  for (ptrdiff_t l = 0; l <= count; l++) {
    while (row < set->rows && set->voxel[row] < l * grid->size[0]) row++;
    lines->first[l] = (int32_t)row;
  }
  return WILLIS_OK;
}

/* The row of a voxel, `rows` when it is not listed. */
static int32_t find(const struct lines *lines, const ptrdiff_t at[3]) {
  const int32_t nothing = (int32_t)lines->set->rows;
  for (int a = 0; a < 3; a++)
    if (at[a] < 0 || at[a] >= lines->size[a]) return nothing;
  const ptrdiff_t line = at[2] * lines->size[1] + at[1];
  const int32_t wanted = (int32_t)(line * lines->size[0] + at[0]), *voxel = lines->set->voxel;
  int32_t low = lines->first[line], high = lines->first[line + 1];
  const int32_t end = high;
  while (low < high) {
    const int32_t middle = low + (high - low) / 2;
    if (voxel[middle] < wanted)
      low = middle + 1;
    else
      high = middle;
  }
  return low < end && voxel[low] == wanted ? low : nothing;
}

/* ---- rays ---- */

static struct sampler sampler_of(const struct willis_projections *stack,
                                 const struct willis_grid *grid, int v) {
  struct sampler s = {.raster = false};
  if (stack->view[v].kind == WILLIS_VIEW_PARALLEL && willis_grid_is_lps_cube(grid)) {
    willis_view_map_init(&s.slices, &stack->view[v], stack->isocenter_mm, stack->columns,
                         stack->rows, grid);
    s.raster = s.slices.planar;
  }
  if (!s.raster) willis_ray_map_init(&s.planes, &stack->view[v], stack->isocenter_mm, grid);
  return s;
}

static struct ray ray_of(const struct sampler *s, ptrdiff_t size, double column, double row) {
  struct ray ray = {.axis = 2};
  if (s->raster) {
    for (int a = 0; a < 3; a++) {
      ray.start[a] =
          s->slices.start[a] + column * s->slices.along_column[a] + row * s->slices.along_row[a];
      ray.step[a] = s->slices.along_ray[a];
    }
    ray.start[2] = round(ray.start[2]);
    ray.step[2] = 0;
    willis_view_map_range(&s->slices, size, column, row, &ray.first, &ray.last);
    return ray;
  }
  double beam[3], most = 0;
  for (int a = 0; a < 3; a++) {
    ray.start[a] = willis_ray_at(s->planes.start[a], column, row);
    beam[a] = willis_ray_at(s->planes.beam[a], column, row);
    if (fabs(beam[a]) > most) most = fabs(beam[a]), ray.axis = a;
  }
  const double t0 = -ray.start[ray.axis] / beam[ray.axis];
  for (int a = 0; a < 3; a++) {
    ray.step[a] = beam[a] / beam[ray.axis];
    ray.start[a] += t0 * beam[a];
  }
  ray.start[ray.axis] = 0;
  ray.step[ray.axis] = 1;
  ray.first = 0;
  ray.last = s->planes.size[ray.axis] - 1;
  return ray;
}

/* How far it is from one sample to the next, in voxels. */
static double step_of(const struct sampler *s, const struct ray *ray, ptrdiff_t column,
                      ptrdiff_t row) {
  if (s->raster) return 1;
  return willis_ray_step_mm(&s->planes, ray->axis, (double)column, (double)row) /
         s->planes.spacing_mm[0];
}

static struct cell cell_at(const struct ray *ray, ptrdiff_t t) {
  struct cell cell = {.across = (ray->axis + 1) % 3, .along = (ray->axis + 2) % 3};
  const int axis[2] = {cell.across, cell.along};
  cell.base[ray->axis] = (ptrdiff_t)round(ray->start[ray->axis] + (double)t * ray->step[ray->axis]);
  for (int k = 0; k < 2; k++) {
    const double x = ray->start[axis[k]] + (double)t * ray->step[axis[k]], low = floor(x + hair);
    cell.base[axis[k]] = (ptrdiff_t)low;
    cell.fraction[k] = x - low < hair ? 0 : x - low;
  }
  return cell;
}

/* False when it is beside no listed voxel. */
static bool sample_of(const struct lines *lines, const struct cell *cell,
                      struct willis_hull_sample *sample) {
  const int32_t nothing = (int32_t)lines->set->rows;
  bool any = false;
  *sample = (struct willis_hull_sample){.across = (float)cell->fraction[0],
                                        .along = (float)cell->fraction[1]};
  for (int corner = 0; corner < 4; corner++) {
    ptrdiff_t at[3] = {cell->base[0], cell->base[1], cell->base[2]};
    at[cell->across] += corner & 1;
    at[cell->along] += corner >> 1;
    const bool touched =
        !((corner & 1) && !(cell->fraction[0] > 0)) && !((corner & 2) && !(cell->fraction[1] > 0));
    sample->row[corner] = touched ? find(lines, at) : nothing;
    any |= sample->row[corner] != nothing;
  }
  return any;
}

/* ---- which rays ---- */

static ptrdiff_t bound(double x, ptrdiff_t count) {
  return (ptrdiff_t)fmin(fmax(x, 0), (double)count);
}

/* Marks the pixels that may have a sample beside a voxel. */
static void mark(const struct willis_hull_set *set, const struct willis_projections *stack,
                 const struct willis_grid *grid, int v, bool raster, uint8_t *wanted) {
  static const double reach = 2; /* voxels; a cell's diagonal, with room for near the source */
  struct willis_shadow shadow;
  willis_shadow_init(&shadow, stack, v, grid);
  const double wide = reach * shadow.voxel_columns, high = raster ? 0 : reach * shadow.voxel_rows;
  for (ptrdiff_t i = 0; i < set->rows; i++) {
    double place[3], column, row;
    willis_place_of(grid, set->voxel[i], place);
    if (!willis_shadow_falls_on(&shadow, stack, place, &column, &row)) continue;
    const ptrdiff_t left = bound(floor(column - wide), stack->columns - 1),
                    right = bound(ceil(column + wide), stack->columns - 1),
                    above = bound(floor(row + hair - high), stack->rows - 1),
                    below = bound(ceil(row - hair + high), stack->rows - 1);
    for (ptrdiff_t r = above; r <= below; r++)
      memset(wanted + r * stack->columns + left, 1, (size_t)(right - left + 1));
  }
}

/* Every so many pixels a ray is followed. */
struct raster {
  ptrdiff_t across, down, rays;
};

static struct raster raster_of(const struct sampler *sampler,
                               const struct willis_projections *stack,
                               const struct willis_grid *grid, int v) {
  static const double finer = 0.25; /* than a voxel rays may lie */
  struct willis_shadow shadow;
  willis_shadow_init(&shadow, stack, v, grid);
  struct raster r = {(ptrdiff_t)fmax(ceil(shadow.voxel_columns - finer), 1),
                     (ptrdiff_t)fmax(ceil(shadow.voxel_rows - finer), 1), 0};
  if (sampler->raster) r.down = 1;
  r.rays = ((stack->columns - 1) / r.across + 1) * ((stack->rows - 1) / r.down + 1);
  return r;
}

/* ---- samples ---- */

/* All of a ray, or nothing where there is no more room. */
static void follow(struct willis_hull_samples *to, ptrdiff_t room, const struct lines *lines,
                   const struct ray *ray, float pixel) {
  const ptrdiff_t before = to->count;
  for (ptrdiff_t t = ray->first; t <= ray->last; t++) {
    struct willis_hull_sample sample;
    const struct cell cell = cell_at(ray, t);
    if (!sample_of(lines, &cell, &sample)) continue;
    if (to->count == room) {
      to->count = before;
      return;
    }
    to->sample[to->count++] = sample;
  }
  if (to->count == before) return;
  to->pixel[to->rays++] = pixel;
  to->first[to->rays] = to->count;
}

enum willis_status willis_hull_samples_init(struct willis_hull_samples *samples,
                                            const struct willis_hull_set *set,
                                            const struct willis_projections *stack,
                                            const struct willis_grid *grid, int v,
                                            struct willis_error *err) {
  const ptrdiff_t pixels = stack->columns * stack->rows, room = set->rows * BESIDE;
  const float *image = stack->pixels + v * pixels;
  const struct sampler sampler = sampler_of(stack, grid, v);
  const struct raster raster = raster_of(&sampler, stack, grid, v);
  struct lines lines;
  *samples = (struct willis_hull_samples){
      .pixel = willis_take(raster.rays, sizeof *samples->pixel),
      .first = willis_take_zeroed(raster.rays + 1, sizeof *samples->first),
      .sample = willis_take(room, sizeof *samples->sample)};
  uint8_t *wanted = willis_take_zeroed(pixels, sizeof *wanted);
  enum willis_status status = lines_init(&lines, set, grid, err);
  if (!status && !(samples->pixel && samples->first && samples->sample && wanted))
    status = willis_fail_memory(err, "the samples of a view", room, sizeof *samples->sample);
  if (!status) mark(set, stack, grid, v, sampler.raster, wanted);
  for (ptrdiff_t r = 0; r < stack->rows && !status; r += raster.down)
    for (ptrdiff_t c = 0; c < stack->columns; c += raster.across) {
      const ptrdiff_t p = r * stack->columns + c;
      if (!wanted[p] || !willis_shutter_shows(&stack->view[v].shutter, (double)c, (double)r, 0))
        continue;
      const struct ray ray = ray_of(&sampler, grid->size[0], (double)c, (double)r);
      const double apart = stack->mode == WILLIS_PROJECTION_SUM ? step_of(&sampler, &ray, c, r) : 1;
      follow(samples, room, &lines, &ray, (float)((double)image[p] / set->unit / apart));
    }
  willis_release(wanted);
  willis_release(lines.first);
  if (status) willis_hull_samples_release(samples);
  return status;
}

void willis_hull_samples_release(struct willis_hull_samples *samples) {
  willis_release(samples->pixel);
  willis_release(samples->first);
  willis_release(samples->sample);
  *samples = (struct willis_hull_samples){0};
}

size_t willis_hull_samples_bytes(ptrdiff_t rows, ptrdiff_t rays, int views) {
  /* Of a picture up to four times as fine, of which up to twice as many rays are followed. */
  const size_t of_ray = 2 * (sizeof(float) + sizeof(ptrdiff_t)) + 16 * sizeof(uint8_t);
  return (size_t)views *
         ((size_t)rows * BESIDE * sizeof(struct willis_hull_sample) + (size_t)rays * of_ray);
}
