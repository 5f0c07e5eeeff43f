// What is used of libcupti. Records grow at their end from version to version; only what has stood at the same place in all of CUDA 12 and 13
// is declared. See cuda_driver.h for how it is kept true.
#pragma once
#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wnullability-completeness"
#endif
#include "cuda_driver.h"

typedef int32_t HRActivityResult;
typedef struct HRSubscriberStorage *HRSubscriber;

/// CUptiResult: those that something is decided by.
enum {
  HR_ACTIVITY_SUCCESS = 0,
  HR_ACTIVITY_MAX_LIMIT_REACHED = 12,
  HR_ACTIVITY_NOT_INITIALIZED = 15,
  HR_ACTIVITY_INSUFFICIENT_PRIVILEGES = 35,
  HR_ACTIVITY_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED = 39,
};

/// CUpti_ActivityKind.
enum {
  HR_KIND_MEMCPY = 1,
  HR_KIND_MEMSET = 2,
  HR_KIND_KERNEL = 3,
  HR_KIND_DRIVER = 4,
  HR_KIND_RUNTIME = 5,
  HR_KIND_DEVICE = 8,
  HR_KIND_CONCURRENT_KERNEL = 10,
  HR_KIND_OVERHEAD = 17,
  HR_KIND_CUDA_EVENT = 36,
  HR_KIND_SYNCHRONIZATION = 38,
  HR_KIND_GRAPH_TRACE = 51,
};

/// CUpti_ActivityAttribute, CUpti_ActivityFlag, CUpti_CallbackDomain, CUpti_ActivityThreadIdType, CUpti_ActivityObjectKind,
/// CUpti_ActivitySynchronizationType.
enum {
  HR_ACTIVITY_DEVICE_BUFFER_POOL_LIMIT = 2,
  HR_ACTIVITY_ZEROED_BUFFERS = 5,
  HR_ACTIVITY_DEVICE_BUFFER_PREALLOCATE = 6,
  HR_ACTIVITY_FLUSH_FORCED = 1,
  HR_DOMAIN_DRIVER = 1,
  HR_DOMAIN_RUNTIME = 2,
  HR_THREAD_NUMBERS_OF_SYSTEM = 1,
  HR_OBJECT_THREAD = 2,
  HR_SYNCHRONIZATION_EVENT = 1,
  HR_SYNCHRONIZATION_STREAM_WAIT = 2,
  HR_SYNCHRONIZATION_STREAM = 3,
  HR_SYNCHRONIZATION_CONTEXT = 4,
};

#define HEADROOM_RECORD __attribute__((packed, aligned(8)))

/// The kernel records' common beginning: KIND_KERNEL and KIND_CONCURRENT_KERNEL, CUpti_ActivityKernel9 and later.
typedef struct HEADROOM_RECORD {
  uint32_t kind;
  uint8_t cacheConfiguration;
  uint8_t sharedMemoryConfiguration;
  uint16_t registersPerThread;
  uint32_t partitionedCacheRequested;
  uint32_t partitionedCacheExecuted;
  uint64_t start;
  uint64_t end;
  uint64_t completed;
  uint32_t deviceId;
  uint32_t contextId;
  uint32_t streamId;
  int32_t gridX, gridY, gridZ;
  int32_t blockX, blockY, blockZ;
  int32_t staticSharedMemory;
  int32_t dynamicSharedMemory;
  uint32_t localMemoryPerThread;
  uint32_t localMemoryTotal;
  uint32_t correlationId;
  int64_t gridId;
  const char *name;
  void *reserved;
  uint64_t queued;
  uint64_t submitted;
  uint8_t launchType;
  uint8_t isCarveoutRequested;
  uint8_t carveoutRequested;
  uint8_t padding;
  uint32_t sharedMemoryExecuted;
  uint64_t graphNodeId;
  uint32_t sharedMemoryLimit;
  uint32_t graphId;
  void *accessPolicyWindow;
  uint32_t channelId;
  uint32_t channelType;
  uint32_t clusterX, clusterY, clusterZ;
} HRKernelRecord;

/// CUpti_ActivityMemcpy6 and later, as far as they agree.
typedef struct HEADROOM_RECORD {
  uint32_t kind;
  uint8_t copyKind;
  uint8_t sourceKind;
  uint8_t targetKind;
  uint8_t flags;
  uint64_t bytes;
  uint64_t start;
  uint64_t end;
  uint32_t deviceId;
  uint32_t contextId;
  uint32_t streamId;
  uint32_t correlationId;
  uint32_t runtimeCorrelationId;
  uint32_t padding;
  void *reserved;
  uint64_t graphNodeId;
  uint32_t graphId;
} HRCopyRecord;

/// CUpti_ActivityMemset4 and later, as far as they agree.
typedef struct HEADROOM_RECORD {
  uint32_t kind;
  uint32_t value;
  uint64_t bytes;
  uint64_t start;
  uint64_t end;
  uint32_t deviceId;
  uint32_t contextId;
  uint32_t streamId;
  uint32_t correlationId;
  uint16_t flags;
  uint16_t memoryKind;
  uint32_t padding;
  void *reserved;
  uint64_t graphNodeId;
  uint32_t graphId;
} HRMemsetRecord;

/// CUpti_ActivityAPI: KIND_DRIVER and KIND_RUNTIME.
typedef struct HEADROOM_RECORD {
  uint32_t kind;
  uint32_t callbackId;
  uint64_t start;
  uint64_t end;
  uint32_t processId;
  uint32_t threadId;
  uint32_t correlationId;
  uint32_t returnValue;
} HRCallRecord;

/// CUpti_ActivitySynchronization2.
typedef struct HEADROOM_RECORD {
  uint32_t kind;
  uint32_t type;
  uint64_t start;
  uint64_t end;
  uint32_t correlationId;
  uint32_t contextId;
  uint32_t streamId;
  uint32_t eventId;
} HRSynchronizationRecord;

/// CUpti_ActivityOverhead3; the object's identifier is a union of 12 bytes.
typedef struct HEADROOM_RECORD {
  uint32_t kind;
  uint32_t overheadKind;
  uint32_t objectKind;
  uint32_t object[3];
  uint64_t start;
  uint64_t end;
  uint32_t correlationId;
} HROverheadRecord;

/// CUpti_ActivityDevice5 and later, as far as they agree. Kilobytes per second, kilohertz.
typedef struct HEADROOM_RECORD {
  uint32_t kind;
  uint32_t flags;
  uint64_t memoryBandwidth;
  uint64_t memoryBytes;
  uint32_t constantMemoryBytes;
  uint32_t l2CacheBytes;
  uint32_t threadsPerWarp;
  uint32_t clockRate;
  uint32_t copyEngines;
  uint32_t multiprocessors;
  uint32_t maxInstructionsPerCycle;
  uint32_t maxWarpsPerMultiprocessor;
  uint32_t maxBlocksPerMultiprocessor;
  uint32_t maxSharedMemoryPerMultiprocessor;
  uint32_t maxRegistersPerMultiprocessor;
  uint32_t maxRegistersPerBlock;
  uint32_t maxSharedMemoryPerBlock;
  uint32_t maxThreadsPerBlock;
  uint32_t maxBlock[3];
  uint32_t maxGrid[3];
  uint32_t computeMajor;
  uint32_t computeMinor;
  uint32_t id;
  uint32_t isECCOn;
  HRUUID uuid;
  const char *name;
} HRDeviceRecord;

/// CUpti_ActivityCudaEvent2 and later, as far as they agree.
typedef struct HEADROOM_RECORD {
  uint32_t kind;
  uint32_t correlationId;
  uint32_t contextId;
  uint32_t streamId;
  uint32_t eventId;
  uint32_t padding;
  uint32_t deviceId;
  uint32_t padding2;
  void *reserved;
  uint64_t deviceTime;
  uint64_t synchronizationId;
} HREventRecord;

/// CUpti_ActivityGraphTrace2.
typedef struct HEADROOM_RECORD {
  uint32_t kind;
  uint32_t correlationId;
  uint64_t start;
  uint64_t end;
  uint32_t deviceId;
  uint32_t graphId;
  uint32_t contextId;
  uint32_t streamId;
} HRGraphRecord;

typedef void (*HRBufferRequested)(uint8_t **buffer, size_t *bytes, size_t *maximumRecords);
typedef void (*HRBufferCompleted)(HRContext context, uint32_t streamId, uint8_t *buffer, size_t bytes, size_t validBytes);
typedef uint64_t (*HRTimestamp)(void);
typedef void (*HRCallback)(void *userData, int32_t domain, uint32_t callbackId, const void *data);

#define HEADROOM_ACTIVITY_FUNCTIONS(F)                                                                                                \
  F(HRActivityResult, cuptiGetVersion, (uint32_t * version))                                                                          \
  F(HRActivityResult, cuptiGetResultString, (HRActivityResult result, const char **text))                                             \
  F(HRActivityResult, cuptiSubscribe, (HRSubscriber * subscriber, HRCallback callback, void *userData))                               \
  F(HRActivityResult, cuptiUnsubscribe, (HRSubscriber subscriber))                                                                    \
  F(HRActivityResult, cuptiActivityEnable, (int32_t kind))                                                                            \
  F(HRActivityResult, cuptiActivityDisable, (int32_t kind))                                                                           \
  F(HRActivityResult, cuptiActivityRegisterCallbacks, (HRBufferRequested requested, HRBufferCompleted completed))                     \
  F(HRActivityResult, cuptiActivityRegisterTimestampCallback, (HRTimestamp timestamp))                                                \
  F(HRActivityResult, cuptiActivityFlushAll, (uint32_t flags))                                                                        \
  F(HRActivityResult, cuptiActivityGetNextRecord, (uint8_t * buffer, size_t validBytes, uint32_t * *record))                          \
  F(HRActivityResult, cuptiActivityGetNumDroppedRecords, (HRContext context, uint32_t streamId, size_t *dropped))                     \
  F(HRActivityResult, cuptiActivitySetAttribute, (int32_t attribute, size_t *bytes, void *value))                                     \
  F(HRActivityResult, cuptiGetCallbackName, (int32_t domain, uint32_t callbackId, const char **name))

typedef struct {
  HEADROOM_ACTIVITY_FUNCTIONS(HEADROOM_FIELD)
} HRActivityTable;

/// Functions that a capture is better with and does without: the table's fields are NULL where a library has them not.
#define HEADROOM_ACTIVITY_OPTIONS(F)                                               \
  F(HRActivityResult, cuptiSetThreadIdType, (int32_t type))                        \
  F(HRActivityResult, cuptiActivityEnableDriverApi, (uint32_t callbackId, uint8_t isEnabled)) \
  F(HRActivityResult, cuptiActivityEnableRuntimeApi, (uint32_t callbackId, uint8_t isEnabled)) \
  F(HRActivityResult, cuptiActivityEnableHWTrace, (uint8_t isEnabled))

#define HEADROOM_OPTIONAL_FIELD(result, name, parameters) result(*name) parameters;

typedef struct {
  HEADROOM_ACTIVITY_OPTIONS(HEADROOM_OPTIONAL_FIELD)
} HRActivityOptions;

#if defined(__clang__)
#pragma clang diagnostic pop
#endif
