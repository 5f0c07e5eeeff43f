// What Glibc's Swift module leaves out of Linux.
#pragma once
#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

// The calling thread's time slice: 0, or -1 with errno. glibc wraps sched_setattr from 2.41 on only; this is its first published layout.
static inline int headroom_set_slice(uint64_t nanoseconds) {
  struct {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
  } attributes;
  // A thread that was given another class (chrt) keeps it.
  if (sched_getscheduler(0) != SCHED_OTHER) return 0;
  memset(&attributes, 0, sizeof attributes);
  attributes.size = sizeof attributes;
  attributes.policy = SCHED_OTHER;
  // Of this thread, on Linux. The call sets it too: what it was stays.
  attributes.nice = getpriority(PRIO_PROCESS, 0);
  attributes.runtime = nanoseconds;
  return (int)syscall(SYS_sched_setattr, 0, &attributes, 0);
}
