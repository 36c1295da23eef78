/* What is trained: the paper's setting, and the candidates from which the other is chosen on
 * patients held out of the training set. */
#define _GNU_SOURCE
#include "recon/experiment.h"

#include "base/error.h"
#include "base/memory.h"
#include "recon/checkpoint.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const struct willis_setting willis_setting_paper = {"paper", 0.5, 0.2,
                                                    1e-3,    NAN, WILLIS_SCHEDULE_CONSTANT};

const struct willis_setting willis_setting_candidate[] = {
    {"a", 0.95, 1.0, 1e-3, -3, WILLIS_SCHEDULE_COSINE},
    {"b", 0.95, 1.0, 3e-3, -3, WILLIS_SCHEDULE_COSINE},
    {"c", 0.90, 0.2, 3e-3, -3, WILLIS_SCHEDULE_COSINE},
    /* c for a start with a model that is good already: what c's rate would undo. */
    {"d", 0.90, 0.2, 3e-4, -3, WILLIS_SCHEDULE_COSINE},
};
const int willis_setting_candidates =
    sizeof willis_setting_candidate / sizeof *willis_setting_candidate;
const int willis_setting_trials = 3;
_Static_assert(sizeof willis_setting_candidate / sizeof *willis_setting_candidate <=
                   WILLIS_TRIALS_MOST,
               "the rows hold every trial");

int willis_setting_find(const char *name) {
  for (int c = 0; c < willis_setting_candidates; c++)
    if (!strcmp(willis_setting_candidate[c].name, name)) return c;
  return -1;
}

/* One training of the experiment. */
struct job {
  const struct willis_setting *setting;
  ptrdiff_t epochs, validate;
  double threshold; /* NaN: chosen by validation */
  char model[PATH_MAX], log[PATH_MAX];
  char from[PATH_MAX]; /* empty: from the seed */
  char label[96];      /* for the progress bar */
};

/* The library's labels say what a step is; the experiment says which training it belongs to. */
struct relabel {
  const struct willis_progress *outer;
  const char *label;
};

static bool report(const char *what, double done, double total, const char *unit, void *context) {
  const struct relabel *r = context;
  (void)what;
  if (!r->outer || !r->outer->report) return true;
  return r->outer->report(r->label, done, total, unit, r->outer->context);
}

static bool exists(const char *path) {
  struct stat st;
  return !stat(path, &st);
}

/* The newest checkpoint of a job that was interrupted. */
static bool find_checkpoint(const struct job *job, char path[PATH_MAX]) {
  char stem[PATH_MAX];
  unsigned long long step;
  int count = 0;
  snprintf(stem, sizeof stem, "%.*s", (int)(strlen(job->model) - strlen(".safetensors")),
           job->model);
  return !willis_checkpoint_list(stem, &step, 1, &count, NULL) && count &&
         willis_checkpoint_path(path, PATH_MAX, stem, step);
}

static void remove_checkpoints(const struct job *job) {
  char path[PATH_MAX];
  while (find_checkpoint(job, path))
    if (unlink(path)) return;
}

static enum willis_status run_job(struct willis_experiment *e, const struct job *job,
                                  struct willis_error *err) {
  if (exists(job->model)) return WILLIS_OK;
  const struct willis_experiment_options *o = e->options;
  struct willis_train_options options = willis_train_defaults();
  options.alpha = job->setting->alpha;
  options.gamma = job->setting->gamma;
  options.learning_rate = job->setting->learning_rate;
  options.output_bias = job->setting->output_bias;
  options.schedule = job->setting->schedule;
  options.epochs = job->epochs;
  options.patience = o->patience;
  options.budget_s = o->budget_s;
  options.threshold = job->threshold;
  options.seed = o->seed;
  options.plan = e->plan;
  options.trained_on = o->data_name ? o->data_name : e->cohort.name;
  char checkpoint[PATH_MAX];
  bool going_on = find_checkpoint(job, checkpoint);
  struct willis_train_files files = {.model = job->model,
                                     .log = job->log,
                                     .from = job->from[0] ? job->from : NULL,
                                     .resume = going_on ? checkpoint : NULL,
                                     .overwrite = true};
  struct relabel relabel = {e->progress, job->label};
  struct willis_progress progress = {report, &relabel};
  ptrdiff_t split = e->train - job->validate;
  struct willis_subset training = {e->dataset, 0, split};
  struct willis_subset validation = {e->dataset, split, e->train};
  struct willis_train_result result;
  enum willis_status status = willis_train(training, validation, &options, &files, NULL, &progress,
                                           e->warnings, &result, err);
  if (going_on && status == WILLIS_FORMAT) {
    willis_warn(e->warnings, "%s; this training begins anew", err ? err->message : job->model);
    files.resume = NULL;
    status = willis_train(training, validation, &options, &files, NULL, &progress, e->warnings,
                          &result, err);
  }
  if (!status) remove_checkpoints(job);
  return status;
}

static enum willis_status name_job(struct willis_experiment *e, struct job *job, const char *folder,
                                   int views, const char *ending, struct willis_error *err) {
  enum willis_status status =
      willis_experiment_path(e, job->model, "%s/dae-%d%s.safetensors", err, folder, views, ending);
  if (!status)
    status = willis_experiment_path(e, job->log, "logs/dae-%d%s.csv", err, views, ending);
  if (status || !e->options->from) return status;
  /* Trials start as their candidate would. */
  bool paper = job->setting == &willis_setting_paper;
  int n = snprintf(job->from, sizeof job->from, "%s/dae-%d%s.safetensors", e->options->from, views,
                   paper ? "-paper" : "");
  if (n < 0 || (size_t)n >= sizeof job->from)
    return willis_fail(err, WILLIS_IO, "%s: the path is too long", e->options->from);
  return WILLIS_OK;
}

/* Trains every candidate for a few epochs and takes the best on the held-out patients. */
static enum willis_status choose(struct willis_experiment *e, struct willis_experiment_row *row,
                                 struct willis_error *err) {
  enum willis_status status = WILLIS_OK;
  double best = -INFINITY;
  for (int c = 0; c < willis_setting_candidates; c++) row->trial_iou[c] = NAN;
  if (e->options->setting) {
    row->chosen = willis_setting_find(e->options->setting);
    return WILLIS_OK;
  }
  for (int c = 0; c < willis_setting_trials && !status; c++) {
    const struct willis_setting *setting = &willis_setting_candidate[c];
    struct job job = {.setting = setting,
                      .epochs = e->options->trial_epochs,
                      .validate = e->options->validate,
                      .threshold = NAN};
    char ending[32];
    snprintf(ending, sizeof ending, "-trial-%s", setting->name);
    snprintf(job.label, sizeof job.label, "%d views, trial %s", row->views, setting->name);
    struct willis_epoch *epoch = NULL;
    ptrdiff_t count = 0;
    status = name_job(e, &job, "trials", row->views, ending, err);
    if (!status) status = run_job(e, &job, err);
    if (!status) status = willis_log_read(job.log, &epoch, &count, err);
    for (ptrdiff_t i = 0; i < count; i++)
      if (!isnan(epoch[i].best_iou) && !(row->trial_iou[c] >= epoch[i].best_iou))
        row->trial_iou[c] = epoch[i].best_iou;
    willis_release(epoch);
    if (row->trial_iou[c] > best) {
      best = row->trial_iou[c];
      row->chosen = c;
    }
  }
  return status;
}

/* What a finished training says about itself. */
static enum willis_status read_outcome(struct willis_experiment_row *row, enum willis_method method,
                                       const struct job *job, struct willis_error *err) {
  struct willis_network *network = NULL;
  enum willis_status status = willis_network_read(job->model, &network, err);
  if (status) return status;
  const char *threshold = willis_network_metadata(network, "threshold");
  const char *stopped_by = willis_network_metadata(network, "stopped_by");
  row->threshold[method] = threshold ? strtod(threshold, NULL) : 0.5;
  snprintf(row->stopped_by[method], sizeof row->stopped_by[method], "%s",
           stopped_by ? stopped_by : "unknown");
  willis_network_destroy(network);
  willis_release(row->epoch[method]);
  return willis_log_read(job->log, &row->epoch[method], &row->epochs[method], err);
}

enum willis_status willis_experiment_train(struct willis_experiment *e,
                                           struct willis_experiment_row *row,
                                           struct willis_error *err) {
  enum willis_status status = choose(e, row, err);
  if (status) return status;
  /* The paper's setting has no validation: all of the training patients, threshold 0.5. */
  struct job chosen = {.setting = &willis_setting_candidate[row->chosen],
                       .epochs = e->options->epochs,
                       .validate = e->options->validate,
                       .threshold = NAN};
  struct job paper = {.setting = &willis_setting_paper,
                      .epochs = e->options->epochs,
                      .validate = 0,
                      .threshold = 0.5};
  snprintf(chosen.label, sizeof chosen.label, "%d views, chosen setting", row->views);
  snprintf(paper.label, sizeof paper.label, "%d views, the paper's setting", row->views);
  status = name_job(e, &chosen, "models", row->views, "", err);
  if (!status) status = name_job(e, &paper, "models", row->views, "-paper", err);
  if (!status) status = run_job(e, &chosen, err);
  if (!status) status = read_outcome(row, WILLIS_METHOD_CHOSEN, &chosen, err);
  if (status || !willis_experiment_runs(e, WILLIS_METHOD_PAPER)) return status;
  status = run_job(e, &paper, err);
  if (!status) status = read_outcome(row, WILLIS_METHOD_PAPER, &paper, err);
  return status;
}
