/* What the figures of experiments have in common. */
#define _GNU_SOURCE
#include "recon/experiment_plate.h"

#include "base/error.h"
#include "base/memory.h"

#include <willis/projector.h>

#include <math.h>

enum willis_status willis_curve_make(const struct willis_epoch *epoch, ptrdiff_t count,
                                     struct willis_curve *c, struct willis_error *err) {
  *c = (struct willis_curve){.epoch = willis_take(4 * count, sizeof *c->epoch), .count = count};
  if (!c->epoch) return willis_fail_memory(err, "curves", count, 4 * sizeof *c->epoch);
  c->loss = c->epoch + count;
  c->iou = c->loss + count;
  c->iou_epoch = c->iou + count;
  for (ptrdiff_t i = 0; i < count; i++) {
    c->epoch[i] = epoch[i].epoch;
    c->loss[i] = epoch[i].loss;
    if (isnan(epoch[i].best_iou)) continue;
    c->iou[c->iou_count] = 100 * epoch[i].best_iou;
    c->iou_epoch[c->iou_count++] = epoch[i].epoch;
  }
  return WILLIS_OK;
}

const double willis_plate_angle[WILLIS_PLATE_ANGLES] = {0, 22.5, 45, 67.5, 90};

enum willis_status willis_plate_take(const struct willis_volume *mask, const double *angle,
                                     int count, struct willis_picture *const *picture,
                                     struct willis_error *err) {
  struct willis_projections stack;
  const struct willis_grid *grid = &mask->grid;
  enum willis_status status =
      willis_projections_create(&stack, grid->size[0], grid->size[2], count, err);
  if (status) return status;
  for (int a = 0; a < count; a++) stack.view[a] = willis_view_parallel(angle[a], grid);
  willis_grid_centre(grid, stack.isocenter_mm);
  stack.mode = WILLIS_PROJECTION_MAX;
  status = willis_project(mask, &stack, err);
  for (int a = 0; a < count && !status; a++)
    status = willis_picture_window(picture[a], stack.pixels + a * stack.columns * stack.rows,
                                   stack.columns, stack.rows, 0, 1, err);
  willis_projections_release(&stack);
  return status;
}

enum willis_status willis_plate_write(const struct willis_experiment *e,
                                      const struct willis_plate *p, const char *name,
                                      const char *title, struct willis_error *err) {
  char path[PATH_MAX];
  const char *row[WILLIS_EXPERIMENT_VIEWS + 1], *column[WILLIS_EXPERIMENT_VIEWS + 1];
  for (int i = 0; i < p->rows; i++) row[i] = p->row_label[i];
  for (int i = 0; i < p->columns; i++) column[i] = p->column_label[i];
  struct willis_picture_table table = {.title = title,
                                       .caption = "Maximum projections of masks. Research "
                                                  "software. Not a medical device.",
                                       .rows = p->rows,
                                       .columns = p->columns,
                                       .row_label = row,
                                       .column_label = column,
                                       .picture = p->picture};
  enum willis_status status = willis_experiment_path(e, path, "%s", err, name);
  if (!status) status = willis_picture_table_write(path, &table, true, err);
  return status;
}

void willis_plate_release(struct willis_plate *p) {
  for (int i = 0; i < p->rows * p->columns; i++) willis_picture_release(&p->picture[i]);
  willis_release(p);
}
