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
#include <thread>
#include <vector>

#include "CCUDA.h"

#define HEADROOM_DECLARE(result, name, parameters) extern "C" __attribute__((visibility("default"))) result name parameters;
HEADROOM_DRIVER_FUNCTIONS(HEADROOM_DECLARE)
HEADROOM_BLAS_FUNCTIONS(HEADROOM_DECLARE)
HEADROOM_COMPILER_FUNCTIONS(HEADROOM_DECLARE)
HEADROOM_MANAGEMENT_FUNCTIONS(HEADROOM_DECLARE)
HEADROOM_ACTIVITY_FUNCTIONS(HEADROOM_DECLARE)
HEADROOM_ACTIVITY_OPTIONS(HEADROOM_DECLARE)

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
  /// The program's own memory, which a context's end does not free.
  bool isRegistered = false;
};

/// When a stream came to a record of an event, nanoseconds; 0 while it has not.
struct Reached {
  uint64_t time = 0;
};

/// One launch of a graph: from its first node's start to its last one's end.
struct GraphRun {
  uint32_t correlation;
  uint32_t graph;
  size_t left;
  uint64_t start = UINT64_MAX, end = 0;
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
  std::shared_ptr<GraphRun> graph;
};

struct Event;

struct Queued {
  Operation operation;
  Clock clock;
  // Events that this waits for, as they stood when it was queued; an event that it records.
  std::shared_ptr<Reached> records;
  int waitsForStream = -1;
  uint64_t waitsForIndex = 0;
  std::shared_ptr<Reached> waitsFor;
  /// When the host queued it, nanoseconds.
  uint64_t time = 0;
};

struct Graph {
  std::vector<Operation> operations;
  bool isValid = true;
  /// While it is captured: by whom, and whose calls may spoil that (HR_CAPTURE_*).
  int32_t mode = 0;
  std::thread::id capturer;
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
  /// When a GPU with room for everything would have ended what was executed: an operation begins when it is queued, what stands before it in
  /// its stream has ended, and what it waits for has happened; it takes as long as it took here. What is queued on two streams overlaps
  /// therefore, although it is executed one after the other, and nothing ends after the host has seen its end.
  uint64_t freeAt = 0;
};

struct Event {
  int generation;
  uint32_t flags;
  bool isDestroyed = false;
  uint64_t records = 0;
  int stream = -1;
  uint64_t index = 0;
  Clock clock;
  std::shared_ptr<Reached> reached;
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
  uint32_t number = 0;
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

/// What the environment asks for in programs of their own: see CCUDAStandIn.h.
void applyEnvironment(State &state);
/// Also into the file that the environment names, at once: the program may be killed.
void writeComplaint(const std::string &text);

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
/// CUPTI's side of what was executed or called; times as `nowNanoseconds` gives them.
void noteExecuted(const Operation &operation, const Stream &stream, uint64_t start, uint64_t end);
void noteSynchronization(int32_t type, uint32_t stream, uint32_t event, uint64_t start, uint64_t end);
void noteEvent(uint32_t stream, uint32_t event);
void noteOverhead(uint32_t kind, uint64_t start, uint64_t end);
/// Kernels run one at a time: what CUPTI's KIND_KERNEL does to a program.
bool isSerialized();

/// A call of the driver or of the runtime, as CUPTI records it. A driver's call within another one of the driver's is not seen; one within a call of
/// the runtime is, under the same correlation id, as with CUPTI.
class Call {
public:
  /// The number of an entry point among the driver's functions, or the runtime's, from 1.
  explicit Call(uint32_t number, bool isRuntime = false);
  int32_t end(int32_t result);
  Call(const Call &) = delete;

private:
  bool isSeen() const { return !outer || (outer->isRuntime && !isRuntime); }
  uint32_t number, correlation;
  uint64_t start;
  Call *outer;
  bool isRuntime;
};
/// What joins device work with the call that is running on this thread.
uint32_t currentCorrelation();
const char *callName(uint32_t number);
/// The runtime's functions that the stand-in has; nullptr for other numbers.
const char *runtimeCallName(uint32_t number);
/// The number under which `Call` knows it.
uint32_t callNumber(const char *name);

}  // namespace headroom
