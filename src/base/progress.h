/* The library's side of struct willis_progress. */
#ifndef WILLIS_BASE_PROGRESS_H
#define WILLIS_BASE_PROGRESS_H

#include <willis/progress.h>

/* True to go on. */
static inline bool willis_progress_report(const struct willis_progress *progress, const char *what,
                                          double done, double total, const char *unit) {
  if (!progress || !progress->report) return true;
  return progress->report(what, done, total, unit, progress->context);
}

#endif
