// Ranges that programs annotate themselves with (NVTX).
#pragma once
#include <stdint.h>

// Writes what ended since the last time. One thread at a time.
void nvtx_flush(void);
// Ranges that found no room.
uint64_t nvtx_dropped(void);
void nvtx_forked(void);
