/* The bar on stderr, and the question whether the user wants to stop. */
#ifndef WILLIS_CLI_PROGRESS_BAR_H
#define WILLIS_CLI_PROGRESS_BAR_H

#include <willis/progress.h>

/* Shows nothing in the first two seconds; on a terminal then a bar with rate and time left, else a
 * line every half minute. `quiet` shows nothing at all. The first SIGINT or SIGTERM after the first
 * report makes report() return false; the second one kills. */
struct willis_progress progress_bar(bool quiet);
/* Wipes the bar, if there is one, so that a line can be printed on stderr. */
void progress_bar_clear(void);

#endif
