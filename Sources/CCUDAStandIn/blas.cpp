// libcublasLt's entry points. Column-major matrices, as there; products by plain loops with sums in float, epilogues as documented (GELU is the
// tanh approximation).
#include <cmath>
#include <cstring>

#include "primitives.cuh"
#include "state.h"

using namespace headroom;

namespace {
struct Descriptor {
  int32_t computeType, scaleType;
  int32_t transposeA = 0, transposeB = 0;
  uint32_t epilogue = HR_EPILOGUE_NONE;
  uint64_t bias = 0;
  int64_t biasStride = 0;
};
struct Layout {
  int32_t type;
  uint64_t rows, columns;
  int64_t distance;
  int32_t batches = 1;
  int64_t stride = 0;
};
struct Preference {
  uint64_t workspace = 0;
  uint32_t alignment[4] = {256, 256, 256, 256};
};

enum { success = 0, notInitialized = 1, invalidValue = 7, notSupported = 15 };
int handleCount = 0;

size_t elementBytes(int32_t type) { return type == HR_TYPE_FLOAT32 ? 4 : 2; }

float load(const void *base, int32_t type, uint64_t index) {
  switch (type) {
    case HR_TYPE_FLOAT32: return ((const float *)base)[index];
    case HR_TYPE_FLOAT16: return to_float(((const Half *)base)[index]);
    default: return to_float(((const Brain *)base)[index]);
  }
}

void store(void *base, int32_t type, uint64_t index, float value) {
  switch (type) {
    case HR_TYPE_FLOAT32: ((float *)base)[index] = value; break;
    case HR_TYPE_FLOAT16: from_float(value, (Half *)base + index); break;
    default: from_float(value, (Brain *)base + index); break;
  }
}

/// The matrix as op(X) in floats, row-major [rows][columns] of the result of op.
std::vector<float> unpacked(const void *base, const Layout &layout, int64_t batch, bool isTransposed, uint64_t rows, uint64_t columns, bool isTF32) {
  std::vector<float> all(rows * columns);
  const unsigned char *start = (const unsigned char *)base + (uint64_t)(batch * layout.stride) * elementBytes(layout.type);
  for (uint64_t row = 0; row < rows; row++) {
    for (uint64_t column = 0; column < columns; column++) {
      uint64_t index = isTransposed ? row * (uint64_t)layout.distance + column : column * (uint64_t)layout.distance + row;
      float value = load(start, layout.type, index);
      // TF32 keeps 10 bits of the fraction.
      if (isTF32) value = bits_to_float((float_to_bits(value) + 0x1000) & 0xffffe000u);
      all[row * columns + column] = value;
    }
  }
  return all;
}

size_t span(const Layout &layout) {
  uint64_t last = layout.columns ? (layout.columns - 1) * (uint64_t)layout.distance + layout.rows : 0;
  return (size_t)((uint64_t)(layout.batches - 1) * (uint64_t)layout.stride + last) * elementBytes(layout.type);
}

bool hasBias(uint32_t epilogue) { return epilogue & HR_EPILOGUE_BIAS; }
}  // namespace

HRBlasStatus cublasLtCreate(HRBlasHandle *handle) {
  Lock lock(state().mutex);
  if (enter(__func__)) return notInitialized;
  handleCount++;
  *handle = (HRBlasHandle) new int(1);
  return success;
}

HRBlasStatus cublasLtDestroy(HRBlasHandle handle) {
  Lock lock(state().mutex);
  handleCount--;
  delete (int *)handle;
  return success;
}

size_t cublasLtGetVersion(void) { return 130000; }

HRBlasStatus cublasLtMatmulDescCreate(HRMatmulDescriptor *descriptor, int32_t computeType, int32_t scaleType) {
  auto made = new Descriptor;
  made->computeType = computeType;
  made->scaleType = scaleType;
  *descriptor = (HRMatmulDescriptor)made;
  return success;
}

HRBlasStatus cublasLtMatmulDescDestroy(HRMatmulDescriptor descriptor) {
  delete (Descriptor *)descriptor;
  return success;
}

HRBlasStatus cublasLtMatmulDescSetAttribute(HRMatmulDescriptor descriptor, int32_t attribute, const void *value, size_t bytes) {
  auto own = (Descriptor *)descriptor;
  auto take = [&](void *target, size_t expected) {
    if (bytes != expected) return (HRBlasStatus)invalidValue;
    memcpy(target, value, bytes);
    return (HRBlasStatus)success;
  };
  switch (attribute) {
    case HR_MATMUL_TRANSPOSE_A: return take(&own->transposeA, 4);
    case HR_MATMUL_TRANSPOSE_B: return take(&own->transposeB, 4);
    case HR_MATMUL_EPILOGUE: return take(&own->epilogue, 4);
    case HR_MATMUL_BIAS_POINTER: return take(&own->bias, 8);
    case HR_MATMUL_BIAS_BATCH_STRIDE: return take(&own->biasStride, 8);
    default: return invalidValue;
  }
}

HRBlasStatus cublasLtMatrixLayoutCreate(HRMatrixLayout *layout, int32_t type, uint64_t rows, uint64_t columns, int64_t distance) {
  if (distance < (int64_t)rows) return invalidValue;
  *layout = (HRMatrixLayout) new Layout{type, rows, columns, distance};
  return success;
}

HRBlasStatus cublasLtMatrixLayoutDestroy(HRMatrixLayout layout) {
  delete (Layout *)layout;
  return success;
}

HRBlasStatus cublasLtMatrixLayoutSetAttribute(HRMatrixLayout layout, int32_t attribute, const void *value, size_t bytes) {
  auto own = (Layout *)layout;
  if (attribute == HR_LAYOUT_BATCH_COUNT && bytes == 4) memcpy(&own->batches, value, 4);
  else if (attribute == HR_LAYOUT_BATCH_STRIDE && bytes == 8) memcpy(&own->stride, value, 8);
  else return invalidValue;
  return success;
}

HRBlasStatus cublasLtMatmulPreferenceCreate(HRMatmulPreference *preference) {
  *preference = (HRMatmulPreference) new Preference;
  return success;
}

HRBlasStatus cublasLtMatmulPreferenceDestroy(HRMatmulPreference preference) {
  delete (Preference *)preference;
  return success;
}

HRBlasStatus cublasLtMatmulPreferenceSetAttribute(HRMatmulPreference preference, int32_t attribute, const void *value, size_t bytes) {
  auto own = (Preference *)preference;
  if (attribute == HR_PREFERENCE_MAX_WORKSPACE_BYTES && bytes == 8) memcpy(&own->workspace, value, 8);
  else if (attribute >= HR_PREFERENCE_ALIGNMENT_A && attribute <= HR_PREFERENCE_ALIGNMENT_D && bytes == 4)
    memcpy(&own->alignment[attribute - HR_PREFERENCE_ALIGNMENT_A], value, 4);
  else return invalidValue;
  return success;
}

HRBlasStatus cublasLtMatmulAlgoGetHeuristic(HRBlasHandle, HRMatmulDescriptor descriptor, HRMatrixLayout a, HRMatrixLayout b, HRMatrixLayout c,
                                            HRMatrixLayout d, HRMatmulPreference preference, int32_t requested, HRMatmulHeuristic *results,
                                            int32_t *found) {
  Lock lock(state().mutex);
  if (enter(__func__)) return notInitialized;
  *found = 0;
  auto own = (Descriptor *)descriptor;
  auto &la = *(Layout *)a, &lb = *(Layout *)b, &ld = *(Layout *)d;
  if (la.type != lb.type || (own->epilogue & HR_EPILOGUE_GELU && la.type == HR_TYPE_FLOAT32)) return notSupported;
  (void)c;
  (void)ld;
  for (int32_t index = 0; index < requested && index < 3; index++) {
    results[index] = {};
    results[index].algorithm.data[0] = 0x48522000u + (uint64_t)index;
    // Chosen for operands that are aligned so: the product itself checks them.
    for (int operand = 0; operand < 4; operand++) results[index].algorithm.data[1 + operand] = ((Preference *)preference)->alignment[operand];
    results[index].waves = 1;
    (*found)++;
  }
  return success;
}

HRBlasStatus cublasLtMatmul(HRBlasHandle handle, HRMatmulDescriptor descriptor, const void *alpha, const void *a, HRMatrixLayout layoutA,
                            const void *b, HRMatrixLayout layoutB, const void *beta, const void *c, HRMatrixLayout layoutC, void *d,
                            HRMatrixLayout layoutD, const HRMatmulAlgorithm *algorithm, void *workspace, size_t workspaceBytes, HRStream stream) {
  Lock lock(state().mutex);
  if (enter(__func__)) return 14;  // CUBLAS_STATUS_INTERNAL_ERROR
  if (!handle || !algorithm || algorithm->data[0] >> 8 != 0x485220) return invalidValue;
  Descriptor own = *(Descriptor *)descriptor;
  Layout la = *(Layout *)layoutA, lb = *(Layout *)layoutB, lc = *(Layout *)layoutC, ld = *(Layout *)layoutD;
  uint64_t m = ld.rows, n = ld.columns, k = own.transposeA ? la.rows : la.columns;
  if ((own.transposeA ? la.columns : la.rows) != m || (own.transposeB ? lb.columns : lb.rows) != k || (own.transposeB ? lb.rows : lb.columns) != n ||
      lc.rows != m || lc.columns != n || la.batches != ld.batches || lb.batches != ld.batches) {
    complain("cublasLtMatmul: the matrices do not fit each other");
    return invalidValue;
  }
  const void *operands[4] = {a, b, c, d};
  for (int operand = 0; operand < 4; operand++) {
    if ((uint64_t)(uintptr_t)operands[operand] % algorithm->data[1 + operand] != 0) {
      complain("cublasLtMatmul: operand " + std::string(1, "abcd"[operand]) + " is not aligned as the heuristic was told");
      return invalidValue;
    }
  }
  float scale, add;
  memcpy(&scale, alpha, 4);
  memcpy(&add, beta, 4);
  Operation operation;
  operation.what = "matmul " + std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k);
  auto use = [&](const void *pointer, size_t bytes, bool isWritten) {
    uint64_t address = (uint64_t)(uintptr_t)pointer;
    if (bytes == 0 || !allocationOf(operation.what.c_str(), address, bytes)) return bytes == 0;
    operation.ranges.push_back({address, bytes, isWritten});
    return true;
  };
  bool isValid = use(a, span(la), false) && use(b, span(lb), false) && use(d, span(ld), true);
  if (add != 0) isValid = use(c, span(lc), false) && isValid;
  if (hasBias(own.epilogue)) isValid = use((void *)(uintptr_t)own.bias, m * elementBytes(ld.type), false) && isValid;
  if (workspaceBytes) isValid = use(workspace, workspaceBytes, true) && isValid;
  if (!isValid) return invalidValue;
  operation.run = [=] {
    bool isTF32 = own.computeType == HR_COMPUTE_TF32;
    for (int32_t batch = 0; batch < ld.batches; batch++) {
      // op(A) [m][k] and op(B)^T [n][k], row by row: sums run along k.
      std::vector<float> left = unpacked(a, la, batch, own.transposeA, m, k, isTF32);
      std::vector<float> right = unpacked(b, lb, batch, !own.transposeB, n, k, isTF32);
      for (uint64_t column = 0; column < n; column++) {
        for (uint64_t row = 0; row < m; row++) {
          const float *x = left.data() + row * k, *y = right.data() + column * k;
          float parts[16] = {};
          uint64_t index = 0;
          for (; index + 16 <= k; index += 16) {
            for (int part = 0; part < 16; part++) parts[part] += x[index + part] * y[index + part];
          }
          float sum = 0;
          for (; index < k; index++) sum += x[index] * y[index];
          for (float part : parts) sum += part;
          sum *= scale;
          uint64_t place = (uint64_t)batch * (uint64_t)ld.stride + column * (uint64_t)ld.distance + row;
          if (add != 0) sum += add * load(c, lc.type, (uint64_t)batch * (uint64_t)lc.stride + column * (uint64_t)lc.distance + row);
          if (hasBias(own.epilogue)) sum += load((void *)(uintptr_t)own.bias, ld.type, (uint64_t)batch * (uint64_t)own.biasStride + row);
          if (own.epilogue & HR_EPILOGUE_RELU) sum = larger(sum, 0.0f);
          if (own.epilogue & HR_EPILOGUE_GELU) sum = gelu_tanh(sum);
          store(d, ld.type, place, sum);
        }
      }
    }
    return std::string();
  };
  operation.kind = HR_KIND_CONCURRENT_KERNEL;
  operation.kernelName = "standin_gemm_" + std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k);
  operation.kernel.kind = HR_KIND_CONCURRENT_KERNEL;
  operation.kernel.gridX = (int32_t)((m + 63) / 64 * ((n + 63) / 64));
  operation.kernel.gridY = 1;
  operation.kernel.gridZ = ld.batches;
  operation.kernel.blockX = 128;
  operation.kernel.blockY = operation.kernel.blockZ = 1;
  // The library launches through the driver, and that is what CUPTI sees.
  static const uint32_t launch = callNumber("cuLaunchKernelEx");
  Call call(launch);
  operation.kernel.correlationId = currentCorrelation();
  return call.end(enqueue(__func__, stream, std::move(operation))) == HR_SUCCESS ? success : 13;
}
