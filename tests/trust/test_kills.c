/* SIGKILL at random moments of training, and at each call of commands that write. Every checkpoint
 * under its final name can be read; training that goes on ends with the same bytes as training that
 * was left alone; volumes, stacks and meshes under their final names are old or whole, and the two
 * files of a stack are never taken for a pair when they are none.
 *
 * test_kills WILLIS FAIL_CALLS.so [KILLS]: how many in training; 0 leaves training out. */
#define _GNU_SOURCE
#include "base/file.h"
#include "base/memory.h"
#include "recon/checkpoint.h"
#include "trust/process.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { QUICK_KILLS = 8, STEPS = 12, WRITERS_RUNS = 50 };
static const char *shim;

/* ---- training ---- */

static const char train_line[] =
    "train --data patients --views 2 --size 16 --epochs 20 --max-steps 12 --validate 1 "
    "--validate-every 2 --output-bias 0 --checkpoint-every 1e-9 --log %s/m.csv -o "
    "%s/m.safetensors -q -t 1 %s %s";

static long looked_at, unreadable;

/* Reads every checkpoint of run/; the newest step, or 0. */
static unsigned long long look_at_checkpoints(void) {
  unsigned long long step[16];
  char path[PATH_MAX];
  int count;
  require(!willis_checkpoint_list("run/m", step, 16, &count, NULL));
  for (int i = 0; i < count; i++) {
    unsigned char *bytes = NULL;
    struct willis_sections sections;
    struct willis_error err;
    require(willis_checkpoint_path(path, sizeof path, "run/m", step[i]));
    looked_at++;
    if (willis_sections_read(path, &bytes, &sections, &err)) {
      unreadable++;
      complain("%s", err.message);
    }
    willis_release(bytes);
  }
  return count ? step[count - 1] : 0;
}

/* Starts anew, or goes on from the newest checkpoint. */
static pid_t train(unsigned long long step) {
  char line[1024], path[64];
  require(willis_checkpoint_path(path, sizeof path, "run/m", step));
  snprintf(line, sizeof line, train_line, "run", "run", step ? "--force --resume" : "--force",
           step ? path : "");
  return process_start(line, NULL);
}

static void kill_training(long kills) {
  char line[1024];
  for (int i = 0; i < 3; i++) {
    snprintf(line, sizeof line, "phantom -o patients/p%d.swc --seed %d", i, i + 1);
    process_must(line);
  }
  process_fresh("whole");
  snprintf(line, sizeof line, train_line, "whole", "whole", "", "");
  double begun = process_now();
  process_must(line);
  double whole_s = process_now() - begun;
  long done = 0, runs = 0, left = 0;
  unsigned long long step = 0;
  process_fresh("run");
  for (bool ended = true; done < kills || !ended;) {
    pid_t pid = train(step);
    ended = false;
    if (done < kills) {
      process_sleep(process_random() * 0.7 * whole_s);
      kill(pid, SIGKILL);
    }
    struct process_end end = process_wait(pid);
    done += end.signal == SIGKILL;
    if (end.code > 0 || (end.signal && end.signal != SIGKILL))
      complain("exit %d, signal %d: %s", end.code, end.signal, end.said);
    step = look_at_checkpoints();
    if (strstr(end.said, "going on from")) complain("a checkpoint was not good: %s", end.said);
    if (end.code) continue;
    ended = true;
    runs++;
    if (!process_same("run/m.safetensors", "whole/m.safetensors"))
      complain("run %ld: another model than without kills", runs);
    left += process_temporaries("run");
    process_fresh("run");
    step = 0;
  }
  printf("%ld kills in %ld runs of %d steps (%.2f s each): %ld checkpoints looked at, %ld "
         "unreadable; every run ended in the same model; %ld hidden temporaries left\n",
         done, runs, STEPS, whole_s, looked_at, unreadable, left);
}

/* ---- writers ---- */

static const struct writer {
  const char *line; /* what is written anew over what `old` wrote */
  const char *old;
  const char *file[2]; /* the second one is a stack's text */
} writers[] = {
    {"voxelize patients/p1.swc -o out/v.nii --size 48 --force -t 1",
     "voxelize patients/p0.swc -o out/v.nii --size 48 -t 1",
     {"out/v.nii"}},
    {"project a.nii.gz -o out/s.nii.gz --views 6 --force -t 1",
     "project b.nii.gz -o out/s.nii.gz --views 6 -t 1",
     {"out/s.nii.gz", "out/s.json"}},
    {"mesh a.nii.gz -o out/m.stl --level 300 --force -t 1",
     "mesh b.nii.gz -o out/m.stl --level 300 -t 1",
     {"out/m.stl"}},
};
enum { WRITERS = sizeof writers / sizeof *writers };

static long kill_at; /* a call; −1: none */
static const char *kill_calls = "open,write,fsync,close,rename";

static void preload(void) {
  char text[32];
  snprintf(text, sizeof text, "%ld", kill_at);
  setenv("LD_PRELOAD", shim, 1);
  setenv("FAIL_CALLS", kill_calls, 1);
  setenv("FAIL_HOW", "kill", 1);
  setenv("FAIL_AT", text, 1);
  setenv("FAIL_COUNT", "count", 1);
}

static void copy(const char *from, const char *to) {
  unsigned char *bytes;
  size_t size;
  require(!willis_file_read(from, 1 << 28, &bytes, &size, NULL));
  require(!willis_file_write(to, bytes, size, true, false, NULL));
  willis_release(bytes);
}

/* 0 old, 1 new, −1 neither. */
static int which(const char *file, int f) {
  char kept[2][16];
  snprintf(kept[0], sizeof kept[0], "old%d", f);
  snprintf(kept[1], sizeof kept[1], "new%d", f);
  return process_same(file, kept[0]) ? 0 : process_same(file, kept[1]) ? 1 : -1;
}

static void check_writer(const struct writer *w, const char *when, long *mixed) {
  int state[2] = {0};
  for (int f = 0; f < 2 && w->file[f]; f++) {
    state[f] = which(w->file[f], f);
    if (state[f] < 0) complain("%s: %s is neither old nor new", when, w->file[f]);
  }
  if (!w->file[1] || state[0] == state[1]) return;
  ++*mixed;
  char line[256];
  snprintf(line, sizeof line, "info %s", w->file[0]);
  struct process_end end = process_run(line, NULL);
  if (end.code != 1 || !strstr(end.said, "not written together"))
    complain("%s: image and text of two stacks are taken: exit %d: %s", when, end.code, end.said);
}

static long call_count(void) {
  unsigned char *bytes;
  size_t size;
  require(!willis_file_read("count", 64, &bytes, &size, NULL));
  long count = atol((const char *)bytes);
  willis_release(bytes);
  return count;
}

static void restore(const struct writer *w) {
  process_fresh("out");
  for (int f = 0; f < 2 && w->file[f]; f++) copy(f ? "old1" : "old0", w->file[f]);
}

static void kill_writer(const struct writer *w) {
  char when[128];
  long mixed = 0, kills = 0, random_kills = 0;
  process_fresh("out");
  process_must(w->old);
  for (int f = 0; f < 2 && w->file[f]; f++) copy(w->file[f], f ? "old1" : "old0");
  kill_at = -1;
  double begun = process_now();
  require(process_run(w->line, preload).code == 0);
  double whole_s = process_now() - begun;
  for (int f = 0; f < 2 && w->file[f]; f++) copy(w->file[f], f ? "new1" : "new0");
  const long calls = call_count();
  for (kill_at = 0; kill_at < calls; kill_at++, kills++) {
    restore(w);
    snprintf(when, sizeof when, "%.20s, killed at call %ld", w->line, kill_at);
    struct process_end end = process_run(w->line, preload);
    if (end.signal != SIGKILL) complain("%s: exit %d", when, end.code);
    check_writer(w, when, &mixed);
  }
  for (int i = 0; i < WRITERS_RUNS / WRITERS; i++) {
    restore(w);
    pid_t pid = process_start(w->line, NULL);
    process_sleep(process_random() * whole_s);
    kill(pid, SIGKILL);
    random_kills += process_wait(pid).signal == SIGKILL;
    check_writer(w, "killed at random", &mixed);
  }
  printf("%.20s: killed at each of %ld calls and %ld times at random: nothing partial; %ld times "
         "the halves of two stacks, refused\n",
         w->line, kills, random_kills, mixed);
  if (w->file[1]) require(mixed > 0);
}

int main(int argc, char **argv) {
  require(argc >= 3);
  shim = process_absolute(argv[2]);
  long kills = argc > 3 ? atol(argv[3]) : QUICK_KILLS;
  process_begin(argv[1]);
  process_fresh("patients");
  if (kills) kill_training(kills);
  process_must("phantom -o patients/p0.swc --seed 1 --force");
  process_must("phantom -o patients/p1.swc --seed 2 --force");
  process_must("voxelize patients/p0.swc -o b.nii.gz --size 32 -t 1");
  process_must("voxelize patients/p1.swc -o a.nii.gz --size 32 -t 1");
  for (int i = 0; i < WRITERS; i++) kill_writer(&writers[i]);
  process_end();
  return complaints() > 0;
}
