/* The command's entry: the words that are no command, then the command table. */
#include "cli/options.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

static int say_version(const char *argument) {
  (void)argument;
  printf("willis %s\n%s\n", willis_version(), willis_disclaimer());
  return 0;
}

static int say_help(const char *argument) {
  if (!argument) {
    print_overview(stdout);
    return 0;
  }
  const struct command *command = find_command(argument);
  if (!command) return print_usage_error(NULL, "help: no command is called '%s'", argument);
  print_help(command, stdout);
  return 0;
}

static int say_man(const char *argument) {
  const struct command *command = argument ? find_command(argument) : NULL;
  if (argument && !command)
    return print_usage_error(NULL, "--print-man: no command is called '%s'", argument);
  print_man_page(command, stdout);
  return 0;
}

static int say_completion(const char *argument) {
  if (argument && print_completion(argument, stdout)) return 0;
  return print_usage_error(NULL, "--print-completion: bash or zsh, not '%s'",
                           argument ? argument : "");
}

static int say_commands(const char *argument) {
  (void)argument;
  for (int i = 0; commands[i]; i++) puts(commands[i]->name);
  return 0;
}

/* The --print words are for the build, which makes man pages and completions with them. */
static const struct {
  const char *name;
  int (*say)(const char *argument);
} words[] = {
    {"help", say_help},
    {"--help", say_help},
    {"-h", say_help},
    {"--version", say_version},
    {"--print-commands", say_commands},
    {"--print-man", say_man},
    {"--print-completion", say_completion},
};

static int run(int argc, char **argv) {
  if (argc < 2) {
    print_overview(stderr);
    return 2;
  }
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (!strcmp(argv[1], words[i].name)) {
      if (argc > 3) return print_usage_error(NULL, "%s takes at most one argument", argv[1]);
      return words[i].say(argv[2]);
    }
  const struct command *command = find_command(argv[1]);
  if (command) return run_command(command, argc - 2, argv + 2);
  const char *near = nearest_command(argv[1]);
  return print_usage_error(NULL, "no command is called '%s'%s%s%s", argv[1],
                           near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

int main(int argc, char **argv) {
  /* A closed pipe and a file-size limit are write errors like any other. */
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
  int code = run(argc, argv);
  errno = 0;
  if (fflush(stdout) || ferror(stdout)) {
    /* Whoever closes the pipe early (head) knows it and wants no message. */
    if (errno != EPIPE) fprintf(stderr, "willis: stdout: cannot write: %s\n", strerror(errno));
    if (!code) code = 1;
  }
  return code;
}
