/* JSON as people and scripts expect it: indented, order kept, nine significant digits (enough to
 * give a float back exactly). */
#include "cli/report.h"

#include <math.h>
#include <string.h>

json_t *json_number(double value) {
  return isfinite(value) ? json_real(value) : json_null();
}

json_t *json_numbers(const double *value, int count) {
  json_t *array = json_array();
  for (int i = 0; i < count; i++) json_array_append_new(array, json_number(value[i]));
  return array;
}

int print_json(const struct call *call, json_t *value) {
  struct willis_error err = {.status = WILLIS_OUT_OF_MEMORY, .message = "no memory for the JSON"};
  if (!value) return print_error(NULL, &err);
  int failed = json_dumpf(value, call->results, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
  json_decref(value);
  fputc('\n', call->results);
  snprintf(err.message, sizeof err.message, "cannot write the JSON");
  return failed ? print_error(NULL, &err) : 0;
}
