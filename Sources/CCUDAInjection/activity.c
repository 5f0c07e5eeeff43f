#define _GNU_SOURCE
#include "activity.h"

#include <dlfcn.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>

#include "buffers.h"
#include "capture_file.h"
#include "cuda_activity.h"
#include "encoder.h"

static HRActivityTable cupti;
static HRActivityOptions options;
static HRSubscriber subscriber;
static uint32_t used_version;
static char used_library[256];
static int is_running;
// The subscription, the clock and the buffers of an earlier recording: none of them may be registered twice.
static int is_registered;

static int fail(const char *step, int32_t result) {
  header.status = CUDACAPTURE_FAILED;
  header.result = result;
  copy_text(header.step, step, sizeof header.step);
  return 0;
}

// MARK: Which library

#define HEADROOM_FIND(result, name, parameters)            \
  do {                                                     \
    void *symbol = dlsym(library, #name);                  \
    if (!symbol) return #name;                             \
    memcpy((void *)&cupti.name, &symbol, sizeof symbol);   \
  } while (0);
#define HEADROOM_FIND_OPTION(result, name, parameters)       \
  do {                                                       \
    void *symbol = dlsym(library, #name);                    \
    memcpy((void *)&options.name, &symbol, sizeof symbol);   \
  } while (0);

// NULL, or the first function that the library lacks.
static const char *fill(void *library) {
  HEADROOM_ACTIVITY_FUNCTIONS(HEADROOM_FIND)
  HEADROOM_ACTIVITY_OPTIONS(HEADROOM_FIND_OPTION)
  return NULL;
}

static const char *file_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

static int note_library(struct dl_phdr_info *information, size_t size, void *found) {
  (void)size;
  // The first one: two in one process share nothing, and the program's own is the one that CUDA calls back.
  if (strncmp(file_name(information->dlpi_name), "libcupti.so", 11)) return 0;
  copy_text(found, information->dlpi_name, 256);
  return 1;
}

// Libraries that profilers and debuggers bring into a process; any of them may have subscribed.
static const struct {
  const char *prefix, *tool;
} tools[] = {
  {"libToolsInjection", "Nsight Systems"}, {"libcuda-injection", "Nsight Compute"},        {"libcudadebugger", "cuda-gdb"},
  {"libsanitizer-collection", "Compute Sanitizer"}, {"libparcagpu", "Parca"}, {"libtorch_cpu", "PyTorch's profiler (Kineto)"},
};

static int note_tool(struct dl_phdr_info *information, size_t size, void *unused) {
  (void)size, (void)unused;
  for (size_t index = 0; index < sizeof tools / sizeof tools[0]; index++) {
    if (strncmp(file_name(information->dlpi_name), tools[index].prefix, strlen(tools[index].prefix))) continue;
    size_t length = strlen(header.holder);
    if (length + strlen(tools[index].tool) + 3 > sizeof header.holder) return 1;
    if (length) strcpy(header.holder + length, ", ");
    strcat(header.holder, tools[index].tool);
  }
  return 0;
}

// CUPTI_API_VERSION counted one by one up to CUDA 12, and is 10,000 times the major version from 13 on.
static uint32_t major_of(uint32_t version) { return version >= 130000 ? version / 10000 : 12; }

static int try_library(const char *path, int flags, int is_in_use) {
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL | flags);
  if (!library) return 0;
  const char *missing = fill(library);
  uint32_t version = 0;
  if (missing || cupti.cuptiGetVersion(&version) != HR_ACTIVITY_SUCCESS) {
    if (!header.step[0]) copy_text(header.step, missing ? missing : "cuptiGetVersion", sizeof header.step);
    return 0;
  }
  // A CUPTI of a newer CUDA than the driver's does not work with it. One that the program uses itself is taken as it is.
  if (!is_in_use && header.driver_version && major_of(version) > header.driver_version / 1000) return 0;
  header.cupti_version = used_version = version;
  copy_text(header.library, path, sizeof header.library);
  copy_text(used_library, path, sizeof used_library);
  return 1;
}

static int find_library(void) {
  char used[256] = "";
  dl_iterate_phdr(note_library, used);
  if (used[0] && try_library(used, RTLD_NOLOAD, 1)) return 1;
  const char *end = control->libraries + sizeof control->libraries;
  for (const char *path = control->libraries; path < end && *path; path += strnlen(path, (size_t)(end - path)) + 1)
    if (try_library(path, 0, 0)) return 1;
  return 0;
}

// MARK: What is recorded

static uint64_t timestamp(void) { return monotonic(); }

static void ignored(void *user, int32_t domain, uint32_t callback, const void *data) {
  (void)user, (void)domain, (void)callback, (void)data;
}

static const char *name_of(uint32_t domain, uint32_t callback) {
  const char *name = NULL;
  return cupti.cuptiGetCallbackName((int32_t)domain, callback, &name) == HR_ACTIVITY_SUCCESS ? name : NULL;
}

// Calls that launch, copy, wait, allocate or load. The rest are queries (cudaGetDevice, cudaGetLastError): thousands a batch, each cheap, and
// recording them costs more than they do.
static const char *const listed[] = {
  "Launch", "Memcpy", "Memset", "MemPrefetch", "MemAlloc", "MemFree", "MemHostAlloc", "MemHostRegister", "MemHostUnregister", "MemCreate",
  "MemMap", "MemUnmap", "MemRelease", "MemSetAccess", "Malloc", "Free", "HostAlloc", "HostRegister", "HostUnregister", "GraphLaunch",
  "GraphInstantiate", "GraphUpload", "GraphExecUpdate", "StreamSynchronize", "StreamWait", "StreamQuery", "StreamCreate", "StreamDestroy",
  "StreamBeginCapture", "StreamEndCapture", "EventRecord", "EventSynchronize", "EventQuery", "CtxSynchronize", "DeviceSynchronize",
  "ThreadSynchronize", "CtxCreate", "CtxDestroy", "DevicePrimaryCtx", "DeviceReset", "ModuleLoad", "ModuleUnload", "LibraryLoad",
  "LibraryUnload", "FuncLoad", "Link",
};

static int is_listed(const char *name) {
  size_t head = !strncmp(name, "cuda", 4) ? 4 : !strncmp(name, "cu", 2) ? 2 : 0;
  if (!head) return 0;
  for (size_t index = 0; index < sizeof listed / sizeof listed[0]; index++)
    if (!strncmp(name + head, listed[index], strlen(listed[index]))) return 1;
  return 0;
}

static void note_kind(int32_t kind, int32_t result) {
  if (result == HR_ACTIVITY_SUCCESS) {
    header.kinds |= 1ull << kind;
  } else {
    header.refused_kinds |= 1ull << kind;
    header.result = result;
  }
}

static void enable(int32_t kind) { note_kind(kind, cupti.cuptiActivityEnable(kind)); }

static void enable_calls(int32_t kind, uint32_t domain, HRActivityResult (*enable_one)(uint32_t, uint8_t)) {
  if (!enable_one || control->options & CUDACAPTURE_ALL_CALLS) {
    enable(kind);
    return;
  }
  int32_t result = HR_ACTIVITY_SUCCESS;
  // Numbers have holes; the last ones are not known beforehand.
  int enabled = 0;
  for (uint32_t callback = 1, missing = 0; missing < 64 && callback < 2048; callback++) {
    const char *name = name_of(domain, callback);
    missing = name ? 0 : missing + 1;
    if (!name || !is_listed(name)) continue;
    int32_t one = enable_one(callback, 1);
    if (one == HR_ACTIVITY_SUCCESS)
      enabled++;
    else
      result = one;
  }
  if (enabled)
    note_kind(kind, HR_ACTIVITY_SUCCESS);
  else
    enable(kind);
  if (result != HR_ACTIVITY_SUCCESS && !enabled) header.result = result;
}

static void set_attribute(int32_t attribute, size_t value, size_t bytes) { cupti.cuptiActivitySetAttribute(attribute, &bytes, &value); }

static const int32_t all_kinds[] = {
  HR_KIND_CONCURRENT_KERNEL, HR_KIND_MEMCPY,   HR_KIND_MEMSET,     HR_KIND_GRAPH_TRACE, HR_KIND_SYNCHRONIZATION,
  HR_KIND_OVERHEAD,          HR_KIND_RUNTIME,  HR_KIND_DRIVER,     HR_KIND_CUDA_EVENT,  HR_KIND_DEVICE,
};

static void enable_kinds(void) {
  enable(HR_KIND_DEVICE);
  // KIND_KERNEL would let one kernel run at a time: what overlaps would not any more.
  enable(HR_KIND_CONCURRENT_KERNEL);
  enable(HR_KIND_MEMCPY);
  enable(HR_KIND_MEMSET);
  if (control->options & CUDACAPTURE_WHOLE_GRAPHS) enable(HR_KIND_GRAPH_TRACE);
  enable(HR_KIND_OVERHEAD);
  if (control->options & CUDACAPTURE_DEVICE_WORK_ALONE) return;
  enable(HR_KIND_SYNCHRONIZATION);
  enable(HR_KIND_CUDA_EVENT);
  enable_calls(HR_KIND_RUNTIME, HR_DOMAIN_RUNTIME, options.cuptiActivityEnableRuntimeApi);
  enable_calls(HR_KIND_DRIVER, HR_DOMAIN_DRIVER, options.cuptiActivityEnableDriverApi);
}

static int register_with_cupti(void) {
  int32_t result;
  if (!find_library()) return fail(header.step[0] ? header.step : "libcupti", 0);
  header.step[0] = 0;
  result = cupti.cuptiSubscribe(&subscriber, ignored, NULL);
  if (result != HR_ACTIVITY_SUCCESS) {
    if (result == HR_ACTIVITY_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED) dl_iterate_phdr(note_tool, NULL);
    return fail("cuptiSubscribe", result);
  }
  // Before any kind, and once: records of before would keep the other clock.
  result = cupti.cuptiActivityRegisterTimestampCallback(timestamp);
  if (result != HR_ACTIVITY_SUCCESS) {
    cupti.cuptiUnsubscribe(subscriber);
    return fail("cuptiActivityRegisterTimestampCallback", result);
  }
  // As the operating system numbers threads: as the OS calls of the same threads are.
  if (options.cuptiSetThreadIdType) options.cuptiSetThreadIdType(HR_THREAD_NUMBERS_OF_SYSTEM);
  // Where all of a context's device buffers wait for kernels to end, time stamps of further ones are lost: 250 buffers of 100,000 records by
  // default. Buffers exist only as they are needed.
  set_attribute(HR_ACTIVITY_DEVICE_BUFFER_POOL_LIMIT, 1000, sizeof(size_t));
  set_attribute(HR_ACTIVITY_DEVICE_BUFFER_PREALLOCATE, 4, sizeof(size_t));
  set_attribute(HR_ACTIVITY_ZEROED_BUFFERS, 1, sizeof(uint8_t));
  if (control->options & CUDACAPTURE_HARDWARE_TIMES && options.cuptiActivityEnableHWTrace) {
    result = options.cuptiActivityEnableHWTrace(1);
    if (result != HR_ACTIVITY_SUCCESS) header.result = result;
  }
  result = cupti.cuptiActivityRegisterCallbacks(buffers_request, buffers_complete);
  if (result != HR_ACTIVITY_SUCCESS) {
    cupti.cuptiUnsubscribe(subscriber);
    return fail("cuptiActivityRegisterCallbacks", result);
  }
  is_registered = 1;
  return 1;
}

int activity_start(void *driver) {
  HRResult (*driver_version)(int32_t *) = NULL;
  void *symbol = driver ? dlsym(driver, "cuDriverGetVersion") : NULL;
  memcpy((void *)&driver_version, &symbol, sizeof symbol);
  int32_t version = 0;
  if (driver_version && driver_version(&version) == HR_SUCCESS && version > 0) header.driver_version = (uint32_t)version;
  // With no driver in the process libcupti recurses without end: this library is called by the driver, or not at all.
  if (!symbol) return fail("no driver", 0);
  if (!is_registered && !register_with_cupti()) return 0;
  buffers_begin_count();
  header.cupti_version = used_version;
  copy_text(header.library, used_library, sizeof header.library);
  enable_kinds();
  if (!(header.kinds & 1ull << HR_KIND_CONCURRENT_KERNEL)) {
    int32_t result = header.result;
    cupti.cuptiUnsubscribe(subscriber);
    is_registered = 0;
    return fail("cuptiActivityEnable of kernels", result);
  }
  header.armed_monotonic = (int64_t)monotonic();
  header.status = CUDACAPTURE_ACTIVE;
  is_running = 1;
  return 1;
}

// MARK: Reading

static void write_buffers(void) {
  struct buffer *buffer;
  int has_any = 0;
  while ((buffer = buffers_next())) {
    uint32_t *record = NULL;
    while (cupti.cuptiActivityGetNextRecord(buffer->bytes, buffer->valid, &record) == HR_ACTIVITY_SUCCESS) encode_record(record, name_of);
    buffers_return(buffer);
    has_any = 1;
  }
  size_t dropped = 0;
  if (cupti.cuptiActivityGetNumDroppedRecords(NULL, 0, &dropped) == HR_ACTIVITY_SUCCESS) header.dropped_by_cupti += dropped;
  if (has_any) encode_flush();
}

void activity_flush(void) {
  if (!is_running) return;
  int64_t now = (int64_t)monotonic();
  cupti.cuptiActivityFlushAll(0);
  write_buffers();
  header.flushed_monotonic = now;
  buffers_count(&header.discarded_buffers, &header.discarded_bytes);
}

void activity_stop(int is_exit) {
  if (!is_running) return;
  is_running = 0;
  int64_t now = (int64_t)monotonic();
  cupti.cuptiActivityFlushAll(HR_ACTIVITY_FLUSH_FORCED);
  for (size_t index = 0; index < sizeof all_kinds / sizeof all_kinds[0]; index++)
    if (header.kinds & 1ull << all_kinds[index]) cupti.cuptiActivityDisable(all_kinds[index]);
  cupti.cuptiActivityFlushAll(HR_ACTIVITY_FLUSH_FORCED);
  write_buffers();
  // What is still out was given to somebody else.
  header.lost_buffers = buffers_outstanding();
  buffers_count(&header.discarded_buffers, &header.discarded_bytes);
  // Never finalized: that crashes in programs that end meanwhile.
  // Where another recording may follow, the subscription stays: registering the clock anew corrupts records.
  if (!is_exit && !(control->options & CUDACAPTURE_REPEATED)) {
    cupti.cuptiUnsubscribe(subscriber);
    is_registered = 0;
  }
  header.flushed_monotonic = now;
  header.status = CUDACAPTURE_FINISHED;
}

void activity_forked(void) {
  is_running = 0;
  buffers_forked();
}
