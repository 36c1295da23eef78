/* What every experiment has: its patients and scans, and a folder that knows whose it is. What a
 * training leaves (its model) is the mark that it is done; tables and figures are made again from
 * the models. */
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

/* ---- the folder ---- */

static enum willis_status make_folder(const char *path, struct willis_error *err) {
  if (!mkdir(path, 0777) || errno == EEXIST) return WILLIS_OK;
  return willis_fail(err, WILLIS_IO, "%s: cannot make the folder: %s", path, strerror(errno));
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

static void digest_patients(struct willis_experiment *e,
                            void (*add)(const struct willis_experiment *e,
                                        struct willis_digest *digest)) {
  struct willis_digest digest;
  unsigned char bytes[WILLIS_DIGEST_BYTES];
  willis_digest_begin(&digest);
  add(e, &digest);
  for (ptrdiff_t i = 0; i < willis_dataset_count(e->dataset); i++)
    willis_digest_add(&digest, willis_dataset_digest(e->dataset, i), WILLIS_DIGEST_BYTES);
  willis_digest_end(&digest, bytes);
  willis_digest_text(bytes, e->digest);
}

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

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

enum willis_status willis_experiment_check(const struct willis_experiment_options *o,
                                           struct willis_error *err) {
  if (o->view_count < 1 || o->view_count > WILLIS_EXPERIMENT_VIEWS)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "%d view counts: expected 1 to %d",
                       o->view_count, WILLIS_EXPERIMENT_VIEWS);
  if (o->test_last < 1 || o->validate < 1 || o->first <= o->test_last + o->validate)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                       "%td patients, %td of them for testing and %td held out: expected at least "
                       "one of each and one to train on",
                       o->first, o->test_last, o->validate);
  return WILLIS_OK;
}

enum willis_status willis_experiment_open(struct willis_experiment *e,
                                          void (*add)(const struct willis_experiment *e,
                                                      struct willis_digest *digest),
                                          struct willis_error *err) {
  e->start_s = now();
  enum willis_status status = make_folders(e, err);
  if (!status) status = load(e, err);
  if (status) return status;
  digest_patients(e, add);
  return claim_folder(e, err);
}

void willis_experiment_clock(struct willis_experiment *e) {
  e->seconds = now() - e->start_s;
}

void willis_experiment_close(struct willis_experiment *e) {
  for (int i = 0; e->extra && i < e->options->also_count; i++) {
    willis_volume_release(&e->extra[i].volume);
    willis_volume_release(&e->extra[i].truth);
  }
  willis_release(e->extra);
  willis_dataset_destroy(e->dataset);
  willis_cohort_release(&e->cohort);
}
