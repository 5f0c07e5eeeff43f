/// Counts heap allocations of the program it is linked into, all threads. For benchmarks only: it replaces the allocator's entry points.
#pragma once
#include <stdint.h>
int64_t heap_allocation_count(void);
