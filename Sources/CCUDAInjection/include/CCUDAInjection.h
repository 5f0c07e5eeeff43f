// The files of a CUDA capture. The injection library writes them, TraceFormats' CUDACaptureFile reads them, and nothing else is shared
// between the two.
//
// A capture is a folder with a file `cuda-control`, written by `headroom profile` before the program starts, and a file PID.N.cuda a
// process image that called cuInit. A process file is a header, written anew at each flush, and then blocks that only grow in number: what
// was written stays readable, however the process ends. A block is whole or not there: its checksum says.
#ifndef HEADROOM_CUDA_INJECTION_H
#define HEADROOM_CUDA_INJECTION_H

#include <stdatomic.h>
#include <stdint.h>

#define CUDACAPTURE_FOLDER_VARIABLE "HEADROOM_CUDA_CAPTURE"
#define CUDACAPTURE_CONTROL_MAGIC "HRCUCTL1"
#define CUDACAPTURE_MAGIC "HRCUCAP1"
#define CUDACAPTURE_BLOCK_MAGIC 0x42554343u

// What `headroom profile` asks for, and the only word that it changes while programs run.
enum cudacapture_state { CUDACAPTURE_DORMANT = 0, CUDACAPTURE_RECORDING = 1, CUDACAPTURE_STOPPED = 2 };

enum cudacapture_option {
  // Only kernels, copies, fills, graphs and devices: no calls, synchronizations or events.
  CUDACAPTURE_DEVICE_WORK_ALONE = 1,
  // Every call, not only those that launch, wait, allocate or load.
  CUDACAPTURE_ALL_CALLS = 2,
  // One record a graph launch in place of its nodes.
  CUDACAPTURE_WHOLE_GRAPHS = 4,
  // Kernel times from the hardware event system (Blackwell).
  CUDACAPTURE_HARDWARE_TIMES = 8,
  // A recording that was stopped may be followed by another one: the state goes back to dormant, and a new file is begun.
  CUDACAPTURE_REPEATED = 16,
};

struct cudacapture_control {
  char magic[8];
  // What all processes together may still write.
  _Atomic int64_t bytes_left;
  _Atomic uint32_t state;
  uint32_t options;
  uint32_t flush_milliseconds;
  uint32_t reserved;
  // Where libcupti may be, in order: paths, each ended by a zero byte, after the last an empty one.
  char libraries[4064];
};
_Static_assert(sizeof(struct cudacapture_control) == 4096, "the writer's offsets");

enum cudacapture_status {
  // The library waits to be armed: nothing of CUPTI was called.
  CUDACAPTURE_WAITING = 0,
  CUDACAPTURE_ACTIVE = 1,
  // Everything was flushed, nothing follows.
  CUDACAPTURE_FINISHED = 2,
  // Nothing was recorded; `step` and `result` say why.
  CUDACAPTURE_FAILED = 3,
};

struct cudacapture_header {
  char magic[8];
  uint32_t byte_order;
  uint32_t header_bytes;
  uint32_t pid;
  uint32_t parent_pid;
  // CLOCK_MONOTONIC and CLOCK_REALTIME, nanoseconds.
  int64_t loaded_monotonic;
  int64_t loaded_realtime;
  int64_t armed_monotonic;
  // Everything that CUPTI had finished until then is in the file.
  int64_t flushed_monotonic;
  int64_t ended_monotonic;
  uint32_t status;
  // CUptiResult of the step that failed.
  int32_t result;
  uint32_t cupti_version;
  uint32_t driver_version;
  // Bits by activity kind: asked for and given, asked for and refused.
  uint64_t kinds;
  uint64_t refused_kinds;
  uint64_t records;
  // CUPTI's own count.
  uint64_t dropped_by_cupti;
  // Records for which the file had no room.
  uint64_t dropped_for_room;
  // Buffers that were thrown away unread because the writer could not keep up, and the bytes of records in them.
  uint64_t discarded_buffers;
  uint64_t discarded_bytes;
  // Buffers that CUPTI kept although it was told to return all: another tool has registered its own.
  uint64_t lost_buffers;
  uint64_t unknown_records;
  // Nanoseconds of processor time that the library's own thread took.
  uint64_t thread_nanoseconds;
  char step[64];
  char program[256];
  char library[256];
  // A tool that may hold CUPTI, as found among the libraries in memory.
  char holder[256];
  // NVTX ranges for which there was no room.
  uint64_t dropped_ranges;
  char padding[4096 - 160 - 832 - 8];
};
_Static_assert(sizeof(struct cudacapture_header) == 4096, "the reader's offsets");

struct cudacapture_block {
  uint32_t magic;
  uint32_t bytes;
  uint32_t records;
  // FNV-1a over the number of records, lowest byte first, and the payload.
  uint32_t checksum;
};

// What stands in a block: a tag, then numbers of 7 bits a byte, lowest first. "Step" numbers are differences from the last of their sort
// within the block, zigzag, as are ends from their starts; the first of a block are differences from 0.
enum cudacapture_tag {
  // id, byte count, bytes.
  CUDACAPTURE_NAME = 1,
  // id, name, grid x y z, block x y z, registers, static, dynamic, local bytes, launch type, cluster x y z.
  CUDACAPTURE_KERNEL_TYPE = 2,
  // id, device, context, stream.
  CUDACAPTURE_STREAM = 3,
  // number, name, bandwidth (KB/s), memory bytes, L2 bytes, warp, clock (kHz), SMs, warps, blocks, shared bytes, registers an SM, major,
  // minor, UUID in two numbers.
  CUDACAPTURE_DEVICE = 4,
  // domain, name, start step, end, correlation step, thread step, result.
  CUDACAPTURE_CALL = 5,
  // type, stream, start step, end, correlation step, graph node.
  CUDACAPTURE_KERNEL = 6,
  // stream, start step, end, correlation step, graph node, bytes, kind, source, target.
  CUDACAPTURE_COPY = 7,
  // stream, start step, end, correlation step, graph node, bytes, value, memory kind.
  CUDACAPTURE_FILL = 8,
  // context, stream, start step, end, correlation step, type, event.
  CUDACAPTURE_SYNCHRONIZATION = 9,
  // kind, start step, end, correlation step, thread (0 for none).
  CUDACAPTURE_OVERHEAD = 10,
  // stream, correlation step, event.
  CUDACAPTURE_EVENT = 11,
  // stream, start step, end, correlation step, graph.
  CUDACAPTURE_GRAPH = 12,
  // type, domain, name, start step, end, thread.
  CUDACAPTURE_RANGE = 13,
};

#endif
