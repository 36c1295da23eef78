#define _GNU_SOURCE
#include "cli/memory_use.h"

#include <malloc.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

size_t memory_peak(void) {
  struct rusage usage = {0};
  (void)getrusage(RUSAGE_SELF, &usage);
  return (size_t)usage.ru_maxrss * 1024;
}

size_t memory_in_use(void) {
  long pages = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  int got = f ? fscanf(f, "%*d %ld", &pages) : 0;
  if (f) fclose(f);
  return got == 1 ? (size_t)pages * (size_t)sysconf(_SC_PAGESIZE) : memory_peak();
}

void memory_give_back(void) {
#ifdef M_MMAP_THRESHOLD
  /* Set by hand, it stays: else it grows with every block that is freed. */
  (void)mallopt(M_MMAP_THRESHOLD, 1 << 20);
  (void)mallopt(M_TRIM_THRESHOLD, 1 << 20);
#endif
}
