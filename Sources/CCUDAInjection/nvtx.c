// NVTX is a header in the annotated program. Its first call loads the library that NVTX_INJECTION64_PATH names and gives it tables of pointers to
// the functions behind the interface, to be set. Written from the interface as NVTX 3 documents it (nvtxTypes.h, nvToolsExt.h).
#define _GNU_SOURCE
#include "nvtx.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <wchar.h>

#include "capture_file.h"
#include "encoder.h"
#include "injection.h"
#include "system_call.h"

#define EXPORTED __attribute__((visibility("default")))

enum {
  TEXT_BYTES = 96,
  // What ends between two flushes: 100,000 ranges a second.
  EVENT_LIMIT = 16384,
  OPEN_LIMIT = 1024,
  DEPTH_LIMIT = 32,
  DOMAIN_LIMIT = 64,
  // NVTX_CB_MODULE_CORE, _CORE2; NVTX_ETID_CALLBACKS; ENUM_NSYS_EVENT_TYPE of a mark, of push/pop and of start/end.
  MODULE_CORE = 1,
  MODULE_CORE2 = 5,
  TABLE_CALLBACKS = 1,
  TYPE_MARK = 34,
  TYPE_PUSH_POP = 59,
  TYPE_START_END = 60,
};

struct text {
  uint16_t bytes;
  char characters[TEXT_BYTES - 2];
};

struct event {
  uint64_t start, end;
  uint32_t thread;
  uint16_t type, domain;
  struct text text;
};

struct open_range {
  uint64_t start;
  // 0: free.
  uint64_t id;
  uint16_t domain;
  struct text text;
};

struct thread_ranges {
  uint32_t thread, depth;
  struct open_range stack[DEPTH_LIMIT];
};

// nvtxEventAttributes_v2.
struct attributes {
  uint16_t version, size;
  uint32_t category;
  int32_t color_type;
  uint32_t color;
  int32_t payload_type, reserved;
  uint64_t payload;
  int32_t message_type;
  const void *message;
};

static struct event *events;
static struct open_range *open_ranges;
static uint32_t event_count;
static uint64_t dropped, ids;
static _Atomic int is_locked;
static struct text domains[DOMAIN_LIMIT];
static uint32_t domain_count;
// A pointer alone: little room is left for variables of threads in libraries that come late.
static __thread struct thread_ranges *mine __attribute__((tls_model("initial-exec")));
static pthread_key_t key;

static void lock(void) {
  while (atomic_exchange_explicit(&is_locked, 1, memory_order_acquire)) system_call(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
}

static void unlock(void) { atomic_store_explicit(&is_locked, 0, memory_order_release); }

static void *room(size_t bytes) {
  long place = system_call(SYS_mmap, 0, (long)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return place < 0 && place > -4096 ? NULL : (void *)place;
}

static void thread_ends(void *own) { system_call(SYS_munmap, (long)own, sizeof(struct thread_ranges), 0, 0, 0, 0); }

static struct thread_ranges *thread_ranges(void) {
  if (!mine) {
    mine = room(sizeof *mine);
    if (!mine) return NULL;
    mine->thread = (uint32_t)system_call(SYS_gettid, 0, 0, 0, 0, 0, 0);
    pthread_setspecific(key, mine);
  }
  return mine;
}

static void copy_narrow(struct text *to, const char *from) {
  to->bytes = (uint16_t)strnlen(from, sizeof to->characters);
  memcpy(to->characters, from, to->bytes);
}

static void copy_wide(struct text *to, const wchar_t *from) {
  for (to->bytes = 0; to->bytes < sizeof to->characters && *from; from++) to->characters[to->bytes++] = *from < 0x80 ? (char)*from : '?';
}

static void copy_message(struct text *to, const struct attributes *from) {
  to->bytes = 0;
  // Shorter ones are of before messages.
  if (!from || from->size < sizeof *from || !from->message) return;
  switch (from->message_type) {
    case 1: copy_narrow(to, from->message); break;
    case 2: copy_wide(to, from->message); break;
    // Registered: a text of ours.
    case 3: *to = *(const struct text *)from->message; break;
    default: break;
  }
}

static void add(uint16_t type, uint16_t domain, uint32_t thread, uint64_t start, uint64_t end, const struct text *text) {
  if (!capture_is_recording()) return;
  lock();
  if (!events) events = room(sizeof(struct event) * EVENT_LIMIT);
  if (events && event_count < EVENT_LIMIT)
    events[event_count++] = (struct event){start, end, thread, type, domain, *text};
  else
    dropped++;
  unlock();
}

void nvtx_flush(void) {
  static struct event part[256];
  for (uint32_t count = sizeof part / sizeof part[0]; count == sizeof part / sizeof part[0];) {
    lock();
    count = event_count < count ? event_count : count;
    if (count) {
      // From the end: what is left need not move.
      event_count -= count;
      memcpy(part, events + event_count, count * sizeof part[0]);
    }
    unlock();
    for (uint32_t index = 0; index < count; index++) {
      const struct event *event = &part[index];
      encode_range(
        event->type, event->domain, event->thread, event->start, event->end, event->text.characters, event->text.bytes);
    }
  }
}

uint64_t nvtx_dropped(void) {
  lock();
  uint64_t count = dropped;
  unlock();
  return count;
}

void nvtx_forked(void) {
  event_count = 0;
  unlock();
}

// MARK: What programs call

static int push(uint16_t domain, const struct text *text) {
  struct thread_ranges *own = thread_ranges();
  if (!own) return -1;
  if (own->depth < DEPTH_LIMIT) {
    struct open_range *range = &own->stack[own->depth];
    range->domain = domain;
    range->text = *text;
    range->start = monotonic();
  }
  return (int)own->depth++;
}

static int pop(void) {
  struct thread_ranges *own = thread_ranges();
  if (!own || own->depth == 0) return -1;
  own->depth--;
  // Deeper ones were counted, so that pops find their pushes.
  if (own->depth < DEPTH_LIMIT) {
    struct open_range *range = &own->stack[own->depth];
    add(TYPE_PUSH_POP, range->domain, own->thread, range->start, monotonic(), &range->text);
  }
  return (int)own->depth;
}

static uint64_t start_range(uint16_t domain, const struct text *text) {
  uint64_t id = 0;
  lock();
  if (!open_ranges) open_ranges = room(sizeof(struct open_range) * OPEN_LIMIT);
  // Ids count on, so that one that was used does not come again soon.
  for (uint32_t index = 0; open_ranges && index < OPEN_LIMIT; index++) {
    struct open_range *range = &open_ranges[++ids % OPEN_LIMIT];
    if (range->id) continue;
    *range = (struct open_range){monotonic(), id = ids, domain, *text};
    break;
  }
  if (!id) dropped++;
  unlock();
  return id;
}

static void end_range(uint64_t id) {
  if (!id) return;
  struct open_range found = {0};
  lock();
  if (open_ranges && open_ranges[id % OPEN_LIMIT].id == id) {
    found = open_ranges[id % OPEN_LIMIT];
    open_ranges[id % OPEN_LIMIT].id = 0;
  }
  unlock();
  struct thread_ranges *own = thread_ranges();
  if (found.id && own) add(TYPE_START_END, found.domain, own->thread, found.start, monotonic(), &found.text);
}

static void mark(uint16_t domain, const struct text *text) {
  struct thread_ranges *own = thread_ranges();
  uint64_t now = monotonic();
  if (own) add(TYPE_MARK, domain, own->thread, now, now, text);
}

#define WITH_TEXT(copy, from) \
  struct text text;           \
  copy(&text, from)

static uint16_t number_of(const void *domain) {
  const struct text *place = domain;
  return place >= domains && place < domains + DOMAIN_LIMIT ? (uint16_t)(place - domains + 1) : 0;
}

static void mark_ex(const struct attributes *event) { WITH_TEXT(copy_message, event); mark(0, &text); }
static void mark_narrow(const char *message) { WITH_TEXT(copy_narrow, message); mark(0, &text); }
static void mark_wide(const wchar_t *message) { WITH_TEXT(copy_wide, message); mark(0, &text); }
static uint64_t start_ex(const struct attributes *event) { WITH_TEXT(copy_message, event); return start_range(0, &text); }
static uint64_t start_narrow(const char *message) { WITH_TEXT(copy_narrow, message); return start_range(0, &text); }
static uint64_t start_wide(const wchar_t *message) { WITH_TEXT(copy_wide, message); return start_range(0, &text); }
static int push_ex(const struct attributes *event) { WITH_TEXT(copy_message, event); return push(0, &text); }
static int push_narrow(const char *message) { WITH_TEXT(copy_narrow, message); return push(0, &text); }
static int push_wide(const wchar_t *message) { WITH_TEXT(copy_wide, message); return push(0, &text); }
static void domain_mark(const void *domain, const struct attributes *event) { WITH_TEXT(copy_message, event); mark(number_of(domain), &text); }
static uint64_t domain_start(const void *domain, const struct attributes *event) {
  WITH_TEXT(copy_message, event);
  return start_range(number_of(domain), &text);
}
static void domain_end(const void *domain, uint64_t id) { (void)domain; end_range(id); }
static int domain_push(const void *domain, const struct attributes *event) {
  WITH_TEXT(copy_message, event);
  return push(number_of(domain), &text);
}
// One stack a thread for all domains: what pops is what was pushed last, as in programs that nest their domains.
static int domain_pop(const void *domain) { (void)domain; return pop(); }

static const void *registered(const struct text *text) {
  // Kept: the program may use it to its end.
  struct text *kept = malloc(sizeof *kept);
  if (kept) *kept = *text;
  return kept;
}
static const void *register_narrow(const void *domain, const char *string) { (void)domain; WITH_TEXT(copy_narrow, string); return registered(&text); }
static const void *register_wide(const void *domain, const wchar_t *string) { (void)domain; WITH_TEXT(copy_wide, string); return registered(&text); }

static const void *domain_named(const struct text *text) {
  lock();
  struct text *place = domain_count < DOMAIN_LIMIT ? &domains[domain_count++] : NULL;
  if (place) *place = *text;
  unlock();
  return place;
}
static const void *create_narrow(const char *name) { WITH_TEXT(copy_narrow, name); return domain_named(&text); }
static const void *create_wide(const wchar_t *name) { WITH_TEXT(copy_wide, name); return domain_named(&text); }

// MARK: Attaching

typedef void (*function)(void);
struct callbacks {
  size_t size;
  int (*module)(int32_t module, function ***table, unsigned *count);
};

static const struct {
  int32_t module;
  unsigned id;
  function function;
} hooks[] = {
  // NvtxCallbackIdCore.
  {MODULE_CORE, 1, (function)mark_ex},       {MODULE_CORE, 2, (function)mark_narrow},   {MODULE_CORE, 3, (function)mark_wide},
  {MODULE_CORE, 4, (function)start_ex},      {MODULE_CORE, 5, (function)start_narrow},  {MODULE_CORE, 6, (function)start_wide},
  {MODULE_CORE, 7, (function)end_range},     {MODULE_CORE, 8, (function)push_ex},       {MODULE_CORE, 9, (function)push_narrow},
  {MODULE_CORE, 10, (function)push_wide},    {MODULE_CORE, 11, (function)pop},
  // NvtxCallbackIdCore2.
  {MODULE_CORE2, 1, (function)domain_mark},  {MODULE_CORE2, 2, (function)domain_start}, {MODULE_CORE2, 3, (function)domain_end},
  {MODULE_CORE2, 4, (function)domain_push},  {MODULE_CORE2, 5, (function)domain_pop},   {MODULE_CORE2, 10, (function)register_narrow},
  {MODULE_CORE2, 11, (function)register_wide}, {MODULE_CORE2, 12, (function)create_narrow}, {MODULE_CORE2, 13, (function)create_wide},
};

// Called by each library of the program that holds NVTX. 0: not wanted, and NVTX stays as cheap as without us.
EXPORTED int InitializeInjectionNvtx2(const void *(*table_of)(uint32_t)) {
  if (!table_of || !capture_prepare()) return 0;
  static _Atomic int has_key;
  if (!atomic_exchange(&has_key, 1)) pthread_key_create(&key, thread_ends);
  const struct callbacks *callbacks = table_of(TABLE_CALLBACKS);
  if (!callbacks || callbacks->size < sizeof *callbacks || !callbacks->module) return 0;
  for (size_t index = 0; index < sizeof hooks / sizeof hooks[0]; index++) {
    function **table = NULL;
    unsigned count = 0;
    if (!callbacks->module(hooks[index].module, &table, &count) || !table || hooks[index].id >= count || !table[hooks[index].id]) continue;
    *table[hooks[index].id] = hooks[index].function;
  }
  return 1;
}
