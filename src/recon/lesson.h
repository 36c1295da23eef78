/* How each kind of network is taught: what one step on one patient is, what is predicted for
 * validation, and what a checkpoint has to hold. train.c is the loop around it. A new kind is a
 * file with one such table and a row in lesson.c. */
#ifndef WILLIS_RECON_LESSON_H
#define WILLIS_RECON_LESSON_H

#include "recon/sweep.h"
#include "recon/train_run.h"

struct willis_lesson {
  bool any_views; /* one model for all of options->view_counts */
  bool drawn;     /* slice by slice: no focal loss, but options->l1 */
  /* Before anything is made: options or data that this network cannot learn from. */
  enum willis_status (*check)(const struct willis_run *run, struct willis_error *err);
  /* run->network is there; end() works on a run that begin() did not finish. */
  enum willis_status (*begin)(struct willis_run *run, struct willis_error *err);
  void (*end)(struct willis_run *run);
  /* What besides the options makes two runs differ; may be null. */
  void (*add_configuration)(const struct willis_run *run, struct willis_digest *digest);
  /* What begin() takes for a step to work in; 0: not known. */
  size_t (*bytes)(const struct willis_run *run);
  /* One step on training patient i of the data set. */
  enum willis_status (*step)(struct willis_run *run, ptrdiff_t i, double *loss,
                             struct willis_error *err);
  /* Adds validation patient i to the sweep. */
  enum willis_status (*predict)(const struct willis_run *run, ptrdiff_t i,
                                struct willis_sweep *sweep, struct willis_error *err);
  void (*set_rate)(struct willis_run *run, double rate);
  uint64_t (*steps)(const struct willis_run *run);
  /* Everything that a step changes, as one block. */
  size_t (*state_bytes)(const struct willis_run *run);
  void (*state_export)(const struct willis_run *run, void *block);
  enum willis_status (*state_import)(struct willis_run *run, const void *block,
                                     struct willis_error *err);
};

/* "dae" and "unet"; "hull" (hull_train.h); "cgan" (slice_train.h). */
const struct willis_lesson *willis_lesson_of(const struct willis_train_options *options);
/* The architecture whose file the model is. */
const char *willis_lesson_network(const struct willis_train_options *options);

#endif
