/* Feeds mutated files to a reader, in one process. The same three numbers make the same input on
 * every machine, so that a failure is told by its format, seed and index. */
#define _GNU_SOURCE
#include "mutation.h"

#include "base/parallel.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#ifndef FUZZ_SOURCE_FOLDER
#error "the folder with fuzz/corpus and tests"
#endif
enum { LEAK_CHECK_EVERY = 1 << 13, SLOW_SECONDS = 10 };

/* Of the sanitizers, where they are linked in. */
int __lsan_do_recoverable_leak_check(void) __attribute__((weak));
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

/* Freed blocks are watched for a while, not for long: millions of inputs are to go through. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
  return "quarantine_size_mb=8:malloc_context_size=8:allocator_release_to_os_interval_ms=-1:"
         "max_allocation_size_mb=1024:detect_leaks=1";
}

struct order {
  const struct fuzz_target *target;
  uint64_t series, first, count, leak_check_every;
  double seconds;
  const char *output;
};

/* What is being run, for whoever has to report its end. */
static struct {
  const char *format, *file; /* a file that is replayed, or null */
  uint64_t series, index, inputs;
} now;

static void tell(void) {
  if (now.file)
    fprintf(stderr, "fuzz: %s: broke on %s\n", now.format, now.file);
  else
    fprintf(stderr,
            "fuzz: broke; again with: fuzz/mutate --format %s --seed %" PRIu64 " --only %" PRIu64
            "\n",
            now.format, now.series, now.index);
}

static void die(int number) {
  tell();
  signal(number, SIG_DFL);
  raise(number);
}

/* Comes once a second of processor time. An input takes a tenth of a millisecond; one that is still
 * there after so many seconds is slow, also where the machine takes processor time away unseen. */
static void tick(int number) {
  static uint64_t seen;
  static int ticks;
  (void)number;
  ticks = seen == now.inputs ? ticks + 1 : 0;
  seen = now.inputs;
  if (ticks <= SLOW_SECONDS) return;
  fprintf(stderr, "fuzz: an input takes longer than %d s\n", SLOW_SECONDS);
  abort();
}

static void watch(void) {
  static const int deaths[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
  const struct itimerval second = {{1, 0}, {1, 0}};
  if (__sanitizer_set_death_callback) __sanitizer_set_death_callback(tell);
  for (size_t i = 0; i < sizeof deaths / sizeof *deaths; i++)
    if (deaths[i] == SIGABRT || !__sanitizer_set_death_callback) signal(deaths[i], die);
  signal(SIGVTALRM, tick);
  setitimer(ITIMER_VIRTUAL, &second, NULL);
}

static void check_leaks(const struct order *order, uint64_t from) {
  if (!__lsan_do_recoverable_leak_check || !__lsan_do_recoverable_leak_check()) return;
  fprintf(stderr,
          "fuzz: a leak in one of the inputs %" PRIu64 " to %" PRIu64
          "; which, says: fuzz/mutate --format %s --seed %" PRIu64 " --first %" PRIu64
          " --leak-check-every 1\n",
          from, now.index, order->target->name, order->series, from);
  exit(1);
}

static double clock_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void run_series(const struct order *order) {
  static unsigned char bytes[FUZZ_LONGEST];
  struct fuzz_corpus corpus;
  fuzz_corpus_read(order->target, FUZZ_SOURCE_FOLDER, &corpus);
  now.series = order->series;
  const double start = clock_seconds();
  uint64_t done = 0, read = 0, checked = order->first;
  for (; done < order->count; done++) {
    if (done % 64 == 0 && order->seconds > 0 && clock_seconds() - start > order->seconds) break;
    now.index = order->first + done;
    const size_t size = fuzz_mutate(order->target, &corpus, order->series, now.index, bytes);
    if (order->output) {
      FILE *out = fopen(order->output, "wb");
      if (!out || fwrite(bytes, 1, size, out) != size || fclose(out)) exit(2);
    }
    now.inputs++;
    read += fuzz_run(order->target, bytes, size);
    if ((done + 1) % order->leak_check_every) continue;
    check_leaks(order, checked);
    checked = now.index + 1;
  }
  check_leaks(order, checked);
  printf("%-12s seed %" PRIu64 ", inputs %" PRIu64 " to %" PRIu64 " of %zu files: %" PRIu64
         " in %.1f s, %.0f %% read, 0 findings\n",
         order->target->name, order->series, order->first, order->first + done - (done > 0),
         corpus.count, done, clock_seconds() - start,
         done ? 100.0 * (double)read / (double)done : 0);
  fflush(stdout);
  fuzz_corpus_release(&corpus);
}

/* Every file below a folder, or one file, as it is. */
static void replay(const struct fuzz_target *target, char **files, int count) {
  for (int i = 0; i < count; i++) {
    FILE *in = fopen(files[i], "rb");
    struct stat st;
    if (!in || fstat(fileno(in), &st) || !S_ISREG(st.st_mode)) {
      fprintf(stderr, "fuzz: %s: cannot read\n", files[i]);
      exit(2);
    }
    unsigned char *bytes = malloc((size_t)st.st_size + 1);
    if (!bytes || fread(bytes, 1, (size_t)st.st_size, in) != (size_t)st.st_size) exit(2);
    fclose(in);
    now.file = files[i];
    now.inputs++;
    fuzz_run(target, bytes, (size_t)st.st_size);
    free(bytes);
  }
  now.file = NULL;
  printf("%-12s %d files replayed\n", target->name, count);
}

static void replay_corpus(const struct fuzz_target *target) {
  struct fuzz_corpus corpus;
  fuzz_corpus_read(target, FUZZ_SOURCE_FOLDER, &corpus);
  char **files = calloc(corpus.count, sizeof *files);
  if (!files) exit(2);
  for (size_t i = 0; i < corpus.count; i++) files[i] = corpus.seed[i].path;
  replay(target, files, (int)corpus.count);
  free(files);
  fuzz_corpus_release(&corpus);
}

static void list_files(const struct fuzz_target *target) {
  struct fuzz_corpus corpus;
  fuzz_corpus_read(target, FUZZ_SOURCE_FOLDER, &corpus);
  for (size_t i = 0; i < corpus.count; i++) puts(corpus.seed[i].path);
  fuzz_corpus_release(&corpus);
}

static _Noreturn void usage(int code) {
  FILE *to = code ? stderr : stdout;
  fputs("mutate --format NAME|all [--seed S] [--first I] [--count N] [--seconds T]\n"
        "mutate --format NAME [--seed S] --only I [-o FILE]   one input, written to FILE too\n"
        "mutate --format NAME --replay [FILE…]                files as they are; all seeds\n"
        "mutate --list                                        the formats\n"
        "mutate --format NAME --files                         the seeds' paths\n"
        "       --leak-check-every N    inputs between two looks for leaks (8192)\n",
        to);
  exit(code);
}

static uint64_t number(const char *text) {
  char *end;
  const uint64_t value = strtoull(text, &end, 10);
  if (end == text || *end) usage(2);
  return value;
}

int main(int argc, char **argv) {
  enum { FORMAT = 1, SEED, FIRST, COUNT, ONLY, SECONDS, REPLAY, LIST, FILES, EVERY };
  static const struct option options[] = {
      {"format", 1, NULL, FORMAT}, {"seed", 1, NULL, SEED},
      {"first", 1, NULL, FIRST},   {"count", 1, NULL, COUNT},
      {"only", 1, NULL, ONLY},     {"seconds", 1, NULL, SECONDS},
      {"replay", 0, NULL, REPLAY}, {"leak-check-every", 1, NULL, EVERY},
      {"list", 0, NULL, LIST},     {"files", 0, NULL, FILES},
      {"help", 0, NULL, 'h'},      {0}};
  struct order order = {.series = 1, .count = UINT64_MAX, .leak_check_every = LEAK_CHECK_EVERY};
  const char *format = NULL;
  bool replays = false, lists = false;
  for (int c; (c = getopt_long(argc, argv, "o:h", options, NULL)) != -1;) {
    if (c == FORMAT) format = optarg;
    if (c == SEED) order.series = number(optarg);
    if (c == FIRST) order.first = number(optarg);
    if (c == COUNT) order.count = number(optarg);
    if (c == SECONDS) order.seconds = (double)number(optarg);
    if (c == EVERY) order.leak_check_every = number(optarg) + !number(optarg);
    if (c == REPLAY) replays = true;
    if (c == FILES) lists = true;
    if (c == 'o') order.output = optarg;
    if (c == ONLY) {
      order.first = number(optarg);
      order.count = 1;
    }
    if (c == LIST) {
      for (const struct fuzz_target *t = fuzz_targets; t->name; t++) puts(t->name);
      return 0;
    }
    if (c == 'h' || c == '?') usage(c == 'h' ? 0 : 2);
  }
  const bool all = format && strcmp(format, "all") == 0;
  if (!format || (!all && !fuzz_target_named(format)) || (!replays && optind < argc)) usage(2);
  willis_parallel_set_threads(1);
  watch();
  for (const struct fuzz_target *t = fuzz_targets; t->name; t++) {
    if (!all && strcmp(t->name, format) != 0) continue;
    order.target = t;
    now.format = t->name;
    if (lists)
      list_files(t);
    else if (replays && optind < argc)
      replay(t, argv + optind, argc - optind);
    else if (replays)
      replay_corpus(t);
    else
      run_series(&order);
  }
  return 0;
}
