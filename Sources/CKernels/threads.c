#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "CKernels.h"
#include <sched.h>

int headroom_pin_thread(int core) {
#if defined(__linux__)
  cpu_set_t set;
  CPU_ZERO(&set);
  if (core < 0 || core >= CPU_SETSIZE) return -1;
  CPU_SET((unsigned)core, &set);
  return sched_setaffinity(0, sizeof set, &set);
#else
  (void)core;
  return -1;
#endif
}
