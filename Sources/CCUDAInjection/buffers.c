#define _GNU_SOURCE
#include "buffers.h"

#include <string.h>
#include <sys/mman.h>
#include <stdatomic.h>

#include "system_call.h"

enum {
  BUFFER_BYTES = 4 << 20,
  // What may wait to be written: 128 MB. Beyond, the oldest is given out again unread, and counted.
  WAITING_LIMIT = 32,
  // Faulted in when the first is asked for, so that the program's launches do not pay for it one page at a time.
  PREPARED = 4,
  BUFFER_LIMIT = 256,
};

static struct buffer buffers[BUFFER_LIMIT];
static uint32_t made;
static struct buffer *idle, *first_waiting, **last_waiting = &first_waiting;
static uint32_t waiting, outstanding;
static uint64_t discarded, discarded_bytes;
// What is given where no memory is left, and thrown away when it comes back: refusing a buffer can crash CUPTI before CUDA 12.9.
static uint8_t last_resort[64 << 10] __attribute__((aligned(4096)));
static _Atomic int is_locked;

// Held for a few stores; never while CUPTI is called.
static void lock(void) {
  while (atomic_exchange_explicit(&is_locked, 1, memory_order_acquire)) system_call(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
}

static void unlock(void) { atomic_store_explicit(&is_locked, 0, memory_order_release); }

static void make(int count, int flags) {
  for (; count > 0 && made < BUFFER_LIMIT; count--) {
    long place = system_call(SYS_mmap, 0, BUFFER_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    if (place < 0 && place > -4096) return;
    struct buffer *buffer = &buffers[made++];
    buffer->bytes = (uint8_t *)place;
    buffer->valid = 0;
    buffer->next = idle;
    idle = buffer;
  }
}

void buffers_request(uint8_t **bytes, size_t *size, size_t *maximum_records) {
  *maximum_records = 0;
  lock();
  if (!made) make(PREPARED, MAP_POPULATE);
  if (!idle && waiting < WAITING_LIMIT) make(1, 0);
  struct buffer *buffer = idle;
  if (buffer) {
    idle = buffer->next;
  } else if (first_waiting) {
    // The writer cannot keep up.
    buffer = first_waiting;
    first_waiting = buffer->next;
    if (!first_waiting) last_waiting = &first_waiting;
    waiting--;
    discarded++;
    discarded_bytes += buffer->valid;
    memset(buffer->bytes, 0, buffer->valid);
  }
  if (buffer) outstanding++;
  unlock();
  *bytes = buffer ? buffer->bytes : last_resort;
  *size = buffer ? BUFFER_BYTES : sizeof last_resort;
}

void buffers_complete(HRContext context, uint32_t stream, uint8_t *bytes, size_t size, size_t valid) {
  (void)context, (void)stream, (void)size;
  lock();
  struct buffer *buffer = NULL;
  for (uint32_t index = 0; index < made && !buffer; index++)
    if (buffers[index].bytes == bytes) buffer = &buffers[index];
  if (buffer) {
    outstanding--;
    buffer->valid = valid <= BUFFER_BYTES ? valid : BUFFER_BYTES;
    buffer->next = NULL;
    *last_waiting = buffer;
    last_waiting = &buffer->next;
    waiting++;
  } else {
    discarded++;
    discarded_bytes += valid;
  }
  unlock();
}

struct buffer *buffers_next(void) {
  lock();
  struct buffer *buffer = first_waiting;
  if (buffer) {
    first_waiting = buffer->next;
    if (!first_waiting) last_waiting = &first_waiting;
    waiting--;
  }
  unlock();
  return buffer;
}

void buffers_return(struct buffer *buffer) {
  // CUPTI was told that they come zeroed: it is done here, on our own thread.
  memset(buffer->bytes, 0, buffer->valid);
  buffer->valid = 0;
  lock();
  buffer->next = idle;
  idle = buffer;
  unlock();
}

uint64_t buffers_outstanding(void) {
  lock();
  uint64_t count = outstanding;
  unlock();
  return count;
}

void buffers_count(uint64_t *count, uint64_t *bytes) {
  lock();
  *count = discarded;
  *bytes = discarded_bytes;
  unlock();
}

void buffers_begin_count(void) {
  lock();
  discarded = discarded_bytes = 0;
  unlock();
}

void buffers_forked(void) { unlock(); }
