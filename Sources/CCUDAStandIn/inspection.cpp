// What tests ask for and set: see CCUDAStandIn.h.
#include "CCUDAStandIn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "activity.h"

using namespace headroom;

void headroom::applyEnvironment(State &state) {
  if (const char *bytes = getenv("HEADROOM_STANDIN_MEMORY")) state.memory = strtoull(bytes, nullptr, 10);
  const char *at = getenv("HEADROOM_STANDIN_FAULTS");
  while (at && *at) {
    const char *end = strchrnul(at, ','), *equals = strchr(at, '=');
    if (!equals || equals > end) break;
    char *rest = nullptr;
    Fault fault{0, (int32_t)strtol(equals + 1, &rest, 10), 1};
    if (rest && *rest == ':') fault.after = strtoul(rest + 1, &rest, 10);
    if (rest && *rest == ':') fault.times = strtoul(rest + 1, &rest, 10);
    state.faults[std::string(at, equals)] = fault;
    at = *end ? end + 1 : end;
  }
}

void headroom::writeComplaint(const std::string &text) {
  const char *path = getenv("HEADROOM_STANDIN_COMPLAINTS");
  if (!path) return;
  if (FILE *file = fopen(path, "a")) {
    fprintf(file, "%s\n", text.c_str());
    fclose(file);
  }
}

#define HR_EXPORTED extern "C" __attribute__((visibility("default")))

HR_EXPORTED void headroom_standin_reset(void) {
  State &s = state();
  Lock lock(s.mutex);
  for (auto &entry : s.allocations) {
    if (!entry.second.isRegistered) free((void *)(uintptr_t)entry.second.start);
  }
  s.allocations.clear();
  s.used = 0;
  s.sticky = 0;
  s.stale += s.retained;
  s.retained = 0;
  s.generation++;
  s.memory = size_t(8) << 30;
  s.host.clear();
  s.complaints.clear();
  s.calls.clear();
  s.faults.clear();
  s.liveGraphs.clear();
  for (const auto &stream : s.streams) {
    (*stream)->queue.clear();
    (*stream)->isDestroyed = true;
    if ((*stream)->id == 0) (*stream)->id = -100 - (*stream)->generation;
  }
  resetActivity();
}

HR_EXPORTED size_t headroom_standin_complaint_count(void) {
  Lock lock(state().mutex);
  return state().complaints.size();
}

HR_EXPORTED const char *headroom_standin_complaint(size_t index) {
  Lock lock(state().mutex);
  return index < state().complaints.size() ? state().complaints[index].c_str() : "";
}

namespace {
template <class Handle>
size_t alive(const std::vector<std::unique_ptr<std::shared_ptr<Handle>>> &all, bool Handle::*isOver) {
  size_t count = 0;
  for (const auto &held : all) {
    if ((*held)->generation == state().generation && !((**held).*isOver)) count++;
  }
  return count;
}
}  // namespace

HR_EXPORTED const char *headroom_standin_live(void) {
  Lock lock(state().mutex);
  State &s = state();
  size_t streams = 0;
  for (const auto &stream : s.streams) streams += (*stream)->generation == s.generation && !(*stream)->isDestroyed && (*stream)->id > 0;
  s.liveText = std::to_string(s.allocations.size()) + " allocations, " + std::to_string(streams) + " streams, " +
               std::to_string(alive(s.events, &Event::isDestroyed)) + " events, " + std::to_string(alive(s.modules, &Module::isUnloaded)) +
               " modules, " + std::to_string(s.liveGraphs.size()) + " graphs, " +
               std::to_string(alive(s.executables, &Executable::isDestroyed)) + " executable graphs";
  return s.liveText.c_str();
}

HR_EXPORTED size_t headroom_standin_live_count(void) {
  Lock lock(state().mutex);
  State &s = state();
  size_t streams = 0;
  for (const auto &stream : s.streams) streams += (*stream)->generation == s.generation && !(*stream)->isDestroyed && (*stream)->id > 0;
  return s.allocations.size() + streams + alive(s.events, &Event::isDestroyed) + alive(s.modules, &Module::isUnloaded) +
         s.liveGraphs.size() + alive(s.executables, &Executable::isDestroyed);
}

HR_EXPORTED void headroom_standin_set_memory(size_t bytes) {
  Lock lock(state().mutex);
  state().memory = bytes;
}

HR_EXPORTED void headroom_standin_fail(const char *name, size_t after, int32_t code, size_t times) {
  Lock lock(state().mutex);
  state().faults[name] = {after, code, times};
}

HR_EXPORTED size_t headroom_standin_calls(const char *name) {
  Lock lock(state().mutex);
  return state().calls[name];
}
