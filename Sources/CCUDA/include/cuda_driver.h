// What is used of libcuda: handles, numbers, two structures, and the functions by the names under which the library exports them.
//
// Written from the documented interface, so that nothing of NVIDIA's is needed to build. Tests/cuda/check_headers.cpp compiles it beside
// NVIDIA's own headers and compares sizes, offsets, values and every function's parameters, for CUDA 12 and 13.
#pragma once
#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wnullability-completeness"
#endif
#include <stddef.h>
#include <stdint.h>

#ifndef HEADROOM_NONNULL
#if defined(__clang__)
#define HEADROOM_NONNULL _Nonnull
#else
#define HEADROOM_NONNULL
#endif
#endif

typedef int32_t HRResult;
typedef int32_t HRDevice;
/// An address in the device's memory.
typedef uint64_t HRDevicePointer;
typedef struct HRContextStorage *HRContext;
typedef struct HRModuleStorage *HRModule;
typedef struct HRFunctionStorage *HRFunction;
typedef struct HRStreamStorage *HRStream;
typedef struct HREventStorage *HREvent;
typedef struct HRGraphStorage *HRGraph;
typedef struct HRGraphExecStorage *HRGraphExec;
typedef struct HRGraphNodeStorage *HRGraphNode;

/// CUresult: those that something is decided by.
enum {
  HR_SUCCESS = 0,
  HR_ERROR_INVALID_VALUE = 1,
  HR_ERROR_OUT_OF_MEMORY = 2,
  HR_ERROR_NOT_INITIALIZED = 3,
  HR_ERROR_DEINITIALIZED = 4,
  HR_ERROR_STUB_LIBRARY = 34,
  HR_ERROR_NO_DEVICE = 100,
  HR_ERROR_INVALID_DEVICE = 101,
  HR_ERROR_INVALID_IMAGE = 200,
  HR_ERROR_INVALID_CONTEXT = 201,
  HR_ERROR_NO_BINARY_FOR_GPU = 209,
  HR_ERROR_ECC_UNCORRECTABLE = 214,
  HR_ERROR_NVLINK_UNCORRECTABLE = 220,
  HR_ERROR_CONTAINED = 226,
  HR_ERROR_INVALID_HANDLE = 400,
  HR_ERROR_NOT_FOUND = 500,
  HR_ERROR_NOT_READY = 600,
  HR_ERROR_ILLEGAL_ADDRESS = 700,
  HR_ERROR_LAUNCH_OUT_OF_RESOURCES = 701,
  HR_ERROR_LAUNCH_TIMEOUT = 702,
  HR_ERROR_CONTEXT_IS_DESTROYED = 709,
  HR_ERROR_ASSERT = 710,
  HR_ERROR_HARDWARE_STACK_ERROR = 714,
  HR_ERROR_ILLEGAL_INSTRUCTION = 715,
  HR_ERROR_MISALIGNED_ADDRESS = 716,
  HR_ERROR_INVALID_ADDRESS_SPACE = 717,
  HR_ERROR_INVALID_PC = 718,
  HR_ERROR_LAUNCH_FAILED = 719,
  HR_ERROR_NOT_SUPPORTED = 801,
  HR_ERROR_SYSTEM_DRIVER_MISMATCH = 803,
  HR_ERROR_STREAM_CAPTURE_UNSUPPORTED = 900,
  HR_ERROR_STREAM_CAPTURE_INVALIDATED = 901,
  HR_ERROR_UNKNOWN = 999,
};

/// CUdevice_attribute.
enum {
  HR_DEVICE_MAX_THREADS_PER_BLOCK = 1,
  HR_DEVICE_MAX_GRID_X = 5,
  HR_DEVICE_MAX_GRID_Y = 6,
  HR_DEVICE_MAX_SHARED_PER_BLOCK = 8,
  HR_DEVICE_CLOCK_KILOHERTZ = 13,
  HR_DEVICE_SM_COUNT = 16,
  HR_DEVICE_L2_BYTES = 38,
  HR_DEVICE_MAX_THREADS_PER_SM = 39,
  HR_DEVICE_COMPUTE_MAJOR = 75,
  HR_DEVICE_COMPUTE_MINOR = 76,
  HR_DEVICE_MAX_SHARED_PER_SM = 81,
  HR_DEVICE_MAX_SHARED_PER_BLOCK_OPTIN = 97,
};

/// CUfunction_attribute, CUstream_flags, CUevent_flags, CUctx_flags, CUstreamCaptureMode.
enum {
  HR_FUNCTION_SHARED_BYTES = 1,
  HR_FUNCTION_REGISTERS = 4,
  HR_FUNCTION_MAX_DYNAMIC_SHARED_BYTES = 8,
  HR_STREAM_NON_BLOCKING = 1,
  HR_EVENT_DEFAULT = 0,
  HR_EVENT_BLOCKING_SYNC = 1,
  HR_EVENT_DISABLE_TIMING = 2,
  HR_CONTEXT_BLOCKING_SYNC = 4,
  HR_CAPTURE_THREAD_LOCAL = 1,
};

/// CUlaunchAttributeID.
enum {
  HR_LAUNCH_CLUSTER_DIMENSION = 4,
  HR_LAUNCH_PROGRAMMATIC_STREAM_SERIALIZATION = 6,
};

/// CUlaunchAttribute: an identifier and 64 bytes, of which the attributes in use take a few.
typedef struct {
  uint32_t identifier;
  uint32_t padding;
  union {
    uint8_t bytes[64];
    struct {
      uint32_t x, y, z;
    } cluster;
    int32_t isProgrammaticSerializationAllowed;
  } value;
} HRLaunchAttribute;

/// CUlaunchConfig.
typedef struct {
  uint32_t gridX, gridY, gridZ;
  uint32_t blockX, blockY, blockZ;
  uint32_t sharedBytes;
  HRStream stream;
  HRLaunchAttribute *attributes;
  uint32_t attributeCount;
} HRLaunchConfiguration;

/// CUuuid.
typedef struct {
  char bytes[16];
} HRUUID;

/// F(result, name, parameters): every function that is called. One that a library lacks is an error, with its name.
#define HEADROOM_DRIVER_FUNCTIONS(F)                                                                                                  \
  F(HRResult, cuInit, (uint32_t flags))                                                                                               \
  F(HRResult, cuDriverGetVersion, (int32_t * version))                                                                                \
  F(HRResult, cuGetErrorName, (HRResult error, const char **name))                                                                    \
  F(HRResult, cuGetErrorString, (HRResult error, const char **text))                                                                  \
  F(HRResult, cuDeviceGetCount, (int32_t * count))                                                                                    \
  F(HRResult, cuDeviceGet, (HRDevice * device, int32_t ordinal))                                                                      \
  F(HRResult, cuDeviceGetName, (char *name, int32_t length, HRDevice device))                                                         \
  F(HRResult, cuDeviceGetAttribute, (int32_t * value, int32_t attribute, HRDevice device))                                            \
  F(HRResult, cuDeviceTotalMem_v2, (size_t * bytes, HRDevice device))                                                                 \
  F(HRResult, cuDeviceGetUuid_v2, (HRUUID * uuid, HRDevice device))                                                                   \
  F(HRResult, cuDevicePrimaryCtxRetain, (HRContext * context, HRDevice device))                                                       \
  F(HRResult, cuDevicePrimaryCtxRelease_v2, (HRDevice device))                                                                        \
  F(HRResult, cuDevicePrimaryCtxReset_v2, (HRDevice device))                                                                          \
  F(HRResult, cuCtxSetCurrent, (HRContext context))                                                                                   \
  F(HRResult, cuCtxGetCurrent, (HRContext * context))                                                                                 \
  F(HRResult, cuCtxSynchronize, (void))                                                                                               \
  F(HRResult, cuMemGetInfo_v2, (size_t * free, size_t * total))                                                                       \
  F(HRResult, cuMemAlloc_v2, (HRDevicePointer * address, size_t bytes))                                                               \
  F(HRResult, cuMemFree_v2, (HRDevicePointer address))                                                                                \
  F(HRResult, cuMemAllocHost_v2, (void **address, size_t bytes))                                                                      \
  F(HRResult, cuMemFreeHost, (void *address))                                                                                         \
  F(HRResult, cuMemHostRegister_v2, (void *address, size_t bytes, unsigned int flags))                                                \
  F(HRResult, cuMemHostUnregister, (void *address))                                                                                   \
  F(HRResult, cuMemcpyHtoD_v2, (HRDevicePointer target, const void *source, size_t bytes))                                            \
  F(HRResult, cuMemcpyDtoH_v2, (void *target, HRDevicePointer source, size_t bytes))                                                  \
  F(HRResult, cuMemcpyHtoDAsync_v2, (HRDevicePointer target, const void *source, size_t bytes, HRStream stream))                      \
  F(HRResult, cuMemcpyDtoHAsync_v2, (void *target, HRDevicePointer source, size_t bytes, HRStream stream))                            \
  F(HRResult, cuMemcpyDtoDAsync_v2, (HRDevicePointer target, HRDevicePointer source, size_t bytes, HRStream stream))                  \
  F(HRResult, cuMemsetD8Async, (HRDevicePointer target, unsigned char value, size_t count, HRStream stream))                          \
  F(HRResult, cuStreamCreate, (HRStream * stream, uint32_t flags))                                                                    \
  F(HRResult, cuStreamDestroy_v2, (HRStream stream))                                                                                  \
  F(HRResult, cuStreamSynchronize, (HRStream stream))                                                                                 \
  F(HRResult, cuStreamQuery, (HRStream stream))                                                                                       \
  F(HRResult, cuStreamWaitEvent, (HRStream stream, HREvent event, uint32_t flags))                                                    \
  F(HRResult, cuStreamBeginCapture_v2, (HRStream stream, int32_t mode))                                                               \
  F(HRResult, cuStreamEndCapture, (HRStream stream, HRGraph * graph))                                                                 \
  F(HRResult, cuEventCreate, (HREvent * event, uint32_t flags))                                                                       \
  F(HRResult, cuEventDestroy_v2, (HREvent event))                                                                                     \
  F(HRResult, cuEventRecord, (HREvent event, HRStream stream))                                                                        \
  F(HRResult, cuEventQuery, (HREvent event))                                                                                          \
  F(HRResult, cuEventSynchronize, (HREvent event))                                                                                    \
  F(HRResult, cuEventElapsedTime, (float *milliseconds, HREvent start, HREvent end))                                                  \
  F(HRResult, cuModuleLoadData, (HRModule * module, const void *image))                                                               \
  F(HRResult, cuModuleUnload, (HRModule module))                                                                                      \
  F(HRResult, cuModuleGetFunction, (HRFunction * function, HRModule module, const char *name))                                        \
  F(HRResult, cuFuncSetAttribute, (HRFunction function, int32_t attribute, int32_t value))                                            \
  F(HRResult, cuFuncGetAttribute, (int32_t * value, int32_t attribute, HRFunction function))                                          \
  F(HRResult, cuLaunchKernel,                                                                                                         \
    (HRFunction function, uint32_t gridX, uint32_t gridY, uint32_t gridZ, uint32_t blockX, uint32_t blockY, uint32_t blockZ,          \
     uint32_t sharedBytes, HRStream stream, void **parameters, void **extra))                                                         \
  F(HRResult, cuLaunchKernelEx,                                                                                                       \
    (const HRLaunchConfiguration *configuration, HRFunction function, void **parameters, void **extra))                               \
  F(HRResult, cuGraphInstantiateWithFlags, (HRGraphExec * executable, HRGraph graph, unsigned long long flags))                       \
  F(HRResult, cuGraphUpload, (HRGraphExec executable, HRStream stream))                                                               \
  F(HRResult, cuGraphLaunch, (HRGraphExec executable, HRStream stream))                                                               \
  F(HRResult, cuGraphGetNodes, (HRGraph graph, HRGraphNode * nodes, size_t * count))                                                  \
  F(HRResult, cuGraphExecDestroy, (HRGraphExec executable))                                                                           \
  F(HRResult, cuGraphDestroy, (HRGraph graph))

#define HEADROOM_FIELD(result, name, parameters) result(*HEADROOM_NONNULL name) parameters;

/// libcuda's functions.
typedef struct {
  HEADROOM_DRIVER_FUNCTIONS(HEADROOM_FIELD)
} HRDriverTable;

#if defined(__clang__)
#pragma clang diagnostic pop
#endif
