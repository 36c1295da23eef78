/* Commands and options as tables: the parser, -h, the man page and completion read the same rows.
 */
#ifndef WILLIS_CLI_OPTIONS_H
#define WILLIS_CLI_OPTIONS_H

#include <willis/willis.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_kind {
  OPTION_FLAG,
  OPTION_INTEGER, /* → integer */
  OPTION_REAL,    /* → real */
  OPTION_TEXT,    /* → text */
  OPTION_BYTES    /* 96M, 1G, 500000 → integer */
};

/* One row an option. */
struct option_row {
  const char *name; /* without dashes */
  char letter;      /* 0 for none */
  enum option_kind kind;
  const char *argument; /* "N", "FILE"; null for flags */
  const char *fallback; /* the default, shown by -h and parsed; null for none */
  const char *help;     /* one line */
};

struct option_value {
  bool given; /* on the command line */
  intmax_t integer;
  double real;
  const char *text;
};

/* What a command gets: positional arguments and the values of its rows, in the order of the rows.
 */
struct call {
  const struct command *command;
  int argument_count;
  const char *const *argument;
  const struct option_value *option;
  /* the common options */
  bool quiet, json, force;
  uint64_t seed;
  const char *output;              /* -o, null when not given */
  struct willis_progress progress; /* a bar on stderr, silent when quiet or not a terminal */
  struct willis_warnings warnings; /* "willis: warning: …" on stderr */
};

struct command {
  const char *name;
  const char *arguments;               /* "VOL -o PROJ" */
  const char *summary;                 /* one line */
  const char *details;                 /* paragraphs for -h and the man page; null for none */
  int least_arguments, most_arguments; /* most −1: any number */
  bool needs_output;
  const struct option_row *rows; /* ends with a row whose name is null */
  /* Returns the exit code: 0, 1 after print_error(), 2 after print_usage_error(). */
  int (*run)(const struct call *call);
};

/* One line on stderr: "willis: FILE: what…". `subject` may be null. Returns 1. */
int print_error(const char *subject, const struct willis_error *err);
/* One line on stderr, then where help is. Returns 2. */
int print_usage_error(const struct command *command, const char *format, ...) WILLIS_PRINTF(2, 3);

/* "0,45,90" into at most `most` numbers; −1 if it is not such a list. */
int parse_number_list(const char *text, double *value, int most);

/* Every command; ends with null. */
extern const struct command *const commands[];

#endif
