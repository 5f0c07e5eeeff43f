// The stand-in's state: one device, its context, memory, streams of operations that run as late as they may, and what was misused.
#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "CCUDA.h"

#define HEADROOM_DECLARE(result, name, parameters) extern "C" __attribute__((visibility("default"))) result name parameters;
HEADROOM_DRIVER_FUNCTIONS(HEADROOM_DECLARE)
HEADROOM_BLAS_FUNCTIONS(HEADROOM_DECLARE)
HEADROOM_COMPILER_FUNCTIONS(HEADROOM_DECLARE)
HEADROOM_MANAGEMENT_FUNCTIONS(HEADROOM_DECLARE)
HEADROOM_ACTIVITY_FUNCTIONS(HEADROOM_DECLARE)

namespace headroom {

/// What has happened before a moment: of every stream, how many of its operations. Key -1 is the host, all its threads as one.
using Clock = std::map<int, uint64_t>;

struct Range {
  uint64_t start;
  size_t bytes;
  bool isWritten;
};

struct Allocation {
  uint64_t start;
  size_t bytes;
  bool isPinned;
  int generation;
  std::pair<int, uint64_t> writer{-2, 0};
  std::map<int, uint64_t> readers;
};

/// One piece of work: what it does, what it touches, what a trace says of it.
struct Operation {
  std::string what;
  std::function<std::string()> run;
  std::vector<Range> ranges;
  int kind = 0;  // HR_KIND_*, 0: none
  HRKernelRecord kernel{};
  HRCopyRecord copy{};
  HRMemsetRecord memset{};
  std::string kernelName;
};

struct Event;

struct Queued {
  Operation operation;
  Clock clock;
  // Events that this waits for, as they stood when it was queued; an event that it records.
  std::shared_ptr<Event> records;
  uint64_t recordNumber = 0;
  int waitsForStream = -1;
  uint64_t waitsForIndex = 0;
};

struct Graph {
  std::vector<Operation> operations;
  bool isValid = true;
};

struct Stream {
  int id;
  int generation;
  bool isDestroyed = false;
  // Operations queued and executed so far; `queue` holds those between.
  uint64_t queued = 0, executed = 0;
  std::deque<Queued> queue;
  Clock clock;
  std::shared_ptr<Graph> capture;
};

struct Event {
  int generation;
  uint32_t flags;
  bool isDestroyed = false;
  uint64_t records = 0;
  int stream = -1;
  uint64_t index = 0;
  Clock clock;
  // When the record was executed, nanoseconds.
  uint64_t time = 0;
};

struct Module {
  int generation;
  bool isUnloaded = false;
  int element;
};

struct Function {
  int generation;
  std::shared_ptr<Module> module;
  std::string name;
  int dynamicSharedLimit = 48 * 1024;
};

struct Executable {
  int generation;
  bool isDestroyed = false;
  std::vector<Operation> operations;
};

struct Fault {
  size_t after;
  int32_t code;
  size_t times;
};

struct State {
  std::recursive_mutex mutex;
  bool isInitialized = false;
  int retained = 0;
  /// Contexts retained before a reset of the stand-in: their releases, which come late from other threads, are not of the new ones.
  int stale = 0;
  /// Counts contexts: a handle of an earlier one is of a destroyed context.
  int generation = 1;
  int32_t sticky = 0;
  size_t memory = size_t(8) << 30;
  size_t used = 0;
  std::map<uint64_t, Allocation> allocations;
  // Handles are never reused: one that is used after its end is recognized.
  std::vector<std::unique_ptr<std::shared_ptr<Stream>>> streams;
  std::vector<std::unique_ptr<std::shared_ptr<Event>>> events;
  std::vector<std::unique_ptr<std::shared_ptr<Module>>> modules;
  std::vector<std::unique_ptr<std::shared_ptr<Function>>> functions;
  std::vector<std::unique_ptr<std::shared_ptr<Graph>>> graphs;
  std::vector<std::unique_ptr<std::shared_ptr<Executable>>> executables;
  std::set<const void *> liveGraphs;
  Clock host;
  std::vector<std::string> complaints;
  std::map<std::string, size_t> calls;
  std::map<std::string, Fault> faults;
  uint64_t correlation = 0;
  std::string liveText;
};

State &state();
using Lock = std::lock_guard<std::recursive_mutex>;

void complain(const std::string &text);
/// Counts a call; a fault that is due, an error that sticks, or a missing context, and 0 otherwise.
int32_t enter(const char *name, bool needsContext = true);
/// Queues an operation, or adds it to the graph that the stream captures. `handle` NULL: the context's own stream.
int32_t enqueue(const char *name, HRStream handle, Operation operation);
std::shared_ptr<Stream> streamOf(const char *name, HRStream handle);
/// Runs what stands in the stream up to that many operations, and what it waits for.
void execute(int stream, uint64_t index);
/// The allocation in which all these bytes lie; nullptr and a complaint where there is none.
Allocation *allocationOf(const char *what, uint64_t start, size_t bytes);
/// From `start` to the end of its allocation; 0 where it lies in none.
size_t bytesBehind(uint64_t start);
uint64_t nowNanoseconds();
/// CUPTI's side of what was executed or called.
void noteExecuted(const Operation &operation, const Stream &stream, uint64_t start, uint64_t end);
uint64_t timestamp();

}  // namespace headroom
