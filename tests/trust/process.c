/* The command as a process. */
#define _GNU_SOURCE
#include "trust/process.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/wait.h>
#include <time.h>

enum { MOST_SHOWN = 20, WORDS = 64 };
static char command[PATH_MAX];
static long complained;

void complain(const char *format, ...) {
  va_list list;
  va_start(list, format);
  if (complained++ < MOST_SHOWN) {
    fputs("FAILED: ", stdout);
    vprintf(format, list);
    putchar('\n');
    fflush(stdout);
  }
  va_end(list);
}
long complaints(void) {
  return complained;
}
_Noreturn void require_failed(const char *condition, const char *file, int line) {
  fprintf(stderr, "%s:%d: %s\n", file, line, condition);
  exit(1);
}

const char *process_absolute(const char *path) {
  char *absolute = realpath(path, NULL);
  require(absolute);
  return absolute;
}

void process_begin(const char *willis) {
  require(realpath(willis, command));
  require(!scratch_make(NULL) && !chdir(scratch_folder));
  setenv("OMP_WAIT_POLICY", "PASSIVE", 1);
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *where) {
  (void)st;
  (void)kind;
  (void)where;
  return remove(path);
}

void process_end(void) {
  require(!chdir("/") && !nftw(scratch_folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS));
}

void process_fresh(const char *folder) {
  (void)nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
  require(!mkdir(folder, 0777));
}

static void stream_into(const char *path, int fd) {
  int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file < 0 || dup2(file, fd) < 0) _exit(99);
}

pid_t process_start(const char *line, void (*before)(void)) {
  char copy[1024], *argv[WORDS + 1], *rest = NULL;
  int argc = 0;
  argv[argc++] = command;
  snprintf(copy, sizeof copy, "%s", line);
  for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
    argv[argc++] = word;
  argv[argc] = NULL;
  fflush(stdout);
  pid_t pid = fork();
  require(pid >= 0);
  if (pid) return pid;
  stream_into("stdout", STDOUT_FILENO);
  stream_into("stderr", STDERR_FILENO);
  if (before) before();
  execv(command, argv);
  _exit(98);
}

struct process_end process_wait(pid_t pid) {
  struct process_end end = {.code = -1};
  int status;
  while (waitpid(pid, &status, 0) < 0) require(errno == EINTR);
  if (WIFEXITED(status)) end.code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) end.signal = WTERMSIG(status);
  FILE *f = fopen("stderr", "rb");
  size_t n = f ? fread(end.said, 1, sizeof end.said - 1, f) : 0;
  end.said[n] = 0;
  if (f) fclose(f);
  return end;
}

struct process_end process_run(const char *line, void (*before)(void)) {
  return process_wait(process_start(line, before));
}

void process_must(const char *line) {
  struct process_end end = process_run(line, NULL);
  if (end.code == 0) return;
  fprintf(stderr, "%s: exit %d, signal %d: %s\n", line, end.code, end.signal, end.said);
  exit(1);
}

double process_random(void) {
  static uint64_t drawn;
  return willis_random_uniform(1, 1, drawn++);
}

void process_sleep(double seconds) {
  struct timespec t = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
  nanosleep(&t, NULL);
}

double process_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

bool process_same(const char *a, const char *b) {
  unsigned char *x = NULL, *y = NULL;
  size_t n, m;
  bool same = !willis_file_read(a, (size_t)1 << 30, &x, &n, NULL) &&
              !willis_file_read(b, (size_t)1 << 30, &y, &m, NULL) && n == m && !memcmp(x, y, n);
  willis_release(x);
  willis_release(y);
  return same;
}

int process_temporaries(const char *folder) {
  struct willis_names names;
  int count = 0;
  require(!willis_folder_list(folder, &names, NULL));
  for (ptrdiff_t i = 0; i < names.count; i++) count += names.name[i][0] == '.';
  willis_names_release(&names);
  return count;
}
