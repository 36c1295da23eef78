/* What the tables of experiments have in common. */
#define _GNU_SOURCE
#include "recon/experiment_sheet.h"

#include "base/error.h"

#include <math.h>
#include <string.h>

/* The scores that the table for people shows, and in which unit. */
const struct willis_sheet_column willis_sheet_column[] = {
    {"iou", "IoU %", 100, 1},
    {"dice", "Dice %", 100, 1},
    {"cldice", "clDice %", 100, 1},
    {"hd95_mm", "HD95 mm", 1, 1},
    {"assd_mm", "ASSD mm", 1, 2},
    {"precision", "precision %", 100, 1},
    {"recall", "recall %", 100, 1},
    {"accuracy", "accuracy %", 100, 2},
    {"mse", "MSE ·10⁻³", 1e3, 2},
    {"mae", "MAE ·10⁻²", 1e2, 2},
    {"mse_mask", "MSE of masks ·10⁻³", 1e3, 2},
};
const int willis_sheet_columns = sizeof willis_sheet_column / sizeof *willis_sheet_column;

int willis_sheet_score(const char *name) {
  for (int s = 0; s < willis_scores_count(); s++)
    if (!strcmp(willis_scores_name(s), name)) return s;
  return -1;
}

enum willis_status willis_sheet_begin(const struct willis_experiment *e, const char *name,
                                      struct willis_out *out, struct willis_error *err) {
  char path[PATH_MAX];
  *out = (struct willis_out){.err = err};
  enum willis_status status = willis_experiment_path(e, path, "%s", err, name);
  return status ? status : willis_writer_open(path, true, false, &out->writer, err);
}

enum willis_status willis_sheet_end(struct willis_out *out, struct willis_error *err) {
  enum willis_status status = willis_out_flush(out);
  if (!status) return willis_writer_commit(out->writer, err);
  willis_writer_abandon(out->writer, out->err);
  return status;
}

void willis_sheet_cell(struct willis_out *t, const struct willis_summary *s, double scale,
                       int digits) {
  if (isnan(s->mean))
    willis_out_print(t, " – |");
  else if (s->n < 2 || isnan(s->sd))
    willis_out_print(t, " %.*f |", digits, s->mean * scale);
  else
    willis_out_print(t, " %.*f ± %.*f |", digits, s->mean * scale, digits, s->sd * scale);
}

struct willis_summary willis_sheet_summary(const struct willis_scores *cases, ptrdiff_t count,
                                           int score) {
  enum { CASES_MOST = 4096 };
  double value[CASES_MOST];
  struct willis_summary summary = {.mean = NAN, .sd = NAN};
  ptrdiff_t n = 0;
  for (ptrdiff_t i = 0; i < count && n < CASES_MOST; i++)
    value[n++] = willis_scores_value(&cases[i], score);
  if (n && willis_summarize(value, n, &summary, NULL)) summary.mean = summary.sd = NAN;
  return summary;
}

void willis_sheet_number(struct willis_out *t, double value) {
  if (isfinite(value))
    willis_out_print(t, ",%.9g", value);
  else
    willis_out_print(t, ",");
}
