// Writes calls down: per thread, without a lock, an allocation or a change of errno.
#ifndef HEADROOM_RECORDER_H
#define HEADROOM_RECORDER_H

#include "COSInterposer.h"
#include "functions.h"

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

enum function_number {
#define OSCALLS_NUMBER(name) F_##name,
  OSCALLS_FUNCTIONS(OSCALLS_NUMBER)
#undef OSCALLS_NUMBER
  F_syscall_futex,
  F_syscall_io_uring_enter,
  FUNCTION_COUNT,
};
_Static_assert(FUNCTION_COUNT <= OSCALLS_FUNCTION_LIMIT, "raise the limit, and the reader's offsets with it");

// One call, between its begin and its end.
struct call {
  uint64_t start;
  uint64_t previous_start;
  uint32_t previous_function;
  uint32_t function;
  int is_recorded;
};

// Before the real function runs. Where it says 0, nothing is recorded of this call and `call_end` need not be told.
int call_begin(struct call *call, enum function_number function);
void call_end(struct call *call, int64_t returned);

// Maps the capture's files; called by the constructor, and by the first call of a child.
void recorder_start(void);
// In a forked child: nothing of the parent's may be written to.
void recorder_forked(void);
void recorder_exiting(void);

// Whether this process is being recorded.
int recorder_is_active(void);
// A note on a program that is started; NULL where there is no room for one.
struct oscalls_note *recorder_note(uint32_t pid, uint32_t state, const char *path);
// The environment variable with the capture's folder, and that folder.
#define OSCALLS_FOLDER_VARIABLE "HEADROOM_OS_CALLS"
const char *recorder_folder(void);

#endif
