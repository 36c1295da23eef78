/* Power cuts while training saves: an ext4 in a file, shut down without flushing its journal
 * (FS_IOC_SHUTDOWN), mounted again. Of the checkpoints that were acknowledged, none may be lost.
 * As a control that these cuts do lose what is not synced, the same with fsync left out.
 *
 * test_power WILLIS FAIL_CALLS.so [CUTS]. Skipped aloud without root, loop devices or mkfs.ext4. */
#define _GNU_SOURCE
#include "base/file.h"
#include "base/memory.h"
#include "recon/checkpoint.h"
#include "trust/process.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { QUICK_CUTS = 2, MOST = 64, NO_LOG_FLUSH = 2 };
/* Of the kernel's fs/ext4/ext4.h; later also in linux/fs.h. */
#define SHUT_DOWN _IOR('X', 125, uint32_t)

static const char *shim;

static bool shell(const char *line) {
  char quiet[256];
  snprintf(quiet, sizeof quiet, "%s >shell 2>&1", line);
  return system(quiet) == 0;
}

static void without_sync(void) {
  setenv("LD_PRELOAD", shim, 1);
  setenv("FAIL_CALLS", "fsync", 1);
  setenv("FAIL_HOW", "skip", 1);
}

static int list(unsigned long long step[MOST]) {
  int count = 0;
  if (willis_checkpoint_list("disk/m", step, MOST, &count, NULL)) return 0;
  return count;
}

/* The newest checkpoint whose saving has returned: the next one was already begun or is there. */
static unsigned long long acknowledged(void) {
  unsigned long long step[MOST];
  int begun = process_temporaries("disk"), count = list(step);
  if (!count) return 0;
  return begun ? step[count - 1] : count > 1 ? step[count - 2] : 0;
}

static void cut(void) {
  uint32_t how = NO_LOG_FLUSH;
  int fd = open("disk", O_RDONLY | O_DIRECTORY);
  require(fd >= 0 && !ioctl(fd, SHUT_DOWN, &how));
  close(fd);
}

/* The newest checkpoint that can be read; counts those that cannot. */
static unsigned long long newest_good(long *broken) {
  unsigned long long step[MOST], best = 0;
  char path[PATH_MAX];
  int count = list(step);
  for (int i = 0; i < count; i++) {
    unsigned char *bytes = NULL;
    struct willis_sections sections;
    require(willis_checkpoint_path(path, sizeof path, "disk/m", step[i]));
    if (willis_sections_read(path, &bytes, &sections, NULL))
      ++*broken;
    else
      best = step[i];
    willis_release(bytes);
  }
  return best;
}

/* How many cuts lost an acknowledged checkpoint. */
static long cuts(long wanted, void (*before)(void), long *broken, long *saved) {
  long lost = 0;
  for (long i = 0; i < wanted; i++) {
    require(shell("mkfs.ext4 -q -F disk.img") && shell("mount -o loop disk.img disk"));
    pid_t pid = process_start("train --data patients --views 2 --size 8 --epochs 200 --validate 1 "
                              "--output-bias 0 --checkpoint-every 1e-9 -o disk/m.safetensors -q "
                              "-t 1",
                              before);
    for (int wait = 0; wait < 2000 && acknowledged() < 2; wait++) process_sleep(0.01);
    process_sleep(process_random());
    kill(pid, SIGSTOP); /* what is on the disk now is what the cut meets */
    unsigned long long step = acknowledged();
    cut();
    kill(pid, SIGKILL);
    (void)process_wait(pid);
    require(shell("umount disk") && shell("mount -o loop disk.img disk"));
    lost += newest_good(broken) < step;
    *saved += step > 0;
    require(shell("umount disk"));
  }
  return lost;
}

int main(int argc, char **argv) {
  require(argc >= 3);
  shim = process_absolute(argv[2]);
  const long wanted = argc > 3 ? atol(argv[3]) : QUICK_CUTS;
  process_begin(argv[1]);
  process_fresh("patients");
  process_fresh("disk");
  if (geteuid() || !shell("truncate -s 300M disk.img") || !shell("mkfs.ext4 -q -F disk.img") ||
      !shell("mount -o loop disk.img disk") || !shell("umount disk")) {
    printf("SKIPPED: power cuts: need root, loop devices and mkfs.ext4\n");
    process_end();
    return 0;
  }
  process_must("phantom -o patients/p0.swc --seed 1");
  process_must("phantom -o patients/p1.swc --seed 2");
  long broken = 0, saved = 0, control_broken = 0, control_saved = 0;
  long lost = cuts(wanted, NULL, &broken, &saved);
  long control = cuts(wanted, without_sync, &control_broken, &control_saved);
  process_end();
  printf("%ld power cuts, %ld after an acknowledged checkpoint: %ld lost, %ld files broken under a "
         "final name\nwithout fsync: %ld of %ld lost, %ld files broken\n",
         wanted, saved, lost, broken, control, control_saved, control_broken);
  if (lost || broken) complain("a checkpoint was lost");
  if (!saved) complain("no checkpoint was acknowledged");
  if (!control) complain("the control loses nothing: these cuts prove nothing");
  return complaints() > 0;
}
