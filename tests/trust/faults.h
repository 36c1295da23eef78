/* One fault at a chosen place: the n-th allocation or the n-th call of the I/O table fails, once or
 * from there on. Counts what is still held and open. */
#ifndef TESTS_TRUST_FAULTS_H
#define TESTS_TRUST_FAULTS_H

#include <stdbool.h>

enum fault_kind {
  FAULT_NONE,
  FAULT_MEMORY,
  FAULT_IO,
  FAULT_SHORT /* the n-th read or write does only a part */
};

struct fault {
  enum fault_kind kind;
  long at; /* 0-based, among calls of its kind */
  bool for_good;
  int number; /* errno, of FAULT_IO */
};

struct fault_count {
  long memory, io, transfers; /* calls so far */
  long struck;
  long held, open; /* blocks and descriptors */
  char where[32];  /* the I/O call that was struck first */
};

/* Puts failing tables in place: our allocator, malloc and calloc of the code under test (linked
 * with
 * --wrap; JSON of the command takes its memory there), and files. */
void faults_begin(const struct fault *fault);
/* Puts the standard tables back. */
struct fault_count faults_end(void);

#endif
