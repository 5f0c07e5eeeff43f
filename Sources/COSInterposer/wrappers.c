// The interposed functions. Each finds the real one behind it (RTLD_NEXT), notes when it began and ended, and changes nothing else: no
// argument, no result, no errno. No libc header is included that declares what is defined here: the declarations below are the ABI's, and
// headers may turn these names into macros or inline functions.
#define _GNU_SOURCE
#include <alloca.h>
#include <dlfcn.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>

#include "recorder.h"
#include "system_call.h"

typedef long ssize;
typedef long offset;
typedef unsigned int socket_length;
typedef unsigned int file_mode;
typedef int process;

#define EXPORTED __attribute__((visibility("default")))
// errno's place, without the header that declares half of what is defined here.
extern int *__errno_location(void);
#define EAGAIN_NUMBER 11
#define EBUSY_NUMBER 16
#define ENOSYS_NUMBER 38

extern int pthread_mutex_trylock(void *mutex);
extern int pthread_rwlock_tryrdlock(void *lock);
extern int pthread_rwlock_trywrlock(void *lock);
extern int sem_trywait(void *semaphore);
extern int pthread_atfork(void (*)(void), void (*)(void), void (*)(void));
extern char **environ;

// MARK: The real functions

static struct {
#define REAL_POINTER(name) void *name;
  OSCALLS_FUNCTIONS(REAL_POINTER)
#undef REAL_POINTER
  void *system_call, *execve, *execv, *execvp, *execvpe, *fexecve;
  void *read_chk, *pread_chk, *pread64_chk, *recv_chk, *recvfrom_chk, *poll_chk, *ppoll_chk, *fread_chk, *fgets_chk;
} real;
static _Atomic int is_resolved;

static long no_such_function(void) {
  *__errno_location() = ENOSYS_NUMBER;
  return -1;
}

// Condition variables have a version for programs of before 2003 besides the usual one, and dlsym may find the old one.
static void *next(const char *name) {
  void *found = NULL;
#if defined(__x86_64__)
  if (!strncmp(name, "pthread_cond_", 13)) found = dlvsym(RTLD_NEXT, name, "GLIBC_2.3.2");
#endif
  return found ? found : dlsym(RTLD_NEXT, name);
}

__attribute__((noinline, cold)) static void resolve(void) {
  static __thread int is_resolving __attribute__((tls_model("initial-exec")));
  // dlsym may allocate, and the program's allocator may call what is interposed: such calls find their `real` empty and use `early`.
  if (is_resolving) return;
  is_resolving = 1;
  int saved = *__errno_location();
#define RESOLVE(name) real.name = next(#name);
  OSCALLS_FUNCTIONS(RESOLVE)
#undef RESOLVE
  real.system_call = next("syscall");
  real.execve = next("execve");
  real.execv = next("execv");
  real.execvp = next("execvp");
  real.execvpe = next("execvpe");
  real.fexecve = next("fexecve");
  real.read_chk = next("__read_chk");
  real.pread_chk = next("__pread_chk");
  real.pread64_chk = next("__pread64_chk");
  real.recv_chk = next("__recv_chk");
  real.recvfrom_chk = next("__recvfrom_chk");
  real.poll_chk = next("__poll_chk");
  real.ppoll_chk = next("__ppoll_chk");
  real.fread_chk = next("__fread_chk");
  real.fgets_chk = next("__fgets_chk");
  *__errno_location() = saved;
  is_resolving = 0;
  atomic_store_explicit(&is_resolved, 1, memory_order_release);
}

static inline void ensure_resolved(void) {
  if (unlikely(!atomic_load_explicit(&is_resolved, memory_order_acquire))) resolve();
}

static char own_path[256];

__attribute__((constructor(101))) static void start(void) {
  resolve();
  Dl_info information;
  if (dladdr((void *)start, &information) && information.dli_fname && strlen(information.dli_fname) < sizeof own_path)
    strcpy(own_path, information.dli_fname);
  pthread_atfork(NULL, NULL, recorder_forked);
  recorder_start();
}

__attribute__((destructor)) static void finish(void) { recorder_exiting(); }

// What libc makes of a system call's result.
static long early(long number, long a, long b, long c, long d, long e, long f) {
  long result = system_call(number, a, b, c, d, e, f);
  if (result < 0 && result > -4096) {
    *__errno_location() = (int)-result;
    return -1;
  }
  return result;
}
#define EARLY(number, a, b, c, d, e, f) early(SYS_##number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

// A function that is noted under its own name. `otherwise` stands in until the real one is found.
#define WRAP(type, name, parameters, arguments, otherwise)                        \
  EXPORTED type name parameters {                                                 \
    ensure_resolved();                                                            \
    type(*actual) parameters = (type(*) parameters)real.name;                     \
    if (unlikely(!actual)) return (type)(otherwise);                              \
    struct call noted;                                                            \
    if (!call_begin(&noted, F_##name)) return actual arguments;                   \
    type outcome = actual arguments;                                              \
    call_end(&noted, (int64_t)outcome);                                           \
    return outcome;                                                               \
  }

// What compilers make of a call whose buffer's size they know (_FORTIFY_SOURCE): the same function, noted under its own name.
#define WRAP_CHECKED(type, checked, name, parameters, arguments)                  \
  EXPORTED type __##checked parameters {                                          \
    ensure_resolved();                                                            \
    type(*actual) parameters = (type(*) parameters)real.checked;                  \
    if (unlikely(!actual)) return (type)no_such_function();                       \
    struct call noted;                                                            \
    if (!call_begin(&noted, F_##name)) return actual arguments;                   \
    type outcome = actual arguments;                                              \
    call_end(&noted, (int64_t)outcome);                                           \
    return outcome;                                                               \
  }

// A lock is noted only where it was not free: the call that takes a free one is a few nanoseconds, and millions a second.
#define WRAP_LOCK(name, attempt, parameters, arguments, otherwise)                \
  EXPORTED int name parameters {                                                  \
    int status = attempt;                                                         \
    if (likely(status != EBUSY_NUMBER)) return status;                            \
    ensure_resolved();                                                            \
    int(*actual) parameters = (int(*) parameters)real.name;                       \
    if (unlikely(!actual)) return otherwise;                                      \
    struct call noted;                                                            \
    if (!call_begin(&noted, F_##name)) return actual arguments;                   \
    int outcome = actual arguments;                                               \
    call_end(&noted, outcome);                                                    \
    return outcome;                                                               \
  }

// MARK: Reading and writing

WRAP(ssize, read, (int file, void *to, size_t bytes), (file, to, bytes), EARLY(read, file, to, bytes, 0, 0, 0))
WRAP(ssize, write, (int file, const void *from, size_t bytes), (file, from, bytes), EARLY(write, file, from, bytes, 0, 0, 0))
WRAP(ssize, readv, (int file, const void *parts, int count), (file, parts, count), EARLY(readv, file, parts, count, 0, 0, 0))
WRAP(ssize, writev, (int file, const void *parts, int count), (file, parts, count), EARLY(writev, file, parts, count, 0, 0, 0))
WRAP(ssize, pread, (int file, void *to, size_t bytes, offset at), (file, to, bytes, at), EARLY(pread64, file, to, bytes, at, 0, 0))
WRAP(ssize, pread64, (int file, void *to, size_t bytes, offset at), (file, to, bytes, at), EARLY(pread64, file, to, bytes, at, 0, 0))
WRAP(ssize, pwrite, (int file, const void *from, size_t bytes, offset at),
     (file, from, bytes, at), EARLY(pwrite64, file, from, bytes, at, 0, 0))
WRAP(ssize, pwrite64, (int file, const void *from, size_t bytes, offset at),
     (file, from, bytes, at), EARLY(pwrite64, file, from, bytes, at, 0, 0))
WRAP(ssize, preadv, (int file, const void *parts, int count, offset at), (file, parts, count, at), no_such_function())
WRAP(ssize, preadv64, (int file, const void *parts, int count, offset at), (file, parts, count, at), no_such_function())
WRAP(ssize, pwritev, (int file, const void *parts, int count, offset at), (file, parts, count, at), no_such_function())
WRAP(ssize, pwritev64, (int file, const void *parts, int count, offset at), (file, parts, count, at), no_such_function())
WRAP_CHECKED(ssize, read_chk, read, (int file, void *to, size_t bytes, size_t size), (file, to, bytes, size))
WRAP_CHECKED(ssize, pread_chk, pread, (int file, void *to, size_t bytes, offset at, size_t size), (file, to, bytes, at, size))
WRAP_CHECKED(ssize, pread64_chk, pread64, (int file, void *to, size_t bytes, offset at, size_t size), (file, to, bytes, at, size))

// MARK: Sockets

WRAP(ssize, recv, (int file, void *to, size_t bytes, int flags), (file, to, bytes, flags), no_such_function())
WRAP(ssize, recvfrom, (int file, void *to, size_t bytes, int flags, void *address, socket_length *length),
     (file, to, bytes, flags, address, length), no_such_function())
WRAP(ssize, recvmsg, (int file, void *message, int flags), (file, message, flags), no_such_function())
WRAP(int, recvmmsg, (int file, void *messages, unsigned count, int flags, void *timeout),
     (file, messages, count, flags, timeout), no_such_function())
WRAP(ssize, send, (int file, const void *from, size_t bytes, int flags), (file, from, bytes, flags), no_such_function())
WRAP(ssize, sendto, (int file, const void *from, size_t bytes, int flags, const void *address, socket_length length),
     (file, from, bytes, flags, address, length), no_such_function())
WRAP(ssize, sendmsg, (int file, const void *message, int flags), (file, message, flags), no_such_function())
WRAP(int, sendmmsg, (int file, void *messages, unsigned count, int flags), (file, messages, count, flags), no_such_function())
WRAP(int, accept, (int file, void *address, socket_length *length), (file, address, length), no_such_function())
WRAP(int, accept4, (int file, void *address, socket_length *length, int flags), (file, address, length, flags), no_such_function())
WRAP(int, connect, (int file, const void *address, socket_length length), (file, address, length), no_such_function())
WRAP_CHECKED(ssize, recv_chk, recv, (int file, void *to, size_t bytes, size_t size, int flags), (file, to, bytes, size, flags))
WRAP_CHECKED(ssize, recvfrom_chk, recvfrom,
     (int file, void *to, size_t bytes, size_t size, int flags, void *address, socket_length *length),
     (file, to, bytes, size, flags, address, length))

// MARK: Files

// Callers may leave the mode out; what is then handed on is whatever the register held, and the real function does not look at it either.
WRAP(int, open, (const char *path, int flags, file_mode mode), (path, flags, mode), EARLY(openat, -100, path, flags, mode, 0, 0))
WRAP(int, open64, (const char *path, int flags, file_mode mode), (path, flags, mode), EARLY(openat, -100, path, flags, mode, 0, 0))
WRAP(int, openat, (int folder, const char *path, int flags, file_mode mode),
     (folder, path, flags, mode), EARLY(openat, folder, path, flags, mode, 0, 0))
WRAP(int, openat64, (int folder, const char *path, int flags, file_mode mode),
     (folder, path, flags, mode), EARLY(openat, folder, path, flags, mode, 0, 0))
WRAP(int, close, (int file), (file), EARLY(close, file, 0, 0, 0, 0, 0))
WRAP(int, fsync, (int file), (file), EARLY(fsync, file, 0, 0, 0, 0, 0))
WRAP(int, fdatasync, (int file), (file), EARLY(fdatasync, file, 0, 0, 0, 0, 0))
WRAP(int, flock, (int file, int operation), (file, operation), EARLY(flock, file, operation, 0, 0, 0, 0))
WRAP(int, ioctl, (int file, unsigned long request, void *argument),
     (file, request, argument), EARLY(ioctl, file, request, argument, 0, 0, 0))
WRAP(ssize, sendfile, (int to, int from, offset *at, size_t bytes), (to, from, at, bytes), EARLY(sendfile, to, from, at, bytes, 0, 0))
WRAP(ssize, sendfile64, (int to, int from, offset *at, size_t bytes), (to, from, at, bytes), EARLY(sendfile, to, from, at, bytes, 0, 0))
WRAP(ssize, splice, (int from, offset *fromAt, int to, offset *toAt, size_t bytes, unsigned flags),
     (from, fromAt, to, toAt, bytes, flags), EARLY(splice, from, fromAt, to, toAt, bytes, flags))

// MARK: Memory (other allocators call these early)

WRAP(void *, mmap, (void *at, size_t bytes, int protection, int flags, int file, offset from),
     (at, bytes, protection, flags, file, from), EARLY(mmap, at, bytes, protection, flags, file, from))
WRAP(void *, mmap64, (void *at, size_t bytes, int protection, int flags, int file, offset from),
     (at, bytes, protection, flags, file, from), EARLY(mmap, at, bytes, protection, flags, file, from))
WRAP(int, munmap, (void *at, size_t bytes), (at, bytes), EARLY(munmap, at, bytes, 0, 0, 0, 0))
WRAP(int, mprotect, (void *at, size_t bytes, int protection), (at, bytes, protection), EARLY(mprotect, at, bytes, protection, 0, 0, 0))
WRAP(int, madvise, (void *at, size_t bytes, int advice), (at, bytes, advice), EARLY(madvise, at, bytes, advice, 0, 0, 0))

// MARK: Sleeping and polling

WRAP(int, nanosleep, (const void *time, void *left), (time, left), EARLY(nanosleep, time, left, 0, 0, 0, 0))
WRAP(int, clock_nanosleep, (int clock, int flags, const void *time, void *left), (clock, flags, time, left), ENOSYS_NUMBER)
WRAP(int, usleep, (unsigned microseconds), (microseconds), no_such_function())
WRAP(unsigned, sleep, (unsigned seconds), (seconds), seconds)
WRAP(int, sched_yield, (void), (), EARLY(sched_yield, 0, 0, 0, 0, 0, 0))
WRAP(int, poll, (void *files, unsigned long count, int milliseconds), (files, count, milliseconds), no_such_function())
WRAP(int, ppoll, (void *files, unsigned long count, const void *timeout, const void *signals),
     (files, count, timeout, signals), no_such_function())
WRAP(int, select, (int count, void *reads, void *writes, void *errors, void *timeout),
     (count, reads, writes, errors, timeout), no_such_function())
WRAP(int, pselect, (int count, void *reads, void *writes, void *errors, const void *timeout, const void *signals),
     (count, reads, writes, errors, timeout, signals), no_such_function())
WRAP(int, epoll_wait, (int file, void *events, int count, int milliseconds), (file, events, count, milliseconds), no_such_function())
WRAP(int, epoll_pwait, (int file, void *events, int count, int milliseconds, const void *signals),
     (file, events, count, milliseconds, signals), no_such_function())
WRAP(int, epoll_pwait2, (int file, void *events, int count, const void *timeout, const void *signals),
     (file, events, count, timeout, signals), no_such_function())
WRAP_CHECKED(int, poll_chk, poll, (void *files, unsigned long count, int milliseconds, size_t size), (files, count, milliseconds, size))
WRAP_CHECKED(int, ppoll_chk, ppoll, (void *files, unsigned long count, const void *timeout, const void *signals, size_t size),
     (files, count, timeout, signals, size))

// MARK: Threads

WRAP(int, pthread_cond_wait, (void *condition, void *mutex), (condition, mutex), ENOSYS_NUMBER)
WRAP(int, pthread_cond_timedwait, (void *condition, void *mutex, const void *end), (condition, mutex, end), ENOSYS_NUMBER)
WRAP(int, pthread_cond_clockwait, (void *condition, void *mutex, int clock, const void *end), (condition, mutex, clock, end), ENOSYS_NUMBER)
WRAP(int, pthread_cond_signal, (void *condition), (condition), ENOSYS_NUMBER)
WRAP(int, pthread_cond_broadcast, (void *condition), (condition), ENOSYS_NUMBER)

static int spin_for(void *mutex) {
  int status;
  while ((status = pthread_mutex_trylock(mutex)) == EBUSY_NUMBER) system_call(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
  return status;
}

WRAP_LOCK(pthread_mutex_lock, pthread_mutex_trylock(mutex), (void *mutex), (mutex), spin_for(mutex))
WRAP_LOCK(pthread_mutex_timedlock, pthread_mutex_trylock(mutex), (void *mutex, const void *end), (mutex, end), ENOSYS_NUMBER)
WRAP_LOCK(pthread_mutex_clocklock, pthread_mutex_trylock(mutex),
     (void *mutex, int clock, const void *end), (mutex, clock, end), ENOSYS_NUMBER)
WRAP_LOCK(pthread_rwlock_rdlock, pthread_rwlock_tryrdlock(lock), (void *lock), (lock), ENOSYS_NUMBER)
WRAP_LOCK(pthread_rwlock_wrlock, pthread_rwlock_trywrlock(lock), (void *lock), (lock), ENOSYS_NUMBER)
WRAP_LOCK(pthread_rwlock_timedrdlock, pthread_rwlock_tryrdlock(lock), (void *lock, const void *end), (lock, end), ENOSYS_NUMBER)
WRAP_LOCK(pthread_rwlock_timedwrlock, pthread_rwlock_trywrlock(lock), (void *lock, const void *end), (lock, end), ENOSYS_NUMBER)

WRAP(int, pthread_create, (void *thread, const void *attributes, void *(*body)(void *), void *argument),
     (thread, attributes, body, argument), EAGAIN_NUMBER)
WRAP(int, pthread_join, (unsigned long thread, void **result), (thread, result), ENOSYS_NUMBER)
WRAP(int, pthread_timedjoin_np, (unsigned long thread, void **answer, const void *end), (thread, answer, end), ENOSYS_NUMBER)
WRAP(int, pthread_barrier_wait, (void *barrier), (barrier), ENOSYS_NUMBER)

// A semaphore that can be taken is taken, as a free lock is.
static int try_semaphore(void *semaphore) {
  int saved = *__errno_location();
  if (sem_trywait(semaphore) == 0) return 0;
  if (*__errno_location() != EAGAIN_NUMBER) return -1;
  *__errno_location() = saved;
  return EBUSY_NUMBER;
}

WRAP_LOCK(sem_wait, try_semaphore(semaphore), (void *semaphore), (semaphore), (int)no_such_function())
WRAP_LOCK(sem_timedwait, try_semaphore(semaphore), (void *semaphore, const void *end), (semaphore, end), (int)no_such_function())
WRAP_LOCK(sem_clockwait, try_semaphore(semaphore),
     (void *semaphore, int clock, const void *end), (semaphore, clock, end), (int)no_such_function())

// MARK: Signals

WRAP(int, sigwait, (const void *signals, int *number), (signals, number), ENOSYS_NUMBER)
WRAP(int, sigwaitinfo, (const void *signals, void *information), (signals, information), no_such_function())
WRAP(int, sigtimedwait, (const void *signals, void *information, const void *timeout), (signals, information, timeout), no_such_function())
WRAP(int, sigsuspend, (const void *signals), (signals), no_such_function())
WRAP(int, pause, (void), (), no_such_function())

// MARK: Buffered files (what libc does inside them is not seen by itself)

WRAP(void *, fopen, (const char *path, const char *kind), (path, kind), 0)
WRAP(void *, fopen64, (const char *path, const char *kind), (path, kind), 0)
WRAP(int, fclose, (void *stream), (stream), no_such_function())
WRAP(int, fflush, (void *stream), (stream), no_such_function())
WRAP(size_t, fread, (void *to, size_t size, size_t count, void *stream), (to, size, count, stream), 0)
WRAP(size_t, fwrite, (const void *from, size_t size, size_t count, void *stream), (from, size, count, stream), 0)
WRAP(char *, fgets, (char *to, int bytes, void *stream), (to, bytes, stream), 0)
WRAP(ssize, getline, (char **line, size_t *bytes, void *stream), (line, bytes, stream), no_such_function())
WRAP_CHECKED(size_t, fread_chk, fread, (void *to, size_t space, size_t size, size_t count, void *stream), (to, space, size, count, stream))
WRAP_CHECKED(char *, fgets_chk, fgets, (char *to, size_t space, int bytes, void *stream), (to, space, bytes, stream))

// MARK: syscall()

// Only the calls that wait are noted. Every other number jumps on with registers and stack as they came: some of them return twice.
EXPORTED long headroom_syscall(long number, long a, long b, long c, long d, long e, long f) __asm__("syscall");

long headroom_syscall(long number, long a, long b, long c, long d, long e, long f) {
  ensure_resolved();
  long (*function)(long, long, long, long, long, long, long) = (long (*)(long, long, long, long, long, long, long))real.system_call;
  if (unlikely(!function)) return early(number, a, b, c, d, e, f);
  if (number != SYS_futex && number != SYS_io_uring_enter) __attribute__((musttail)) return function(number, a, b, c, d, e, f);
  struct call call;
  if (!call_begin(&call, number == SYS_futex ? F_syscall_futex : F_syscall_io_uring_enter)) return function(number, a, b, c, d, e, f);
  long result = function(number, a, b, c, d, e, f);
  call_end(&call, result);
  return result;
}

// MARK: Children and other programs

// vfork is left alone: it returns twice on one stack, which a function around it would destroy. Its child is seen from its exec on.
WRAP(process, fork, (void), (), no_such_function())
WRAP(process, wait, (int *status), (status), no_such_function())
WRAP(process, wait3, (int *status, int options, void *usage), (status, options, usage), no_such_function())
WRAP(process, wait4, (process child, int *status, int options, void *usage), (child, status, options, usage), no_such_function())
WRAP(int, waitid, (int kind, unsigned child, void *information, int options), (kind, child, information, options), no_such_function())
WRAP(process, waitpid, (process child, int *status, int options), (child, status, options), no_such_function())
WRAP(int, system, (const char *command), (command), no_such_function())
WRAP(int, pclose, (void *stream), (stream), no_such_function())

static int starts_with(const char *text, const char *head) { return !strncmp(text, head, strlen(head)); }

// Programs are given environments of their own making; without ours in it, the next program would not be seen. Room is the caller's: the
// caller may be a child that shares its parent's memory.
struct environment {
  char preload[640];
  char folder[160];
  char **list;
};

static size_t count_entries(char *const *list) {
  size_t count = 0;
  while (list && list[count]) count++;
  return count;
}

static char *const *complete(char *const *list, struct environment *room) {
  if (!recorder_is_active() || !own_path[0]) return list;
  const char *preload = NULL, *folder = NULL;
  size_t count = count_entries(list), preload_at = count;
  for (size_t index = 0; index < count; index++) {
    if (starts_with(list[index], "LD_PRELOAD=")) preload = list[index] + 11, preload_at = index;
    if (starts_with(list[index], OSCALLS_FOLDER_VARIABLE "=")) folder = list[index];
  }
  if (preload && strstr(preload, own_path)) {
    if (folder) return list;
  } else if (preload && strlen(preload) + strlen(own_path) + 16 > sizeof room->preload) {
    return list;
  }
  size_t at = 0;
  for (size_t index = 0; index < count; index++)
    if (index != preload_at) room->list[at++] = list[index];
  strcpy(room->preload, "LD_PRELOAD=");
  if (!preload || !strstr(preload, own_path)) {
    strcat(room->preload, own_path);
    if (preload && *preload) strcat(room->preload, ":");
  }
  if (preload && strlen(preload) < sizeof room->preload - strlen(room->preload)) strcat(room->preload, preload);
  room->list[at++] = room->preload;
  if (!folder) {
    strcpy(room->folder, OSCALLS_FOLDER_VARIABLE "=");
    strcat(room->folder, recorder_folder());
    room->list[at++] = room->folder;
  }
  room->list[at] = NULL;
  return room->list;
}

#define ENVIRONMENT(room, given) \
  struct environment room;       \
  room.list = alloca((count_entries(given) + 3) * sizeof(char *));

static struct oscalls_note *about_to_run(const char *path) {
  return recorder_note((uint32_t)system_call(SYS_getpid, 0, 0, 0, 0, 0, 0), 1, path);
}

static void did_not_run(struct oscalls_note *note) {
  if (note) atomic_store(&note->state, 2);
}

EXPORTED int execve(const char *path, char *const *arguments, char *const *list) {
  ensure_resolved();
  ENVIRONMENT(room, list)
  struct oscalls_note *note = about_to_run(path);
  int result = ((int (*)(const char *, char *const *, char *const *))real.execve)(path, arguments, complete(list, &room));
  did_not_run(note);
  return result;
}

EXPORTED int execvpe(const char *path, char *const *arguments, char *const *list) {
  ensure_resolved();
  ENVIRONMENT(room, list)
  struct oscalls_note *note = about_to_run(path);
  int result = ((int (*)(const char *, char *const *, char *const *))real.execvpe)(path, arguments, complete(list, &room));
  did_not_run(note);
  return result;
}

EXPORTED int execv(const char *path, char *const *arguments) {
  ensure_resolved();
  ENVIRONMENT(room, environ)
  struct oscalls_note *note = about_to_run(path);
  int result = ((int (*)(const char *, char *const *, char *const *))real.execve)(path, arguments, complete(environ, &room));
  did_not_run(note);
  return result;
}

EXPORTED int execvp(const char *path, char *const *arguments) {
  ensure_resolved();
  ENVIRONMENT(room, environ)
  struct oscalls_note *note = about_to_run(path);
  int result = ((int (*)(const char *, char *const *, char *const *))real.execvpe)(path, arguments, complete(environ, &room));
  did_not_run(note);
  return result;
}

EXPORTED int fexecve(int file, char *const *arguments, char *const *list) {
  ensure_resolved();
  ENVIRONMENT(room, list)
  struct oscalls_note *note = about_to_run("(a descriptor)");
  int result = ((int (*)(int, char *const *, char *const *))real.fexecve)(file, arguments, complete(list, &room));
  did_not_run(note);
  return result;
}

typedef int (*spawn)(process *, const char *, const void *, const void *, char *const *, char *const *);

static int spawned(
    spawn function, enum function_number number, process *child, const char *path, const void *actions, const void *attributes,
    char *const *arguments, char *const *list) {
  ENVIRONMENT(room, list)
  process made = 0;
  struct call call;
  call_begin(&call, number);
  int result = function(&made, path, actions, attributes, arguments, complete(list, &room));
  call_end(&call, result);
  if (child) *child = made;
  if (result == 0) recorder_note((uint32_t)made, 3, path);
  return result;
}

EXPORTED int posix_spawn(
    process *child, const char *path, const void *actions, const void *attributes, char *const *arguments, char *const *list) {
  ensure_resolved();
  return spawned((spawn)real.posix_spawn, F_posix_spawn, child, path, actions, attributes, arguments, list);
}

EXPORTED int posix_spawnp(
    process *child, const char *path, const void *actions, const void *attributes, char *const *arguments, char *const *list) {
  ensure_resolved();
  return spawned((spawn)real.posix_spawnp, F_posix_spawnp, child, path, actions, attributes, arguments, list);
}
