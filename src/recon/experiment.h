/* The parts of an experiment. What every one has: experiment.c (patients, folder), experiment_job.c
 * (trainings), experiment_cases.c (what is tested), experiment_sheet.c, experiment_plate.c and
 * experiment_record.c (what is written). Table 1 has table1.c, experiment_setting.c (what is
 * tried), experiment_report.c and experiment_figure.c; table 2 has table2.h. */
#ifndef WILLIS_RECON_EXPERIMENT_H
#define WILLIS_RECON_EXPERIMENT_H

#include "recon/sweep.h"
#include "recon/train_run.h"

#include <willis/experiment.h>
#include <willis/metrics.h>
#include <willis/reconstruct.h>
#include <willis/train.h>

/* ---- settings ---- */

/* One way to train. */
struct willis_setting {
  const char *name;
  double alpha, gamma, learning_rate, output_bias; /* NaN: PyTorch's */
  enum willis_schedule schedule;
};
/* The paper's (M8, M9). */
extern const struct willis_setting willis_setting_paper;
/* What the chosen one is chosen from, by trials of the first few; the others are asked for by
 * name. */
extern const struct willis_setting willis_setting_candidate[];
extern const int willis_setting_candidates, willis_setting_trials;
/* The candidate of that name; −1 if there is none. */
int willis_setting_find(const char *name);

/* ---- methods ---- */

/* X(name, label). The order is that of the tables. */
#define WILLIS_METHOD_LIST(X)                                                                      \
  X(HULL, "visual hull")                                                                           \
  X(HULL_RECALL, "visual hull, recall >= 0.999")                                                   \
  X(BACKPROJECTION, "back-projection, thresholded")                                                \
  X(PAPER, "network, the paper's setting")                                                         \
  X(CHOSEN, "network, chosen setting")
enum willis_method {
#define WILLIS_METHOD_ENUM(name, label) WILLIS_METHOD_##name,
  WILLIS_METHOD_LIST(WILLIS_METHOD_ENUM)
#undef WILLIS_METHOD_ENUM
      WILLIS_METHODS
};
extern const char *const willis_method_label[WILLIS_METHODS];

/* What the paper reports for a view count (M11); null for one that is not in its table. */
struct willis_published {
  int views;
  double iou, mse, mae;
  double accuracy; /* in its table 2 only */
};
const struct willis_published *willis_published_find(int views);

/* ---- state ---- */

enum { WILLIS_TRIALS_MOST = 16 };

/* One view count: thresholds, trainings, and the scores of every case, cases[method][case]. */
struct willis_experiment_row {
  int views;
  struct willis_sweep_point baseline[WILLIS_METHOD_PAPER]; /* on the training patients */
  double trial_iou[WILLIS_TRIALS_MOST];                    /* on the held-out patients */
  int chosen;                                              /* candidate */
  double threshold[WILLIS_METHODS];
  char stopped_by[WILLIS_METHODS][16]; /* of the two trainings */
  struct willis_epoch *epoch[WILLIS_METHODS];
  ptrdiff_t epochs[WILLIS_METHODS];
  struct willis_scores *cases[WILLIS_METHODS];
};

/* A scan besides the cohort. */
struct willis_extra {
  char name[128];
  struct willis_volume volume, truth;
};

struct willis_experiment {
  const char *name; /* "table1" */
  const struct willis_experiment_options *options;
  const struct willis_progress *progress;
  const struct willis_warnings *warnings;
  struct willis_cohort cohort;
  struct willis_dataset *dataset;
  ptrdiff_t train, test; /* patients [0, train) and [train, train + test) */
  struct willis_extra *extra;
  struct willis_experiment_row row[WILLIS_EXPERIMENT_VIEWS]; /* of table 1 */
  enum willis_training_plan plan;
  char digest[WILLIS_DIGEST_TEXT]; /* of options and data */
  double start_s, seconds;         /* monotonic; since then */
};

/* Patients, scans and the folder. `add` says what makes two experiments the same, beside the
 * patients' files. Whatever is returned, willis_experiment_close() releases it. */
WILLIS_CHECKED enum willis_status
willis_experiment_open(struct willis_experiment *e,
                       void (*add)(const struct willis_experiment *e, struct willis_digest *digest),
                       struct willis_error *err);
void willis_experiment_close(struct willis_experiment *e);
/* Sets e->seconds. */
void willis_experiment_clock(struct willis_experiment *e);
/* What is wrong with the options of any experiment. */
WILLIS_CHECKED enum willis_status
willis_experiment_check(const struct willis_experiment_options *options, struct willis_error *err);

/* False for the paper's setting when one setting is asked for: then it has no cases and no row. */
static inline bool willis_experiment_runs(const struct willis_experiment *e, int method) {
  return method != WILLIS_METHOD_PAPER || !e->options->setting;
}
/* Of table 1. */
static inline const char *willis_experiment_network(const struct willis_experiment *e) {
  return e->options->network ? e->options->network : "dae";
}
static inline ptrdiff_t willis_experiment_cases(const struct willis_experiment *e) {
  return e->test + e->options->also_count;
}
const char *willis_experiment_case_name(const struct willis_experiment *e, ptrdiff_t i);
/* folder/name into `path` (of PATH_MAX bytes). */
WILLIS_CHECKED enum willis_status willis_experiment_path(const struct willis_experiment *e,
                                                         char *path, const char *format,
                                                         struct willis_error *err, ...)
    WILLIS_PRINTF(3, 5);

/* ---- trainings ---- */

/* One training of an experiment. */
struct willis_job {
  const char *network; /* as in willis_train_options */
  double l1;
  const struct willis_setting *setting;
  uint64_t seed;
  ptrdiff_t epochs, validate, validate_every;
  double threshold; /* NaN: chosen by validation */
  char model[PATH_MAX], log[PATH_MAX];
  char from[PATH_MAX]; /* empty: from the seed */
  char label[96];      /* for the progress bar */
};
/* With the defaults of willis_train_options where an experiment does not say otherwise. */
struct willis_job willis_job_defaults(const struct willis_experiment *e);
/* What is there already is kept; what was interrupted goes on. */
WILLIS_CHECKED enum willis_status willis_experiment_run_job(struct willis_experiment *e,
                                                            const struct willis_job *job,
                                                            struct willis_error *err);
/* What a step of it costs, without training: the first one, whose effect is thrown away. */
WILLIS_CHECKED enum willis_status willis_experiment_cost_job(struct willis_experiment *e,
                                                             const struct willis_job *job,
                                                             struct willis_train_plan *plan,
                                                             struct willis_error *err);

/* What a finished training says about itself. `epoch` is the caller's. */
struct willis_outcome {
  double threshold;
  char stopped_by[16];
  ptrdiff_t parameters;
  struct willis_epoch *epoch;
  ptrdiff_t epochs;
};
WILLIS_CHECKED enum willis_status willis_job_outcome(const struct willis_job *job,
                                                     struct willis_outcome *outcome,
                                                     struct willis_error *err);

/* ---- table 1: steps ---- */

/* Thresholds of the methods that learn nothing else, from the training patients. */
WILLIS_CHECKED enum willis_status willis_experiment_baselines(struct willis_experiment *e,
                                                              struct willis_experiment_row *row,
                                                              struct willis_error *err);
/* The views of a volume. */
WILLIS_CHECKED enum willis_status
willis_experiment_project(const struct willis_experiment *e, int views,
                          enum willis_projection_mode mode, const struct willis_volume *volume,
                          struct willis_projections *stack, struct willis_error *err);
/* A volume made of a stack by willis_hull() or its like, normalised as the back-projection is (M5).
 */
typedef enum willis_status willis_volume_maker(const struct willis_projections *stack,
                                               struct willis_volume *volume,
                                               struct willis_error *err);
WILLIS_CHECKED enum willis_status willis_experiment_make(const struct willis_projections *stack,
                                                         const struct willis_grid *grid,
                                                         willis_volume_maker *make,
                                                         struct willis_volume *volume,
                                                         struct willis_error *err);
/* What a model makes of them. */
WILLIS_CHECKED enum willis_status willis_experiment_infer(const char *model,
                                                          const struct willis_projections *stack,
                                                          const struct willis_grid *grid,
                                                          struct willis_volume *prediction,
                                                          struct willis_error *err);
/* Trials, choice and the two trainings of a view count; what is there already is kept. */
WILLIS_CHECKED enum willis_status willis_experiment_train(struct willis_experiment *e,
                                                          struct willis_experiment_row *row,
                                                          struct willis_error *err);
/* Every method on every case. */
WILLIS_CHECKED enum willis_status willis_experiment_test(struct willis_experiment *e,
                                                         struct willis_experiment_row *row,
                                                         struct willis_error *err);
/* The prediction of a method, a value in [0,1], for a volume. */
WILLIS_CHECKED enum willis_status
willis_experiment_predict(struct willis_experiment *e, const struct willis_experiment_row *row,
                          enum willis_method method, const struct willis_volume *volume,
                          struct willis_volume *prediction, struct willis_error *err);
/* A case's volume and truth, borrowed until the next call. */
WILLIS_CHECKED enum willis_status willis_experiment_case(struct willis_experiment *e, ptrdiff_t i,
                                                         const struct willis_volume **volume,
                                                         const struct willis_volume **truth,
                                                         struct willis_error *err);

/* run.json of any experiment; `trainings` is given away. */
struct json_t;
WILLIS_CHECKED enum willis_status willis_experiment_write_record(const struct willis_experiment *e,
                                                                 struct json_t *trainings,
                                                                 struct willis_error *err);
/* What is written; each replaces its files. `rows` view counts are done. */
WILLIS_CHECKED enum willis_status willis_experiment_tables(const struct willis_experiment *e,
                                                           int rows, struct willis_error *err);
WILLIS_CHECKED enum willis_status willis_experiment_curves(const struct willis_experiment *e,
                                                           int rows, struct willis_error *err);
WILLIS_CHECKED enum willis_status willis_experiment_figures(struct willis_experiment *e, int rows,
                                                            struct willis_error *err);
WILLIS_CHECKED enum willis_status willis_experiment_record(const struct willis_experiment *e,
                                                           int rows, struct willis_error *err);

#endif
