/* Every allocation and every call of the I/O table made to fail, once and for good, in whole
 * commands. Whatever fails, a command ends with 0 and the right results or with 1 and a message; no
 * block and no descriptor is kept; under a final name there is what was there or the whole new
 * file; and no temporary stays, unless the message says so.
 *
 * A quick run takes some of the points, evenly; with "all" it takes all of them, of trainings,
 * which are slow, MOST of each fault if that is given. Prints how many. test_commands [all [MOST]]
 */
#define _GNU_SOURCE
#include "base/file.h"
#include "base/memory.h"
#include "recon/checkpoint.h"
#include "recon/train_run.h"
#include "trust/commands.h"
#include "trust/faults.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_FILES = 8, QUICK_POINTS = 24, QUICK_TRAINING = 6 };

/* One command and what it leaves in out/. Bytes of checkpoints and logs hold times: of these only
 * that they can be read is asked. */
struct scene {
  const char *line;
  const char *output[MOST_FILES];
};
static const struct scene scenes[] = {
    {"info in/shape.swc in/volume.nii.gz in/stack.nii.gz in/run.safetensors in/mesh.stl", {0}},
    {"info --json in/stack.nii.gz", {0}},
    {"phantom -o out/a.swc --seed 3 --force", {"out/a.swc"}},
    {"voxelize in/shape.swc -o out/a.nii.gz --size 8 --force -t 1", {"out/a.nii.gz"}},
    {"voxelize in/mesh.stl -o out/a.nrrd --size 8 --force -t 1", {"out/a.nrrd"}},
    {"resample in/volume.nii.gz -o out/a.nii --size 12 --force -t 1", {"out/a.nii"}},
    {"segment in/volume.nii.gz -o out/a.nii.gz --keep-largest 1 --force -t 1", {"out/a.nii.gz"}},
    {"project in/volume.nii.gz -o out/a.nii.gz --views 3 --force -t 1",
     {"out/a.nii.gz", "out/a.json"}},
    {"backproject in/stack.nii.gz -o out/a.nii.gz --force -t 1", {"out/a.nii.gz"}},
    {"hull in/stack.nii.gz -o out/a.nii.gz --force -t 1", {"out/a.nii.gz"}},
    {"solve in/sums.nii.gz -o out/a.nii.gz --method sirt --iterations 2 --force -t 1",
     {"out/a.nii.gz"}},
    {"train --data in/patients --views 2 --size 8 --epochs 3 --max-steps 3 --validate 1 "
     "--validate-every 1 --output-bias 0 --checkpoint-every 1e-9 -o out/m.safetensors "
     "--log out/m.csv --force -t 1",
     {"out/m.safetensors", "out/m.csv", "out/m.best.safetensors", "out/m.step-00000001.ckpt",
      "out/m.step-00000002.ckpt", "out/m.step-00000003.ckpt"}},
    {"train --data in/patients --views 2 --size 8 --epochs 2 --max-steps 3 --validate 1 "
     "--validate-every 1 --output-bias 0 --resume in/run.step-00000002.ckpt -o out/m.safetensors "
     "--log out/m.csv --force -t 1",
     {"out/m.safetensors", "out/m.csv", "out/m.best.safetensors", "out/m.step-00000003.ckpt"}},
    {"reconstruct in/stack.nii.gz -m in/run.safetensors -o out/p.nii.gz --force -q -t 1",
     {"out/p.nii.gz"}},
    {"reconstruct in/stack.nii.gz --models in -o out/p.nii.gz --mask out/k.nrrd --mesh out/s.ply "
     "--threshold 0.3 --force -q -t 1",
     {"out/p.nii.gz", "out/k.nrrd", "out/s.ply"}},
    {"evaluate in/prob.nii.gz in/mask.nii.gz --json -t 1", {0}},
    {"mesh in/volume.nii.gz -o out/s.stl --level 300 --smooth 2 --simplify 0.5 --force -t 1",
     {"out/s.stl"}},
    {"centerline in/mask.nii.gz -o out/c.swc --force -t 1", {"out/c.swc"}},
};
enum { SCENES = sizeof scenes / sizeof *scenes };

static const char old_text[] = "what was there before";
static bool take_all;
static long most_of_training;
static long points, struck, failed_commands;

/* ---- files ---- */

struct piece {
  unsigned char *bytes;
  size_t size;
};

static struct piece load(const char *path) {
  struct piece piece = {0};
  if (willis_file_read(path, 1 << 26, &piece.bytes, &piece.size, NULL)) piece.bytes = NULL;
  return piece;
}

static bool is_checkpoint(const char *path) {
  return willis_path_ends(path, ".ckpt");
}
static bool has_times(const char *path) {
  return is_checkpoint(path) || willis_path_ends(path, ".csv");
}

/* A whole file of a kind whose bytes differ from run to run. */
static bool is_readable(const char *path) {
  unsigned char *bytes = NULL;
  struct willis_sections sections;
  struct willis_epoch *epoch = NULL;
  ptrdiff_t count;
  bool good = is_checkpoint(path) ? !willis_sections_read(path, &bytes, &sections, NULL)
                                  : !willis_log_read(path, &epoch, &count, NULL);
  willis_release(bytes);
  willis_release(epoch);
  return good;
}

static void empty_output(void) {
  struct willis_names names;
  require(!willis_folder_list("out", &names, NULL));
  for (ptrdiff_t i = 0; i < names.count; i++) {
    char path[512];
    snprintf(path, sizeof path, "out/%s", names.name[i]);
    require(!willis_path_remove(path, NULL));
  }
  willis_names_release(&names);
}

static void put_old(const struct scene *scene) {
  for (int i = 0; i < MOST_FILES && scene->output[i]; i++)
    if (!is_checkpoint(scene->output[i]))
      require(
          !willis_file_write(scene->output[i], old_text, sizeof old_text - 1, true, false, NULL));
}

/* ---- what must hold ---- */

struct wanted {
  struct piece file[MOST_FILES]; /* of a run without faults; null where it leaves none */
  char said[1 << 16];
};

static void check_file(const struct scene *scene, const struct wanted *wanted, int i, bool done,
                       const char *what) {
  const char *path = scene->output[i];
  struct piece is = load(path);
  if (!is.bytes) {
    /* Nothing, where old outputs were taken away beforehand or there were none. */
    if (done && wanted->file[i].bytes) complain("%s: %s is missing", what, path);
    return;
  }
  bool old = is.size == sizeof old_text - 1 && !memcmp(is.bytes, old_text, is.size);
  bool same = wanted->file[i].bytes && is.size == wanted->file[i].size &&
              !memcmp(is.bytes, wanted->file[i].bytes, is.size);
  if (has_times(path) && !old) same = is_readable(path);
  /* The best model so far is another one before the last epoch. */
  if (strstr(path, ".best.") && !old) {
    struct willis_network *network;
    same = !willis_network_read(path, &network, NULL);
    if (same) willis_network_destroy(network);
  }
  willis_release(is.bytes);
  if (!same && (done || !old)) complain("%s: %s is neither old nor whole", what, path);
}

static void check_names(const struct scene *scene, const char *what) {
  struct willis_names names;
  require(!willis_folder_list("out", &names, NULL));
  for (ptrdiff_t n = 0; n < names.count; n++) {
    bool known = false;
    for (int i = 0; i < MOST_FILES && scene->output[i]; i++)
      known = known || !strcmp(scene->output[i] + 4, names.name[n]);
    if (!known && !strstr(command_stderr(), names.name[n]))
      complain("%s: out/%s stays and nothing is said: %s", what, names.name[n], command_stderr());
  }
  willis_names_release(&names);
}

static void check(const struct scene *scene, const struct wanted *wanted, int code,
                  const struct fault_count *count, const char *what) {
  const char *said = command_stderr();
  bool done = code == 0;
  if (code != 0 && code != 1) complain("%s: exit %d: %s", what, code, said);
  if (code && !strstr(said, "willis: ")) complain("%s: exit 1 without a word", what);
  if (count->held) complain("%s: %ld blocks are kept", what, count->held);
  if (count->open) complain("%s: %ld descriptors are kept", what, count->open);
  if (done && strcmp(command_stdout(), wanted->said) && !strstr(scene->line, "train"))
    complain("%s: exit 0, but it says\n%s", what, command_stdout());
  for (int i = 0; i < MOST_FILES && scene->output[i]; i++) check_file(scene, wanted, i, done, what);
  check_names(scene, what);
}

/* ---- the points ---- */

static struct fault_count strike(const struct scene *scene, const struct wanted *wanted,
                                 const struct fault *fault) {
  char what[256];
  empty_output();
  put_old(scene);
  faults_begin(fault);
  int code = command_run(scene->line);
  struct fault_count count = faults_end();
  snprintf(what, sizeof what, "%.60s, %s %ld%s%s%s", scene->line,
           fault->kind == FAULT_MEMORY ? "allocation"
           : fault->kind == FAULT_IO   ? "call"
                                       : "short transfer",
           fault->at, fault->for_good ? " and all after" : "", count.where[0] ? ", " : "",
           count.where);
  check(scene, wanted, code, &count, what);
  if (fault->kind != FAULT_NONE) {
    points++;
    struck += count.struck > 0;
    failed_commands += code != 0;
  }
  if (fault->kind == FAULT_SHORT && code) complain("%s: exit %d", what, code);
  return count;
}

static struct wanted run_without_faults(const struct scene *scene) {
  struct wanted wanted = {0};
  empty_output();
  put_old(scene);
  command_must(scene->line);
  snprintf(wanted.said, sizeof wanted.said, "%s", command_stdout());
  for (int i = 0; i < MOST_FILES && scene->output[i]; i++) wanted.file[i] = load(scene->output[i]);
  return wanted;
}

static void all_points(const struct scene *scene, const struct wanted *wanted, struct fault fault,
                       long there) {
  const bool trains = !strncmp(scene->line, "train", 5);
  const long most = trains ? most_of_training : take_all ? there : QUICK_POINTS;
  const long some = there < most ? there : most;
  for (long p = 0; p < some; p++) {
    fault.at = p * there / some;
    (void)strike(scene, wanted, &fault);
  }
}

static void every_point(const struct scene *scene) {
  static const struct {
    enum fault_kind kind;
    bool for_good;
    int number;
  } faults[] = {
      {FAULT_MEMORY, false, 0}, {FAULT_MEMORY, true, 0},   {FAULT_IO, false, EIO},
      {FAULT_IO, true, EIO},    {FAULT_IO, false, ENOSPC}, {FAULT_IO, true, ENOSPC},
      {FAULT_IO, false, EINTR}, {FAULT_SHORT, false, 0},   {FAULT_SHORT, true, 0},
  };
  long before = points, struck_before = struck, failed_before = failed_commands;
  struct wanted wanted = run_without_faults(scene);
  const struct fault none = {.kind = FAULT_NONE};
  struct fault_count calls = strike(scene, &wanted, &none);
  for (size_t f = 0; f < sizeof faults / sizeof *faults; f++) {
    struct fault fault = {
        .kind = faults[f].kind, .for_good = faults[f].for_good, .number = faults[f].number};
    long there = fault.kind == FAULT_MEMORY ? calls.memory
                 : fault.kind == FAULT_IO   ? calls.io
                                            : calls.transfers;
    all_points(scene, &wanted, fault, there);
  }
  for (int i = 0; i < MOST_FILES; i++) willis_release(wanted.file[i].bytes);
  printf("%.60s: %ld allocations, %ld calls, %ld transfers: %ld points, %ld struck, %ld exits "
         "with a message\n",
         scene->line, calls.memory, calls.io, calls.transfers, points - before,
         struck - struck_before, failed_commands - failed_before);
  require(struck > struck_before && failed_commands > failed_before);
}

int main(int argc, char **argv) {
  take_all = argc > 1 && !strcmp(argv[1], "all");
  most_of_training = argc > 2 ? atol(argv[2]) : take_all ? LONG_MAX : QUICK_TRAINING;
  setvbuf(stdout, NULL, _IOLBF, 0);
  commands_begin();
  commands_make_inputs();
  for (int i = 0; i < SCENES; i++) every_point(&scenes[i]);
  commands_end();
  printf("%ld points in %d commands, %ld struck, %ld ended with a message, %ld findings\n", points,
         SCENES, struck, failed_commands, complaints());
  return complaints() > 0;
}
