/* The text `calibration` in a model's metadata, and what lies between its rows. */
#include <willis/calibration.h>

#include "base/error.h"
#include "io/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_VIEWS = 1000, WORD = 32, WORDS = 4, TEXT = WILLIS_CALIBRATION_ROWS * 64 };
static const double least_temperature = 0.01, most_temperature = 100;

/* The next word of a row into `word`; where it ends, or null when there is none of that length. */
static const char *next_word(const char *text, char word[WORD]) {
  text += strspn(text, " ");
  const size_t length = strcspn(text, " ;");
  if (!length || length >= WORD) return NULL;
  memcpy(word, text, length);
  word[length] = 0;
  return text + length;
}

static bool read_number(const char *word, double least, double most, double *number) {
  char *end;
  if (strspn(word, "0123456789.e+-") != strlen(word)) return false;
  *number = strtod(word, &end);
  return end != word && !*end && *number >= least && *number <= most;
}

/* One row; where it ends, or null. */
static const char *read_row(const char *text, struct willis_calibration_row *row) {
  char word[WORDS][WORD];
  double views;
  for (int w = 0; w < WORDS && text; w++) text = next_word(text, word[w]);
  if (!text) return NULL;
  const bool sum = !strcmp(word[0], "sum");
  if (!sum && strcmp(word[0], "max")) return NULL;
  row->mode = sum ? WILLIS_PROJECTION_SUM : WILLIS_PROJECTION_MAX;
  if (!read_number(word[1], 1, MOST_VIEWS, &views) || floor(views) != views ||
      !read_number(word[2], least_temperature, most_temperature, &row->temperature) ||
      !read_number(word[3], 0, 1, &row->threshold))
    return NULL;
  row->views = (int)views;
  text += strspn(text, " ");
  return *text == ';' || !*text ? text : NULL;
}

static int kind_of(const struct willis_calibration_row *row) {
  return row->mode == WILLIS_PROJECTION_SUM;
}

static bool follows(const struct willis_calibration_row *row,
                    const struct willis_calibration_row *last) {
  if (kind_of(row) != kind_of(last)) return kind_of(row) > kind_of(last);
  return row->views > last->views;
}

static enum willis_status parse(const char *text, struct willis_calibration *calibration,
                                struct willis_error *err) {
  struct willis_calibration_row row;
  for (const char *end; *text; text = end + (*end == ';')) {
    const int n = calibration->count;
    if (n == WILLIS_CALIBRATION_ROWS)
      return willis_fail(err, WILLIS_FORMAT, "calibration: more than %d rows",
                         WILLIS_CALIBRATION_ROWS);
    end = read_row(text, &row);
    if (!end)
      return willis_fail(err, WILLIS_FORMAT,
                         "calibration, row %d: '%.40s': expected max or sum, views from 1 to %d, a "
                         "temperature from %g to %g, a threshold from 0 to 1",
                         n + 1, text, MOST_VIEWS, least_temperature, most_temperature);
    if (n && !follows(&row, &calibration->row[n - 1]))
      return willis_fail(err, WILLIS_FORMAT,
                         "calibration, row %d: %d views after %d of the same kind, or max after "
                         "sum; expected more views in every row, max first",
                         n + 1, row.views, calibration->row[n - 1].views);
    calibration->row[calibration->count++] = row;
  }
  if (calibration->count) return WILLIS_OK;
  return willis_fail(err, WILLIS_FORMAT, "calibration: the text is empty, expected a row or more");
}

enum willis_status willis_calibration_parse(const char *text,
                                            struct willis_calibration *calibration,
                                            struct willis_error *err) {
  *calibration = (struct willis_calibration){0};
  locale_t before = willis_locale_enter();
  enum willis_status status = parse(text, calibration, err);
  willis_locale_leave(before);
  if (status) *calibration = (struct willis_calibration){0};
  return status;
}

enum willis_status willis_calibration_of(const struct willis_network *network,
                                         struct willis_calibration *calibration,
                                         struct willis_error *err) {
  const char *text = willis_network_metadata(network, "calibration");
  *calibration = (struct willis_calibration){0};
  if (!text) return WILLIS_OK;
  struct willis_error inner;
  if (!willis_calibration_parse(text, calibration, &inner)) return WILLIS_OK;
  return willis_fail(err, WILLIS_FORMAT, "the model's metadata: %.300s", inner.message);
}

enum willis_status willis_calibration_store(const struct willis_calibration *calibration,
                                            struct willis_network *network,
                                            struct willis_error *err) {
  struct willis_calibration again;
  struct willis_error inner = {0};
  char text[TEXT] = "";
  if (calibration->count < 1 || calibration->count > WILLIS_CALIBRATION_ROWS)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "%d rows of a calibration: expected 1 to %d",
                       calibration->count, WILLIS_CALIBRATION_ROWS);
  locale_t before = willis_locale_enter();
  for (int i = 0, length = 0; i < calibration->count; i++) {
    const struct willis_calibration_row *row = &calibration->row[i];
    length +=
        snprintf(text + length, sizeof text - (size_t)length, "%s%s %d %.6g %.6g", i ? "; " : "",
                 kind_of(row) ? "sum" : "max", row->views, row->temperature, row->threshold);
  }
  willis_locale_leave(before);
  if (willis_calibration_parse(text, &again, &inner))
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "%.300s", inner.message);
  return willis_network_metadata_set(network, "calibration", text, err);
}

struct willis_calibration_row willis_calibration_at(const struct willis_calibration *calibration,
                                                    enum willis_projection_mode mode,
                                                    ptrdiff_t views, double otherwise) {
  const struct willis_calibration_row *below = NULL, *above = NULL;
  struct willis_calibration_row at = {mode, (int)views, 1, otherwise};
  for (int i = 0; i < calibration->count; i++) {
    const struct willis_calibration_row *row = &calibration->row[i];
    if (row->mode != mode) continue;
    if (row->views <= views) below = row;
    if (row->views >= views && !above) above = row;
  }
  if (!below) below = above;
  if (!above) above = below;
  if (!below) return at;
  const double span = log2((double)above->views) - log2((double)below->views);
  const double part = span > 0 ? (log2((double)views) - log2((double)below->views)) / span : 0;
  at.temperature = below->temperature + part * (above->temperature - below->temperature);
  at.threshold = below->threshold + part * (above->threshold - below->threshold);
  return at;
}
