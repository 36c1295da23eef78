/* run.json: what was run, with what, on what, and what it cost. No path and no person. */
#define _GNU_SOURCE
#include "recon/experiment.h"

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "recon/dataset.h"

#include <willis/willis.h>

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

static json_t *number(double value) {
  return isfinite(value) ? json_real(value) : json_null();
}

/* The processor's own name for itself. */
static json_t *processor(void) {
#if defined(__x86_64__)
  unsigned word[13] = {0};
  unsigned *w = word;
  for (unsigned leaf = 0x80000002u; leaf <= 0x80000004u; leaf++, w += 4)
    if (!__get_cpuid(leaf, &w[0], &w[1], &w[2], &w[3])) break;
  const char *name = (const char *)word;
  while (*name == ' ') name++;
  if (*name) return json_string(name);
#endif
  struct utsname machine;
  return uname(&machine) ? json_null() : json_string(machine.machine);
}

static json_t *costs(const struct willis_experiment *e) {
  struct rusage usage = {0};
  char date[32] = "";
  time_t now = time(NULL);
  struct tm utc;
  if (gmtime_r(&now, &utc)) strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &utc);
  (void)getrusage(RUSAGE_SELF, &usage);
  double cpu = (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec;
  return json_pack("{s:s, s:o, s:i, s:o, s:o, s:o}", "written", date, "processor", processor(),
                   "threads", willis_threads_get(), "session_seconds", number(e->seconds),
                   "session_cpu_seconds", number(cpu), "peak_memory_mib",
                   number((double)usage.ru_maxrss / 1024));
}

static json_t *options_of(const struct willis_experiment *e) {
  const struct willis_experiment_options *o = e->options;
  return json_pack(
      "{s:s, s:I, s:I, s:I, s:I, s:o, s:s, s:b, s:I, s:I, s:I, s:o, s:I, s:s?, s:b, s:s?}", "data",
      o->data_name ? o->data_name : e->cohort.name, "patients", (json_int_t)o->first, "test",
      (json_int_t)o->test_last, "validate", (json_int_t)o->validate, "size", (json_int_t)o->size,
      "arc_deg", number(o->arc_deg), "projection", o->mode == WILLIS_PROJECTION_SUM ? "sum" : "max",
      "tissue", (int)o->tissue, "epochs_at_most", (json_int_t)o->epochs, "trial_epochs",
      (json_int_t)o->trial_epochs, "patience_epochs", (json_int_t)o->patience,
      "budget_minutes_each", number(o->budget_s / 60), "seed", (json_int_t)o->seed, "setting",
      o->setting, "started_from_models", o->from != NULL, "network", o->network);
}

static json_t *patients_of(const struct willis_experiment *e) {
  json_t *list = json_array();
  for (ptrdiff_t i = 0; i < willis_dataset_count(e->dataset); i++) {
    char text[WILLIS_DIGEST_TEXT];
    willis_digest_text(willis_dataset_digest(e->dataset, i), text);
    const char *role = i >= e->train                          ? "test"
                       : i >= e->train - e->options->validate ? "training, held out for choices"
                                                              : "training";
    json_array_append_new(list,
                          json_pack("{s:s, s:s, s:s}", "name", willis_dataset_name(e->dataset, i),
                                    "role", role, "sha256", text));
  }
  return list;
}

static json_t *training_of(const struct willis_experiment_row *row, int method,
                           const struct willis_setting *s) {
  ptrdiff_t n = row->epochs[method];
  const struct willis_epoch *last = n ? &row->epoch[method][n - 1] : NULL;
  return json_pack("{s:s, s:o, s:o, s:o, s:o, s:s, s:I, s:s, s:o, s:o, s:o}", "setting", s->name,
                   "alpha", number(s->alpha), "gamma", number(s->gamma), "learning_rate",
                   number(s->learning_rate), "output_bias", number(s->output_bias), "schedule",
                   s->schedule == WILLIS_SCHEDULE_COSINE ? "cosine" : "constant", "epochs",
                   (json_int_t)n, "stopped_by", row->stopped_by[method], "seconds",
                   number(last ? last->seconds : NAN), "loss", number(last ? last->loss : NAN),
                   "threshold", number(row->threshold[method]));
}

enum willis_status willis_experiment_write_record(const struct willis_experiment *e,
                                                  json_t *trainings, struct willis_error *err) {
  char path[PATH_MAX];
  enum willis_status status = willis_experiment_path(e, path, "run.json", err);
  json_t *record =
      status ? NULL
             : json_pack("{s:s, s:s, s:s, s:o, s:s, s:o, s:O, s:o}", "experiment", e->name,
                         "willis", willis_version(), "notice", willis_disclaimer(), "options",
                         options_of(e), "experiment_sha256", e->digest, "cost", costs(e),
                         "trainings", trainings, "patients", patients_of(e));
  json_decref(trainings);
  if (status) return status;
  char *text = record ? json_dumps(record, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) : NULL;
  json_decref(record);
  if (!text) return willis_fail(err, WILLIS_OUT_OF_MEMORY, "no memory for the run record");
  status = willis_file_write(path, text, strlen(text), true, false, err);
  free(text);
  return status;
}

enum willis_status willis_experiment_record(const struct willis_experiment *e, int rows,
                                            struct willis_error *err) {
  json_t *trainings = json_array();
  for (int r = 0; r < rows; r++) {
    const struct willis_experiment_row *row = &e->row[r];
    json_array_append_new(
        trainings,
        json_pack("{s:i, s:o, s:o}", "views", row->views, "paper",
                  willis_experiment_runs(e, WILLIS_METHOD_PAPER)
                      ? training_of(row, WILLIS_METHOD_PAPER, &willis_setting_paper)
                      : json_null(),
                  "chosen",
                  training_of(row, WILLIS_METHOD_CHOSEN, &willis_setting_candidate[row->chosen])));
  }
  return willis_experiment_write_record(e, trainings, err);
}
