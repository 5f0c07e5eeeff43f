// The driver's entry points as they are exported: each call gets a number that joins it with its device work, and a record of CUPTI's.
#include <pthread.h>
#include <unistd.h>

#include <cstring>

#include "activity.h"

namespace headroom {
namespace {
#define HEADROOM_NUMBER(result, name, parameters) number_##name,
enum { number_none = 0, HEADROOM_DRIVER_FUNCTIONS(HEADROOM_NUMBER) numberCount };
#define HEADROOM_TEXT(result, name, parameters) #name,
const char *const names[] = {nullptr, HEADROOM_DRIVER_FUNCTIONS(HEADROOM_TEXT)};
thread_local Call *current = nullptr;
thread_local uint32_t currentNumber = 0;
}  // namespace

const char *callName(uint32_t number) { return number > 0 && number < numberCount ? names[number] : nullptr; }

uint32_t callNumber(const char *name) {
  for (uint32_t number = 1; number < numberCount; number++) {
    if (strcmp(names[number], name) == 0) return number;
  }
  return 0;
}

Call::Call(uint32_t number, bool isRuntime) : number(number), correlation(currentNumber), start(0), outer(current), isRuntime(isRuntime) {
  if (isSeen()) {
    Lock lock(state().mutex);
    if (!outer) correlation = currentNumber = (uint32_t)++state().correlation;
    start = nowNanoseconds();
  }
  current = this;
}

int32_t Call::end(int32_t result) {
  current = outer;
  if (!isSeen()) return result;
  if (!outer) currentNumber = 0;
  Lock lock(state().mutex);
  noteCall(number, isRuntime, correlation, result, start, nowNanoseconds());
  return result;
}

uint32_t currentCorrelation() { return currentNumber ? currentNumber : (uint32_t)++state().correlation; }

namespace driver {
#define HEADROOM_DECLARE_INNER(result, name, parameters) result name parameters;
HEADROOM_DRIVER_FUNCTIONS(HEADROOM_DECLARE_INNER)
}  // namespace driver

namespace {
template <auto function, uint32_t number>
struct Recorded;

template <class... Parameters, HRResult (*function)(Parameters...), uint32_t number>
struct Recorded<function, number> {
  static HRResult call(Parameters... parameters) {
    Call call(number);
    return call.end(function(parameters...));
  }
};
}  // namespace
}  // namespace headroom

// The exported name is resolved to the function that wraps it when the library is loaded: a macro that has a function's parameters as one text
// cannot pass them on, and a template can.
#define HEADROOM_EXPORT(result, name, parameters)                                                                                       \
  extern "C" __attribute__((used)) void *headroom_resolve_##name(void) {                                                                \
    return (void *)&headroom::Recorded<&headroom::driver::name, headroom::number_##name>::call;                                         \
  }                                                                                                                                     \
  extern "C" __attribute__((visibility("default"), ifunc("headroom_resolve_" #name))) result name parameters;
HEADROOM_DRIVER_FUNCTIONS(HEADROOM_EXPORT)
