/* Grid around a shape, layers of samples to voxel values, tissue and noise. */
#include "volume/voxelize.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "base/random.h"

#include <math.h>
#include <omp.h>
#include <string.h>

static const double FULL = 1000; /* the value of a voxel that is all vessel */
enum { MOST_SIZE = 4096, CHUNK = 1 << 14, NOISE_STREAM = 0x6E6F6973 };

/* The head of `tissue`: an ellipsoid that touches the faces of the grid, soft tissue inside a
 * skull. As in a rotational angiogram the contrast agent outshines bone by far. The values leave
 * Otsu's threshold (M6) between skull and vessels for vessels of about 0.2 % of the voxels. */
static const double SOFT = 40, SKULL = 180;
static const double SKULL_INSIDE = 0.92, SKULL_OUTSIDE = 0.95; /* radii, 1 at the grid's faces */
static const double SKIN = 1.0;

struct willis_voxelize_options willis_voxelize_defaults(void) {
  return (struct willis_voxelize_options){.size = 128, .margin = 0.04, .min_radius_voxels = 0.75};
}

static enum willis_status check_options(const struct willis_voxelize_options *options,
                                        struct willis_error *err) {
  if (!options->grid && (options->size < 1 || options->size > MOST_SIZE))
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "size %td, expected 1 to %d", options->size,
                       MOST_SIZE);
  if (!(options->margin >= 0 && options->margin < 0.5))
    return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                       "margin %g, expected a fraction of the cube from 0 to under 0.5",
                       options->margin);
  if (!(options->min_radius_voxels >= 0) || !isfinite(options->min_radius_voxels))
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "least radius %g voxels, expected 0 or more",
                       options->min_radius_voxels);
  if (!(options->noise_sd >= 0) || !isfinite(options->noise_sd))
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "noise %g, expected 0 or more",
                       options->noise_sd);
  return WILLIS_OK;
}

enum willis_status willis_voxelize_grid(const struct willis_voxelize_options *options,
                                        const double low_mm[3], const double high_mm[3],
                                        struct willis_grid *grid, struct willis_error *err) {
  enum willis_status status = check_options(options, err);
  if (status) return status;
  if (options->grid) {
    *grid = *options->grid;
    for (int axis = 0; axis < 3; axis++)
      if (grid->size[axis] > MOST_SIZE)
        return willis_fail(err, WILLIS_INVALID_ARGUMENT, "size %td, expected at most %d",
                           grid->size[axis], MOST_SIZE);
    return willis_grid_check(grid, "grid", err);
  }
  double edge_mm = 0, centre_mm[3];
  for (int axis = 0; axis < 3; axis++) {
    edge_mm = fmax(edge_mm, high_mm[axis] - low_mm[axis]);
    centre_mm[axis] = low_mm[axis] + 0.5 * (high_mm[axis] - low_mm[axis]);
  }
  if (!(edge_mm > 0))
    return willis_fail(err, WILLIS_GEOMETRY, "the shape has no extent, expected one in mm");
  edge_mm /= 1 - 2 * options->margin;
  *grid = willis_grid_cube(options->size, edge_mm / (double)options->size, centre_mm);
  return willis_grid_check(grid, "grid around the shape", err);
}

/* A voxel's FINE bits never lie across two words. */
static void count_layer(const struct willis_layer *layer, struct willis_volume *volume) {
  const ptrdiff_t *n = volume->grid.size;
  const double unit = FULL / (WILLIS_FINE * WILLIS_FINE * WILLIS_FINE);
  for (ptrdiff_t j = 0; j < n[1]; j++) {
    float *row = volume->voxels + (layer->k * n[1] + j) * n[0];
    for (int c = 0; c < WILLIS_FINE; c++)
      for (int b = 0; b < WILLIS_FINE; b++) {
        const uint64_t *word = willis_layer_row(layer, j * WILLIS_FINE + b, c);
        for (ptrdiff_t w = 0; w < layer->words; w++) {
          if (!word[w]) continue;
          ptrdiff_t end = (w + 1) * (64 / WILLIS_FINE);
          for (ptrdiff_t i = w * (64 / WILLIS_FINE); i < end && i < n[0]; i++) {
            unsigned bits =
                (unsigned)(word[w] >> (i * WILLIS_FINE & 63)) & ((1u << WILLIS_FINE) - 1);
            row[i] += (float)__builtin_popcount(bits);
          }
        }
      }
    for (ptrdiff_t i = 0; i < n[0]; i++) row[i] = (float)(row[i] * unit);
  }
}

/* 1 well inside `radius`, 0 well outside, a ramp one voxel wide between. */
static double inside(double r, double radius, double voxel) {
  return fmin(1, fmax(0, 0.5 + (radius - r) / voxel));
}

struct finish {
  struct willis_volume *volume;
  const struct willis_voxelize_options *options;
};

static void add_tissue(ptrdiff_t begin, ptrdiff_t end, void *context) {
  struct willis_volume *volume = ((struct finish *)context)->volume;
  const ptrdiff_t *n = volume->grid.size;
  for (ptrdiff_t v = begin; v < end; v++) {
    ptrdiff_t index[3] = {v % n[0], v / n[0] % n[1], v / n[0] / n[1]};
    double r = 0, voxel = 0;
    for (int axis = 0; axis < 3; axis++) {
      double x = (2 * (double)index[axis] + 1) / (double)n[axis] - 1;
      r += x * x;
      voxel = fmax(voxel, 2 / (double)n[axis]);
    }
    r = sqrt(r);
    double bone = inside(r, SKULL_OUTSIDE, voxel) - inside(r, SKULL_INSIDE, voxel);
    double around = SOFT * inside(r, SKIN, voxel) + (SKULL - SOFT) * bone;
    double part = volume->voxels[v] / FULL;
    volume->voxels[v] = (float)(volume->voxels[v] + (1 - part) * around);
  }
}

static void add_noise(ptrdiff_t begin, ptrdiff_t end, void *context) {
  const struct finish *f = context;
  for (ptrdiff_t v = begin; v < end; v++)
    f->volume->voxels[v] +=
        (float)(f->options->noise_sd *
                willis_random_normal(f->options->seed, NOISE_STREAM, (uint64_t)v));
}

enum willis_status willis_voxelize_layers(const struct willis_voxelize_options *options,
                                          const struct willis_grid *grid, int layers,
                                          willis_layer_fill *fill, const void *shape,
                                          struct willis_volume *volume, struct willis_error *err) {
  struct willis_volume made;
  uint64_t *bits = NULL;
  enum willis_status status = willis_volume_create(&made, grid, err);
  if (status) return status;
  ptrdiff_t rows = grid->size[1] * WILLIS_FINE, words = (grid->size[0] * WILLIS_FINE + 63) / 64;
  ptrdiff_t layer_words = rows * words * WILLIS_FINE;
  int threads = willis_parallel_threads();
  bits = willis_take(layer_words * layers, (size_t)threads * sizeof *bits);
  if (!bits) {
    status = willis_fail_memory(err, "layers of samples", layer_words * layers,
                                (size_t)threads * sizeof *bits);
    goto out;
  }
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
  for (ptrdiff_t k = 0; k < grid->size[2]; k++) {
    struct willis_layer layer[3];
    uint64_t *mine = bits + layer_words * layers * omp_get_thread_num();
    memset(mine, 0, (size_t)(layer_words * layers) * sizeof *mine);
    for (int l = 0; l < layers; l++)
      layer[l] = (struct willis_layer){k, rows, words, mine + l * layer_words};
    fill(layer, shape);
    count_layer(layer, &made);
  }
  struct finish finish = {&made, options};
  ptrdiff_t count = willis_grid_count(grid);
  if (options->tissue) willis_parallel_for(count, CHUNK, add_tissue, &finish);
  if (options->noise_sd > 0) willis_parallel_for(count, CHUNK, add_noise, &finish);
  *volume = made;
out:
  willis_release(bits);
  if (status) willis_volume_release(&made);
  return status;
}
