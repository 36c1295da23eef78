/* Data sets and training: patients → prepared pairs (M1–M6) → a trained network (M8, M9). */
#ifndef WILLIS_TRAIN_H
#define WILLIS_TRAIN_H

#include <willis/calibration.h>
#include <willis/geometry.h>
#include <willis/network.h>
#include <willis/progress.h>
#include <willis/projector.h>
#include <willis/volume.h>

WILLIS_BEGIN

/* One patient: a shape or a volume. `name` is the file's name without folder and ending. */
struct willis_case {
  char *path;
  char *name;
};

/* Patients in their order. `name` is that of the folder or list, never a path. */
struct willis_cohort {
  struct willis_case *cases;
  ptrdiff_t count;
  char *name;
};

/* The shapes (.obj .stl .ply .swc), volumes (.nii .nrrd .nhdr; each also .gz) and sub-folders (of
 * DICOM slices) of a folder in byte order (LC_ALL=C), or the lines of a text file: one path a line,
 * relative to the list's folder, '#' begins a comment. Other files of a folder are left out. The
 * same path twice is FORMAT: it would leak from training to test. The caller releases it. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_cohort_read(const char *path, struct willis_cohort *cohort, struct willis_error *err);
WILLIS_API void willis_cohort_release(struct willis_cohort *cohort);

/* How a patient becomes an input and a target. */
struct willis_sampling {
  ptrdiff_t size; /* voxels along each edge; training pads with zeros to a multiple of 8 */
  int views;      /* 2…90 (M3) */
  double arc_deg; /* first to last view (90) */
  enum willis_projection_mode mode;
  bool tissue; /* shapes get a soft shell and a skull (willis_voxelize_options) */
  /* Of cone beams, on a detector whose pixels are voxels at the isocenter; both 0: parallel. */
  double source_to_isocenter_mm, source_to_detector_mm;
};
WILLIS_API struct willis_sampling willis_sampling_defaults(void);

/* A shape voxelized, or a volume brought to LPS (M1) and resampled, to size³. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_case_load(const char *path, ptrdiff_t size, bool tissue,
                 const struct willis_warnings *warnings, struct willis_volume *volume,
                 struct willis_error *err);
/* An empty stack with the views of `sampling` for that volume. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_sampling_stack(const struct willis_sampling *sampling, const struct willis_grid *grid,
                      struct willis_projections *stack, struct willis_error *err);
/* What the network sees: back-projected onto `grid` and normalised (M5). */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_network_input(const struct willis_projections *stack, const struct willis_grid *grid,
                     struct willis_volume *input, struct willis_error *err);

/* In which form patients are prepared. */
enum willis_dataset_form {
  WILLIS_DATASET_VOLUMES,    /* grey volume and input, size³ each */
  WILLIS_DATASET_GREY,       /* grey volume alone, for networks that start from projections */
  WILLIS_DATASET_PROJECTIONS /* projections and target bits: a tenth, but the input only by planes
                              */
};

/* Patients prepared for one sampling, kept in memory or made anew each time they are asked for: the
 * same bits. Not thread safe. */
struct willis_dataset;
/* The first `count` cases of the cohort, which must outlive the data set. CANCELLED when progress
 * says so. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_dataset_create(const struct willis_cohort *cohort, ptrdiff_t count,
                      const struct willis_sampling *sampling, enum willis_dataset_form form,
                      bool kept, const struct willis_progress *progress,
                      const struct willis_warnings *warnings, struct willis_dataset **dataset,
                      struct willis_error *err);
WILLIS_API void willis_dataset_destroy(struct willis_dataset *dataset);
/* Other views of the same patients. On failure the data set may only be destroyed. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_dataset_set_views(struct willis_dataset *dataset, int views,
                         const struct willis_progress *progress, struct willis_error *err);
WILLIS_API ptrdiff_t willis_dataset_count(const struct willis_dataset *dataset);
WILLIS_API const char *willis_dataset_name(const struct willis_dataset *dataset, ptrdiff_t i);
WILLIS_API const struct willis_sampling *
willis_dataset_sampling(const struct willis_dataset *dataset);
/* One prepared patient; borrowed from the data set until the next call with it. */
struct willis_pair {
  const struct willis_volume *volume; /* grey values at size³ */
  const struct willis_volume *input;  /* M4, M5; null when the form is GREY */
  const struct willis_volume *truth;  /* 0 and 1 (M6) */
};
/* INVALID_ARGUMENT when the form is PROJECTIONS. */
WILLIS_API WILLIS_CHECKED enum willis_status willis_dataset_fetch(struct willis_dataset *dataset,
                                                                  ptrdiff_t i,
                                                                  struct willis_pair *pair,
                                                                  struct willis_error *err);

/* The same patient by planes, in any form: what the network sees, and the truth as one bit a voxel,
 * x fastest, voxel i is bit i mod 8 of byte i/8. */
struct willis_planes_pair {
  const struct willis_grid *grid;
  struct willis_plane_source input;
  const unsigned char *truth;
};
WILLIS_API WILLIS_CHECKED enum willis_status
willis_dataset_fetch_planes(struct willis_dataset *dataset, ptrdiff_t i,
                            struct willis_planes_pair *pair, struct willis_error *err);

/* Cases [begin, end) of a data set: how patients are split. */
struct willis_subset {
  struct willis_dataset *dataset;
  ptrdiff_t begin, end;
};

/* Learning rate over the steps of a run. */
enum willis_schedule {
  WILLIS_SCHEDULE_CONSTANT, /* the paper's */
  WILLIS_SCHEDULE_COSINE    /* falls along half a cosine to 1 % at the last epoch */
};

enum { WILLIS_TRAIN_VIEW_COUNTS = 16 };

struct willis_train_options {
  const char *network; /* null or "dae"; "unet"; "hull" and "cgan", which learn from GREY data sets
                          and have losses of their own */
  /* "hull": the view counts, at least 1 each, that steps draw from, n views with a probability
   * proportional to 1/n, and validation averages over; the sampling's mode, or both. */
  int view_counts[WILLIS_TRAIN_VIEW_COUNTS], view_count_count;
  bool both_modes;
  /* "hull": two steps of three show another head made of the patient's shape; half of the steps are
   * disturbed by so much (the disturbance's seed is not used). */
  bool vary;
  struct willis_disturbance disturbance;
  double alpha, gamma;  /* focal loss (M8): 0.5, 0.2 */
  double l1;            /* "cgan", the conditional GAN of slices for two views: weight of |drawn −
                         * target| beside the discriminator's word. 0: the GAN alone; pix2pix: 100 */
  double learning_rate; /* 1e-3; pix2pix: 2e-4 */
  double output_bias;   /* start of the last layer's bias; NaN: PyTorch's default initialisation */
  enum willis_schedule schedule;
  ptrdiff_t epochs;
  ptrdiff_t max_steps;             /* stop after so many steps in all; 0: none */
  double budget_s;                 /* stop at the end of the epoch that passes it; 0: none */
  ptrdiff_t patience;              /* stop after so many epochs without a better score; 0: never */
  ptrdiff_t validate_every;        /* epochs between validations (5) */
  double threshold;                /* stored in the model; NaN: the best of validation, else 0.5 */
  uint64_t seed;                   /* initial parameters and order */
  double checkpoint_every_s;       /* 600; 0: at the end only */
  const char *trained_on;          /* names of the data sets, for the model's metadata */
  enum willis_training_plan plan;  /* STORE wants a data set of volumes */
  enum willis_precision precision; /* F32; then the plan does not change the result */
};
WILLIS_API struct willis_train_options willis_train_defaults(void);

/* How training fits into memory: the fastest way that does, and the bytes it takes at most, with
 * what was held before. */
struct willis_train_memory {
  enum willis_training_plan plan;
  enum willis_dataset_form form;
  bool kept; /* all patients in memory */
  size_t bytes;
};
/* For the network and precision of `options` and the first `count` cases, some of them held out for
 * validation or not, within `most` bytes (0: no limit), of which `held` are taken. OUT_OF_MEMORY,
 * with the least that can be, when there is no way. Scans of more than size³ voxels take more while
 * they are read.
 */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_train_memory(const struct willis_train_options *options, const struct willis_cohort *cohort,
                    ptrdiff_t count, const struct willis_sampling *sampling, bool validates,
                    size_t held, size_t most, struct willis_train_memory *memory,
                    struct willis_error *err);
/* The same for network "hull". How large hulls are is not known beforehand: there is room for a
 * fifth of all voxels (11/size of them when that is more), which is more than two views leave, and
 * for 0.3 + 11/size when photons are counted. With `vary` every shape is read once, because it will
 * be kept. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_train_hull_memory(const struct willis_train_options *options,
                         const struct willis_cohort *cohort, ptrdiff_t count,
                         const struct willis_sampling *sampling, size_t held, size_t most,
                         struct willis_train_memory *memory, struct willis_error *err);

/* Files of a run. `model` is required; checkpoints are named after it: model without its ending,
 * then ".step-NNNNNNNN.ckpt" (the last three) and ".best.safetensors". */
struct willis_train_files {
  const char *model;
  const char *log;    /* CSV, one row an epoch; null: none */
  const char *resume; /* a checkpoint to go on from; null: from the beginning */
  const char *from;   /* a model whose parameters training starts with, of any size or view count;
                       * null: drawn from the seed, with `output_bias` */
  bool overwrite;     /* an existing model or log is replaced */
};

/* What is known before the first step counts. */
struct willis_train_plan {
  ptrdiff_t parameters, training_cases, validation_cases;
  ptrdiff_t first_step, last_step; /* last ≥ first; smaller when patience or budget end it */
  double seconds_per_step;         /* measured on a step whose effect is thrown away */
  double cpu_seconds_per_step;     /* of all threads together */
  size_t bytes;                    /* that a step works in, patients apart; 0: not known */
  double seconds;                  /* for what is left, validation included */
};

/* What came out. */
struct willis_train_result {
  ptrdiff_t epochs, steps;
  double loss;            /* mean of the last complete epoch */
  double threshold;       /* as stored in the model */
  double best_iou;        /* mean over validation patients at `threshold`; NaN without them */
  ptrdiff_t best_epoch;   /* whose parameters the model holds; the last one without validation */
  double seconds;         /* all sessions of the run together */
  const char *stopped_by; /* "epochs", "steps", "budget" or "patience"; static */
  bool save_failed;       /* a checkpoint could not be written; training went on */
  struct willis_loss_scale loss_scale; /* at the end */
};

/* The listener may be null; returning false cancels before anything is trained. */
struct willis_train_listener {
  bool (*announce)(const struct willis_train_plan *plan, void *context);
  void *context;
};

/* Trains on `training` (batch of one, order shuffled each epoch) and writes the model. With
 * `validation` (may be empty) the parameters of the epoch with the best IoU are kept. The result
 * has the same bits for any number of threads, and for a run that was interrupted and resumed.
 *
 * When progress asks for a stop the step is finished, a checkpoint is saved and CANCELLED returned.
 * NUMERIC: NaN or infinity at a step, before the update; the best model so far is kept.
 * MISMATCH: the checkpoint comes from another configuration or other data.
 * EXISTS: model or log are there and must not be replaced; looked at before any work. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_train(struct willis_subset training, struct willis_subset validation,
             const struct willis_train_options *options, const struct willis_train_files *files,
             const struct willis_train_listener *listener, const struct willis_progress *progress,
             const struct willis_warnings *warnings, struct willis_train_result *result,
             struct willis_error *err);

/* How a network "hull" is calibrated: on these view counts, of the data set's kind of projection or
 * both. */
struct willis_calibrate_options {
  int view_counts[WILLIS_TRAIN_VIEW_COUNTS], view_count_count; /* 2…90 each, none twice */
  bool both_modes;
  double threshold; /* of every row; NaN: the one of the highest mean IoU */
};
/* What came of one row of the calibration. */
struct willis_calibration_fit {
  ptrdiff_t voxels;  /* of the hulls of all patients, of large grids what a coarser look left */
  double loss_as_is; /* mean binary cross-entropy over them, with temperature 1 */
  double loss;       /* with the row's */
  double iou;        /* mean over the patients at the row's threshold */
};
/* Fits a calibration on patients that the network has not learned from and puts it into the
 * network's metadata in place of any other. willis_train() does so with its validation patients.
 * fit[WILLIS_CALIBRATION_ROWS] may be null. UNSUPPORTED for other networks, INVALID_ARGUMENT,
 * CANCELLED. The same bits for any number of threads. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_calibrate(struct willis_network *network, struct willis_subset held_out,
                 const struct willis_calibrate_options *options,
                 const struct willis_progress *progress, struct willis_calibration *calibration,
                 struct willis_calibration_fit *fit, struct willis_error *err);

WILLIS_END

#endif
