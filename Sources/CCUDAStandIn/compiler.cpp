// libnvrtc's entry points. A "cubin" of this compiler names the element type that the source was compiled for; its kernels are those that this
// library holds. A source that NVRTC would refuse is not noticed here: Tests compile all of them with the real one.
#include <cstring>

#include "state.h"

using namespace headroom;

namespace {
struct Program {
  std::string source, log;
  char element = '0';
};
enum { compilerSuccess = 0, invalidInput = 3, compilationFailed = 6 };
}  // namespace

int32_t nvrtcVersion(int32_t *major, int32_t *minor) {
  *major = 13;
  *minor = 0;
  return compilerSuccess;
}

const char *nvrtcGetErrorString(int32_t result) { return result == compilerSuccess ? "NVRTC_SUCCESS" : "NVRTC_ERROR_COMPILATION"; }

int32_t nvrtcCreateProgram(HRProgram *program, const char *source, const char *, int32_t, const char *const *, const char *const *) {
  Lock lock(state().mutex);
  state().calls[__func__]++;
  auto made = new Program;
  made->source = source;
  *program = (HRProgram)made;
  return compilerSuccess;
}

int32_t nvrtcDestroyProgram(HRProgram *program) {
  delete (Program *)*program;
  *program = nullptr;
  return compilerSuccess;
}

int32_t nvrtcCompileProgram(HRProgram program, int32_t optionCount, const char *const *options) {
  Lock lock(state().mutex);
  state().calls[__func__]++;
  auto own = (Program *)program;
  bool hasArchitecture = false;
  for (int32_t index = 0; index < optionCount; index++) {
    if (strncmp(options[index], "-DHR_ELEMENT=", 13) == 0) own->element = options[index][13];
    hasArchitecture = hasArchitecture || strncmp(options[index], "--gpu-architecture=sm_", 22) == 0;
  }
  if (!hasArchitecture) own->log = "error: no real architecture was asked for, there is no cubin";
  if (own->source.find("HR_KERNEL") == std::string::npos) own->log = "error: the source holds no kernel";
  return own->log.empty() ? compilerSuccess : compilationFailed;
}

int32_t nvrtcGetProgramLogSize(HRProgram program, size_t *bytes) {
  *bytes = ((Program *)program)->log.size() + 1;
  return compilerSuccess;
}

int32_t nvrtcGetProgramLog(HRProgram program, char *log) {
  strcpy(log, ((Program *)program)->log.c_str());
  return compilerSuccess;
}

int32_t nvrtcGetCUBINSize(HRProgram, size_t *bytes) {
  *bytes = 32;
  return compilerSuccess;
}

int32_t nvrtcGetCUBIN(HRProgram program, char *cubin) {
  memset(cubin, 0, 32);
  snprintf(cubin, 32, "headroom stand-in cubin %c", ((Program *)program)->element);
  return compilerSuccess;
}
