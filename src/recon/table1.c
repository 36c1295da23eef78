/* The paper's table 1, run again. For each view count: thresholds of the methods that learn
 * nothing, a setting chosen on held-out patients, two trainings, every method on every case. */
#define _GNU_SOURCE
#include "recon/experiment.h"

#include "base/error.h"
#include "base/memory.h"
#include "io/text.h"

#include <math.h>
#include <string.h>

const char *const willis_method_label[WILLIS_METHODS] = {
#define LABEL(name, label) label,
    WILLIS_METHOD_LIST(LABEL)
#undef LABEL
};

/* M11, as fractions. */
static const struct willis_published published[] = {
    {90, 0.5681, 1.24e-3, 1.96e-2, NAN},  {46, 0.5706, 1.03e-3, 1.53e-2, NAN},
    {24, 0.5643, 1.396e-3, 1.97e-2, NAN}, {10, 0.5222, 1.73e-3, 2.41e-2, NAN},
    {5, 0.4535, 2.77e-3, 2.75e-2, NAN},   {3, 0.3217, 2.24e-3, 2.56e-2, NAN},
    {2, 0.2683, 2.64e-3, 2.516e-2, NAN},
};

const struct willis_published *willis_published_find(int views) {
  for (size_t i = 0; i < sizeof published / sizeof *published; i++)
    if (published[i].views == views) return &published[i];
  return NULL;
}

static enum willis_status check_options(const struct willis_experiment_options *o,
                                        struct willis_error *err) {
  enum willis_status status = willis_experiment_check(o, err);
  if (status) return status;
  for (int i = 0; i < o->view_count; i++)
    for (int k = 0; k < i; k++)
      if (o->views[i] == o->views[k])
        return willis_fail(err, WILLIS_INVALID_ARGUMENT, "%d views are listed twice", o->views[i]);
  if (o->network && !o->setting)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                       "network %s: the paper has no setting for it; name one (a, b, c)",
                       o->network);
  if (o->setting && willis_setting_find(o->setting) < 0)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "no setting is called '%s'", o->setting);
  if (o->epochs < 1 || o->trial_epochs < 1)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "expected at least one epoch");
  return WILLIS_OK;
}

/* What makes two experiments the same: everything but the view counts (which may be added to) and
 * the scans to test on. */
static void add_options(const struct willis_experiment *e, struct willis_digest *digest) {
  const struct willis_experiment_options *o = e->options;
  willis_digest_add_text(
      digest, "table1 size %td arc %.17g mode %d tissue %d test %td validate %td\n", o->size,
      o->arc_deg, (int)o->mode, (int)o->tissue, o->test_last, o->validate);
  willis_digest_add_text(digest, "epochs %td trial %td patience %td budget %.17g seed %llu\n",
                         o->epochs, o->trial_epochs, o->patience, o->budget_s,
                         (unsigned long long)o->seed);
  if (o->setting || o->from)
    willis_digest_add_text(digest, "setting %s warm %d\n", o->setting ? o->setting : "",
                           o->from != NULL);
  if (o->network) willis_digest_add_text(digest, "network %s\n", o->network);
  const struct willis_setting *s = willis_setting_candidate;
  const int named = o->setting ? willis_setting_find(o->setting) : -1;
  for (int c = 0; c < willis_setting_candidates; c++)
    if (c < willis_setting_trials || c == named)
      willis_digest_add_text(digest, "%s %.17g %.17g %.17g %.17g %d\n", s[c].name, s[c].alpha,
                             s[c].gamma, s[c].learning_rate, s[c].output_bias, (int)s[c].schedule);
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

static void release(struct willis_experiment *e) {
  for (int r = 0; r < e->options->view_count; r++)
    for (int m = 0; m < WILLIS_METHODS; m++) {
      willis_release(e->row[r].epoch[m]);
      willis_release(e->row[r].cases[m]);
    }
  willis_experiment_close(e);
  willis_release(e);
}

enum willis_status willis_experiment_table1(const struct willis_experiment_options *options,
                                            const struct willis_progress *progress,
                                            const struct willis_warnings *warnings,
                                            struct willis_error *err) {
  enum willis_status status = check_options(options, err);
  if (status) return status;
  struct willis_experiment *e = willis_take_zeroed(1, sizeof *e);
  if (!e) return willis_fail_memory(err, "the experiment", 1, sizeof *e);
  e->name = "table1";
  e->options = options;
  e->progress = progress;
  e->warnings = warnings;
  locale_t before = willis_locale_enter();
  status = willis_experiment_open(e, add_options, err);
  for (int r = 0; r < options->view_count && !status; r++) {
    status = run_row(e, r, err);
    willis_experiment_clock(e);
    if (!status) status = willis_experiment_tables(e, r + 1, err);
    if (!status) status = willis_experiment_curves(e, r + 1, err);
    if (!status) status = willis_experiment_record(e, r + 1, err);
  }
  if (!status) status = willis_experiment_figures(e, options->view_count, err);
  release(e);
  willis_locale_leave(before);
  return status;
}
