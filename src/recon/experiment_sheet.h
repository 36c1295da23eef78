/* Pieces of the tables that experiments write, for people (.md) and for programs (.csv). */
#ifndef WILLIS_RECON_EXPERIMENT_SHEET_H
#define WILLIS_RECON_EXPERIMENT_SHEET_H

#include "io/text.h"
#include "recon/experiment.h"

/* The scores that a table for people shows, and in which unit. */
struct willis_sheet_column {
  const char *name, *head;
  double scale;
  int digits;
};
extern const struct willis_sheet_column willis_sheet_column[];
extern const int willis_sheet_columns;

/* The number of a score by name. */
int willis_sheet_score(const char *name);
/* One score over the cases. */
struct willis_summary willis_sheet_summary(const struct willis_scores *cases, ptrdiff_t count,
                                           int score);
/* A file of the experiment's folder, replaced when it is whole. */
WILLIS_CHECKED enum willis_status willis_sheet_begin(const struct willis_experiment *e,
                                                     const char *name, struct willis_out *out,
                                                     struct willis_error *err);
WILLIS_CHECKED enum willis_status willis_sheet_end(struct willis_out *out,
                                                   struct willis_error *err);
/* A cell of a table for people: " mean ± sd |", or a dash for what is not known. */
void willis_sheet_cell(struct willis_out *t, const struct willis_summary *s, double scale,
                       int digits);
/* A cell for programs: ",number", empty when it is not finite. */
void willis_sheet_number(struct willis_out *t, double value);

#endif
