// The GPU kernels' sources, as text for NVRTC, and what they take by value.
#pragma once
#include "kernel_arguments.h"

typedef struct {
  /// "rows.cuh".
  const char *name;
  const char *text;
} HRKernelSource;

/// All files; those that hold kernels and those that they include.
const HRKernelSource *headroom_kernel_sources(int *count);
