// What the libraries that are loaded into other programs need of time and text: no heap, no lock, no locale.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

static inline uint64_t monotonic(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

// Copies what fits, and ends it with a zero byte.
static inline void copy_text(char *to, const char *from, size_t limit) {
  size_t length = strnlen(from, limit - 1);
  memcpy(to, from, length);
  to[length] = 0;
}

static inline char *append_text(char *to, const char *end, const char *from) {
  while (*from && to < end) *to++ = *from++;
  *to = 0;
  return to;
}

static inline char *append_number(char *to, const char *end, unsigned long number) {
  char digits[24];
  char *first = digits + sizeof digits - 1;
  *first = 0;
  do *--first = (char)('0' + number % 10);
  while (number /= 10);
  return append_text(to, end, first);
}
