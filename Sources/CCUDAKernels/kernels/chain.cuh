// One layer of a chain of equal layers, for few rows: target = activation(source weights + bias). Consecutive layers are linked by
// programmatic dependent launch: a layer's weights, which no other kernel writes, are on their way to the SM before the layer before has ended.
//
// A block has 16 warps, which split k among them, and owns 16 * tiles columns and all rows, 8 * groups at most. The weights are the product's
// first operand, so that 8 rows fill a tile. Weights are packed (`ChainWeights` in Swift) as [column / 16][k / 32][column % 16 / 8][lane] x 8
// elements, lane = column % 8 * 4 + k % 32 / 8: one load of 16 bytes feeds two steps of 16, whose k are permuted alike in both operands.
#include "primitives.cuh"
#include "element.cuh"

#ifndef HEADROOM_CHAIN_CUH
#define HEADROOM_CHAIN_CUH
template <class Type, int tiles, int groups>
HR_DEVICE void chain_layer(const Type *source, const Type *weights, const Type *bias, Type *target, const HRChainLayer &layer) {
  HR_DYNAMIC_SHARED(shared);
  dependents_may_start();
  int warp = thread_index() / 32, lane = thread_index() % 32, group = lane / 4, quad = lane % 4;
  int blocks = layer.k / 32, firstTile = (int)block_index() * tiles;
  Chunk *own = (Chunk *)shared;
  // What a lane copies, it alone reads: no barrier.
  for (int block = warp, slot = 0; block < blocks; block += 16, slot++) {
#pragma unroll
    for (int tile = 0; tile < tiles; tile++) {
#pragma unroll
      for (int half = 0; half < 2; half++) {
        long long from = (((long long)(firstTile + tile) * blocks + block) * 2 + half) * 32 + lane;
        copy_chunk_start(own + (((slot * 16 + warp) * tiles + tile) * 2 + half) * 32 + lane, (const Chunk *)weights + from);
      }
    }
  }
  copy_chunks_wait();
  wait_for_predecessors();
  float sums[tiles][groups][4];
#pragma unroll
  for (int tile = 0; tile < tiles; tile++) {
#pragma unroll
    for (int rows = 0; rows < groups; rows++) {
      for (int part = 0; part < 4; part++) sums[tile][rows][part] = 0;
    }
  }
  for (int block = warp, slot = 0; block < blocks; block += 16, slot++) {
    Chunk activations[groups];
#pragma unroll
    for (int rows = 0; rows < groups; rows++) {
      int row = rows * 8 + group;
      Chunk none = {{0, 0, 0, 0}};
      activations[rows] =
        row < layer.rows ? *(const Chunk *)(source + (long long)row * layer.sourceDistance + block * 32 + quad * 8) : none;
    }
#pragma unroll
    for (int tile = 0; tile < tiles; tile++) {
      const Chunk *place = own + ((slot * 16 + warp) * tiles + tile) * 64 + lane;
      Chunk low = place[0], high = place[32];
      unsigned int first[4] = {low.words[0], high.words[0], low.words[1], high.words[1]};
      unsigned int second[4] = {low.words[2], high.words[2], low.words[3], high.words[3]};
#pragma unroll
      for (int rows = 0; rows < groups; rows++) {
        unsigned int b[2] = {activations[rows].words[0], activations[rows].words[1]};
        multiply_tile(sums[tile][rows], first, b, Type());
        unsigned int c[2] = {activations[rows].words[2], activations[rows].words[3]};
        multiply_tile(sums[tile][rows], second, c, Type());
      }
    }
  }
  // The partial sums take the weights' place.
  block_barrier();
  float *partial = (float *)shared;
  const int area = tiles * groups * 128;
#pragma unroll
  for (int tile = 0; tile < tiles; tile++) {
#pragma unroll
    for (int rows = 0; rows < groups; rows++) {
      float *place = partial + warp * area + (tile * groups + rows) * 128;
      place[group * 8 + quad * 2] = sums[tile][rows][0];
      place[group * 8 + quad * 2 + 1] = sums[tile][rows][1];
      place[(group + 8) * 8 + quad * 2] = sums[tile][rows][2];
      place[(group + 8) * 8 + quad * 2 + 1] = sums[tile][rows][3];
    }
  }
  block_barrier();
  for (int index = thread_index(); index < area; index += 512) {
    int column = index % (tiles * 16), row = index / (tiles * 16);
    if (row >= layer.rows) continue;
    const float *place = partial + (column / 16 * groups + row / 8) * 128 + column % 16 * 8 + row % 8;
    float sum = 0;
    for (int part = 0; part < 16; part++) sum += place[part * area];
    int whole = firstTile * 16 + column;
    if (bias) sum += to_float(bias[whole]);
    from_float(activated(sum, layer.activation), target + (long long)row * layer.targetDistance + whole);
  }
}
#endif

#if HR_ELEMENT != 0
#define HR_CHAIN(tiles, groups)                                                                                             \
  HR_KERNEL(512)                                                                                                            \
  HR_NAME(chain_t##tiles##_g##groups)(const Element *source, const Element *weights, const Element *bias, Element *target, \
                                      HRChainLayer layer) {                                                                 \
    chain_layer<Element, tiles, groups>(source, weights, bias, target, layer);                                              \
  }
// The names below are made after HR_NAME is known: one more level of expansion.
#undef HR_NAME
#if HR_ELEMENT == 1
#define HR_NAME(name) name##_f16
#else
#define HR_NAME(name) name##_bf16
#endif
HR_CHAIN(1, 1)
HR_CHAIN(1, 2)
HR_CHAIN(1, 4)
HR_CHAIN(2, 1)
HR_CHAIN(2, 2)
HR_CHAIN(2, 4)
HR_CHAIN(4, 1)
HR_CHAIN(4, 2)
HR_CHAIN(4, 4)
#endif
