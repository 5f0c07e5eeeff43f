// The entry points: each goes to the asked level's code, or to the best below it that this build has.
#include "CKernels.h"
#include "levels.h"

#if defined(__x86_64__)
#define PICK(level, call)                                         \
  ((level) >= HEADROOM_AVX512 ? avx512_##call : (level) == HEADROOM_AVX2 ? avx2_##call : portable_##call)
#else
#define PICK(level, call) ((void)(level), portable_##call)
#endif

void headroom_to_bf16(int level, const float *source, int64_t lda, int64_t rows, int64_t k, uint16_t *target) {
#if defined(__x86_64__)
  if (level >= HEADROOM_AVX512_BF16) {
    avx512_to_bf16(source, lda, rows, k, target);
    return;
  }
#endif
  portable_to_bf16(source, lda, rows, k, target);
}

void headroom_gemm_f32(
    int level, const float *a, int64_t lda, int64_t m, int64_t k, const float *packed, int64_t first_panel, int64_t panels, int64_t n,
    const float *bias, int activation, float *c, int64_t ldc) {
  PICK(level, gemm_f32(a, lda, m, k, packed, first_panel, panels, n, bias, activation, c, ldc));
}

void headroom_gemm_f16(
    int level, const float *a, int64_t lda, int64_t m, int64_t k, const uint16_t *packed, int64_t first_panel, int64_t panels, int64_t n,
    const float *bias, int activation, float *c, int64_t ldc) {
  PICK(level, gemm_f16(a, lda, m, k, packed, first_panel, panels, n, bias, activation, c, ldc));
}

void headroom_gemm_bf16(
    int level, const uint16_t *a, int64_t lda, int64_t m, int64_t k, const uint16_t *packed, int64_t first_panel, int64_t panels, int64_t n,
    const float *bias, int activation, float *c, int64_t ldc) {
#if defined(__x86_64__)
  if (level >= HEADROOM_AVX512_BF16) {
    avx512_gemm_bf16(a, lda, m, k, packed, first_panel, panels, n, bias, activation, c, ldc);
    return;
  }
  if (level >= HEADROOM_AVX2) {
    avx2_gemm_bf16(a, lda, m, k, packed, first_panel, panels, n, bias, activation, c, ldc);
    return;
  }
#endif
  portable_gemm_bf16(a, lda, m, k, packed, first_panel, panels, n, bias, activation, c, ldc);
}

void headroom_activate(int level, int activation, const float *x, float *y, int64_t count) { PICK(level, op_activate(activation, x, y, count)); }

void headroom_softmax(int level, const float *x, float *y, int64_t rows, int64_t width) { PICK(level, op_softmax(x, y, rows, width)); }

void headroom_layernorm(
    int level, const float *x, const float *scale, const float *bias, float epsilon, int activation, float *y, int64_t rows, int64_t width) {
  PICK(level, op_layernorm(x, scale, bias, epsilon, activation, y, rows, width));
}

void headroom_binary(int level, int operation, const float *x, const float *z, float *y, int64_t count, int64_t z_count) {
  PICK(level, op_binary(operation, x, z, y, count, z_count));
}

float headroom_fma_loop(int level, int64_t iterations, double *flops) { return PICK(level, fma_loop(iterations, flops)); }

float headroom_read_loop(int level, const float *data, int64_t count) { return PICK(level, read_loop(data, count)); }
