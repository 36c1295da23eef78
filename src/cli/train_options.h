/* The options of willis train. */
#ifndef WILLIS_CLI_TRAIN_OPTIONS_H
#define WILLIS_CLI_TRAIN_OPTIONS_H

#include "cli/patients.h"

/* clang-format off */
enum {
  VIEWS = PATIENT_ROW_COUNT, SIZE, EPOCHS, NETWORK, L1, ALPHA, GAMMA, LR, SCHEDULE, OUTPUT_BIAS,
  THRESHOLD, PRECISION, MODE, VARY, ANGLE_ERROR, SHIFT_ERROR, PHOTONS, MAX_MEMORY, MAX_STEPS,
  BUDGET, PATIENCE, VALIDATE_EVERY, CHECKPOINT_EVERY, FROM, RESUME, LOG, DATA_NAME
};
/* clang-format on */

extern const struct option_row train_rows[];
/* True for --network hull, one model for every view count. */
bool learns_any_views(const struct call *call);
/* True for --network cgan. */
bool draws_slices(const struct call *call);
/* 0, or the exit code after a line about options that do not go together. */
int check_train_options(const struct call *call);
/* What they say about how to train; `trained_on` stays null. */
struct willis_train_options read_train_options(const struct call *call);

#endif
