/* Classical reconstruction of a volume from its own cone-beam projections, scored:
 *   solve [-b] VOLUME METHOD [VIEWS [ITERATIONS [SUBSETS [LAMBDA [SHRINK]]]]]
 *
 * The geometry in which SAX-NeRF and R2-Gaussian report: the volume, scaled to 0…1, is n voxels of
 * 256/n mm (256³ x 1 mm as published); source to isocenter 1000 mm, source to detector 1500 mm, 2n
 * x 2n pixels of 256/n mm; VIEWS views at k·180/VIEWS degrees, k = 0 … VIEWS−1; no noise. METHOD is
 * fdk, sart, sirt, cgls or tv, or several of them with commas between; 0 or nothing stands for its
 * defaults. SHRINK 2 takes means of 2³ voxels first. Every method ends with what is below 0 set to
 * 0. IoU is that of the voxels above Otsu's threshold of the truth. With METHOD "curve": tv at 5,
 * 10, 20 and 50 views. The projections are made by the rays that reconstruct; with -b by the exact
 * lengths of rays within voxels. */
#define _GNU_SOURCE
#include <willis/io.h>
#include <willis/metrics.h>
#include <willis/projector.h>
#include <willis/solver.h>

#include "box_rays.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static void stop_on(enum willis_status status, const struct willis_error *err) {
  if (!status) return;
  fprintf(stderr, "solve: %s\n", err->message);
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

/* The volume in 0…1, of 256 mm, in the middle. */
static struct willis_volume truth_of(const char *path, int shrink) {
  struct willis_error err;
  struct willis_volume volume, small;
  stop_on(willis_volume_read(path, &volume, NULL, &err), &err);
  ptrdiff_t n = volume.grid.size[0] / shrink;
  volume.grid = willis_grid_cube(volume.grid.size[0], 256.0 / (double)volume.grid.size[0], NULL);
  struct willis_grid grid = willis_grid_cube(n, 256.0 / (double)n, NULL);
  stop_on(willis_volume_resample(&volume, &grid, &small, &err), &err);
  willis_volume_release(&volume);
  willis_volume_normalize(&small);
  return small;
}

static struct willis_projections project(const struct willis_volume *truth, int views, bool boxes) {
  struct willis_error err;
  struct willis_projections stack;
  ptrdiff_t n = truth->grid.size[0];
  stop_on(willis_projections_create(&stack, 2 * n, 2 * n, views, &err), &err);
  stack.mode = WILLIS_PROJECTION_SUM;
  for (int k = 0; k < views; k++)
    stack.view[k] = (struct willis_view){.kind = WILLIS_VIEW_CONE,
                                         .primary_angle_deg = 180.0 * k / views,
                                         .source_to_isocenter_mm = 1000,
                                         .source_to_detector_mm = 1500,
                                         .column_spacing_mm = 256.0 / (double)n,
                                         .row_spacing_mm = 256.0 / (double)n,
                                         .principal_column = (double)n - 0.5,
                                         .principal_row = (double)n - 0.5};
  if (boxes)
    box_rays_project(truth, &stack, 1);
  else
    stop_on(willis_project(truth, &stack, &err), &err);
  return stack;
}

static void run(const struct willis_volume *truth, const struct willis_projections *stack,
                const char *name, const char *data, const struct willis_solver_options *options) {
  struct willis_error err;
  struct willis_volume found;
  struct willis_solver_report report;
  struct willis_image_scores image;
  stop_on(willis_volume_create(&found, &truth->grid, &err), &err);
  double cpu = cpu_seconds(), wall = wall_seconds();
  stop_on(willis_solve(stack, options, NULL, &found, &report, &err), &err);
  cpu = cpu_seconds() - cpu;
  wall = wall_seconds() - wall;
  stop_on(willis_image_compare(&found, truth, 1, &image, &err), &err);
  double threshold;
  ptrdiff_t both = 0, either = 0, count = willis_grid_count(&truth->grid);
  stop_on(willis_volume_otsu(truth, &threshold, &err), &err);
  for (ptrdiff_t i = 0; i < count; i++) {
    bool a = (double)found.voxels[i] > threshold, b = (double)truth->voxels[i] > threshold;
    both += a && b;
    either += a || b;
  }
  printf("%-5s %3td views of %s %4d x %2d lambda %-7g unknowns %8td residual %.2e  PSNR %6.2f dB  "
         "SSIM "
         "%.5f  IoU %.4f  %7.1f CPU-s %7.1f s\n",
         name, stack->view_count, data, report.iterations, options->subsets, options->lambda,
         report.unknowns, report.residual, image.psnr, image.ssim, (double)both / (double)either,
         cpu, wall);
  fflush(stdout);
  willis_volume_release(&found);
}

static struct willis_solver_options options_of(const char *name, int views) {
  static const char *const words[] = {
#define WORD(upper, word, passes, updates, views, lambda) #word,
      WILLIS_SOLVER_LIST(WORD)
#undef WORD
  };
  for (size_t m = 0; m < sizeof words / sizeof *words; m++)
    if (strcmp(name, words[m]) == 0)
      return willis_solver_defaults((enum willis_solver_method)m, views);
  fprintf(stderr, "solve: '%s' is no method\n", name);
  exit(2);
}

int main(int argc, char **argv) {
  static const int curve[] = {5, 10, 20, 50};
  const bool boxes = argc > 1 && strcmp(argv[1], "-b") == 0;
  if (boxes) argc--, argv++;
  if (argc < 3) {
    fprintf(stderr,
            "solve [-b] VOLUME METHOD|curve [VIEWS [ITERATIONS [SUBSETS [LAMBDA [SHRINK]]]]]\n");
    return 2;
  }
  bool all = strcmp(argv[2], "curve") == 0;
  struct willis_volume truth = truth_of(argv[1], argc > 7 ? atoi(argv[7]) : 1);
  for (size_t i = 0; i < (all ? sizeof curve / sizeof *curve : 1); i++) {
    int views = all ? curve[i] : argc > 3 ? atoi(argv[3]) : 50;
    char methods[64], *rest = NULL;
    double cpu = cpu_seconds();
    struct willis_projections stack = project(&truth, views, boxes);
    printf("projected %d views in %.2f CPU-s\n", views, cpu_seconds() - cpu);
    snprintf(methods, sizeof methods, "%s", all ? "tv" : argv[2]);
    for (char *name = strtok_r(methods, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
      struct willis_solver_options options = options_of(name, views);
      const bool takes_subsets = options.method == WILLIS_SOLVER_SART ||
                                 options.method == WILLIS_SOLVER_SIRT ||
                                 options.method == WILLIS_SOLVER_TV;
      if (argc > 4 && atoi(argv[4])) options.iterations = atoi(argv[4]);
      if (argc > 5 && atoi(argv[5]) && takes_subsets) options.subsets = atoi(argv[5]);
      if (argc > 6 && atof(argv[6]) != 0) options.lambda = fmax(atof(argv[6]), 0);
      run(&truth, &stack, name, boxes ? "boxes" : "rays", &options);
    }
    willis_projections_release(&stack);
  }
  willis_volume_release(&truth);
  return 0;
}
