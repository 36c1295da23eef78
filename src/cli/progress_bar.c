/* One bar for the process: the library reports from one thread, and there is one stderr. */
#define _GNU_SOURCE
#include "cli/progress_bar.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const double show_after_s = 2, redraw_s = 0.1, line_every_s = 30;
enum { BAR_WIDTH = 24, LABEL_SIZE = 64 };

static struct {
  bool listening, terminal, drawn;
  char label[LABEL_SIZE];
  double begun_s, shown_s; /* when this label began, when it was last shown */
  double done_at_begin;
} bar;

static volatile sig_atomic_t stop_wanted;

/* The second signal, of either kind, kills. */
static void on_stop(int number) {
  (void)number;
  stop_wanted = 1;
  signal(SIGINT, SIG_DFL);
  signal(SIGTERM, SIG_DFL);
}

/* Only who reports can be asked to stop, so the signals keep their usual meaning until then. */
static void listen_to_signals(void) {
  struct sigaction action = {.sa_handler = on_stop, .sa_flags = SA_RESTART};
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  bar.listening = true;
}

static double now_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void format_time(char *to, size_t size, double seconds) {
  long s = lround(seconds < 1e8 ? seconds : 1e8);
  if (s >= 3600)
    snprintf(to, size, "%ld h %02ld min", s / 3600, s / 60 % 60);
  else if (s >= 60)
    snprintf(to, size, "%ld min %02ld s", s / 60, s % 60);
  else
    snprintf(to, size, "%ld s", s);
}

/* "train  [######------------------]  25 %   3.1 volumes/s, 2 min 03 s left" */
static void format_line(char *to, size_t size, double done, double total, const char *unit,
                        double elapsed_s) {
  double rate = elapsed_s > 0 ? (done - bar.done_at_begin) / elapsed_s : 0;
  char picture[BAR_WIDTH + 16] = "", left[32] = "", speed[64] = "";
  if (total > 0) {
    double part = done < total ? done / total : 1;
    int full = (int)(part * BAR_WIDTH);
    picture[0] = '[';
    memset(picture + 1, '#', (size_t)full);
    memset(picture + 1 + full, '-', (size_t)(BAR_WIDTH - full));
    snprintf(picture + 1 + BAR_WIDTH, sizeof picture - 1 - BAR_WIDTH, "] %3.0f %%  ", 100 * part);
  }
  if (rate >= 1)
    snprintf(speed, sizeof speed, "%.3g %s/s", rate, unit);
  else if (rate > 0)
    snprintf(speed, sizeof speed, "%.3g s each", 1 / rate);
  if (rate > 0 && total > done) format_time(left, sizeof left, (total - done) / rate);
  snprintf(to, size, "%s  %s%s%s%s%s", bar.label, picture, speed, *left ? ", " : "", left,
           *left ? " left" : "");
}

static bool report(const char *what, double done, double total, const char *unit, void *context) {
  const bool *quiet = context;
  if (!bar.listening) listen_to_signals();
  if (*quiet) return !stop_wanted;
  double now = now_s();
  char label[LABEL_SIZE];
  snprintf(label, sizeof label, "%s", what ? what : "");
  if (!*bar.label || strcmp(label, bar.label)) {
    memcpy(bar.label, label, sizeof label);
    bar.begun_s = now;
    bar.shown_s = now;
    bar.done_at_begin = done;
  }
  bool finished = total > 0 && done >= total;
  if (bar.terminal && finished) progress_bar_clear();
  if (finished || now - bar.begun_s < show_after_s ||
      now - bar.shown_s < (bar.terminal ? redraw_s : line_every_s))
    return !stop_wanted;
  char line[256];
  format_line(line, sizeof line, done, total, unit ? unit : "", now - bar.begun_s);
  fprintf(stderr, bar.terminal ? "\r%s\033[K" : "willis: %s\n", line);
  fflush(stderr);
  bar.shown_s = now;
  bar.drawn = bar.terminal;
  return !stop_wanted;
}

struct willis_progress progress_bar(bool quiet) {
  static bool is_quiet;
  is_quiet = quiet;
  bar.terminal = isatty(STDERR_FILENO);
  return (struct willis_progress){.report = report, .context = &is_quiet};
}

void progress_bar_clear(void) {
  if (bar.drawn) fputs("\r\033[K", stderr);
  bar.drawn = false;
}
