// The kernels of CCUDAKernels, compiled for this processor, by name.
#pragma once
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace headroom {
/// A pointer among a kernel's parameters: which parameter, and whether the kernel writes behind it.
struct PointerParameter {
  size_t index;
  bool isWritten;
};

struct Kernel {
  std::string name;
  int maxThreads;
  size_t parameterCount;
  std::vector<size_t> parameterBytes;
  std::vector<PointerParameter> pointers;
  /// One thread of it, over copies of the parameters.
  void (*run)(void *const *parameters);
};

const Kernel *findKernel(const std::string &name);
}  // namespace headroom
