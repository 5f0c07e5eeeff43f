// libcuda's entry points: contexts, memory, streams, events, modules, launches, graphs.
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

#include <cstring>

#include "fibers.h"
#include "kernels.h"
#include "state.h"

using namespace headroom;

namespace headroom {

State &state() {
  // Never destroyed: programs end with streams that nobody waited for.
  static State *state = [] {
    auto *made = new State;
    applyEnvironment(*made);
    return made;
  }();
  return *state;
}

uint64_t nowNanoseconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

void complain(const std::string &text) {
  state().complaints.push_back(text);
  writeComplaint(text);
}

namespace {
thread_local int currentGeneration = 0;

bool sticks(int32_t code) { return code == 700 || (code >= 702 && code <= 719); }

/// Later of both, of every stream.
void merge(Clock &into, const Clock &from) {
  for (const auto &entry : from) {
    uint64_t &known = into[entry.first];
    known = std::max(known, entry.second);
  }
}

template <class Handle>
std::shared_ptr<Handle> resolve(const char *name, const char *what, const std::vector<std::unique_ptr<std::shared_ptr<Handle>>> &all,
                                const void *handle) {
  for (const auto &held : all) {
    if (held.get() != handle) continue;
    if ((*held)->generation != state().generation) {
      complain(std::string(name) + ": the " + what + " belongs to a context that was destroyed");
      return nullptr;
    }
    return *held;
  }
  complain(std::string(name) + ": this is no " + what);
  return nullptr;
}

template <class Handle, class Public>
std::shared_ptr<Handle> keep(std::vector<std::unique_ptr<std::shared_ptr<Handle>>> &all, std::shared_ptr<Handle> made, Public *result) {
  all.push_back(std::make_unique<std::shared_ptr<Handle>>(made));
  *result = (Public)all.back().get();
  return made;
}

std::shared_ptr<Event> eventOf(const char *name, HREvent handle) {
  auto event = resolve(name, "event", state().events, handle);
  if (event && event->isDestroyed) {
    complain(std::string(name) + ": the event was destroyed");
    return nullptr;
  }
  return event;
}

/// CUPTI's number of an event.
uint32_t eventNumber(const void *handle) {
  for (size_t index = 0; index < state().events.size(); index++) {
    if (state().events[index].get() == handle) return (uint32_t)index + 1;
  }
  return 0;
}

/// The stream with number 0 is the context's own.
std::shared_ptr<Stream> streamNumber(int id) {
  for (const auto &stream : state().streams) {
    if ((*stream)->id == id) return *stream;
  }
  return nullptr;
}

void access(const std::string &what, const Range &range, int stream, uint64_t index, const Clock &clock) {
  State &s = state();
  auto next = s.allocations.upper_bound(range.start);
  if (next == s.allocations.begin()) return;
  Allocation &allocation = std::prev(next)->second;
  if (range.start >= allocation.start + std::max<size_t>(allocation.bytes, 1)) return;
  auto isBefore = [&](int other, uint64_t at) {
    auto known = clock.find(other);
    return other == stream || (known != clock.end() && known->second >= at);
  };
  if (allocation.writer.first >= 0 && !isBefore(allocation.writer.first, allocation.writer.second)) {
    complain(what + (range.isWritten ? " writes" : " reads") + " memory that stream " + std::to_string(allocation.writer.first) +
             " writes, and nothing orders the two");
  }
  if (range.isWritten) {
    for (const auto &reader : allocation.readers) {
      if (!isBefore(reader.first, reader.second)) {
        complain(what + " writes memory that stream " + std::to_string(reader.first) + " reads, and nothing orders the two");
      }
    }
    allocation.writer = {stream, index};
    allocation.readers.clear();
  } else {
    allocation.readers[stream] = index;
  }
}
}  // namespace

Allocation *allocationOf(const char *what, uint64_t start, size_t bytes) {
  State &s = state();
  auto next = s.allocations.upper_bound(start);
  if (next != s.allocations.begin()) {
    Allocation &found = std::prev(next)->second;
    if (start >= found.start && bytes <= found.bytes && start - found.start <= found.bytes - bytes) return &found;
  }
  char text[160];
  snprintf(text, sizeof text, "%s: %zu bytes at 0x%llx lie in no allocation (freed, or out of bounds)", what, bytes, (unsigned long long)start);
  complain(text);
  return nullptr;
}

size_t bytesBehind(uint64_t start) {
  State &s = state();
  auto next = s.allocations.upper_bound(start);
  if (next == s.allocations.begin()) return 0;
  Allocation &found = std::prev(next)->second;
  return start < found.start + found.bytes ? (size_t)(found.start + found.bytes - start) : 0;
}

int32_t enter(const char *name, bool needsContext) {
  State &s = state();
  size_t calls = s.calls[name]++;
  (void)calls;
  auto fault = s.faults.find(name);
  if (fault != s.faults.end() && fault->second.times > 0) {
    if (fault->second.after > 0) {
      fault->second.after--;
    } else {
      fault->second.times--;
      if (sticks(fault->second.code)) s.sticky = fault->second.code;
      return fault->second.code;
    }
  }
  if (!s.isInitialized && strcmp(name, "cuInit") != 0 && strncmp(name, "cu", 2) == 0 && strncmp(name, "cupti", 5) != 0 &&
      strncmp(name, "cublas", 6) != 0) {
    complain(std::string(name) + " before cuInit");
    return HR_ERROR_NOT_INITIALIZED;
  }
  if (!needsContext) return HR_SUCCESS;
  if (currentGeneration == 0) {
    complain(std::string(name) + ": no context is current on this thread");
    return HR_ERROR_INVALID_CONTEXT;
  }
  if (currentGeneration != s.generation || s.retained == 0) {
    complain(std::string(name) + ": the context that is current on this thread was destroyed");
    return HR_ERROR_CONTEXT_IS_DESTROYED;
  }
  return s.sticky;
}

std::shared_ptr<Stream> streamOf(const char *name, HRStream handle) {
  State &s = state();
  if (handle == nullptr) {
    auto known = streamNumber(0);
    if (known && known->generation == s.generation) return known;
    if (known) known->id = -100 - known->generation;
    auto made = std::make_shared<Stream>();
    made->id = 0;
    made->generation = s.generation;
    s.streams.push_back(std::make_unique<std::shared_ptr<Stream>>(made));
    return made;
  }
  auto stream = resolve(name, "stream", s.streams, handle);
  if (stream && stream->isDestroyed) {
    complain(std::string(name) + ": the stream was destroyed");
    return nullptr;
  }
  return stream;
}

int32_t enqueue(const char *name, HRStream handle, Operation operation) {
  State &s = state();
  auto stream = streamOf(name, handle);
  if (!stream) return HR_ERROR_INVALID_HANDLE;
  if (stream->capture) {
    stream->capture->operations.push_back(std::move(operation));
    return HR_SUCCESS;
  }
  Queued queued;
  queued.clock = stream->clock;
  merge(queued.clock, s.host);
  uint64_t index = ++stream->queued;
  queued.clock[stream->id] = index;
  stream->clock = queued.clock;
  for (const Range &range : operation.ranges) access(std::string(name) + " (" + operation.what + ")", range, stream->id, index, queued.clock);
  queued.operation = std::move(operation);
  queued.time = nowNanoseconds();
  stream->queue.push_back(std::move(queued));
  return HR_SUCCESS;
}

void execute(int id, uint64_t index) {
  auto stream = streamNumber(id);
  while (stream && stream->executed < index && !stream->queue.empty()) {
    Queued next = std::move(stream->queue.front());
    stream->queue.pop_front();
    stream->executed++;
    if (next.waitsForStream >= 0) {
      execute(next.waitsForStream, next.waitsForIndex);
      stream->freeAt = std::max(stream->freeAt, next.waitsFor->time);
    }
    if (next.operation.run && state().sticky == 0) {
      bool isAlive = true;
      for (const Range &range : next.operation.ranges) {
        isAlive = allocationOf((next.operation.what + ", when it ran").c_str(), range.start, range.bytes) != nullptr && isAlive;
      }
      if (isAlive) {
        uint64_t began = nowNanoseconds();
        std::string problem = next.operation.run();
        if (!problem.empty()) complain(next.operation.what + ": " + problem);
        static uint64_t lastKernelEnd = 0;
        bool isKernel = next.operation.kind == HR_KIND_CONCURRENT_KERNEL;
        uint64_t start = std::max(stream->freeAt, next.time);
        if (isKernel && isSerialized()) start = std::max(start, lastKernelEnd);
        stream->freeAt = start + (nowNanoseconds() - began);
        if (isKernel) lastKernelEnd = std::max(lastKernelEnd, stream->freeAt);
        noteExecuted(next.operation, *stream, start, stream->freeAt);
      } else {
        state().sticky = HR_ERROR_ILLEGAL_ADDRESS;
      }
    }
    if (next.records) next.records->time = stream->freeAt = std::max(stream->freeAt, next.time);
  }
}

namespace {
/// The host has waited for these operations: what they did is over for it.
void joined(const Clock &clock) { merge(state().host, clock); }

int32_t synchronize(Stream &stream) {
  execute(stream.id, stream.queued);
  joined(stream.clock);
  return state().sticky;
}

/// While a stream captures, calls that wait or allocate end the capture: those of the thread that captures, or of any thread where the capture is
/// global, as its mode says.
bool spoilsCapture(const char *name) {
  bool hasSpoilt = false;
  for (const auto &stream : state().streams) {
    if ((*stream)->capture && ((*stream)->capture->mode != HR_CAPTURE_THREAD_LOCAL || (*stream)->capture->capturer == std::this_thread::get_id())) {
      (*stream)->capture->isValid = false;
      hasSpoilt = true;
      complain(std::string(name) + " while a stream captures");
    }
  }
  return hasSpoilt;
}
}  // namespace
}  // namespace headroom

#define ENTER(needsContext)                                           \
  Lock lock(state().mutex);                                           \
  if (int32_t code = enter(__func__, needsContext)) return code;

// Under the names of the C interface, in a namespace: calls.cpp exports each with CUPTI's record around it.
namespace headroom::driver {

// MARK: - Device and context

namespace {
/// As the driver does: a library named by the environment is loaded and told, once, when the program starts CUDA.
void loadInjection() {
  static std::once_flag once;
  std::call_once(once, [] {
    const char *path = getenv("CUDA_INJECTION64_PATH");
    void *library = path && *path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : nullptr;
    void *entry = library ? dlsym(library, "InitializeInjection") : nullptr;
    // Used, so that it is a call from this library and no jump: who calls is how the library tells the driver.
    if (entry && ((int (*)(void))entry)() != 1) complain("InitializeInjection refused");
  });
}
}  // namespace

HRResult cuInit(uint32_t) {
  {
    ENTER(false)
    state().isInitialized = true;
  }
  loadInjection();
  return HR_SUCCESS;
}

HRResult cuDriverGetVersion(int32_t *version) {
  ENTER(false)
  *version = 13000;
  return HR_SUCCESS;
}

HRResult cuGetErrorName(HRResult error, const char **name) {
  switch (error) {
    case HR_SUCCESS: *name = "CUDA_SUCCESS"; break;
    case HR_ERROR_INVALID_VALUE: *name = "CUDA_ERROR_INVALID_VALUE"; break;
    case HR_ERROR_OUT_OF_MEMORY: *name = "CUDA_ERROR_OUT_OF_MEMORY"; break;
    case HR_ERROR_ILLEGAL_ADDRESS: *name = "CUDA_ERROR_ILLEGAL_ADDRESS"; break;
    case HR_ERROR_LAUNCH_FAILED: *name = "CUDA_ERROR_LAUNCH_FAILED"; break;
    case HR_ERROR_NOT_READY: *name = "CUDA_ERROR_NOT_READY"; break;
    case HR_ERROR_INVALID_HANDLE: *name = "CUDA_ERROR_INVALID_HANDLE"; break;
    case HR_ERROR_INVALID_CONTEXT: *name = "CUDA_ERROR_INVALID_CONTEXT"; break;
    default: *name = "CUDA_ERROR"; break;
  }
  return HR_SUCCESS;
}

HRResult cuGetErrorString(HRResult error, const char **text) {
  *text = error == HR_ERROR_OUT_OF_MEMORY ? "out of memory" : error == HR_ERROR_ILLEGAL_ADDRESS ? "an illegal memory access was encountered" : "failed";
  return HR_SUCCESS;
}

HRResult cuDeviceGetCount(int32_t *count) {
  ENTER(false)
  *count = 1;
  return HR_SUCCESS;
}

HRResult cuDeviceGet(HRDevice *device, int32_t ordinal) {
  ENTER(false)
  if (ordinal != 0) return HR_ERROR_INVALID_DEVICE;
  *device = 0;
  return HR_SUCCESS;
}

HRResult cuDeviceGetName(char *name, int32_t length, HRDevice) {
  ENTER(false)
  snprintf(name, (size_t)length, "stand-in GPU");
  return HR_SUCCESS;
}

HRResult cuDeviceGetAttribute(int32_t *value, int32_t attribute, HRDevice) {
  ENTER(false)
  switch (attribute) {
    case HR_DEVICE_MAX_THREADS_PER_BLOCK: *value = 1024; break;
    case HR_DEVICE_MAX_GRID_X: *value = INT32_MAX; break;
    case HR_DEVICE_MAX_GRID_Y: *value = 65535; break;
    case HR_DEVICE_MAX_SHARED_PER_BLOCK: *value = 48 * 1024; break;
    case HR_DEVICE_CLOCK_KILOHERTZ: *value = 1000000; break;
    case HR_DEVICE_SM_COUNT: *value = 8; break;
    case HR_DEVICE_L2_BYTES: *value = 4 << 20; break;
    case HR_DEVICE_MAX_THREADS_PER_SM: *value = 2048; break;
    case HR_DEVICE_COMPUTE_MAJOR: *value = 9; break;
    case HR_DEVICE_COMPUTE_MINOR: *value = 0; break;
    case HR_DEVICE_MAX_SHARED_PER_SM: *value = 228 * 1024; break;
    case HR_DEVICE_MAX_SHARED_PER_BLOCK_OPTIN: *value = 227 * 1024; break;
    default: return HR_ERROR_INVALID_VALUE;
  }
  return HR_SUCCESS;
}

HRResult cuDeviceTotalMem_v2(size_t *bytes, HRDevice) {
  ENTER(false)
  *bytes = state().memory;
  return HR_SUCCESS;
}

HRResult cuDeviceGetUuid_v2(HRUUID *uuid, HRDevice) {
  ENTER(false)
  memcpy(uuid->bytes, "stand-in GPU 000", 16);
  return HR_SUCCESS;
}

HRResult cuDevicePrimaryCtxRetain(HRContext *context, HRDevice) {
  ENTER(false)
  state().retained++;
  *context = (HRContext)(uintptr_t)(0x1000 + state().generation);
  return HR_SUCCESS;
}

HRResult cuDevicePrimaryCtxReset_v2(HRDevice) {
  ENTER(false)
  State &s = state();
  for (const auto &stream : s.streams) {
    (*stream)->queue.clear();
    (*stream)->capture = nullptr;
  }
  for (auto next = s.allocations.begin(); next != s.allocations.end();) {
    if (!next->second.isRegistered) free((void *)(uintptr_t)next->second.start);
    next = s.allocations.erase(next);
  }
  s.used = 0;
  s.sticky = 0;
  s.generation++;
  return HR_SUCCESS;
}

HRResult cuDevicePrimaryCtxRelease_v2(HRDevice device) {
  ENTER(false)
  if (state().stale > 0) {
    state().stale--;
    return HR_SUCCESS;
  }
  if (state().retained == 0) return HR_ERROR_INVALID_CONTEXT;
  if (--state().retained == 0) return cuDevicePrimaryCtxReset_v2(device);
  return HR_SUCCESS;
}

HRResult cuCtxSetCurrent(HRContext context) {
  ENTER(false)
  currentGeneration = context ? (int)((uintptr_t)context - 0x1000) : 0;
  if (context && currentGeneration != state().generation) {
    complain("cuCtxSetCurrent: the context was destroyed");
    return HR_ERROR_CONTEXT_IS_DESTROYED;
  }
  return HR_SUCCESS;
}

HRResult cuCtxGetCurrent(HRContext *context) {
  ENTER(false)
  *context = currentGeneration ? (HRContext)(uintptr_t)(0x1000 + currentGeneration) : nullptr;
  return HR_SUCCESS;
}

HRResult cuCtxSynchronize(void) {
  ENTER(true)
  if (spoilsCapture(__func__)) return HR_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  uint64_t start = nowNanoseconds();
  for (size_t index = 0; index < state().streams.size(); index++) {
    auto stream = *state().streams[index];
    if (stream->generation == state().generation) synchronize(*stream);
  }
  noteSynchronization(HR_SYNCHRONIZATION_CONTEXT, UINT32_MAX, 0, start, nowNanoseconds());
  return state().sticky;
}

// MARK: - Memory

namespace {
int32_t allocate(const char *name, uint64_t *address, size_t bytes, bool isPinned) {
  State &s = state();
  if (spoilsCapture(name)) return HR_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  if (bytes == 0) return HR_ERROR_INVALID_VALUE;
  if (!isPinned && (bytes > s.memory || s.used > s.memory - bytes)) return HR_ERROR_OUT_OF_MEMORY;
  void *memory = nullptr;
  // 256 bytes, as the driver aligns; poisoned, so that nobody relies on what was there: a not-a-number in every floating-point type.
  if (posix_memalign(&memory, 256, (bytes + 255) / 256 * 256) != 0) return HR_ERROR_OUT_OF_MEMORY;
  memset(memory, 0xff, bytes);
  *address = (uint64_t)(uintptr_t)memory;
  s.allocations[*address] = Allocation{*address, bytes, isPinned, s.generation, {-2, 0}, {}};
  if (!isPinned) s.used += bytes;
  return HR_SUCCESS;
}

int32_t release(const char *name, uint64_t address, bool isPinned, bool isRegistered = false) {
  State &s = state();
  if (address == 0) return HR_SUCCESS;
  auto found = s.allocations.find(address);
  if (found == s.allocations.end() || found->second.isPinned != isPinned || found->second.isRegistered != isRegistered) {
    complain(std::string(name) + ": nothing is allocated there (freed twice?)");
    return HR_ERROR_INVALID_VALUE;
  }
  // The driver waits for the device before it frees; work that is queued still sees the memory, work queued later does not.
  for (size_t index = 0; index < s.streams.size(); index++) {
    auto stream = *s.streams[index];
    if (stream->generation == s.generation) execute(stream->id, stream->queued);
  }
  if (!isPinned) s.used -= found->second.bytes;
  if (!isRegistered) {
    memset((void *)(uintptr_t)address, 0xff, found->second.bytes);
    free((void *)(uintptr_t)address);
  }
  s.allocations.erase(found);
  return HR_SUCCESS;
}
}  // namespace

HRResult cuMemGetInfo_v2(size_t *available, size_t *total) {
  ENTER(true)
  *available = state().memory - state().used;
  *total = state().memory;
  return HR_SUCCESS;
}

HRResult cuMemAlloc_v2(HRDevicePointer *address, size_t bytes) {
  ENTER(true)
  return allocate(__func__, address, bytes, false);
}

HRResult cuMemFree_v2(HRDevicePointer address) {
  ENTER(true)
  return release(__func__, address, false);
}

HRResult cuMemAllocHost_v2(void **address, size_t bytes) {
  ENTER(true)
  uint64_t made = 0;
  int32_t code = allocate(__func__, &made, bytes, true);
  *address = (void *)(uintptr_t)made;
  return code;
}

HRResult cuMemFreeHost(void *address) {
  ENTER(true)
  return release(__func__, (uint64_t)(uintptr_t)address, true);
}

HRResult cuMemHostRegister_v2(void *address, size_t bytes, unsigned int) {
  ENTER(true)
  if (spoilsCapture(__func__)) return HR_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  if (!address || bytes == 0) return HR_ERROR_INVALID_VALUE;
  State &s = state();
  uint64_t start = (uint64_t)(uintptr_t)address;
  // Pages are registered, as a whole and once.
  auto after = s.allocations.lower_bound(start);
  bool meetsNext = after != s.allocations.end() && after->first < start + bytes;
  bool meetsEarlier = after != s.allocations.begin() && std::prev(after)->second.start + std::prev(after)->second.bytes > start;
  if (start % 4096 != 0 || bytes % 4096 != 0 || meetsNext || meetsEarlier) {
    complain(std::string(__func__) + ": pages that are registered or allocated already, or parts of pages");
    return HR_ERROR_INVALID_VALUE;
  }
  memset(address, 0xff, bytes);
  s.allocations[start] = Allocation{start, bytes, true, s.generation, {-2, 0}, {}, true};
  return HR_SUCCESS;
}

HRResult cuMemHostUnregister(void *address) {
  ENTER(true)
  return release(__func__, (uint64_t)(uintptr_t)address, true, true);
}

namespace {
int32_t copy(const char *name, uint64_t target, uint64_t source, size_t bytes, int kind, HRStream stream) {
  if (bytes == 0) return HR_SUCCESS;
  Operation operation;
  operation.what = "copy of " + std::to_string(bytes) + " bytes";
  bool isFromHost = kind == 1, isToHost = kind == 2;
  if (!isFromHost && !allocationOf(name, source, bytes)) return HR_ERROR_INVALID_VALUE;
  if (!isToHost && !allocationOf(name, target, bytes)) return HR_ERROR_INVALID_VALUE;
  // Pageable memory is copied away before the call returns; pinned memory is read when its turn comes.
  bool isPinned = (isFromHost || isToHost) && bytesBehind(isFromHost ? source : target) >= bytes;
  auto kept = std::make_shared<std::vector<unsigned char>>();
  if (isFromHost && !isPinned) kept->assign((unsigned char *)(uintptr_t)source, (unsigned char *)(uintptr_t)source + bytes);
  if (!isFromHost || isPinned) operation.ranges.push_back({source, bytes, false});
  if (!isToHost || isPinned) operation.ranges.push_back({target, bytes, true});
  operation.run = [=] {
    memmove((void *)(uintptr_t)target, kept->empty() ? (const void *)(uintptr_t)source : kept->data(), bytes);
    return std::string();
  };
  operation.kind = HR_KIND_MEMCPY;
  operation.copy.kind = HR_KIND_MEMCPY;
  operation.copy.copyKind = (uint8_t)kind;
  operation.copy.sourceKind = isFromHost ? (isPinned ? 2 : 1) : 3;
  operation.copy.targetKind = isToHost ? (isPinned ? 2 : 1) : 3;
  operation.copy.bytes = bytes;
  operation.copy.correlationId = currentCorrelation();
  int32_t code = enqueue(name, stream, std::move(operation));
  // To pageable memory the call itself waits.
  if (code == HR_SUCCESS && isToHost && !isPinned) {
    auto own = streamOf(name, stream);
    if (own->capture) return HR_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    return synchronize(*own);
  }
  return code;
}
}  // namespace

HRResult cuMemcpyHtoD_v2(HRDevicePointer target, const void *source, size_t bytes) {
  ENTER(true)
  if (spoilsCapture(__func__)) return HR_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  if (int32_t code = copy(__func__, target, (uint64_t)(uintptr_t)source, bytes, 1, nullptr)) return code;
  return synchronize(*streamOf(__func__, nullptr));
}

HRResult cuMemcpyDtoH_v2(void *target, HRDevicePointer source, size_t bytes) {
  ENTER(true)
  if (spoilsCapture(__func__)) return HR_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  if (int32_t code = copy(__func__, (uint64_t)(uintptr_t)target, source, bytes, 2, nullptr)) return code;
  return synchronize(*streamOf(__func__, nullptr));
}

HRResult cuMemcpyHtoDAsync_v2(HRDevicePointer target, const void *source, size_t bytes, HRStream stream) {
  ENTER(true)
  return copy(__func__, target, (uint64_t)(uintptr_t)source, bytes, 1, stream);
}

HRResult cuMemcpyDtoHAsync_v2(void *target, HRDevicePointer source, size_t bytes, HRStream stream) {
  ENTER(true)
  return copy(__func__, (uint64_t)(uintptr_t)target, source, bytes, 2, stream);
}

HRResult cuMemcpyDtoDAsync_v2(HRDevicePointer target, HRDevicePointer source, size_t bytes, HRStream stream) {
  ENTER(true)
  return copy(__func__, target, source, bytes, 8, stream);
}

HRResult cuMemsetD8Async(HRDevicePointer target, unsigned char value, size_t count, HRStream stream) {
  ENTER(true)
  if (count == 0) return HR_SUCCESS;
  if (!allocationOf(__func__, target, count)) return HR_ERROR_INVALID_VALUE;
  Operation operation;
  operation.what = "memset of " + std::to_string(count) + " bytes";
  operation.ranges.push_back({target, count, true});
  operation.run = [=] {
    memset((void *)(uintptr_t)target, value, count);
    return std::string();
  };
  operation.kind = HR_KIND_MEMSET;
  operation.memset.kind = HR_KIND_MEMSET;
  operation.memset.value = value;
  operation.memset.bytes = count;
  operation.memset.memoryKind = 3;
  operation.memset.correlationId = currentCorrelation();
  return enqueue(__func__, stream, std::move(operation));
}

// MARK: - Streams and events

HRResult cuStreamCreate(HRStream *stream, uint32_t) {
  ENTER(true)
  static int next = 0;
  auto made = std::make_shared<Stream>();
  made->id = ++next;
  made->generation = state().generation;
  keep(state().streams, made, stream);
  return HR_SUCCESS;
}

HRResult cuStreamDestroy_v2(HRStream handle) {
  ENTER(true)
  auto stream = streamOf(__func__, handle);
  if (!stream) return HR_ERROR_INVALID_HANDLE;
  // What is queued still runs.
  execute(stream->id, stream->queued);
  stream->isDestroyed = true;
  return HR_SUCCESS;
}

HRResult cuStreamSynchronize(HRStream handle) {
  ENTER(true)
  auto stream = streamOf(__func__, handle);
  if (!stream) return HR_ERROR_INVALID_HANDLE;
  if (stream->capture) {
    spoilsCapture(__func__);
    return HR_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  }
  uint64_t start = nowNanoseconds();
  int32_t code = synchronize(*stream);
  noteSynchronization(HR_SYNCHRONIZATION_STREAM, (uint32_t)stream->id, 0, start, nowNanoseconds());
  return code;
}

HRResult cuStreamQuery(HRStream handle) {
  ENTER(true)
  auto stream = streamOf(__func__, handle);
  if (!stream) return HR_ERROR_INVALID_HANDLE;
  if (stream->executed == stream->queued) {
    joined(stream->clock);
    return state().sticky;
  }
  // Asked, it moves on by one.
  execute(stream->id, stream->executed + 1);
  return HR_ERROR_NOT_READY;
}

HRResult cuStreamWaitEvent(HRStream handle, HREvent eventHandle, uint32_t) {
  ENTER(true)
  auto stream = streamOf(__func__, handle);
  auto event = eventOf(__func__, eventHandle);
  if (!stream || !event) return HR_ERROR_INVALID_HANDLE;
  if (stream->capture) {
    stream->capture->isValid = false;
    return HR_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  }
  if (event->records == 0) return HR_SUCCESS;
  Queued queued;
  queued.clock = stream->clock;
  merge(queued.clock, state().host);
  merge(queued.clock, event->clock);
  uint64_t index = ++stream->queued;
  queued.clock[stream->id] = index;
  stream->clock = queued.clock;
  queued.waitsForStream = event->stream;
  queued.waitsForIndex = event->index;
  queued.waitsFor = event->reached;
  queued.time = nowNanoseconds();
  stream->queue.push_back(std::move(queued));
  noteSynchronization(HR_SYNCHRONIZATION_STREAM_WAIT, (uint32_t)stream->id, eventNumber(eventHandle), queued.time, nowNanoseconds());
  return HR_SUCCESS;
}

HRResult cuStreamBeginCapture_v2(HRStream handle, int32_t mode) {
  ENTER(true)
  auto stream = streamOf(__func__, handle);
  if (!stream || !handle) return HR_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  if (stream->capture) return HR_ERROR_INVALID_VALUE;
  stream->capture = std::make_shared<Graph>();
  stream->capture->mode = mode;
  stream->capture->capturer = std::this_thread::get_id();
  return HR_SUCCESS;
}

HRResult cuStreamEndCapture(HRStream handle, HRGraph *graph) {
  ENTER(true)
  auto stream = streamOf(__func__, handle);
  if (!stream || !stream->capture) return HR_ERROR_INVALID_VALUE;
  auto made = stream->capture;
  stream->capture = nullptr;
  *graph = nullptr;
  if (!made->isValid) return HR_ERROR_STREAM_CAPTURE_INVALIDATED;
  state().graphs.push_back(std::make_unique<std::shared_ptr<Graph>>(made));
  *graph = (HRGraph)state().graphs.back().get();
  state().liveGraphs.insert(*graph);
  return HR_SUCCESS;
}

HRResult cuEventCreate(HREvent *event, uint32_t flags) {
  ENTER(true)
  auto made = std::make_shared<Event>();
  made->generation = state().generation;
  made->flags = flags;
  keep(state().events, made, event);
  return HR_SUCCESS;
}

HRResult cuEventDestroy_v2(HREvent handle) {
  ENTER(true)
  auto event = eventOf(__func__, handle);
  if (!event) return HR_ERROR_INVALID_HANDLE;
  event->isDestroyed = true;
  return HR_SUCCESS;
}

HRResult cuEventRecord(HREvent handle, HRStream streamHandle) {
  ENTER(true)
  auto event = eventOf(__func__, handle);
  auto stream = streamOf(__func__, streamHandle);
  if (!event || !stream) return HR_ERROR_INVALID_HANDLE;
  if (stream->capture) {
    stream->capture->isValid = false;
    return HR_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  }
  Queued queued;
  queued.clock = stream->clock;
  merge(queued.clock, state().host);
  uint64_t index = ++stream->queued;
  queued.clock[stream->id] = index;
  stream->clock = queued.clock;
  event->records++;
  event->stream = stream->id;
  event->index = index;
  event->clock = queued.clock;
  event->reached = std::make_shared<Reached>();
  queued.records = event->reached;
  queued.time = nowNanoseconds();
  stream->queue.push_back(std::move(queued));
  noteEvent((uint32_t)stream->id, eventNumber(handle));
  return HR_SUCCESS;
}

HRResult cuEventQuery(HREvent handle) {
  ENTER(true)
  auto event = eventOf(__func__, handle);
  if (!event) return HR_ERROR_INVALID_HANDLE;
  if (event->records == 0) return HR_SUCCESS;
  auto stream = streamNumber(event->stream);
  if (stream && stream->executed < event->index) {
    execute(stream->id, stream->executed + 1);
    return HR_ERROR_NOT_READY;
  }
  joined(event->clock);
  return state().sticky;
}

HRResult cuEventSynchronize(HREvent handle) {
  ENTER(true)
  auto event = eventOf(__func__, handle);
  if (!event) return HR_ERROR_INVALID_HANDLE;
  if (event->records == 0) return HR_SUCCESS;
  uint64_t start = nowNanoseconds();
  execute(event->stream, event->index);
  joined(event->clock);
  noteSynchronization(HR_SYNCHRONIZATION_EVENT, (uint32_t)event->stream, eventNumber(handle), start, nowNanoseconds());
  return state().sticky;
}

HRResult cuEventElapsedTime(float *milliseconds, HREvent startHandle, HREvent endHandle) {
  ENTER(true)
  auto start = eventOf(__func__, startHandle), end = eventOf(__func__, endHandle);
  if (!start || !end) return HR_ERROR_INVALID_HANDLE;
  if (start->flags & HR_EVENT_DISABLE_TIMING || end->flags & HR_EVENT_DISABLE_TIMING || !start->records || !end->records) {
    complain("cuEventElapsedTime: an event without a time");
    return HR_ERROR_INVALID_HANDLE;
  }
  for (auto &event : {start, end}) {
    auto stream = streamNumber(event->stream);
    if (stream && stream->executed < event->index) return HR_ERROR_NOT_READY;
  }
  *milliseconds = (float)((double)((int64_t)end->reached->time - (int64_t)start->reached->time) / 1e6);
  return HR_SUCCESS;
}

// MARK: - Modules and launches

HRResult cuModuleLoadData(HRModule *module, const void *image) {
  ENTER(true)
  if (spoilsCapture(__func__)) return HR_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  // What this library's own compiler makes: see compiler.cpp.
  static const char magic[] = "headroom stand-in cubin ";
  if (memcmp(image, magic, sizeof magic - 1) != 0) return HR_ERROR_INVALID_IMAGE;
  auto made = std::make_shared<Module>();
  made->generation = state().generation;
  made->element = ((const char *)image)[sizeof magic - 1] - '0';
  uint64_t start = nowNanoseconds();
  keep(state().modules, made, module);
  // CUPTI_ACTIVITY_OVERHEAD_LAZY_FUNCTION_LOADING.
  noteOverhead(5u << 16, start, nowNanoseconds());
  return HR_SUCCESS;
}

HRResult cuModuleUnload(HRModule handle) {
  ENTER(true)
  auto module = resolve(__func__, "module", state().modules, handle);
  if (!module) return HR_ERROR_INVALID_HANDLE;
  module->isUnloaded = true;
  return HR_SUCCESS;
}

HRResult cuModuleGetFunction(HRFunction *function, HRModule handle, const char *name) {
  ENTER(true)
  auto module = resolve(__func__, "module", state().modules, handle);
  if (!module) return HR_ERROR_INVALID_HANDLE;
  if (!findKernel(name)) return HR_ERROR_NOT_FOUND;
  auto made = std::make_shared<Function>();
  made->generation = state().generation;
  made->module = module;
  made->name = name;
  keep(state().functions, made, function);
  return HR_SUCCESS;
}

HRResult cuFuncSetAttribute(HRFunction handle, int32_t attribute, int32_t value) {
  ENTER(true)
  auto function = resolve(__func__, "function", state().functions, handle);
  if (!function) return HR_ERROR_INVALID_HANDLE;
  if (attribute != HR_FUNCTION_MAX_DYNAMIC_SHARED_BYTES || value > 227 * 1024) return HR_ERROR_INVALID_VALUE;
  function->dynamicSharedLimit = value;
  return HR_SUCCESS;
}

HRResult cuFuncGetAttribute(int32_t *value, int32_t attribute, HRFunction handle) {
  ENTER(true)
  auto function = resolve(__func__, "function", state().functions, handle);
  if (!function) return HR_ERROR_INVALID_HANDLE;
  *value = attribute == HR_FUNCTION_REGISTERS ? 64 : 0;
  return HR_SUCCESS;
}

HRResult cuLaunchKernelEx(const HRLaunchConfiguration *configuration, HRFunction handle, void **parameters, void **extra) {
  ENTER(true)
  auto function = resolve(__func__, "function", state().functions, handle);
  if (!function || extra) return HR_ERROR_INVALID_HANDLE;
  if (function->module->isUnloaded) {
    complain(function->name + ": its module was unloaded");
    return HR_ERROR_INVALID_HANDLE;
  }
  const Kernel *kernel = findKernel(function->name);
  const HRLaunchConfiguration &c = *configuration;
  uint64_t threads = (uint64_t)c.blockX * c.blockY * c.blockZ;
  if (!c.gridX || c.gridX > INT32_MAX || c.gridY != 1 || c.gridZ != 1 || !threads || c.blockY != 1 || c.blockZ != 1 ||
      threads > (uint64_t)kernel->maxThreads) {
    complain(function->name + ": a grid of " + std::to_string(c.gridX) + " x " + std::to_string(c.gridY) + " blocks of " +
             std::to_string(threads) + " threads; the kernel takes " + std::to_string(kernel->maxThreads));
    return HR_ERROR_INVALID_VALUE;
  }
  if ((int)c.sharedBytes > function->dynamicSharedLimit) {
    complain(function->name + ": " + std::to_string(c.sharedBytes) + " bytes of dynamic shared memory; " +
             std::to_string(function->dynamicSharedLimit) + " were asked for");
    return HR_ERROR_INVALID_VALUE;
  }
  Operation operation;
  operation.what = function->name;
  auto copies = std::make_shared<std::vector<std::vector<unsigned char>>>();
  for (size_t index = 0; index < kernel->parameterCount; index++) {
    // Aligned storage for each: vectors of bytes come from malloc.
    const unsigned char *from = (const unsigned char *)parameters[index];
    copies->emplace_back(from, from + kernel->parameterBytes[index]);
  }
  for (const PointerParameter &pointer : kernel->pointers) {
    uint64_t address;
    memcpy(&address, (*copies)[pointer.index].data(), sizeof address);
    if (address == 0) continue;
    size_t bytes = bytesBehind(address);
    if (bytes == 0) {
      allocationOf((function->name + ", parameter " + std::to_string(pointer.index)).c_str(), address, 1);
      state().sticky = HR_ERROR_ILLEGAL_ADDRESS;
      return HR_SUCCESS;
    }
    operation.ranges.push_back({address, bytes, pointer.isWritten});
  }
  uint32_t grid = c.gridX, shared = c.sharedBytes;
  operation.run = [=] {
    std::vector<void *> places;
    for (auto &bytes : *copies) places.push_back(bytes.data());
    return runGrid(grid, (int)threads, shared, [&] { kernel->run(places.data()); });
  };
  operation.kind = HR_KIND_CONCURRENT_KERNEL;
  operation.kernelName = function->name;
  operation.kernel.kind = HR_KIND_CONCURRENT_KERNEL;
  operation.kernel.registersPerThread = 64;
  operation.kernel.gridX = (int32_t)c.gridX;
  operation.kernel.gridY = operation.kernel.gridZ = 1;
  operation.kernel.blockX = (int32_t)threads;
  operation.kernel.blockY = operation.kernel.blockZ = 1;
  operation.kernel.dynamicSharedMemory = (int32_t)c.sharedBytes;
  operation.kernel.correlationId = currentCorrelation();
  return enqueue(__func__, c.stream, std::move(operation));
}

HRResult cuLaunchKernel(HRFunction function, uint32_t gridX, uint32_t gridY, uint32_t gridZ, uint32_t blockX, uint32_t blockY, uint32_t blockZ,
                        uint32_t sharedBytes, HRStream stream, void **parameters, void **extra) {
  {
    ENTER(true)
  }
  HRLaunchConfiguration configuration{gridX, gridY, gridZ, blockX, blockY, blockZ, sharedBytes, stream, nullptr, 0};
  return driver::cuLaunchKernelEx(&configuration, function, parameters, extra);
}

// MARK: - Graphs

HRResult cuGraphInstantiateWithFlags(HRGraphExec *executable, HRGraph graph, unsigned long long) {
  ENTER(true)
  if (!state().liveGraphs.count(graph)) {
    complain("cuGraphInstantiateWithFlags: this is no graph");
    return HR_ERROR_INVALID_HANDLE;
  }
  auto made = std::make_shared<Executable>();
  made->generation = state().generation;
  made->operations = (*(std::shared_ptr<Graph> *)graph)->operations;
  static uint32_t graphs = 0, nodes = 0;
  made->number = ++graphs;
  for (Operation &operation : made->operations) {
    operation.kernel.graphNodeId = operation.copy.graphNodeId = operation.memset.graphNodeId = ++nodes;
    operation.kernel.graphId = operation.copy.graphId = operation.memset.graphId = made->number;
  }
  keep(state().executables, made, executable);
  return HR_SUCCESS;
}

HRResult cuGraphUpload(HRGraphExec handle, HRStream) {
  ENTER(true)
  return resolve(__func__, "executable graph", state().executables, handle) ? HR_SUCCESS : HR_ERROR_INVALID_HANDLE;
}

HRResult cuGraphLaunch(HRGraphExec handle, HRStream stream) {
  ENTER(true)
  auto executable = resolve(__func__, "executable graph", state().executables, handle);
  if (!executable) return HR_ERROR_INVALID_HANDLE;
  if (executable->isDestroyed) {
    complain("cuGraphLaunch: the executable graph was destroyed");
    return HR_ERROR_INVALID_HANDLE;
  }
  // All nodes of a launch carry its number.
  auto run = std::make_shared<GraphRun>(GraphRun{currentCorrelation(), executable->number, executable->operations.size()});
  for (Operation operation : executable->operations) {
    operation.kernel.correlationId = operation.copy.correlationId = operation.memset.correlationId = run->correlation;
    operation.graph = run;
    if (int32_t code = enqueue(__func__, stream, std::move(operation))) return code;
  }
  return HR_SUCCESS;
}

HRResult cuGraphGetNodes(HRGraph graph, HRGraphNode *nodes, size_t *count) {
  ENTER(true)
  if (!state().liveGraphs.count(graph)) return HR_ERROR_INVALID_HANDLE;
  size_t all = (*(std::shared_ptr<Graph> *)graph)->operations.size();
  if (nodes) {
    for (size_t index = 0; index < std::min(all, *count); index++) nodes[index] = nullptr;
  }
  *count = all;
  return HR_SUCCESS;
}

HRResult cuGraphExecDestroy(HRGraphExec handle) {
  ENTER(true)
  auto executable = resolve(__func__, "executable graph", state().executables, handle);
  if (!executable) return HR_ERROR_INVALID_HANDLE;
  executable->isDestroyed = true;
  return HR_SUCCESS;
}

HRResult cuGraphDestroy(HRGraph graph) {
  ENTER(true)
  return state().liveGraphs.erase(graph) ? HR_SUCCESS : HR_ERROR_INVALID_HANDLE;
}

}  // namespace headroom::driver
