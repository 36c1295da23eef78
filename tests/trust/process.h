/* The real command as a process: started, killed, waited for, limited. */
#ifndef TESTS_TRUST_PROCESS_H
#define TESTS_TRUST_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
long complaints(void);
#define require(condition) ((condition) ? (void)0 : require_failed(#condition, __FILE__, __LINE__))
_Noreturn void require_failed(const char *condition, const char *file, int line);

/* Makes a scratch folder and goes there. `willis` becomes an absolute path. */
void process_begin(const char *willis);
void process_end(void);
/* The absolute path of a file, before process_begin() has gone elsewhere. */
const char *process_absolute(const char *path);

/* "train --data in": words by blanks; stdout into the file "stdout", stderr into "stderr". `before`
 * runs in the child and may be null. */
pid_t process_start(const char *line, void (*before)(void));
struct process_end {
  int code;   /* −1 after a signal */
  int signal; /* 0 after an exit */
  char said[4096];
};
struct process_end process_wait(pid_t pid);
struct process_end process_run(const char *line, void (*before)(void));
/* Ends the test unless the command does well. */
void process_must(const char *line);

/* The same numbers every time. */
double process_random(void);
void process_sleep(double seconds);
double process_now(void);
/* Bytes of two files are the same. */
bool process_same(const char *a, const char *b);
/* Removes a folder with all in it; and makes it anew. */
void process_fresh(const char *folder);
/* Names in a folder that begin with a dot. */
int process_temporaries(const char *folder);

#endif
