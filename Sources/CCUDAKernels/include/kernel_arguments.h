// What kernels take by value. Read by Swift, by NVRTC (which has no standard headers) and by the processor's compiler alike.
#ifndef HEADROOM_KERNEL_ARGUMENTS_H
#define HEADROOM_KERNEL_ARGUMENTS_H

/// Dimensions an element-wise kernel walks at most, neighbouring ones joined where both operands allow it.
#define HR_MAX_RANK 8

/// How up to three operands are walked in the target's order: sizes outermost first, strides in elements.
typedef struct {
  int rank;
  int reserved;
  long long count;
  int sizes[HR_MAX_RANK];
  long long a[HR_MAX_RANK];
  long long b[HR_MAX_RANK];
  long long c[HR_MAX_RANK];
} HRWalk;

/// Where an element comes from, or goes, by integers of another tensor: the walk's `b` leads to the first of `count`, `step` apart.
typedef struct {
  int count;
  /// Integers of 64 bits; else of 32.
  int isLong;
  /// They say where elements go.
  int isOfTarget;
  /// What is out of range moves nothing, and is no error.
  int isLenient;
  long long step;
  long long sizes[HR_MAX_RANK];
  long long strides[HR_MAX_RANK];
} HRLookup;

/// Rows of a normalization. Element i of row r has element `r % period * step + i / share` of each parameter.
typedef struct {
  long long rows;
  int width;
  int period;
  int step;
  int share;
} HRRows;

/// Fused attention: one (batch, head) pair is `batch * heads + head`; strides in elements.
typedef struct {
  int heads;
  int queries;
  int keys;
  int width;
  float scale;
  int reserved;
  long long queryBatch, queryHead, queryRow;
  long long keyBatch, keyHead, keyRow;
  long long valueBatch, valueHead, valueRow;
  long long targetBatch, targetHead, targetRow;
  /// An added mask; strides of 0 where it repeats.
  long long maskBatch, maskHead, maskRow, maskColumn;
} HRAttention;

/// One layer of a chain.
typedef struct {
  int rows;
  int k;
  int n;
  int activation;
  /// Distance of rows, in elements.
  int sourceDistance;
  int targetDistance;
} HRChainLayer;

/// Activations, as kernels number them.
enum { HR_ACTIVATE_NONE = 0, HR_ACTIVATE_RELU, HR_ACTIVATE_GELU, HR_ACTIVATE_GELU_TANH, HR_ACTIVATE_TANH, HR_ACTIVATE_SIGMOID };

/// Functions of one element.
enum {
  HR_UNARY_SQRT = 0,
  HR_UNARY_ERF,
  HR_UNARY_TANH,
  HR_UNARY_SIGMOID,
  HR_UNARY_RELU,
  HR_UNARY_IDENTITY,
  HR_UNARY_ABSOLUTE,
  HR_UNARY_NEGATE,
  HR_UNARY_EXPONENTIAL,
  HR_UNARY_LOGARITHM,
  HR_UNARY_RECIPROCAL,
  HR_UNARY_FLOOR,
  HR_UNARY_CEILING,
  HR_UNARY_ROUND,
  HR_UNARY_SIGN,
  HR_UNARY_SINE,
  HR_UNARY_COSINE,
  HR_UNARY_SOFTPLUS,
  HR_UNARY_SOFTSIGN,
  HR_UNARY_HARDSWISH,
  HR_UNARY_GELU,
  HR_UNARY_GELU_TANH,
  /// max(lowest, min(highest, x)), with the two parameters.
  HR_UNARY_CLIP,
  /// x where not negative, else first parameter times x.
  HR_UNARY_LEAKY_RELU,
  /// With the two parameters that ONNX calls alpha, and gamma or beta.
  HR_UNARY_ELU,
  HR_UNARY_CELU,
  HR_UNARY_SELU,
  HR_UNARY_HARD_SIGMOID,
  HR_UNARY_THRESHOLDED_RELU,
};

/// Functions of two elements.
enum { HR_BINARY_ADD = 0, HR_BINARY_SUBTRACT, HR_BINARY_MULTIPLY, HR_BINARY_DIVIDE, HR_BINARY_POWER, HR_BINARY_MINIMUM, HR_BINARY_MAXIMUM };

/// Reductions along axes.
enum {
  HR_REDUCE_SUM = 0,
  HR_REDUCE_MEAN,
  HR_REDUCE_MAXIMUM,
  HR_REDUCE_MINIMUM,
  HR_REDUCE_PRODUCT,
  HR_REDUCE_L1,
  HR_REDUCE_L2,
  HR_REDUCE_SQUARES,
  HR_REDUCE_LOGARITHM_OF_SUM,
  HR_REDUCE_LOGARITHM_OF_EXPONENTIALS,
};

/// Element types, as kernels number them.
enum { HR_ELEMENT_FLOAT32 = 0, HR_ELEMENT_FLOAT16, HR_ELEMENT_BFLOAT16, HR_ELEMENT_INT32, HR_ELEMENT_INT64, HR_ELEMENT_BOOL };

#endif
