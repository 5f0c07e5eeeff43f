// CUPTI's side of the stand-in, for what makes its records.
#pragma once
#include "state.h"

namespace headroom {
/// A call of the driver ended. The state's lock is held.
void noteCall(uint32_t number, bool isRuntime, uint32_t correlation, int32_t result, uint64_t start, uint64_t end);
void resetActivity();
}  // namespace headroom
