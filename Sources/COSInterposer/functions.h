// What is interposed, under the names it is recorded by. Where a function is declared twice for large files, each keeps its own name.
#define OSCALLS_FUNCTIONS(F) \
  F(read) F(write) F(readv) F(writev) F(pread) F(pread64) F(pwrite) F(pwrite64) F(preadv) F(preadv64) F(pwritev) F(pwritev64) \
  F(recv) F(recvfrom) F(recvmsg) F(recvmmsg) F(send) F(sendto) F(sendmsg) F(sendmmsg) F(accept) F(accept4) F(connect) \
  F(open) F(open64) F(openat) F(openat64) F(close) F(fsync) F(fdatasync) F(flock) F(ioctl) F(sendfile) F(sendfile64) F(splice) \
  F(mmap) F(mmap64) F(munmap) F(mprotect) F(madvise) \
  F(nanosleep) F(clock_nanosleep) F(usleep) F(sleep) F(sched_yield) \
  F(poll) F(ppoll) F(select) F(pselect) F(epoll_wait) F(epoll_pwait) F(epoll_pwait2) \
  F(pthread_cond_wait) F(pthread_cond_timedwait) F(pthread_cond_clockwait) F(pthread_cond_signal) F(pthread_cond_broadcast) \
  F(pthread_mutex_lock) F(pthread_mutex_timedlock) F(pthread_mutex_clocklock) \
  F(pthread_rwlock_rdlock) F(pthread_rwlock_wrlock) F(pthread_rwlock_timedrdlock) F(pthread_rwlock_timedwrlock) \
  F(pthread_create) F(pthread_join) F(pthread_timedjoin_np) F(pthread_barrier_wait) \
  F(sem_wait) F(sem_timedwait) F(sem_clockwait) \
  F(sigwait) F(sigwaitinfo) F(sigtimedwait) F(sigsuspend) F(pause) \
  F(fork) F(wait) F(wait3) F(wait4) F(waitid) F(waitpid) F(posix_spawn) F(posix_spawnp) F(system) F(pclose) \
  F(fopen) F(fopen64) F(fclose) F(fflush) F(fread) F(fwrite) F(fgets) F(getline)
