/* Which patients a command takes, and how they are split: what `willis train` and whatever works on
 * its models have in common. */
#ifndef WILLIS_CLI_PATIENTS_H
#define WILLIS_CLI_PATIENTS_H

#include "cli/options.h"

/* For the command's own rows, first of all. */
#define PATIENT_ROWS                                                                               \
  [DATA] =                                                                                         \
      {"data",      0,                                                                             \
       OPTION_TEXT, "FOLDER|LIST.txt",                                                             \
       NULL,        "The patients: shapes or volumes of a folder, in byte order, or of a list",    \
       0,           0},                                                                            \
  [FIRST] = {"first", 0, OPTION_INTEGER, "N", NULL, "Use the first N patients only", 1, 1e9},      \
  [TEST_LAST] = {"test-last", 0,   OPTION_INTEGER,                                                 \
                 "N",         "0", "Leave out the last N of them: they are for testing",           \
                 0,           1e9},                                                                \
  [VALIDATE] =                                                                                     \
      {"validate", 0,   OPTION_INTEGER,                                                            \
       "K",        "0", "Hold out the last K of the others to choose epoch and threshold on",      \
       0,          1e9},                                                                           \
  [ARC] = {"arc", 0, OPTION_REAL, "DEG", "90", "Degrees from the first view to the last", 0, 360}, \
  [TO_ISOCENTER] = {"source-to-isocenter",                                                         \
                    0,                                                                             \
                    OPTION_REAL,                                                                   \
                    "MM",                                                                          \
                    NULL,                                                                          \
                    "Cone beams with their source so far away; with --source-to-detector",         \
                    1e-3,                                                                          \
                    1e5},                                                                          \
  [TO_DETECTOR] = {"source-to-detector",                                                           \
                   0,                                                                              \
                   OPTION_REAL,                                                                    \
                   "MM",                                                                           \
                   NULL,                                                                           \
                   "Cone beams; the detector's pixels are voxels at the isocenter",                \
                   1e-3,                                                                           \
                   1e5},                                                                           \
  [TISSUE] = {"tissue", 0, OPTION_FLAG, NULL, NULL, "Shapes get a soft shell and a skull", 0, 0}
enum {
  DATA,
  FIRST,
  TEST_LAST,
  VALIDATE,
  ARC,
  TO_ISOCENTER,
  TO_DETECTOR,
  TISSUE,
  PATIENT_ROW_COUNT
};

struct patients {
  struct willis_cohort cohort;
  ptrdiff_t train, validate; /* [0, train) and [train, train + validate) */
};
/* What the rows say about how they are shown; the rest are defaults. */
struct willis_sampling patient_sampling(const struct call *call);
/* 0, or an exit code after an error line. The caller releases the cohort. */
int read_patients(const struct call *call, struct patients *patients);

/* "2,5,10" into view counts, none twice. How many; 0 after an error line. */
int read_view_counts(const struct call *call, const char *text,
                     int view_count[WILLIS_TRAIN_VIEW_COUNTS]);

#endif
