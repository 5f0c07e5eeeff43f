#include "fibers.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

#include "processor.h"

namespace headroom {

thread_local Place place;

namespace {
constexpr size_t stackBytes = 64 * 1024;
constexpr int maxThreads = 1024;

#if defined(__x86_64__)
// Saves what the calling convention keeps, changes the stack, restores. Arguments: where to save this stack's pointer, the other's.
extern "C" void headroom_switch(void **from, void *to);
asm(R"(
.text
.hidden headroom_switch
.globl headroom_switch
.type headroom_switch, @function
headroom_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size headroom_switch, .-headroom_switch
)");
#endif

struct Fiber {
  unsigned char *stack = nullptr;
#if defined(__x86_64__)
  void *pointer = nullptr;
#else
  ucontext_t context;
#endif
  bool isDone = false;
  // Nonzero: waits until the gate's turn is no longer this.
  const uint64_t *gate = nullptr;
  uint64_t turn = 0;
  std::vector<std::pair<void *, const void *>> copies;
};

struct Warp {
  int alive = 0, arrived = 0;
  uint64_t turn = 0;
  int exchanges = 0;
  alignas(16) unsigned char slots[2][32 * 32];
};

struct Shared {
  const void *key;
  std::vector<unsigned char> bytes;
  unsigned char *aligned;
};

struct Block {
  std::vector<Fiber> fibers;
  Warp warps[maxThreads / 32];
  int alive = 0, arrived = 0;
  uint64_t turn = 0;
  std::vector<Shared> shared;
  std::vector<unsigned char> dynamic;
  unsigned char *dynamicStart = nullptr;
  int current = 0;
  const std::function<void()> *body = nullptr;
#if defined(__x86_64__)
  void *scheduler = nullptr;
#else
  ucontext_t scheduler;
#endif
};

thread_local Block *block = nullptr;

void yield() {
  Fiber &fiber = block->fibers[block->current];
#if defined(__x86_64__)
  headroom_switch(&fiber.pointer, block->scheduler);
#else
  swapcontext(&fiber.context, &block->scheduler);
#endif
}

void release(int &arrived, uint64_t &turn) {
  arrived = 0;
  turn++;
}

void wait(const uint64_t &turn, uint64_t before) {
  Fiber &fiber = block->fibers[block->current];
  fiber.gate = &turn;
  fiber.turn = before;
  while (turn == before) yield();
  fiber.gate = nullptr;
}

void runFiber() {
  (*block->body)();
  Fiber &fiber = block->fibers[block->current];
  fiber.isDone = true;
  // Those that wait for all now wait for one fewer.
  Warp &warp = block->warps[block->current / 32];
  if (--warp.alive > 0 && warp.arrived == warp.alive) release(warp.arrived, warp.turn);
  if (--block->alive > 0 && block->arrived == block->alive) release(block->arrived, block->turn);
  yield();
  abort();
}

void prepare(Fiber &fiber) {
  if (!fiber.stack) {
    fiber.stack = (unsigned char *)mmap(nullptr, stackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (fiber.stack == MAP_FAILED) abort();
  }
  fiber.isDone = false;
  fiber.gate = nullptr;
  fiber.copies.clear();
#if defined(__x86_64__)
  // As if it had been called: six registers, the address to return to, and a stack that is 8 short of a multiple of 16 behind it.
  void **top = (void **)(fiber.stack + stackBytes - 16);
  *--top = nullptr;
  *--top = (void *)&runFiber;
  for (int i = 0; i < 6; i++) *--top = nullptr;
  fiber.pointer = top;
#else
  getcontext(&fiber.context);
  fiber.context.uc_stack.ss_sp = fiber.stack;
  fiber.context.uc_stack.ss_size = stackBytes;
  fiber.context.uc_link = nullptr;
  makecontext(&fiber.context, runFiber, 0);
#endif
}

/// A thread's fibers, kept from grid to grid.
struct Keeper {
  Block block;
  ~Keeper() {
    for (Fiber &fiber : block.fibers) {
      if (fiber.stack) munmap(fiber.stack, stackBytes);
    }
  }
};
}  // namespace

void *blockShared(const void *key, size_t bytes) {
  for (Shared &shared : block->shared) {
    if (shared.key == key) return shared.aligned;
  }
  block->shared.push_back({key, std::vector<unsigned char>(bytes + 128, 0xcd), nullptr});
  Shared &made = block->shared.back();
  made.aligned = (unsigned char *)(((uintptr_t)made.bytes.data() + 127) & ~(uintptr_t)127);
  return made.aligned;
}

unsigned char *dynamicShared() { return block->dynamicStart; }

void blockBarrier() {
  uint64_t before = block->turn;
  if (++block->arrived == block->alive) return release(block->arrived, block->turn);
  wait(block->turn, before);
}

void warpBarrier() {
  Warp &warp = block->warps[block->current / 32];
  uint64_t before = warp.turn;
  if (++warp.arrived == warp.alive) {
    warp.exchanges++;
    return release(warp.arrived, warp.turn);
  }
  wait(warp.turn, before);
}

const unsigned char *exchange(const void *mine, size_t bytes) {
  Warp &warp = block->warps[block->current / 32];
  // Two areas in turn: whoever is an exchange ahead does not overwrite what others still read.
  unsigned char *slots = warp.slots[warp.turn % 2];
  memcpy(slots + block->current % 32 * 32, mine, bytes);
  warpBarrier();
  return slots;
}

void copyStart(void *target, const void *source) { block->fibers[block->current].copies.push_back({target, source}); }

void copiesWait() {
  Fiber &fiber = block->fibers[block->current];
  for (auto &copy : fiber.copies) memcpy(copy.first, copy.second, 16);
  fiber.copies.clear();
}

std::string runGrid(long long blocks, int threads, size_t sharedBytes, const std::function<void()> &body) {
  static thread_local Keeper keeper;
  Block &own = keeper.block;
  block = &own;
  own.body = &body;
  if ((int)own.fibers.size() < threads) own.fibers.resize(threads);
  if (own.dynamic.size() < sharedBytes + 128) own.dynamic.resize(sharedBytes + 128);
  own.dynamicStart = (unsigned char *)(((uintptr_t)own.dynamic.data() + 127) & ~(uintptr_t)127);
  std::string problem;
  for (long long index = 0; index < blocks && problem.empty(); index++) {
    own.shared.clear();
    memset(own.dynamicStart, 0xcd, sharedBytes);
    own.alive = threads;
    own.arrived = 0;
    for (int warp = 0; warp * 32 < threads; warp++) {
      own.warps[warp].alive = threads - warp * 32 < 32 ? threads - warp * 32 : 32;
      own.warps[warp].arrived = 0;
    }
    for (int thread = 0; thread < threads; thread++) prepare(own.fibers[thread]);
    int left = threads;
    while (left > 0) {
      bool hasMoved = false;
      for (int thread = 0; thread < threads; thread++) {
        Fiber &fiber = own.fibers[thread];
        if (fiber.isDone || (fiber.gate && *fiber.gate == fiber.turn)) continue;
        hasMoved = true;
        own.current = thread;
        place = {thread, threads, index, blocks};
#if defined(__x86_64__)
        headroom_switch(&own.scheduler, fiber.pointer);
#else
        swapcontext(&own.scheduler, &fiber.context);
#endif
        if (fiber.isDone) {
          left--;
          if (!fiber.copies.empty()) problem = "a thread ended with copies to shared memory that it never waited for";
        }
      }
      if (!hasMoved) {
        problem = "a barrier, or an exchange of a warp, that not all threads reach";
        break;
      }
    }
  }
  return problem;
}

}  // namespace headroom
