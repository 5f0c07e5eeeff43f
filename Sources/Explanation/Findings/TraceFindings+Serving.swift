import CheckedNumbers
import Diagnosis

/// What files beside a trace add: requests, counters, the model.
extension TraceFindings {
  /// Requests that wait while the device idles.
  mutating func addServingFindings() {
    if verdict.regime == .clientBound {
      found.append(
        TraceFinding(
          .HR101, .high, seen: ["The load generator says that it was the limit."],
          fix: "more generator processes, or a faster generator", effect: .throughput,
          gain: .notQuantified("what more load would bring is not in the trace: the server was never full")))
    }
    if verdict.regime == .loadLimited {
      found.append(
        TraceFinding(
          .HR102, verdict.confidence, seen: ["The GPU idles because no more work was offered."],
          fix: "a smaller GPU, or other models beside this one", effect: .gpuTime,
          gain: .notQuantified("nothing limits: more load is served as it is")))
    }
    guard let requests else { return }
    let queued = requests.idle[.queue] ?? 0
    if verdict.regime == .batchingBound, share(queued) >= Self.smallestIdleShare {
      found.append(
        TraceFinding(
          .HR121, verdict.confidence,
          seen: ["The GPU idled \(device.share(queued)) of the time while requests that left together were queued and no batch ran."],
          fix: "max_queue_delay_microseconds: 0", effect: .throughput,
          gain: bound(without: Double(queued), floor: Double(device.busy.device), cycle: (requests.queue ?? 0, requests))))
    }
    let outside = requests.idle[.frontEnd] ?? 0
    if verdict.regime == .frontEndBound, share(outside) >= Self.smallestIdleShare {
      found.append(
        TraceFinding(
          .HR111, verdict.confidence,
          seen: ["The GPU idled \(device.share(outside)) of the time while requests were read, decoded or answered."],
          fix: "binary tensors, shared memory or gRPC; more front-end threads", effect: .throughput,
          gain: bound(
            without: Double(outside), floor: Double(device.busy.device),
            cycle: ((requests.frontEnd ?? 0) + (requests.response ?? 0), requests))))
    }
  }

  /// A bound by the device's time and by the requests' own: in a closed loop a request's cycle shortens by no more than what is taken out of it.
  private func bound(without nanoseconds: Double, floor: Double, cycle: (taken: Double, requests: RequestUse)) -> TraceFinding.Gain {
    let gain = bound(without: nanoseconds, floor: floor)
    let times = [cycle.requests.frontEnd, cycle.requests.queue, cycle.requests.compute, cycle.requests.response].compactMap { $0 }
    let whole = max(times.reduce(0, +), (load?.meanMilliseconds ?? 0) * 1e6)
    guard case .atMost(let figure) = gain, whole > cycle.taken else { return gain }
    let maximum = whole / (whole - cycle.taken) - 1
    return figure.value <= maximum
      ? gain : .atMost(Figure(maximum, .share, .estimated, source: "the request's cycle without this time"))
  }

  /// Work that the graph proves to be done more than once.
  mutating func addRedundantWork() {
    guard let model, model.redundantShare > 0.02, share(device.busy.kernel) >= 0.1, model.plannedNanoseconds > 0 else { return }
    let kept = min(1, model.plannedWithoutCopies / model.plannedNanoseconds)
    let saved = (1 - kept) * Double(device.busy.kernel)
    found.append(
      TraceFinding(
        .HR211, .high,
        seen: [
          "\(Figure(model.redundantShare, .share, .estimated, source: "the graph: rows that are copies of other rows")) of the model's FLOPs compute copies of rows that it broadcast itself."
        ],
        fix: "headroom export \(CommandWord.quoted(model.name)) --rewrite sink-broadcast -o FILE.onnx", effect: .throughput,
        gain: bound(without: saved, floor: Double(device.busy.device) - saved)))
  }

  /// The same kernel that takes longer at times: a clock that falls, or another process.
  mutating func addSlowing(_ total: Double) {
    let slow = Double(device.kernels.slowTime) > 0.15 * total
    if verdict.named == .HR301, let metrics, let clock = metrics.clockShare(largest: device.facts.gpu.map { $0.modelGigahertz * 1000 }) {
      found.append(
        TraceFinding(
          .HR301, verdict.confidence,
          seen: ["The SM clock was \(Figure(clock, .share, .measured, source: metrics.source)) of the largest while the GPU worked."],
          fix: "nvidia-smi -q -d CLOCK,POWER,PERFORMANCE; raise the power cap (nvidia-smi -pl) or the cooling", effect: .throughput,
          gain: replay(.largerClock(ratio: 1 / max(0.1, clock)))))
    } else if let drift = device.drift, drift.last > 1.08 * drift.first {
      found.append(
        TraceFinding(
          .HR301, .medium,
          seen: [
            "The longest-running kernel slows from \(Figure(drift.first / 1e3, .microseconds, device.kind, source: "trace: median of the first tenth")) to \(Figure(drift.last / 1e3, .microseconds, device.kind, source: "trace: median of the last tenth")) with the same grid."
          ],
          fix: "nvidia-smi -q -d CLOCK,POWER,PERFORMANCE during the run", effect: .gpuTime,
          gain: .notQuantified("clocks are not in the trace: --gpu-metrics gives them")))
    } else if verdict.named == .HR302 || !device.busy.kernelsOverlap && device.busy.kernels >= 200 && slow {
      let isSeen = verdict.named == .HR302
      let gain = replay(.fastMode)
      found.append(
        TraceFinding(
          .HR302, isSeen ? .high : .medium,
          seen: [
            "Runs that took over twice their kernel's usual time cost \(Figure(Double(device.kernels.slowTime) / total, .share, device.kind, source: "trace")) of kernel time, with nothing beside them in this trace."
          ],
          fix: isSeen ? "give the GPU to one process, or share it by MIG or MPS" : "nvidia-smi pmon -c 5: is another process on this GPU?",
          effect: isSeen ? .throughput : .gpuTime,
          gain: isSeen || gain.change == nil
            ? gain : .notQuantified("whether another process runs is not in the trace: --gpu-metrics tells")))
    }
  }
}
