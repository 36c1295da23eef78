/* JSON as people and scripts expect it: indented, order kept, nine significant digits (enough to
 * give a float back exactly). */
#include "cli/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool memory_was_short;

static void *take(size_t bytes) {
  void *block = malloc(bytes);
  if (!block) memory_was_short = true;
  return block;
}

void json_watch_memory(void) {
  memory_was_short = false;
  json_set_alloc_funcs(take, free);
}

int json_check_memory(void) {
  const struct willis_error err = {.status = WILLIS_OUT_OF_MEMORY,
                                   .message = "no memory for the JSON"};
  return memory_was_short ? print_error(NULL, &err) : 0;
}

json_t *json_number(double value) {
  return isfinite(value) ? json_real(value) : json_null();
}

json_t *json_numbers(const double *value, int count) {
  json_t *array = json_array();
  for (int i = 0; i < count; i++) json_array_append_new(array, json_number(value[i]));
  return array;
}

int print_json(const struct call *call, json_t *value) {
  struct willis_error err = {.status = WILLIS_IO, .message = "cannot write the JSON"};
  if (!value) memory_was_short = true;
  if (json_check_memory()) {
    json_decref(value);
    return 1;
  }
  int failed = json_dumpf(value, call->results, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
  json_decref(value);
  fputc('\n', call->results);
  return failed ? print_error(NULL, &err) : 0;
}
