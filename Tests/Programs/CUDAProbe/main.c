// A CUDA program whose work is known: the tests of `headroom profile --cuda` count what is recorded of it. It loads the driver and NVRTC itself
// (HEADROOM_CUDA_PATH names one file in place of both) and knows nothing of a profiler.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "CCUDA.h"
#include "CCUDAKernels.h"
#include "CNVTX.h"

static HRDriverTable cuda;
static HRCompilerTable compiler;
static HRFunction copy_4;
static HRDevicePointer source, target;

enum { COUNT = 64 << 10 };

static void check(int32_t result, const char *what) {
  if (result == 0) return;
  fprintf(stderr, "%s: %d\n", what, result);
  exit(1);
}
#define CHECK(call) check(call, #call)

static void *load(const char *name) {
  const char *given = getenv("HEADROOM_CUDA_PATH");
  void *library = dlopen(given ? given : name, RTLD_NOW | RTLD_LOCAL);
  if (!library) fprintf(stderr, "%s\n", dlerror());
  return library;
}

static void start(void) {
  void *driver = load("libcuda.so.1"), *nvrtc = load("libnvrtc.so.12");
  if (!driver || !nvrtc || headroom_cuda_fill_driver(driver, &cuda) || headroom_cuda_fill_compiler(nvrtc, &compiler)) exit(1);
  CHECK(cuda.cuInit(0));
  HRContext context;
  CHECK(cuda.cuDevicePrimaryCtxRetain(&context, 0));
  CHECK(cuda.cuCtxSetCurrent(context));
  int32_t major = 0, minor = 0, count = 0;
  CHECK(cuda.cuDeviceGetAttribute(&major, HR_DEVICE_COMPUTE_MAJOR, 0));
  CHECK(cuda.cuDeviceGetAttribute(&minor, HR_DEVICE_COMPUTE_MINOR, 0));
  const HRKernelSource *sources = headroom_kernel_sources(&count);
  const char *names[16], *texts[16], *text = NULL;
  for (int index = 0; index < count; index++) {
    names[index] = sources[index].name;
    texts[index] = sources[index].text;
    if (!strcmp(names[index], "elements.cuh")) text = texts[index];
  }
  HRProgram program;
  CHECK(compiler.nvrtcCreateProgram(&program, text, "elements.cuh", count, texts, names));
  char architecture[64];
  snprintf(architecture, sizeof architecture, "--gpu-architecture=sm_%d%d", major, minor);
  const char *options[] = {architecture, "-std=c++17", "-DHR_ELEMENT=0"};
  CHECK(compiler.nvrtcCompileProgram(program, 3, options));
  size_t bytes = 0;
  CHECK(compiler.nvrtcGetCUBINSize(program, &bytes));
  char *cubin = malloc(bytes);
  CHECK(compiler.nvrtcGetCUBIN(program, cubin));
  HRModule module;
  CHECK(cuda.cuModuleLoadData(&module, cubin));
  CHECK(cuda.cuModuleGetFunction(&copy_4, module, "copy_4"));
  CHECK(cuda.cuMemAlloc_v2(&source, COUNT * 4));
  CHECK(cuda.cuMemAlloc_v2(&target, COUNT * 4));
}

static void copy_some(HRStream stream, HRDevicePointer from, HRDevicePointer to, int count) {
  HRWalk walk = {.rank = 1, .count = count, .sizes = {count}, .a = {1}, .c = {1}};
  void *parameters[] = {&from, &to, &walk};
  unsigned blocks = count < COUNT ? 1 : 64, threads = count < COUNT ? 32 : 256;
  CHECK(cuda.cuLaunchKernel(copy_4, blocks, 1, 1, threads, 1, 1, 0, stream, parameters, NULL));
}

static void copy(HRStream stream, HRDevicePointer from, HRDevicePointer to) { copy_some(stream, from, to, COUNT); }

static double seconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

// COUNT launches after a fill and a copy in, then a copy out.
static void straight(int launches, int milliseconds) {
  HRStream stream;
  unsigned *host = malloc(COUNT * 4);
  memset(host, 7, COUNT * 4);
  CHECK(cuda.cuStreamCreate(&stream, HR_STREAM_NON_BLOCKING));
  CHECK(cuda.cuMemsetD8Async(target, 1, COUNT * 4, stream));
  CHECK(cuda.cuMemcpyHtoDAsync_v2(source, host, COUNT * 4, stream));
  for (int index = 0; index < launches; index++) {
    char text[32];
    snprintf(text, sizeof text, "step %d", index);
    uint64_t range = headroom_nvtx_start(text);
    copy(stream, source, target);
    headroom_nvtx_end(range);
    if (milliseconds) {
      CHECK(cuda.cuStreamSynchronize(stream));
      struct timespec time = {milliseconds / 1000, (long)(milliseconds % 1000) * 1000000};
      nanosleep(&time, NULL);
    }
  }
  CHECK(cuda.cuStreamSynchronize(stream));
  CHECK(cuda.cuMemcpyDtoH_v2(host, target, COUNT * 4));
  if (host[COUNT - 1] != 0x07070707u) check(1, "what was copied");
}

// Kernels of one element, waited for now and then: many records in a short time.
static void small(int launches) {
  HRStream stream;
  CHECK(cuda.cuStreamCreate(&stream, HR_STREAM_NON_BLOCKING));
  CHECK(cuda.cuMemsetD8Async(source, 1, COUNT * 4, stream));
  for (int index = 0; index < launches; index++) {
    copy_some(stream, source, target, 1);
    if (index % 256 == 255) CHECK(cuda.cuStreamSynchronize(stream));
  }
  CHECK(cuda.cuStreamSynchronize(stream));
}

// Turns of so many microseconds of work on the host, a launch and a wait: what a recording adds to a launch is added to the turn. Prints turns per
// second, CUPTI's start not among them.
static void loop(int turns, int microseconds) {
  HRStream stream;
  CHECK(cuda.cuStreamCreate(&stream, HR_STREAM_NON_BLOCKING));
  CHECK(cuda.cuMemsetD8Async(source, 1, COUNT * 4, stream));
  copy_some(stream, source, target, 1);
  CHECK(cuda.cuStreamSynchronize(stream));
  double start = seconds();
  for (int index = 0; index < turns; index++) {
    for (double end = seconds() + microseconds * 1e-6; seconds() < end;) {}
    copy_some(stream, source, target, 1);
    CHECK(cuda.cuStreamSynchronize(stream));
  }
  printf("turns per second %.1f\n", turns / (seconds() - start));
}

// The same number on each of two streams, neither waiting for the other.
static void two_streams(int launches) {
  HRStream streams[2];
  HRDevicePointer others[2];
  for (int index = 0; index < 2; index++) {
    CHECK(cuda.cuStreamCreate(&streams[index], HR_STREAM_NON_BLOCKING));
    CHECK(cuda.cuMemAlloc_v2(&others[index], COUNT * 4));
  }
  CHECK(cuda.cuMemsetD8Async(source, 1, COUNT * 4, streams[0]));
  CHECK(cuda.cuStreamSynchronize(streams[0]));
  for (int index = 0; index < launches; index++)
    for (int stream = 0; stream < 2; stream++) copy(streams[stream], source, others[stream]);
  CHECK(cuda.cuCtxSynchronize());
}

// A graph of three copies, launched so often; an event between it and a second stream.
static void graph(int launches) {
  HRStream stream, second;
  CHECK(cuda.cuStreamCreate(&stream, HR_STREAM_NON_BLOCKING));
  CHECK(cuda.cuStreamCreate(&second, HR_STREAM_NON_BLOCKING));
  CHECK(cuda.cuMemsetD8Async(source, 1, COUNT * 4, stream));
  CHECK(cuda.cuStreamBeginCapture_v2(stream, HR_CAPTURE_THREAD_LOCAL));
  for (int index = 0; index < 3; index++) copy(stream, source, target);
  HRGraph made;
  HRGraphExec executable;
  CHECK(cuda.cuStreamEndCapture(stream, &made));
  CHECK(cuda.cuGraphInstantiateWithFlags(&executable, made, 0));
  HREvent event;
  CHECK(cuda.cuEventCreate(&event, HR_EVENT_DISABLE_TIMING));
  for (int index = 0; index < launches; index++) CHECK(cuda.cuGraphLaunch(executable, stream));
  CHECK(cuda.cuEventRecord(event, stream));
  CHECK(cuda.cuStreamWaitEvent(second, event, 0));
  CHECK(cuda.cuEventSynchronize(event));
  CHECK(cuda.cuStreamSynchronize(second));
}

// The same work through the runtime's functions, as PyTorch calls them: a fill, a copy in and one out each turn, and questions that nobody records.
static void runtime(int turns) {
  const char *given = getenv("HEADROOM_CUDA_PATH");
  void *library = dlopen(given ? given : "libcudart.so.12", RTLD_NOW | RTLD_LOCAL);
  if (!library) library = dlopen("libcudart.so.13", RTLD_NOW | RTLD_LOCAL);
  if (!library) check(1, "libcudart");
  int32_t (*allocate)(void **, size_t), (*release)(void *), (*copy)(void *, const void *, size_t, int32_t, HRStream);
  int32_t (*fill)(void *, int32_t, size_t, HRStream), (*wait)(HRStream), (*error)(void);
#define HEADROOM_RUNTIME(variable, name)                    \
  do {                                                      \
    void *symbol = dlsym(library, name);                    \
    if (!symbol) check(1, name);                            \
    memcpy((void *)&variable, &symbol, sizeof symbol);      \
  } while (0)
  HEADROOM_RUNTIME(allocate, "cudaMalloc");
  HEADROOM_RUNTIME(release, "cudaFree");
  HEADROOM_RUNTIME(copy, "cudaMemcpyAsync");
  HEADROOM_RUNTIME(fill, "cudaMemsetAsync");
  HEADROOM_RUNTIME(wait, "cudaStreamSynchronize");
  HEADROOM_RUNTIME(error, "cudaGetLastError");
  HRStream stream;
  CHECK(cuda.cuStreamCreate(&stream, HR_STREAM_NON_BLOCKING));
  void *place = NULL;
  unsigned char *host = malloc(COUNT);
  memset(host, 9, COUNT);
  CHECK(allocate(&place, COUNT));
  for (int index = 0; index < turns; index++) {
    CHECK(fill(place, 1, COUNT, stream));
    CHECK(copy(place, host, COUNT, 1, stream));
    CHECK(copy(host, place, COUNT, 2, stream));
    CHECK(wait(stream));
    CHECK(error());
  }
  CHECK(release(place));
  if (host[COUNT - 1] != 9) check(1, "what was copied");
}

int main(int argument_count, char **arguments) {
  const char *mode = argument_count > 1 ? arguments[1] : "";
  int number = argument_count > 2 ? atoi(arguments[2]) : 1, milliseconds = argument_count > 3 ? atoi(arguments[3]) : 0;
  if (!strcmp(mode, "none")) return 0;
  if (!strcmp(mode, "fork-annotated")) {
    // The parent annotates itself and never starts CUDA; its child does.
    headroom_nvtx_end(headroom_nvtx_start("parent"));
    pid_t child = fork();
    if (child == 0) {
      start();
      straight(number, 0);
      return 0;
    }
    int status = 0;
    return waitpid(child, &status, 0) == child && status == 0 ? 0 : 1;
  }
  if (!strcmp(mode, "fork-first")) {
    // Parent and child each start CUDA for themselves.
    pid_t child = fork();
    start();
    straight(number, 0);
    int status = 0;
    if (child == 0) return 0;
    return waitpid(child, &status, 0) == child && status == 0 ? 0 : 1;
  }
  start();
  if (!strcmp(mode, "straight")) {
    straight(number, milliseconds);
  } else if (!strcmp(mode, "small")) {
    small(number);
  } else if (!strcmp(mode, "loop")) {
    loop(number, milliseconds ? milliseconds : 90);
  } else if (!strcmp(mode, "streams")) {
    two_streams(number);
  } else if (!strcmp(mode, "graph")) {
    graph(number);
  } else if (!strcmp(mode, "runtime")) {
    runtime(number);
  } else if (!strcmp(mode, "kill")) {
    straight(number, milliseconds);
    kill(getpid(), SIGKILL);
  } else if (!strcmp(mode, "fork-after")) {
    straight(number, 0);
    // The child has no CUDA any more, and runs to its end all the same; so does the parent.
    pid_t child = fork();
    if (child == 0) exit(5);
    int status = 0;
    if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 5) return 1;
    straight(number, 0);
  } else {
    fprintf(stderr, "cuda-probe: straight|small|loop|streams|graph|runtime|kill|fork-first|fork-after|fork-annotated|none [COUNT [MILLISECONDS; of loop: MICROSECONDS]]\n");
    return 64;
  }
  return 0;
}
