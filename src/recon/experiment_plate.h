/* Pieces of the figures that experiments write: learning curves, and tables of pictures. */
#ifndef WILLIS_RECON_EXPERIMENT_PLATE_H
#define WILLIS_RECON_EXPERIMENT_PLATE_H

#include "recon/experiment.h"

#include <willis/figure.h>

/* The columns of a log as arrays. */
struct willis_curve {
  double *epoch, *loss, *iou; /* one block, owned by `epoch` */
  double *iou_epoch;
  ptrdiff_t count, iou_count;
};

/* The caller releases `epoch`. */
WILLIS_CHECKED enum willis_status willis_curve_make(const struct willis_epoch *epoch,
                                                    ptrdiff_t count, struct willis_curve *c,
                                                    struct willis_error *err);

enum { WILLIS_PLATE_ANGLES = 5 };
extern const double willis_plate_angle[WILLIS_PLATE_ANGLES];
/* Maximum projections of a mask at `count` angles. */
WILLIS_CHECKED enum willis_status willis_plate_take(const struct willis_volume *mask,
                                                    const double *angle, int count,
                                                    struct willis_picture *const *picture,
                                                    struct willis_error *err);

/* One figure: `rows` × `columns` pictures with their labels. */
struct willis_plate {
  int rows, columns;
  char row_label[WILLIS_EXPERIMENT_VIEWS + 1][64], column_label[WILLIS_EXPERIMENT_VIEWS + 1][64];
  struct willis_picture picture[(WILLIS_EXPERIMENT_VIEWS + 1) * (WILLIS_EXPERIMENT_VIEWS + 1)];
};

WILLIS_CHECKED enum willis_status willis_plate_write(const struct willis_experiment *e,
                                                     const struct willis_plate *p, const char *name,
                                                     const char *title, struct willis_error *err);
void willis_plate_release(struct willis_plate *p);

#endif
