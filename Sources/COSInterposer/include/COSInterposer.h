// The files of an OS-call capture. The interposer writes them, TraceFormats' OSCallFile reads them, and nothing else is shared between
// the two: numbers are the machine's own (little-endian on every machine we run on), and the file says which functions its numbers mean.
//
// A capture is a folder with a file `control`, written by `headroom profile` before the program starts, and a file PID.N.oscalls a
// process image (N counts the images a process has run: exec keeps the number). A process file is a header and then chunks, each owned
// by one thread at a time and filled front to back. What is counted in `records` is whole; a process that is killed loses nothing that
// was counted before.
#ifndef HEADROOM_OS_INTERPOSER_H
#define HEADROOM_OS_INTERPOSER_H

#include <stdatomic.h>
#include <stdint.h>

#define OSCALLS_FUNCTION_LIMIT 128
#define OSCALLS_NAME_BYTES 32
#define OSCALLS_NOTE_LIMIT 56
#define OSCALLS_PATH_BYTES 120

// How often, and how long together.
struct oscalls_count {
  _Atomic uint64_t calls;
  _Atomic uint64_t nanoseconds;
};

// A program that was started in this process's place or as its child: where no file of that process is found later, it was not seen.
struct oscalls_note {
  uint32_t pid;
  // 0 nothing yet, 1 about to run (exec), 2 that exec failed, 3 a child was started.
  _Atomic uint32_t state;
  char path[OSCALLS_PATH_BYTES];
};

struct oscalls_header {
  char magic[8];
  uint32_t byte_order;
  uint32_t header_bytes;
  uint32_t pid;
  uint32_t parent_pid;
  int64_t started_monotonic;
  int64_t started_realtime;
  // 0 until the process ends by itself.
  _Atomic int64_t ended_monotonic;
  int64_t threshold_nanoseconds;
  uint32_t function_count;
  uint32_t record_bytes;
  // Bytes of the file that are given to chunks, this header included.
  _Atomic uint64_t used_bytes;
  _Atomic uint32_t note_count;
  uint32_t reserved;
  char program[176];
  // Calls that found no room.
  struct oscalls_count dropped[OSCALLS_FUNCTION_LIMIT];
  // Calls below the threshold of threads that found no room for a chunk; those of all others are counted in their chunks.
  struct oscalls_count below[OSCALLS_FUNCTION_LIMIT];
  char names[OSCALLS_FUNCTION_LIMIT][OSCALLS_NAME_BYTES];
  struct oscalls_note notes[OSCALLS_NOTE_LIMIT];
  char padding[768];
};
_Static_assert(sizeof(struct oscalls_header) == 16384, "the reader's offsets");

// A call that ended, or a thread's taking over the chunk.
struct oscalls_record {
  // CLOCK_MONOTONIC nanoseconds; of a thread: the first half of its name.
  uint64_t start;
  // Function in the upper 16 bits, duration below; OSCALLS_THREAD with the thread's number below.
  uint64_t function_and_duration;
  // What it returned; of a thread: the second half of its name.
  int64_t returned;
};

#define OSCALLS_THREAD 0xFFFFu
#define OSCALLS_CHUNK_MAGIC 0x4B4E4843u

struct oscalls_chunk {
  uint32_t magic;
  // Of the whole chunk, this header included.
  uint32_t bytes;
  _Atomic uint32_t records;
  uint32_t reserved;
  // A call that has begun and not ended; 0 where there is none.
  _Atomic uint64_t open_start;
  _Atomic uint32_t open_function;
  uint32_t next_free;
  // Calls that were too short to be written down. Plain numbers: the chunk's thread alone writes them.
  struct {
    uint64_t calls;
    uint64_t nanoseconds;
  } below[OSCALLS_FUNCTION_LIMIT];
  struct oscalls_record record[];
};
_Static_assert(sizeof(struct oscalls_chunk) == 2080, "the reader's offsets");

struct oscalls_control {
  char magic[8];
  int64_t threshold_nanoseconds;
  // What all processes together may still write.
  _Atomic int64_t bytes_left;
  // 0: programs run on and nothing is recorded.
  _Atomic uint32_t recording;
  uint32_t reserved;
};

#endif
