/* The figures of table 2: learning curves, and one test patient with one column a method. */
#define _GNU_SOURCE
#include "recon/experiment_plate.h"
#include "recon/table2.h"

#include "base/error.h"
#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- curves ---- */

enum { RUNS = WILLIS_RIVALS_MOST, KINDS = WILLIS_EXPERIMENT_SYSTEMS };

/* Two charts a system: what the held-out patients say, and the loss. */
static int make_charts(const struct willis_table2 *t, const struct willis_curve *curve,
                       char (*text)[96], struct willis_chart_line *line,
                       struct willis_chart *chart) {
  int charts = 0, lines = 0;
  for (int g = 0; g < t->groups; g++) {
    const int first = lines;
    const char *label = NULL;
    for (int i = 0; i < t->rivals; i++) {
      const struct willis_rival *r = &t->rival[i];
      if (r->group != g || !willis_rival_learns(r) || !r->done) continue;
      label = r->kind->label;
      snprintf(text[i], sizeof text[i], "seed %llu", (unsigned long long)r->job.seed);
      line[lines++] = (struct willis_chart_line){text[i], curve[i].iou_epoch, curve[i].iou, NULL,
                                                 curve[i].iou_count};
      line[RUNS + lines - 1] =
          (struct willis_chart_line){text[i], curve[i].epoch, curve[i].loss, NULL, curve[i].count};
    }
    if (!label) continue;
    for (int k = 0; k < 2; k++) {
      char *title = text[RUNS + charts];
      snprintf(title, sizeof text[0], "%s: %s", label,
               k ? "training loss" : "IoU on held-out training patients");
      chart[charts++] = (struct willis_chart){.title = title,
                                              .x_label = "epoch",
                                              .y_label = k ? "loss" : "IoU %",
                                              .logarithmic_y = k == 1,
                                              .line = line + k * RUNS + first,
                                              .line_count = lines - first};
    }
  }
  return charts;
}

enum willis_status willis_table2_curves(const struct willis_table2 *t, struct willis_error *err) {
  struct willis_curve curve[RUNS] = {0};
  struct willis_chart chart[2 * KINDS];
  struct willis_chart_line line[2 * RUNS];
  char text[RUNS + 2 * KINDS][96], path[PATH_MAX];
  enum willis_status status = willis_experiment_path(&t->e, path, "curves.svg", err);
  for (int i = 0; i < t->rivals && !status; i++)
    if (willis_rival_learns(&t->rival[i]) && t->rival[i].done)
      status =
          willis_curve_make(t->rival[i].outcome.epoch, t->rival[i].outcome.epochs, &curve[i], err);
  if (!status) {
    const int charts = make_charts(t, curve, text, line, chart);
    /* Nothing is trained yet. */
    if (charts) status = willis_charts_write(path, chart, charts, 2, true, err);
  }
  for (int i = 0; i < t->rivals; i++) willis_release(curve[i].epoch);
  return status;
}

/* ---- pictures ---- */

static double held_out_iou(const struct willis_rival *r) {
  double best = -1;
  for (ptrdiff_t i = 0; i < r->outcome.epochs; i++) best = fmax(best, r->outcome.epoch[i].best_iou);
  return best;
}

/* Of several seeds the one that the held-out patients find best; −1 when none is done. */
static int best_run(const struct willis_table2 *t, int group) {
  int best = -1;
  for (int i = 0; i < t->rivals; i++)
    if (t->rival[i].group == group && t->rival[i].done &&
        (best < 0 || held_out_iou(&t->rival[i]) > held_out_iou(&t->rival[best])))
      best = i;
  return best;
}

/* A column of the mask that a run makes of the first test patient; the truth for −1. */
static enum willis_status take_column(struct willis_table2 *t, int run, struct willis_plate *p,
                                      int column, struct willis_error *err) {
  struct willis_picture *picture[WILLIS_PLATE_ANGLES];
  struct willis_volume prediction = {0}, mask = {0};
  const struct willis_volume *volume, *truth;
  struct willis_rival *r = run < 0 ? NULL : &t->rival[run];
  for (int a = 0; a < WILLIS_PLATE_ANGLES; a++) picture[a] = &p->picture[a * p->columns + column];
  snprintf(p->column_label[column], sizeof p->column_label[column], "%s",
           r ? willis_rival_name(r) : "truth");
  enum willis_status status = willis_experiment_case(&t->e, 0, &volume, &truth, err);
  if (!status && r) status = willis_table2_predict(t, r, volume, &prediction, err);
  if (!status && r) status = willis_volume_threshold(&prediction, r->threshold, true, &mask, err);
  if (!status)
    status =
        willis_plate_take(r ? &mask : truth, willis_plate_angle, WILLIS_PLATE_ANGLES, picture, err);
  willis_volume_release(&mask);
  willis_volume_release(&prediction);
  return status;
}

enum willis_status willis_table2_figure(struct willis_table2 *t, struct willis_error *err) {
  struct willis_plate *p = willis_take_zeroed(1, sizeof *p);
  if (!p) return willis_fail_memory(err, "a figure", 1, sizeof *p);
  int run[WILLIS_EXPERIMENT_VIEWS + 1] = {-1}, columns = 1;
  for (int g = 0; g < t->groups && columns <= WILLIS_EXPERIMENT_VIEWS; g++) {
    run[columns] = best_run(t, g);
    if (run[columns] >= 0) columns++;
  }
  p->rows = WILLIS_PLATE_ANGLES;
  p->columns = columns;
  for (int a = 0; a < WILLIS_PLATE_ANGLES; a++)
    snprintf(p->row_label[a], sizeof p->row_label[a], "%g°", willis_plate_angle[a]);
  enum willis_status status = WILLIS_OK;
  for (int c = 0; c < columns && !status; c++) status = take_column(t, run[c], p, c, err);
  if (!status)
    status = willis_plate_write(&t->e, p, "figure.png", "A test patient from two views", err);
  willis_plate_release(p);
  return status;
}
