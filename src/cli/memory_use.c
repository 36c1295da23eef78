#define _GNU_SOURCE
#include "cli/memory_use.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

size_t memory_peak(void) {
  struct rusage usage = {0};
  (void)getrusage(RUSAGE_SELF, &usage);
  return (size_t)usage.ru_maxrss * 1024;
}

size_t memory_in_use(void) {
  char line[128] = "", *second = NULL;
  FILE *f = fopen("/proc/self/statm", "r");
  if (f && fgets(line, sizeof line, f)) second = strchr(line, ' ');
  if (f) fclose(f);
  long pages = second ? strtol(second, NULL, 10) : 0;
  return pages > 0 ? (size_t)pages * (size_t)sysconf(_SC_PAGESIZE) : memory_peak();
}

void memory_give_back(void) {
#ifdef M_MMAP_THRESHOLD
  /* Set by hand, it stays: else it grows with every block that is freed. */
  (void)mallopt(M_MMAP_THRESHOLD, 1 << 20);
  (void)mallopt(M_TRIM_THRESHOLD, 1 << 20);
#endif
}
