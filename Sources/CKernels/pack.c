#include "CKernels.h"
#include "half.h"

static float at(const float *weight, int64_t k, int64_t n, int transposed, int64_t row, int64_t column) {
  return transposed ? weight[column * k + row] : weight[row * n + column];
}

void headroom_pack_f32(const float *weight, int64_t k, int64_t n, int transposed, int64_t first_panel, int64_t panels, float *packed) {
  for (int64_t p = first_panel; p < first_panel + panels; p++) {
    float *panel = packed + p * k * HEADROOM_PANEL;
    for (int64_t row = 0; row < k; row++) {
      for (int64_t j = 0; j < HEADROOM_PANEL; j++) {
        const int64_t column = p * HEADROOM_PANEL + j;
        panel[row * HEADROOM_PANEL + j] = column < n ? at(weight, k, n, transposed, row, column) : 0;
      }
    }
  }
}

void headroom_pack_f16(const float *weight, int64_t k, int64_t n, int transposed, int64_t first_panel, int64_t panels, uint16_t *packed) {
  for (int64_t p = first_panel; p < first_panel + panels; p++) {
    uint16_t *panel = packed + p * k * HEADROOM_PANEL;
    for (int64_t row = 0; row < k; row++) {
      for (int64_t j = 0; j < HEADROOM_PANEL; j++) {
        const int64_t column = p * HEADROOM_PANEL + j;
        panel[row * HEADROOM_PANEL + j] = column < n ? half_from_float(at(weight, k, n, transposed, row, column)) : 0;
      }
    }
  }
}

void headroom_pack_bf16(const float *weight, int64_t k, int64_t n, int transposed, int64_t first_panel, int64_t panels, uint16_t *packed) {
  const int64_t pairs = (k + 1) / 2;
  for (int64_t p = first_panel; p < first_panel + panels; p++) {
    uint16_t *panel = packed + p * pairs * 2 * HEADROOM_PANEL;
    for (int64_t pair = 0; pair < pairs; pair++) {
      for (int64_t j = 0; j < HEADROOM_PANEL; j++) {
        const int64_t column = p * HEADROOM_PANEL + j;
        for (int64_t half = 0; half < 2; half++) {
          const int64_t row = pair * 2 + half;
          panel[(pair * HEADROOM_PANEL + j) * 2 + half] =
              column < n && row < k ? brain_from_float(at(weight, k, n, transposed, row, column)) : 0;
        }
      }
    }
  }
}

void headroom_pack_strided_f32(const float *b, int64_t k, int64_t n, int64_t row_stride, int64_t column_stride, float *packed) {
  for (int64_t p = 0; p * HEADROOM_PANEL < n; p++) {
    float *panel = packed + p * k * HEADROOM_PANEL;
    const int64_t width = n - p * HEADROOM_PANEL < HEADROOM_PANEL ? n - p * HEADROOM_PANEL : HEADROOM_PANEL;
    const float *start = b + p * HEADROOM_PANEL * column_stride;
    for (int64_t row = 0; row < k; row++) {
      for (int64_t j = 0; j < width; j++) panel[row * HEADROOM_PANEL + j] = start[row * row_stride + j * column_stride];
      for (int64_t j = width; j < HEADROOM_PANEL; j++) panel[row * HEADROOM_PANEL + j] = 0;
    }
  }
}
