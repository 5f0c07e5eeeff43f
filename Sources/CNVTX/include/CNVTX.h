// Ranges for whichever profiler is attached (NVTX): the side of the annotated program.
#pragma once
#include <stdint.h>

/// Whether a profiler wants ranges. The first call loads the library that NVTX_INJECTION64_PATH names, if any; without one this costs a load and a
/// branch.
int headroom_nvtx_is_attached(void);
/// Begins a range that may end on another thread; 0 where nobody wants it.
uint64_t headroom_nvtx_start(const char *text);
/// Ends it.
void headroom_nvtx_end(uint64_t range);
