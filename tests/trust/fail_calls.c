/* For LD_PRELOAD: the n-th system call or allocation of a program, counted from main(), fails once,
 * fails from there on, or is the last thing the program does; or fsync is left out.
 *
 *   FAIL_CALLS   "memory", or names with commas: "write,fsync", or "files" for all below
 *   FAIL_AT      0-based; without, nothing fails
 *   FAIL_HOW     "once", "for-good", "kill", "skip" (fsync only: does nothing and says it did)
 *   FAIL_ERRNO   a number; 5 (EIO) without
 *   FAIL_COUNT   a file that gets the number of calls, in decimal */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *calls, *count_path;
static long at = -1, seen;
static int number = EIO;
static bool armed, for_good, deadly, skips;

static bool listed(const char *name) {
  if (!strcmp(calls, "files")) return strcmp(name, "memory") != 0;
  size_t n = strlen(name);
  for (const char *p = calls; (p = strstr(p, name)); p += n)
    if ((p == calls || p[-1] == ',') && (!p[n] || p[n] == ',')) return true;
  return false;
}

static bool fails(const char *name) {
  if (!armed || !listed(name)) return false;
  long here = __atomic_fetch_add(&seen, 1, __ATOMIC_RELAXED);
  if (skips || at < 0 || here < at || (here > at && !for_good)) return false;
  if (deadly) syscall(SYS_kill, getpid(), SIGKILL);
  errno = number;
  return true;
}

/* ---- from main() on ---- */

static int (*real_main)(int, char **, char **);

static void report(void) {
  armed = false;
  if (!count_path) return;
  char text[32];
  int n = snprintf(text, sizeof text, "%ld\n", seen);
  int fd = (int)syscall(SYS_openat, AT_FDCWD, count_path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
  if (fd < 0) return;
  syscall(SYS_write, fd, text, n);
  syscall(SYS_close, fd);
}

static int armed_main(int argc, char **argv, char **envp) {
  const char *where = getenv("FAIL_AT"), *how = getenv("FAIL_HOW"), *why = getenv("FAIL_ERRNO");
  calls = getenv("FAIL_CALLS");
  count_path = getenv("FAIL_COUNT");
  if (where) at = atol(where);
  if (why) number = atoi(why);
  for_good = how && !strcmp(how, "for-good");
  deadly = how && !strcmp(how, "kill");
  skips = how && !strcmp(how, "skip");
  armed = calls != NULL;
  int code = real_main(argc, argv, envp);
  report();
  return code;
}

int __libc_start_main(int (*main_function)(int, char **, char **), int argc, char **argv,
                      void (*init)(void), void (*fini)(void), void (*rtld_fini)(void),
                      void *stack_end) {
  int (*real)(int (*)(int, char **, char **), int, char **, void (*)(void), void (*)(void),
              void (*)(void), void *);
  *(void **)&real = dlsym(RTLD_NEXT, "__libc_start_main");
  real_main = main_function;
  return real(armed_main, argc, argv, init, fini, rtld_fini, stack_end);
}

/* ---- memory ---- */

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t items, size_t bytes);
void *__libc_realloc(void *block, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);

/* As the C library's own: malloc and its like say ENOMEM (glibc's threads insist), posix_memalign
 * returns it and leaves errno alone. */
static bool memory_fails(void) {
  int kept = errno;
  if (!armed || !fails("memory")) return false;
  errno = kept;
  return true;
}
static bool memory_fails_aloud(void) {
  bool failed = memory_fails();
  if (failed) errno = ENOMEM;
  return failed;
}
void *malloc(size_t bytes) {
  return memory_fails_aloud() ? NULL : __libc_malloc(bytes);
}
void *calloc(size_t items, size_t bytes) {
  return memory_fails_aloud() ? NULL : __libc_calloc(items, bytes);
}
void *realloc(void *block, size_t bytes) {
  return memory_fails_aloud() ? NULL : __libc_realloc(block, bytes);
}
int posix_memalign(void **block, size_t alignment, size_t bytes) {
  *block = memory_fails() ? NULL : __libc_memalign(alignment, bytes);
  return *block ? 0 : ENOMEM;
}
void *aligned_alloc(size_t alignment, size_t bytes) {
  return memory_fails_aloud() ? NULL : __libc_memalign(alignment, bytes);
}

/* ---- files ---- */

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int open(const char *path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  mode_t mode = flags & O_CREAT ? va_arg(list, mode_t) : 0;
  va_end(list);
  return fails("open") ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}
ssize_t read(int fd, void *buffer, size_t bytes) {
  return fails("read") ? -1 : syscall(SYS_read, fd, buffer, bytes);
}
/* Messages get through, or there would be nothing to look at. */
ssize_t write(int fd, const void *buffer, size_t bytes) {
  return fd != STDERR_FILENO && fails("write") ? -1 : syscall(SYS_write, fd, buffer, bytes);
}
int fsync(int fd) {
  if (skips) return 0;
  return fails("fsync") ? -1 : (int)syscall(SYS_fsync, fd);
}
int close(int fd) {
  int result = (int)syscall(SYS_close, fd);
  return fails("close") ? -1 : result;
}
int rename(const char *from, const char *to) {
  return fails("rename") ? -1 : REAL(rename)(from, to);
}
int renameat2(int from_folder, const char *from, int to_folder, const char *to,
              unsigned int flags) {
  if (fails("rename")) return -1;
  return (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, flags);
}
int link(const char *from, const char *to) {
  return fails("link") ? -1 : REAL(link)(from, to);
}
int unlink(const char *path) {
  return fails("unlink") ? -1 : REAL(unlink)(path);
}
int stat(const char *path, struct stat *st) {
  return fails("stat") ? -1 : REAL(stat)(path, st);
}
int lstat(const char *path, struct stat *st) {
  return fails("stat") ? -1 : REAL(lstat)(path, st);
}
int fstat(int fd, struct stat *st) {
  return fails("stat") ? -1 : REAL(fstat)(fd, st);
}
int access(const char *path, int mode) {
  return fails("access") ? -1 : REAL(access)(path, mode);
}
DIR *opendir(const char *path) {
  return fails("opendir") ? NULL : REAL(opendir)(path);
}
struct dirent *readdir(DIR *folder) {
  return fails("readdir") ? NULL : REAL(readdir)(folder);
}
