// libcupti's entry points: records of what streams executed and of the driver's calls, in buffers that the program brings; buffers come late,
// records are dropped, times are wrong and another tool is in the way when a test asks for it.
#include "activity.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "CCUDAStandIn.h"

using namespace headroom;

namespace {
/// `HEADROOM_STANDIN_ACTIVITY=drop=5,late=2,held=1,zero=1,reverse=1,early=1,every=100,repeat=1000,takeover=100,serialize=1`: what goes wrong in a program
/// of its own, where no test can call. See CCUDAStandIn.h.
size_t asked(const char *what) {
  const char *text = getenv("HEADROOM_STANDIN_ACTIVITY");
  std::string key = std::string(what) + "=";
  for (const char *at = text; at && *at; at = strchr(at, ',') ? strchr(at, ',') + 1 : nullptr) {
    if (strncmp(at, key.c_str(), key.size()) == 0) return strtoul(at + key.size(), nullptr, 10);
  }
  return 0;
}

struct Activity {
  bool isHeld = asked("held") > 0, serializes = asked("serialize") > 0;
  int subscribed = 0;
  std::set<int32_t> kinds;
  std::set<uint32_t> calls, runtimeCalls;
  HRBufferRequested requested = nullptr;
  HRBufferCompleted completed = nullptr;
  HRTimestamp timestamp = nullptr;
  /// From the monotonic clock to the one that records are in.
  int64_t offset = 0;
  bool hasSystemThreads = false;
  uint8_t *buffer = nullptr;
  size_t bytes = 0, used = 0;
  struct Full {
    uint8_t *buffer;
    size_t bytes, used;
  };
  std::vector<Full> full, late;
  size_t toDrop = asked("drop"), dropped = 0, lateEvery = asked("late"), buffers = 0;
  size_t zeroStarts = asked("zero"), reversed = asked("reverse"), early = asked("early"), untilTaken = asked("takeover");
  /// Records of one executed kernel; of how many one is disturbed; records so far.
  size_t repeat = std::max<size_t>(1, asked("repeat")), every = std::max<size_t>(1, asked("every")), kernels = 0, written = 0;
  std::set<std::string> names;
};

Activity &activity() {
  static Activity *made = new Activity;
  return *made;
}

constexpr HRActivityResult invalidParameter = 1, subscribedAlready = HR_ACTIVITY_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED;

/// Records of all kinds begin with their kind; their sizes are those of CUDA 13's structures.
size_t recordBytes(uint32_t kind) {
  switch (kind) {
    case HR_KIND_KERNEL:
    case HR_KIND_CONCURRENT_KERNEL: return 240;
    case HR_KIND_MEMCPY: return 128;
    case HR_KIND_MEMSET: return 120;
    case HR_KIND_DRIVER:
    case HR_KIND_RUNTIME: return 40;
    case HR_KIND_SYNCHRONIZATION:
    case HR_KIND_OVERHEAD:
    case HR_KIND_GRAPH_TRACE: return 56;
    case HR_KIND_CUDA_EVENT: return 80;
    case HR_KIND_DEVICE: return 248;
    default: return 0;
  }
}

uint8_t thiefsBuffer[64 << 10];
void thiefsRequest(uint8_t **buffer, size_t *bytes, size_t *maximum) {
  *buffer = thiefsBuffer;
  *bytes = sizeof thiefsBuffer;
  *maximum = 0;
}
void thiefsCompletion(HRContext, uint32_t, uint8_t *, size_t, size_t) {}

void write(const void *record, size_t known, uint32_t kind, bool isAsked) {
  Activity &a = activity();
  if (!a.requested || !isAsked) return;
  if (a.untilTaken > 0 && --a.untilTaken == 0) {
    // Another tool registers its own, with what buffer is begun.
    a.requested = thiefsRequest;
    a.completed = thiefsCompletion;
  }
  if (a.toDrop > 0 && ++a.written % a.every == 0) {
    a.toDrop--;
    a.dropped++;
    return;
  }
  size_t bytes = recordBytes(kind);
  if (a.buffer && a.bytes - a.used < bytes) {
    a.full.push_back({a.buffer, a.bytes, a.used});
    a.buffer = nullptr;
  }
  if (!a.buffer) {
    size_t maximum = 0;
    a.requested(&a.buffer, &a.bytes, &maximum);
    a.used = 0;
    if (!a.buffer || a.bytes < bytes) {
      a.buffer = nullptr;
      a.dropped++;
      return;
    }
  }
  memset(a.buffer + a.used, 0, bytes);
  memcpy(a.buffer + a.used, record, known);
  a.used += bytes;
}

void write(const void *record, size_t known, uint32_t kind) { write(record, known, kind, activity().kinds.count((int32_t)kind) > 0); }

uint64_t stamped(uint64_t monotonic) { return monotonic + (uint64_t)activity().offset; }

uint64_t realtime() {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

/// As CUPTI's: a clock that nobody chose is the calendar's.
void measureOffset() {
  Activity &a = activity();
  uint64_t before = nowNanoseconds();
  a.offset = (int64_t)((a.timestamp ? a.timestamp() : realtime()) - before);
  // Two readings of one clock, a moment apart.
  if (a.offset > -10000 && a.offset < 10000) a.offset = 0;
}

uint32_t threadNumber() { return activity().hasSystemThreads ? (uint32_t)gettid() : (uint32_t)(uintptr_t)pthread_self(); }

void writeDevice() {
  HRDeviceRecord record{};
  record.kind = HR_KIND_DEVICE;
  record.memoryBandwidth = 1000000;
  record.memoryBytes = state().memory;
  record.l2CacheBytes = 4 << 20;
  record.threadsPerWarp = 32;
  record.clockRate = 1000000;
  record.multiprocessors = 8;
  record.maxWarpsPerMultiprocessor = 64;
  record.maxBlocksPerMultiprocessor = 32;
  record.maxSharedMemoryPerMultiprocessor = 228 << 10;
  record.maxRegistersPerMultiprocessor = 65536;
  record.computeMajor = 9;
  record.name = "stand-in GPU";
  memcpy(record.uuid.bytes, "stand-in GPU 000", 16);
  write(&record, sizeof record, HR_KIND_DEVICE);
}
}  // namespace

namespace headroom {
void resetActivity() { activity() = Activity(); }

bool isSerialized() { return activity().serializes || activity().kinds.count(HR_KIND_KERNEL) > 0; }

void noteCall(uint32_t number, bool isRuntime, uint32_t correlation, int32_t result, uint64_t start, uint64_t end) {
  uint32_t kind = isRuntime ? HR_KIND_RUNTIME : HR_KIND_DRIVER;
  HRCallRecord record{kind, number, stamped(start), stamped(end), (uint32_t)getpid(), threadNumber(), correlation, (uint32_t)result};
  auto &single = isRuntime ? activity().runtimeCalls : activity().calls;
  write(&record, sizeof record, kind, activity().kinds.count((int32_t)kind) || single.count(number));
}

void noteSynchronization(int32_t type, uint32_t stream, uint32_t event, uint64_t start, uint64_t end) {
  HRSynchronizationRecord record{HR_KIND_SYNCHRONIZATION, (uint32_t)type, stamped(start), stamped(end), currentCorrelation(), 1, stream, event};
  write(&record, sizeof record, HR_KIND_SYNCHRONIZATION);
}

void noteEvent(uint32_t stream, uint32_t event) {
  HREventRecord record{};
  record.kind = HR_KIND_CUDA_EVENT;
  record.correlationId = currentCorrelation();
  record.contextId = 1;
  record.streamId = stream;
  record.eventId = event;
  write(&record, sizeof record, HR_KIND_CUDA_EVENT);
}

void noteOverhead(uint32_t kind, uint64_t start, uint64_t end) {
  HROverheadRecord record{};
  record.kind = HR_KIND_OVERHEAD;
  record.overheadKind = kind;
  record.objectKind = HR_OBJECT_THREAD;
  record.object[0] = (uint32_t)getpid();
  record.object[1] = threadNumber();
  record.start = stamped(start);
  record.end = stamped(end);
  record.correlationId = currentCorrelation();
  write(&record, sizeof record, HR_KIND_OVERHEAD);
}

namespace {
void writeKernel(const Operation &operation, const Stream &stream, uint64_t start, uint64_t end) {
  Activity &a = activity();
  HRKernelRecord record = operation.kernel;
  // Names live as long as the library, as CUPTI's do.
  record.name = a.names.insert(operation.kernelName).first->c_str();
  record.start = start;
  record.end = end;
  if (++a.kernels % a.every == 0) {
    if (a.zeroStarts > 0) {
      a.zeroStarts--;
      record.start = 0;
    } else if (a.reversed > 0) {
      a.reversed--;
      record.end = start - 1;
    } else if (a.early > 0) {
      a.early--;
      record.start -= 1000000000;
    }
  }
  record.contextId = 1;
  record.streamId = (uint32_t)stream.id;
  record.kind = a.kinds.count(HR_KIND_KERNEL) ? HR_KIND_KERNEL : HR_KIND_CONCURRENT_KERNEL;
  write(&record, sizeof record, record.kind);
}
}  // namespace

void noteExecuted(const Operation &operation, const Stream &stream, uint64_t start, uint64_t end) {
  Activity &a = activity();
  if (operation.graph && a.kinds.count(HR_KIND_GRAPH_TRACE)) {
    GraphRun &run = *operation.graph;
    run.start = std::min(run.start, start);
    run.end = std::max(run.end, end);
    if (--run.left == 0) {
      HRGraphRecord record{
        HR_KIND_GRAPH_TRACE, run.correlation, stamped(run.start), stamped(run.end), 0, run.graph, 1, (uint32_t)stream.id};
      write(&record, sizeof record, HR_KIND_GRAPH_TRACE);
    }
    return;
  }
  start = stamped(start);
  end = stamped(end);
  switch (operation.kind) {
    case HR_KIND_CONCURRENT_KERNEL: {
      // Where more records are asked for than kernels are executed, they share its time, one after the other, as the nodes of a graph would.
      uint64_t each = std::max<uint64_t>(1, (end - start) / a.repeat);
      for (size_t index = 0; index < a.repeat; index++) {
        uint64_t begun = a.repeat == 1 ? start : start + index * each;
        writeKernel(operation, stream, begun, a.repeat == 1 ? end : begun + each);
      }
      break;
    }
    case HR_KIND_MEMCPY: {
      HRCopyRecord record = operation.copy;
      record.start = start;
      record.end = end;
      record.contextId = 1;
      record.streamId = (uint32_t)stream.id;
      write(&record, sizeof record, HR_KIND_MEMCPY);
      break;
    }
    case HR_KIND_MEMSET: {
      HRMemsetRecord record = operation.memset;
      record.start = start;
      record.end = end;
      record.contextId = 1;
      record.streamId = (uint32_t)stream.id;
      write(&record, sizeof record, HR_KIND_MEMSET);
      break;
    }
    default: break;
  }
}
}  // namespace headroom

HRActivityResult cuptiGetVersion(uint32_t *version) {
  *version = 130000;
  return HR_ACTIVITY_SUCCESS;
}

HRActivityResult cuptiGetResultString(HRActivityResult result, const char **text) {
  *text = result == subscribedAlready ? "CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED" : "CUPTI_ERROR";
  return HR_ACTIVITY_SUCCESS;
}

HRActivityResult cuptiSubscribe(HRSubscriber *subscriber, HRCallback, void *) {
  Lock lock(state().mutex);
  // The real one recurses without end where the driver is missing.
  if (!state().isInitialized) complain("cuptiSubscribe before cuInit");
  if (activity().isHeld || activity().subscribed) return subscribedAlready;
  activity().subscribed = 1;
  *subscriber = (HRSubscriber)&activity();
  measureOffset();
  return HR_ACTIVITY_SUCCESS;
}

HRActivityResult cuptiUnsubscribe(HRSubscriber) {
  Lock lock(state().mutex);
  activity().subscribed = 0;
  return HR_ACTIVITY_SUCCESS;
}

HRActivityResult cuptiActivityEnable(int32_t kind) {
  Lock lock(state().mutex);
  activity().kinds.insert(kind);
  if (kind == HR_KIND_DEVICE) writeDevice();
  return HR_ACTIVITY_SUCCESS;
}

HRActivityResult cuptiActivityDisable(int32_t kind) {
  Lock lock(state().mutex);
  activity().kinds.erase(kind);
  if (kind == HR_KIND_DRIVER) activity().calls.clear();
  if (kind == HR_KIND_RUNTIME) activity().runtimeCalls.clear();
  return HR_ACTIVITY_SUCCESS;
}

HRActivityResult cuptiActivityEnableDriverApi(uint32_t callback, uint8_t isEnabled) {
  Lock lock(state().mutex);
  if (!callName(callback)) return invalidParameter;
  if (isEnabled) {
    activity().calls.insert(callback);
  } else {
    activity().calls.erase(callback);
  }
  return HR_ACTIVITY_SUCCESS;
}

HRActivityResult cuptiActivityEnableRuntimeApi(uint32_t callback, uint8_t isEnabled) {
  Lock lock(state().mutex);
  if (!runtimeCallName(callback)) return invalidParameter;
  if (isEnabled) {
    activity().runtimeCalls.insert(callback);
  } else {
    activity().runtimeCalls.erase(callback);
  }
  return HR_ACTIVITY_SUCCESS;
}

HRActivityResult cuptiActivityEnableHWTrace(uint8_t) { return HR_ACTIVITY_SUCCESS; }

HRActivityResult cuptiSetThreadIdType(int32_t type) {
  Lock lock(state().mutex);
  activity().hasSystemThreads = type == HR_THREAD_NUMBERS_OF_SYSTEM;
  return HR_ACTIVITY_SUCCESS;
}

HRActivityResult cuptiActivityRegisterCallbacks(HRBufferRequested requested, HRBufferCompleted completed) {
  Lock lock(state().mutex);
  activity().requested = requested;
  activity().completed = completed;
  return HR_ACTIVITY_SUCCESS;
}

HRActivityResult cuptiActivityRegisterTimestampCallback(HRTimestamp timestamp) {
  Lock lock(state().mutex);
  if (!activity().kinds.empty()) complain("cuptiActivityRegisterTimestampCallback after a kind was enabled");
  activity().timestamp = timestamp;
  measureOffset();
  return HR_ACTIVITY_SUCCESS;
}

HRActivityResult cuptiActivityFlushAll(uint32_t flags) {
  std::vector<Activity::Full> ready;
  HRBufferCompleted completed;
  {
    Lock lock(state().mutex);
    Activity &a = activity();
    ready.swap(a.full);
    ready.insert(ready.begin(), a.late.begin(), a.late.end());
    a.late.clear();
    // Records are written when they are complete: a buffer that is begun holds no others, and need not be full.
    if (a.buffer && (a.used > 0 || flags & HR_ACTIVITY_FLUSH_FORCED)) {
      ready.push_back({a.buffer, a.bytes, a.used});
      a.buffer = nullptr;
    }
    if (a.lateEvery && !(flags & HR_ACTIVITY_FLUSH_FORCED)) {
      std::vector<Activity::Full> now;
      for (auto &buffer : ready) (++a.buffers % a.lateEvery == 0 ? a.late : now).push_back(buffer);
      ready.swap(now);
    }
    completed = a.completed;
  }
  // Without the lock: the program may call back.
  for (auto &buffer : ready) completed(nullptr, 0, buffer.buffer, buffer.bytes, buffer.used);
  return HR_ACTIVITY_SUCCESS;
}

HRActivityResult cuptiActivityGetNextRecord(uint8_t *buffer, size_t validBytes, uint32_t **record) {
  uint8_t *next = *record ? (uint8_t *)*record + recordBytes(**record) : buffer;
  if (next + 4 > buffer + validBytes) return HR_ACTIVITY_MAX_LIMIT_REACHED;
  *record = (uint32_t *)next;
  return HR_ACTIVITY_SUCCESS;
}

HRActivityResult cuptiActivityGetNumDroppedRecords(HRContext, uint32_t, size_t *dropped) {
  Lock lock(state().mutex);
  *dropped = activity().dropped;
  activity().dropped = 0;
  return HR_ACTIVITY_SUCCESS;
}

HRActivityResult cuptiActivitySetAttribute(int32_t, size_t *, void *) { return HR_ACTIVITY_SUCCESS; }

HRActivityResult cuptiGetCallbackName(int32_t domain, uint32_t callback, const char **name) {
  *name = domain == HR_DOMAIN_DRIVER ? callName(callback) : domain == HR_DOMAIN_RUNTIME ? runtimeCallName(callback) : nullptr;
  return *name ? HRActivityResult(HR_ACTIVITY_SUCCESS) : invalidParameter;
}

extern "C" __attribute__((visibility("default"))) void headroom_standin_disturb_activity(size_t dropped, size_t late) {
  Lock lock(state().mutex);
  activity().toDrop = dropped;
  activity().lateEvery = late;
}

extern "C" __attribute__((visibility("default"))) void headroom_standin_hold_activity(int32_t isHeld) {
  Lock lock(state().mutex);
  activity().isHeld = isHeld != 0;
}
