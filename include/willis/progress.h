/* How long work tells its caller where it is, and how the caller stops it. */
#ifndef WILLIS_PROGRESS_H
#define WILLIS_PROGRESS_H

#include <willis/api.h>

#include <stdbool.h>

WILLIS_BEGIN

/* `report` is called now and then, from the thread that called the library, with a label that stays
 * valid for the call. Returning false asks for a stop: the function then returns CANCELLED after
 * leaving its state as documented. A null struct or a null `report` means nobody listens. */
struct willis_progress {
  bool (*report)(const char *what, double done, double total, const char *unit, void *context);
  void *context;
};

WILLIS_END

#endif
