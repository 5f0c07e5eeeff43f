// CPU kernels: matrix products with fused bias and activation, and the rows-at-a-time operations around them.
//
// Every function exists in several instruction sets; `headroom_kernels_level` picks the best that the processor and the operating system
// have, and a test may ask for a lower one. Nothing here allocates or starts threads: callers split the work.
#pragma once
#include <stdint.h>

// Instruction sets, in order of preference.
enum {
  HEADROOM_PORTABLE = 0,
  HEADROOM_AVX2 = 1,
  HEADROOM_AVX512 = 2,
  // AVX-512 with products of bfloat16 pairs.
  HEADROOM_AVX512_BF16 = 3,
};

// The highest level this machine runs.
int headroom_kernels_level(void);

// What a product applies to its result.
enum {
  HEADROOM_NONE = 0,
  HEADROOM_RELU = 1,
  HEADROOM_GELU = 2,
  HEADROOM_GELU_TANH = 3,
  HEADROOM_TANH = 4,
  HEADROOM_SIGMOID = 5,
};

// Columns of one packed panel of weights.
#define HEADROOM_PANEL 32

// Packing: panel p holds columns 32 p ... 32 p + 31 for every k, k outermost; columns beyond n are zero. `transposed`: weight is [n][k].
// Elements of a packed matrix: panels x k (rounded up to even for bf16) x 32.
void headroom_pack_f32(const float *weight, int64_t k, int64_t n, int transposed, int64_t first_panel, int64_t panels, float *packed);
void headroom_pack_f16(const float *weight, int64_t k, int64_t n, int transposed, int64_t first_panel, int64_t panels, uint16_t *packed);
// Pairs of k side by side: [k / 2][32][2].
void headroom_pack_bf16(const float *weight, int64_t k, int64_t n, int transposed, int64_t first_panel, int64_t panels, uint16_t *packed);

// Rows of A to bfloat16, k padded with a zero to even.
void headroom_to_bf16(int level, const float *source, int64_t lda, int64_t rows, int64_t k, uint16_t *target);

// c[m][n] = activation(a[m][k] * packed + bias[n]) for the panels first_panel ... first_panel + panels - 1. lda and ldc in elements. bias may
// be null.
void headroom_gemm_f32(
    int level, const float *a, int64_t lda, int64_t m, int64_t k, const float *packed, int64_t first_panel, int64_t panels, int64_t n,
    const float *bias, int activation, float *c, int64_t ldc);
void headroom_gemm_f16(
    int level, const float *a, int64_t lda, int64_t m, int64_t k, const uint16_t *packed, int64_t first_panel, int64_t panels, int64_t n,
    const float *bias, int activation, float *c, int64_t ldc);
// `a` as headroom_to_bf16 leaves it, lda in elements. Needs HEADROOM_AVX512_BF16, else computes with widened values.
void headroom_gemm_bf16(
    int level, const uint16_t *a, int64_t lda, int64_t m, int64_t k, const uint16_t *packed, int64_t first_panel, int64_t panels, int64_t n,
    const float *bias, int activation, float *c, int64_t ldc);

// In place, or from x to y where they differ.
void headroom_activate(int level, int activation, const float *x, float *y, int64_t count);
// Rows of `width`: softmax.
void headroom_softmax(int level, const float *x, float *y, int64_t rows, int64_t width);
// Rows of `width`: (x - mean) / sqrt(variance + epsilon) * scale + bias, then the activation. bias may be null.
void headroom_layernorm(
    int level, const float *x, const float *scale, const float *bias, float epsilon, int activation, float *y, int64_t rows, int64_t width);

// y[i] = x[i] op z[i mod z_count]: 0 add, 1 subtract, 2 multiply, 3 divide.
void headroom_binary(int level, int operation, const float *x, const float *z, float *y, int64_t count, int64_t z_count);

// A loop of independent multiply-adds in registers: the peak. Returns something that depends on all of it.
float headroom_fma_loop(int level, int64_t iterations, double *flops);
// Reads memory once with the widest loads.
float headroom_read_loop(int level, const float *data, int64_t count);

// Packs any matrix: element (row, column) lies at b[row * row_stride + column * column_stride].
void headroom_pack_strided_f32(const float *b, int64_t k, int64_t n, int64_t row_stride, int64_t column_stride, float *packed);

// Tells the processor that this is a spin loop.
static inline void headroom_pause(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// Pins the calling thread to a core; 0 when it worked.
int headroom_pin_thread(int core);
