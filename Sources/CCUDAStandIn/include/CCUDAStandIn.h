// A stand-in for NVIDIA's driver and libraries on host memory, for tests without a GPU. Load it in place of libcuda, libcublasLt, libnvrtc,
// libnvidia-ml and libcupti: it exports the entry points that CCUDA declares, and these, by which tests look behind the curtain.
//
// Streams run as late as they may: a copy or kernel is executed when somebody waits for it (or for something behind it), never before. What a
// program reads or overwrites without having waited is therefore wrong every time, not once a month. Kernels are the sources that NVRTC
// compiles for GPUs, compiled for this processor. Beside the results, every call is checked: see `headroom_standin_complaint`.
//
// As the driver, it loads the library named by CUDA_INJECTION64_PATH when the program calls cuInit. Times that CUPTI's records carry are those of
// a GPU with room for everything: work of two streams overlaps, although it is executed one piece after the other, unless CUPTI's KIND_KERNEL is
// on. In programs of their own, where no test can call, the environment says what goes wrong:
//   HEADROOM_STANDIN_ACTIVITY=drop=N        the first N records are left out and counted as dropped
//                             late=N        every Nth buffer comes one flush later
//                             held=1        another tool holds CUPTI: subscribing fails
//                             takeover=N    after N records another tool registers its own buffers
//                             serialize=1     kernels run one at a time, as CUPTI's KIND_KERNEL makes them
//                             zero=N,reverse=N,early=N   N kernels start at 0, end before they start, start before their launch
//                             every=N       only every Nth record is one of those that are dropped or have wrong times
//                             repeat=N      N records per kernel that is executed, one after the other: many records in a short time
//   HEADROOM_STANDIN_FAULTS=NAME=CODE:AFTER:TIMES,...  calls of an entry point fail, as with `headroom_standin_fail`; AFTER 0 and TIMES 1 may be left out
//   HEADROOM_STANDIN_MEMORY=BYTES           the device's memory
//   HEADROOM_STANDIN_COMPLAINTS=FILE        what is misused is also written there, a line each
//   HEADROOM_STANDIN_MIG=N                  the GPU is split into N GPU instances, as NVML shows them
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Forgets everything: memory, contexts, handles, complaints, faults to come.
void headroom_standin_reset(void);
/// What was misused since the reset: use after free, handles of a destroyed context, accesses that nothing orders, launches out of limits.
size_t headroom_standin_complaint_count(void);
/// The complaint's text; valid until the next reset.
const char *headroom_standin_complaint(size_t index);
/// Device allocations, pinned allocations, streams, events, modules and graphs that are alive.
size_t headroom_standin_live_count(void);
/// "2 allocations (4096 bytes), 1 stream": what is alive, in words; valid until the next call.
const char *headroom_standin_live(void);
/// The device's memory from now on.
void headroom_standin_set_memory(size_t bytes);
/// Calls of the entry point `name` fail with `code` after `after` more of them have succeeded, `times` times; codes from 700 to 720 stick to the
/// context, as on hardware.
void headroom_standin_fail(const char *name, size_t after, int32_t code, size_t times);
/// Times that an entry point was called since the reset.
size_t headroom_standin_calls(const char *name);
/// CUPTI's next buffers: `dropped` records are left out and counted; 1 in `late` buffers is handed over at the next flush but one; 0: none.
void headroom_standin_disturb_activity(size_t dropped, size_t late);
/// Another tool holds CUPTI: subscribing fails from now on.
void headroom_standin_hold_activity(int32_t isHeld);

#ifdef __cplusplus
}
#endif
