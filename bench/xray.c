/* CPU and wall seconds of the X-ray operators: xray [SIZE [VIEWS [REPEATS]]]
 *
 * Two volumes: a phantom's vessels, as in use, and noise, where nothing can be skipped. Medians of
 * the repeats, one line a row: volume, operator, CPU seconds, wall seconds. bench/xray_scipy.py
 * sets them beside SciPy's. */
#define _GNU_SOURCE
#include <willis/projector.h>

#include "base/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

enum { MOST_REPEATS = 99 };

static void stop_on(enum willis_status status, const struct willis_error *err) {
  if (!status) return;
  fprintf(stderr, "xray: %s\n", err->message);
  exit(1);
}

static double wall_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static double cpu_seconds(void) {
  struct rusage use;
  getrusage(RUSAGE_SELF, &use);
  return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
         1e-6 * (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
}

static struct willis_volume vessels(ptrdiff_t n) {
  struct willis_error err;
  struct willis_tree tree;
  struct willis_volume volume;
  struct willis_voxelize_options options = willis_voxelize_defaults();
  options.size = n;
  stop_on(willis_tree_phantom(1, &tree, &err), &err);
  stop_on(willis_tree_voxelize(&tree, &options, NULL, &volume, &err), &err);
  willis_tree_release(&tree);
  return volume;
}

static struct willis_volume noise(ptrdiff_t n) {
  struct willis_error err;
  struct willis_volume volume;
  struct willis_grid grid = willis_grid_cube(n, 1, NULL);
  stop_on(willis_volume_create(&volume, &grid, &err), &err);
  for (ptrdiff_t i = 0; i < n * n * n; i++)
    volume.voxels[i] = (float)willis_random_uniform(1, 0, (uint64_t)i);
  return volume;
}

struct bench {
  struct willis_volume volume, result;
  struct willis_projections stack, images;
};

static enum willis_status project_max(struct bench *b, struct willis_error *err) {
  b->stack.mode = WILLIS_PROJECTION_MAX;
  return willis_project(&b->volume, &b->stack, err);
}

static enum willis_status project_sum(struct bench *b, struct willis_error *err) {
  b->images.mode = WILLIS_PROJECTION_SUM;
  return willis_project(&b->volume, &b->images, err);
}

static enum willis_status project_adjoint(struct bench *b, struct willis_error *err) {
  return willis_project_adjoint(&b->stack, &b->result, err);
}

static enum willis_status backproject(struct bench *b, struct willis_error *err) {
  return willis_backproject(&b->stack, &b->result, err);
}

static enum willis_status backproject_adjoint(struct bench *b, struct willis_error *err) {
  return willis_backproject_adjoint(&b->volume, &b->images, err);
}

static enum willis_status hull(struct bench *b, struct willis_error *err) {
  return willis_hull(&b->stack, &b->result, err);
}

static int by_value(const void *a, const void *b) {
  return *(const double *)a < *(const double *)b ? -1 : *(const double *)a > *(const double *)b;
}

static void run(const char *name, struct bench *bench, int repeats) {
  /* Projection comes first: the others then work on real images. */
  static const struct {
    const char *name;
    enum willis_status (*run)(struct bench *, struct willis_error *);
  } operators[] = {
      {"project max", project_max},         {"project sum", project_sum},
      {"backproject", backproject},         {"hull", hull},
      {"project adjoint", project_adjoint}, {"backproject adjoint", backproject_adjoint}};
  struct willis_error err;
  for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
    double cpu[MOST_REPEATS], wall[MOST_REPEATS];
    for (int r = 0; r < repeats; r++) {
      double cpu_before = cpu_seconds(), wall_before = wall_seconds();
      stop_on(operators[i].run(bench, &err), &err);
      cpu[r] = cpu_seconds() - cpu_before;
      wall[r] = wall_seconds() - wall_before;
    }
    qsort(cpu, (size_t)repeats, sizeof *cpu, by_value);
    qsort(wall, (size_t)repeats, sizeof *wall, by_value);
    printf("%-8s %-20s %8.4f CPU-s %8.4f s\n", name, operators[i].name, cpu[repeats / 2],
           wall[repeats / 2]);
    fflush(stdout);
  }
}

int main(int argc, char **argv) {
  ptrdiff_t n = argc > 1 ? atol(argv[1]) : 256;
  int views = argc > 2 ? atoi(argv[2]) : 90, repeats = argc > 3 ? atoi(argv[3]) : 5;
  double angle_deg[90];
  struct willis_error err;
  if (repeats < 1 || repeats > MOST_REPEATS) repeats = 5;
  stop_on(willis_views_arc(views, 90, angle_deg, &err), &err);
  for (int v = 0; v < 2; v++) {
    struct bench bench = {.volume = v ? noise(n) : vessels(n)};
    const struct willis_grid *grid = &bench.volume.grid;
    stop_on(willis_volume_create(&bench.result, grid, &err), &err);
    stop_on(willis_projections_create(&bench.stack, n, n, views, &err), &err);
    stop_on(willis_projections_create(&bench.images, n, n, views, &err), &err);
    for (int i = 0; i < views; i++)
      bench.stack.view[i] = bench.images.view[i] = willis_view_parallel(angle_deg[i], grid);
    willis_grid_centre(grid, bench.stack.isocenter_mm);
    willis_grid_centre(grid, bench.images.isocenter_mm);
    run(v ? "noise" : "vessels", &bench, repeats);
    willis_projections_release(&bench.images);
    willis_projections_release(&bench.stack);
    willis_volume_release(&bench.result);
    willis_volume_release(&bench.volume);
  }
  return 0;
}
