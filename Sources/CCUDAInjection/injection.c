// What the driver calls when a program calls cuInit with CUDA_INJECTION64_PATH set, and the thread that writes what is recorded.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

#include "activity.h"
#include "capture_file.h"
#include "encoder.h"
#include "injection.h"
#include "nvtx.h"
#include "system_call.h"

#define EXPORTED __attribute__((visibility("default")))

enum { DORMANT_POLL_MILLISECONDS = 20, EXIT_PATIENCE_MILLISECONDS = 3000 };

static void *driver;
// The driver has called: CUPTI may be.
static _Atomic int has_driver;
// Whoever calls CUPTI or writes holds it: our thread, and the thread in which the program ends.
static _Atomic int is_at_work;
static _Atomic int is_over;
static pthread_mutex_t preparing = PTHREAD_MUTEX_INITIALIZER;
static int is_prepared, is_wanted;
// A recording was stopped and another one may follow; whoever is at work says so.
static int is_resting;

// glibc's atexit and pthread_atfork are macros of its start-up files, which this library is linked without.
extern int __cxa_atexit(void (*function)(void *), void *argument, void *library);
extern int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void), void *library);

static void pause_for(uint32_t milliseconds) {
  struct timespec time = {milliseconds / 1000, (long)(milliseconds % 1000) * 1000000};
  system_call(SYS_nanosleep, (long)&time, 0, 0, 0, 0, 0);
}

static int take_work(uint32_t patience) {
  for (uint32_t waited = 0; atomic_exchange(&is_at_work, 1); waited++) {
    if (waited >= patience) return 0;
    pause_for(1);
  }
  return 1;
}

static void leave_work(void) { atomic_store(&is_at_work, 0); }

static void write_ranges(void) {
  nvtx_flush();
  encode_flush();
  header.dropped_ranges = nvtx_dropped();
}

static void finish(int is_exit) {
  activity_stop(is_exit);
  write_ranges();
  if (header.status == CUDACAPTURE_WAITING) header.status = CUDACAPTURE_FINISHED;
  header.ended_monotonic = (int64_t)monotonic();
  capture_write_header();
  if (control->options & CUDACAPTURE_REPEATED && !is_exit)
    is_resting = 1;
  else
    atomic_store(&is_over, 1);
}

// The next recording has a file of its own; the one before is whoever's asked for it.
static void prepare_next(void) {
  capture_forget();
  encode_forget();
  is_resting = 0;
  if (!capture_open_file()) atomic_store(&is_over, 1);
}

static void begin(void) {
  activity_start(driver);
  capture_write_header();
  if (header.status == CUDACAPTURE_FAILED) atomic_store(&is_over, 1);
}

// Waits until the word that `headroom profile` writes changes, or for so long.
static void wait_for_word(uint32_t known, uint32_t milliseconds) {
  struct timespec time = {milliseconds / 1000, (long)(milliseconds % 1000) * 1000000};
  system_call(SYS_futex, (long)&control->state, FUTEX_WAIT, known, (long)&time, 0, 0);
}

static void *work(void *unused) {
  (void)unused;
  system_call(SYS_prctl, PR_SET_NAME, (long)"headroom-cuda", 0, 0, 0, 0);
  uint32_t period = control->flush_milliseconds;
  if (period < 1 || period > 10000) period = 150;
  while (!atomic_load(&is_over)) {
    uint32_t state = atomic_load(&control->state);
    if (is_resting && state == CUDACAPTURE_STOPPED) {
      wait_for_word(state, DORMANT_POLL_MILLISECONDS);
      continue;
    }
    if (is_resting) {
      if (!take_work(EXIT_PATIENCE_MILLISECONDS)) break;
      if (!atomic_load(&is_over)) prepare_next();
      leave_work();
      continue;
    }
    if (state == CUDACAPTURE_DORMANT) {
      wait_for_word(state, DORMANT_POLL_MILLISECONDS);
      continue;
    }
    if (!take_work(EXIT_PATIENCE_MILLISECONDS)) break;
    if (!atomic_load(&is_over)) {
      if (state == CUDACAPTURE_STOPPED) {
        finish(0);
      } else if (header.status == CUDACAPTURE_WAITING && atomic_load(&has_driver)) {
        begin();
      } else {
        activity_flush();
        write_ranges();
        struct timespec used;
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
        header.thread_nanoseconds = (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
        capture_write_header();
      }
    }
    leave_work();
    if (!atomic_load(&is_over)) wait_for_word(state, period);
  }
  return NULL;
}

static void program_ends(void *unused) {
  (void)unused;
  // A thread of ours that hangs in CUPTI must not keep the program from ending.
  if (atomic_load(&is_over) || !take_work(EXIT_PATIENCE_MILLISECONDS)) return;
  if (!atomic_load(&is_over)) finish(1);
  leave_work();
}

// A forked child has neither our thread nor a working CUDA: flushing there hangs. What it runs after exec begins anew, and so does a child
// whose parent had only annotated itself and that starts CUDA on its own.
static void child_begins(void) {
  atomic_store(&is_over, 1);
  atomic_store(&is_at_work, 0);
  if (!atomic_load(&has_driver)) {
    pthread_mutex_init(&preparing, NULL);
    is_prepared = 0;
    capture_forget();
    encode_forget();
  }
  activity_forked();
  nvtx_forked();
}

static void start_thread(void) {
  sigset_t all, before;
  sigfillset(&all);
  // The program's signals are for the program's threads.
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  // Without a thread everything is written when the program ends.
  pthread_create(&thread, &attributes, work, NULL);
  pthread_attr_destroy(&attributes);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

int capture_is_recording(void) {
  return !atomic_load_explicit(&is_over, memory_order_relaxed) && atomic_load_explicit(&control->state, memory_order_relaxed) == CUDACAPTURE_RECORDING;
}

int capture_prepare(void) {
  pthread_mutex_lock(&preparing);
  if (!is_prepared) {
    is_prepared = 1;
    atomic_store(&is_over, 0);
    is_wanted = capture_open();
    if (is_wanted && atomic_load(&control->state) == CUDACAPTURE_STOPPED) {
      finish(1);
      is_wanted = 0;
    }
    if (is_wanted) {
      __cxa_atexit(program_ends, NULL, NULL);
      __register_atfork(NULL, NULL, child_begins, NULL);
      start_thread();
    }
  }
  int answer = is_wanted && !atomic_load(&is_over);
  pthread_mutex_unlock(&preparing);
  return answer;
}

// Called by the driver inside cuInit. Whatever goes wrong here, the program goes on as without us: the answer is always success.
EXPORTED int InitializeInjection(void) {
  static _Atomic int has_begun;
  if (atomic_exchange(&has_begun, 1) || !capture_prepare()) return 1;
  // Who calls is the driver: its library, under whatever name it was loaded.
  Dl_info caller;
  if (dladdr(__builtin_return_address(0), &caller) && caller.dli_fname) driver = dlopen(caller.dli_fname, RTLD_NOW | RTLD_NOLOAD);
  if (!driver || !dlsym(driver, "cuDriverGetVersion")) driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
  if (!take_work(EXIT_PATIENCE_MILLISECONDS)) return 1;
  // At once where it is armed: what CUPTI asks for before the first context cannot be done later.
  if (capture_is_recording() && header.status == CUDACAPTURE_WAITING) begin();
  atomic_store(&has_driver, 1);
  leave_work();
  return 1;
}
