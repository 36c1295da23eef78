/* The trainings of an experiment. */
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

struct willis_job willis_job_defaults(const struct willis_experiment *e) {
  const struct willis_experiment_options *o = e->options;
  return (struct willis_job){.network = o->network,
                             .seed = o->seed,
                             .epochs = o->epochs,
                             .validate = o->validate,
                             .validate_every =
                                 o->network ? 1 : willis_train_defaults().validate_every,
                             .threshold = NAN};
}

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
static bool find_checkpoint(const struct willis_job *job, char path[PATH_MAX]) {
  char stem[PATH_MAX];
  unsigned long long step;
  int count = 0;
  snprintf(stem, sizeof stem, "%.*s", (int)(strlen(job->model) - strlen(".safetensors")),
           job->model);
  return !willis_checkpoint_list(stem, &step, 1, &count, NULL) && count &&
         willis_checkpoint_path(path, PATH_MAX, stem, step);
}

static void remove_checkpoints(const struct willis_job *job) {
  char path[PATH_MAX];
  while (find_checkpoint(job, path))
    if (unlink(path)) return;
}

static struct willis_train_options options_of(const struct willis_experiment *e,
                                              const struct willis_job *job) {
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
  options.network = job->network;
  options.l1 = job->l1;
  options.validate_every = job->validate_every;
  options.seed = job->seed;
  /* Only the paper's network can compute again what it does not store. */
  options.plan = !job->network || !strcmp(job->network, "dae") ? e->plan : WILLIS_TRAINING_STORE;
  options.trained_on = o->data_name ? o->data_name : e->cohort.name;
  return options;
}

static void split(const struct willis_experiment *e, const struct willis_job *job,
                  struct willis_subset *training, struct willis_subset *validation) {
  const ptrdiff_t at = e->train - job->validate;
  *training = (struct willis_subset){e->dataset, 0, at};
  *validation = (struct willis_subset){e->dataset, at, e->train};
}

enum willis_status willis_experiment_run_job(struct willis_experiment *e,
                                             const struct willis_job *job,
                                             struct willis_error *err) {
  if (exists(job->model)) return WILLIS_OK;
  const struct willis_train_options options = options_of(e, job);
  char checkpoint[PATH_MAX];
  bool going_on = find_checkpoint(job, checkpoint);
  struct willis_train_files files = {.model = job->model,
                                     .log = job->log,
                                     .from = job->from[0] ? job->from : NULL,
                                     .resume = going_on ? checkpoint : NULL,
                                     .overwrite = true};
  struct relabel relabel = {e->progress, job->label};
  struct willis_progress progress = {report, &relabel};
  struct willis_subset training, validation;
  split(e, job, &training, &validation);
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

enum willis_status willis_experiment_cost_job(struct willis_experiment *e,
                                              const struct willis_job *job,
                                              struct willis_train_plan *plan,
                                              struct willis_error *err) {
  const struct willis_train_options options = options_of(e, job);
  struct willis_subset training, validation;
  split(e, job, &training, &validation);
  return willis_train_measure(training, validation, &options, plan, err);
}

enum willis_status willis_job_outcome(const struct willis_job *job, struct willis_outcome *outcome,
                                      struct willis_error *err) {
  struct willis_network *network = NULL;
  *outcome = (struct willis_outcome){0};
  enum willis_status status = willis_network_read(job->model, &network, err);
  if (status) return status;
  const char *threshold = willis_network_metadata(network, "threshold");
  const char *stopped_by = willis_network_metadata(network, "stopped_by");
  outcome->threshold = threshold ? strtod(threshold, NULL) : 0.5;
  outcome->parameters = willis_network_parameter_count(network);
  snprintf(outcome->stopped_by, sizeof outcome->stopped_by, "%s",
           stopped_by ? stopped_by : "unknown");
  willis_network_destroy(network);
  return willis_log_read(job->log, &outcome->epoch, &outcome->epochs, err);
}
