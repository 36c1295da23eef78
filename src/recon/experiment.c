/* The paper's table 1, run again. For each view count: thresholds of the methods that learn
 * nothing, a setting chosen on held-out patients, two trainings, every method on every case. What
 * a training leaves (its model) is the mark that it is done; tables and figures are made again from
 * the models after each view count. */
#define _GNU_SOURCE
#include "recon/experiment.h"

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "io/text.h"
#include "recon/dataset.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

const char *const willis_method_label[WILLIS_METHODS] = {
#define LABEL(name, label) label,
    WILLIS_METHOD_LIST(LABEL)
#undef LABEL
};

/* M11, as fractions. */
static const struct willis_published published[] = {
    {90, 0.5681, 1.24e-3, 1.96e-2}, {46, 0.5706, 1.03e-3, 1.53e-2}, {24, 0.5643, 1.396e-3, 1.97e-2},
    {10, 0.5222, 1.73e-3, 2.41e-2}, {5, 0.4535, 2.77e-3, 2.75e-2},  {3, 0.3217, 2.24e-3, 2.56e-2},
    {2, 0.2683, 2.64e-3, 2.516e-2},
};

const struct willis_published *willis_published_find(int views) {
  for (size_t i = 0; i < sizeof published / sizeof *published; i++)
    if (published[i].views == views) return &published[i];
  return NULL;
}

struct willis_experiment_options willis_experiment_defaults(void) {
  return (struct willis_experiment_options){.first = 49,
                                            .test_last = 5,
                                            .validate = 4,
                                            .size = 64,
                                            .views = {90, 46, 24, 10, 5, 3, 2},
                                            .view_count = 7,
                                            .arc_deg = 90,
                                            .mode = WILLIS_PROJECTION_MAX,
                                            .epochs = 100,
                                            .trial_epochs = 10,
                                            .patience = 0};
}

enum willis_status willis_experiment_path(const struct willis_experiment *e, char *path,
                                          const char *format, struct willis_error *err, ...) {
  char name[NAME_MAX];
  va_list list;
  va_start(list, err);
  vsnprintf(name, sizeof name, format, list);
  va_end(list);
  int n = snprintf(path, PATH_MAX, "%s/%s", e->options->folder, name);
  if (n > 0 && n < PATH_MAX) return WILLIS_OK;
  return willis_fail(err, WILLIS_IO, "%s: the path is too long", e->options->folder);
}

static enum willis_status check_options(const struct willis_experiment_options *o,
                                        struct willis_error *err) {
  if (o->view_count < 1 || o->view_count > WILLIS_EXPERIMENT_VIEWS)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "%d view counts: expected 1 to %d",
                       o->view_count, WILLIS_EXPERIMENT_VIEWS);
  for (int i = 0; i < o->view_count; i++)
    for (int k = 0; k < i; k++)
      if (o->views[i] == o->views[k])
        return willis_fail(err, WILLIS_INVALID_ARGUMENT, "%d views are listed twice", o->views[i]);
  if (o->test_last < 1 || o->validate < 1 || o->first <= o->test_last + o->validate)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                       "%td patients, %td of them for testing and %td held out: expected at least "
                       "one of each and one to train on",
                       o->first, o->test_last, o->validate);
  if (o->setting && willis_setting_find(o->setting) < 0)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "no setting is called '%s'", o->setting);
  if (o->epochs < 1 || o->trial_epochs < 1)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "expected at least one epoch");
  return WILLIS_OK;
}

/* ---- the folder ---- */

static enum willis_status make_folder(const char *path, struct willis_error *err) {
  if (!mkdir(path, 0777) || errno == EEXIST) return WILLIS_OK;
  return willis_fail(err, WILLIS_IO, "%s: cannot make the folder: %s", path, strerror(errno));
}

/* What makes two experiments the same: everything but the view counts (which may be added to) and
 * the scans to test on. */
static void digest_experiment(struct willis_experiment *e) {
  const struct willis_experiment_options *o = e->options;
  struct willis_digest digest;
  unsigned char bytes[WILLIS_DIGEST_BYTES];
  willis_digest_begin(&digest);
  willis_digest_add_text(
      &digest, "table1 size %td arc %.17g mode %d tissue %d test %td validate %td\n", o->size,
      o->arc_deg, (int)o->mode, (int)o->tissue, o->test_last, o->validate);
  willis_digest_add_text(&digest, "epochs %td trial %td patience %td budget %.17g seed %llu\n",
                         o->epochs, o->trial_epochs, o->patience, o->budget_s,
                         (unsigned long long)o->seed);
  if (o->setting || o->from)
    willis_digest_add_text(&digest, "setting %s warm %d\n", o->setting ? o->setting : "",
                           o->from != NULL);
  const struct willis_setting *s = willis_setting_candidate;
  const int named = o->setting ? willis_setting_find(o->setting) : -1;
  for (int c = 0; c < willis_setting_candidates; c++)
    if (c < willis_setting_trials || c == named)
      willis_digest_add_text(&digest, "%s %.17g %.17g %.17g %.17g %d\n", s[c].name, s[c].alpha,
                             s[c].gamma, s[c].learning_rate, s[c].output_bias, (int)s[c].schedule);
  for (ptrdiff_t i = 0; i < willis_dataset_count(e->dataset); i++)
    willis_digest_add(&digest, willis_dataset_digest(e->dataset, i), WILLIS_DIGEST_BYTES);
  willis_digest_end(&digest, bytes);
  willis_digest_text(bytes, e->digest);
}

/* The folder carries the digest of its experiment. */
static enum willis_status claim_folder(struct willis_experiment *e, struct willis_error *err) {
  char path[PATH_MAX];
  unsigned char *bytes = NULL;
  size_t size = 0;
  struct stat st;
  enum willis_status status = willis_experiment_path(e, path, "experiment.sha256", err);
  if (status) return status;
  if (!stat(path, &st)) {
    status = willis_file_read(path, 4096, &bytes, &size, err);
    if (!status && (size != WILLIS_DIGEST_TEXT || strncmp((char *)bytes, e->digest, size - 1)))
      status = willis_fail(err, WILLIS_MISMATCH,
                           "%s: the folder holds an experiment with other options, candidates or "
                           "patients",
                           e->options->folder);
    willis_release(bytes);
    return status;
  }
  char text[WILLIS_DIGEST_TEXT + 1];
  snprintf(text, sizeof text, "%s\n", e->digest);
  return willis_file_write(path, text, WILLIS_DIGEST_TEXT, false, false, err);
}

static enum willis_status make_folders(const struct willis_experiment *e,
                                       struct willis_error *err) {
  static const char *const names[] = {"models", "trials", "logs"};
  char path[PATH_MAX];
  struct stat st;
  enum willis_status status = willis_experiment_path(e, path, "experiment.sha256", err);
  if (!status && !e->options->resume && !stat(path, &st))
    return willis_fail(err, WILLIS_EXISTS, "%s: holds an experiment; --resume goes on with it",
                       e->options->folder);
  if (!status) status = make_folder(e->options->folder, err);
  for (size_t i = 0; i < sizeof names / sizeof *names && !status; i++) {
    status = willis_experiment_path(e, path, "%s", err, names[i]);
    if (!status) status = make_folder(path, err);
  }
  return status;
}

/* ---- the whole ---- */

static enum willis_status load(struct willis_experiment *e, struct willis_error *err) {
  const struct willis_experiment_options *o = e->options;
  enum willis_status status = willis_cohort_read(o->data, &e->cohort, err);
  if (status) return status;
  if (e->cohort.count < o->first)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "%s has %td patients, %td are wanted",
                       e->cohort.name, e->cohort.count, o->first);
  e->train = o->first - o->test_last;
  e->test = o->test_last;
  struct willis_sampling sampling = {.size = o->size,
                                     .views = o->views[0],
                                     .arc_deg = o->arc_deg,
                                     .mode = o->mode,
                                     .tissue = o->tissue};
  struct willis_train_memory memory;
  const struct willis_train_options options = willis_train_defaults();
  status = willis_train_memory(&options, &e->cohort, o->first, &sampling, true, 0, o->max_memory,
                               &memory, err);
  if (status) return status;
  e->plan = memory.plan;
  /* The methods beside the network need grey volumes. */
  bool kept = memory.kept && memory.form == WILLIS_DATASET_VOLUMES;
  status = willis_dataset_create(&e->cohort, o->first, &sampling, WILLIS_DATASET_VOLUMES, kept,
                                 e->progress, e->warnings, &e->dataset, err);
  if (status || !o->also_count) return status;
  e->extra = willis_take_zeroed(o->also_count, sizeof *e->extra);
  if (!e->extra) return willis_fail_memory(err, "scans", o->also_count, sizeof *e->extra);
  for (int i = 0; i < o->also_count && !status; i++) {
    struct willis_extra *x = &e->extra[i];
    const char *slash = strrchr(o->also[i], '/');
    double otsu;
    snprintf(x->name, sizeof x->name, "%s", slash ? slash + 1 : o->also[i]);
    x->name[strcspn(x->name, ".")] = 0;
    status = willis_case_load(o->also[i], o->size, o->tissue, e->warnings, &x->volume, err);
    if (!status) status = willis_volume_otsu(&x->volume, &otsu, err);
    if (!status) status = willis_volume_threshold(&x->volume, otsu, false, &x->truth, err);
  }
  return status;
}

static void release(struct willis_experiment *e) {
  for (int r = 0; r < e->options->view_count; r++)
    for (int m = 0; m < WILLIS_METHODS; m++) {
      willis_release(e->row[r].epoch[m]);
      willis_release(e->row[r].cases[m]);
    }
  for (int i = 0; e->extra && i < e->options->also_count; i++) {
    willis_volume_release(&e->extra[i].volume);
    willis_volume_release(&e->extra[i].truth);
  }
  willis_release(e->extra);
  willis_dataset_destroy(e->dataset);
  willis_cohort_release(&e->cohort);
  willis_release(e);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static enum willis_status run_row(struct willis_experiment *e, int r, struct willis_error *err) {
  struct willis_experiment_row *row = &e->row[r];
  row->views = e->options->views[r];
  enum willis_status status = willis_dataset_set_views(e->dataset, row->views, e->progress, err);
  if (!status) status = willis_experiment_baselines(e, row, err);
  if (!status) status = willis_experiment_train(e, row, err);
  if (!status) status = willis_experiment_test(e, row, err);
  return status;
}

enum willis_status willis_experiment_table1(const struct willis_experiment_options *options,
                                            const struct willis_progress *progress,
                                            const struct willis_warnings *warnings,
                                            struct willis_error *err) {
  enum willis_status status = check_options(options, err);
  if (status) return status;
  struct willis_experiment *e = willis_take_zeroed(1, sizeof *e);
  if (!e) return willis_fail_memory(err, "the experiment", 1, sizeof *e);
  e->options = options;
  e->progress = progress;
  e->warnings = warnings;
  double start = now();
  locale_t before = willis_locale_enter();
  status = make_folders(e, err);
  if (!status) status = load(e, err);
  if (!status) digest_experiment(e);
  if (!status) status = claim_folder(e, err);
  for (int r = 0; r < options->view_count && !status; r++) {
    status = run_row(e, r, err);
    e->seconds = now() - start;
    if (!status) status = willis_experiment_tables(e, r + 1, err);
    if (!status) status = willis_experiment_curves(e, r + 1, err);
    if (!status) status = willis_experiment_record(e, r + 1, err);
  }
  if (!status) status = willis_experiment_figures(e, options->view_count, err);
  release(e);
  willis_locale_leave(before);
  return status;
}
