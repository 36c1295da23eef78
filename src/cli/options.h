/* Commands and options as tables: the parser, -h, the man page and completion read the same rows.
 *
 * To add a command: write cmd_<name>.c with one `const struct command cmd_<name>`, name it in
 * commands.c and in CMakeLists.txt. Nothing else knows it. */
#ifndef WILLIS_CLI_OPTIONS_H
#define WILLIS_CLI_OPTIONS_H

#include <willis/willis.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum option_kind {
  OPTION_FLAG,
  OPTION_INTEGER, /* → integer */
  OPTION_REAL,    /* → real, finite */
  OPTION_TEXT,    /* → text */
  OPTION_OUTPUT,  /* → text, a path that run() will write: refused beforehand if it exists */
  OPTION_CHOICE,  /* → text, one of `argument` = "max|sum"; its place in that list → integer */
  OPTION_BYTES    /* 96M, 1G, 500000 → integer; K M G T are powers of 1024 */
};

/* One row an option. */
struct option_row {
  const char *name; /* without dashes */
  char letter;      /* 0 for none */
  enum option_kind kind;
  const char *argument; /* "N", "FILE"; null for flags */
  const char *fallback; /* the default, shown by -h and parsed; null for none */
  const char *help;     /* one line */
  double least, most;   /* limits of a number; both 0: none */
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
  FILE *results;                   /* stdout, or stderr when -o is "-" and takes stdout */
  struct willis_progress progress; /* a bar on stderr; asks to stop after SIGINT or SIGTERM */
  struct willis_warnings warnings; /* "willis: warning: …" on stderr */
};

/* What -o may be. */
enum output_kind {
  OUTPUT_ANY,   /* a file, or - for stdout */
  OUTPUT_NAMED, /* a file: several are written, or the ending says what kind it is */
  OUTPUT_FOLDER
};

struct command {
  const char *name;
  const char *arguments;               /* "VOL -o PROJ" */
  const char *summary;                 /* one line */
  const char *details;                 /* paragraphs for -h and the man page; null for none */
  int least_arguments, most_arguments; /* most −1: any number */
  bool needs_output;
  enum output_kind output;
  const struct option_row *rows; /* ends with a row whose name is null; null for none */
  /* Returns the exit code: 0, 1 after print_error(), 2 after print_usage_error(). */
  int (*run)(const struct call *call);
};

/* One line on stderr: "willis: SUBJECT: what…". `subject` may be null; it is not said twice when
 * the message begins with it. Returns 1. */
int print_error(const char *subject, const struct willis_error *err);
/* One line on stderr that ends with where help is. Returns 2. `command` may be null. */
int print_usage_error(const struct command *command, const char *format, ...) WILLIS_PRINTF(2, 3);

/* "0,45,90" into at most `most` numbers, all finite. Returns how many; −1 if it is not such a list.
 */
int parse_number_list(const char *text, double *value, int most);
/* 0 if `path` may be written later (it does not exist, or --force; its folder is there and
 * writable); else 1 after an error line. Needed only for paths that are no -o and no OPTION_OUTPUT:
 * those are checked before run(). */
int check_output(const struct call *call, const char *path);

/* Every command; ends with null. */
extern const struct command *const commands[];
/* Options that every command has; `output` only those with needs_output. */
extern const struct option_row common_rows[];
/* A common row as the command has it: what its -o may be. */
struct option_row common_row_of(const struct command *command, const struct option_row *row);
const struct command *find_command(const char *name);
/* The known word nearest to `word`, if it is near enough to be what was meant; else null. */
const char *nearest_command(const char *word);

/* Parses what follows the command's name, checks outputs, runs it, and returns the exit code. */
int run_command(const struct command *command, int argc, char **argv);

/* The same tables for readers (help.c, manual.c). */
void print_overview(FILE *to);
void print_help(const struct command *command, FILE *to);
void print_man_page(const struct command *command, FILE *to); /* null: willis(1) itself */
/* `shell` is "bash" or "zsh"; false for any other. */
bool print_completion(const char *shell, FILE *to);

#endif
