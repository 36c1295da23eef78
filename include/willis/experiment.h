/* The paper's tables (M11), run again. Table 1: every view count trained, tested and set beside the
 * visual hull and the thresholded back-projection. Table 2: the systems that it compares, and fair
 * baselines, from two views. */
#ifndef WILLIS_EXPERIMENT_H
#define WILLIS_EXPERIMENT_H

#include <willis/error.h>
#include <willis/geometry.h>
#include <willis/progress.h>

WILLIS_BEGIN

enum { WILLIS_EXPERIMENT_VIEWS = 16, WILLIS_EXPERIMENT_SYSTEMS = 4 };

struct willis_experiment_options {
  const char *data;      /* a cohort (willis_cohort_read) */
  const char *data_name; /* null: the cohort's name */
  const char *folder;    /* results; made if it is not there */
  ptrdiff_t first;       /* patients used: 49 */
  ptrdiff_t test_last;   /* of these, for testing only: 5 */
  ptrdiff_t validate;    /* of the others, held out to choose a setting on: 4 */
  ptrdiff_t size;
  int views[WILLIS_EXPERIMENT_VIEWS], view_count;
  double arc_deg;
  enum willis_projection_mode mode;
  bool tissue;
  ptrdiff_t epochs;       /* at most, of each training */
  ptrdiff_t trial_epochs; /* of each candidate setting */
  ptrdiff_t patience;     /* epochs without a better score; 0: never stop early */
  double budget_s;        /* of each training; 0: none */
  size_t max_memory;      /* of each training, patients included; 0: no limit. Testing holds a few
                           * volumes of its own */
  uint64_t seed;
  const char *from;    /* a folder of models dae-<views>[-paper].safetensors, for instance those of
                        * the next smaller size: trainings start with them; null: from the seed */
  const char *setting; /* train with this candidate only: no trials, and not the paper's; null:
                        * trials choose, and the paper's is trained too */
  const char *network; /* table 1: null or "dae", or another that learns from volumes ("unet"),
                        * which wants `setting` and validates after every epoch */
  int seeds;           /* table 2: trainings of each system, with seeds `seed`, `seed` + 1 … */
  ptrdiff_t system_epochs[WILLIS_EXPERIMENT_SYSTEMS]; /* table 2, in place of `epochs`: of the
                                                       * conditional GAN, the L1 + conditional GAN,
                                                       * the paper's network, the U-Net */
  const char *const *with; /* table 2: models from elsewhere, a row each */
  int with_count;
  bool resume;             /* go on with what is in the folder */
  const char *const *also; /* further volumes to test on, for instance real scans */
  int also_count;
};
/* The standard cohort at 64³ with the paper's seven view counts. */
WILLIS_API struct willis_experiment_options willis_experiment_defaults(void);

/* Writes into the folder: table.md and table.csv (mean ± sd over the test patients, a section for
 * each of `also`), cases.csv (every score of every case), trials.csv (how the setting was chosen),
 * curves.svg, figure.png, figure-methods.png, run.json, logs/, and models/dae-<views>.safetensors
 * (chosen setting) and dae-<views>-paper.safetensors.
 *
 * A finished model is not trained again; an interrupted one goes on from its checkpoint. EXISTS:
 * the folder holds an experiment and `resume` is not set; MISMATCH: it was another one. CANCELLED
 * when progress asks for a stop, after a checkpoint. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_experiment_table1(const struct willis_experiment_options *options,
                         const struct willis_progress *progress,
                         const struct willis_warnings *warnings, struct willis_error *err);

/* 128³, two views, three seeds; epochs that take about 3½ processor minutes a training. */
WILLIS_API struct willis_experiment_options willis_experiment_table2_defaults(void);
/* Table 2: back-projection, hull, hull with a continuity prior and total variation; the four
 * systems of `system_epochs`; the models of `with`. Writes table.md and table.csv, cases.csv,
 * curves.svg, figure.png, run.json, logs/ and models/<system>-seed<k>.safetensors, after every
 * training anew. Goes on and refuses as table 1 does; more seeds may be asked for later.
 * INVALID_ARGUMENT for other view counts than 2, line integrals, or sizes that are no multiples
 * of 64. While a volume is made and measured, memory of the whole process goes through a counting
 * allocator. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_experiment_table2(const struct willis_experiment_options *options,
                         const struct willis_progress *progress,
                         const struct willis_warnings *warnings, struct willis_error *err);

WILLIS_END

#endif
