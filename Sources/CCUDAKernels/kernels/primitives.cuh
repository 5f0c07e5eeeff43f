// Named primitives under every kernel: all inline PTX is here, each beside a twin in plain C++ for the processor (HEADROOM_ON_PROCESSOR), on
// which the same kernels are tested. Nothing else in these files depends on the machine.
#ifndef HEADROOM_PRIMITIVES_CUH
#define HEADROOM_PRIMITIVES_CUH

#include "kernel_arguments.h"

#ifdef HEADROOM_ON_PROCESSOR
// Thread indices, barriers, shared memory and the exchange between a warp's lanes.
#include "processor.h"
#else
// NVRTC has no standard headers.
#define INFINITY __int_as_float(0x7f800000)
#define HR_DEVICE static __device__ __forceinline__
#define HR_KERNEL(threads) extern "C" __global__ void __launch_bounds__(threads)
#define HR_SHARED(type, name, count) __shared__ type name[count]
// Aligned for 16-byte accesses.
#define HR_DYNAMIC_SHARED(name) extern __shared__ __align__(16) unsigned char name[]
#define HR_ALIGNED(bytes) __align__(bytes)
HR_DEVICE int thread_index() { return threadIdx.x; }
HR_DEVICE int thread_count() { return blockDim.x; }
HR_DEVICE long long block_index() { return blockIdx.x; }
HR_DEVICE int block_index_y() { return blockIdx.y; }
HR_DEVICE long long block_count() { return gridDim.x; }
HR_DEVICE void block_barrier() { __syncthreads(); }
HR_DEVICE void warp_barrier() { __syncwarp(); }
HR_DEVICE float shuffle_xor(float value, int mask) { return __shfl_xor_sync(0xffffffffu, value, mask); }
#endif

/// 16 bytes, moved at once.
struct HR_ALIGNED(16) Chunk {
  unsigned int words[4];
};

struct Half {
  unsigned short bits;
};
struct Brain {
  unsigned short bits;
};

// MARK: - Conversions

HR_DEVICE float bits_to_float(unsigned int bits) {
#ifdef HEADROOM_ON_PROCESSOR
  float value;
  __builtin_memcpy(&value, &bits, 4);
  return value;
#else
  return __uint_as_float(bits);
#endif
}

HR_DEVICE unsigned int float_to_bits(float value) {
#ifdef HEADROOM_ON_PROCESSOR
  unsigned int bits;
  __builtin_memcpy(&bits, &value, 4);
  return bits;
#else
  return __float_as_uint(value);
#endif
}

HR_DEVICE float to_float(float value) { return value; }

HR_DEVICE float to_float(Half value) {
#ifdef HEADROOM_ON_PROCESSOR
  _Float16 half;
  __builtin_memcpy(&half, &value.bits, 2);
  return (float)half;
#else
  float result;
  asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(value.bits));
  return result;
#endif
}

HR_DEVICE float to_float(Brain value) { return bits_to_float((unsigned int)value.bits << 16); }

HR_DEVICE void from_float(float value, float *result) { *result = value; }

HR_DEVICE void from_float(float value, Half *result) {
#ifdef HEADROOM_ON_PROCESSOR
  _Float16 half = (_Float16)value;
  __builtin_memcpy(&result->bits, &half, 2);
#else
  unsigned short bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  result->bits = bits;
#endif
}

HR_DEVICE void from_float(float value, Brain *result) {
#ifdef HEADROOM_ON_PROCESSOR
  // To nearest, ties to even; not-a-numbers stay what they are.
  unsigned int bits = float_to_bits(value);
  result->bits = value != value ? (unsigned short)(bits >> 16 | 0x40) : (unsigned short)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
#else
  unsigned short bits;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  result->bits = bits;
#endif
}

// MARK: - Warps

HR_DEVICE float warp_sum(float value) {
  for (int mask = 16; mask > 0; mask /= 2) value += shuffle_xor(value, mask);
  return value;
}

HR_DEVICE float larger(float a, float b) { return a > b || a != a ? a : b; }
HR_DEVICE float smaller(float a, float b) { return a < b || a != a ? a : b; }

HR_DEVICE float warp_maximum(float value) {
  for (int mask = 16; mask > 0; mask /= 2) value = larger(value, shuffle_xor(value, mask));
  return value;
}

// MARK: - Tensor cores

/// d[16 x 8] += a[16 x 16] b[16 x 8], in the layout of mma.m16n8k16: lane l holds rows l / 4 and l / 4 + 8 of a and d, column l / 4 of b, and
/// pairs of neighbours along k from 2 (l % 4) on, and 8 further.
HR_DEVICE void multiply_tile(float (&d)[4], const unsigned int (&a)[4], const unsigned int (&b)[2], Half) {
#ifdef HEADROOM_ON_PROCESSOR
  multiply_tile_on_processor(d, a, b, [](unsigned short bits) { return to_float(Half{bits}); });
#else
  asm volatile(
    "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
    : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
    : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

HR_DEVICE void multiply_tile(float (&d)[4], const unsigned int (&a)[4], const unsigned int (&b)[2], Brain) {
#ifdef HEADROOM_ON_PROCESSOR
  multiply_tile_on_processor(d, a, b, [](unsigned short bits) { return to_float(Brain{bits}); });
#else
  asm volatile(
    "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
    : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
    : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

// MARK: - Copies that do not wait

/// Starts moving 16 bytes from global to shared memory, past the registers and the first-level cache.
HR_DEVICE void copy_chunk_start(void *shared, const void *global) {
#ifdef HEADROOM_ON_PROCESSOR
  // They arrive when they are waited for, not before: what is read too early is what was there.
  copy_chunk_start_on_processor(shared, global);
#else
  unsigned int address = (unsigned int)__cvta_generic_to_shared(shared);
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(address), "l"(global) : "memory");
#endif
}

/// Waits for all that this thread started.
HR_DEVICE void copy_chunks_wait() {
#ifdef HEADROOM_ON_PROCESSOR
  copy_chunks_wait_on_processor();
#else
  asm volatile("cp.async.wait_all;" ::: "memory");
#endif
}

// MARK: - Programmatic dependent launch

/// Lets the next kernel of the stream start before this one has ended; it waits by itself before it reads what this one writes.
HR_DEVICE void dependents_may_start() {
#if !defined(HEADROOM_ON_PROCESSOR) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

/// Waits until the kernels before have ended and their writes can be seen. Without programmatic launch it returns at once.
HR_DEVICE void wait_for_predecessors() {
#if !defined(HEADROOM_ON_PROCESSOR) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// MARK: - Functions

HR_DEVICE float gelu_erf(float x) { return 0.5f * x * (1.0f + erff(x * 0.70710678118654752f)); }
HR_DEVICE float gelu_tanh(float x) { return 0.5f * x * (1.0f + tanhf(0.79788456080286536f * (x + 0.044715f * x * x * x))); }
HR_DEVICE float logistic(float x) { return 1.0f / (1.0f + expf(-x)); }

HR_DEVICE float activated(float x, int activation) {
  switch (activation) {
    case HR_ACTIVATE_RELU: return larger(x, 0.0f);
    case HR_ACTIVATE_GELU: return gelu_erf(x);
    case HR_ACTIVATE_GELU_TANH: return gelu_tanh(x);
    case HR_ACTIVATE_TANH: return tanhf(x);
    case HR_ACTIVATE_SIGMOID: return logistic(x);
    default: return x;
  }
}

#endif
