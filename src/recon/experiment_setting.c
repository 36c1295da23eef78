/* What is trained: the paper's setting, and the candidates from which the other is chosen on
 * patients held out of the training set. */
#define _GNU_SOURCE
#include "recon/experiment.h"

#include "base/error.h"
#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

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

static enum willis_status name_job(struct willis_experiment *e, struct willis_job *job,
                                   const char *folder, int views, const char *ending,
                                   struct willis_error *err) {
  const char *network = willis_experiment_network(e);
  enum willis_status status = willis_experiment_path(e, job->model, "%s/%s-%d%s.safetensors", err,
                                                     folder, network, views, ending);
  if (!status)
    status = willis_experiment_path(e, job->log, "logs/%s-%d%s.csv", err, network, views, ending);
  if (status || !e->options->from) return status;
  /* Trials start as their candidate would. */
  bool paper = job->setting == &willis_setting_paper;
  int n = snprintf(job->from, sizeof job->from, "%s/%s-%d%s.safetensors", e->options->from, network,
                   views, paper ? "-paper" : "");
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
    struct willis_job job = willis_job_defaults(e);
    job.setting = setting;
    job.epochs = e->options->trial_epochs;
    char ending[32];
    snprintf(ending, sizeof ending, "-trial-%s", setting->name);
    snprintf(job.label, sizeof job.label, "%d views, trial %s", row->views, setting->name);
    struct willis_epoch *epoch = NULL;
    ptrdiff_t count = 0;
    status = name_job(e, &job, "trials", row->views, ending, err);
    if (!status) status = willis_experiment_run_job(e, &job, err);
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

static enum willis_status read_outcome(struct willis_experiment_row *row, enum willis_method method,
                                       const struct willis_job *job, struct willis_error *err) {
  struct willis_outcome o;
  enum willis_status status = willis_job_outcome(job, &o, err);
  if (status) return status;
  row->threshold[method] = o.threshold;
  memcpy(row->stopped_by[method], o.stopped_by, sizeof o.stopped_by);
  willis_release(row->epoch[method]);
  row->epoch[method] = o.epoch;
  row->epochs[method] = o.epochs;
  return WILLIS_OK;
}

enum willis_status willis_experiment_train(struct willis_experiment *e,
                                           struct willis_experiment_row *row,
                                           struct willis_error *err) {
  enum willis_status status = choose(e, row, err);
  if (status) return status;
  /* The paper's setting has no validation: all of the training patients, threshold 0.5. */
  struct willis_job chosen = willis_job_defaults(e), paper = chosen;
  chosen.setting = &willis_setting_candidate[row->chosen];
  paper.setting = &willis_setting_paper;
  paper.validate = 0;
  paper.threshold = 0.5;
  snprintf(chosen.label, sizeof chosen.label, "%d views, chosen setting", row->views);
  snprintf(paper.label, sizeof paper.label, "%d views, the paper's setting", row->views);
  status = name_job(e, &chosen, "models", row->views, "", err);
  if (!status) status = name_job(e, &paper, "models", row->views, "-paper", err);
  if (!status) status = willis_experiment_run_job(e, &chosen, err);
  if (!status) status = read_outcome(row, WILLIS_METHOD_CHOSEN, &chosen, err);
  if (status || !willis_experiment_runs(e, WILLIS_METHOD_PAPER)) return status;
  status = willis_experiment_run_job(e, &paper, err);
  if (!status) status = read_outcome(row, WILLIS_METHOD_PAPER, &paper, err);
  return status;
}
