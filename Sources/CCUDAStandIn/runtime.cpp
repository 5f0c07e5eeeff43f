// A few functions of the CUDA runtime (libcudart) over the stand-in's driver: for programs that call the runtime, as PyTorch does, so that CUPTI's
// records of its calls are seen. Numbers are the stand-in's own; names carry a version, as the runtime's callbacks do.
#include <cstring>

#include "CCUDA.h"
#include "state.h"

using namespace headroom;

namespace {
enum Number : uint32_t { malloc_ = 1, free_, memcpyAsync, memsetAsync, streamSynchronize, getLastError, numberCount };
const char *const names[] = {
  nullptr, "cudaMalloc_v3020", "cudaFree_v3020", "cudaMemcpyAsync_v3020", "cudaMemsetAsync_v3020", "cudaStreamSynchronize_v3020", "cudaGetLastError_v3020",
};
thread_local int32_t last = 0;

int32_t noted(Call &call, int32_t result) {
  if (result) last = result;
  return call.end(result);
}
}  // namespace

namespace headroom {
const char *runtimeCallName(uint32_t number) { return number > 0 && number < numberCount ? names[number] : nullptr; }
}  // namespace headroom

#define HEADROOM_RUNTIME extern "C" __attribute__((visibility("default"))) int32_t

HEADROOM_RUNTIME cudaMalloc(void **place, size_t bytes) {
  Call call(malloc_, true);
  HRDevicePointer made = 0;
  int32_t result = cuMemAlloc_v2(&made, bytes);
  *place = (void *)(uintptr_t)made;
  return noted(call, result);
}

HEADROOM_RUNTIME cudaFree(void *place) {
  Call call(free_, true);
  return noted(call, cuMemFree_v2((HRDevicePointer)(uintptr_t)place));
}

/// kind: 1 host to device, 2 device to host.
HEADROOM_RUNTIME cudaMemcpyAsync(void *to, const void *from, size_t bytes, int32_t kind, HRStream stream) {
  Call call(memcpyAsync, true);
  if (kind == 1) return noted(call, cuMemcpyHtoDAsync_v2((HRDevicePointer)(uintptr_t)to, from, bytes, stream));
  if (kind == 2) return noted(call, cuMemcpyDtoHAsync_v2(to, (HRDevicePointer)(uintptr_t)from, bytes, stream));
  return noted(call, 1 /* cudaErrorInvalidValue */);
}

HEADROOM_RUNTIME cudaMemsetAsync(void *to, int32_t value, size_t bytes, HRStream stream) {
  Call call(memsetAsync, true);
  return noted(call, cuMemsetD8Async((HRDevicePointer)(uintptr_t)to, (unsigned char)value, bytes, stream));
}

HEADROOM_RUNTIME cudaStreamSynchronize(HRStream stream) {
  Call call(streamSynchronize, true);
  return noted(call, cuStreamSynchronize(stream));
}

HEADROOM_RUNTIME cudaGetLastError(void) {
  Call call(getLastError, true);
  int32_t result = last;
  last = 0;
  return noted(call, result);
}
