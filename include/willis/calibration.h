/* How sure a trained network may be: for a kind of projection and a number of views a temperature T
 * that its logits are divided by, and the threshold of the best masks then. In a model's metadata
 * it is the text `calibration`, for each kind with view counts ascending, "max" before "sum":
 *
 *   max 2 1.31 0.412; max 5 1.12 0.43; sum 2 1.4 0.39
 *
 * kind, views, temperature, threshold. */
#ifndef WILLIS_CALIBRATION_H
#define WILLIS_CALIBRATION_H

#include <willis/geometry.h>
#include <willis/network.h>

WILLIS_BEGIN

enum { WILLIS_CALIBRATION_ROWS = 32 };

struct willis_calibration_row {
  enum willis_projection_mode mode;
  int views;          /* 1…1000 */
  double temperature; /* 0.01…100 */
  double threshold;   /* 0…1, of the probability with that temperature */
};
struct willis_calibration {
  int count;
  struct willis_calibration_row row[WILLIS_CALIBRATION_ROWS];
};

/* Any text may come; FORMAT says what is wrong with it. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_calibration_parse(const char *text, struct willis_calibration *calibration,
                         struct willis_error *err);
/* What the network's metadata say; no rows when they say nothing. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_calibration_of(const struct willis_network *network, struct willis_calibration *calibration,
                      struct willis_error *err);
/* The text into the metadata. INVALID_ARGUMENT when it could not be read again. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_calibration_store(const struct willis_calibration *calibration,
                         struct willis_network *network, struct willis_error *err);
/* For any number of views of a kind: linear in log2(views) between the rows of that kind, held
 * beyond the first and the last. Without such a row temperature 1 and the threshold `otherwise`. */
WILLIS_API struct willis_calibration_row
willis_calibration_at(const struct willis_calibration *calibration,
                      enum willis_projection_mode mode, ptrdiff_t views, double otherwise);

WILLIS_END

#endif
