// What is used of libcublasLt, libnvrtc and libnvidia-ml. See cuda_driver.h for how it is kept true.
#pragma once
#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wnullability-completeness"
#endif
#include "cuda_driver.h"

// MARK: - libcublasLt

typedef int32_t HRBlasStatus;
typedef struct HRBlasHandleStorage *HRBlasHandle;
typedef struct HRMatmulDescriptorStorage *HRMatmulDescriptor;
typedef struct HRMatrixLayoutStorage *HRMatrixLayout;
typedef struct HRMatmulPreferenceStorage *HRMatmulPreference;

/// cublasLtMatmulAlgo_t: opaque, of a size that is kept within a process only.
typedef struct {
  uint64_t data[8];
} HRMatmulAlgorithm;

/// cublasLtMatmulHeuristicResult_t.
typedef struct {
  HRMatmulAlgorithm algorithm;
  size_t workspaceBytes;
  HRBlasStatus status;
  float waves;
  int32_t reserved[4];
} HRMatmulHeuristic;

enum {
  // cudaDataType
  HR_TYPE_FLOAT32 = 0,
  HR_TYPE_FLOAT16 = 2,
  HR_TYPE_BFLOAT16 = 14,
  // cublasComputeType_t
  HR_COMPUTE_FLOAT32 = 68,
  HR_COMPUTE_TF32 = 77,
  // cublasOperation_t
  HR_OPERATION_NONE = 0,
  HR_OPERATION_TRANSPOSE = 1,
  // cublasLtMatmulDescAttributes_t
  HR_MATMUL_TRANSPOSE_A = 3,
  HR_MATMUL_TRANSPOSE_B = 4,
  HR_MATMUL_EPILOGUE = 7,
  HR_MATMUL_BIAS_POINTER = 8,
  HR_MATMUL_BIAS_BATCH_STRIDE = 10,
  // cublasLtMatrixLayoutAttribute_t
  HR_LAYOUT_BATCH_COUNT = 5,
  HR_LAYOUT_BATCH_STRIDE = 6,
  // cublasLtEpilogue_t
  HR_EPILOGUE_NONE = 1,
  HR_EPILOGUE_RELU = 2,
  HR_EPILOGUE_BIAS = 4,
  HR_EPILOGUE_RELU_BIAS = 6,
  HR_EPILOGUE_GELU = 32,
  HR_EPILOGUE_GELU_BIAS = 36,
  // cublasLtMatmulPreferenceAttributes_t
  HR_PREFERENCE_MAX_WORKSPACE_BYTES = 1,
  HR_PREFERENCE_ALIGNMENT_A = 5,
  HR_PREFERENCE_ALIGNMENT_B = 6,
  HR_PREFERENCE_ALIGNMENT_C = 7,
  HR_PREFERENCE_ALIGNMENT_D = 8,
};

#define HEADROOM_BLAS_FUNCTIONS(F)                                                                                                    \
  F(HRBlasStatus, cublasLtCreate, (HRBlasHandle * handle))                                                                            \
  F(HRBlasStatus, cublasLtDestroy, (HRBlasHandle handle))                                                                             \
  F(size_t, cublasLtGetVersion, (void))                                                                                               \
  F(HRBlasStatus, cublasLtMatmulDescCreate, (HRMatmulDescriptor * descriptor, int32_t computeType, int32_t scaleType))                \
  F(HRBlasStatus, cublasLtMatmulDescDestroy, (HRMatmulDescriptor descriptor))                                                         \
  F(HRBlasStatus, cublasLtMatmulDescSetAttribute,                                                                                     \
    (HRMatmulDescriptor descriptor, int32_t attribute, const void *value, size_t bytes))                                              \
  F(HRBlasStatus, cublasLtMatrixLayoutCreate,                                                                                         \
    (HRMatrixLayout * layout, int32_t type, uint64_t rows, uint64_t columns, int64_t leadingDimension))                               \
  F(HRBlasStatus, cublasLtMatrixLayoutDestroy, (HRMatrixLayout layout))                                                               \
  F(HRBlasStatus, cublasLtMatrixLayoutSetAttribute, (HRMatrixLayout layout, int32_t attribute, const void *value, size_t bytes))      \
  F(HRBlasStatus, cublasLtMatmulPreferenceCreate, (HRMatmulPreference * preference))                                                  \
  F(HRBlasStatus, cublasLtMatmulPreferenceDestroy, (HRMatmulPreference preference))                                                   \
  F(HRBlasStatus, cublasLtMatmulPreferenceSetAttribute,                                                                               \
    (HRMatmulPreference preference, int32_t attribute, const void *value, size_t bytes))                                              \
  F(HRBlasStatus, cublasLtMatmulAlgoGetHeuristic,                                                                                     \
    (HRBlasHandle handle, HRMatmulDescriptor descriptor, HRMatrixLayout a, HRMatrixLayout b, HRMatrixLayout c, HRMatrixLayout d,      \
     HRMatmulPreference preference, int32_t requested, HRMatmulHeuristic *results, int32_t *found))                                   \
  F(HRBlasStatus, cublasLtMatmul,                                                                                                     \
    (HRBlasHandle handle, HRMatmulDescriptor descriptor, const void *alpha, const void *a, HRMatrixLayout layoutA, const void *b,     \
     HRMatrixLayout layoutB, const void *beta, const void *c, HRMatrixLayout layoutC, void *d, HRMatrixLayout layoutD,                \
     const HRMatmulAlgorithm *algorithm, void *workspace, size_t workspaceBytes, HRStream stream))

typedef struct {
  HEADROOM_BLAS_FUNCTIONS(HEADROOM_FIELD)
} HRBlasTable;

// MARK: - libnvrtc

typedef struct HRProgramStorage *HRProgram;

#define HEADROOM_COMPILER_FUNCTIONS(F)                                                                                                \
  F(int32_t, nvrtcVersion, (int32_t * major, int32_t * minor))                                                                        \
  F(const char *, nvrtcGetErrorString, (int32_t result))                                                                              \
  F(int32_t, nvrtcCreateProgram,                                                                                                      \
    (HRProgram * program, const char *source, const char *name, int32_t headerCount, const char *const *headers,                      \
     const char *const *includeNames))                                                                                                \
  F(int32_t, nvrtcDestroyProgram, (HRProgram * program))                                                                              \
  F(int32_t, nvrtcCompileProgram, (HRProgram program, int32_t optionCount, const char *const *options))                               \
  F(int32_t, nvrtcGetProgramLogSize, (HRProgram program, size_t *bytes))                                                              \
  F(int32_t, nvrtcGetProgramLog, (HRProgram program, char *log))                                                                      \
  F(int32_t, nvrtcGetCUBINSize, (HRProgram program, size_t *bytes))                                                                   \
  F(int32_t, nvrtcGetCUBIN, (HRProgram program, char *cubin))

typedef struct {
  HEADROOM_COMPILER_FUNCTIONS(HEADROOM_FIELD)
} HRCompilerTable;

// MARK: - libnvidia-ml

typedef int32_t HRManagementResult;
typedef struct HRManagedDeviceStorage *HRManagedDevice;
typedef struct HRCounterSampleStorage *HRCounterSample;

/// nvmlReturn_t.
enum {
  HR_MANAGEMENT_SUCCESS = 0,
  HR_MANAGEMENT_NOT_SUPPORTED = 3,
  HR_MANAGEMENT_NO_PERMISSION = 4,
  HR_MANAGEMENT_NOT_FOUND = 6,
  HR_MANAGEMENT_INSUFFICIENT_SIZE = 7,
  HR_MANAGEMENT_DRIVER_NOT_LOADED = 9,
};

/// NVML_DEVICE_MIG_ENABLE; a process's gpuInstanceId outside of MIG.
enum { HR_MIG_ENABLED = 1 };
#define HR_NO_GPU_INSTANCE 0xffffffffu

/// nvmlClockType_t, nvmlGpmMetricId_t, nvmlClocksEventReasons.
enum {
  HR_CLOCK_SM = 1,
  HR_CLOCK_MEMORY = 2,
  HR_COUNTER_GRAPHICS = 1,
  HR_COUNTER_SM = 2,
  HR_COUNTER_OCCUPANCY = 3,
  HR_COUNTER_TENSOR = 5,
  HR_COUNTER_DRAM = 10,
  HR_CLOCKS_IDLE = 0x1,
  HR_CLOCKS_APPLICATION_SETTING = 0x2,
  HR_CLOCKS_POWER_CAP = 0x4,
  HR_CLOCKS_HARDWARE_SLOWDOWN = 0x8,
  HR_CLOCKS_SYNC_BOOST = 0x10,
  HR_CLOCKS_THERMAL_SOFTWARE = 0x20,
  HR_CLOCKS_THERMAL_HARDWARE = 0x40,
  HR_CLOCKS_POWER_BRAKE = 0x80,
  HR_CLOCKS_DISPLAY = 0x100,
};

/// nvmlUtilization_t, percent of time.
typedef struct {
  uint32_t gpu;
  uint32_t memory;
} HRUtilization;

/// nvmlMemory_t, bytes.
typedef struct {
  unsigned long long total, free, used;
} HRMemoryUse;

/// nvmlProcessInfo_t.
typedef struct {
  uint32_t process;
  unsigned long long usedBytes;
  uint32_t gpuInstance;
  uint32_t computeInstance;
} HRProcessUse;

/// nvmlProcessUtilizationSample_t, percent of time.
typedef struct {
  uint32_t process;
  unsigned long long timestampMicroseconds;
  uint32_t sm, memory, encoder, decoder;
} HRProcessUtilization;

/// nvmlGpmMetric_t.
typedef struct {
  uint32_t identifier;
  HRManagementResult status;
  double value;
  char *shortName, *longName, *unit;
} HRCounter;

enum { HR_COUNTERS_MAX = 1024 };

/// nvmlGpmMetricsGet_t; more counters than any version has, so that whatever a library writes fits.
typedef struct {
  uint32_t version;
  uint32_t count;
  HRCounterSample first, second;
  HRCounter counters[HR_COUNTERS_MAX];
} HRCounterRequest;

/// nvmlGpmSupport_t.
typedef struct {
  uint32_t version;
  uint32_t isSupported;
} HRCounterSupport;

#define HEADROOM_MANAGEMENT_FUNCTIONS(F)                                                                                              \
  F(HRManagementResult, nvmlInit_v2, (void))                                                                                          \
  F(HRManagementResult, nvmlShutdown, (void))                                                                                         \
  F(const char *, nvmlErrorString, (HRManagementResult result))                                                                       \
  F(HRManagementResult, nvmlSystemGetDriverVersion, (char *version, uint32_t length))                                                 \
  F(HRManagementResult, nvmlDeviceGetCount_v2, (uint32_t * count))                                                                    \
  F(HRManagementResult, nvmlDeviceGetHandleByIndex_v2, (uint32_t index, HRManagedDevice * device))                                    \
  F(HRManagementResult, nvmlDeviceGetName, (HRManagedDevice device, char *name, uint32_t length))                                     \
  F(HRManagementResult, nvmlDeviceGetUUID, (HRManagedDevice device, char *uuid, uint32_t length))                                     \
  F(HRManagementResult, nvmlDeviceGetUtilizationRates, (HRManagedDevice device, HRUtilization * utilization))                         \
  F(HRManagementResult, nvmlDeviceGetClockInfo, (HRManagedDevice device, int32_t type, uint32_t * megahertz))                         \
  F(HRManagementResult, nvmlDeviceGetMaxClockInfo, (HRManagedDevice device, int32_t type, uint32_t * megahertz))                      \
  F(HRManagementResult, nvmlDeviceGetPowerUsage, (HRManagedDevice device, uint32_t * milliwatts))                                     \
  F(HRManagementResult, nvmlDeviceGetEnforcedPowerLimit, (HRManagedDevice device, uint32_t * milliwatts))                             \
  F(HRManagementResult, nvmlDeviceGetMemoryInfo, (HRManagedDevice device, HRMemoryUse * memory))                                      \
  F(HRManagementResult, nvmlDeviceGetComputeRunningProcesses_v3, (HRManagedDevice device, uint32_t * count, HRProcessUse * processes)) \
  F(HRManagementResult, nvmlDeviceGetProcessUtilization,                                                                              \
    (HRManagedDevice device, HRProcessUtilization * samples, uint32_t * count, unsigned long long sinceMicroseconds))                 \
  F(HRManagementResult, nvmlDeviceGetCurrentClocksThrottleReasons, (HRManagedDevice device, unsigned long long *reasons))             \
  F(HRManagementResult, nvmlGpmSampleAlloc, (HRCounterSample * sample))                                                               \
  F(HRManagementResult, nvmlGpmSampleFree, (HRCounterSample sample))                                                                  \
  F(HRManagementResult, nvmlGpmSampleGet, (HRManagedDevice device, HRCounterSample sample))                                           \
  F(HRManagementResult, nvmlGpmMigSampleGet, (HRManagedDevice device, uint32_t gpuInstance, HRCounterSample sample))                  \
  F(HRManagementResult, nvmlDeviceGetMigMode, (HRManagedDevice device, uint32_t * current, uint32_t * pending))                       \
  F(HRManagementResult, nvmlDeviceGetMaxMigDeviceCount, (HRManagedDevice device, uint32_t * count))                                   \
  F(HRManagementResult, nvmlDeviceGetMigDeviceHandleByIndex,                                                                          \
    (HRManagedDevice device, uint32_t index, HRManagedDevice * instance))                                                             \
  F(HRManagementResult, nvmlDeviceGetGpuInstanceId, (HRManagedDevice instance, uint32_t * identifier))                                \
  F(HRManagementResult, nvmlGpmMetricsGet, (HRCounterRequest * request))                                                              \
  F(HRManagementResult, nvmlGpmQueryDeviceSupport, (HRManagedDevice device, HRCounterSupport * support))

typedef struct {
  HEADROOM_MANAGEMENT_FUNCTIONS(HEADROOM_FIELD)
} HRManagementTable;

#if defined(__clang__)
#pragma clang diagnostic pop
#endif
