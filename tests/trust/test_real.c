/* The real command under failing calls (LD_PRELOAD), on a disk that is full, under a limit of the
 * file size, with nobody who reads: it ends with 0 and the right file or with 1 and a message;
 * never by a signal. A file under its final name is old or whole.
 *
 * test_real WILLIS FAIL_CALLS.so [all]: a quick run takes some of the points, evenly. */
#define _GNU_SOURCE
#include "base/file.h"
#include "base/memory.h"
#include "trust/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

enum { QUICK_POINTS = 10, DISKS = 60, QUICK_DISKS = 12 };
static const char *shim;
static bool take_all;

static const struct scene {
  const char *line, *output;
} scenes[] = {
    {"info in/v.nii.gz in/s.nii.gz in/p0.swc in/r.safetensors", NULL},
    {"info in/slice.dcm", NULL},
    {"voxelize in/p0.swc -o out/v.nii.gz --size 8 --force -t 1", "out/v.nii.gz"},
    {"project in/v.nii.gz -o out/s.nii.gz --views 2 --force -t 1", "out/s.nii.gz"},
    {"train --data in/patients --views 2 --size 8 --epochs 3 --max-steps 3 --validate 1 "
     "--validate-every 1 --output-bias 0 --checkpoint-every 1e-9 -o out/m.safetensors --force -t 1",
     "out/m.safetensors"},
    {"reconstruct in/s.nii.gz -m in/r.safetensors -o out/p.nii.gz --force -t 1", "out/p.nii.gz"},
    {"mesh in/v.nii.gz -o out/m.ply --level 300 --force -t 1", "out/m.ply"},
};
enum { SCENES = sizeof scenes / sizeof *scenes };
static long ended_by_libgomp;
static const char old_text[] = "what was there before";

static void put_old(const struct scene *scene) {
  process_fresh("out");
  if (scene->output)
    require(!willis_file_write(scene->output, old_text, sizeof old_text - 1, true, false, NULL));
}

static void check(const struct scene *scene, const struct process_end *end, const char *what) {
  /* libgomp ends the process when it finds no memory for a team or its threads; what then runs at
   * exit in other libraries finds none either. */
  bool by_libgomp =
      end->signal == SIGABRT && (strstr(end->said, "libgomp: Out of memory") ||
                                 strstr(end->said, "libgomp: Thread creation failed"));
  ended_by_libgomp += by_libgomp;
  if (end->signal && !by_libgomp) complain("%s: signal %d: %.300s", what, end->signal, end->said);
  if (!end->signal && end->code != 0 && end->code != 1)
    complain("%s: exit %d: %.300s", what, end->code, end->said);
  if (end->code == 1 && !end->said[0]) complain("%s: exit 1 without a word", what);
  if (!scene->output) return;
  bool whole = process_same(scene->output, "new"), old = process_same(scene->output, "old");
  if (!whole && !(old && end->code != 0))
    complain("%s: exit %d, and %s is neither old nor whole", what, end->code, scene->output);
}

static void remember(const struct scene *scene) {
  unsigned char *bytes;
  size_t size;
  require(!willis_file_write("old", old_text, sizeof old_text - 1, true, false, NULL));
  if (!scene->output) return;
  require(!willis_file_read(scene->output, 1 << 28, &bytes, &size, NULL));
  require(!willis_file_write("new", bytes, size, true, false, NULL));
  willis_release(bytes);
}

/* ---- failing calls ---- */

static const struct kind {
  const char *calls, *how, *number;
} kinds[] = {
    {"memory", "once", "12"},       {"memory", "for-good", "12"},
    {"files", "once", "5"},         {"write,fsync,rename,close,unlink", "for-good", "28"},
    {"read,open", "for-good", "5"}, {"write,read,open,fsync", "once", "4"},
};
enum { KINDS = sizeof kinds / sizeof *kinds };
static const struct kind *kind;
static long fail_at;

static void preload(void) {
  char text[32];
  snprintf(text, sizeof text, "%ld", fail_at);
  setenv("LD_PRELOAD", shim, 1);
  setenv("FAIL_CALLS", kind->calls, 1);
  setenv("FAIL_HOW", kind->how, 1);
  setenv("FAIL_ERRNO", kind->number, 1);
  setenv("FAIL_AT", text, 1);
  setenv("FAIL_COUNT", "count", 1);
}

static long call_count(void) {
  unsigned char *bytes;
  size_t size;
  require(!willis_file_read("count", 64, &bytes, &size, NULL));
  long count = atol((const char *)bytes);
  willis_release(bytes);
  return count;
}

static void fail_calls(const struct scene *scene) {
  long points = 0, with_message = 0, there[KINDS];
  put_old(scene);
  process_must(scene->line);
  remember(scene);
  for (kind = kinds; kind < kinds + KINDS; kind++) {
    fail_at = -1;
    put_old(scene);
    struct process_end whole = process_run(scene->line, preload);
    check(scene, &whole, "without a fault");
    const long count = there[kind - kinds] = call_count();
    const long some = take_all || count < QUICK_POINTS ? count : QUICK_POINTS;
    for (long p = 0; p < some; p++, points++) {
      char what[256];
      fail_at = p * count / some;
      snprintf(what, sizeof what, "%.40s, %s %ld of %ld fails %s with %s", scene->line, kind->calls,
               fail_at, count, kind->how, kind->number);
      put_old(scene);
      struct process_end end = process_run(scene->line, preload);
      check(scene, &end, what);
      with_message += end.code == 1;
    }
  }
  printf("%.32s: %ld allocations, %ld calls: %ld points, %ld ended with a message\n", scene->line,
         there[0], there[2], points, with_message);
  fflush(stdout);
}

/* ---- disks ---- */

static void full_disks(void) {
  const long disks = take_all ? DISKS : QUICK_DISKS;
  long lost = 0, complete = 0;
  if (mkdir("disk", 0777) || mount("none", "disk", "tmpfs", 0, "size=4k")) {
    printf("SKIPPED: full disks: cannot mount (%s): needs root\n", strerror(errno));
    return;
  }
  require(!umount("disk"));
  /* The first checkpoint of 4 MB fits everywhere; a second, a third, best and model do not. */
  for (long d = 0; d < disks; d++) {
    char option[64];
    snprintf(option, sizeof option, "size=%ldk", 6000 + d * 40000 / disks);
    require(!mount("none", "disk", "tmpfs", 0, option));
    struct process_end end = process_run(
        "train --data in/patients --views 2 --size 8 --epochs 3 --max-steps 5 --validate 1 "
        "--validate-every 1 --output-bias 0 --checkpoint-every 1e-9 -o disk/m.safetensors -t 1",
        NULL);
    if (end.signal || end.code < 0 || end.code > 1)
      complain("%s: exit %d, signal %d", option, end.code, end.signal);
    if (end.code == 1 && !strstr(end.said, "No space left")) complain("%s: %s", option, end.said);
    complete += end.code == 0;
    lost += process_temporaries("disk");
    /* Whatever stands under a final name must load: the newest checkpoint without a fallback. */
    struct willis_names names;
    require(!willis_folder_list("disk", &names, NULL));
    char newest[PATH_MAX] = "", line[PATH_MAX + 256];
    for (ptrdiff_t i = 0; i < names.count; i++)
      if (willis_path_ends(names.name[i], ".ckpt"))
        snprintf(newest, sizeof newest, "disk/%s", names.name[i]);
    if (names.count && !newest[0] && end.code == 0) complain("%s: no checkpoint", option);
    willis_names_release(&names);
    if (newest[0]) {
      snprintf(line, sizeof line,
               "train --data in/patients --views 2 --size 8 --epochs 3 --max-steps 5 --validate 1 "
               "--validate-every 1 --output-bias 0 -o out/r.safetensors --force -t 1 --resume %s",
               newest);
      end = process_run(line, NULL);
      if (end.code || strstr(end.said, "going on from"))
        complain("%s: %s does not load: %s", option, newest, end.said);
    }
    require(!umount("disk"));
  }
  if (lost) complain("%ld temporaries stay on full disks", lost);
  printf("%ld disks of 6 to 46 MB: %ld held all; the last good checkpoint always loads\n", disks,
         complete);
}

/* ---- limits and readers ---- */

static void limit_files(void) {
  struct rlimit limit = {2000, 2000};
  setrlimit(RLIMIT_FSIZE, &limit);
}

static void into_full_device(void) {
  int fd = open("/dev/full", O_WRONLY);
  dup2(fd, STDOUT_FILENO);
}

static int reader[2];
static void into_closed_pipe(void) {
  close(reader[0]);
  dup2(reader[1], STDOUT_FILENO);
}

static void odd_ends(void) {
  struct scene big = {"voxelize in/p0.swc -o out/v.nii --size 24 --force -t 1", "out/v.nii"};
  put_old(&big);
  process_must(big.line);
  remember(&big);
  put_old(&big);
  struct process_end end = process_run(big.line, limit_files);
  check(&big, &end, "RLIMIT_FSIZE");
  if (end.code != 1 || !strstr(end.said, "too large")) complain("RLIMIT_FSIZE: %s", end.said);
  if (process_temporaries("out")) complain("RLIMIT_FSIZE: a temporary stays");

  end = process_run("info in/v.nii.gz", into_full_device);
  if (end.code != 1 || !strstr(end.said, "No space left")) complain("/dev/full: %s", end.said);
  end = process_run("voxelize in/p0.swc -o - --size 24 -t 1", into_full_device);
  if (end.code != 1 || !strstr(end.said, "No space left")) complain("/dev/full: %s", end.said);

  /* Nobody reads: no death by SIGPIPE, and a code that tells. */
  static const char *const piped[] = {"voxelize in/p0.swc -o - --size 24 -t 1", "info in/v.nii.gz"};
  for (int i = 0; i < 2; i++) {
    require(!pipe(reader));
    pid_t pid = process_start(piped[i], into_closed_pipe);
    close(reader[0]);
    close(reader[1]);
    end = process_wait(pid);
    if (end.code != 1) complain("SIGPIPE: exit %d, signal %d: %s", end.code, end.signal, end.said);
  }
  printf("RLIMIT_FSIZE, /dev/full and a closed pipe: exit 1, no signal\n");
}

int main(int argc, char **argv) {
  require(argc >= 4);
  shim = process_absolute(argv[2]);
  const char *slice = process_absolute(argv[3]);
  take_all = argc > 4 && !strcmp(argv[4], "all");
  process_begin(argv[1]);
  process_fresh("in");
  process_fresh("in/patients");
  process_fresh("out");
  require(!symlink(slice, "in/slice.dcm"));
  process_must("phantom -o in/p0.swc --seed 1");
  process_must("phantom -o in/patients/p0.swc --seed 1");
  process_must("phantom -o in/patients/p1.swc --seed 2");
  process_must("phantom -o in/patients/p2.swc --seed 3");
  process_must("voxelize in/p0.swc -o in/v.nii.gz --size 8 -t 1");
  process_must("project in/v.nii.gz -o in/s.nii.gz --views 2 -t 1");
  process_must(
      "train --data in/patients --views 2 --size 8 --epochs 1 --validate 1 --output-bias 0 "
      "-o in/r.safetensors -t 1 -q");
  odd_ends();
  full_disks();
  for (int i = 0; i < SCENES; i++) fail_calls(&scenes[i]);
  process_end();
  printf("%ld ended by libgomp, %ld findings\n", ended_by_libgomp, complaints());
  return complaints() > 0;
}
