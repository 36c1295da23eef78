/* The bar on a terminal, silence elsewhere, and the wish to stop. */
#define _GNU_SOURCE
#include "cli/progress_bar.h"

#include <poll.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Runs 2.6 s of work with stderr in `end`, ten reports a second; returns what can be read there. */
static size_t work(int end, int from, bool quiet, char *shown, size_t size) {
  int kept = dup(STDERR_FILENO);
  dup2(end, STDERR_FILENO);
  struct willis_progress progress = progress_bar(quiet);
  for (int i = 0; i <= 26; i++) {
    assert_true(progress.report("project", i, 52, "views", progress.context));
    usleep(100000);
  }
  progress.report("project", 52, 52, "views", progress.context);
  progress_bar_clear();
  dup2(kept, STDERR_FILENO);
  close(kept);
  /* A terminal hands on what was written only after a while. */
  size_t used = 0;
  struct pollfd readable = {.fd = from, .events = POLLIN};
  while (used < size - 1 && poll(&readable, 1, 500) > 0) {
    ssize_t got = read(from, shown + used, size - 1 - used);
    assert_true(got > 0);
    used += (size_t)got;
  }
  shown[used] = 0;
  return used;
}

static void test_a_terminal_gets_a_bar_that_goes_away(void **state) {
  (void)state;
  int master, slave;
  char shown[4096];
  if (openpty(&master, &slave, NULL, NULL, NULL)) {
    print_message("skipped: this system has no pseudo-terminals (/dev/pts)\n");
    skip();
  }
  assert_true(work(slave, master, false, shown, sizeof shown) > 0);
  assert_non_null(strstr(shown, "project  [#"));
  assert_non_null(strstr(shown, " %  "));
  assert_non_null(strstr(shown, "views/s, "));
  assert_non_null(strstr(shown, " s left"));
  assert_null(strchr(shown, '\n'));
  assert_string_equal(shown + strlen(shown) - 4, "\r\x1b[K");
  assert_int_equal(work(slave, master, true, shown, sizeof shown), 0); /* quiet */
  close(master);
  close(slave);
}

static void test_a_pipe_gets_nothing_so_soon(void **state) {
  (void)state;
  int ends[2];
  char shown[4096];
  assert_int_equal(pipe(ends), 0);
  assert_int_equal(work(ends[1], ends[0], false, shown, sizeof shown), 0);
  close(ends[0]);
  close(ends[1]);
}

static void test_the_first_signal_asks_to_stop(void **state) {
  (void)state;
  struct willis_progress progress = progress_bar(true);
  assert_true(progress.report("train", 0, 2, "steps", progress.context));
  raise(SIGINT);
  assert_false(progress.report("train", 1, 2, "steps", progress.context));
  static const int numbers[] = {SIGINT, SIGTERM};
  for (int i = 0; i < 2; i++) { /* the second one kills, whichever it is */
    struct sigaction action;
    sigaction(numbers[i], NULL, &action);
    assert_true(action.sa_handler == SIG_DFL);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_terminal_gets_a_bar_that_goes_away),
      cmocka_unit_test(test_a_pipe_gets_nothing_so_soon),
      cmocka_unit_test(test_the_first_signal_asks_to_stop),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
