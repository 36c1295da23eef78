/* The table of epochs as CSV. It is written whole each time, so it never disagrees with the
 * checkpoint that a run goes on from. */
#define _GNU_SOURCE
#include "recon/train_run.h"

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 8, LINE = 256, LOG_BYTES = 1 << 26 };
_Static_assert(sizeof(struct willis_epoch) == COLUMNS * sizeof(double), "a row is its columns");

static const char header[] =
    "epoch,step,loss,learning_rate,validation_iou,validation_best_iou,validation_best_threshold,"
    "seconds\n";

enum willis_status willis_run_add_epoch(struct willis_run *run, const struct willis_epoch *epoch,
                                        struct willis_error *err) {
  if (run->epoch_count == run->epoch_room) {
    ptrdiff_t room = run->epoch_room ? run->epoch_room * 2 : 64;
    struct willis_epoch *grown =
        willis_grow(run->epoch, run->epoch_count, room, sizeof *run->epoch);
    if (!grown) return willis_fail_memory(err, "the log", room, sizeof *run->epoch);
    run->epoch = grown;
    run->epoch_room = room;
  }
  run->epoch[run->epoch_count++] = *epoch;
  return WILLIS_OK;
}

/* An empty cell for NaN. */
static int cell(char *to, size_t size, const char *format, double value, char end) {
  int n = isnan(value) ? 0 : snprintf(to, size, format, value);
  to[n++] = end;
  return n;
}

enum willis_status willis_run_write_log(const struct willis_run *run, struct willis_error *err) {
  if (!run->files->log) return WILLIS_OK;
  char *text = willis_take(run->epoch_count * LINE + (ptrdiff_t)sizeof header, 1);
  if (!text) return willis_fail_memory(err, "the log", run->epoch_count, LINE);
  size_t n = sizeof header - 1;
  memcpy(text, header, n);
  for (ptrdiff_t i = 0; i < run->epoch_count; i++) {
    const struct willis_epoch *e = &run->epoch[i];
    char *row = text + n;
    int k =
        snprintf(row, LINE, "%.0f,%.0f,%.9g,%.9g,", e->epoch, e->step, e->loss, e->learning_rate);
    k += cell(row + k, LINE / 4, "%.6f", e->iou, ',');
    k += cell(row + k, LINE / 4, "%.6f", e->best_iou, ',');
    k += cell(row + k, LINE / 4, "%.3f", e->best_threshold, ',');
    k += cell(row + k, LINE / 4, "%.1f", e->seconds, '\n');
    n += (size_t)k;
  }
  enum willis_status status = willis_file_write(run->files->log, text, n, true, false, err);
  willis_release(text);
  return status;
}

/* The cells of one line; false unless there are COLUMNS of them. */
static bool parse_row(const char *line, double *value) {
  for (int c = 0; c < COLUMNS; c++) {
    char *end = (char *)(uintptr_t)line;
    value[c] = NAN;
    /* strtod() would go on to the next line. */
    if (*line != '\n' && *line != ',') value[c] = strtod(line, &end);
    if (end == line) value[c] = NAN;
    if (*end != (c + 1 < COLUMNS ? ',' : '\n')) return false;
    line = end + 1;
  }
  return true;
}

enum willis_status willis_log_parse(const unsigned char *bytes, size_t size,
                                    struct willis_epoch **epoch, ptrdiff_t *count,
                                    struct willis_error *err) {
  *epoch = NULL;
  *count = 0;
  const char *line = (const char *)bytes;
  if (strncmp(line, header, sizeof header - 1))
    return willis_fail(err, WILLIS_FORMAT, "line 1: not a training log");
  ptrdiff_t lines = 0;
  for (size_t i = 0; i < size; i++) lines += bytes[i] == '\n';
  /* A row of empty cells is as long as there are cells. */
  const ptrdiff_t most = (ptrdiff_t)size / COLUMNS, room = lines < most ? lines : most;
  struct willis_epoch *row = willis_take(room, sizeof *row);
  if (!row) return willis_fail_memory(err, "the log", room, sizeof *row);
  for (ptrdiff_t i = 1; i < lines; i++) {
    double value[COLUMNS];
    line = strchr(line, '\n') + 1;
    if (!parse_row(line, value)) {
      willis_release(row);
      return willis_fail(err, WILLIS_FORMAT, "line %td: expected %d numbers", i + 1, COLUMNS);
    }
    memcpy(&row[i - 1], value, sizeof value);
  }
  *epoch = row;
  *count = lines - 1;
  return WILLIS_OK;
}

enum willis_status willis_log_read(const char *path, struct willis_epoch **epoch, ptrdiff_t *count,
                                   struct willis_error *err) {
  unsigned char *bytes;
  size_t size;
  *epoch = NULL;
  *count = 0;
  enum willis_status status = willis_file_read(path, LOG_BYTES, &bytes, &size, err);
  if (status) return status;
  status = willis_log_parse(bytes, size, epoch, count, err);
  willis_release(bytes);
  return status ? willis_fail_in(err, status, path) : WILLIS_OK;
}
