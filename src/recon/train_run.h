/* The state of one training run, between train.c (the loop), train_state.c (checkpoints) and
 * train_log.c (the table of epochs). */
#ifndef WILLIS_RECON_TRAIN_RUN_H
#define WILLIS_RECON_TRAIN_RUN_H

#include "recon/digest.h"
#include "recon/padding.h"

#include <willis/train.h>

#include <limits.h>
#include <stdint.h>

/* One row of the log; NaN where there was no validation. Doubles only: the rows are a section of
 * the checkpoint as they are. */
struct willis_epoch {
  double epoch, step, loss, learning_rate;
  double iou;      /* at 0.5 */
  double best_iou; /* at the threshold beside it */
  double best_threshold;
  double seconds; /* since the run began, sessions added */
};

/* What a checkpoint holds besides the trainer's block; eight bytes each, no padding. */
struct willis_run_counters {
  uint64_t step;
  uint64_t best_epoch;    /* 0: none yet */
  uint64_t epochs_waited; /* since the score last rose */
  double loss_sum;        /* of the epoch under way */
  double best_score;
  double best_iou, best_threshold;
  double seconds;
};

struct willis_run {
  const struct willis_train_options *options;
  const struct willis_train_files *files;
  struct willis_subset training, validation;
  const struct willis_warnings *warnings;
  const struct willis_lesson *lesson; /* how steps and validation go: lesson.h */
  struct willis_network *network;     /* what becomes the model */
  struct willis_trainer *trainer;     /* null for the conditional GAN, */
  struct willis_slice_school *slices; /* which has this (slice_train.c) */
  struct willis_padding padding;      /* of volumes whose edge is no multiple of 8 */
  unsigned char configuration[WILLIS_DIGEST_BYTES], data[WILLIS_DIGEST_BYTES];
  char start[WILLIS_DIGEST_TEXT]; /* of the parameters of files->from; empty without */
  char stem[PATH_MAX];            /* of the model's path */
  struct willis_run_counters counters;
  uint32_t *order; /* of the epoch under way */
  struct willis_epoch *epoch;
  ptrdiff_t epoch_count, epoch_room;
  unsigned char *block, *best; /* trainer states */
  size_t block_size;
  bool best_saved; /* the best model's file is up to date */
  bool save_failed;
  double session_start; /* monotonic seconds */
  double last_save;
};

/* What is known before the first step, and no step made. */
WILLIS_CHECKED enum willis_status willis_train_measure(struct willis_subset training,
                                                       struct willis_subset validation,
                                                       const struct willis_train_options *options,
                                                       struct willis_train_plan *plan,
                                                       struct willis_error *err);

double willis_run_seconds(const struct willis_run *run);

/* The learning rate of a step. */
double willis_run_rate(const struct willis_run *run, uint64_t step);

/* The order of the patients in an epoch (0-based): a shuffle that depends on seed and epoch only.
 */
void willis_run_order(uint64_t seed, uint64_t epoch, ptrdiff_t count, uint32_t *order);

/* Saves a checkpoint, removes old ones, saves the best model if it is new. A failure is a warning
 * and remembered in save_failed, which the next success does not undo. */
void willis_run_save(struct willis_run *run);
/* Goes on from files->resume or, when that does not verify, from the newest older checkpoint that
 * does, which is a warning. MISMATCH, FORMAT, IO. */
WILLIS_CHECKED enum willis_status willis_run_load(struct willis_run *run, struct willis_error *err);
/* EXISTS when checkpoints of that name are there; with `overwrite` they are removed. */
WILLIS_CHECKED enum willis_status willis_run_clear(struct willis_run *run,
                                                   struct willis_error *err);
/* The model's metadata (M7). */
WILLIS_CHECKED enum willis_status willis_run_describe(struct willis_run *run, double threshold,
                                                      ptrdiff_t epochs, struct willis_error *err);

/* Appends a row. OUT_OF_MEMORY. */
WILLIS_CHECKED enum willis_status willis_run_add_epoch(struct willis_run *run,
                                                       const struct willis_epoch *epoch,
                                                       struct willis_error *err);
/* The whole log, replaced. */
WILLIS_CHECKED enum willis_status willis_run_write_log(const struct willis_run *run,
                                                       struct willis_error *err);
/* A log written by willis_run_write_log(). The caller frees *epoch with willis_release(). `bytes`
 * end with a zero that is not counted. FORMAT with the line. */
WILLIS_CHECKED enum willis_status willis_log_parse(const unsigned char *bytes, size_t size,
                                                   struct willis_epoch **epoch, ptrdiff_t *count,
                                                   struct willis_error *err);
WILLIS_CHECKED enum willis_status willis_log_read(const char *path, struct willis_epoch **epoch,
                                                  ptrdiff_t *count, struct willis_error *err);

#endif
