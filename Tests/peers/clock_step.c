// Preloaded into the server: its wall clock jumps by an hour forth and back every half second, as after a bad NTP correction. The
// monotonic clocks go on as they were.
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long long step(void) {
  struct timespec now;
  syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
  return (now.tv_sec * 2 + now.tv_nsec / 500000000) % 2 ? 3600 : -3600;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
  long result = syscall(SYS_clock_gettime, clock, time);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) time->tv_sec += step();
  return (int)result;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
  long result = syscall(SYS_gettimeofday, time, zone);
  if (result == 0) time->tv_sec += step();
  return (int)result;
}

time_t time(time_t *result) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (result) *result = now.tv_sec;
  return now.tv_sec;
}
