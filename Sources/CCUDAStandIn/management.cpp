// libnvidia-ml's entry points: one GPU with constant figures, split into GPU instances where the environment says so (see CCUDAStandIn.h).
#include <stdlib.h>

#include <algorithm>
#include <cstring>

#include "state.h"

using namespace headroom;

namespace {
/// GPU instances with one compute instance each, numbered from 1 as NVIDIA's are from some number on; 0: MIG is off.
uint32_t instances() {
  const char *text = getenv("HEADROOM_STANDIN_MIG");
  return text ? std::min<uint32_t>(7, (uint32_t)strtoul(text, nullptr, 10)) : 0;
}

HRManagedDevice instanceHandle(uint32_t index) { return (HRManagedDevice)(uintptr_t)(0x100 + index); }
bool isInstance(HRManagedDevice device) { return (uintptr_t)device >= 0x100; }

struct Sample {
  uint64_t time;
  /// 0: the whole GPU.
  uint32_t instance;
};
}  // namespace

#define NOTED                       \
  Lock lock(state().mutex);         \
  if (int32_t code = enter(__func__, false)) return code;

HRManagementResult nvmlInit_v2(void) { NOTED return 0; }
HRManagementResult nvmlShutdown(void) { NOTED return 0; }
const char *nvmlErrorString(HRManagementResult result) { return result == 0 ? "Success" : result == 4 ? "Insufficient Permissions" : "Not Supported"; }

HRManagementResult nvmlSystemGetDriverVersion(char *version, uint32_t length) {
  NOTED
  snprintf(version, length, "580.00 (stand-in)");
  return 0;
}

HRManagementResult nvmlDeviceGetCount_v2(uint32_t *count) {
  NOTED
  *count = 1;
  return 0;
}

HRManagementResult nvmlDeviceGetHandleByIndex_v2(uint32_t index, HRManagedDevice *device) {
  NOTED
  if (index != 0) return 2;
  *device = (HRManagedDevice)1;
  return 0;
}

HRManagementResult nvmlDeviceGetName(HRManagedDevice device, char *name, uint32_t length) {
  NOTED
  snprintf(name, length, isInstance(device) ? "stand-in GPU MIG 1g.1gb" : "stand-in GPU");
  return 0;
}

HRManagementResult nvmlDeviceGetUUID(HRManagedDevice device, char *uuid, uint32_t length) {
  NOTED
  if (isInstance(device)) {
    snprintf(uuid, length, "MIG-7374616e-642d-696e-2047-50552030303%u", (unsigned)((uintptr_t)device - 0x100));
    return 0;
  }
  // The bytes that the driver gives: "stand-in GPU 000".
  snprintf(uuid, length, "GPU-7374616e-642d-696e-2047-505520303030");
  return 0;
}

HRManagementResult nvmlDeviceGetUtilizationRates(HRManagedDevice, HRUtilization *utilization) {
  NOTED
  // As the real one: not defined where MIG is on.
  if (instances() > 0) return HR_MANAGEMENT_NOT_SUPPORTED;
  *utilization = {42, 7};
  return 0;
}

HRManagementResult nvmlDeviceGetClockInfo(HRManagedDevice, int32_t type, uint32_t *megahertz) {
  NOTED
  *megahertz = type == HR_CLOCK_SM ? 1500 : 2600;
  return 0;
}

HRManagementResult nvmlDeviceGetMaxClockInfo(HRManagedDevice, int32_t type, uint32_t *megahertz) {
  NOTED
  *megahertz = type == HR_CLOCK_SM ? 1980 : 2600;
  return 0;
}

HRManagementResult nvmlDeviceGetPowerUsage(HRManagedDevice, uint32_t *milliwatts) {
  NOTED
  *milliwatts = 350000;
  return 0;
}

HRManagementResult nvmlDeviceGetEnforcedPowerLimit(HRManagedDevice, uint32_t *milliwatts) {
  NOTED
  *milliwatts = 700000;
  return 0;
}

HRManagementResult nvmlDeviceGetMemoryInfo(HRManagedDevice device, HRMemoryUse *memory) {
  NOTED
  if (isInstance(device)) {
    *memory = {1 << 30, (1 << 30) - (1 << 20), 1 << 20};
    return 0;
  }
  *memory = {state().memory, state().memory - state().used, state().used};
  return 0;
}

HRManagementResult nvmlDeviceGetComputeRunningProcesses_v3(HRManagedDevice, uint32_t *count, HRProcessUse *processes) {
  NOTED
  if (*count < 1) {
    *count = 1;
    return HR_MANAGEMENT_INSUFFICIENT_SIZE;
  }
  *count = 1;
  processes[0] = {4242, state().used, instances() > 0 ? 1 : HR_NO_GPU_INSTANCE, instances() > 0 ? 0 : HR_NO_GPU_INSTANCE};
  return 0;
}

HRManagementResult nvmlDeviceGetProcessUtilization(HRManagedDevice, HRProcessUtilization *samples, uint32_t *count, unsigned long long) {
  NOTED
  if (!samples || *count < 1) {
    *count = 1;
    return HR_MANAGEMENT_INSUFFICIENT_SIZE;
  }
  *count = 1;
  samples[0] = {4242, nowNanoseconds() / 1000, 40, 7, 0, 0};
  return 0;
}

HRManagementResult nvmlDeviceGetCurrentClocksThrottleReasons(HRManagedDevice, unsigned long long *reasons) {
  NOTED
  *reasons = HR_CLOCKS_POWER_CAP;
  return 0;
}

HRManagementResult nvmlGpmSampleAlloc(HRCounterSample *sample) {
  NOTED
  *sample = (HRCounterSample) new Sample{};
  return 0;
}

HRManagementResult nvmlGpmSampleFree(HRCounterSample sample) {
  NOTED
  delete (Sample *)sample;
  return 0;
}

HRManagementResult nvmlGpmSampleGet(HRManagedDevice device, HRCounterSample sample) {
  NOTED
  if (isInstance(device)) return 2;
  *(Sample *)sample = {nowNanoseconds(), 0};
  return 0;
}

HRManagementResult nvmlGpmMigSampleGet(HRManagedDevice device, uint32_t instance, HRCounterSample sample) {
  NOTED
  if (isInstance(device) || instance < 1 || instance > instances()) return 2;
  *(Sample *)sample = {nowNanoseconds(), instance};
  return 0;
}

HRManagementResult nvmlDeviceGetMigMode(HRManagedDevice, uint32_t *current, uint32_t *pending) {
  NOTED
  *current = *pending = instances() > 0 ? HR_MIG_ENABLED : 0;
  return 0;
}

HRManagementResult nvmlDeviceGetMaxMigDeviceCount(HRManagedDevice, uint32_t *count) {
  NOTED
  *count = 7;
  return 0;
}

HRManagementResult nvmlDeviceGetMigDeviceHandleByIndex(HRManagedDevice, uint32_t index, HRManagedDevice *instance) {
  NOTED
  if (index >= instances()) return HR_MANAGEMENT_NOT_FOUND;
  *instance = instanceHandle(index);
  return 0;
}

HRManagementResult nvmlDeviceGetGpuInstanceId(HRManagedDevice instance, uint32_t *identifier) {
  NOTED
  if (!isInstance(instance)) return 2;
  *identifier = (uint32_t)((uintptr_t)instance - 0x100) + 1;
  return 0;
}

HRManagementResult nvmlGpmMetricsGet(HRCounterRequest *request) {
  NOTED
  if (request->version != 1) return 25;
  uint32_t instance = ((Sample *)request->second)->instance;
  // Two samples of different parts of the GPU have no difference.
  if (((Sample *)request->first)->instance != instance) return 2;
  for (uint32_t index = 0; index < request->count; index++) {
    HRCounter &counter = request->counters[index];
    counter.status = 0;
    switch (counter.identifier) {
      case HR_COUNTER_GRAPHICS: counter.value = 43; break;
      case HR_COUNTER_SM: counter.value = 21 + instance; break;
      case HR_COUNTER_OCCUPANCY: counter.value = 10; break;
      case HR_COUNTER_TENSOR: counter.value = 5; break;
      case HR_COUNTER_DRAM: counter.value = 12; break;
      default: counter.status = HR_MANAGEMENT_NOT_SUPPORTED;
    }
  }
  return 0;
}

HRManagementResult nvmlGpmQueryDeviceSupport(HRManagedDevice, HRCounterSupport *support) {
  NOTED
  support->isSupported = 1;
  return 0;
}
