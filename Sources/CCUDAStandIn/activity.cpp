// libcupti's entry points: records of what streams executed, in buffers that the program brings; buffers come late and records are dropped when
// a test asks for it.
#include <unistd.h>

#include <cstring>

#include "CCUDAStandIn.h"
#include "state.h"

using namespace headroom;

namespace {
struct Activity {
  bool isHeld = false;
  int subscribed = 0;
  std::set<int32_t> kinds;
  HRBufferRequested requested = nullptr;
  HRBufferCompleted completed = nullptr;
  HRTimestamp timestamp = nullptr;
  uint8_t *buffer = nullptr;
  size_t bytes = 0, used = 0;
  struct Full {
    uint8_t *buffer;
    size_t bytes, used;
  };
  std::vector<Full> full, late;
  size_t toDrop = 0, dropped = 0, lateEvery = 0, buffers = 0;
  std::set<std::string> names;
};

Activity &activity() {
  static Activity *made = new Activity;
  return *made;
}

enum { recordAlignment = 8, subscribedAlready = HR_ACTIVITY_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED };

/// Records of all kinds begin with their kind; their sizes are those of CUDA 13's structures.
size_t recordBytes(uint32_t kind) {
  switch (kind) {
    case HR_KIND_KERNEL:
    case HR_KIND_CONCURRENT_KERNEL: return 240;
    case HR_KIND_MEMCPY: return 128;
    case HR_KIND_MEMSET: return 120;
    default: return 0;
  }
}

void write(const void *record, size_t known, uint32_t kind) {
  Activity &a = activity();
  if (!a.requested || !a.kinds.count((int32_t)kind)) return;
  if (a.toDrop > 0) {
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
}  // namespace

namespace headroom {
uint64_t timestamp() {
  Activity &a = activity();
  return a.timestamp ? a.timestamp() : nowNanoseconds();
}

void resetActivity() { activity() = Activity(); }

void noteExecuted(const Operation &operation, const Stream &stream, uint64_t start, uint64_t end) {
  switch (operation.kind) {
    case HR_KIND_CONCURRENT_KERNEL: {
      HRKernelRecord record = operation.kernel;
      // Names live as long as the library, as CUPTI's do.
      record.name = activity().names.insert(operation.kernelName).first->c_str();
      record.start = start;
      record.end = end;
      record.contextId = 1;
      record.streamId = (uint32_t)stream.id;
      write(&record, sizeof record, HR_KIND_CONCURRENT_KERNEL);
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
  return HR_ACTIVITY_SUCCESS;
}

HRActivityResult cuptiActivityDisable(int32_t kind) {
  Lock lock(state().mutex);
  activity().kinds.erase(kind);
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
    if (flags & HR_ACTIVITY_FLUSH_FORCED && a.buffer) {
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

HRActivityResult cuptiGetCallbackName(int32_t, uint32_t, const char **name) {
  *name = "cuLaunchKernel";
  return HR_ACTIVITY_SUCCESS;
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
