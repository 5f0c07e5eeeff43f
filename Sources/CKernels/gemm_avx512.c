#include "CKernels.h"
#include "half.h"
#include "levels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>

#define TARGET __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,fma,f16c")))
#define NAME(x) avx512_##x
#include "elementwise.inc"

// Register tile: ROWS x 32 columns. Twelve rows take 24 accumulators, two registers of B and one broadcast of A: 27 of 32.
#define LOAD_F32(p) b0 = _mm512_loadu_ps(p); b1 = _mm512_loadu_ps((p) + 16);
#define LOAD_F16(p)                                                         \
  b0 = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(p)));           \
  b1 = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)((p) + 16)));

// `ahead`: what the next panel will read; one line of it is fetched every step, so that it is in the second-level cache by then.
#define TILE(PREFIX, TYPE, LOAD, ROWS)                                                                                              \
  TARGET static void PREFIX##_tile_##ROWS(                                                                                          \
      const float *a, int64_t lda, int64_t k, const TYPE *b, const char *ahead, const float *bias, int activation, float *c,        \
      int64_t ldc, __mmask16 mask0, __mmask16 mask1) {                                                                              \
    __m512 s0[ROWS], s1[ROWS];                                                                                                      \
    const __m512 start0 = bias ? _mm512_maskz_loadu_ps(mask0, bias) : _mm512_setzero_ps();                                          \
    const __m512 start1 = bias ? _mm512_maskz_loadu_ps(mask1, bias + 16) : _mm512_setzero_ps();                                     \
    _Pragma("clang loop unroll(full)") for (int r = 0; r < ROWS; r++) { s0[r] = start0; s1[r] = start1; }                           \
    for (int64_t i = 0; i < k; i++) {                                                                                               \
      __m512 b0, b1;                                                                                                                \
      LOAD(b + i * HEADROOM_PANEL)                                                                                                  \
      _mm_prefetch(ahead + i * 64, _MM_HINT_T1);                                                                                    \
      _Pragma("clang loop unroll(full)") for (int r = 0; r < ROWS; r++) {                                                           \
        const __m512 x = _mm512_set1_ps(a[r * lda + i]);                                                                            \
        s0[r] = _mm512_fmadd_ps(x, b0, s0[r]);                                                                                      \
        s1[r] = _mm512_fmadd_ps(x, b1, s1[r]);                                                                                      \
      }                                                                                                                             \
    }                                                                                                                               \
    if (activation == HEADROOM_RELU) {                                                                                              \
      const __m512 zero = _mm512_setzero_ps();                                                                                      \
      _Pragma("clang loop unroll(full)") for (int r = 0; r < ROWS; r++) {                                                           \
        s0[r] = _mm512_max_ps(zero, s0[r]);                                                                                         \
        s1[r] = _mm512_max_ps(zero, s1[r]);                                                                                         \
      }                                                                                                                             \
    }                                                                                                                               \
    _Pragma("clang loop unroll(full)") for (int r = 0; r < ROWS; r++) {                                                             \
      _mm512_mask_storeu_ps(c + r * ldc, mask0, s0[r]);                                                                             \
      if (mask1) _mm512_mask_storeu_ps(c + r * ldc + 16, mask1, s1[r]);                                                             \
    }                                                                                                                               \
  }

// Few rows: a fixed order of sums would wait for each other, so k is split over independent accumulators. The panel is read once, which is
// what such a product costs.
#define THIN(PREFIX, TYPE, LOAD, ROWS, SPLIT)                                                                                       \
  TARGET static void PREFIX##_thin_##ROWS(                                                                                          \
      const float *a, int64_t lda, int64_t k, const TYPE *b, const char *ahead, const float *bias, int activation, float *c,        \
      int64_t ldc, __mmask16 mask0, __mmask16 mask1) {                                                                              \
    __m512 s0[ROWS * SPLIT], s1[ROWS * SPLIT];                                                                                      \
    _Pragma("clang loop unroll(full)") for (int r = 0; r < ROWS * SPLIT; r++) s0[r] = s1[r] = _mm512_setzero_ps();                  \
    int64_t i = 0;                                                                                                                  \
    for (; i + SPLIT <= k; i += SPLIT) {                                                                                            \
      _Pragma("clang loop unroll(full)") for (int s = 0; s < SPLIT; s++) {                                                          \
        __m512 b0, b1;                                                                                                              \
        LOAD(b + (i + s) * HEADROOM_PANEL)                                                                                          \
        _mm_prefetch((const char *)(b + (i + s + 24) * HEADROOM_PANEL), _MM_HINT_T0);                                               \
        _mm_prefetch((const char *)(b + (i + s + 24) * HEADROOM_PANEL) + 64, _MM_HINT_T0);                                          \
        _Pragma("clang loop unroll(full)") for (int r = 0; r < ROWS; r++) {                                                         \
          const __m512 x = _mm512_set1_ps(a[r * lda + i + s]);                                                                      \
          s0[r * SPLIT + s] = _mm512_fmadd_ps(x, b0, s0[r * SPLIT + s]);                                                            \
          s1[r * SPLIT + s] = _mm512_fmadd_ps(x, b1, s1[r * SPLIT + s]);                                                            \
        }                                                                                                                           \
      }                                                                                                                             \
    }                                                                                                                               \
    for (; i < k; i++) {                                                                                                            \
      __m512 b0, b1;                                                                                                                \
      LOAD(b + i * HEADROOM_PANEL)                                                                                                  \
      _Pragma("clang loop unroll(full)") for (int r = 0; r < ROWS; r++) {                                                           \
        const __m512 x = _mm512_set1_ps(a[r * lda + i]);                                                                            \
        s0[r * SPLIT] = _mm512_fmadd_ps(x, b0, s0[r * SPLIT]);                                                                      \
        s1[r * SPLIT] = _mm512_fmadd_ps(x, b1, s1[r * SPLIT]);                                                                      \
      }                                                                                                                             \
    }                                                                                                                               \
    (void)ahead;                                                                                                                    \
    const __m512 start0 = bias ? _mm512_maskz_loadu_ps(mask0, bias) : _mm512_setzero_ps();                                          \
    const __m512 start1 = bias ? _mm512_maskz_loadu_ps(mask1, bias + 16) : _mm512_setzero_ps();                                     \
    const __m512 zero = _mm512_setzero_ps();                                                                                        \
    _Pragma("clang loop unroll(full)") for (int r = 0; r < ROWS; r++) {                                                             \
      __m512 t0 = start0, t1 = start1;                                                                                              \
      _Pragma("clang loop unroll(full)") for (int s = 0; s < SPLIT; s++) {                                                          \
        t0 = _mm512_add_ps(t0, s0[r * SPLIT + s]);                                                                                  \
        t1 = _mm512_add_ps(t1, s1[r * SPLIT + s]);                                                                                  \
      }                                                                                                                             \
      if (activation == HEADROOM_RELU) {                                                                                            \
        t0 = _mm512_max_ps(zero, t0);                                                                                               \
        t1 = _mm512_max_ps(zero, t1);                                                                                               \
      }                                                                                                                             \
      _mm512_mask_storeu_ps(c + r * ldc, mask0, t0);                                                                                \
      if (mask1) _mm512_mask_storeu_ps(c + r * ldc + 16, mask1, t1);                                                                \
    }                                                                                                                               \
  }

#define TILES(PREFIX, TYPE, LOAD)                                                                                                   \
  THIN(PREFIX, TYPE, LOAD, 1, 4)                                                                                                    \
  THIN(PREFIX, TYPE, LOAD, 2, 4)                                                                                                    \
  THIN(PREFIX, TYPE, LOAD, 3, 3)                                                                                                    \
  THIN(PREFIX, TYPE, LOAD, 4, 2)                                                                                                    \
  TILE(PREFIX, TYPE, LOAD, 5)                                                                                                       \
  TILE(PREFIX, TYPE, LOAD, 6)                                                                                                       \
  TILE(PREFIX, TYPE, LOAD, 7)                                                                                                       \
  TILE(PREFIX, TYPE, LOAD, 8)                                                                                                       \
  TILE(PREFIX, TYPE, LOAD, 9)                                                                                                       \
  TILE(PREFIX, TYPE, LOAD, 10)                                                                                                      \
  TILE(PREFIX, TYPE, LOAD, 11)                                                                                                      \
  TILE(PREFIX, TYPE, LOAD, 12)                                                                                                      \
  typedef void (*PREFIX##_kernel)(                                                                                                  \
      const float *, int64_t, int64_t, const TYPE *, const char *, const float *, int, float *, int64_t, __mmask16, __mmask16);     \
  static const PREFIX##_kernel PREFIX##_kernels[13] = {                                                                             \
      0, PREFIX##_thin_1, PREFIX##_thin_2, PREFIX##_thin_3, PREFIX##_thin_4, PREFIX##_tile_5, PREFIX##_tile_6, PREFIX##_tile_7,     \
      PREFIX##_tile_8, PREFIX##_tile_9, PREFIX##_tile_10, PREFIX##_tile_11, PREFIX##_tile_12};

TILES(f32, float, LOAD_F32)
TILES(f16, uint16_t, LOAD_F16)

// Rows in blocks that stay in the second-level cache while the panels pass by: 96 rows of 1,024 floats are 384 KiB.
#define BLOCK_ROWS 96

#define GEMM(PREFIX, TYPE)                                                                                                          \
  TARGET void avx512_gemm_##PREFIX(                                                                                                 \
      const float *a, int64_t lda, int64_t m, int64_t k, const TYPE *packed, int64_t first_panel, int64_t panels, int64_t n,        \
      const float *bias, int activation, float *c, int64_t ldc) {                                                                   \
    const int fused = activation == HEADROOM_RELU ? HEADROOM_RELU : HEADROOM_NONE;                                                  \
    for (int64_t top = 0; top < m; top += BLOCK_ROWS) {                                                                             \
      const int64_t rows = m - top < BLOCK_ROWS ? m - top : BLOCK_ROWS;                                                             \
      /* Equal tiles: 16 rows are two of eight, not twelve and four. */                                                             \
      const int64_t tiles = (rows + 11) / 12;                                                                                       \
      for (int64_t p = first_panel; p < first_panel + panels; p++) {                                                                \
        const int64_t column = p * HEADROOM_PANEL;                                                                                  \
        const int64_t width = n - column < HEADROOM_PANEL ? n - column : HEADROOM_PANEL;                                            \
        const __mmask16 mask0 = width >= 16 ? 0xFFFF : (__mmask16)((1u << width) - 1);                                              \
        const __mmask16 mask1 = width >= 32 ? 0xFFFF : (width > 16 ? (__mmask16)((1u << (width - 16)) - 1) : 0);                    \
        const TYPE *panel = packed + p * k * HEADROOM_PANEL;                                                                        \
        const char *next = (const char *)(panel + k * HEADROOM_PANEL);                                                              \
        const int64_t share = k * HEADROOM_PANEL * (int64_t)sizeof(TYPE) / tiles;                                                   \
        int64_t row = 0;                                                                                                            \
        for (int64_t t = 0; t < tiles; t++) {                                                                                       \
          const int64_t height = (rows - row + (tiles - t) - 1) / (tiles - t);                                                      \
          PREFIX##_kernels[height](                                                                                                 \
              a + (top + row) * lda, lda, k, panel, next + t * share, bias ? bias + column : 0, fused, c + (top + row) * ldc + column, \
              ldc, mask0, mask1);                                                                                                   \
          if (activation != fused)                                                                                                  \
            for (int64_t r = 0; r < height; r++) {                                                                                  \
              float *out = c + (top + row + r) * ldc + column;                                                                      \
              avx512_activate(activation, out, out, width);                                                                         \
            }                                                                                                                       \
          row += height;                                                                                                            \
        }                                                                                                                           \
      }                                                                                                                             \
    }                                                                                                                               \
  }

GEMM(f32, float)
GEMM(f16, uint16_t)

// bfloat16: a step takes a pair of k, one instruction multiplies and adds both.
#undef TARGET
#define TARGET __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx512bf16,fma,f16c")))

#define BF16_TILE(ROWS, SPLIT)                                                                                                      \
  TARGET static void bf16_tile_##ROWS(                                                                                              \
      const uint16_t *a, int64_t lda, int64_t pairs, const uint16_t *b, const char *ahead, const float *bias, int activation,       \
      float *c, int64_t ldc, __mmask16 mask0, __mmask16 mask1) {                                                                    \
    __m512 s0[ROWS * SPLIT], s1[ROWS * SPLIT];                                                                                      \
    _Pragma("clang loop unroll(full)") for (int r = 0; r < ROWS * SPLIT; r++) s0[r] = s1[r] = _mm512_setzero_ps();                  \
    int64_t i = 0;                                                                                                                  \
    for (; i + SPLIT <= pairs; i += SPLIT) {                                                                                        \
      _Pragma("clang loop unroll(full)") for (int s = 0; s < SPLIT; s++) {                                                          \
        const __m512bh b0 = (__m512bh)_mm512_loadu_si512(b + (i + s) * 64);                                                         \
        const __m512bh b1 = (__m512bh)_mm512_loadu_si512(b + (i + s) * 64 + 32);                                                    \
        if (SPLIT > 1) {                                                                                                            \
          _mm_prefetch((const char *)(b + (i + s + 24) * 64), _MM_HINT_T0);                                                         \
          _mm_prefetch((const char *)(b + (i + s + 24) * 64) + 64, _MM_HINT_T0);                                                    \
        } else {                                                                                                                    \
          _mm_prefetch(ahead + i * 64, _MM_HINT_T1);                                                                                \
        }                                                                                                                           \
        _Pragma("clang loop unroll(full)") for (int r = 0; r < ROWS; r++) {                                                         \
          int32_t pair;                                                                                                             \
          __builtin_memcpy(&pair, a + r * lda + (i + s) * 2, 4);                                                                    \
          const __m512bh x = (__m512bh)_mm512_set1_epi32(pair);                                                                     \
          s0[r * SPLIT + s] = _mm512_dpbf16_ps(s0[r * SPLIT + s], x, b0);                                                           \
          s1[r * SPLIT + s] = _mm512_dpbf16_ps(s1[r * SPLIT + s], x, b1);                                                           \
        }                                                                                                                           \
      }                                                                                                                             \
    }                                                                                                                               \
    for (; i < pairs; i++) {                                                                                                        \
      const __m512bh b0 = (__m512bh)_mm512_loadu_si512(b + i * 64);                                                                 \
      const __m512bh b1 = (__m512bh)_mm512_loadu_si512(b + i * 64 + 32);                                                            \
      _Pragma("clang loop unroll(full)") for (int r = 0; r < ROWS; r++) {                                                           \
        int32_t pair;                                                                                                               \
        __builtin_memcpy(&pair, a + r * lda + i * 2, 4);                                                                            \
        const __m512bh x = (__m512bh)_mm512_set1_epi32(pair);                                                                       \
        s0[r * SPLIT] = _mm512_dpbf16_ps(s0[r * SPLIT], x, b0);                                                                     \
        s1[r * SPLIT] = _mm512_dpbf16_ps(s1[r * SPLIT], x, b1);                                                                     \
      }                                                                                                                             \
    }                                                                                                                               \
    const __m512 start0 = bias ? _mm512_maskz_loadu_ps(mask0, bias) : _mm512_setzero_ps();                                          \
    const __m512 start1 = bias ? _mm512_maskz_loadu_ps(mask1, bias + 16) : _mm512_setzero_ps();                                     \
    const __m512 zero = _mm512_setzero_ps();                                                                                        \
    _Pragma("clang loop unroll(full)") for (int r = 0; r < ROWS; r++) {                                                             \
      __m512 t0 = start0, t1 = start1;                                                                                              \
      _Pragma("clang loop unroll(full)") for (int s = 0; s < SPLIT; s++) {                                                          \
        t0 = _mm512_add_ps(t0, s0[r * SPLIT + s]);                                                                                  \
        t1 = _mm512_add_ps(t1, s1[r * SPLIT + s]);                                                                                  \
      }                                                                                                                             \
      if (activation == HEADROOM_RELU) {                                                                                            \
        t0 = _mm512_max_ps(zero, t0);                                                                                               \
        t1 = _mm512_max_ps(zero, t1);                                                                                               \
      }                                                                                                                             \
      _mm512_mask_storeu_ps(c + r * ldc, mask0, t0);                                                                                \
      if (mask1) _mm512_mask_storeu_ps(c + r * ldc + 16, mask1, t1);                                                                \
    }                                                                                                                               \
  }

BF16_TILE(1, 4)
BF16_TILE(2, 4)
BF16_TILE(3, 3)
BF16_TILE(4, 2)
BF16_TILE(5, 1)
BF16_TILE(6, 1)
BF16_TILE(7, 1)
BF16_TILE(8, 1)
BF16_TILE(9, 1)
BF16_TILE(10, 1)
BF16_TILE(11, 1)
BF16_TILE(12, 1)

typedef void (*bf16_kernel)(
    const uint16_t *, int64_t, int64_t, const uint16_t *, const char *, const float *, int, float *, int64_t, __mmask16, __mmask16);
static const bf16_kernel bf16_kernels[13] = {
    0, bf16_tile_1, bf16_tile_2, bf16_tile_3, bf16_tile_4, bf16_tile_5, bf16_tile_6, bf16_tile_7, bf16_tile_8, bf16_tile_9, bf16_tile_10,
    bf16_tile_11, bf16_tile_12};

TARGET void avx512_gemm_bf16(
    const uint16_t *a, int64_t lda, int64_t m, int64_t k, const uint16_t *packed, int64_t first_panel, int64_t panels, int64_t n,
    const float *bias, int activation, float *c, int64_t ldc) {
  const int64_t pairs = (k + 1) / 2;
  const int fused = activation == HEADROOM_RELU ? HEADROOM_RELU : HEADROOM_NONE;
  for (int64_t top = 0; top < m; top += BLOCK_ROWS) {
    const int64_t rows = m - top < BLOCK_ROWS ? m - top : BLOCK_ROWS;
    const int64_t tiles = (rows + 11) / 12;
    for (int64_t p = first_panel; p < first_panel + panels; p++) {
      const int64_t column = p * HEADROOM_PANEL;
      const int64_t width = n - column < HEADROOM_PANEL ? n - column : HEADROOM_PANEL;
      const __mmask16 mask0 = width >= 16 ? 0xFFFF : (__mmask16)((1u << width) - 1);
      const __mmask16 mask1 = width >= 32 ? 0xFFFF : (width > 16 ? (__mmask16)((1u << (width - 16)) - 1) : 0);
      const uint16_t *panel = packed + p * pairs * 64;
      const char *next = (const char *)(panel + pairs * 64);
      const int64_t share = pairs * 128 / tiles;
      int64_t row = 0;
      for (int64_t t = 0; t < tiles; t++) {
        const int64_t height = (rows - row + (tiles - t) - 1) / (tiles - t);
        bf16_kernels[height](
            a + (top + row) * lda, lda, pairs, panel, next + t * share, bias ? bias + column : 0, fused, c + (top + row) * ldc + column, ldc,
            mask0, mask1);
        if (activation != fused)
          for (int64_t r = 0; r < height; r++) {
            float *out = c + (top + row + r) * ldc + column;
            avx512_activate(activation, out, out, width);
          }
        row += height;
      }
    }
  }
}

TARGET void avx512_to_bf16(const float *source, int64_t lda, int64_t rows, int64_t k, uint16_t *target) {
  const int64_t even = (k + 1) / 2 * 2;
  for (int64_t row = 0; row < rows; row++) {
    const float *in = source + row * lda;
    uint16_t *out = target + row * even;
    int64_t i = 0;
    for (; i + 16 <= k; i += 16) _mm256_storeu_si256((__m256i *)(out + i), (__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(in + i)));
    for (; i < k; i++) out[i] = brain_from_float(in[i]);
    if (even > k) out[k] = 0;
  }
}
#undef TARGET
#define TARGET __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,fma,f16c")))

TARGET float avx512_fma_loop(int64_t iterations, double *flops) {
  __m512 s[16];
  const __m512 x = _mm512_set1_ps(0.999f), y = _mm512_set1_ps(0.001f);
  for (int j = 0; j < 16; j++) s[j] = _mm512_set1_ps((float)j);
  for (int64_t i = 0; i < iterations; i++) {
    _Pragma("clang loop unroll(full)") for (int j = 0; j < 16; j++) s[j] = _mm512_fmadd_ps(s[j], x, y);
  }
  *flops = (double)iterations * 16 * 16 * 2;
  __m512 sum = s[0];
  for (int j = 1; j < 16; j++) sum = _mm512_add_ps(sum, s[j]);
  return _mm512_reduce_add_ps(sum);
}

TARGET float avx512_read_loop(const float *data, int64_t count) {
  __m512 s[8];
  for (int j = 0; j < 8; j++) s[j] = _mm512_setzero_ps();
  int64_t i = 0;
  for (; i + 128 <= count; i += 128) {
    _Pragma("clang loop unroll(full)") for (int j = 0; j < 8; j++) s[j] = _mm512_add_ps(s[j], _mm512_loadu_ps(data + i + j * 16));
  }
  __m512 sum = s[0];
  for (int j = 1; j < 8; j++) sum = _mm512_add_ps(sum, s[j]);
  return _mm512_reduce_add_ps(sum);
}

void avx512_op_activate(int activation, const float *x, float *y, int64_t count) { avx512_activate(activation, x, y, count); }
void avx512_op_softmax(const float *x, float *y, int64_t rows, int64_t width) { avx512_softmax(x, y, rows, width); }
void avx512_op_layernorm(
    const float *x, const float *scale, const float *bias, float epsilon, int activation, float *y, int64_t rows, int64_t width) {
  avx512_layernorm(x, scale, bias, epsilon, activation, y, rows, width);
}
void avx512_op_binary(int operation, const float *x, const float *z, float *y, int64_t count, int64_t z_count) {
  avx512_binary(operation, x, z, y, count, z_count);
}
#endif
