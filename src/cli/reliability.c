#include "cli/reliability.h"

#include <math.h>

enum { BINS = WILLIS_RELIABILITY_BINS };

void print_reliability(FILE *to, const struct willis_reliability *r) {
  fprintf(to, "\nreliability of %td voxels: expected calibration error %.5g, Brier score %.5g\n",
          r->count, r->ece, r->brier);
  fprintf(to, "%-12s%12s%12s%12s\n", "probability", "voxels", "mean", "true");
  for (int b = 0; b < BINS; b++) {
    const struct willis_reliability_bin *bin = &r->bin[b];
    fprintf(to, "%.1f to %.1f  %12td", (double)b / BINS, (double)(b + 1) / BINS, bin->count);
    if (bin->count)
      fprintf(to, "%12.5g%12.5g\n", bin->mean, bin->fraction);
    else
      fprintf(to, "%12s%12s\n", "-", "-");
  }
}

json_t *reliability_object(const struct willis_reliability *r) {
  json_t *bins = json_array();
  for (int b = 0; b < BINS; b++) {
    const struct willis_reliability_bin *bin = &r->bin[b];
    json_array_append_new(bins, json_pack("{s:f, s:f, s:I, s:o, s:o}", "from", (double)b / BINS,
                                          "to", (double)(b + 1) / BINS, "voxels",
                                          (json_int_t)bin->count, "mean", json_number(bin->mean),
                                          "true", json_number(bin->fraction)));
  }
  return json_pack("{s:I, s:o, s:o, s:o}", "voxels", (json_int_t)r->count,
                   "expected_calibration_error", json_number(r->ece), "brier",
                   json_number(r->brier), "bins", bins);
}

enum willis_status draw_reliability(const char *path, const struct willis_reliability *r,
                                    bool overwrite, struct willis_error *err) {
  static const double ends[] = {0, 1};
  char name[64];
  double mean[BINS], fraction[BINS];
  for (int b = 0; b < BINS; b++) {
    mean[b] = r->bin[b].mean;
    fraction[b] = r->bin[b].fraction;
  }
  snprintf(name, sizeof name, "error %.3g", r->ece);
  const struct willis_chart_line line[] = {
      {.name = name, .x = mean, .y = fraction, .count = BINS},
      {.name = "as it should be", .x = ends, .y = ends, .count = 2}};
  const struct willis_chart chart = {.title = "Reliability",
                                     .x_label = "mean probability",
                                     .y_label = "fraction of true voxels",
                                     .line = line,
                                     .line_count = 2};
  return willis_charts_write(path, &chart, 1, 1, overwrite, err);
}
