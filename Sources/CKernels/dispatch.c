#include "CKernels.h"

#if defined(__x86_64__)
#include <cpuid.h>

static uint64_t enabled_states(void) {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return ((uint64_t)high << 32) | low;
}

// CPUID says what the processor has, XGETBV what the operating system saves (Intel SDM volume 1, 13.2 and 15.2).
static int detect(void) {
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return HEADROOM_PORTABLE;
  const int has_xsave = (c >> 27) & 1, has_fma = (c >> 12) & 1, has_f16c = (c >> 29) & 1;
  if (!has_xsave || !has_fma || !has_f16c) return HEADROOM_PORTABLE;
  const uint64_t states = enabled_states();
  if ((states & 0x6) != 0x6) return HEADROOM_PORTABLE;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return HEADROOM_PORTABLE;
  if (!((b >> 5) & 1)) return HEADROOM_PORTABLE;
  const int f = (b >> 16) & 1, dq = (b >> 17) & 1, bw = (b >> 30) & 1, vl = (b >> 31) & 1;
  if (!(f && dq && bw && vl) || (states & 0xE6) != 0xE6) return HEADROOM_AVX2;
  if (__get_cpuid_count(7, 1, &a, &b, &c, &d) && ((a >> 5) & 1)) return HEADROOM_AVX512_BF16;
  return HEADROOM_AVX512;
}
#else
static int detect(void) { return HEADROOM_PORTABLE; }
#endif

int headroom_kernels_level(void) {
  static int level = -1;
  if (level < 0) level = detect();
  return level;
}
