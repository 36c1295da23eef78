/* CPU and wall seconds of surfaces and scores: surface [SIZE [REPEATS]]
 *
 * On a phantom's vessels, medians of the repeats. `surface SIZE - FILE` is for
 * bench/surface_peers.py: it writes the volume (float32, x fastest) to FILE, then for every name
 * that comes on stdin runs that row once and answers with its CPU and wall seconds, so that two
 * programs can take turns. */
#define _GNU_SOURCE
#include <willis/metrics.h>
#include <willis/surface.h>

#include "base/memory.h"
#include "volume/distance_transform.h"
#include "volume/thinning.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { MOST_REPEATS = 99, SMOOTHING_ROUNDS = 10 };
static const double LEVEL = 500, FRACTION = 0.1;

static void stop_on(enum willis_status status, const struct willis_error *err) {
  if (!status) return;
  fprintf(stderr, "surface: %s\n", err->message);
  exit(1);
}

struct bench {
  struct willis_volume volume, truth, prediction; /* values to 1000; masks, one voxel apart in x */
  struct willis_volume integers;                  /* the volume, rounded */
  struct willis_mesh mesh;                        /* the volume's; rows that change it get a copy */
  struct willis_mesh copy;
  unsigned char *mask;
  double *squared_mm2;
};

static enum willis_status isosurface(struct bench *b, struct willis_error *err) {
  return willis_isosurface(&b->volume, LEVEL, &b->copy, err);
}

static enum willis_status otsu(struct bench *b, struct willis_error *err) {
  double threshold;
  return willis_volume_otsu(&b->volume, &threshold, err);
}

static enum willis_status otsu_integers(struct bench *b, struct willis_error *err) {
  double threshold;
  return willis_volume_otsu(&b->integers, &threshold, err);
}

static enum willis_status measure(struct bench *b, struct willis_error *err) {
  struct willis_mesh_measure m;
  return willis_mesh_measure(&b->mesh, &m, err);
}

static enum willis_status smooth(struct bench *b, struct willis_error *err) {
  return willis_mesh_smooth(&b->copy, SMOOTHING_ROUNDS, err);
}

static enum willis_status simplify(struct bench *b, struct willis_error *err) {
  return willis_mesh_simplify(&b->copy, FRACTION, err);
}

static enum willis_status distances(struct bench *b, struct willis_error *err) {
  const struct willis_grid *grid = &b->truth.grid;
  return willis_distance_transform(b->mask, grid->size, grid->spacing_mm, b->squared_mm2, err);
}

static enum willis_status thin(struct bench *b, struct willis_error *err) {
  return willis_mask_thin(b->mask, b->truth.grid.size, err);
}

static enum willis_status overlap(struct bench *b, struct willis_error *err) {
  struct willis_scores scores;
  return willis_scores_overlap(&b->prediction, &b->truth, 0.5, &scores, err);
}

static enum willis_status scores(struct bench *b, struct willis_error *err) {
  struct willis_scores all;
  return willis_scores_compute(&b->prediction, &b->truth, 0.5, &all, err);
}

static const struct {
  const char *name;
  enum willis_status (*run)(struct bench *, struct willis_error *);
  bool edits_mesh;
} rows[] = {{"otsu", otsu, false},
            {"otsu_integers", otsu_integers, false},
            {"isosurface", isosurface, false},
            {"measure", measure, false},
            {"smooth", smooth, true},
            {"simplify", simplify, true},
            {"distances", distances, false},
            {"thin", thin, false},
            {"overlap", overlap, false},
            {"scores", scores, false}};
enum { ROWS = sizeof rows / sizeof rows[0] };

static void prepare(struct bench *b, ptrdiff_t n) {
  struct willis_error err;
  struct willis_tree tree;
  struct willis_voxelize_options options = willis_voxelize_defaults();
  options.size = n;
  stop_on(willis_tree_phantom(1, &tree, &err), &err);
  stop_on(willis_tree_voxelize(&tree, &options, NULL, &b->volume, &err), &err);
  stop_on(willis_tree_voxelize(&tree, &options, NULL, &b->integers, &err), &err);
  for (ptrdiff_t v = 0; v < n * n * n; v++) b->integers.voxels[v] = rintf(b->integers.voxels[v]);
  b->integers.integral = true;
  willis_tree_release(&tree);
  stop_on(willis_volume_threshold(&b->volume, LEVEL, true, &b->truth, &err), &err);
  stop_on(willis_volume_threshold(&b->volume, LEVEL, true, &b->prediction, &err), &err);
  memmove(b->prediction.voxels + 1, b->prediction.voxels,
          (size_t)(n * n * n - 1) * sizeof *b->prediction.voxels);
  stop_on(willis_isosurface(&b->volume, LEVEL, &b->mesh, &err), &err);
  b->mask = willis_take(n * n * n, 1);
  b->squared_mm2 = willis_take(n * n * n, sizeof *b->squared_mm2);
  if (!b->mask || !b->squared_mm2) stop_on(WILLIS_OUT_OF_MEMORY, &(struct willis_error){0});
}

static void copy_mesh(struct bench *b) {
  size_t corners = 3 * (size_t)b->mesh.triangle_count, places = 3 * (size_t)b->mesh.vertex_count;
  b->copy = b->mesh;
  b->copy.vertex = willis_take((ptrdiff_t)places, sizeof *b->copy.vertex);
  b->copy.triangle = willis_take((ptrdiff_t)corners, sizeof *b->copy.triangle);
  if (!b->copy.vertex || !b->copy.triangle)
    stop_on(WILLIS_OUT_OF_MEMORY, &(struct willis_error){0});
  memcpy(b->copy.vertex, b->mesh.vertex, places * sizeof *b->copy.vertex);
  memcpy(b->copy.triangle, b->mesh.triangle, corners * sizeof *b->copy.triangle);
}

static double seconds(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void run_once(struct bench *b, int row, double *cpu, double *wall) {
  struct willis_error err;
  ptrdiff_t count = willis_grid_count(&b->truth.grid);
  if (rows[row].edits_mesh) copy_mesh(b);
  for (ptrdiff_t v = 0; v < count; v++) b->mask[v] = b->truth.voxels[v] > 0.5f;
  *cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
  *wall = seconds(CLOCK_MONOTONIC);
  stop_on(rows[row].run(b, &err), &err);
  *cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - *cpu;
  *wall = seconds(CLOCK_MONOTONIC) - *wall;
  willis_mesh_release(&b->copy);
}

static int by_value(const void *a, const void *b) {
  return *(const double *)a < *(const double *)b ? -1 : *(const double *)a > *(const double *)b;
}

static void print_table(struct bench *b, int repeats) {
  printf("%td^3, %td vertices, %td triangles\n", b->volume.grid.size[0], b->mesh.vertex_count,
         b->mesh.triangle_count);
  for (int row = 0; row < ROWS; row++) {
    double cpu[MOST_REPEATS], wall[MOST_REPEATS];
    for (int r = 0; r < repeats; r++) run_once(b, row, &cpu[r], &wall[r]);
    qsort(cpu, (size_t)repeats, sizeof *cpu, by_value);
    qsort(wall, (size_t)repeats, sizeof *wall, by_value);
    printf("%-12s %8.4f CPU-s %8.4f s\n", rows[row].name, cpu[repeats / 2], wall[repeats / 2]);
  }
}

static void take_turns(struct bench *b, const char *path) {
  FILE *file = fopen(path, "wb");
  size_t count = (size_t)willis_grid_count(&b->volume.grid);
  if (!file || fwrite(b->volume.voxels, sizeof *b->volume.voxels, count, file) != count ||
      fclose(file)) {
    perror(path);
    exit(1);
  }
  puts("ready");
  fflush(stdout);
  for (char name[32]; scanf("%31s", name) == 1;)
    for (int row = 0; row < ROWS; row++)
      if (!strcmp(name, rows[row].name)) {
        double cpu, wall;
        run_once(b, row, &cpu, &wall);
        printf("%.6f %.6f\n", cpu, wall);
        fflush(stdout);
      }
}

int main(int argc, char **argv) {
  ptrdiff_t n = argc > 1 ? atol(argv[1]) : 256;
  int repeats = argc > 2 ? atoi(argv[2]) : 5;
  struct bench b = {0};
  prepare(&b, n);
  if (argc > 3)
    take_turns(&b, argv[3]);
  else
    print_table(&b, repeats < 1 || repeats > MOST_REPEATS ? 5 : repeats);
  willis_volume_release(&b.volume);
  willis_volume_release(&b.integers);
  willis_volume_release(&b.truth);
  willis_volume_release(&b.prediction);
  willis_mesh_release(&b.mesh);
  willis_release(b.mask);
  willis_release(b.squared_mm2);
  return 0;
}
