/* Overview and -h from the tables. */
#include "cli/options.h"

#include <string.h>

enum { WIDTH = 80, HELP_COLUMN = 28 };

/* Prints `text` word by word, broken at WIDTH, each line indented; the cursor is at the indent
 * already. A newline in the text begins a new paragraph. */
static void print_wrapped(FILE *to, const char *text, int indent) {
  for (int column = indent; *text;) {
    int length = (int)strcspn(text, " \n");
    if (column > indent && column + 1 + length > WIDTH) {
      fprintf(to, "\n%*s", indent, "");
      column = indent;
    }
    column += fprintf(to, column > indent ? " %.*s" : "%.*s", length, text);
    text += length;
    if (*text == '\n') {
      fprintf(to, "\n%*s", indent, "");
      column = indent;
    }
    if (*text) text++;
  }
  fputc('\n', to);
}

static void print_row(const struct option_row *row, FILE *to) {
  char left[128], letter[8] = "    ";
  if (row->letter) snprintf(letter, sizeof letter, "-%c, ", row->letter);
  int n = snprintf(left, sizeof left, "  %s--%s", letter, row->name);
  if (row->argument) n += snprintf(left + n, sizeof left - (size_t)n, " %s", row->argument);
  fprintf(to, "%s", left);
  if (n + 2 > HELP_COLUMN)
    fprintf(to, "\n%*s", HELP_COLUMN, "");
  else
    fprintf(to, "%*s", HELP_COLUMN - n, "");
  char text[512];
  snprintf(text, sizeof text, row->fallback ? "%s [%s]" : "%s", row->help, row->fallback);
  print_wrapped(to, text, HELP_COLUMN);
}

static bool is_common_shown(const struct command *command, const struct option_row *row) {
  return command->needs_output || strcmp(row->name, "output") != 0;
}

void print_help(const struct command *command, FILE *to) {
  fprintf(to, "Usage: willis %s %s [options]\n\n", command->name, command->arguments);
  print_wrapped(to, command->summary, 0);
  if (command->details) {
    fputc('\n', to);
    print_wrapped(to, command->details, 0);
  }
  if (command->rows && command->rows->name) {
    fputs("\nOptions:\n", to);
    for (const struct option_row *row = command->rows; row->name; row++) print_row(row, to);
  }
  fputs("\nCommon options:\n", to);
  for (const struct option_row *row = common_rows; row->name; row++)
    if (is_common_shown(command, row)) {
      const struct option_row own = common_row_of(command, row);
      print_row(&own, to);
    }
}

void print_overview(FILE *to) {
  fputs("Usage: willis COMMAND [options]\n\nA few angiograms of the brain into a 3D model of its "
        "vessels.\n\nCommands:\n",
        to);
  for (int i = 0; commands[i]; i++)
    fprintf(to, "  %-13s %s\n", commands[i]->name, commands[i]->summary);
  fprintf(to,
          "\n'willis help COMMAND' tells more; 'willis --version' the version.\n"
          "Exit status: 0 done, 1 failed, 2 wrong usage.\n\n%s\n",
          willis_disclaimer());
}
