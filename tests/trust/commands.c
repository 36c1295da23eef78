/* Commands in this process. */
#define _GNU_SOURCE
#include "trust/commands.h"

#include "cli/options.h"
#include "scratch.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>

enum { PRINTED = 1 << 16, WORDS = 64, MOST_SHOWN = 20 };
static char printed[2][PRINTED];
static long complained;

void complain(const char *format, ...) {
  va_list list;
  va_start(list, format);
  if (complained++ < MOST_SHOWN) {
    fputs("FAILED: ", stdout);
    vprintf(format, list);
    putchar('\n');
  }
  va_end(list);
}

_Noreturn void require_failed(const char *condition, const char *file, int line) {
  fprintf(stderr, "%s:%d: %s\n", file, line, condition);
  exit(1);
}

long complaints(void) {
  return complained;
}

void commands_begin(void) {
  require(!scratch_make(NULL) && !chdir(scratch_folder));
  require(!mkdir("in", 0777) && !mkdir("out", 0777));
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *where) {
  (void)st;
  (void)kind;
  (void)where;
  return remove(path);
}

void commands_end(void) {
  require(!chdir("/") && !nftw(scratch_folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS));
}

/* One stream of this process into a file, and what came after that. */
struct capture {
  FILE *stream;
  int file, kept;
};

static void capture_begin(struct capture *c, FILE *stream, const char *path) {
  fflush(stream);
  c->stream = stream;
  c->kept = dup(fileno(stream));
  c->file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0666);
  require(c->kept >= 0 && c->file >= 0);
  require(dup2(c->file, fileno(stream)) >= 0);
}

static void capture_end(struct capture *c, char *text) {
  fflush(c->stream);
  require(dup2(c->kept, fileno(c->stream)) >= 0);
  ssize_t n = pread(c->file, text, PRINTED - 1, 0);
  text[n > 0 ? n : 0] = 0;
  close(c->file);
  close(c->kept);
}

int command_run(const char *line) {
  char copy[1024], *argv[WORDS], *rest = NULL;
  int argc = 0;
  struct capture out, err;
  snprintf(copy, sizeof copy, "%s", line);
  for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
    argv[argc++] = word;
  const struct command *command = find_command(argv[0]);
  require(command);
  capture_begin(&out, stdout, "stdout");
  capture_begin(&err, stderr, "stderr");
  int code = run_command(command, argc - 1, argv + 1);
  capture_end(&out, printed[0]);
  capture_end(&err, printed[1]);
  return code;
}

void command_must(const char *line) {
  int code = command_run(line);
  if (!code) return;
  fprintf(stderr, "%s: exit %d: %s", line, code, printed[1]);
  exit(1);
}

const char *command_stdout(void) {
  return printed[0];
}
const char *command_stderr(void) {
  return printed[1];
}

void commands_make_inputs(void) {
  static const char *const lines[] = {
      "phantom -o in/shape.swc --seed 7",
      "voxelize in/shape.swc -o in/volume.nii.gz --size 8 -t 1",
      "project in/volume.nii.gz -o in/stack.nii.gz --views 2 -t 1",
      "project in/volume.nii.gz -o in/sums.nii.gz --mode sum --views 2 -t 1",
      "segment in/volume.nii.gz -o in/mask.nii.gz -t 1",
      "train --data in/patients --views 2 --size 8 --epochs 2 --max-steps 2 --validate 1 "
      "--validate-every 1 --output-bias 0 -o in/run.safetensors -q -t 1",
      "reconstruct in/stack.nii.gz -m in/run.safetensors -o in/prob.nii.gz -q -t 1",
      "mesh in/volume.nii.gz --level 300 -o in/mesh.stl -t 1",
  };
  mkdir("in/patients", 0777);
  for (int i = 0; i < 3; i++) {
    char line[128];
    snprintf(line, sizeof line, "phantom -o in/patients/p%d.swc --seed %d", i, i + 1);
    command_must(line);
  }
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) command_must(lines[i]);
}
