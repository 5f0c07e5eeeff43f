// What Glibc's Swift module leaves out of Linux.
#pragma once
#include <malloc.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

// The calling thread's time slice: 0, or -1 with errno. glibc wraps sched_setattr from 2.41 on only; this is its first published layout.
static inline int headroom_set_slice(uint64_t nanoseconds) {
  struct {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
  } attributes;
  // A thread that was given another class (chrt) keeps it.
  if (sched_getscheduler(0) != SCHED_OTHER) return 0;
  memset(&attributes, 0, sizeof attributes);
  attributes.size = sizeof attributes;
  attributes.policy = SCHED_OTHER;
  // Of this thread, on Linux. The call sets it too: what it was stays.
  attributes.nice = getpriority(PRIO_PROCESS, 0);
  attributes.runtime = nanoseconds;
  return (int)syscall(SYS_sched_setattr, 0, &attributes, 0);
}

// Memory with a descriptor that another process can map. It cannot be made smaller, so that what is mapped stays readable whatever the
// other one does, and nobody can change that rule. -1 with errno.
static inline int headroom_shared_memory(const char *name) {
  // MFD_CLOEXEC | MFD_ALLOW_SEALING; F_ADD_SEALS with F_SEAL_SEAL | F_SEAL_SHRINK (linux/memfd.h, linux/fcntl.h).
  int file = (int)syscall(SYS_memfd_create, name, 1u | 2u);
  if (file >= 0 && fcntl(file, 1033, 1 | 2) != 0) {
    int reason = errno;
    close(file);
    errno = reason;
    return -1;
  }
  return file;
}

// Sends bytes, and up to 8 descriptors with the first of them. As sendmsg.
static inline ssize_t headroom_send(int socket, const void *bytes, size_t count, const int *files, int file_count) {
  char control[CMSG_SPACE(8 * sizeof(int))] = {0};
  struct iovec part = {(void *)bytes, count};
  struct msghdr message = {0};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (file_count > 0 && file_count <= 8) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(file_count * sizeof(int));
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(file_count * sizeof(int));
    memcpy(CMSG_DATA(header), files, file_count * sizeof(int));
  }
  return sendmsg(socket, &message, MSG_NOSIGNAL);
}

// Receives bytes, and the descriptors that came with them: at most 8, how many in `file_count`. As recvmsg.
static inline ssize_t headroom_receive(int socket, void *bytes, size_t count, int *files, int *file_count) {
  char control[CMSG_SPACE(8 * sizeof(int))] = {0};
  struct iovec part = {bytes, count};
  struct msghdr message = {0};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  *file_count = 0;
  ssize_t received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  if (received < 0) return received;
  for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    int found = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    for (int index = 0; index < found && *file_count < 8; index++) memcpy(&files[(*file_count)++], CMSG_DATA(header) + index * sizeof(int), sizeof(int));
  }
  return received;
}

// The calling process is killed when the thread that started it ends.
static inline int headroom_die_with_parent(void) { return prctl(PR_SET_PDEATHSIG, SIGKILL); }

// Closes every descriptor from `first` on. Descriptors that were made without close-on-exec come along with a new program.
static inline void headroom_close_from(int first) {
  // close_range, from Linux 5.9 on; its number is the same on every architecture.
  if (syscall(436, (unsigned)first, ~0u, 0u) == 0) return;
  struct rlimit limit;
  int end = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 65536 ? (int)limit.rlim_cur : 65536;
  for (int file = first; file < end; file++) close(file);
}

// Waits for a child's end without taking it away: its number stays its own until it is reaped. 0, or -1 with errno.
static inline int headroom_await_end(pid_t child) {
  siginfo_t information;
  return waitid(P_PID, (id_t)child, &information, WEXITED | WNOWAIT);
}
