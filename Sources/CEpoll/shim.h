// Glibc's Swift module leaves these two out.
#include <sys/epoll.h>
#include <sys/timerfd.h>
