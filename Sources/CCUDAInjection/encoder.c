#define _GNU_SOURCE
#include "encoder.h"

#include <string.h>

#include "capture_file.h"
#include "cuda_activity.h"

enum {
  BLOCK_BYTES = 256 << 10,
  NAME_BYTES = 16 << 10,
  // The largest record without its texts: 20 numbers of ten bytes.
  RECORD_BYTES = 256,
  TABLE_ENTRIES = 1 << 14,
  CALL_LIMIT = 2048,
};

// Blocks are made by one thread at a time.
static struct {
  struct cudacapture_block block;
  uint8_t payload[BLOCK_BYTES];
} output;
static uint32_t used;
static uint64_t last_time;
static uint32_t last_correlation, last_thread;

void encode_flush(void) {
  if (!used) return;
  // The number of records counts too: it says how many are lost where a block is damaged.
  uint32_t checksum = 2166136261u;
  for (int shift = 0; shift < 32; shift += 8) checksum = (checksum ^ (output.block.records >> shift & 255u)) * 16777619u;
  for (uint32_t index = 0; index < used; index++) checksum = (checksum ^ output.payload[index]) * 16777619u;
  output.block.magic = CUDACAPTURE_BLOCK_MAGIC;
  output.block.bytes = used;
  output.block.checksum = checksum;
  if (capture_append(&output, sizeof output.block + used))
    header.records += output.block.records;
  else
    header.dropped_for_room += output.block.records;
  output.block.records = 0;
  used = 0;
  last_time = 0;
  last_correlation = last_thread = 0;
}

static void reserve(size_t bytes) {
  if (used + bytes > BLOCK_BYTES) encode_flush();
}

static inline void number(uint64_t value) {
  while (value >= 0x80) {
    output.payload[used++] = (uint8_t)(value | 0x80);
    value >>= 7;
  }
  output.payload[used++] = (uint8_t)value;
}

static inline void signed_number(int64_t value) { number((uint64_t)value << 1 ^ (uint64_t)(value >> 63)); }

static inline void times(uint64_t start, uint64_t end) {
  signed_number((int64_t)(start - last_time));
  last_time = start;
  signed_number((int64_t)(end - start));
}

static inline void correlation(uint32_t value) {
  signed_number((int32_t)(value - last_correlation));
  last_correlation = value;
}

static inline void begin(uint8_t tag) {
  reserve(RECORD_BYTES);
  output.payload[used++] = tag;
}

// MARK: What is said once

// Numbers given to things that are told apart by 64 bits of hash. A full table is emptied: what comes again then gets another number.
struct table {
  uint64_t hash[TABLE_ENTRIES];
  uint32_t id[TABLE_ENTRIES];
  uint32_t count;
};

static struct table names, types, streams;
static uint32_t known_calls[2][CALL_LIMIT];
static uint32_t ids;

// The number, and whether it is new.
static int find(struct table *table, uint64_t hash, uint32_t *id) {
  if (hash == 0) hash = 1;
  if (table->count > TABLE_ENTRIES / 4 * 3) memset(table, 0, sizeof *table);
  size_t at = (size_t)(hash ^ hash >> 32) % TABLE_ENTRIES;
  while (table->hash[at] && table->hash[at] != hash) at = (at + 1) % TABLE_ENTRIES;
  *id = table->id[at];
  if (table->hash[at]) return 0;
  table->hash[at] = hash;
  table->id[at] = *id = ++ids;
  table->count++;
  return 1;
}

// Eight bytes at a time: it runs for each kernel, over its name.
static uint64_t mix(uint64_t hash, const void *bytes, size_t count) {
  const uint8_t *at = bytes;
  for (; count >= 8; at += 8, count -= 8) {
    uint64_t word;
    memcpy(&word, at, 8);
    hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
    hash ^= hash >> 29;
  }
  uint64_t rest = count;
  for (size_t index = 0; index < count; index++) rest = rest << 8 | at[index];
  hash = (hash ^ rest) * 0xBF58476D1CE4E5B9u;
  return hash ^ hash >> 32;
}

static const uint64_t hash_start = 14695981039346656037u;

static uint32_t text_id(const char *name, size_t bytes) {
  uint32_t id;
  if (find(&names, mix(hash_start, name, bytes), &id)) {
    reserve(RECORD_BYTES + bytes);
    output.payload[used++] = CUDACAPTURE_NAME;
    number(id);
    number(bytes);
    memcpy(output.payload + used, name, bytes);
    used += (uint32_t)bytes;
  }
  return id;
}

static uint32_t name_id(const char *name) { return name ? text_id(name, strnlen(name, NAME_BYTES)) : 0; }

static uint32_t stream_id(uint32_t device, uint32_t context, uint32_t stream) {
  uint32_t key[3] = {device, context, stream}, id;
  if (find(&streams, mix(hash_start, key, sizeof key), &id)) {
    begin(CUDACAPTURE_STREAM);
    number(id);
    for (int index = 0; index < 3; index++) number(key[index]);
  }
  return id;
}

static uint32_t type_id(const HRKernelRecord *kernel) {
  uint32_t name = name_id(kernel->name), id;
  int32_t geometry[] = {
    kernel->gridX, kernel->gridY, kernel->gridZ, kernel->blockX, kernel->blockY, kernel->blockZ, kernel->registersPerThread,
    kernel->staticSharedMemory, kernel->dynamicSharedMemory, (int32_t)kernel->localMemoryPerThread, kernel->launchType,
    (int32_t)kernel->clusterX, (int32_t)kernel->clusterY, (int32_t)kernel->clusterZ};
  uint64_t hash = mix(mix(hash_start, geometry, sizeof geometry), &name, sizeof name);
  if (find(&types, hash, &id)) {
    begin(CUDACAPTURE_KERNEL_TYPE);
    number(id);
    number(name);
    for (size_t index = 0; index < sizeof geometry / sizeof geometry[0]; index++) number((uint32_t)geometry[index]);
  }
  return id;
}

// The names of calls stand in tables of CUPTI's; looked up once each.
static uint32_t call_id(uint32_t domain, uint32_t callback, const char *(*name_of)(uint32_t, uint32_t)) {
  int isRuntime = domain == HR_DOMAIN_RUNTIME;
  if (callback < CALL_LIMIT && known_calls[isRuntime][callback]) return known_calls[isRuntime][callback];
  // Not through `find`: these stay, whatever kernels come.
  const char *name = name_of(domain, callback);
  if (!name) return 0;
  size_t bytes = strnlen(name, NAME_BYTES);
  uint32_t id = ++ids;
  reserve(RECORD_BYTES + bytes);
  output.payload[used++] = CUDACAPTURE_NAME;
  number(id);
  number(bytes);
  memcpy(output.payload + used, name, bytes);
  used += (uint32_t)bytes;
  if (callback < CALL_LIMIT) known_calls[isRuntime][callback] = id;
  return id;
}

// MARK: Records

static void encode_call(const HRCallRecord *call, const char *(*name_of)(uint32_t, uint32_t)) {
  uint32_t domain = call->kind == HR_KIND_RUNTIME ? HR_DOMAIN_RUNTIME : HR_DOMAIN_DRIVER;
  uint32_t name = call_id(domain, call->callbackId, name_of);
  begin(CUDACAPTURE_CALL);
  number(domain == HR_DOMAIN_RUNTIME ? 0 : 1);
  number(name);
  times(call->start, call->end);
  correlation(call->correlationId);
  signed_number((int32_t)(call->threadId - last_thread));
  last_thread = call->threadId;
  number(call->returnValue);
}

static void encode_kernel(const HRKernelRecord *kernel) {
  uint32_t type = type_id(kernel), stream = stream_id(kernel->deviceId, kernel->contextId, kernel->streamId);
  begin(CUDACAPTURE_KERNEL);
  number(type);
  number(stream);
  times(kernel->start, kernel->end);
  correlation(kernel->correlationId);
  number(kernel->graphNodeId);
}

static void encode_copy(const HRCopyRecord *copy) {
  uint32_t stream = stream_id(copy->deviceId, copy->contextId, copy->streamId);
  begin(CUDACAPTURE_COPY);
  number(stream);
  times(copy->start, copy->end);
  correlation(copy->correlationId);
  number(copy->graphNodeId);
  number(copy->bytes);
  number(copy->copyKind);
  number(copy->sourceKind);
  number(copy->targetKind);
}

static void encode_fill(const HRMemsetRecord *fill) {
  uint32_t stream = stream_id(fill->deviceId, fill->contextId, fill->streamId);
  begin(CUDACAPTURE_FILL);
  number(stream);
  times(fill->start, fill->end);
  correlation(fill->correlationId);
  number(fill->graphNodeId);
  number(fill->bytes);
  number(fill->value);
  number(fill->memoryKind);
}

static void encode_device(const HRDeviceRecord *device) {
  uint32_t name = name_id(device->name);
  begin(CUDACAPTURE_DEVICE);
  number(device->id);
  number(name);
  number(device->memoryBandwidth);
  number(device->memoryBytes);
  number(device->l2CacheBytes);
  number(device->threadsPerWarp);
  number(device->clockRate);
  number(device->multiprocessors);
  number(device->maxWarpsPerMultiprocessor);
  number(device->maxBlocksPerMultiprocessor);
  number(device->maxSharedMemoryPerMultiprocessor);
  number(device->maxRegistersPerMultiprocessor);
  number(device->computeMajor);
  number(device->computeMinor);
  uint64_t uuid[2];
  memcpy(uuid, device->uuid.bytes, sizeof uuid);
  number(uuid[0]);
  number(uuid[1]);
}

void encode_record(const void *record, const char *(*name_of)(uint32_t, uint32_t)) {
  // Every record begins with its kind.
  switch (*(const uint32_t *)record) {
    case HR_KIND_DRIVER:
    case HR_KIND_RUNTIME: encode_call(record, name_of); break;
    case HR_KIND_KERNEL:
    case HR_KIND_CONCURRENT_KERNEL: encode_kernel(record); break;
    case HR_KIND_MEMCPY: encode_copy(record); break;
    case HR_KIND_MEMSET: encode_fill(record); break;
    case HR_KIND_DEVICE: encode_device(record); break;
    case HR_KIND_SYNCHRONIZATION: {
      const HRSynchronizationRecord *wait = record;
      begin(CUDACAPTURE_SYNCHRONIZATION);
      number(wait->contextId);
      number(wait->streamId);
      times(wait->start, wait->end);
      correlation(wait->correlationId);
      number(wait->type);
      number(wait->eventId);
      break;
    }
    case HR_KIND_OVERHEAD: {
      const HROverheadRecord *overhead = record;
      begin(CUDACAPTURE_OVERHEAD);
      number(overhead->overheadKind);
      times(overhead->start, overhead->end);
      correlation(overhead->correlationId);
      // The object is a process's thread: process first, thread behind it.
      number(overhead->objectKind == HR_OBJECT_THREAD ? overhead->object[1] : 0);
      break;
    }
    case HR_KIND_CUDA_EVENT: {
      const HREventRecord *event = record;
      uint32_t stream = stream_id(event->deviceId, event->contextId, event->streamId);
      begin(CUDACAPTURE_EVENT);
      number(stream);
      correlation(event->correlationId);
      number(event->eventId);
      break;
    }
    case HR_KIND_GRAPH_TRACE: {
      const HRGraphRecord *graph = record;
      uint32_t stream = stream_id(graph->deviceId, graph->contextId, graph->streamId);
      begin(CUDACAPTURE_GRAPH);
      number(stream);
      times(graph->start, graph->end);
      correlation(graph->correlationId);
      number(graph->graphId);
      break;
    }
    default: header.unknown_records++; return;
  }
  output.block.records++;
}

void encode_range(uint32_t type, uint32_t domain, uint32_t thread, uint64_t start, uint64_t end, const char *text, size_t bytes) {
  uint32_t name = bytes ? text_id(text, bytes) : 0;
  begin(CUDACAPTURE_RANGE);
  number(type);
  number(domain);
  number(name);
  times(start, end);
  number(thread);
  output.block.records++;
}

void encode_forget(void) {
  used = 0;
  output.block.records = 0;
  last_time = 0;
  last_correlation = last_thread = 0;
  memset(&names, 0, sizeof names);
  memset(&types, 0, sizeof types);
  memset(&streams, 0, sizeof streams);
  memset(known_calls, 0, sizeof known_calls);
}
