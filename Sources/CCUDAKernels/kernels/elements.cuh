// Element-wise kernels. Each thread takes elements a grid apart; operands are walked by sizes and strides.
#include "primitives.cuh"
#include "element.cuh"

#ifndef HEADROOM_ELEMENTS_CUH
#define HEADROOM_ELEMENTS_CUH
struct Places {
  long long a, b, c;
};

HR_DEVICE Places places(const HRWalk &walk, long long index) {
  Places found = {0, 0, 0};
  if (walk.rank == 1) {
    found.a = index * walk.a[0];
    found.b = index * walk.b[0];
    found.c = index * walk.c[0];
    return found;
  }
  for (int axis = walk.rank - 1; axis >= 0; axis--) {
    long long place = index % walk.sizes[axis];
    index /= walk.sizes[axis];
    found.a += place * walk.a[axis];
    found.b += place * walk.b[axis];
    found.c += place * walk.c[axis];
  }
  return found;
}

HR_DEVICE long long first_index() { return block_index() * thread_count() + thread_index(); }
HR_DEVICE long long index_step() { return block_count() * thread_count(); }

HR_DEVICE float unary_value(float x, int function, float first, float second) {
  switch (function) {
    case HR_UNARY_SQRT: return sqrtf(x);
    case HR_UNARY_ERF: return erff(x);
    case HR_UNARY_TANH: return tanhf(x);
    case HR_UNARY_SIGMOID: return logistic(x);
    case HR_UNARY_RELU: return larger(x, 0.0f);
    case HR_UNARY_ABSOLUTE: return fabsf(x);
    case HR_UNARY_NEGATE: return -x;
    case HR_UNARY_EXPONENTIAL: return expf(x);
    case HR_UNARY_LOGARITHM: return logf(x);
    case HR_UNARY_RECIPROCAL: return 1.0f / x;
    case HR_UNARY_FLOOR: return floorf(x);
    case HR_UNARY_CEILING: return ceilf(x);
    case HR_UNARY_ROUND: return rintf(x);
    case HR_UNARY_SIGN: return x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : x;
    case HR_UNARY_SINE: return sinf(x);
    case HR_UNARY_COSINE: return cosf(x);
    case HR_UNARY_SOFTPLUS: return larger(x, 0.0f) + log1pf(expf(-fabsf(x)));
    case HR_UNARY_SOFTSIGN: return x / (1.0f + fabsf(x));
    case HR_UNARY_HARDSWISH: return x * larger(0.0f, smaller(1.0f, x / 6.0f + 0.5f));
    case HR_UNARY_GELU: return gelu_erf(x);
    case HR_UNARY_GELU_TANH: return gelu_tanh(x);
    case HR_UNARY_CLIP: return smaller(larger(x, first), second);
    case HR_UNARY_LEAKY_RELU: return x >= 0.0f ? x : first * x;
    case HR_UNARY_ELU: return x < 0.0f ? first * expm1f(x) : x;
    case HR_UNARY_CELU: return larger(0.0f, x) + smaller(0.0f, first * expm1f(x / first));
    case HR_UNARY_SELU: return second * (x > 0.0f ? x : first * expm1f(x));
    case HR_UNARY_HARD_SIGMOID: return larger(0.0f, smaller(1.0f, first * x + second));
    case HR_UNARY_THRESHOLDED_RELU: return x > first ? x : 0.0f;
    default: return x;
  }
}

template <class Integer>
HR_DEVICE Integer integer_value(Integer x, Integer y, int function) {
  switch (function) {
    case HR_BINARY_ADD: return (Integer)((unsigned long long)x + (unsigned long long)y);
    case HR_BINARY_SUBTRACT: return (Integer)((unsigned long long)x - (unsigned long long)y);
    case HR_BINARY_MULTIPLY: return (Integer)((unsigned long long)x * (unsigned long long)y);
    // The device has no error to give for a division by zero: zero.
    case HR_BINARY_DIVIDE: return y == 0 ? 0 : y == -1 ? (Integer)(0 - (unsigned long long)x) : x / y;
    case HR_BINARY_MINIMUM: return x < y ? x : y;
    default: return x > y ? x : y;
  }
}

template <class Integer>
HR_DEVICE void binary_integers(const Integer *a, const Integer *b, Integer *target, const HRWalk &walk, int function) {
  for (long long index = first_index(); index < walk.count; index += index_step()) {
    Places place = places(walk, index);
    target[index] = integer_value(a[place.a], b[place.b], function);
  }
}

HR_KERNEL(256)
binary_i32(const int *a, const int *b, int *target, HRWalk walk, int function) { binary_integers(a, b, target, walk, function); }

HR_KERNEL(256)
binary_i64(const long long *a, const long long *b, long long *target, HRWalk walk, int function) {
  binary_integers(a, b, target, walk, function);
}

/// Elements to where they belong, whatever their type. The walk's `c` leads through the target.
template <class Bytes>
HR_DEVICE void copy_elements(const Bytes *source, Bytes *target, const HRWalk &walk) {
  for (long long index = first_index(); index < walk.count; index += index_step()) {
    Places place = places(walk, index);
    target[place.c] = source[place.a];
  }
}

HR_KERNEL(256)
copy_1(const unsigned char *source, unsigned char *target, HRWalk walk) { copy_elements(source, target, walk); }
HR_KERNEL(256)
copy_2(const unsigned short *source, unsigned short *target, HRWalk walk) { copy_elements(source, target, walk); }
HR_KERNEL(256)
copy_4(const unsigned int *source, unsigned int *target, HRWalk walk) { copy_elements(source, target, walk); }
HR_KERNEL(256)
copy_8(const unsigned long long *source, unsigned long long *target, HRWalk walk) { copy_elements(source, target, walk); }

/// Elements by their indices, whatever their type. The walk's `b` leads through the integers, its `c` through the target. An index out of range
/// sets the flag where that is an error; what is taken by it is zero.
template <class Bytes>
HR_DEVICE void copy_indexed(const Bytes *source, const void *indices, Bytes *target, const HRWalk &walk, const HRLookup &lookup, int *flag) {
  for (long long element = first_index(); element < walk.count; element += index_step()) {
    Places place = places(walk, element);
    long long offset = 0;
    bool isValid = true;
    for (int axis = 0; axis < lookup.count; axis++) {
      long long at = place.b + axis * lookup.step;
      long long index = lookup.isLong ? ((const long long *)indices)[at] : ((const int *)indices)[at];
      if (index < 0) index += lookup.sizes[axis];
      if (index >= 0 && index < lookup.sizes[axis]) offset += index * lookup.strides[axis];
      else isValid = false;
    }
    if (!isValid && !lookup.isLenient) *flag = 1;
    if (lookup.isOfTarget) {
      if (isValid) target[place.c + offset] = source[place.a];
    } else {
      target[place.c] = isValid ? source[place.a + offset] : 0;
    }
  }
}

HR_KERNEL(256)
copy_indexed_1(const unsigned char *source, const void *indices, unsigned char *target, HRWalk walk, HRLookup lookup, int *flag) {
  copy_indexed(source, indices, target, walk, lookup, flag);
}
HR_KERNEL(256)
copy_indexed_2(const unsigned short *source, const void *indices, unsigned short *target, HRWalk walk, HRLookup lookup, int *flag) {
  copy_indexed(source, indices, target, walk, lookup, flag);
}
HR_KERNEL(256)
copy_indexed_4(const unsigned int *source, const void *indices, unsigned int *target, HRWalk walk, HRLookup lookup, int *flag) {
  copy_indexed(source, indices, target, walk, lookup, flag);
}
HR_KERNEL(256)
copy_indexed_8(const unsigned long long *source, const void *indices, unsigned long long *target, HRWalk walk, HRLookup lookup, int *flag) {
  copy_indexed(source, indices, target, walk, lookup, flag);
}

/// One element, by its bits, everywhere.
template <class Bytes>
HR_DEVICE void fill_elements(Bytes *target, long long count, unsigned long long bits) {
  for (long long index = first_index(); index < count; index += index_step()) target[index] = (Bytes)bits;
}

HR_KERNEL(256)
fill_1(unsigned char *target, long long count, unsigned long long bits) { fill_elements(target, count, bits); }
HR_KERNEL(256)
fill_2(unsigned short *target, long long count, unsigned long long bits) { fill_elements(target, count, bits); }
HR_KERNEL(256)
fill_4(unsigned int *target, long long count, unsigned long long bits) { fill_elements(target, count, bits); }
HR_KERNEL(256)
fill_8(unsigned long long *target, long long count, unsigned long long bits) { fill_elements(target, count, bits); }

/// target = condition ? a : b, elements of 1, 2, 4 or 8 bytes; the walk's `c` leads through the condition.
template <class Bytes>
HR_DEVICE void select_elements(const unsigned char *condition, const Bytes *a, const Bytes *b, Bytes *target, const HRWalk &walk) {
  for (long long index = first_index(); index < walk.count; index += index_step()) {
    Places place = places(walk, index);
    target[index] = condition[place.c] ? a[place.a] : b[place.b];
  }
}

HR_KERNEL(256)
select_1(const unsigned char *condition, const unsigned char *a, const unsigned char *b, unsigned char *target, HRWalk walk) {
  select_elements(condition, a, b, target, walk);
}
HR_KERNEL(256)
select_2(const unsigned char *condition, const unsigned short *a, const unsigned short *b, unsigned short *target, HRWalk walk) {
  select_elements(condition, a, b, target, walk);
}
HR_KERNEL(256)
select_4(const unsigned char *condition, const unsigned int *a, const unsigned int *b, unsigned int *target, HRWalk walk) {
  select_elements(condition, a, b, target, walk);
}
HR_KERNEL(256)
select_8(const unsigned char *condition, const unsigned long long *a, const unsigned long long *b, unsigned long long *target, HRWalk walk) {
  select_elements(condition, a, b, target, walk);
}

HR_DEVICE double loaded(const void *source, long long index, int type) {
  switch (type) {
    case HR_ELEMENT_FLOAT32: return ((const float *)source)[index];
    case HR_ELEMENT_FLOAT16: return to_float(((const Half *)source)[index]);
    case HR_ELEMENT_BFLOAT16: return to_float(((const Brain *)source)[index]);
    case HR_ELEMENT_INT32: return ((const int *)source)[index];
    default: return ((const unsigned char *)source)[index] ? 1.0 : 0.0;
  }
}

HR_DEVICE void stored(void *target, long long index, int type, double value) {
  // Towards zero, and to the nearest end where it does not fit; not-a-numbers become zero.
  double low = type == HR_ELEMENT_INT32 ? -2147483648.0 : -9223372036854775808.0, high = type == HR_ELEMENT_INT32 ? 2147483647.0 : 9223372036854774784.0;
  double fits = value != value ? 0.0 : value < low ? low : value > high ? high : value;
  switch (type) {
    case HR_ELEMENT_FLOAT32: ((float *)target)[index] = (float)value; break;
    case HR_ELEMENT_FLOAT16: from_float((float)value, (Half *)target + index); break;
    case HR_ELEMENT_BFLOAT16: from_float((float)value, (Brain *)target + index); break;
    case HR_ELEMENT_INT32: ((int *)target)[index] = (int)fits; break;
    case HR_ELEMENT_INT64: ((long long *)target)[index] = (long long)fits; break;
    default: ((unsigned char *)target)[index] = value != 0.0 ? 1 : 0;
  }
}

/// Elements of one type as elements of another.
HR_KERNEL(256)
convert(const void *source, void *target, HRWalk walk, int from, int to) {
  for (long long index = first_index(); index < walk.count; index += index_step()) {
    Places place = places(walk, index);
    // Integers of 64 bits do not pass through floating point on their way to integers.
    if (from == HR_ELEMENT_INT64) {
      long long value = ((const long long *)source)[place.a];
      if (to == HR_ELEMENT_INT64) ((long long *)target)[index] = value;
      else if (to == HR_ELEMENT_INT32) ((int *)target)[index] = (int)value;
      else if (to == HR_ELEMENT_BOOL) ((unsigned char *)target)[index] = value != 0;
      else if (to == HR_ELEMENT_FLOAT32) ((float *)target)[index] = (float)value;
      else stored(target, index, to, (double)value);
      continue;
    }
    // Half precision is rounded once: from float32, not by way of float64.
    stored(target, index, to, loaded(source, place.a, from));
  }
}

/// target[outer][place][inner] = source[outer][indices[place]][inner], `inner` in bytes. An index out of range sets the flag and gives zeros.
HR_KERNEL(256)
gather(const unsigned char *source, const void *indices, unsigned char *target, long long outer, long long size, long long places,
       long long inner, int isLong, int *flag) {
  long long count = outer * places;
  for (long long block = block_index(); block < count; block += block_count()) {
    long long place = block % places;
    long long index = isLong ? ((const long long *)indices)[place] : ((const int *)indices)[place];
    if (index < 0) index += size;
    bool isValid = index >= 0 && index < size;
    if (!isValid && thread_index() == 0) *flag = 1;
    const unsigned char *from = source + (block / places * size + (isValid ? index : 0)) * inner;
    unsigned char *to = target + block * inner;
    if (inner % 4 == 0) {
      for (long long word = thread_index(); word < inner / 4; word += thread_count()) {
        ((unsigned int *)to)[word] = isValid ? ((const unsigned int *)from)[word] : 0;
      }
    } else {
      for (long long byte = thread_index(); byte < inner; byte += thread_count()) to[byte] = isValid ? from[byte] : 0;
    }
  }
}
#endif

HR_KERNEL(256)
HR_NAME(unary)(const Element *source, Element *target, HRWalk walk, int function, float first, float second) {
  for (long long index = first_index(); index < walk.count; index += index_step()) {
    Places place = places(walk, index);
    from_float(unary_value(to_float(source[place.a]), function, first, second), target + index);
  }
}

HR_KERNEL(256)
HR_NAME(binary)(const Element *a, const Element *b, Element *target, HRWalk walk, int function) {
  for (long long index = first_index(); index < walk.count; index += index_step()) {
    Places place = places(walk, index);
    float x = to_float(a[place.a]), y = to_float(b[place.b]), value;
    switch (function) {
      case HR_BINARY_ADD: value = x + y; break;
      case HR_BINARY_SUBTRACT: value = x - y; break;
      case HR_BINARY_MULTIPLY: value = x * y; break;
      case HR_BINARY_DIVIDE: value = x / y; break;
      case HR_BINARY_POWER: value = powf(x, y); break;
      case HR_BINARY_MINIMUM: value = y != y ? y : smaller(x, y); break;
      default: value = y != y ? y : larger(x, y);
    }
    from_float(value, target + index);
  }
}

/// target = activation(alpha * target + beta * addend); the addend, where there is one, is walked by `a`.
HR_KERNEL(256)
HR_NAME(add_scaled)(Element *target, const Element *addend, HRWalk walk, float alpha, float beta, int activation) {
  for (long long index = first_index(); index < walk.count; index += index_step()) {
    float value = alpha * to_float(target[index]);
    if (addend) value += beta * to_float(addend[places(walk, index).a]);
    from_float(activated(value, activation), target + index);
  }
}

// Operators of several inputs that a definition names: up to three operands, null where there are fewer; then the numbers among its attributes.

HR_KERNEL(256)
HR_NAME(clip)(const Element *a, const Element *b, const Element *c, Element *target, HRWalk walk, float first, float second) {
  for (long long index = first_index(); index < walk.count; index += index_step()) {
    Places place = places(walk, index);
    from_float(smaller(larger(to_float(a[place.a]), to_float(b[place.b])), to_float(c[place.c])), target + index);
  }
}

HR_KERNEL(256)
HR_NAME(prelu)(const Element *a, const Element *b, const Element *c, Element *target, HRWalk walk, float first, float second) {
  for (long long index = first_index(); index < walk.count; index += index_step()) {
    Places place = places(walk, index);
    float x = to_float(a[place.a]);
    from_float(x < 0.0f ? to_float(b[place.b]) * x : x, target + index);
  }
}
