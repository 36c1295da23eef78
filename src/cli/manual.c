/* Man pages and shell completion from the tables. */
#include "cli/options.h"

#include <ctype.h>
#include <string.h>

/* ---- man pages ---- */

/* roff takes a backslash, a leading dot or quote, and a bare dash for itself. */
static void put_roff(FILE *to, const char *text) {
  bool line_begins = true;
  for (; *text; text++) {
    if (line_begins && (*text == '.' || *text == '\'')) fputs("\\&", to);
    line_begins = *text == '\n';
    if (*text == '\\')
      fputs("\\e", to);
    else if (*text == '-')
      fputs("\\-", to);
    else if (*text == '\n')
      fputs("\n.PP\n", to);
    else
      fputc(*text, to);
  }
}

static void put_row(FILE *to, const struct option_row *row) {
  fputs(".TP\n", to);
  if (row->letter) fprintf(to, "\\fB\\-%c\\fR, ", row->letter);
  fputs("\\fB\\-\\-", to);
  put_roff(to, row->name);
  fputs("\\fR", to);
  if (row->argument) {
    fputs(" \\fI", to);
    put_roff(to, row->argument);
    fputs("\\fR", to);
  }
  fputc('\n', to);
  put_roff(to, row->help);
  if (row->fallback) {
    fputs(". Default: ", to);
    put_roff(to, row->fallback);
  }
  fputs(".\n", to);
}

static void put_head(FILE *to, const char *command, const char *summary) {
  char title[64] = "WILLIS";
  if (command) snprintf(title, sizeof title, "WILLIS-%s", command);
  for (char *c = title; *c; c++) *c = (char)toupper((unsigned char)*c);
  fprintf(to, ".TH %s 1 \"\" \"Willis %s\" \"Willis\"\n.SH NAME\nwillis%s%s \\- ", title,
          willis_version(), command ? "\\-" : "", command ? command : "");
  put_roff(to, summary);
  fputs("\n.SH SYNOPSIS\n.B willis", to);
}

static void put_tail(FILE *to) {
  fputs(".SH EXIT STATUS\n0 done, 1 failed, 2 wrong usage. A failure is one line on standard "
        "error; no output is left half written.\n.SH NOTES\n",
        to);
  put_roff(to, willis_disclaimer());
  fputs("\n.SH SEE ALSO\n", to);
}

static void put_command_page(const struct command *command, FILE *to) {
  put_head(to, command->name, command->summary);
  fprintf(to, " %s\n", command->name);
  put_roff(to, command->arguments);
  fputs(" [options]\n.SH DESCRIPTION\n", to);
  put_roff(to, command->summary);
  if (command->details) {
    fputs(".\n.PP\n", to);
    put_roff(to, command->details);
  }
  fputs("\n.SH OPTIONS\n", to);
  for (const struct option_row *row = command->rows; row && row->name; row++) put_row(to, row);
  fputs(".SS Common options\n", to);
  for (const struct option_row *row = common_rows; row->name; row++)
    if (command->needs_output || strcmp(row->name, "output")) {
      const struct option_row own = common_row_of(command, row);
      put_row(to, &own);
    }
  put_tail(to);
  fputs(".BR willis (1)\n", to);
}

void print_man_page(const struct command *command, FILE *to) {
  if (command) {
    put_command_page(command, to);
    return;
  }
  put_head(to, NULL, "a few angiograms of the brain into a 3D model of its vessels");
  fputs("\n.I command\n[options]\n.SH COMMANDS\n", to);
  for (int i = 0; commands[i]; i++) {
    fprintf(to, ".TP\n.BR willis\\-%s (1)\n", commands[i]->name);
    put_roff(to, commands[i]->summary);
    fputc('\n', to);
  }
  fputs(".SH COMMON OPTIONS\n", to);
  for (const struct option_row *row = common_rows; row->name; row++) put_row(to, row);
  put_tail(to);
  for (int i = 0; commands[i]; i++)
    fprintf(to, ".BR willis\\-%s (1)%s\n", commands[i]->name, commands[i + 1] ? "," : "");
}

/* ---- completion ---- */

static void put_bash_options(FILE *to, const struct option_row *rows, bool output) {
  for (; rows && rows->name; rows++)
    if (output || strcmp(rows->name, "output")) {
      fprintf(to, " --%s", rows->name);
      if (rows->letter) fprintf(to, " -%c", rows->letter);
    }
}

static void put_bash_choices(FILE *to, const struct option_row *row) {
  fprintf(to, "      --%s) words=\"", row->name);
  for (const char *c = row->argument; *c; c++) fputc(*c == '|' ? ' ' : *c, to);
  fputs("\" ;;\n", to);
}

/* Options after a dash, choices after their option, else files (-o default). */
static void put_bash(FILE *to) {
  fputs("# bash completion for willis\n"
        "_willis() {\n"
        "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
        "  local command=${COMP_WORDS[1]} words= options=\n"
        "  if [ \"$COMP_CWORD\" = 1 ] || [ \"$COMP_CWORD-$command\" = 2-help ]; then\n"
        "    words=\"help --version",
        to);
  for (int i = 0; commands[i]; i++) fprintf(to, " %s", commands[i]->name);
  fputs("\"\n  fi\n  case $command in\n", to);
  for (int i = 0; commands[i]; i++) {
    fprintf(to, "  %s)\n    options=\"", commands[i]->name);
    put_bash_options(to, commands[i]->rows, true);
    put_bash_options(to, common_rows, commands[i]->needs_output);
    fputs("\"\n    case $before in\n", to);
    for (const struct option_row *row = commands[i]->rows; row && row->name; row++)
      if (row->kind == OPTION_CHOICE) put_bash_choices(to, row);
    fputs("    esac ;;\n", to);
  }
  fputs("  esac\n"
        "  case $word in -*) words=\"$words $options\" ;; esac\n"
        "  COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
        "}\n"
        "complete -o default -o bashdefault -F _willis willis\n",
        to);
}

/* Inside '…' and […]: quotes, brackets and colons mean something to _arguments. */
static void put_zsh_text(FILE *to, const char *text) {
  for (; *text; text++) {
    if (*text == '\'')
      fputs("'\\''", to);
    else if (strchr("[]:\\", *text))
      fprintf(to, "\\%c", *text);
    else
      fputc(*text, to);
  }
}

static void put_zsh_row(FILE *to, const struct option_row *row) {
  fputs(" \\\n      ", to);
  if (row->letter)
    fprintf(to, "'(-%c --%s)'{-%c,--%s}'[", row->letter, row->name, row->letter, row->name);
  else
    fprintf(to, "'--%s[", row->name);
  put_zsh_text(to, row->help);
  fputc(']', to);
  if (row->kind == OPTION_CHOICE) {
    fprintf(to, ":%s:(", row->name);
    for (const char *c = row->argument; *c; c++) fputc(*c == '|' ? ' ' : *c, to);
    fputc(')', to);
  } else if (row->kind != OPTION_FLAG) {
    fputc(':', to);
    put_zsh_text(to, row->argument);
    fputs(row->kind == OPTION_TEXT || row->kind == OPTION_OUTPUT ? ":_files" : ":", to);
  }
  fputc('\'', to);
}

static void put_zsh(FILE *to) {
  fputs("#compdef willis\n_willis() {\n  local -a names\n  names=(\n", to);
  for (int i = 0; commands[i]; i++) {
    fprintf(to, "    '%s:", commands[i]->name);
    put_zsh_text(to, commands[i]->summary);
    fputs("'\n", to);
  }
  fputs("  )\n  if (( CURRENT == 2 )); then\n    _describe command names\n    return\n  fi\n"
        "  local command=$words[2]\n  shift words\n  (( CURRENT-- ))\n  case $command in\n"
        "  help) _describe command names ;;\n",
        to);
  for (int i = 0; commands[i]; i++) {
    fprintf(to, "  %s)\n    _arguments", commands[i]->name);
    for (const struct option_row *row = commands[i]->rows; row && row->name; row++)
      put_zsh_row(to, row);
    for (const struct option_row *row = common_rows; row->name; row++)
      if (commands[i]->needs_output || strcmp(row->name, "output")) put_zsh_row(to, row);
    fputs(" \\\n      '*:file:_files' ;;\n", to);
  }
  fputs("  esac\n}\n_willis \"$@\"\n", to);
}

bool print_completion(const char *shell, FILE *to) {
  static const struct {
    const char *name;
    void (*put)(FILE *to);
  } shells[] = {{"bash", put_bash}, {"zsh", put_zsh}};
  for (size_t i = 0; i < sizeof shells / sizeof *shells; i++)
    if (!strcmp(shell, shells[i].name)) {
      shells[i].put(to);
      return true;
    }
  return false;
}
