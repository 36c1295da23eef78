/* The tables of an experiment: for people (table.md) and for programs (.csv). */
#define _GNU_SOURCE
#include "recon/experiment_sheet.h"

#include "base/error.h"
#include "base/file.h"
#include "io/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* One score of a method over the cases [begin, end). */
static struct willis_summary summarize(const struct willis_experiment_row *row, int method,
                                       int score, ptrdiff_t begin, ptrdiff_t end) {
  return willis_sheet_summary(row->cases[method] + begin, end - begin, score);
}

static void add_head(struct willis_out *t) {
  willis_out_print(t, "| views | method | threshold |");
  for (int c = 0; c < willis_sheet_columns; c++)
    willis_out_print(t, " %s |", willis_sheet_column[c].head);
  willis_out_print(t, "\n|---|---|---|");
  for (int c = 0; c < willis_sheet_columns; c++) willis_out_print(t, "---|");
  willis_out_print(t, "\n");
}

static void add_published(struct willis_out *t, const struct willis_published *p) {
  if (!p) return;
  willis_out_print(t, "| %d | *published, other patients* | 0.5 |", p->views);
  for (int c = 0; c < willis_sheet_columns; c++) {
    double value = !strcmp(willis_sheet_column[c].name, "iou")   ? p->iou
                   : !strcmp(willis_sheet_column[c].name, "mse") ? p->mse
                   : !strcmp(willis_sheet_column[c].name, "mae") ? p->mae
                                                                 : NAN;
    struct willis_summary s = {.n = 1, .mean = value};
    willis_sheet_cell(t, &s, willis_sheet_column[c].scale, willis_sheet_column[c].digits);
  }
  willis_out_print(t, "\n");
}

static void add_rows(struct willis_out *t, const struct willis_experiment *e, int rows,
                     ptrdiff_t begin, ptrdiff_t end, bool with_published) {
  add_head(t);
  for (int r = 0; r < rows; r++) {
    const struct willis_experiment_row *row = &e->row[r];
    for (int m = 0; m < WILLIS_METHODS; m++) {
      if (!willis_experiment_runs(e, m)) continue;
      willis_out_print(t, "| %d | %s | %.3f |", row->views, willis_method_label[m],
                       row->threshold[m]);
      for (int c = 0; c < willis_sheet_columns; c++) {
        struct willis_summary s =
            summarize(row, m, willis_sheet_score(willis_sheet_column[c].name), begin, end);
        willis_sheet_cell(t, &s, willis_sheet_column[c].scale, willis_sheet_column[c].digits);
      }
      willis_out_print(t, "\n");
    }
    if (with_published) add_published(t, willis_published_find(row->views));
  }
  willis_out_print(t, "\n");
}

/* Which method is best, said in words. */
static void add_verdict(struct willis_out *t, const struct willis_experiment *e, int rows) {
  int iou = willis_sheet_score("iou");
  for (int r = 0; r < rows; r++) {
    const struct willis_experiment_row *row = &e->row[r];
    double hull = summarize(row, WILLIS_METHOD_HULL, iou, 0, e->test).mean;
    double network = summarize(row, WILLIS_METHOD_CHOSEN, iou, 0, e->test).mean;
    willis_out_print(t, "- %d views: the %s is better, IoU %.1f %% against %.1f %%.\n", row->views,
                     network > hull ? "network (chosen setting)" : "visual hull",
                     100 * fmax(hull, network), 100 * fmin(hull, network));
  }
  willis_out_print(t, "\n");
}

/* What there was no time or wish for is a dash. */
static void add_percent(struct willis_out *t, double value) {
  if (isnan(value))
    willis_out_print(t, " – |");
  else
    willis_out_print(t, " %.1f |", 100 * value);
}

static void add_choice(struct willis_out *t, const struct willis_experiment *e) {
  const struct willis_experiment_options *o = e->options;
  ptrdiff_t learned = e->train - o->validate;
  willis_out_print(t, "## How the setting was chosen\n\n");
  if (o->from)
    willis_out_print(t, "Every training started with the parameters of a model trained at another "
                        "size (--from).\n\n");
  if (o->setting) {
    willis_out_print(t,
                     "Setting %s was taken without trials (--setting), trained on %td of the %td "
                     "training patients, its epoch and threshold chosen on the other %td. The "
                     "paper's setting was not run.\n\n",
                     o->setting, learned, e->train, o->validate);
    return;
  }
  willis_out_print(t,
                   "Each candidate was trained for %td epoch(s) on "
                   "%td of the %td training patients; the number is its best mean IoU (%%) on the "
                   "other %td. ",
                   o->trial_epochs, learned, e->train, o->validate);
  willis_out_print(t,
                   "The chosen one was then trained on the same %td patients, its epoch "
                   "and threshold chosen on the same %td. The paper's setting was trained on all "
                   "%td, threshold 0.5, last epoch.\n\n",
                   learned, o->validate, e->train);
}

static void add_settings(struct willis_out *t, const struct willis_experiment *e, int rows) {
  const struct willis_setting *s = willis_setting_candidate;
  add_choice(t, e);
  willis_out_print(t, "| views |");
  for (int c = 0; c < willis_setting_trials; c++) willis_out_print(t, " %s |", s[c].name);
  willis_out_print(t, " chosen | epochs trained | ended by | paper's: epochs | ended by |\n|---|");
  for (int c = 0; c < willis_setting_trials + 5; c++) willis_out_print(t, "---|");
  for (int r = 0; r < rows; r++) {
    const struct willis_experiment_row *row = &e->row[r];
    willis_out_print(t, "\n| %d |", row->views);
    for (int c = 0; c < willis_setting_trials; c++) add_percent(t, row->trial_iou[c]);
    willis_out_print(t, " %s | %td | %s |", s[row->chosen].name, row->epochs[WILLIS_METHOD_CHOSEN],
                     row->stopped_by[WILLIS_METHOD_CHOSEN]);
    if (willis_experiment_runs(e, WILLIS_METHOD_PAPER))
      willis_out_print(t, " %td | %s |", row->epochs[WILLIS_METHOD_PAPER],
                       row->stopped_by[WILLIS_METHOD_PAPER]);
    else
      willis_out_print(t, " – | – |");
  }
  willis_out_print(t, "\n\nCandidates (Adam, batch of one; an output bias counts where a training "
                      "does not start with a model):\n\n");
  for (int c = 0; c < willis_setting_candidates; c++)
    willis_out_print(t, "- %s: α %g, γ %g, rate %g (%s), output bias %g\n", s[c].name, s[c].alpha,
                     s[c].gamma, s[c].learning_rate,
                     s[c].schedule == WILLIS_SCHEDULE_COSINE ? "cosine" : "constant",
                     s[c].output_bias);
  willis_out_print(t, "- the paper's: α 0.5, γ 0.2, rate 0.001 (constant), PyTorch's initial "
                      "output bias\n\n");
}

static void add_hulls(struct willis_out *t, const struct willis_experiment *e, int rows) {
  willis_out_print(t,
                   "## Thresholds of what learns nothing else\n\nChosen on the %td training "
                   "patients; recall and size there.\n\n| views | hull: threshold | IoU %% | "
                   "hull for recall: threshold | recall %% | size, %% of voxels | "
                   "back-projection: threshold | IoU %% |\n|---|---|---|---|---|---|---|---|\n",
                   e->train);
  for (int r = 0; r < rows; r++) {
    const struct willis_sweep_point *b = e->row[r].baseline;
    const struct willis_sweep_point *hull = &b[WILLIS_METHOD_HULL],
                                    *recall = &b[WILLIS_METHOD_HULL_RECALL],
                                    *back = &b[WILLIS_METHOD_BACKPROJECTION];
    willis_out_print(t, "| %d | %.3f | %.1f | %.3f | %.2f | %.2f | %.3f | %.1f |\n",
                     e->row[r].views, hull->threshold, 100 * hull->iou, recall->threshold,
                     100 * recall->recall, 100 * recall->fraction, back->threshold,
                     100 * back->iou);
  }
  willis_out_print(t, "\n");
}

static enum willis_status write_markdown(const struct willis_experiment *e, int rows,
                                         struct willis_error *err) {
  struct willis_out t;
  const struct willis_experiment_options *o = e->options;
  enum willis_status status = willis_sheet_begin(e, "table.md", &t, err);
  if (status) return status;
  willis_out_print(&t,
                   "# Table 1 at %td³\n\nResearch software. Not a medical device. Not for "
                   "diagnosis, treatment planning or any clinical use.\n\n"
                   "",
                   o->size);
  willis_out_print(
      &t,
      "%td patients of %s: %td to train on, %td to test on, split by patient. Arc %g°, "
      "%s projections. Mean ± standard deviation over the test patients.\n\n",
      o->first, o->data_name ? o->data_name : e->cohort.name, e->train, e->test, o->arc_deg,
      o->mode == WILLIS_PROJECTION_SUM ? "sum" : "maximum");
  willis_out_print(&t,
                   "These volumes hold %s; the published numbers (Wu et al. 2023) are from other, "
                   "private patients at 384³ whose volumes held skull and tissue, so they stand "
                   "beside ours for scale only.\n\n",
                   o->tissue ? "arteries with a synthetic shell and skull" : "arteries alone");
  if (o->network) willis_out_print(&t, "The network is %s.\n\n", o->network);
  add_verdict(&t, e, rows);
  add_rows(&t, e, rows, 0, e->test,
           o->arc_deg == 90 && o->mode == WILLIS_PROJECTION_MAX && !o->network);
  for (int i = 0; i < o->also_count; i++) {
    willis_out_print(&t, "## %s\n\nNot of the cohort; truth is its Otsu mask at %td³.\n\n",
                     e->extra[i].name, o->size);
    add_rows(&t, e, rows, e->test + i, e->test + i + 1, false);
  }
  add_hulls(&t, e, rows);
  add_settings(&t, e, rows);
  willis_out_print(&t, "## Definitions\n\n");
  for (int s = 0; s < willis_scores_count(); s++)
    willis_out_print(&t, "- %s: %s\n", willis_scores_name(s), willis_scores_definition(s));
  return willis_sheet_end(&t, err);
}

/* ---- for programs ---- */

static enum willis_status write_cases(const struct willis_experiment *e, int rows,
                                      struct willis_error *err) {
  struct willis_out t;
  enum willis_status status = willis_sheet_begin(e, "cases.csv", &t, err);
  if (status) return status;
  willis_out_print(&t, "views,method,case,threshold");
  for (int s = 0; s < willis_scores_count(); s++)
    willis_out_print(&t, ",%s", willis_scores_name(s));
  for (int r = 0; r < rows; r++)
    for (int m = 0; m < WILLIS_METHODS; m++)
      for (ptrdiff_t i = 0; i < willis_experiment_cases(e) && willis_experiment_runs(e, m); i++) {
        willis_out_print(&t, "\n%d,\"%s\",%s", e->row[r].views, willis_method_label[m],
                         willis_experiment_case_name(e, i));
        willis_sheet_number(&t, e->row[r].threshold[m]);
        for (int s = 0; s < willis_scores_count(); s++)
          willis_sheet_number(&t, willis_scores_value(&e->row[r].cases[m][i], s));
      }
  willis_out_print(&t, "\n");
  return willis_sheet_end(&t, err);
}

static enum willis_status write_table(const struct willis_experiment *e, int rows,
                                      struct willis_error *err) {
  struct willis_out t;
  enum willis_status status = willis_sheet_begin(e, "table.csv", &t, err);
  if (status) return status;
  willis_out_print(&t, "views,method,patients,threshold");
  for (int s = 0; s < willis_scores_count(); s++)
    willis_out_print(&t, ",%s_mean,%s_sd", willis_scores_name(s), willis_scores_name(s));
  for (int r = 0; r < rows; r++)
    for (int m = 0; m < WILLIS_METHODS; m++) {
      if (!willis_experiment_runs(e, m)) continue;
      willis_out_print(&t, "\n%d,\"%s\",%td", e->row[r].views, willis_method_label[m], e->test);
      willis_sheet_number(&t, e->row[r].threshold[m]);
      for (int s = 0; s < willis_scores_count(); s++) {
        struct willis_summary summary = summarize(&e->row[r], m, s, 0, e->test);
        willis_sheet_number(&t, summary.mean);
        willis_sheet_number(&t, summary.sd);
      }
    }
  willis_out_print(&t, "\n");
  return willis_sheet_end(&t, err);
}

static enum willis_status write_trials(const struct willis_experiment *e, int rows,
                                       struct willis_error *err) {
  struct willis_out t;
  enum willis_status status = willis_sheet_begin(e, "trials.csv", &t, err);
  if (status) return status;
  willis_out_print(&t, "views,candidate,alpha,gamma,learning_rate,schedule,output_bias,epochs,"
                       "validation_iou,chosen\n");
  for (int r = 0; r < rows; r++)
    for (int c = 0; c < willis_setting_candidates; c++) {
      const struct willis_setting *s = &willis_setting_candidate[c];
      willis_out_print(&t, "%d,%s,%g,%g,%g,%s,%g,%td", e->row[r].views, s->name, s->alpha, s->gamma,
                       s->learning_rate,
                       s->schedule == WILLIS_SCHEDULE_COSINE ? "cosine" : "constant",
                       s->output_bias, e->options->trial_epochs);
      willis_sheet_number(&t, e->row[r].trial_iou[c]);
      willis_out_print(&t, ",%d\n", c == e->row[r].chosen);
    }
  return willis_sheet_end(&t, err);
}

enum willis_status willis_experiment_tables(const struct willis_experiment *e, int rows,
                                            struct willis_error *err) {
  enum willis_status status = write_markdown(e, rows, err);
  if (!status) status = write_cases(e, rows, err);
  if (!status) status = write_table(e, rows, err);
  if (!status) status = write_trials(e, rows, err);
  return status;
}
