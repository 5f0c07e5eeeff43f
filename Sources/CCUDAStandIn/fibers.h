// Runs a kernel's grid on this processor: every thread of a block is a fiber, so that barriers and exchanges between lanes mean what they mean
// on a GPU.
#pragma once
#include <cstddef>
#include <functional>
#include <string>

namespace headroom {
/// Runs `body` once for each thread. Returns what went wrong, empty where nothing did: a barrier that some threads never reach.
std::string runGrid(long long blocks, int threads, size_t sharedBytes, const std::function<void()> &body);
}  // namespace headroom
