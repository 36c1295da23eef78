/* The tables of table 2: for people (table.md) and for programs (.csv, run.json). */
#define _GNU_SOURCE
#include "recon/experiment_sheet.h"
#include "recon/table2.h"

#include "base/error.h"
#include "base/memory.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const double minute_s = 60;

/* ---- runs of a row ---- */

/* The runs of a group that are done; `first` is one of them. */
static int runs_of(const struct willis_table2 *t, int group, const struct willis_rival **first) {
  int runs = 0;
  *first = NULL;
  for (int i = 0; i < t->rivals; i++) {
    if (t->rival[i].group != group || !t->rival[i].done) continue;
    if (!runs++) *first = &t->rival[i];
  }
  return runs;
}

/* Each case's scores as the mean over the runs. */
static enum willis_status mean_cases(const struct willis_table2 *t, int group,
                                     struct willis_scores **cases, struct willis_error *err) {
  enum { FIELDS = sizeof(struct willis_scores) / sizeof(double) };
  const ptrdiff_t count = willis_experiment_cases(&t->e);
  const struct willis_rival *first;
  const int runs = runs_of(t, group, &first);
  *cases = willis_take_zeroed(count, sizeof **cases);
  if (!*cases) return willis_fail_memory(err, "scores", count, sizeof **cases);
  for (int i = 0; i < t->rivals; i++) {
    const struct willis_rival *r = &t->rival[i];
    for (ptrdiff_t c = 0; c < count && r->group == group && r->done; c++) {
      double sum[FIELDS], one[FIELDS];
      memcpy(sum, &(*cases)[c], sizeof sum);
      memcpy(one, &r->cases[c], sizeof one);
      for (int f = 0; f < FIELDS; f++) sum[f] += one[f] / runs;
      memcpy(&(*cases)[c], sum, sizeof sum);
    }
  }
  return WILLIS_OK;
}

static double thresholds_mean(const struct willis_table2 *t, int group) {
  const struct willis_rival *first;
  const int runs = runs_of(t, group, &first);
  double sum = 0;
  for (int i = 0; i < t->rivals; i++)
    if (t->rival[i].group == group && t->rival[i].done) sum += t->rival[i].threshold / runs;
  return sum;
}

static ptrdiff_t steps_of(const struct willis_rival *r) {
  const ptrdiff_t n = r->outcome.epochs;
  return n ? (ptrdiff_t)r->outcome.epoch[n - 1].step : 0;
}

/* ---- table.md ---- */

static void add_published(struct willis_out *t, const struct willis_rival_kind *kind) {
  const struct willis_published *p = kind->published;
  if (!p) return;
  willis_out_print(t, "| *%s, published, other patients* | – | 0.500 |", kind->label);
  for (int c = 0; c < willis_sheet_columns; c++) {
    const char *name = willis_sheet_column[c].name;
    const struct willis_summary s = {.n = 1,
                                     .mean = !strcmp(name, "iou")        ? p->iou
                                             : !strcmp(name, "accuracy") ? p->accuracy
                                             : !strcmp(name, "mse")      ? p->mse
                                             : !strcmp(name, "mae")      ? p->mae
                                                                         : NAN};
    willis_sheet_cell(t, &s, willis_sheet_column[c].scale, willis_sheet_column[c].digits);
  }
  willis_out_print(t, "\n");
}

static enum willis_status add_rows(struct willis_out *out, const struct willis_table2 *t,
                                   ptrdiff_t begin, ptrdiff_t end, bool with_published,
                                   struct willis_error *err) {
  willis_out_print(out, "| method | runs | threshold |");
  for (int c = 0; c < willis_sheet_columns; c++)
    willis_out_print(out, " %s |", willis_sheet_column[c].head);
  willis_out_print(out, "\n|---|---|---|");
  for (int c = 0; c < willis_sheet_columns; c++) willis_out_print(out, "---|");
  willis_out_print(out, "\n");
  for (int g = 0; g < t->groups; g++) {
    const struct willis_rival *first;
    const int runs = runs_of(t, g, &first);
    struct willis_scores *cases = NULL;
    if (!first) continue;
    enum willis_status status = mean_cases(t, g, &cases, err);
    if (status) return status;
    willis_out_print(out, "| %s | %d | %.3f |", willis_rival_label(first), runs,
                     thresholds_mean(t, g));
    for (int c = 0; c < willis_sheet_columns; c++) {
      const struct willis_sheet_column *column = &willis_sheet_column[c];
      const struct willis_summary s =
          willis_sheet_summary(cases + begin, end - begin, willis_sheet_score(column->name));
      willis_sheet_cell(out, &s, column->scale, column->digits);
    }
    willis_out_print(out, "\n");
    if (with_published) add_published(out, first->kind);
    willis_release(cases);
  }
  willis_out_print(out, "\n");
  return WILLIS_OK;
}

static void add_number(struct willis_out *out, double value, int digits) {
  if (isfinite(value) && value > 0)
    willis_out_print(out, " %.*f |", digits, value);
  else
    willis_out_print(out, " – |");
}

static void add_costs(struct willis_out *out, const struct willis_table2 *t) {
  willis_out_print(out,
                   "## What it costs\n\nProcessor seconds are of all threads together, and do not "
                   "count what other programs take. A training is its steps times the first "
                   "step's seconds. Memory is what is allocated beside the patients and the views: "
                   "by a training step, and at most while one volume is made, the volume with "
                   "it.\n\n"
                   "| method | parameters | steps a run | CPU s a step | CPU min a training | "
                   "training MiB | CPU s a volume | volume MiB |\n|---|---|---|---|---|---|---|---|"
                   "\n");
  for (int g = 0; g < t->groups; g++) {
    const struct willis_rival *r;
    runs_of(t, g, &r);
    if (!r) continue;
    const double steps = (double)steps_of(r), step_s = r->plan.cpu_seconds_per_step;
    willis_out_print(out, "| %s |", willis_rival_label(r));
    add_number(out, (double)r->outcome.parameters, 0);
    add_number(out, steps, 0);
    add_number(out, step_s, 2);
    add_number(out, steps * step_s / minute_s, 1);
    add_number(out, (double)r->plan.bytes / (1 << 20), 0);
    add_number(out, r->infer_cpu_s, 2);
    add_number(out, (double)r->infer_bytes / (1 << 20), 0);
    willis_out_print(out, "\n");
  }
  willis_out_print(out, "\n");
}

/* The validated epoch before the last one and the last: does it still rise? */
static void held_out(const struct willis_outcome *o, double *best, double *best_epoch,
                     double *before, double *last) {
  *best = *best_epoch = *before = *last = NAN;
  for (ptrdiff_t i = 0; i < o->epochs; i++) {
    const double iou = o->epoch[i].best_iou;
    if (isnan(iou)) continue;
    *before = *last;
    *last = iou;
    if (*best >= iou) continue;
    *best = iou;
    *best_epoch = o->epoch[i].epoch;
  }
}

static void add_seeds(struct willis_out *out, const struct willis_table2 *t) {
  const ptrdiff_t test = t->e.test;
  willis_out_print(
      out,
      "## Seeds, and what has levelled off\n\nHeld-out IoU is that of the %td "
      "training patients that chose epoch and threshold.\n\n| method | seed | epochs | "
      "ended by | best held-out IoU %% | at epoch | at the last but one | at the last "
      "| loss of the last epoch | threshold | test IoU %% |\n"
      "|---|---|---|---|---|---|---|---|---|---|---|\n",
      t->e.options->validate);
  for (int i = 0; i < t->rivals; i++) {
    const struct willis_rival *r = &t->rival[i];
    if (!willis_rival_learns(r) || !r->done) continue;
    const struct willis_outcome *o = &r->outcome;
    double best, epoch, before, last;
    held_out(o, &best, &epoch, &before, &last);
    willis_out_print(out, "| %s | %llu | %td | %s |", r->kind->label,
                     (unsigned long long)r->job.seed, o->epochs, o->stopped_by);
    add_number(out, 100 * best, 2);
    add_number(out, epoch, 0);
    add_number(out, 100 * before, 2);
    add_number(out, 100 * last, 2);
    willis_out_print(out, " %.4g | %.3f |", o->epochs ? o->epoch[o->epochs - 1].loss : NAN,
                     r->threshold);
    const struct willis_summary s = willis_sheet_summary(r->cases, test, willis_sheet_score("iou"));
    willis_sheet_cell(out, &s, 100, 1);
    willis_out_print(out, "\n");
  }
  willis_out_print(out, "\n");
}

static void add_introduction(struct willis_out *out, const struct willis_table2 *t) {
  const struct willis_experiment *e = &t->e;
  const struct willis_experiment_options *o = e->options;
  willis_out_print(out,
                   "# Table 2 at %td³, two views\n\nResearch software. Not a medical device. Not "
                   "for diagnosis, treatment planning or any clinical use.\n\n",
                   o->size);
  willis_out_print(out,
                   "%td patients of %s: %td to train on, %td to test on, split by patient. Two "
                   "views, %g° apart; maximum projections, except where a row says line integrals. "
                   "Mean ± standard deviation over the test patients; a row of several runs shows "
                   "each patient's mean over them.\n\n",
                   o->first, o->data_name ? o->data_name : e->cohort.name, e->train, e->test,
                   o->arc_deg);
  willis_out_print(
      out,
      "**What the published figures can and cannot be compared with.** They are of other, private "
      "patients at 384³ whose volumes held skull and tissue; these hold %s. So a published number "
      "stands beside ours for scale only. What can be compared is the order of methods within one "
      "table, as far as trainings of a few minutes show it, and every row with the rows that need "
      "no training. Accuracy says little: a prediction without a vessel has about 99.7 %%.\n\n",
      o->tissue ? "arteries with a synthetic shell and skull" : "arteries alone");
}

static enum willis_status write_markdown(const struct willis_table2 *t, struct willis_error *err) {
  struct willis_out out;
  const struct willis_experiment *e = &t->e;
  enum willis_status status = willis_sheet_begin(e, "table.md", &out, err);
  if (status) return status;
  add_introduction(&out, t);
  status = add_rows(&out, t, 0, e->test, e->options->arc_deg == 90, err);
  for (int i = 0; i < e->options->also_count && !status; i++) {
    willis_out_print(&out, "## %s\n\nNot of the cohort; truth is its Otsu mask at %td³.\n\n",
                     e->extra[i].name, e->options->size);
    status = add_rows(&out, t, e->test + i, e->test + i + 1, false, err);
  }
  add_costs(&out, t);
  add_seeds(&out, t);
  willis_out_print(&out,
                   "Thresholds are chosen on training patients only: of trained systems on the %td "
                   "held out of training, with the epoch; of total variation on the same; of the "
                   "other methods on all %td. Models from elsewhere bring theirs.\n\n## "
                   "Definitions\n\n",
                   e->options->validate, e->train);
  for (int s = 0; s < willis_scores_count(); s++)
    willis_out_print(&out, "- %s: %s\n", willis_scores_name(s), willis_scores_definition(s));
  if (!status) return willis_sheet_end(&out, err);
  willis_writer_abandon(out.writer, NULL);
  return status;
}

/* ---- for programs ---- */

static enum willis_status write_cases(const struct willis_table2 *t, struct willis_error *err) {
  struct willis_out out;
  enum willis_status status = willis_sheet_begin(&t->e, "cases.csv", &out, err);
  if (status) return status;
  willis_out_print(&out, "method,seed,case,threshold");
  for (int s = 0; s < willis_scores_count(); s++)
    willis_out_print(&out, ",%s", willis_scores_name(s));
  for (int i = 0; i < t->rivals; i++) {
    const struct willis_rival *r = &t->rival[i];
    for (ptrdiff_t c = 0; c < willis_experiment_cases(&t->e) && r->done; c++) {
      willis_out_print(&out, "\n%s,", willis_rival_name(r));
      if (willis_rival_learns(r)) willis_out_print(&out, "%llu", (unsigned long long)r->job.seed);
      willis_out_print(&out, ",%s", willis_experiment_case_name(&t->e, c));
      willis_sheet_number(&out, r->threshold);
      for (int s = 0; s < willis_scores_count(); s++)
        willis_sheet_number(&out, willis_scores_value(&r->cases[c], s));
    }
  }
  willis_out_print(&out, "\n");
  return willis_sheet_end(&out, err);
}

static enum willis_status write_table(const struct willis_table2 *t, struct willis_error *err) {
  struct willis_out out;
  enum willis_status status = willis_sheet_begin(&t->e, "table.csv", &out, err);
  if (status) return status;
  willis_out_print(&out, "method,runs,patients,threshold");
  for (int s = 0; s < willis_scores_count(); s++)
    willis_out_print(&out, ",%s_mean,%s_sd", willis_scores_name(s), willis_scores_name(s));
  for (int g = 0; g < t->groups && !status; g++) {
    const struct willis_rival *r;
    const int runs = runs_of(t, g, &r);
    struct willis_scores *cases = NULL;
    if (!r) continue;
    status = mean_cases(t, g, &cases, err);
    if (status) break;
    willis_out_print(&out, "\n%s,%d,%td", willis_rival_name(r), runs, t->e.test);
    willis_sheet_number(&out, thresholds_mean(t, g));
    for (int s = 0; s < willis_scores_count(); s++) {
      const struct willis_summary summary = willis_sheet_summary(cases, t->e.test, s);
      willis_sheet_number(&out, summary.mean);
      willis_sheet_number(&out, summary.sd);
    }
    willis_release(cases);
  }
  willis_out_print(&out, "\n");
  if (!status) return willis_sheet_end(&out, err);
  willis_writer_abandon(out.writer, NULL);
  return status;
}

static json_t *run_of(const struct willis_rival *r) {
  return json_pack(
      "{s:s, s:o, s:o, s:I, s:I, s:o, s:o, s:I, s:o, s:I}", "method", willis_rival_name(r), "seed",
      willis_rival_learns(r) ? json_integer((json_int_t)r->job.seed) : json_null(), "threshold",
      json_real(r->threshold), "parameters", (json_int_t)r->outcome.parameters, "steps",
      (json_int_t)steps_of(r), "stopped_by",
      willis_rival_learns(r) ? json_string(r->outcome.stopped_by) : json_null(),
      "cpu_seconds_per_step", json_real(r->plan.cpu_seconds_per_step), "training_bytes",
      (json_int_t)r->plan.bytes, "cpu_seconds_per_volume", json_real(r->infer_cpu_s),
      "volume_bytes", (json_int_t)r->infer_bytes);
}

enum willis_status willis_table2_tables(const struct willis_table2 *t, struct willis_error *err) {
  enum willis_status status = write_markdown(t, err);
  if (!status) status = write_cases(t, err);
  if (!status) status = write_table(t, err);
  if (status) return status;
  json_t *runs = json_array();
  for (int i = 0; i < t->rivals; i++)
    if (t->rival[i].done) json_array_append_new(runs, run_of(&t->rival[i]));
  return willis_experiment_write_record(&t->e, runs, err);
}
