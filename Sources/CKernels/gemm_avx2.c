#include "CKernels.h"
#include "half.h"
#include "levels.h"

#if defined(__x86_64__)
#include <immintrin.h>

// Six rows of sixteen columns: twelve of sixteen registers are sums.
#define TARGET __attribute__((target("avx2,fma,f16c")))
#define TILE_ROWS 6
#define NAME(x) avx2_##x
#include "elementwise.inc"

TARGET static inline float avx2_widened(uint16_t half) { return _cvtsh_ss(half); }
#include "tiles.inc"
#endif
