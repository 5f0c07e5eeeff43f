// Kernels over rows: LayerNorm with an activation, softmax, reductions.
#include "primitives.cuh"
#include "element.cuh"

/// Sum over a block of 128 threads; `shared` holds 4 floats. Every thread gets it.
#ifndef HEADROOM_ROWS_CUH
#define HEADROOM_ROWS_CUH
HR_DEVICE float block_sum_128(float value, float *shared) {
  value = warp_sum(value);
  if (thread_index() % 32 == 0) shared[thread_index() / 32] = value;
  block_barrier();
  float sum = shared[0] + shared[1] + shared[2] + shared[3];
  // Nobody writes the next sum before everybody has read this one.
  block_barrier();
  return sum;
}
#endif

/// target = activation((source - mean) / sqrt(variance + epsilon) * scale + bias) by rows; one block of 128 threads per row. Up to 2,048
/// elements stay in registers; the variance is that of the centred values. Rows are walked from the last to the first: what the kernel before
/// wrote last is still in the cache. `source` may be `target`.
HR_KERNEL(128)
HR_NAME(layer_norm)(const Element *source, const Element *scale, const Element *bias, Element *target, long long rows, int width,
                    float epsilon, int activation) {
  HR_SHARED(float, sums, 4);
  enum { perChunk = 16 / sizeof(Element), chunks = 2048 / 128 / perChunk };
  // Views may begin anywhere; 16 bytes at once need their alignment.
  bool isAligned = (((unsigned long long)source | (unsigned long long)target | (unsigned long long)scale | (unsigned long long)bias) & 15) == 0;
  for (long long index = block_index(); index < rows; index += block_count()) {
    long long row = rows - 1 - index;
    const Element *x = source + row * width;
    Element *y = target + row * width;
    if (isAligned && width % perChunk == 0 && width <= 2048) {
      float values[chunks * perChunk];
      float sum = 0;
#pragma unroll
      for (int chunk = 0; chunk < chunks; chunk++) {
        int place = (chunk * 128 + thread_index()) * perChunk;
        if (place < width) {
          Chunk loaded = *(const Chunk *)(x + place);
          const Element *elements = (const Element *)&loaded;
#pragma unroll
          for (int i = 0; i < perChunk; i++) sum += values[chunk * perChunk + i] = to_float(elements[i]);
        }
      }
      float mean = block_sum_128(sum, sums) / (float)width;
      float squares = 0;
#pragma unroll
      for (int chunk = 0; chunk < chunks; chunk++) {
        if ((chunk * 128 + thread_index()) * perChunk < width) {
#pragma unroll
          for (int i = 0; i < perChunk; i++) {
            float centred = values[chunk * perChunk + i] - mean;
            squares += centred * centred;
          }
        }
      }
      float factor = 1.0f / sqrtf(block_sum_128(squares, sums) / (float)width + epsilon);
#pragma unroll
      for (int chunk = 0; chunk < chunks; chunk++) {
        int place = (chunk * 128 + thread_index()) * perChunk;
        if (place < width) {
          Chunk scales = *(const Chunk *)(scale + place);
          Chunk shifts = {{0, 0, 0, 0}};
          if (bias) shifts = *(const Chunk *)(bias + place);
          Chunk stored;
#pragma unroll
          for (int i = 0; i < perChunk; i++) {
            float shift = bias ? to_float(((const Element *)&shifts)[i]) : 0.0f;
            float value = (values[chunk * perChunk + i] - mean) * factor * to_float(((const Element *)&scales)[i]) + shift;
            from_float(activated(value, activation), (Element *)&stored + i);
          }
          *(Chunk *)(y + place) = stored;
        }
      }
    } else {
      float sum = 0;
      for (int place = thread_index(); place < width; place += 128) sum += to_float(x[place]);
      float mean = block_sum_128(sum, sums) / (float)width;
      float squares = 0;
      for (int place = thread_index(); place < width; place += 128) {
        float centred = to_float(x[place]) - mean;
        squares += centred * centred;
      }
      float factor = 1.0f / sqrtf(block_sum_128(squares, sums) / (float)width + epsilon);
      for (int place = thread_index(); place < width; place += 128) {
        float value = (to_float(x[place]) - mean) * factor * to_float(scale[place]) + (bias ? to_float(bias[place]) : 0.0f);
        from_float(activated(value, activation), y + place);
      }
    }
  }
}

/// Softmax of `width` elements, `stride` apart; row r begins at (r / stride) * width * stride + r % stride. One warp per row, four rows per
/// block of 128 threads.
HR_KERNEL(128)
HR_NAME(softmax)(const Element *source, Element *target, long long rows, int width, long long stride) {
  int lane = thread_index() % 32;
  for (long long row = block_index() * 4 + thread_index() / 32; row < rows; row += block_count() * 4) {
    long long start = row / stride * width * stride + row % stride;
    const Element *x = source + start;
    Element *y = target + start;
    float highest = -INFINITY;
    for (int place = lane; place < width; place += 32) highest = larger(to_float(x[place * stride]), highest);
    highest = warp_maximum(highest);
    float sum = 0;
    // A row of minus infinities has no softmax; like every other it gives not-a-numbers, by 0 / 0.
    for (int place = lane; place < width; place += 32) sum += expf(to_float(x[place * stride]) - highest);
    sum = warp_sum(sum);
    for (int place = lane; place < width; place += 32) {
      from_float(expf(to_float(x[place * stride]) - highest) / sum, y + place * stride);
    }
  }
}

/// One result per warp. The walk's `a` leads from a result to its first element (over `count` results), its `b` over the reduced axes: the
/// first `outer` of its dimensions are the results', the others the reduced ones, `width` elements in all.
HR_KERNEL(128)
HR_NAME(reduce)(const Element *source, Element *target, HRWalk walk, int outer, long long width, int reduction) {
  int lane = thread_index() % 32;
  for (long long result = block_index() * 4 + thread_index() / 32; result < walk.count; result += block_count() * 4) {
    long long start = 0, rest = result;
    for (int axis = outer - 1; axis >= 0; axis--) {
      start += rest % walk.sizes[axis] * walk.a[axis];
      rest /= walk.sizes[axis];
    }
    // Of the largest element, for sums of exponentials.
    float highest = -INFINITY;
    if (reduction == HR_REDUCE_LOGARITHM_OF_EXPONENTIALS) {
      for (long long place = lane; place < width; place += 32) {
        long long offset = start, left = place;
        for (int axis = walk.rank - 1; axis >= outer; axis--) {
          offset += left % walk.sizes[axis] * walk.a[axis];
          left /= walk.sizes[axis];
        }
        highest = larger(to_float(source[offset]), highest);
      }
      highest = warp_maximum(highest);
      if (highest == -INFINITY) highest = 0;
    }
    float value = reduction == HR_REDUCE_PRODUCT ? 1.0f : reduction == HR_REDUCE_MAXIMUM ? -INFINITY : reduction == HR_REDUCE_MINIMUM ? INFINITY : 0.0f;
    for (long long place = lane; place < width; place += 32) {
      long long offset = start, left = place;
      for (int axis = walk.rank - 1; axis >= outer; axis--) {
        offset += left % walk.sizes[axis] * walk.a[axis];
        left /= walk.sizes[axis];
      }
      float x = to_float(source[offset]);
      switch (reduction) {
        case HR_REDUCE_MAXIMUM: value = larger(x, value); break;
        case HR_REDUCE_MINIMUM: value = smaller(x, value); break;
        case HR_REDUCE_PRODUCT: value *= x; break;
        case HR_REDUCE_L1: value += fabsf(x); break;
        case HR_REDUCE_L2:
        case HR_REDUCE_SQUARES: value += x * x; break;
        case HR_REDUCE_LOGARITHM_OF_EXPONENTIALS: value += expf(x - highest); break;
        default: value += x;
      }
    }
    for (int mask = 16; mask > 0; mask /= 2) {
      float other = shuffle_xor(value, mask);
      value = reduction == HR_REDUCE_MAXIMUM ? larger(value, other)
            : reduction == HR_REDUCE_MINIMUM ? smaller(value, other)
            : reduction == HR_REDUCE_PRODUCT ? value * other
                                             : value + other;
    }
    switch (reduction) {
      case HR_REDUCE_MEAN: value /= (float)width; break;
      case HR_REDUCE_L2: value = sqrtf(value); break;
      case HR_REDUCE_LOGARITHM_OF_SUM: value = logf(value); break;
      case HR_REDUCE_LOGARITHM_OF_EXPONENTIALS: value = logf(value) + highest; break;
      default: break;
    }
    if (lane == 0) from_float(value, target + result);
  }
}

// Operators along one axis that a definition names. Row r (a lane) has `width` elements, `stride` apart, and begins as softmax's does; a result
// of one element per row is element r. Then the numbers among its attributes.

HR_KERNEL(128)
HR_NAME(logsoftmax)(const Element *source, Element *target, long long rows, int width, long long stride, float first, float second) {
  int lane = thread_index() % 32;
  for (long long row = block_index() * 4 + thread_index() / 32; row < rows; row += block_count() * 4) {
    long long start = row / stride * width * stride + row % stride;
    float highest = -INFINITY;
    for (int place = lane; place < width; place += 32) highest = larger(to_float(source[start + place * stride]), highest);
    highest = warp_maximum(highest);
    float sum = 0;
    for (int place = lane; place < width; place += 32) sum += expf(to_float(source[start + place * stride]) - highest);
    float logarithm = logf(warp_sum(sum));
    for (int place = lane; place < width; place += 32) {
      from_float(to_float(source[start + place * stride]) - highest - logarithm, target + start + place * stride);
    }
  }
}

#ifndef HEADROOM_LANES_CUH
#define HEADROOM_LANES_CUH
/// The first place (or the last) of the largest element, or of the smallest where `sign` is -1. Every lane of the warp gets it.
template <class Type>
HR_DEVICE int extreme_place(const Type *x, int width, long long stride, float sign, bool isLast) {
  int lane = thread_index() % 32, found = -1;
  float best = 0;
  for (int place = lane; place < width; place += 32) {
    float value = sign * to_float(x[place * stride]);
    if (found < 0 || value > best || (isLast && value == best)) {
      best = value;
      found = place;
    }
  }
  for (int mask = 16; mask > 0; mask /= 2) {
    float value = shuffle_xor(best, mask);
    // Places are exact as floats: a width is below 2^24 here.
    int place = (int)shuffle_xor((float)found, mask);
    bool isBetter = found < 0 || value > best || (value == best && (isLast ? place > found : place < found));
    if (place >= 0 && isBetter) {
      best = value;
      found = place;
    }
  }
  return found;
}
#endif

HR_KERNEL(128)
HR_NAME(hardmax)(const Element *source, Element *target, long long rows, int width, long long stride, float first, float second) {
  int lane = thread_index() % 32;
  for (long long row = block_index() * 4 + thread_index() / 32; row < rows; row += block_count() * 4) {
    long long start = row / stride * width * stride + row % stride;
    int found = extreme_place(source + start, width, stride, 1.0f, false);
    for (int place = lane; place < width; place += 32) from_float(place == found ? 1.0f : 0.0f, target + start + place * stride);
  }
}

HR_KERNEL(128)
HR_NAME(argmax)(const Element *source, long long *target, long long rows, int width, long long stride, float isLast, float second) {
  for (long long row = block_index() * 4 + thread_index() / 32; row < rows; row += block_count() * 4) {
    int found = extreme_place(source + (row / stride * width * stride + row % stride), width, stride, 1.0f, isLast != 0);
    if (thread_index() % 32 == 0) target[row] = found;
  }
}

HR_KERNEL(128)
HR_NAME(argmin)(const Element *source, long long *target, long long rows, int width, long long stride, float isLast, float second) {
  for (long long row = block_index() * 4 + thread_index() / 32; row < rows; row += block_count() * 4) {
    int found = extreme_place(source + (row / stride * width * stride + row % stride), width, stride, -1.0f, isLast != 0);
    if (thread_index() % 32 == 0) target[row] = found;
  }
}

// Operators along one axis with several results: three targets, null where there are fewer, of `kept` elements each row, `stride` apart too; a
// row's elements begin at (r / stride) * kept * stride + r % stride there. Then the numbers among its attributes.

/// The best that is behind the last, `kept` times: without memory of its own, and in order.
HR_KERNEL(128)
HR_NAME(topk)(const Element *source, Element *target, long long *places, void *third, long long rows, int width, long long stride, int kept,
              float isLargest, float isSorted) {
  int lane = thread_index() % 32;
  float sign = isLargest != 0 ? 1.0f : -1.0f;
  for (long long row = block_index() * 4 + thread_index() / 32; row < rows; row += block_count() * 4) {
    const Element *x = source + (row / stride * width * stride + row % stride);
    long long start = row / stride * kept * stride + row % stride;
    float last = INFINITY;
    int lastPlace = -1;
    for (int number = 0; number < kept; number++) {
      float best = -INFINITY;
      int found = width;
      for (int place = lane; place < width; place += 32) {
        float value = sign * to_float(x[place * stride]);
        if (value != value) value = -INFINITY;
        bool isBehind = value < last || (value == last && place > lastPlace);
        if (isBehind && (found == width || value > best)) {
          best = value;
          found = place;
        }
      }
      for (int mask = 16; mask > 0; mask /= 2) {
        float value = shuffle_xor(best, mask);
        // Places are exact as floats: a width is below 2^24 here.
        int place = (int)shuffle_xor((float)found, mask);
        if (place < width && (found == width || value > best || (value == best && place < found))) {
          best = value;
          found = place;
        }
      }
      last = best;
      lastPlace = found;
      if (lane == 0) {
        target[start + number * stride] = x[found * stride];
        places[start + number * stride] = found;
      }
    }
  }
}

/// One thread per row: sums are added in the order of their elements.
HR_KERNEL(128)
HR_NAME(cumsum)(const Element *source, Element *target, long long rows, int width, long long stride, float isExclusive, float isReverse) {
  for (long long row = block_index() * 128 + thread_index(); row < rows; row += block_count() * 128) {
    long long start = row / stride * width * stride + row % stride;
    float sum = 0;
    for (int step = 0; step < width; step++) {
      long long place = start + (isReverse != 0 ? width - 1 - step : step) * stride;
      float element = to_float(source[place]);
      if (isExclusive != 0) from_float(sum, target + place);
      sum += element;
      if (isExclusive == 0) from_float(sum, target + place);
    }
  }
}

HR_KERNEL(128)
HR_NAME(lpnormalization)(const Element *source, Element *target, long long rows, int width, long long stride, float p, float second) {
  int lane = thread_index() % 32;
  for (long long row = block_index() * 4 + thread_index() / 32; row < rows; row += block_count() * 4) {
    long long start = row / stride * width * stride + row % stride;
    float sum = 0;
    for (int place = lane; place < width; place += 32) {
      float x = to_float(source[start + place * stride]);
      sum += p == 1.0f ? fabsf(x) : x * x;
    }
    sum = warp_sum(sum);
    float norm = p == 1.0f ? sum : sqrtf(sum);
    for (int place = lane; place < width; place += 32) {
      from_float(norm == 0.0f ? 0.0f : to_float(source[start + place * stride]) / norm, target + start + place * stride);
    }
  }
}

// Normalizations: x, up to four parameters, null where there are fewer, the target, the rows, then the numbers among the attributes. One block of
// 128 threads per row.

#ifndef HEADROOM_NORMALIZATIONS_CUH
#define HEADROOM_NORMALIZATIONS_CUH
#define HR_NORMALIZATION(name)                                                                                                  \
  HR_KERNEL(128)                                                                                                                \
  HR_NAME(name)(const Element *source, const Element *a, const Element *b, const Element *c, const Element *d, Element *target, \
                HRRows layout, float first, float second)

HR_DEVICE long long parameter_place(const HRRows &layout, long long row, int index) {
  return row % layout.period * layout.step + index / layout.share;
}

/// By a row's own mean and the variance of its centred values, then scale and bias.
template <class Type>
HR_DEVICE void centred_rows(const Type *source, const Type *scale, const Type *bias, Type *target, const HRRows &layout, float epsilon, float *sums) {
  for (long long row = block_index(); row < layout.rows; row += block_count()) {
    const Type *x = source + row * layout.width;
    float sum = 0;
    for (int index = thread_index(); index < layout.width; index += 128) sum += to_float(x[index]);
    float mean = block_sum_128(sum, sums) / (float)layout.width;
    float squares = 0;
    for (int index = thread_index(); index < layout.width; index += 128) {
      float centred = to_float(x[index]) - mean;
      squares += centred * centred;
    }
    float factor = 1.0f / sqrtf(block_sum_128(squares, sums) / (float)layout.width + epsilon);
    for (int index = thread_index(); index < layout.width; index += 128) {
      long long place = parameter_place(layout, row, index);
      from_float((to_float(x[index]) - mean) * factor * to_float(scale[place]) + to_float(bias[place]), target + row * layout.width + index);
    }
  }
}
#endif

HR_NORMALIZATION(instancenormalization) {
  HR_SHARED(float, sums, 4);
  centred_rows(source, a, b, target, layout, first, sums);
}

HR_NORMALIZATION(groupnormalization) {
  HR_SHARED(float, sums, 4);
  centred_rows(source, a, b, target, layout, first, sums);
}

HR_NORMALIZATION(rmsnormalization) {
  HR_SHARED(float, sums, 4);
  for (long long row = block_index(); row < layout.rows; row += block_count()) {
    const Element *x = source + row * layout.width;
    float squares = 0;
    for (int index = thread_index(); index < layout.width; index += 128) squares += to_float(x[index]) * to_float(x[index]);
    float factor = 1.0f / sqrtf(block_sum_128(squares, sums) / (float)layout.width + first);
    for (int index = thread_index(); index < layout.width; index += 128) {
      from_float(to_float(x[index]) * factor * to_float(a[parameter_place(layout, row, index)]), target + row * layout.width + index);
    }
  }
}

/// Scale, bias, mean and variance are given. The first number is epsilon, as in all of these.
HR_NORMALIZATION(batchnormalization) {
  for (long long row = block_index(); row < layout.rows; row += block_count()) {
    for (int index = thread_index(); index < layout.width; index += 128) {
      long long place = parameter_place(layout, row, index), element = row * layout.width + index;
      float factor = to_float(a[place]) / sqrtf(to_float(d[place]) + first);
      from_float((to_float(source[element]) - to_float(c[place])) * factor + to_float(b[place]), target + element);
    }
  }
}
