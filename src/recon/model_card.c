/* Which model fits which angiograms: metadata read strictly, and models looked up by name. */
#define _GNU_SOURCE
#include "base/error.h"
#include "base/path.h"
#include "io/text.h"
#include "nn/hull_net.h"

#include <willis/reconstruct.h>

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char ending[] = ".safetensors";
static const double angle_tolerance_deg = 1, distance_tolerance = 0.1;
enum { MODELS_MOST = 256, NAME_MOST = 128 };

/* ---- the card ---- */

static enum willis_status number(const struct willis_network *network, const char *key,
                                 double least, double most, double *value,
                                 struct willis_error *err) {
  const char *text = willis_network_metadata(network, key);
  if (!text) return willis_fail(err, WILLIS_FORMAT, "the model's metadata have no '%s'", key);
  char *end;
  locale_t before = willis_locale_enter();
  *value = strtod(text, &end);
  willis_locale_leave(before);
  if (end == text || *end || !(*value >= least && *value <= most))
    return willis_fail(err, WILLIS_FORMAT,
                       "the model's metadata: %s '%.40s': expected a number from %g to %g", key,
                       text, least, most);
  return WILLIS_OK;
}

/* What the hull network is shown changes with versions. */
static enum willis_status check_inputs(const struct willis_network *network,
                                       struct willis_error *err) {
  const char *inputs = willis_network_metadata(network, "inputs");
  if (inputs && !strcmp(inputs, WILLIS_HULL_INPUTS)) return WILLIS_OK;
  return willis_fail(err, WILLIS_UNSUPPORTED,
                     "the model's metadata: inputs '%.40s', but this Willis shows a hull network "
                     "inputs '%s': train the model again, or go on from it with --from",
                     inputs ? inputs : "", WILLIS_HULL_INPUTS);
}

enum willis_status willis_model_describe(const struct willis_network *network,
                                         struct willis_model_card *card, struct willis_error *err) {
  *card = (struct willis_model_card){.threshold = 0.5};
  double views = 0, size = 0;
  card->any_views = !strcmp(willis_network_metadata(network, "network"), "hull");
  enum willis_status status = WILLIS_OK;
  if (!card->any_views) status = number(network, "views", 1, 100000, &views, err);
  if (!status && !card->any_views) status = number(network, "arc_deg", 0, 360, &card->arc_deg, err);
  if (!status && !card->any_views && willis_network_metadata(network, "source_to_isocenter_mm"))
    status =
        number(network, "source_to_isocenter_mm", 1e-3, 1e5, &card->source_to_isocenter_mm, err);
  if (card->any_views) status = check_inputs(network, err);
  if (!status) status = number(network, "size", 1, 100000, &size, err);
  if (!status && willis_network_metadata(network, "threshold"))
    status = number(network, "threshold", 0, 1, &card->threshold, err);
  if (!status) status = willis_calibration_of(network, &card->calibration, err);
  if (status) return status;
  card->views = (int)views;
  card->size = (ptrdiff_t)size;
  const char *mode = willis_network_metadata(network, "projection");
  card->any_mode = card->any_views && mode && !strcmp(mode, "both");
  if (!card->any_mode && (!mode || (strcmp(mode, "max") && strcmp(mode, "sum"))))
    return willis_fail(err, WILLIS_FORMAT,
                       "the model's metadata: projection '%.40s': expected max or sum",
                       mode ? mode : "");
  card->mode =
      !card->any_mode && !strcmp(mode, "sum") ? WILLIS_PROJECTION_SUM : WILLIS_PROJECTION_MAX;
  const char *trained_on = willis_network_metadata(network, "trained_on");
  snprintf(card->trained_on, sizeof card->trained_on, "%s", trained_on ? trained_on : "unknown");
  return WILLIS_OK;
}

double willis_model_threshold(const struct willis_model_card *card,
                              const struct willis_projections *stack) {
  return willis_calibration_at(&card->calibration, stack->mode, stack->view_count, card->threshold)
      .threshold;
}

enum willis_status willis_model_check(const struct willis_model_card *card,
                                      const struct willis_projections *stack,
                                      struct willis_error *err) {
  if (!card->any_views && card->views != stack->view_count)
    return willis_fail(err, WILLIS_MISMATCH, "the model is for %d views, the stack has %td",
                       card->views, stack->view_count);
  if (!card->any_mode && card->mode != stack->mode)
    return willis_fail(err, WILLIS_MISMATCH,
                       "the model is for %s projections, the stack holds %s projections",
                       card->mode == WILLIS_PROJECTION_SUM ? "sum" : "max",
                       stack->mode == WILLIS_PROJECTION_SUM ? "sum" : "max");
  if (card->any_views) return WILLIS_OK;
  double angle[90];
  enum willis_status status = willis_views_arc(card->views, card->arc_deg, angle, err);
  for (int k = 0; k < card->views && !status; k++) {
    const struct willis_view *view = &stack->view[k];
    if (fabs(view->primary_angle_deg - angle[k]) > angle_tolerance_deg ||
        fabs(view->secondary_angle_deg) > angle_tolerance_deg)
      return willis_fail(err, WILLIS_MISMATCH,
                         "view %d is at (%g°, %g°), but the model knows it at (%g°, 0°): it was "
                         "trained on %d views over %g°",
                         k, view->primary_angle_deg, view->secondary_angle_deg, angle[k],
                         card->views, card->arc_deg);
    const double near = card->source_to_isocenter_mm;
    if (near > 0 && !(fabs(view->source_to_isocenter_mm / near - 1) <= distance_tolerance))
      return willis_fail(
          err, WILLIS_MISMATCH,
          "view %d is %s of %g mm from source to isocenter, but the model was trained "
          "on cone beams of %g mm",
          k, view->kind == WILLIS_VIEW_CONE ? "a cone beam" : "a parallel beam",
          view->source_to_isocenter_mm, near);
  }
  return status;
}

/* ---- looking up ---- */

static bool ends_as_model(const char *name) {
  size_t n = strlen(name), m = sizeof ending - 1;
  return n > m && !strcmp(name + n - m, ending);
}

/* A sorted list of the short names in all folders. */
struct shelf {
  char name[MODELS_MOST][NAME_MOST];
  int folder[MODELS_MOST];
  int count;
};

static void put_on_shelf(struct shelf *shelf, const char *name, int folder) {
  size_t n = strlen(name) - (sizeof ending - 1);
  if (shelf->count == MODELS_MOST || n >= NAME_MOST) return;
  char short_name[NAME_MOST];
  memcpy(short_name, name, n);
  short_name[n] = 0;
  int at = shelf->count++;
  for (; at > 0 && strcmp(shelf->name[at - 1], short_name) > 0; at--) {
    memcpy(shelf->name[at], shelf->name[at - 1], NAME_MOST);
    shelf->folder[at] = shelf->folder[at - 1];
  }
  memcpy(shelf->name[at], short_name, n + 1);
  shelf->folder[at] = folder;
}

static enum willis_status fill_shelf(struct shelf *shelf, const char *const *folder,
                                     int folder_count, struct willis_error *err) {
  shelf->count = 0;
  enum willis_status status = WILLIS_OK;
  for (int f = 0; f < folder_count && !status; f++) {
    enum willis_path_kind kind = WILLIS_PATH_NONE;
    struct willis_names names = {0};
    if (folder[f]) status = willis_path_look(folder[f], &kind, err);
    if (!status && kind == WILLIS_PATH_FOLDER) status = willis_folder_list(folder[f], &names, err);
    for (ptrdiff_t i = 0; i < names.count && !status; i++)
      if (names.name[i][0] != '.' && ends_as_model(names.name[i]))
        put_on_shelf(shelf, names.name[i], f);
    willis_names_release(&names);
  }
  return status;
}

static void list_shelf(const struct shelf *shelf, char *text, size_t size) {
  size_t n = 0;
  text[0] = 0;
  for (int i = 0; i < shelf->count && n < size; i++)
    n += (size_t)snprintf(text + n, size - n, "%s%s", i ? ", " : "", shelf->name[i]);
  if (!shelf->count) snprintf(text, size, "none");
}

static enum willis_status place(const struct shelf *shelf, int i, const char *const *folder,
                                char *path, size_t path_size, struct willis_error *err) {
  int n = snprintf(path, path_size, "%s/%s%s", folder[shelf->folder[i]], shelf->name[i], ending);
  if (n < 0 || (size_t)n >= path_size)
    return willis_fail(err, WILLIS_IO, "%s: the path is too long", shelf->name[i]);
  return WILLIS_OK;
}

/* The model that fits; files that are no models are stepped over. −1 if there is none. */
static int best_fit(const struct shelf *shelf, const char *const *folder,
                    const struct willis_projections *stack, ptrdiff_t size) {
  int best = -1;
  double best_distance = INFINITY;
  bool best_any = false;
  for (int i = 0; i < shelf->count; i++) {
    char path[PATH_MAX];
    struct willis_network *network = NULL;
    struct willis_model_card card;
    if (place(shelf, i, folder, path, sizeof path, NULL) ||
        willis_network_read(path, &network, NULL))
      continue;
    bool fits =
        !willis_model_describe(network, &card, NULL) && !willis_model_check(&card, stack, NULL);
    willis_network_destroy(network);
    if (!fits) continue;
    double distance = fabs(log((double)card.size / (double)(size > 0 ? size : card.size)));
    /* Those for any views are the better ones, also at other sizes than theirs (doc/beyond.md). */
    const bool better = card.any_views == best_any ? distance < best_distance : card.any_views;
    if (best < 0 || better) {
      best = i;
      best_distance = distance;
      best_any = card.any_views;
    }
  }
  return best;
}

enum willis_status willis_model_find(const char *name, const char *const *folder, int folder_count,
                                     const struct willis_projections *stack, ptrdiff_t size,
                                     char *path, size_t path_size, struct willis_error *err) {
  if (name && (strchr(name, '/') || ends_as_model(name))) {
    int n = snprintf(path, path_size, "%s", name);
    if (n < 0 || (size_t)n >= path_size)
      return willis_fail(err, WILLIS_IO, "%.40s…: the path is too long", name);
    enum willis_path_kind kind;
    enum willis_status status = willis_path_look(path, &kind, err);
    if (!status && kind != WILLIS_PATH_FILE)
      status = willis_fail(err, WILLIS_IO, "%s: no such model file", path);
    return status;
  }
  struct shelf shelf;
  char list[256];
  enum willis_status status = fill_shelf(&shelf, folder, folder_count, err);
  if (status) return status;
  list_shelf(&shelf, list, sizeof list);
  if (!name) {
    int best = best_fit(&shelf, folder, stack, size);
    if (best >= 0) return place(&shelf, best, folder, path, path_size, err);
    return willis_fail(
        err, WILLIS_MISMATCH, "no model fits %td %s projections at these angles; there are: %s",
        stack->view_count, stack->mode == WILLIS_PROJECTION_SUM ? "sum" : "max", list);
  }
  for (int i = 0; i < shelf.count; i++)
    if (!strcmp(shelf.name[i], name)) return place(&shelf, i, folder, path, path_size, err);
  enum willis_path_kind kind;
  if (!willis_path_look(name, &kind, NULL) && kind == WILLIS_PATH_FILE)
    return willis_fail(err, WILLIS_IO, "%.200s: a file, but no model (%s)", name, ending);
  return willis_fail(err, WILLIS_IO, "no model is called '%.60s'; there are: %s", name, list);
}
