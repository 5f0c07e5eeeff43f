// What the kernels' sources need of a GPU, on this processor: thread indices, barriers, shared memory, the exchange between a warp's lanes.
// Included by primitives.cuh alone, in place of what NVRTC brings.
#pragma once
#include <cmath>
#include <cstddef>

#define HR_DEVICE static inline __attribute__((unused))
#define HR_KERNEL(threads) static void
#define HR_ALIGNED(bytes) alignas(bytes)
#define HR_SHARED(type, name, count)  \
  static const char name##Key = 0;    \
  type *name = (type *)headroom::blockShared(&name##Key, sizeof(type) * (count))
#define HR_DYNAMIC_SHARED(name) unsigned char *name = headroom::dynamicShared()

namespace headroom {
struct Place {
  int threadX, threadCount;
  long long blockX, blockCount;
};
/// Of the thread that runs.
extern thread_local Place place;
/// The block's memory behind a key: the same for all its threads, poisoned when the block starts.
void *blockShared(const void *key, size_t bytes);
unsigned char *dynamicShared();
void blockBarrier();
void warpBarrier();
/// Puts down this lane's bytes (32 at most) and waits for the warp's others. The result holds 32 bytes per lane, until the next exchange but one.
const unsigned char *exchange(const void *mine, size_t bytes);
void copyStart(void *target, const void *source);
void copiesWait();
}  // namespace headroom

HR_DEVICE int thread_index() { return headroom::place.threadX; }
HR_DEVICE int thread_count() { return headroom::place.threadCount; }
HR_DEVICE long long block_index() { return headroom::place.blockX; }
HR_DEVICE long long block_count() { return headroom::place.blockCount; }
HR_DEVICE void block_barrier() { headroom::blockBarrier(); }
HR_DEVICE void warp_barrier() { headroom::warpBarrier(); }

HR_DEVICE float shuffle_xor(float value, int mask) {
  const unsigned char *all = headroom::exchange(&value, sizeof value);
  float other;
  __builtin_memcpy(&other, all + ((headroom::place.threadX % 32) ^ mask) * 32, sizeof other);
  return other;
}

HR_DEVICE void copy_chunk_start_on_processor(void *shared, const void *global) { headroom::copyStart(shared, global); }
HR_DEVICE void copy_chunks_wait_on_processor() { headroom::copiesWait(); }

/// mma.m16n8k16 by its definition: every lane lays down its fragments, then computes its four results from the others'.
template <class ToFloat>
HR_DEVICE void multiply_tile_on_processor(float (&d)[4], const unsigned int (&a)[4], const unsigned int (&b)[2], ToFloat toFloat) {
  unsigned int mine[6] = {a[0], a[1], a[2], a[3], b[0], b[1]};
  const unsigned char *all = headroom::exchange(mine, sizeof mine);
  auto word = [&](int lane, int index) {
    unsigned int bits;
    __builtin_memcpy(&bits, all + lane * 32 + index * 4, 4);
    return bits;
  };
  int lane = headroom::place.threadX % 32, group = lane / 4, quad = lane % 4;
  for (int part = 0; part < 4; part++) {
    int column = quad * 2 + part % 2;
    float sum = d[part];
    for (int k = 0; k < 16; k++) {
      // k lies in the quad (k % 8) / 2, in the lower or upper half of its word; words 2 and 3 of a, and 1 of b, hold k from 8 on.
      unsigned int left = word(group * 4 + k % 8 / 2, part / 2 + k / 8 * 2), right = word(column * 4 + k % 8 / 2, 4 + k / 8);
      sum += toFloat((unsigned short)(k % 2 ? left >> 16 : left)) * toFloat((unsigned short)(k % 2 ? right >> 16 : right));
    }
    d[part] = sum;
  }
}
