// libnvidia-ml's entry points: one GPU with constant figures.
#include <cstring>

#include "state.h"

using namespace headroom;

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

HRManagementResult nvmlDeviceGetName(HRManagedDevice, char *name, uint32_t length) {
  NOTED
  snprintf(name, length, "stand-in GPU");
  return 0;
}

HRManagementResult nvmlDeviceGetUUID(HRManagedDevice, char *uuid, uint32_t length) {
  NOTED
  // The bytes that the driver gives: "stand-in GPU 000".
  snprintf(uuid, length, "GPU-7374616e-642d-696e-2047-505520303030");
  return 0;
}

HRManagementResult nvmlDeviceGetUtilizationRates(HRManagedDevice, HRUtilization *utilization) {
  NOTED
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

HRManagementResult nvmlDeviceGetMemoryInfo(HRManagedDevice, HRMemoryUse *memory) {
  NOTED
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
  processes[0] = {4242, state().used, 0xffffffffu, 0xffffffffu};
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
  *sample = (HRCounterSample) new uint64_t(0);
  return 0;
}

HRManagementResult nvmlGpmSampleFree(HRCounterSample sample) {
  NOTED
  delete (uint64_t *)sample;
  return 0;
}

HRManagementResult nvmlGpmSampleGet(HRManagedDevice, HRCounterSample sample) {
  NOTED
  *(uint64_t *)sample = nowNanoseconds();
  return 0;
}

HRManagementResult nvmlGpmMetricsGet(HRCounterRequest *request) {
  NOTED
  if (request->version != 1) return 25;
  for (uint32_t index = 0; index < request->count; index++) {
    HRCounter &counter = request->counters[index];
    counter.status = 0;
    switch (counter.identifier) {
      case HR_COUNTER_GRAPHICS: counter.value = 43; break;
      case HR_COUNTER_SM: counter.value = 21; break;
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
