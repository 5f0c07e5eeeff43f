// Compiled, never run: CCUDA's declarations beside NVIDIA's own headers. Whatever differs in size, place, value or parameters stops the build.
// -DHEADROOM_CUDA_MAJOR=12 or 13; include paths: CCUDA/include and the wheels' include folders.
#include <cublasLt.h>
#include <cuda.h>
#include <cupti.h>
#include <nvml.h>
#include <nvrtc.h>

#include <cstddef>
#include <type_traits>

#include "CCUDA.h"

static_assert(CUDA_VERSION / 1000 == HEADROOM_CUDA_MAJOR, "the headers are of another version than was asked for");

// MARK: - Functions

/// Two parameters travel alike: pointers both, or numbers of one size and kind. Signs of integers are compared where neither is an
/// enumeration, whose sign a compiler chooses.
template <class Ours, class Theirs>
constexpr bool isAlike() {
  if constexpr (std::is_void_v<Ours> || std::is_void_v<Theirs>) {
    return std::is_void_v<Ours> && std::is_void_v<Theirs>;
  } else if constexpr (std::is_pointer_v<Ours> || std::is_pointer_v<Theirs>) {
    return std::is_pointer_v<Ours> && std::is_pointer_v<Theirs>;
  } else if constexpr (std::is_enum_v<Theirs>) {
    return std::is_integral_v<Ours> && sizeof(Ours) == sizeof(Theirs);
  } else if constexpr (std::is_class_v<Theirs>) {
    return false;
  } else {
    return sizeof(Ours) == sizeof(Theirs) && std::is_floating_point_v<Ours> == std::is_floating_point_v<Theirs> &&
           std::is_signed_v<Ours> == std::is_signed_v<Theirs>;
  }
}

template <class Ours, class Theirs>
struct Signature : std::false_type {};
template <class R, class... P, class S, class... Q>
struct Signature<R(P...), S(Q...)> {
  static constexpr bool matches() {
    if constexpr (sizeof...(P) != sizeof...(Q)) {
      return false;
    } else {
      return isAlike<R, S>() && (isAlike<P, Q>() && ...);
    }
  }
  static constexpr bool value = matches();
};
// Their functions may be declared noexcept, which is part of a function's type.
template <class R, class... P, class S, class... Q>
struct Signature<R(P...), S(Q...) noexcept> : Signature<R(P...), S(Q...)> {};

#define HEADROOM_COMPARE(result, name, parameters) \
  static_assert(Signature<result parameters, std::remove_pointer_t<decltype(&::name)>>::value, #name " has other parameters");
// cuda.h hides the names with version numbers behind those without; with the functions of a version that are not the newest it must be told.
HEADROOM_DRIVER_FUNCTIONS(HEADROOM_COMPARE)
HEADROOM_BLAS_FUNCTIONS(HEADROOM_COMPARE)
HEADROOM_COMPILER_FUNCTIONS(HEADROOM_COMPARE)
HEADROOM_MANAGEMENT_FUNCTIONS(HEADROOM_COMPARE)
HEADROOM_ACTIVITY_FUNCTIONS(HEADROOM_COMPARE)
HEADROOM_ACTIVITY_OPTIONS(HEADROOM_COMPARE)

static_assert(isAlike<HRDevicePointer, CUdeviceptr>() && isAlike<HRDevice, CUdevice>());

// MARK: - Values

#define V(ours, theirs) static_assert(static_cast<long long>(ours) == static_cast<long long>(theirs), #ours);
V(HR_SUCCESS, CUDA_SUCCESS)
V(HR_ERROR_INVALID_VALUE, CUDA_ERROR_INVALID_VALUE)
V(HR_ERROR_OUT_OF_MEMORY, CUDA_ERROR_OUT_OF_MEMORY)
V(HR_ERROR_NOT_INITIALIZED, CUDA_ERROR_NOT_INITIALIZED)
V(HR_ERROR_DEINITIALIZED, CUDA_ERROR_DEINITIALIZED)
V(HR_ERROR_STUB_LIBRARY, CUDA_ERROR_STUB_LIBRARY)
V(HR_ERROR_NO_DEVICE, CUDA_ERROR_NO_DEVICE)
V(HR_ERROR_INVALID_DEVICE, CUDA_ERROR_INVALID_DEVICE)
V(HR_ERROR_INVALID_IMAGE, CUDA_ERROR_INVALID_IMAGE)
V(HR_ERROR_INVALID_CONTEXT, CUDA_ERROR_INVALID_CONTEXT)
V(HR_ERROR_NO_BINARY_FOR_GPU, CUDA_ERROR_NO_BINARY_FOR_GPU)
V(HR_ERROR_ECC_UNCORRECTABLE, CUDA_ERROR_ECC_UNCORRECTABLE)
V(HR_ERROR_NVLINK_UNCORRECTABLE, CUDA_ERROR_NVLINK_UNCORRECTABLE)
V(HR_ERROR_CONTAINED, CUDA_ERROR_CONTAINED)
V(HR_ERROR_INVALID_HANDLE, CUDA_ERROR_INVALID_HANDLE)
V(HR_ERROR_NOT_FOUND, CUDA_ERROR_NOT_FOUND)
V(HR_ERROR_NOT_READY, CUDA_ERROR_NOT_READY)
V(HR_ERROR_ILLEGAL_ADDRESS, CUDA_ERROR_ILLEGAL_ADDRESS)
V(HR_ERROR_LAUNCH_OUT_OF_RESOURCES, CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES)
V(HR_ERROR_LAUNCH_TIMEOUT, CUDA_ERROR_LAUNCH_TIMEOUT)
V(HR_ERROR_CONTEXT_IS_DESTROYED, CUDA_ERROR_CONTEXT_IS_DESTROYED)
V(HR_ERROR_ASSERT, CUDA_ERROR_ASSERT)
V(HR_ERROR_HARDWARE_STACK_ERROR, CUDA_ERROR_HARDWARE_STACK_ERROR)
V(HR_ERROR_ILLEGAL_INSTRUCTION, CUDA_ERROR_ILLEGAL_INSTRUCTION)
V(HR_ERROR_MISALIGNED_ADDRESS, CUDA_ERROR_MISALIGNED_ADDRESS)
V(HR_ERROR_INVALID_ADDRESS_SPACE, CUDA_ERROR_INVALID_ADDRESS_SPACE)
V(HR_ERROR_INVALID_PC, CUDA_ERROR_INVALID_PC)
V(HR_ERROR_LAUNCH_FAILED, CUDA_ERROR_LAUNCH_FAILED)
V(HR_ERROR_NOT_SUPPORTED, CUDA_ERROR_NOT_SUPPORTED)
V(HR_ERROR_SYSTEM_DRIVER_MISMATCH, CUDA_ERROR_SYSTEM_DRIVER_MISMATCH)
V(HR_ERROR_STREAM_CAPTURE_UNSUPPORTED, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED)
V(HR_ERROR_STREAM_CAPTURE_INVALIDATED, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED)
V(HR_ERROR_UNKNOWN, CUDA_ERROR_UNKNOWN)
V(HR_DEVICE_MAX_THREADS_PER_BLOCK, CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK)
V(HR_DEVICE_MAX_GRID_X, CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X)
V(HR_DEVICE_MAX_GRID_Y, CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y)
V(HR_DEVICE_MAX_SHARED_PER_BLOCK, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK)
V(HR_DEVICE_CLOCK_KILOHERTZ, CU_DEVICE_ATTRIBUTE_CLOCK_RATE)
V(HR_DEVICE_SM_COUNT, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)
V(HR_DEVICE_L2_BYTES, CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE)
V(HR_DEVICE_MAX_THREADS_PER_SM, CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR)
V(HR_DEVICE_COMPUTE_MAJOR, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)
V(HR_DEVICE_COMPUTE_MINOR, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)
V(HR_DEVICE_MAX_SHARED_PER_SM, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR)
V(HR_DEVICE_MAX_SHARED_PER_BLOCK_OPTIN, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)
V(HR_FUNCTION_SHARED_BYTES, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES)
V(HR_FUNCTION_REGISTERS, CU_FUNC_ATTRIBUTE_NUM_REGS)
V(HR_FUNCTION_MAX_DYNAMIC_SHARED_BYTES, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES)
V(HR_STREAM_NON_BLOCKING, CU_STREAM_NON_BLOCKING)
V(HR_EVENT_DEFAULT, CU_EVENT_DEFAULT)
V(HR_EVENT_BLOCKING_SYNC, CU_EVENT_BLOCKING_SYNC)
V(HR_EVENT_DISABLE_TIMING, CU_EVENT_DISABLE_TIMING)
V(HR_CONTEXT_BLOCKING_SYNC, CU_CTX_SCHED_BLOCKING_SYNC)
V(HR_CAPTURE_THREAD_LOCAL, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)
V(HR_LAUNCH_CLUSTER_DIMENSION, CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION)
V(HR_LAUNCH_PROGRAMMATIC_STREAM_SERIALIZATION, CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION)

V(HR_TYPE_FLOAT32, CUDA_R_32F)
V(HR_TYPE_FLOAT16, CUDA_R_16F)
V(HR_TYPE_BFLOAT16, CUDA_R_16BF)
V(HR_COMPUTE_FLOAT32, CUBLAS_COMPUTE_32F)
V(HR_COMPUTE_TF32, CUBLAS_COMPUTE_32F_FAST_TF32)
V(HR_OPERATION_NONE, CUBLAS_OP_N)
V(HR_OPERATION_TRANSPOSE, CUBLAS_OP_T)
V(HR_MATMUL_TRANSPOSE_A, CUBLASLT_MATMUL_DESC_TRANSA)
V(HR_MATMUL_TRANSPOSE_B, CUBLASLT_MATMUL_DESC_TRANSB)
V(HR_MATMUL_EPILOGUE, CUBLASLT_MATMUL_DESC_EPILOGUE)
V(HR_MATMUL_BIAS_POINTER, CUBLASLT_MATMUL_DESC_BIAS_POINTER)
V(HR_MATMUL_BIAS_BATCH_STRIDE, CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE)
V(HR_LAYOUT_BATCH_COUNT, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT)
V(HR_LAYOUT_BATCH_STRIDE, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET)
V(HR_EPILOGUE_NONE, CUBLASLT_EPILOGUE_DEFAULT)
V(HR_EPILOGUE_RELU, CUBLASLT_EPILOGUE_RELU)
V(HR_EPILOGUE_BIAS, CUBLASLT_EPILOGUE_BIAS)
V(HR_EPILOGUE_RELU_BIAS, CUBLASLT_EPILOGUE_RELU_BIAS)
V(HR_EPILOGUE_GELU, CUBLASLT_EPILOGUE_GELU)
V(HR_EPILOGUE_GELU_BIAS, CUBLASLT_EPILOGUE_GELU_BIAS)
V(HR_PREFERENCE_MAX_WORKSPACE_BYTES, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES)
V(HR_PREFERENCE_ALIGNMENT_A, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES)
V(HR_PREFERENCE_ALIGNMENT_B, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES)
V(HR_PREFERENCE_ALIGNMENT_C, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES)
V(HR_PREFERENCE_ALIGNMENT_D, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES)

V(HR_MANAGEMENT_SUCCESS, NVML_SUCCESS)
V(HR_MANAGEMENT_NOT_SUPPORTED, NVML_ERROR_NOT_SUPPORTED)
V(HR_MANAGEMENT_NO_PERMISSION, NVML_ERROR_NO_PERMISSION)
V(HR_MANAGEMENT_NOT_FOUND, NVML_ERROR_NOT_FOUND)
V(HR_MANAGEMENT_INSUFFICIENT_SIZE, NVML_ERROR_INSUFFICIENT_SIZE)
V(HR_MANAGEMENT_DRIVER_NOT_LOADED, NVML_ERROR_DRIVER_NOT_LOADED)
V(HR_CLOCK_SM, NVML_CLOCK_SM)
V(HR_CLOCK_MEMORY, NVML_CLOCK_MEM)
V(HR_MIG_ENABLED, NVML_DEVICE_MIG_ENABLE)
V(HR_COUNTER_GRAPHICS, NVML_GPM_METRIC_GRAPHICS_UTIL)
V(HR_COUNTER_SM, NVML_GPM_METRIC_SM_UTIL)
V(HR_COUNTER_OCCUPANCY, NVML_GPM_METRIC_SM_OCCUPANCY)
V(HR_COUNTER_TENSOR, NVML_GPM_METRIC_ANY_TENSOR_UTIL)
V(HR_COUNTER_DRAM, NVML_GPM_METRIC_DRAM_BW_UTIL)
V(HR_CLOCKS_IDLE, nvmlClocksThrottleReasonGpuIdle)
V(HR_CLOCKS_APPLICATION_SETTING, nvmlClocksThrottleReasonApplicationsClocksSetting)
V(HR_CLOCKS_POWER_CAP, nvmlClocksThrottleReasonSwPowerCap)
V(HR_CLOCKS_HARDWARE_SLOWDOWN, nvmlClocksThrottleReasonHwSlowdown)
V(HR_CLOCKS_SYNC_BOOST, nvmlClocksThrottleReasonSyncBoost)
V(HR_CLOCKS_THERMAL_SOFTWARE, nvmlClocksThrottleReasonSwThermalSlowdown)
V(HR_CLOCKS_THERMAL_HARDWARE, nvmlClocksThrottleReasonHwThermalSlowdown)
V(HR_CLOCKS_POWER_BRAKE, nvmlClocksThrottleReasonHwPowerBrakeSlowdown)
V(HR_CLOCKS_DISPLAY, nvmlClocksThrottleReasonDisplayClockSetting)
// Whatever number of counters a library knows, its request fits into ours.
static_assert(HR_COUNTERS_MAX >= NVML_GPM_METRIC_MAX);
V(1, NVML_GPM_METRICS_GET_VERSION)
V(1, NVML_GPM_SUPPORT_VERSION)

V(HR_ACTIVITY_SUCCESS, CUPTI_SUCCESS)
V(HR_ACTIVITY_MAX_LIMIT_REACHED, CUPTI_ERROR_MAX_LIMIT_REACHED)
V(HR_ACTIVITY_NOT_INITIALIZED, CUPTI_ERROR_NOT_INITIALIZED)
V(HR_ACTIVITY_INSUFFICIENT_PRIVILEGES, CUPTI_ERROR_INSUFFICIENT_PRIVILEGES)
V(HR_ACTIVITY_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED, CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED)
V(HR_KIND_MEMCPY, CUPTI_ACTIVITY_KIND_MEMCPY)
V(HR_KIND_MEMSET, CUPTI_ACTIVITY_KIND_MEMSET)
V(HR_KIND_KERNEL, CUPTI_ACTIVITY_KIND_KERNEL)
V(HR_KIND_DRIVER, CUPTI_ACTIVITY_KIND_DRIVER)
V(HR_KIND_RUNTIME, CUPTI_ACTIVITY_KIND_RUNTIME)
V(HR_KIND_DEVICE, CUPTI_ACTIVITY_KIND_DEVICE)
V(HR_KIND_CONCURRENT_KERNEL, CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL)
V(HR_KIND_CUDA_EVENT, CUPTI_ACTIVITY_KIND_CUDA_EVENT)
V(HR_KIND_OVERHEAD, CUPTI_ACTIVITY_KIND_OVERHEAD)
V(HR_KIND_SYNCHRONIZATION, CUPTI_ACTIVITY_KIND_SYNCHRONIZATION)
V(HR_KIND_GRAPH_TRACE, CUPTI_ACTIVITY_KIND_GRAPH_TRACE)
V(HR_ACTIVITY_DEVICE_BUFFER_POOL_LIMIT, CUPTI_ACTIVITY_ATTR_DEVICE_BUFFER_POOL_LIMIT)
V(HR_ACTIVITY_ZEROED_BUFFERS, CUPTI_ACTIVITY_ATTR_ZEROED_OUT_ACTIVITY_BUFFER)
V(HR_ACTIVITY_DEVICE_BUFFER_PREALLOCATE, CUPTI_ACTIVITY_ATTR_DEVICE_BUFFER_PRE_ALLOCATE_VALUE)
V(HR_ACTIVITY_FLUSH_FORCED, CUPTI_ACTIVITY_FLAG_FLUSH_FORCED)
V(HR_DOMAIN_DRIVER, CUPTI_CB_DOMAIN_DRIVER_API)
V(HR_DOMAIN_RUNTIME, CUPTI_CB_DOMAIN_RUNTIME_API)
V(HR_THREAD_NUMBERS_OF_SYSTEM, CUPTI_ACTIVITY_THREAD_ID_TYPE_SYSTEM)
V(HR_OBJECT_THREAD, CUPTI_ACTIVITY_OBJECT_THREAD)
V(HR_SYNCHRONIZATION_EVENT, CUPTI_ACTIVITY_SYNCHRONIZATION_TYPE_EVENT_SYNCHRONIZE)
V(HR_SYNCHRONIZATION_STREAM_WAIT, CUPTI_ACTIVITY_SYNCHRONIZATION_TYPE_STREAM_WAIT_EVENT)
V(HR_SYNCHRONIZATION_STREAM, CUPTI_ACTIVITY_SYNCHRONIZATION_TYPE_STREAM_SYNCHRONIZE)
V(HR_SYNCHRONIZATION_CONTEXT, CUPTI_ACTIVITY_SYNCHRONIZATION_TYPE_CONTEXT_SYNCHRONIZE)

// MARK: - Structures

#define SIZE(ours, theirs) static_assert(sizeof(ours) == sizeof(theirs), #theirs " has another size");
#define PLACE(ours, a, theirs, b)                                                            \
  static_assert(offsetof(ours, a) == offsetof(theirs, b), #theirs "::" #b " lies elsewhere"); \
  static_assert(sizeof(ours::a) == sizeof(theirs::b), #theirs "::" #b " has another size");

SIZE(HRLaunchAttribute, CUlaunchAttribute)
PLACE(HRLaunchAttribute, identifier, CUlaunchAttribute, id)
PLACE(HRLaunchAttribute, value, CUlaunchAttribute, value)
static_assert(sizeof(HRLaunchAttribute::value.cluster) == sizeof(CUlaunchAttributeValue::clusterDim));
static_assert(offsetof(CUlaunchAttributeValue, clusterDim) == 0 && offsetof(CUlaunchAttributeValue, programmaticStreamSerializationAllowed) == 0);
SIZE(HRLaunchConfiguration, CUlaunchConfig)
PLACE(HRLaunchConfiguration, gridX, CUlaunchConfig, gridDimX)
PLACE(HRLaunchConfiguration, blockX, CUlaunchConfig, blockDimX)
PLACE(HRLaunchConfiguration, sharedBytes, CUlaunchConfig, sharedMemBytes)
PLACE(HRLaunchConfiguration, stream, CUlaunchConfig, hStream)
PLACE(HRLaunchConfiguration, attributes, CUlaunchConfig, attrs)
PLACE(HRLaunchConfiguration, attributeCount, CUlaunchConfig, numAttrs)
SIZE(HRUUID, CUuuid)

SIZE(HRMatmulAlgorithm, cublasLtMatmulAlgo_t)
SIZE(HRMatmulHeuristic, cublasLtMatmulHeuristicResult_t)
PLACE(HRMatmulHeuristic, workspaceBytes, cublasLtMatmulHeuristicResult_t, workspaceSize)
PLACE(HRMatmulHeuristic, status, cublasLtMatmulHeuristicResult_t, state)
PLACE(HRMatmulHeuristic, waves, cublasLtMatmulHeuristicResult_t, wavesCount)

SIZE(HRUtilization, nvmlUtilization_t)
PLACE(HRUtilization, memory, nvmlUtilization_t, memory)
SIZE(HRMemoryUse, nvmlMemory_t)
PLACE(HRMemoryUse, free, nvmlMemory_t, free)
SIZE(HRProcessUse, nvmlProcessInfo_t)
PLACE(HRProcessUse, usedBytes, nvmlProcessInfo_t, usedGpuMemory)
PLACE(HRProcessUse, gpuInstance, nvmlProcessInfo_t, gpuInstanceId)
SIZE(HRProcessUtilization, nvmlProcessUtilizationSample_t)
PLACE(HRProcessUtilization, timestampMicroseconds, nvmlProcessUtilizationSample_t, timeStamp)
PLACE(HRProcessUtilization, sm, nvmlProcessUtilizationSample_t, smUtil)
SIZE(HRCounter, nvmlGpmMetric_t)
PLACE(HRCounter, status, nvmlGpmMetric_t, nvmlReturn)
PLACE(HRCounter, value, nvmlGpmMetric_t, value)
PLACE(HRCounterRequest, first, nvmlGpmMetricsGet_t, sample1)
PLACE(HRCounterRequest, second, nvmlGpmMetricsGet_t, sample2)
static_assert(offsetof(HRCounterRequest, counters) == offsetof(nvmlGpmMetricsGet_t, metrics));
SIZE(HRCounterSupport, nvmlGpmSupport_t)
PLACE(HRCounterSupport, isSupported, nvmlGpmSupport_t, isSupportedDevice)

#if HEADROOM_CUDA_MAJOR == 12
using Kernel = CUpti_ActivityKernel9;
using Copy = CUpti_ActivityMemcpy6;
using Memset = CUpti_ActivityMemset4;
using DeviceRecord = CUpti_ActivityDevice5;
using EventRecord = CUpti_ActivityCudaEvent2;
#else
using Kernel = CUpti_ActivityKernel13;
using Copy = CUpti_ActivityMemcpy7;
using Memset = CUpti_ActivityMemset5;
using DeviceRecord = CUpti_ActivityDevice6;
using EventRecord = CUpti_ActivityCudaEvent3;
#endif
#define KERNEL(name) PLACE(HRKernelRecord, name, Kernel, name)
KERNEL(kind)
KERNEL(registersPerThread)
KERNEL(start)
KERNEL(end)
KERNEL(completed)
KERNEL(deviceId)
KERNEL(contextId)
KERNEL(streamId)
KERNEL(gridX)
KERNEL(gridY)
KERNEL(gridZ)
KERNEL(blockX)
KERNEL(blockZ)
KERNEL(staticSharedMemory)
KERNEL(dynamicSharedMemory)
KERNEL(localMemoryPerThread)
KERNEL(correlationId)
KERNEL(gridId)
KERNEL(name)
KERNEL(queued)
KERNEL(submitted)
KERNEL(launchType)
KERNEL(sharedMemoryExecuted)
KERNEL(graphNodeId)
KERNEL(graphId)
KERNEL(clusterX)
KERNEL(clusterZ)
static_assert(sizeof(HRKernelRecord) <= sizeof(Kernel));
#define COPY(name) PLACE(HRCopyRecord, name, Copy, name)
COPY(copyKind)
PLACE(HRCopyRecord, sourceKind, Copy, srcKind)
PLACE(HRCopyRecord, targetKind, Copy, dstKind)
COPY(flags)
COPY(bytes)
COPY(start)
COPY(end)
COPY(deviceId)
COPY(streamId)
COPY(correlationId)
COPY(graphNodeId)
COPY(graphId)
static_assert(sizeof(HRCopyRecord) <= sizeof(Copy));
#define MEMSET(name) PLACE(HRMemsetRecord, name, Memset, name)
MEMSET(value)
MEMSET(bytes)
MEMSET(start)
MEMSET(end)
MEMSET(deviceId)
MEMSET(streamId)
MEMSET(correlationId)
MEMSET(memoryKind)
MEMSET(graphId)
static_assert(sizeof(HRMemsetRecord) <= sizeof(Memset));
#define CALL(a, b) PLACE(HRCallRecord, a, CUpti_ActivityAPI, b)
SIZE(HRCallRecord, CUpti_ActivityAPI)
CALL(callbackId, cbid)
CALL(start, start)
CALL(threadId, threadId)
CALL(correlationId, correlationId)
CALL(returnValue, returnValue)
#define SYNC(a, b) PLACE(HRSynchronizationRecord, a, CUpti_ActivitySynchronization2, b)
SYNC(type, type)
SYNC(start, start)
SYNC(correlationId, correlationId)
SYNC(contextId, contextId)
SYNC(streamId, streamId)
SYNC(eventId, cudaEventId)
static_assert(sizeof(HRSynchronizationRecord) <= sizeof(CUpti_ActivitySynchronization2));
#define OVERHEAD(a, b) PLACE(HROverheadRecord, a, CUpti_ActivityOverhead3, b)
OVERHEAD(overheadKind, overheadKind)
OVERHEAD(object, objectId)
OVERHEAD(start, start)
OVERHEAD(correlationId, correlationId)
static_assert(sizeof(HROverheadRecord) <= sizeof(CUpti_ActivityOverhead3));
#define DEVICE(a, b) PLACE(HRDeviceRecord, a, DeviceRecord, b)
DEVICE(memoryBandwidth, globalMemoryBandwidth)
DEVICE(memoryBytes, globalMemorySize)
DEVICE(l2CacheBytes, l2CacheSize)
DEVICE(threadsPerWarp, numThreadsPerWarp)
DEVICE(clockRate, coreClockRate)
DEVICE(multiprocessors, numMultiprocessors)
DEVICE(maxWarpsPerMultiprocessor, maxWarpsPerMultiprocessor)
DEVICE(maxBlocksPerMultiprocessor, maxBlocksPerMultiprocessor)
DEVICE(maxSharedMemoryPerMultiprocessor, maxSharedMemoryPerMultiprocessor)
DEVICE(maxRegistersPerMultiprocessor, maxRegistersPerMultiprocessor)
DEVICE(computeMajor, computeCapabilityMajor)
DEVICE(computeMinor, computeCapabilityMinor)
DEVICE(id, id)
DEVICE(name, name)
static_assert(sizeof(HRDeviceRecord) <= sizeof(DeviceRecord));
#define EVENT(a, b) PLACE(HREventRecord, a, EventRecord, b)
EVENT(correlationId, correlationId)
EVENT(contextId, contextId)
EVENT(streamId, streamId)
EVENT(eventId, eventId)
EVENT(deviceId, deviceId)
EVENT(deviceTime, deviceTimestamp)
EVENT(synchronizationId, cudaEventSyncId)
static_assert(sizeof(HREventRecord) <= sizeof(EventRecord));
#define GRAPH(a, b) PLACE(HRGraphRecord, a, CUpti_ActivityGraphTrace2, b)
GRAPH(correlationId, correlationId)
GRAPH(start, start)
GRAPH(end, end)
GRAPH(deviceId, deviceId)
GRAPH(graphId, graphId)
GRAPH(contextId, contextId)
GRAPH(streamId, streamId)
static_assert(sizeof(HRGraphRecord) <= sizeof(CUpti_ActivityGraphTrace2));

#ifdef HR_SELF_TEST
// The check itself: a place that is wrong by one field must stop the build.
PLACE(HRKernelRecord, start, Kernel, end)
#endif

int main() { return 0; }
