/* From argv to a struct call by the rows of the command. No locale is ever set, so numbers have a
 * decimal point everywhere. */
#define _GNU_SOURCE
#include "cli/options.h"

#include "cli/progress_bar.h"
#include "cli/report.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ROWS = 48 };

enum common {
  COMMON_HELP,
  COMMON_OUTPUT,
  COMMON_FORCE,
  COMMON_THREADS,
  COMMON_SEED,
  COMMON_JSON,
  COMMON_QUIET
};

const struct option_row common_rows[] = {
    [COMMON_HELP] = {.name = "help", .letter = 'h', .help = "Show this help"},
    [COMMON_OUTPUT] = {.name = "output",
                       .letter = 'o',
                       .kind = OPTION_OUTPUT,
                       .argument = "FILE",
                       .help = "Where the result goes; - is stdout"},
    [COMMON_FORCE] = {.name = "force", .help = "Replace outputs that exist"},
    [COMMON_THREADS] = {.name = "threads",
                        .letter = 't',
                        .kind = OPTION_INTEGER,
                        .argument = "N",
                        .fallback = "0",
                        .least = 0,
                        .most = 1024,
                        .help = "Threads; 0 takes all cores; results do not depend on it"},
    [COMMON_SEED] = {.name = "seed",
                     .kind = OPTION_INTEGER,
                     .argument = "S",
                     .fallback = "0",
                     .least = 0,
                     .most = (double)INTMAX_MAX,
                     .help = "Seed of everything random"},
    [COMMON_JSON] = {.name = "json", .help = "Print results as JSON"},
    [COMMON_QUIET] = {.name = "quiet", .letter = 'q', .help = "No progress, no warnings"},
    {0},
};

struct option_row common_row_of(const struct command *command, const struct option_row *row) {
  static const char *const helps[] = {
      [OUTPUT_NAMED] = "Where the result goes", [OUTPUT_FOLDER] = "The folder that is filled"};
  struct option_row own = *row;
  if (row == &common_rows[COMMON_OUTPUT] && command->output) own.help = helps[command->output];
  if (row == &common_rows[COMMON_OUTPUT] && command->output == OUTPUT_FOLDER) own.argument = "DIR";
  return own;
}

/* ---- messages ---- */

int print_error(const char *subject, const struct willis_error *err) {
  char name[PATH_MAX] = "";
  if (subject) willis_text_escape(name, sizeof name, subject);
  bool named = !strncmp(err->message, name, strlen(name));
  progress_bar_clear();
  fprintf(stderr, "willis: %s%s%s\n", named ? "" : name, named ? "" : ": ", err->message);
  return 1;
}

int print_usage_error(const struct command *command, const char *format, ...) {
  char raw[512], line[512];
  va_list list;
  va_start(list, format);
  vsnprintf(raw, sizeof raw, format, list);
  va_end(list);
  willis_text_escape(line, sizeof line, raw);
  progress_bar_clear();
  fprintf(stderr, "willis: %s (see 'willis help%s%s')\n", line, command ? " " : "",
          command ? command->name : "");
  return 2;
}

static void print_warning(const char *message, void *context) {
  (void)context;
  progress_bar_clear();
  fprintf(stderr, "willis: warning: %s\n", message);
}

/* ---- finding words ---- */

const struct command *find_command(const char *name) {
  for (int i = 0; commands[i]; i++)
    if (!strcmp(commands[i]->name, name)) return commands[i];
  return NULL;
}

/* Levenshtein's distance by rows; words longer than any of ours are simply far. */
static int distance(const char *a, const char *b) {
  int row[32], n = (int)strlen(b);
  if (n >= 32 || strlen(a) >= 32) return INT_MAX;
  for (int j = 0; j <= n; j++) row[j] = j;
  for (int i = 1; a[i - 1]; i++) {
    int diagonal = row[0];
    row[0] = i;
    for (int j = 1; j <= n; j++) {
      int change = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      int step = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
      row[j] = change < step ? change : step;
    }
  }
  return row[n];
}

/* Near enough: a third of the letters may differ. */
static const char *nearer(const char *word, const char *known, const char *best) {
  int d = distance(word, known);
  if (d > (int)strlen(known) / 3) return best;
  return !best || d < distance(word, best) ? known : best;
}

const char *nearest_command(const char *word) {
  const char *best = NULL;
  for (int i = 0; commands[i]; i++) best = nearer(word, commands[i]->name, best);
  return best;
}

/* ---- values ---- */

static bool parse_integer(const char *text, intmax_t *value) {
  char *end;
  errno = 0;
  *value = strtoimax(text, &end, 10);
  return end != text && !*end && !errno;
}

static bool parse_real(const char *text, double *value) {
  char *end;
  *value = strtod(text, &end);
  return end != text && !*end && isfinite(*value);
}

static bool parse_bytes(const char *text, intmax_t *value) {
  static const char units[] = "KMGT";
  char *end;
  errno = 0;
  *value = strtoimax(text, &end, 10);
  if (end == text || errno || *value < 0) return false;
  const char *unit = *end ? strchr(units, *end >= 'a' ? *end - 'a' + 'A' : *end) : NULL;
  if (unit) {
    int shift = 10 * (int)(unit - units + 1);
    if (*value > INTMAX_MAX >> shift) return false;
    *value <<= shift;
    end++;
  }
  return !*end;
}

static bool parse_choice(const char *text, const char *choices, intmax_t *place) {
  size_t length = strlen(text);
  *place = 0;
  for (const char *c = choices; *c; (*place)++) {
    size_t n = strcspn(c, "|");
    if (n == length && !strncmp(c, text, n)) return true;
    c += n + (c[n] == '|');
  }
  return false;
}

int parse_number_list(const char *text, double *value, int most) {
  for (int n = 0; n < most; n++) {
    char *end;
    value[n] = strtod(text, &end);
    if (end == text || !isfinite(value[n])) return -1;
    if (!*end) return n + 1;
    if (*end != ',') return -1;
    text = end + 1;
  }
  return -1;
}

static bool parse_value(const struct option_row *row, const char *text,
                        struct option_value *value) {
  bool limited = row->least != 0 || row->most != 0, inside = true;
  value->text = text;
  switch (row->kind) {
  case OPTION_FLAG:
  case OPTION_TEXT:
  case OPTION_OUTPUT:
    return true;
  case OPTION_INTEGER:
    if (!parse_integer(text, &value->integer)) return false;
    value->real = (double)value->integer;
    break;
  case OPTION_REAL:
    if (!parse_real(text, &value->real)) return false;
    break;
  case OPTION_CHOICE:
    return parse_choice(text, row->argument, &value->integer);
  case OPTION_BYTES:
    if (!parse_bytes(text, &value->integer)) return false;
    value->real = (double)value->integer;
    break;
  }
  if (limited) inside = value->real >= row->least && value->real <= row->most;
  return inside;
}

static int refuse_value(const struct command *command, const struct option_row *row,
                        const char *text) {
  static const char *const expected[] = {
      [OPTION_INTEGER] = "a whole number",
      [OPTION_REAL] = "a number",
      [OPTION_BYTES] = "a size such as 500000, 96M or 1G",
  };
  if (row->kind == OPTION_CHOICE)
    return print_usage_error(command, "--%s: '%s' is not one of %s", row->name, text,
                             row->argument);
  if (row->least == 0 && row->most == 0)
    return print_usage_error(command, "--%s: '%s' is not %s", row->name, text, expected[row->kind]);
  char limits[64];
  if (row->most >= (double)INTMAX_MAX)
    snprintf(limits, sizeof limits, "of at least %g", row->least);
  else
    snprintf(limits, sizeof limits, "from %g to %g", row->least, row->most);
  return print_usage_error(command, "--%s: '%s' is not %s %s", row->name, text, expected[row->kind],
                           limits);
}

/* ---- the parser ---- */

/* The command's rows and the common ones as one list, and where each value goes. */
struct parser {
  const struct command *command;
  int row_count;
  const struct option_row *row[MOST_ROWS];
  struct option_value *value[MOST_ROWS];
  struct option_value own[MOST_ROWS], common[sizeof common_rows / sizeof *common_rows];
  int argc;
  char **argv;
  int next; /* in argv */
};

static void collect_rows(struct parser *p) {
  const struct option_row *rows = p->command->rows;
  for (int i = 0; rows && rows[i].name && p->row_count < MOST_ROWS; i++) {
    p->row[p->row_count] = &rows[i];
    p->value[p->row_count++] = &p->own[i];
  }
  for (int i = 0; common_rows[i].name && p->row_count < MOST_ROWS; i++) {
    if (i == COMMON_OUTPUT && !p->command->needs_output) continue;
    p->row[p->row_count] = &common_rows[i];
    p->value[p->row_count++] = &p->common[i];
  }
  for (int i = 0; i < p->row_count; i++)
    if (p->row[i]->fallback) (void)parse_value(p->row[i], p->row[i]->fallback, p->value[i]);
}

static int find_long(const struct parser *p, const char *name, size_t length) {
  for (int i = 0; i < p->row_count; i++)
    if (strlen(p->row[i]->name) == length && !strncmp(p->row[i]->name, name, length)) return i;
  return -1;
}

static int find_letter(const struct parser *p, char letter) {
  for (int i = 0; i < p->row_count; i++)
    if (p->row[i]->letter == letter) return i;
  return -1;
}

/* The value is `attached`, or the next word; that may be "-" or a negative number, but a word with
 * two dashes is a forgotten value rather than a value. */
static int take_value(struct parser *p, int i, const char *attached) {
  const struct option_row *row = p->row[i];
  const char *text = attached;
  if (row->kind == OPTION_FLAG) {
    if (attached) return print_usage_error(p->command, "--%s takes no value", row->name);
  } else if (!text) {
    text = p->next < p->argc ? p->argv[p->next] : NULL;
    if (!text || (text[0] == '-' && text[1] == '-'))
      return print_usage_error(p->command, "--%s needs a value: %s", row->name, row->argument);
    p->next++;
  }
  p->value[i]->given = true;
  if (!parse_value(row, text, p->value[i])) return refuse_value(p->command, row, text);
  return 0;
}

static int take_long(struct parser *p, const char *word) {
  size_t length = strcspn(word, "=");
  int i = find_long(p, word, length);
  if (i >= 0) return take_value(p, i, word[length] ? word + length + 1 : NULL);
  const char *near = NULL;
  char name[32];
  snprintf(name, sizeof name, "%.*s", (int)(length < 31 ? length : 31), word);
  for (i = 0; i < p->row_count; i++) near = nearer(name, p->row[i]->name, near);
  return print_usage_error(p->command, "%s: no option is called --%.*s%s%s%s", p->command->name,
                           (int)length, word, near ? "; did you mean --" : "", near ? near : "",
                           near ? "?" : "");
}

static int take_letters(struct parser *p, const char *letters) {
  for (; *letters; letters++) {
    int i = find_letter(p, *letters);
    if (i < 0)
      return print_usage_error(p->command, "%s: no option is called -%c", p->command->name,
                               *letters);
    if (p->row[i]->kind != OPTION_FLAG) return take_value(p, i, letters[1] ? letters + 1 : NULL);
    int code = take_value(p, i, NULL);
    if (code) return code;
  }
  return 0;
}

/* Sorts argv into options and arguments; the arguments move to its front. */
static int parse(struct parser *p, int *argument_count) {
  *argument_count = 0;
  bool options_end = false;
  while (p->next < p->argc) {
    char *word = p->argv[p->next++];
    int code = 0;
    if (options_end || word[0] != '-' || !word[1])
      p->argv[(*argument_count)++] = word;
    else if (!strcmp(word, "--"))
      options_end = true;
    else
      code = word[1] == '-' ? take_long(p, word + 2) : take_letters(p, word + 1);
    if (code) return code;
    if (p->common[COMMON_HELP].given) return 0;
  }
  return 0;
}

static int check_arguments(const struct command *command, int count) {
  if (count < command->least_arguments ||
      (command->most_arguments >= 0 && count > command->most_arguments))
    return print_usage_error(command, "%s: %s arguments: it is 'willis %s %s'", command->name,
                             count < command->least_arguments ? "too few" : "too many",
                             command->name, command->arguments);
  return 0;
}

/* ---- running ---- */

int check_output(const struct call *call, const char *path) {
  struct willis_error err;
  const bool folder = path == call->output && call->command->output == OUTPUT_FOLDER;
  return willis_output_check(path, call->force, folder, &err) ? print_error(path, &err) : 0;
}

static bool is_output(const struct parser *p, int i) {
  return p->row[i]->kind == OPTION_OUTPUT && p->value[i]->given;
}

static int check_outputs(const struct parser *p, const struct call *call) {
  for (int i = 0; i < p->row_count; i++) {
    if (!is_output(p, i)) continue;
    for (int j = 0; j < i; j++)
      if (is_output(p, j) && !strcmp(p->value[i]->text, p->value[j]->text))
        return print_usage_error(call->command, "--%s and --%s: both are '%s', expected two files",
                                 p->row[j]->name, p->row[i]->name, p->value[i]->text);
    int code = check_output(call, p->value[i]->text);
    if (code) return code;
  }
  return 0;
}

int run_command(const struct command *command, int argc, char **argv) {
  struct parser p = {.command = command, .argc = argc, .argv = argv};
  collect_rows(&p);
  int argument_count, code = parse(&p, &argument_count);
  if (code) return code;
  if (p.common[COMMON_HELP].given) {
    print_help(command, stdout);
    return 0;
  }
  code = check_arguments(command, argument_count);
  if (code) return code;
  const char *output = p.common[COMMON_OUTPUT].text;
  if (command->needs_output && !output)
    return print_usage_error(command, "%s: where to? -o FILE is missing", command->name);
  bool quiet = p.common[COMMON_QUIET].given;
  struct call call = {
      .command = command,
      .argument_count = argument_count,
      .argument = (const char *const *)argv,
      .option = p.own,
      .quiet = quiet,
      .json = p.common[COMMON_JSON].given,
      .force = p.common[COMMON_FORCE].given,
      .seed = (uint64_t)p.common[COMMON_SEED].integer,
      .output = output,
      .results = output && !strcmp(output, "-") ? stderr : stdout,
      .progress = progress_bar(quiet),
      .warnings = {.warn = quiet ? NULL : print_warning},
  };
  code = check_outputs(&p, &call);
  if (code) return code;
  json_watch_memory();
  willis_threads_set((int)p.common[COMMON_THREADS].integer);
  code = command->run(&call);
  progress_bar_clear();
  return code;
}
