#define _GNU_SOURCE
#include "capture_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "system_call.h"

// See COSInterposer/recorder.c: the package manager names Swift's runtime, which nothing here needs.
__attribute__((used, section(".swift1_autolink_entries"))) static const char link_what_is_needed[] = "-Wl,--as-needed";

struct cudacapture_control *control;
struct cudacapture_header header;

static char path[256];
// As the environment named it when the first file was made: what the program does with its environment afterwards does not matter.
static char capture_folder[256];
static int is_full;

static int is_error(long result) { return result < 0 && result > -4096; }

static int map_control(const char *folder) {
  char name[256];
  char *end = append_text(name, name + sizeof name - 1, folder);
  append_text(end, name + sizeof name - 1, "/cuda-control");
  long descriptor = system_call(SYS_openat, AT_FDCWD, (long)name, O_RDWR | O_CLOEXEC, 0, 0, 0);
  if (is_error(descriptor)) return 0;
  long place = system_call(SYS_mmap, 0, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  system_call(SYS_close, descriptor, 0, 0, 0, 0, 0);
  if (is_error(place)) return 0;
  struct cudacapture_control *mapped = (struct cudacapture_control *)place;
  if (memcmp(mapped->magic, CUDACAPTURE_CONTROL_MAGIC, 8)) return 0;
  control = mapped;
  return 1;
}

int capture_open(void) {
  const char *folder = getenv(CUDACAPTURE_FOLDER_VARIABLE);
  // Absolute, so that chdir does not matter.
  if (!folder || folder[0] != '/' || strlen(folder) > 128 || !map_control(folder)) return 0;
  copy_text(capture_folder, folder, sizeof capture_folder);
  return capture_open_file();
}

int capture_open_file(void) {
  const char *folder = capture_folder;
  uint32_t pid = (uint32_t)system_call(SYS_getpid, 0, 0, 0, 0, 0, 0);
  long descriptor = -1;
  for (unsigned image = 0; image < 10000 && descriptor < 0; image++) {
    const char *end = path + sizeof path - 1;
    char *at = append_text(path, end, folder);
    at = append_text(at, end, "/");
    at = append_number(at, end, pid);
    at = append_text(at, end, ".");
    at = append_number(at, end, image);
    append_text(at, end, ".cuda");
    descriptor = system_call(SYS_openat, AT_FDCWD, (long)path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, 0, 0);
    if (descriptor < 0 && descriptor != -17 /* EEXIST */) return 0;
  }
  if (descriptor < 0) return 0;
  // A server that gives its rights up later must still be able to write. The folder's name cannot be guessed or listed.
  if (system_call(SYS_geteuid, 0, 0, 0, 0, 0, 0) == 0) system_call(SYS_fchmod, descriptor, 0622, 0, 0, 0, 0);
  system_call(SYS_close, descriptor, 0, 0, 0, 0, 0);
  memcpy(header.magic, CUDACAPTURE_MAGIC, 8);
  header.byte_order = 0x01020304;
  header.header_bytes = sizeof header;
  header.pid = pid;
  header.parent_pid = (uint32_t)system_call(SYS_getppid, 0, 0, 0, 0, 0, 0);
  header.loaded_monotonic = (int64_t)monotonic();
  struct timespec time;
  clock_gettime(CLOCK_REALTIME, &time);
  header.loaded_realtime = (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
  system_call(SYS_readlinkat, AT_FDCWD, (long)"/proc/self/exe", (long)header.program, sizeof header.program - 1, 0, 0);
  capture_write_header();
  return 1;
}

void capture_forget(void) {
  memset(&header, 0, sizeof header);
  is_full = 0;
}

// The file is opened anew each time: programs that close every descriptor must not close ours, nor get its number for a file of theirs.
static long open_file(int flags) { return system_call(SYS_openat, AT_FDCWD, (long)path, O_WRONLY | O_CLOEXEC | flags, 0, 0, 0); }

void capture_write_header(void) {
  long descriptor = open_file(0);
  if (is_error(descriptor)) return;
  system_call(SYS_pwrite64, descriptor, (long)&header, sizeof header, 0, 0, 0);
  system_call(SYS_close, descriptor, 0, 0, 0, 0, 0);
}

int capture_append(const void *block, size_t bytes) {
  if (is_full) return 0;
  if (atomic_fetch_sub(&control->bytes_left, (int64_t)bytes) < (int64_t)bytes) {
    atomic_fetch_add(&control->bytes_left, (int64_t)bytes);
    is_full = 1;
    return 0;
  }
  long descriptor = open_file(O_APPEND);
  size_t done = 0;
  while (!is_error(descriptor) && done < bytes) {
    long written = system_call(SYS_write, descriptor, (long)((const char *)block + done), (long)(bytes - done), 0, 0, 0);
    // A full disk: what is there of the block fails its checksum.
    if (written <= 0) break;
    done += (size_t)written;
  }
  if (!is_error(descriptor)) system_call(SYS_close, descriptor, 0, 0, 0, 0, 0);
  is_full = done < bytes;
  return !is_full;
}
