// A program whose calls are known: the tests of `headroom profile --os` count what is recorded of it.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static int count, milliseconds;
extern char **environ;

static struct timespec in(clockid_t clock, int wait) {
  struct timespec time;
  clock_gettime(clock, &time);
  long nanoseconds = time.tv_nsec + (long)wait * 1000000;
  return (struct timespec){time.tv_sec + nanoseconds / 1000000000, nanoseconds % 1000000000};
}

static void sleep_for(int wait) {
  struct timespec time = {wait / 1000, (long)(wait % 1000) * 1000000};
  nanosleep(&time, NULL);
}

static int wait_on_condition(void) {
  pthread_mutex_lock(&mutex);
  for (int i = 0; i < count; i++) {
    struct timespec end = in(CLOCK_REALTIME, milliseconds);
    while (pthread_cond_timedwait(&condition, &mutex, &end) != ETIMEDOUT) {}
  }
  pthread_mutex_unlock(&mutex);
  return 0;
}

static int wait_on_semaphore(void) {
  sem_t semaphore;
  sem_init(&semaphore, 0, 0);
  for (int i = 0; i < count; i++) {
    struct timespec end = in(CLOCK_REALTIME, milliseconds);
    if (sem_timedwait(&semaphore, &end) != -1 || errno != ETIMEDOUT) return 1;
  }
  return 0;
}

static int wait_on_epoll(void) {
  int file = epoll_create1(0);
  for (int i = 0; i < count; i++) {
    struct epoll_event event;
    if (epoll_wait(file, &event, 1, milliseconds) != 0) return 1;
  }
  return 0;
}

static int wait_on_futex(void) {
  int word = 0;
  for (int i = 0; i < count; i++) {
    struct timespec time = {0, (long)milliseconds * 1000000};
    if (syscall(SYS_futex, &word, FUTEX_WAIT, 0, &time, NULL, 0) != -1 || errno != ETIMEDOUT) return 1;
  }
  return syscall(SYS_gettid) == getpid() ? 0 : 1;
}

static void *named(void *argument) {
  char name[16];
  snprintf(name, sizeof name, "probe-%ld", (long)argument);
  pthread_setname_np(pthread_self(), name);
  for (int i = 0; i < count; i++) sleep_for(milliseconds);
  return NULL;
}

static int start_threads(int threads) {
  pthread_t thread[64];
  for (long i = 0; i < threads; i++) pthread_create(&thread[i], NULL, named, (void *)i);
  for (int i = 0; i < threads; i++) pthread_join(thread[i], NULL);
  return 0;
}

static void *hold(void *argument) {
  (void)argument;
  pthread_mutex_lock(&mutex);
  pthread_cond_signal(&condition);
  sleep_for(milliseconds);
  pthread_mutex_unlock(&mutex);
  return NULL;
}

static int contend(void) {
  for (int i = 0; i < count; i++) {
    pthread_t thread;
    pthread_mutex_lock(&mutex);
    pthread_create(&thread, NULL, hold, NULL);
    pthread_cond_wait(&condition, &mutex);
    pthread_mutex_unlock(&mutex);
    pthread_join(thread, NULL);
  }
  // Many free locks: none of them is noted.
  for (int i = 0; i < 1000; i++) {
    pthread_mutex_lock(&mutex);
    pthread_mutex_unlock(&mutex);
  }
  pthread_t thread;
  pthread_create(&thread, NULL, hold, NULL);
  while (pthread_mutex_trylock(&mutex) == 0) {
    pthread_mutex_unlock(&mutex);
    sched_yield();
  }
  pthread_mutex_lock(&mutex);
  pthread_mutex_unlock(&mutex);
  return pthread_join(thread, NULL);
}

// A child that sleeps and then becomes this program again.
static int fork_and_exec(const char *program) {
  char waits[16];
  snprintf(waits, sizeof waits, "%d", milliseconds);
  char *arguments[] = {(char *)program, "sleep", "2", waits, NULL};
  pid_t child = fork();
  if (child == 0) {
    sleep_for(milliseconds);
    execv(program, arguments);
    _exit(9);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (status) return 1;
  // An environment without ours.
  char *empty[] = {NULL};
  if (posix_spawn(&child, program, NULL, NULL, arguments, empty)) return 2;
  waitpid(child, &status, 0);
  return status ? 3 : 0;
}

static volatile sig_atomic_t alarms;

static void on_alarm(int number) {
  (void)number;
  alarms++;
  int file = open("/dev/null", O_WRONLY);
  write(file, "x", 1);
  close(file);
}

// A handler that makes calls within a call.
static int interrupt(void) {
  struct sigaction action = {.sa_handler = on_alarm};
  sigaction(SIGALRM, &action, NULL);
  // Again and again: on a busy machine the first may come before the sleep has begun.
  ualarm((useconds_t)milliseconds * 1000, (useconds_t)milliseconds * 1000);
  for (int i = 0; i < count; i++) {
    struct timespec time = {60, 0};
    if (nanosleep(&time, &time) != -1 || errno != EINTR) return 1;
  }
  ualarm(0, 0);
  return alarms >= count ? 0 : 2;
}

static void *block(void *argument) {
  pthread_mutex_lock(&mutex);
  while (!argument) pthread_cond_wait(&condition, &mutex);
  return NULL;
}

static void *read_for_ever(void *argument) {
  char byte;
  int *files = argument;
  read(files[0], &byte, 1);
  return NULL;
}

// errno, results and cancellation as without the interposer.
static int check_nothing_changes(void) {
  errno = 4711;
  char byte = 0;
  int files[2];
  if (pipe(files) || write(files[1], "y", 1) != 1 || read(files[0], &byte, 1) != 1 || byte != 'y' || errno != 4711) return 1;
  if (read(-1, &byte, 1) != -1 || errno != EBADF) return 2;
  sem_t semaphore;
  sem_init(&semaphore, 0, 1);
  errno = 4711;
  if (sem_wait(&semaphore) || errno != 4711) return 3;
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
  pthread_mutex_t checked;
  pthread_mutex_init(&checked, &attributes);
  if (pthread_mutex_lock(&checked) || pthread_mutex_lock(&checked) != EDEADLK) return 4;
  pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
  if (pthread_rwlock_wrlock(&lock) || pthread_rwlock_rdlock(&lock) != EDEADLK) return 5;
  pthread_t thread;
  pthread_create(&thread, NULL, read_for_ever, files);
  sleep_for(20);
  pthread_cancel(thread);
  void *result = NULL;
  if (pthread_join(thread, &result) || result != PTHREAD_CANCELED) return 6;
  if (open("/no/such/file", O_RDONLY) != -1 || errno != ENOENT) return 7;
  char path[] = "/tmp/headroom-probe-XXXXXX";
  close(mkstemp(path));
  unlink(path);
  int made = open(path, O_CREAT | O_WRONLY, 0640);
  int permissions = 0;
  (void)permissions;
  if (made < 0 || write(made, "abc", 3) != 3) return 8;
  unlink(path);
  return 0;
}

int main(int argc, char **argv) {
  const char *mode = argc > 1 ? argv[1] : "";
  count = argc > 2 ? atoi(argv[2]) : 1;
  milliseconds = argc > 3 ? atoi(argv[3]) : 1;
  int threads = argc > 4 ? atoi(argv[4]) : 1;
  if (!strcmp(mode, "condition")) return wait_on_condition();
  if (!strcmp(mode, "semaphore")) return wait_on_semaphore();
  if (!strcmp(mode, "epoll")) return wait_on_epoll();
  if (!strcmp(mode, "futex")) return wait_on_futex();
  if (!strcmp(mode, "threads")) return start_threads(threads);
  if (!strcmp(mode, "contend")) return contend();
  if (!strcmp(mode, "fork-exec")) return fork_and_exec("/proc/self/exe");
  if (!strcmp(mode, "interrupt")) return interrupt();
  if (!strcmp(mode, "check")) return check_nothing_changes();
  if (!strcmp(mode, "exit")) return count;
  if (!strcmp(mode, "run")) {
    execv(argv[3], argv + 3);
    return 9;
  }
  if (!strcmp(mode, "sleep")) {
    for (int i = 0; i < count; i++) sleep_for(milliseconds);
    return 0;
  }
  if (!strcmp(mode, "sleep-and-die")) {
    for (int i = 0; i < count; i++) sleep_for(milliseconds);
    raise(SIGKILL);
  }
  if (!strcmp(mode, "flood")) {
    for (int i = 0; i < count; i++) sched_yield();
    return 0;
  }
  if (!strcmp(mode, "churn")) {
    for (int i = 0; i < threads; i++) start_threads(1);
    return 0;
  }
  if (!strcmp(mode, "close-all")) {
    for (int file = 3; file < 4096; file++) close(file);
    for (int i = 0; i < count; i++) sched_yield();
    return open("/dev/null", O_RDONLY) == 3 ? 0 : 1;
  }
  // As a server that is started by root and goes on as somebody else; who is not root stays who he is.
  if (!strcmp(mode, "give-up-rights")) {
    if (getuid() == 0 && (setgid(65534) || setuid(65534))) return 1;
    for (int i = 0; i < count; i++) sched_yield();
    return 0;
  }
  if (!strcmp(mode, "block")) {
    pthread_t thread;
    pthread_create(&thread, NULL, block, NULL);
    sleep_for(milliseconds);
    return 0;
  }
  return 64;
}
