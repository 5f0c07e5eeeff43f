// What each instruction set's file gives to the entry points in kernels.c.
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

#define DECLARE(LEVEL)                                                                                                              \
  void LEVEL##_gemm_f32(                                                                                                            \
      const float *, int64_t, int64_t, int64_t, const float *, int64_t, int64_t, int64_t, const float *, int, float *, int64_t);    \
  void LEVEL##_gemm_f16(                                                                                                            \
      const float *, int64_t, int64_t, int64_t, const uint16_t *, int64_t, int64_t, int64_t, const float *, int, float *, int64_t); \
  void LEVEL##_gemm_bf16(                                                                                                           \
      const uint16_t *, int64_t, int64_t, int64_t, const uint16_t *, int64_t, int64_t, int64_t, const float *, int, float *,        \
      int64_t);                                                                                                                     \
  void LEVEL##_to_bf16(const float *, int64_t, int64_t, int64_t, uint16_t *);                                                       \
  void LEVEL##_op_activate(int, const float *, float *, int64_t);                                                                   \
  void LEVEL##_op_softmax(const float *, float *, int64_t, int64_t);                                                                \
  void LEVEL##_op_layernorm(const float *, const float *, const float *, float, int, float *, int64_t, int64_t);                    \
  void LEVEL##_op_binary(int, const float *, const float *, float *, int64_t, int64_t);                                             \
  float LEVEL##_fma_loop(int64_t, double *);                                                                                        \
  float LEVEL##_read_loop(const float *, int64_t);

DECLARE(portable)
#if defined(__x86_64__)
DECLARE(avx2)
DECLARE(avx512)
#endif
