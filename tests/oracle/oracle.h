/* Reads the small text files that the scripts of this folder write: words and numbers between
 * spaces, lines beginning with # left out, bits and bytes as hexadecimal. A file that is not as the
 * test expects ends the test. */
#ifndef TESTS_ORACLE_H
#define TESTS_ORACLE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct oracle {
  FILE *file;
};

static inline struct oracle oracle_open(const char *path) {
  struct oracle oracle = {fopen(path, "r")};
  if (!oracle.file) fail_msg("%s: cannot be opened", path);
  return oracle;
}

static inline void oracle_close(struct oracle *oracle) {
  fclose(oracle->file);
}

/* The next word, at most 63 letters; false at the end of the file. */
static inline bool oracle_word(struct oracle *oracle, char word[64]) {
  while (fscanf(oracle->file, "%63s", word) == 1) {
    if (word[0] != '#') return true;
    for (int c = 0; c != '\n' && c != EOF;) c = fgetc(oracle->file);
  }
  return false;
}

static inline double oracle_number(struct oracle *oracle) {
  char word[64], rest;
  double number = 0;
  if (!oracle_word(oracle, word) || sscanf(word, "%lf%c", &number, &rest) != 1)
    fail_msg("the oracle's file holds no number where one is expected");
  return number;
}

static inline void oracle_bytes(struct oracle *oracle, unsigned char *byte, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) {
    unsigned value;
    if (fscanf(oracle->file, " %2x", &value) != 1) fail_msg("the oracle's file is cut");
    byte[i] = (unsigned char)value;
  }
}

/* `count` bits, first bit highest in its byte, as 0 and 1. */
static inline void oracle_bits(struct oracle *oracle, unsigned char *bit, ptrdiff_t count) {
  unsigned char byte = 0;
  for (ptrdiff_t i = 0; i < count; i++) {
    if (i % 8 == 0) oracle_bytes(oracle, &byte, 1);
    bit[i] = byte >> (7 - i % 8) & 1;
  }
}

#endif
