// Sixteen-bit floats by integer arithmetic, for packing and for processors without the instructions.
#pragma once
#include <stdint.h>
#include <string.h>

static inline uint32_t bits_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  return bits;
}

static inline float float_of(uint32_t bits) {
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

// Round to nearest, ties to even; a NaN stays one.
static inline uint16_t brain_from_float(float value) {
  const uint32_t bits = bits_of(value);
  if ((bits & 0x7FFFFFFF) > 0x7F800000) return (uint16_t)((bits >> 16) | 0x40);
  return (uint16_t)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

static inline float float_from_brain(uint16_t bits) { return float_of((uint32_t)bits << 16); }

// IEEE binary16, round to nearest, ties to even.
static inline uint16_t half_from_float(float value) {
  const uint32_t bits = bits_of(value);
  const uint16_t sign = (uint16_t)((bits >> 16) & 0x8000);
  const uint32_t magnitude = bits & 0x7FFFFFFF;
  if (magnitude > 0x7F800000) return sign | 0x7E00;
  if (magnitude >= 0x477FF000) return sign | 0x7C00;
  if (magnitude < 0x38800000) {
    // Subnormal: adding 0.5 lets the float unit round at the right place.
    const float shifted = float_of(magnitude) + 0.5f;
    return sign | (uint16_t)(bits_of(shifted) - 0x3F000000);
  }
  return sign | (uint16_t)((magnitude - 0x38000000 + 0xFFF + ((magnitude >> 13) & 1)) >> 13);
}

static inline float float_from_half(uint16_t half) {
  const uint32_t sign = (uint32_t)(half & 0x8000) << 16;
  const uint32_t exponent = (half >> 10) & 0x1F, fraction = half & 0x3FF;
  if (exponent == 0) return float_of(sign | bits_of((float)fraction * 0x1p-24f));
  if (exponent == 31) return float_of(sign | 0x7F800000 | (fraction << 13));
  return float_of(sign | ((exponent + 112) << 23) | (fraction << 13));
}
