/* willis info: what files are. Each is described once, as JSON; the text is printed from that. */
#include "cli/describe.h"
#include "cli/options.h"
#include "cli/report.h"

#include <string.h>

static void print_value(const json_t *value, FILE *to) {
  size_t i;
  const json_t *item;
  char shown[4096]; /* texts out of files are shown to a terminal, not sent to it */
  if (json_is_null(value)) fputs(" ?", to);
  if (json_is_string(value)) {
    willis_text_escape(shown, sizeof shown, json_string_value(value));
    fprintf(to, " %s", shown);
  }
  if (json_is_boolean(value)) fputs(json_is_true(value) ? " yes" : " no", to);
  if (json_is_number(value)) fprintf(to, " %.9g", json_number_value(value));
  if (json_is_array(value)) json_array_foreach(value, i, item) print_value(item, to);
}

/* One line a key, an object indented under its own; in a list of objects, one line an object. */
static void print_text(const json_t *object, int indent, FILE *to) {
  const char *key, *name;
  json_t *value, *item, *part;
  size_t i;
  json_object_foreach((json_t *)(uintptr_t)object, key, value) {
    if (strcmp(key, "sketch") == 0) {
      json_array_foreach(value, i, item) {
        const char *line = json_string_value(item);
        fprintf(to, "%*s%s\n", *line ? indent + 2 : 0, "", line);
      }
      continue;
    }
    bool is_list = json_is_array(value) && json_is_object(json_array_get(value, 0));
    fprintf(to, "%*s%s:", indent, "", key);
    if (!is_list) print_value(value, to);
    fputc('\n', to);
    if (json_is_object(value)) print_text(value, indent + 2, to);
    if (!is_list) continue;
    json_array_foreach(value, i, item) {
      fprintf(to, "%*s%zu:", indent + 2, "", i);
      json_object_foreach(item, name, part) {
        fprintf(to, " %s", name);
        print_value(part, to);
      }
      fputc('\n', to);
    }
  }
}

static int run(const struct call *call) {
  int code = 0;
  json_t *files = json_array();
  for (int i = 0; i < call->argument_count; i++) {
    struct willis_error err;
    json_t *file = json_object();
    json_object_set_new(file, "file", json_string(call->argument[i]));
    if (describe_file(call, call->argument[i], file, &err))
      code = print_error(call->argument[i], &err);
    else if (json_check_memory())
      code = 1;
    else if (call->json)
      json_array_append(files, file);
    else
      print_text(file, 0, call->results);
    json_decref(file);
  }
  if (!call->json) {
    json_decref(files);
    return code;
  }
  if (call->argument_count == 1) {
    json_t *only = json_incref(json_array_get(files, 0));
    json_decref(files);
    files = only;
  }
  if (code && !files) return code;
  int printed = print_json(call, files);
  return code ? code : printed;
}

const struct command cmd_info = {
    .name = "info",
    .arguments = "FILE...",
    .summary = "Say what files hold: sizes, spacing, frame, views, values",
    .details =
        "A FILE is a volume (NIfTI, NRRD, DICOM slice or folder of slices), a projection stack, a "
        "surface (OBJ, STL, PLY), a vessel tree (SWC), a model or an X-ray angiogram (DICOM), with "
        "where it was seen from and what of that is missing. What it is is told by its "
        "content. Places are in the frame LPS, in mm.\n\n"
        "Nothing about a patient is printed. With --json, one file gives an object and several "
        "give a list; a file that cannot be read gives an error line and exit code 1, and the "
        "others are printed all the same.",
    .least_arguments = 1,
    .most_arguments = -1,
    .run = run,
};
