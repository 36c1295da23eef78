/* The figures of an experiment: learning curves, scores against views, and what one test patient
 * looks like. */
#define _GNU_SOURCE
#include "recon/experiment_plate.h"

#include "base/error.h"
#include "base/memory.h"

#include <willis/figure.h>
#include <willis/projector.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- curves ---- */

enum { CHARTS = 4, POINTS_MOST = WILLIS_EXPERIMENT_VIEWS };

/* Mean IoU and its deviation of each method against the number of views. */
struct by_views {
  double x[POINTS_MOST], y[WILLIS_METHODS][POINTS_MOST], sd[WILLIS_METHODS][POINTS_MOST];
  double published[POINTS_MOST];
};

static void fill_by_views(const struct willis_experiment *e, int rows, struct by_views *b) {
  for (int r = 0; r < rows; r++) {
    const struct willis_published *p = willis_published_find(e->row[r].views);
    b->x[r] = e->row[r].views;
    b->published[r] = p ? 100 * p->iou : NAN;
    for (int m = 0; m < WILLIS_METHODS; m++) {
      if (!willis_experiment_runs(e, m)) continue;
      double sum = 0, square = 0;
      for (ptrdiff_t i = 0; i < e->test; i++) {
        double iou = e->row[r].cases[m][i].iou;
        /* Two empty masks agree on nothing. */
        sum += isnan(iou) ? 0 : iou;
        square += isnan(iou) ? 0 : iou * iou;
      }
      double n = (double)e->test, mean = sum / n;
      b->y[m][r] = 100 * mean;
      b->sd[m][r] = n > 1 ? 100 * sqrt(fmax(0, (square - n * mean * mean) / (n - 1))) : 0;
    }
  }
}

static enum willis_status draw_curves(const struct willis_experiment *e, int rows,
                                      const struct willis_curve *chosen,
                                      const struct willis_curve *paper, struct willis_error *err) {
  char path[PATH_MAX], name[POINTS_MOST][32];
  struct by_views b;
  struct willis_chart_line loss[POINTS_MOST], iou[POINTS_MOST], paper_loss[POINTS_MOST];
  struct willis_chart_line method[WILLIS_METHODS + 1];
  fill_by_views(e, rows, &b);
  for (int r = 0; r < rows; r++) {
    const struct willis_curve *c = &chosen[r], *p = &paper[r];
    snprintf(name[r], sizeof name[r], "%d views", e->row[r].views);
    loss[r] = (struct willis_chart_line){name[r], c->epoch, c->loss, NULL, c->count};
    iou[r] = (struct willis_chart_line){name[r], c->iou_epoch, c->iou, NULL, c->iou_count};
    paper_loss[r] = (struct willis_chart_line){name[r], p->epoch, p->loss, NULL, p->count};
  }
  int lines = 0;
  for (int m = 0; m < WILLIS_METHODS; m++)
    if (willis_experiment_runs(e, m))
      method[lines++] =
          (struct willis_chart_line){willis_method_label[m], b.x, b.y[m], b.sd[m], rows};
  method[lines++] =
      (struct willis_chart_line){"published (other patients, 384³)", b.x, b.published, NULL, rows};
  struct willis_chart chart[CHARTS] = {
      {.title = "Chosen setting: IoU on held-out training patients",
       .x_label = "epoch",
       .y_label = "IoU %",
       .line = iou,
       .line_count = rows},
      {.title = "Chosen setting: training loss",
       .x_label = "epoch",
       .y_label = "focal loss",
       .logarithmic_y = true,
       .line = loss,
       .line_count = rows},
      {.title = "Test patients: IoU against views (mean ± sd)",
       .x_label = "views",
       .y_label = "IoU %",
       .logarithmic_x = true,
       .x_tick = b.x,
       .x_tick_count = rows,
       .line = method,
       .line_count = lines},
      /* Last, so that an experiment without it leaves it out. */
      {.title = "The paper's setting: training loss",
       .x_label = "epoch",
       .y_label = "focal loss",
       .logarithmic_y = true,
       .line = paper_loss,
       .line_count = rows},
  };
  enum willis_status status = willis_experiment_path(e, path, "curves.svg", err);
  int charts = willis_experiment_runs(e, WILLIS_METHOD_PAPER) ? CHARTS : CHARTS - 1;
  if (!status) status = willis_charts_write(path, chart, charts, 2, true, err);
  return status;
}

enum willis_status willis_experiment_curves(const struct willis_experiment *e, int rows,
                                            struct willis_error *err) {
  struct willis_curve chosen[POINTS_MOST] = {0}, paper[POINTS_MOST] = {0};
  enum willis_status status = WILLIS_OK;
  for (int r = 0; r < rows && !status; r++) {
    const struct willis_experiment_row *row = &e->row[r];
    status = willis_curve_make(row->epoch[WILLIS_METHOD_CHOSEN], row->epochs[WILLIS_METHOD_CHOSEN],
                               &chosen[r], err);
    if (!status && willis_experiment_runs(e, WILLIS_METHOD_PAPER))
      status = willis_curve_make(row->epoch[WILLIS_METHOD_PAPER], row->epochs[WILLIS_METHOD_PAPER],
                                 &paper[r], err);
  }
  if (!status) status = draw_curves(e, rows, chosen, paper, err);
  for (int r = 0; r < rows; r++) {
    willis_release(chosen[r].epoch);
    willis_release(paper[r].epoch);
  }
  return status;
}

/* ---- pictures ---- */

/* The mask that a method makes of the first test patient. */
static enum willis_status make_mask(struct willis_experiment *e,
                                    const struct willis_experiment_row *row,
                                    enum willis_method method, struct willis_volume *mask,
                                    struct willis_error *err) {
  const struct willis_volume *volume, *truth;
  struct willis_volume prediction = {0};
  *mask = (struct willis_volume){0};
  enum willis_status status = willis_experiment_case(e, 0, &volume, &truth, err);
  if (!status) status = willis_experiment_predict(e, row, method, volume, &prediction, err);
  if (!status)
    status = willis_volume_threshold(&prediction, row->threshold[method], true, mask, err);
  willis_volume_release(&prediction);
  return status;
}

/* The paper's figure 4: truth in the first column, then the network at each view count; one row an
 * angle. */
static enum willis_status figure_network(struct willis_experiment *e, int rows,
                                         struct willis_error *err) {
  struct willis_plate *p = willis_take_zeroed(1, sizeof *p);
  if (!p) return willis_fail_memory(err, "a figure", 1, sizeof *p);
  p->rows = WILLIS_PLATE_ANGLES;
  p->columns = rows + 1;
  for (int a = 0; a < WILLIS_PLATE_ANGLES; a++)
    snprintf(p->row_label[a], sizeof p->row_label[a], "%g°", willis_plate_angle[a]);
  snprintf(p->column_label[0], sizeof p->column_label[0], "truth");
  enum willis_status status = WILLIS_OK;
  for (int c = 0; c <= rows && !status; c++) {
    struct willis_picture *picture[WILLIS_PLATE_ANGLES];
    struct willis_volume mask = {0};
    const struct willis_volume *volume, *truth;
    for (int a = 0; a < WILLIS_PLATE_ANGLES; a++) picture[a] = &p->picture[a * p->columns + c];
    if (c) {
      snprintf(p->column_label[c], sizeof p->column_label[c], "%d views", e->row[c - 1].views);
      status = make_mask(e, &e->row[c - 1], WILLIS_METHOD_CHOSEN, &mask, err);
    } else {
      status = willis_experiment_case(e, 0, &volume, &truth, err);
    }
    if (!status)
      status = willis_plate_take(c ? &mask : truth, willis_plate_angle, WILLIS_PLATE_ANGLES,
                                 picture, err);
    willis_volume_release(&mask);
  }
  if (!status)
    status = willis_plate_write(e, p, "figure.png", "A test patient: network, chosen setting", err);
  willis_plate_release(p);
  return status;
}

/* One row a method, one column a view count, at one angle. */
static enum willis_status figure_methods(struct willis_experiment *e, int rows,
                                         struct willis_error *err) {
  static const double angle = 22.5;
  struct willis_plate *p = willis_take_zeroed(1, sizeof *p);
  if (!p) return willis_fail_memory(err, "a figure", 1, sizeof *p);
  int shown[WILLIS_METHODS], methods = 0;
  for (int m = 0; m < WILLIS_METHODS; m++)
    if (willis_experiment_runs(e, m)) shown[methods++] = m;
  p->rows = methods + 1;
  p->columns = rows;
  snprintf(p->row_label[0], sizeof p->row_label[0], "truth");
  enum willis_status status = WILLIS_OK;
  for (int c = 0; c < rows; c++)
    snprintf(p->column_label[c], sizeof p->column_label[c], "%d views", e->row[c].views);
  for (int i = 0; i < p->rows * rows && !status; i++) {
    int line = i / rows, m = line ? shown[line - 1] : -1;
    struct willis_picture *picture = &p->picture[i];
    struct willis_volume mask = {0};
    const struct willis_volume *volume, *truth;
    if (m < 0) {
      status = willis_experiment_case(e, 0, &volume, &truth, err);
    } else {
      snprintf(p->row_label[line], sizeof p->row_label[line], "%s", willis_method_label[m]);
      status = make_mask(e, &e->row[i % rows], (enum willis_method)m, &mask, err);
    }
    if (!status) status = willis_plate_take(m < 0 ? truth : &mask, &angle, 1, &picture, err);
    willis_volume_release(&mask);
  }
  if (!status)
    status = willis_plate_write(e, p, "figure-methods.png", "A test patient at 22.5°: every method",
                                err);
  willis_plate_release(p);
  return status;
}

enum willis_status willis_experiment_figures(struct willis_experiment *e, int rows,
                                             struct willis_error *err) {
  enum willis_status status = figure_network(e, rows, err);
  return status ? status : figure_methods(e, rows, err);
}
