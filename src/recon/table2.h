/* The paper's table 2 and fair baselines for all of it: table2.c (what is done), table2_test.c
 * (what is tested and measured), table2_report.c and table2_figure.c (what is written). */
#ifndef WILLIS_RECON_TABLE2_H
#define WILLIS_RECON_TABLE2_H

#include "recon/experiment.h"

/* A row of the table. Of the three ways to get a volume one is set: `make` from the views,
 * `network` by training, or neither, for a model that comes from elsewhere. */
struct willis_rival_kind {
  const char *name, *label;
  willis_volume_maker *make;
  enum willis_projection_mode mode; /* that `make` wants */
  bool slow;                        /* its threshold is chosen on the held-out patients alone */
  const char *network;              /* as in willis_train_options */
  double l1;
  const struct willis_setting *setting;
  const struct willis_published *published;
};

/* One run of a kind: a method, a seed of a system, a model. */
struct willis_rival {
  const struct willis_rival_kind *kind;
  int group;             /* the runs of one row are neighbours */
  bool done;             /* there are scores */
  struct willis_job job; /* of a system; else only `model` counts */
  char name[60];         /* of a model from elsewhere */
  struct willis_outcome outcome;
  double threshold;
  struct willis_scores *cases;
  struct willis_train_plan plan; /* what a step costs; of the first seed */
  double infer_cpu_s;            /* mean over the cases */
  size_t infer_bytes;            /* the most over the cases */
};

enum { WILLIS_RIVALS_MOST = 64 };

struct willis_table2 {
  struct willis_experiment e;
  struct willis_rival rival[WILLIS_RIVALS_MOST];
  int rivals, groups;
};

/* The views that every row gets. */
enum { WILLIS_TABLE2_VIEWS = 2 };

static inline bool willis_rival_learns(const struct willis_rival *r) {
  return r->kind->network != NULL;
}
/* What people call it. */
static inline const char *willis_rival_label(const struct willis_rival *r) {
  return r->name[0] ? r->name : r->kind->label;
}
static inline const char *willis_rival_name(const struct willis_rival *r) {
  return r->name[0] ? r->name : r->kind->name;
}

/* Threshold of a method that learns nothing else. */
WILLIS_CHECKED enum willis_status
willis_table2_choose(struct willis_table2 *t, struct willis_rival *r, struct willis_error *err);
/* The prediction, a value in [0,1], for a volume. */
WILLIS_CHECKED enum willis_status willis_table2_predict(struct willis_table2 *t,
                                                        struct willis_rival *r,
                                                        const struct willis_volume *volume,
                                                        struct willis_volume *prediction,
                                                        struct willis_error *err);
/* Every case, with what it costs. */
WILLIS_CHECKED enum willis_status
willis_table2_test(struct willis_table2 *t, struct willis_rival *r, struct willis_error *err);

/* table.md, table.csv, cases.csv, seeds.csv and run.json of what is done. */
WILLIS_CHECKED enum willis_status willis_table2_tables(const struct willis_table2 *t,
                                                       struct willis_error *err);
WILLIS_CHECKED enum willis_status willis_table2_curves(const struct willis_table2 *t,
                                                       struct willis_error *err);
WILLIS_CHECKED enum willis_status willis_table2_figure(struct willis_table2 *t,
                                                       struct willis_error *err);

#endif
