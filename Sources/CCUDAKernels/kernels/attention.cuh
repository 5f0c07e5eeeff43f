// Attention in one kernel: softmax(scale * Q K^T + mask) V, the scores never leave the registers. For the 16-bit types.
#include "primitives.cuh"
#include "element.cuh"

#ifndef HEADROOM_ATTENTION_CUH
#define HEADROOM_ATTENTION_CUH
enum { attentionTile = 64, attentionWidth = 128, attentionPitch = attentionWidth + 8 };

template <class Type>
HR_DEVICE unsigned int pair_of(float low, float high) {
  Type a, b;
  from_float(low, &a);
  from_float(high, &b);
  return (unsigned int)a.bits | (unsigned int)b.bits << 16;
}

HR_DEVICE unsigned int pair_at(const unsigned short *place) { return *(const unsigned int *)place; }

/// A tile of 64 rows into shared memory, zeros beyond the end. Rows begin at multiples of 8 elements, `width` is a multiple of 8.
template <class Type>
HR_DEVICE void load_attention_tile(unsigned short *tile, const Type *rows, long long distance, int first, int count, int width, int padded) {
  int chunks = padded / 8;
  for (int index = thread_index(); index < attentionTile * chunks; index += 128) {
    int row = index / chunks, place = index % chunks * 8;
    Chunk chunk = {{0, 0, 0, 0}};
    if (first + row < count && place < width) chunk = *(const Chunk *)(rows + (first + row) * distance + place);
    *(Chunk *)(tile + row * attentionPitch + place) = chunk;
  }
}

/// One block of 128 threads takes 64 queries of one (batch, head) pair, 16 per warp, and walks the keys 64 at a time.
template <class Type>
HR_DEVICE void attend(const Type *queries, const Type *keys, const Type *values, const Type *mask, Type *target, const HRAttention &shape) {
  HR_SHARED(Chunk, keyChunks, attentionTile * attentionPitch / 8);
  HR_SHARED(Chunk, valueChunks, attentionTile * attentionPitch / 8);
  unsigned short *keyTile = (unsigned short *)keyChunks, *valueTile = (unsigned short *)valueChunks;
  int tiles = (shape.queries + attentionTile - 1) / attentionTile;
  long long pair = block_index() / tiles, batch = pair / shape.heads, head = pair % shape.heads;
  int warp = thread_index() / 32, lane = thread_index() % 32, group = lane / 4, quad = lane % 4;
  int firstQuery = (int)(block_index() % tiles) * attentionTile + warp * 16;
  int padded = (shape.width + 15) / 16 * 16;
  const Type *q = queries + batch * shape.queryBatch + head * shape.queryHead;
  const Type *k = keys + batch * shape.keyBatch + head * shape.keyHead;
  const Type *v = values + batch * shape.valueBatch + head * shape.valueHead;

  unsigned int a[attentionWidth / 16][4];
  for (int step = 0; step < attentionWidth / 16; step++) {
    for (int part = 0; part < 4; part++) {
      int row = firstQuery + group + part % 2 * 8, place = step * 16 + quad * 2 + part / 2 * 8;
      a[step][part] = row < shape.queries && place < shape.width ? pair_at((const unsigned short *)(q + row * shape.queryRow + place)) : 0;
    }
  }
  float sums[attentionWidth / 8][4];
  for (int tile = 0; tile < attentionWidth / 8; tile++) {
    for (int part = 0; part < 4; part++) sums[tile][part] = 0;
  }
  float highest[2] = {-INFINITY, -INFINITY}, total[2] = {0, 0};

  for (int first = 0; first < shape.keys; first += attentionTile) {
    block_barrier();
    load_attention_tile(keyTile, k, shape.keyRow, first, shape.keys, shape.width, padded);
    load_attention_tile(valueTile, v, shape.valueRow, first, shape.keys, shape.width, padded);
    block_barrier();
    float scores[8][4];
#pragma unroll
    for (int tile = 0; tile < 8; tile++) {
      for (int part = 0; part < 4; part++) scores[tile][part] = 0;
#pragma unroll
      for (int step = 0; step < attentionWidth / 16; step++) {
        if (step * 16 < padded) {
          const unsigned short *place = keyTile + (tile * 8 + group) * attentionPitch + step * 16 + quad * 2;
          unsigned int b[2] = {pair_at(place), pair_at(place + 8)};
          multiply_tile(scores[tile], a[step], b, Type());
        }
      }
    }
    float peak[2] = {highest[0], highest[1]};
#pragma unroll
    for (int tile = 0; tile < 8; tile++) {
#pragma unroll
      for (int part = 0; part < 4; part++) {
        int row = firstQuery + group + part / 2 * 8, key = first + tile * 8 + quad * 2 + part % 2;
        float score = -INFINITY;
        if (key < shape.keys && row < shape.queries) {
          score = scores[tile][part] * shape.scale;
          if (mask) {
            score += to_float(mask[batch * shape.maskBatch + head * shape.maskHead + row * shape.maskRow + key * shape.maskColumn]);
          }
        }
        scores[tile][part] = score;
        peak[part / 2] = larger(score, peak[part / 2]);
      }
    }
#pragma unroll
    for (int half = 0; half < 2; half++) {
      peak[half] = larger(peak[half], shuffle_xor(peak[half], 1));
      peak[half] = larger(peak[half], shuffle_xor(peak[half], 2));
      // Nothing but minus infinities so far: nothing to scale.
      float factor = peak[half] == -INFINITY ? 1.0f : expf(highest[half] - peak[half]);
      highest[half] = peak[half];
      total[half] *= factor;
      for (int tile = 0; tile < attentionWidth / 8; tile++) {
        sums[tile][half * 2] *= factor;
        sums[tile][half * 2 + 1] *= factor;
      }
    }
#pragma unroll
    for (int tile = 0; tile < 8; tile++) {
#pragma unroll
      for (int part = 0; part < 4; part++) {
        float weight = scores[tile][part] == -INFINITY ? 0.0f : expf(scores[tile][part] - highest[part / 2]);
        scores[tile][part] = weight;
        total[part / 2] += weight;
      }
    }
#pragma unroll
    for (int step = 0; step < 4; step++) {
      unsigned int p[4] = {
        pair_of<Type>(scores[step * 2][0], scores[step * 2][1]), pair_of<Type>(scores[step * 2][2], scores[step * 2][3]),
        pair_of<Type>(scores[step * 2 + 1][0], scores[step * 2 + 1][1]), pair_of<Type>(scores[step * 2 + 1][2], scores[step * 2 + 1][3])};
#pragma unroll
      for (int tile = 0; tile < attentionWidth / 8; tile++) {
        if (tile * 8 < padded) {
          const unsigned short *place = valueTile + (step * 16 + quad * 2) * attentionPitch + tile * 8 + group;
          unsigned int b[2] = {
            (unsigned int)place[0] | (unsigned int)place[attentionPitch] << 16,
            (unsigned int)place[8 * attentionPitch] | (unsigned int)place[9 * attentionPitch] << 16};
          multiply_tile(sums[tile], p, b, Type());
        }
      }
    }
  }
  for (int half = 0; half < 2; half++) {
    total[half] += shuffle_xor(total[half], 1);
    total[half] += shuffle_xor(total[half], 2);
    int row = firstQuery + group + half * 8;
    if (row >= shape.queries) continue;
    Type *y = target + batch * shape.targetBatch + head * shape.targetHead + row * shape.targetRow;
#pragma unroll
    for (int tile = 0; tile < attentionWidth / 8; tile++) {
      int place = tile * 8 + quad * 2;
      if (place < shape.width) {
        *(unsigned int *)(y + place) = pair_of<Type>(sums[tile][half * 2] / total[half], sums[tile][half * 2 + 1] / total[half]);
      }
    }
  }
}
#endif

#if HR_ELEMENT != 0
HR_KERNEL(128)
HR_NAME(attention)(const Element *queries, const Element *keys, const Element *values, const Element *mask, Element *target,
                   HRAttention shape) {
  attend(queries, keys, values, mask, target, shape);
}
#endif
