#define _GNU_SOURCE
#include "recorder.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "text_and_time.h"
#include "system_call.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

// The package manager links with Swift's driver, which names Swift's runtime before any flag of ours. This section is read into flags that
// come before it (swift-autolink-extract): nothing here needs the runtime, so it is left out, and the library needs libc alone.
__attribute__((used, section(".swift1_autolink_entries"))) static const char link_what_is_needed[] = "-Wl,--as-needed";

enum {
  FIRST_CHUNK_BYTES = 8 << 10,
  CHUNK_BYTES = 64 << 10,
  // Small: a build starts thousands of processes that make a few calls each.
  FIRST_EXTENT_BYTES = 32 << 10,
  EXTENT_BYTES = 1 << 20,
  // A chunk with less room is not worth handing on to another thread.
  WORTH_KEEPING_BYTES = 1 << 10,
};

// What belongs to one process image. It stands in a page that the kernel empties in a forked child (MADV_WIPEONFORK), so that no way of
// forking can make a child write into its parent's file.
struct state {
  // 0: nothing is set up.
  uint64_t epoch;
  int is_disabled;
  // No room is left; asked for again by nobody.
  _Atomic int is_full;
  _Atomic int is_locked;
  struct oscalls_header *header;
  uint64_t reserved_bytes;
  // Bytes of the file that exist.
  uint64_t extent_end;
  // Offset of the first chunk whose thread has ended; 0 for none. Chained by `next_free` in units of 4 KiB.
  uint32_t free_chunks;
  char path[256];
};

struct thread {
  // The state's epoch this was set up for.
  uint64_t epoch;
  // Set while the recorder itself runs, so that a signal handler's calls pass by.
  volatile int is_busy;
  uint32_t number;
  uint64_t calls;
  struct oscalls_chunk *chunk;
  // The call that has begun, should another begin within it (a signal handler).
  uint64_t open_start;
  uint32_t open_function;
  char name[16];
};

static struct state boot_state;
static struct state *state = &boot_state;
static struct oscalls_control *control;
static uint64_t epochs;
static _Atomic int is_starting;
static char folder[128];
static pthread_key_t thread_key;
static int has_thread_key;

// No call into the dynamic linker, which may allocate: the library is there before the program's threads are.
static __thread struct thread self __attribute__((tls_model("initial-exec"))) = {.epoch = UINT64_MAX};

static const char *const function_names[FUNCTION_COUNT] = {
#define OSCALLS_NAME(name) [F_##name] = #name,
    OSCALLS_FUNCTIONS(OSCALLS_NAME)
#undef OSCALLS_NAME
        [F_syscall_futex] = "syscall(SYS_futex)",
    [F_syscall_io_uring_enter] = "syscall(SYS_io_uring_enter)",
};

// Held for a few stores, by threads that begin, end or need another chunk. Never while the program's own code runs.
static void lock(void) {
  while (atomic_exchange_explicit(&state->is_locked, 1, memory_order_acquire)) system_call(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
}

static void unlock(void) { atomic_store_explicit(&state->is_locked, 0, memory_order_release); }

// The file is opened anew each time: programs that close every descriptor must not close ours, nor get its number for a file of theirs.
static int extend_file(uint64_t from, uint64_t bytes) {
  if (atomic_fetch_sub(&control->bytes_left, (int64_t)bytes) < (int64_t)bytes) {
    atomic_fetch_add(&control->bytes_left, (int64_t)bytes);
    return 0;
  }
  long descriptor = system_call(SYS_openat, AT_FDCWD, (long)state->path, O_WRONLY | O_CLOEXEC, 0, 0, 0);
  if (descriptor < 0) return 0;
  // Blocks are taken now: a full disk must show here and not as a SIGBUS in the program's next call.
  long failed = system_call(SYS_fallocate, descriptor, 0, (long)from, (long)bytes, 0, 0);
  if (failed < 0) {
    static const char zeros[4096];
    failed = 0;
    for (uint64_t done = 0; done < bytes && !failed; done += sizeof zeros) {
      failed = system_call(SYS_pwrite64, descriptor, (long)zeros, sizeof zeros, (long)(from + done), 0, 0) != sizeof zeros;
    }
  }
  system_call(SYS_close, descriptor, 0, 0, 0, 0, 0);
  return !failed;
}

// A chunk of fresh bytes, or NULL. The lock is held.
static struct oscalls_chunk *fresh_chunk(uint32_t bytes) {
  struct oscalls_header *header = state->header;
  uint64_t offset = atomic_load_explicit(&header->used_bytes, memory_order_relaxed);
  while (offset + bytes > state->extent_end) {
    // Twice as much each time, up to a limit.
    uint64_t extent = state->extent_end < EXTENT_BYTES ? state->extent_end : EXTENT_BYTES;
    if (state->extent_end + extent > state->reserved_bytes || !extend_file(state->extent_end, extent)) return NULL;
    state->extent_end += extent;
  }
  struct oscalls_chunk *chunk = (struct oscalls_chunk *)((char *)header + offset);
  // One call instead of a page fault every 170 records.
  system_call(SYS_madvise, (long)chunk, bytes, MADV_POPULATE_WRITE, 0, 0, 0);
  chunk->bytes = bytes;
  atomic_signal_fence(memory_order_release);
  chunk->magic = OSCALLS_CHUNK_MAGIC;
  atomic_store_explicit(&header->used_bytes, offset + bytes, memory_order_release);
  return chunk;
}

static inline uint32_t capacity(const struct oscalls_chunk *chunk) {
  return (uint32_t)((chunk->bytes - sizeof *chunk) / sizeof(struct oscalls_record));
}

static inline void write_record(struct oscalls_chunk *chunk, uint32_t index, uint64_t start, uint64_t tagged, int64_t returned) {
  chunk->record[index] = (struct oscalls_record){start, tagged, returned};
  atomic_store_explicit(&chunk->records, index + 1, memory_order_release);
}

// Says whose records follow.
static void write_thread(struct thread *thread) {
  struct oscalls_chunk *chunk = thread->chunk;
  uint32_t index = atomic_load_explicit(&chunk->records, memory_order_relaxed);
  uint64_t first;
  int64_t second;
  memcpy(&first, thread->name, 8);
  memcpy(&second, thread->name + 8, 8);
  write_record(chunk, index, first, (uint64_t)OSCALLS_THREAD << 48 | thread->number, second);
}

static void read_name(char name[16]) {
  memset(name, 0, 16);
  system_call(SYS_prctl, PR_GET_NAME, (long)name, 0, 0, 0, 0);
  name[15] = 0;
}

// A chunk with room, one whose thread has ended before a fresh one.
static int take_chunk(struct thread *thread) {
  if (atomic_load_explicit(&state->is_full, memory_order_relaxed)) return 0;
  lock();
  struct oscalls_chunk *chunk = NULL;
  if (state->free_chunks) {
    chunk = (struct oscalls_chunk *)((char *)state->header + ((uint64_t)state->free_chunks << 12));
    state->free_chunks = chunk->next_free;
    chunk->next_free = 0;
  } else {
    chunk = fresh_chunk(thread->chunk ? CHUNK_BYTES : FIRST_CHUNK_BYTES);
    if (!chunk) atomic_store_explicit(&state->is_full, 1, memory_order_relaxed);
  }
  unlock();
  if (!chunk) return 0;
  if (thread->chunk) atomic_store_explicit(&thread->chunk->open_start, 0, memory_order_relaxed);
  thread->chunk = chunk;
  write_thread(thread);
  return 1;
}

static void release_chunk(struct thread *thread) {
  struct oscalls_chunk *chunk = thread->chunk;
  thread->chunk = NULL;
  if (!chunk) return;
  atomic_store_explicit(&chunk->open_start, 0, memory_order_relaxed);
  uint32_t left = capacity(chunk) - atomic_load_explicit(&chunk->records, memory_order_relaxed);
  if (left * sizeof(struct oscalls_record) < WORTH_KEEPING_BYTES) return;
  lock();
  chunk->next_free = state->free_chunks;
  state->free_chunks = (uint32_t)(((char *)chunk - (char *)state->header) >> 12);
  unlock();
}

static void thread_ended(void *argument) {
  struct thread *thread = argument;
  if (thread->epoch != state->epoch) return;
  thread->is_busy = 1;
  atomic_signal_fence(memory_order_seq_cst);
  release_chunk(thread);
  thread->epoch = UINT64_MAX;
  atomic_signal_fence(memory_order_seq_cst);
  thread->is_busy = 0;
}

static int map_control(void) {
  if (control) return 1;
  if (!folder[0]) {
    const char *value = getenv(OSCALLS_FOLDER_VARIABLE);
    // Absolute, so that chdir does not matter.
    if (!value || value[0] != '/' || strlen(value) >= sizeof folder) return 0;
    copy_text(folder, value, sizeof folder);
  }
  char path[160];
  char *end = append_text(path, path + sizeof path - 1, folder);
  append_text(end, path + sizeof path - 1, "/control");
  long descriptor = system_call(SYS_openat, AT_FDCWD, (long)path, O_RDWR | O_CLOEXEC, 0, 0, 0);
  if (descriptor < 0) return 0;
  long place = system_call(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  system_call(SYS_close, descriptor, 0, 0, 0, 0, 0);
  if (place < 0 && place > -4096) return 0;
  struct oscalls_control *mapped = (struct oscalls_control *)place;
  if (memcmp(mapped->magic, "HROSCTL1", 8)) return 0;
  control = mapped;
  return 1;
}

// A new file PID.N.oscalls, mapped as far as it may ever grow.
static int map_file(void) {
  uint32_t pid = (uint32_t)system_call(SYS_getpid, 0, 0, 0, 0, 0, 0);
  long descriptor = -1;
  for (unsigned image = 0; image < 10000 && descriptor < 0; image++) {
    char *end = state->path + sizeof state->path - 1;
    char *at = append_text(state->path, end, folder);
    at = append_text(at, end, "/");
    at = append_number(at, end, pid);
    at = append_text(at, end, ".");
    at = append_number(at, end, image);
    append_text(at, end, ".oscalls");
    descriptor = system_call(SYS_openat, AT_FDCWD, (long)state->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, 0, 0);
    if (descriptor < 0 && descriptor != -17 /* EEXIST */) return 0;
  }
  if (descriptor < 0) return 0;
  // A server that gives its rights up later must still be able to extend its file. The folder's name cannot be guessed or listed.
  if (system_call(SYS_geteuid, 0, 0, 0, 0, 0, 0) == 0) system_call(SYS_fchmod, descriptor, 0622, 0, 0, 0, 0);
  if (!extend_file(0, FIRST_EXTENT_BYTES)) {
    system_call(SYS_close, descriptor, 0, 0, 0, 0, 0);
    return 0;
  }
  state->extent_end = FIRST_EXTENT_BYTES;
  // Only addresses; a program that limits them gets less.
  int64_t left = atomic_load(&control->bytes_left);
  uint64_t reserved = ((uint64_t)(left > 0 ? left : 0) + 2 * EXTENT_BYTES) & ~(uint64_t)(EXTENT_BYTES - 1);
  long place = -1;
  for (; reserved >= FIRST_EXTENT_BYTES; reserved >>= 1) {
    place = system_call(SYS_mmap, 0, (long)reserved, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, descriptor, 0);
    if (!(place < 0 && place > -4096)) break;
  }
  system_call(SYS_close, descriptor, 0, 0, 0, 0, 0);
  if (place < 0 && place > -4096) return 0;
  system_call(SYS_madvise, place, (long)reserved, MADV_DONTFORK, 0, 0, 0);
  state->reserved_bytes = reserved;

  struct oscalls_header *header = (struct oscalls_header *)place;
  header->byte_order = 0x01020304;
  header->header_bytes = sizeof *header;
  header->pid = pid;
  header->parent_pid = (uint32_t)system_call(SYS_getppid, 0, 0, 0, 0, 0, 0);
  header->started_monotonic = (int64_t)monotonic();
  struct timespec time;
  clock_gettime(CLOCK_REALTIME, &time);
  header->started_realtime = (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
  header->threshold_nanoseconds = control->threshold_nanoseconds;
  header->function_count = FUNCTION_COUNT;
  header->record_bytes = sizeof(struct oscalls_record);
  for (int function = 0; function < FUNCTION_COUNT; function++)
    copy_text(header->names[function], function_names[function], OSCALLS_NAME_BYTES);
  system_call(SYS_readlinkat, AT_FDCWD, (long)"/proc/self/exe", (long)header->program, sizeof header->program - 1, 0, 0);
  atomic_store(&header->used_bytes, sizeof *header);
  // Last: a file without it was never begun.
  atomic_thread_fence(memory_order_release);
  memcpy(header->magic, "HROSCAL1", 8);
  state->header = header;
  return 1;
}

void recorder_start(void) {
  while (atomic_exchange_explicit(&is_starting, 1, memory_order_acquire)) system_call(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
  if (state == &boot_state) {
    long page = system_call(SYS_mmap, 0, sizeof(struct state), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (!(page < 0 && page > -4096)) {
      // Where the kernel has it not (before 4.14), `recorder_forked` empties it.
      system_call(SYS_madvise, page, sizeof(struct state), MADV_WIPEONFORK, 0, 0, 0);
      state = (struct state *)page;
    }
    has_thread_key = pthread_key_create(&thread_key, thread_ended) == 0;
  }
  if (!state->epoch && !state->is_disabled) {
    if (state != &boot_state && map_control() && map_file())
      state->epoch = ++epochs;
    else
      state->is_disabled = 1;
  }
  atomic_store_explicit(&is_starting, 0, memory_order_release);
}

void recorder_forked(void) {
  atomic_store(&is_starting, 0);
  if (state == &boot_state) return;
  memset(state, 0, sizeof *state);
  // At once: a server that forks and then gives up its rights could not make its file later.
  if (control && atomic_load_explicit(&control->recording, memory_order_relaxed)) recorder_start();
}

void recorder_exiting(void) {
  if (state->epoch) atomic_store(&state->header->ended_monotonic, (int64_t)monotonic());
}

int recorder_is_active(void) {
  return state->epoch && atomic_load_explicit(&control->recording, memory_order_relaxed);
}

const char *recorder_folder(void) { return folder; }

struct oscalls_note *recorder_note(uint32_t pid, uint32_t kind, const char *path) {
  if (!recorder_is_active()) return NULL;
  uint32_t index = atomic_fetch_add(&state->header->note_count, 1);
  if (index >= OSCALLS_NOTE_LIMIT) return NULL;
  struct oscalls_note *note = &state->header->notes[index];
  note->pid = pid;
  copy_text(note->path, path, sizeof note->path);
  atomic_store_explicit(&note->state, kind, memory_order_release);
  return note;
}

// A thread's first call in this process image.
__attribute__((noinline, cold)) static int attach(struct thread *thread) {
  if (state->is_disabled) return 0;
  thread->is_busy = 1;
  atomic_signal_fence(memory_order_seq_cst);
  if (!state->epoch) recorder_start();
  if (state->epoch) {
    thread->epoch = state->epoch;
    thread->number = (uint32_t)system_call(SYS_gettid, 0, 0, 0, 0, 0, 0);
    thread->calls = 0;
    thread->open_start = 0;
    thread->chunk = NULL;
    read_name(thread->name);
    take_chunk(thread);
    // The first 32 keys have their place in the thread itself; beyond, setting one allocates.
    if (has_thread_key && thread_key < 32) pthread_setspecific(thread_key, thread);
  }
  atomic_signal_fence(memory_order_seq_cst);
  thread->is_busy = 0;
  return thread->epoch == state->epoch;
}

// Threads are named after they have begun, some by themselves and through /proc.
__attribute__((noinline, cold)) static void check_name(struct thread *thread) {
  char name[16];
  read_name(name);
  if (!memcmp(name, thread->name, sizeof name)) return;
  thread->is_busy = 1;
  atomic_signal_fence(memory_order_seq_cst);
  memcpy(thread->name, name, sizeof name);
  if (thread->chunk) {
    if (atomic_load_explicit(&thread->chunk->records, memory_order_relaxed) < capacity(thread->chunk))
      write_thread(thread);
    else
      take_chunk(thread);
  }
  atomic_signal_fence(memory_order_seq_cst);
  thread->is_busy = 0;
}

int call_begin(struct call *call, enum function_number function) {
  struct thread *thread = &self;
  call->is_recorded = 0;
  if (thread->is_busy) return 0;
  if (unlikely(thread->epoch != state->epoch) && !attach(thread)) return 0;
  if (unlikely(!atomic_load_explicit(&control->recording, memory_order_relaxed))) return 0;
  uint64_t calls = ++thread->calls;
  if (unlikely((calls & (calls - 1)) == 0)) check_name(thread);
  call->is_recorded = 1;
  call->function = function;
  call->previous_start = thread->open_start;
  call->previous_function = thread->open_function;
  call->start = monotonic();
  thread->open_start = call->start;
  thread->open_function = function;
  if (likely(thread->chunk != NULL)) {
    atomic_store_explicit(&thread->chunk->open_function, function, memory_order_relaxed);
    atomic_store_explicit(&thread->chunk->open_start, call->start, memory_order_release);
  }
  return 1;
}

static void count(struct oscalls_count *count, uint64_t nanoseconds) {
  atomic_fetch_add_explicit(&count->calls, 1, memory_order_relaxed);
  atomic_fetch_add_explicit(&count->nanoseconds, nanoseconds, memory_order_relaxed);
}

void call_end(struct call *call, int64_t returned) {
  if (!call->is_recorded) return;
  struct thread *thread = &self;
  // In a forked child the call began in the parent.
  if (unlikely(thread->epoch != state->epoch)) return;
  uint64_t end = monotonic();
  uint64_t duration = end > call->start ? end - call->start : 0;
  thread->is_busy = 1;
  atomic_signal_fence(memory_order_seq_cst);
  thread->open_start = call->previous_start;
  thread->open_function = call->previous_function;
  struct oscalls_chunk *chunk = thread->chunk;
  int is_long = duration >= (uint64_t)state->header->threshold_nanoseconds;
  if (likely(chunk != NULL)) {
    if (!is_long) {
      chunk->below[call->function].calls++;
      chunk->below[call->function].nanoseconds += duration;
    } else {
      uint32_t index = atomic_load_explicit(&chunk->records, memory_order_relaxed);
      if (unlikely(index >= capacity(chunk)) && take_chunk(thread)) {
        chunk = thread->chunk;
        index = atomic_load_explicit(&chunk->records, memory_order_relaxed);
      }
      if (likely(index < capacity(chunk))) {
        if (unlikely(duration >= (uint64_t)1 << 48)) duration = ((uint64_t)1 << 48) - 1;
        write_record(chunk, index, call->start, (uint64_t)call->function << 48 | duration, returned);
      } else {
        count(&state->header->dropped[call->function], duration);
      }
    }
    if (unlikely(call->previous_start != 0)) atomic_store_explicit(&chunk->open_function, call->previous_function, memory_order_relaxed);
    atomic_store_explicit(&chunk->open_start, call->previous_start, memory_order_release);
  } else {
    count(is_long ? &state->header->dropped[call->function] : &state->header->below[call->function], duration);
  }
  atomic_signal_fence(memory_order_seq_cst);
  thread->is_busy = 0;
}
