import CheckedNumbers
import Execution
import JSONText
import Reporting
import Trace

/// What counters said during a recording.
package struct MetricsResult: Sendable {
  package var samples: [MetricsSampler.Sample]
  /// Why there are none.
  package var failure: String?

  /// Quantities that go into a trace, under the names that Nsight Systems gives the same counters, where it has them.
  private static let names: [(quantity: GPUReading.Quantity, name: String)] = [
    (.graphicsActive, "GR Active [Throughput %]"), (.smActive, "SMs Active [Throughput %]"),
    (.tensorActive, "Tensor Active [Throughput %]"),
    // GPM counts reads and writes together.
    (.dramActive, "DRAM Read and Write Bandwidth [Throughput %]"), (.smClock, "GPC Clock Frequency [MHz]"),
    (.gpuBusy, "NVML utilization.gpu [%]"), (.memoryBusy, "NVML utilization.memory [%]"), (.smOccupancy, "SM Occupancy [%]"),
    (.power, "Power [W]"), (.memoryUsed, "Memory Used [bytes]"),
  ]

  /// Adds the samples to a trace. `ordinals`: CUDA's numbers of GPUs by UUID, also of the GPU instance that a program ran in. Others keep the
  /// driver's index, where CUDA has given that number to none.
  package func add(to trace: inout Trace, ordinals: [String: Int64]) {
    let ids = Self.names.map { trace.names.intern($0.name) }
    let taken = Set(ordinals.values)
    // CUDA writes "GPU-" before every UUID, NVML "MIG-" before an instance's.
    let byUUID = Dictionary(ordinals.map { (Self.plain($0.key), $0.value) }, uniquingKeysWith: min)
    for sample in samples {
      for gpu in sample.gpus {
        let parts = gpu.instances.map { instance in instance.uuids.lazy.compactMap { byUUID[Self.plain($0)] }.first }
        let free = taken.contains(Int64(gpu.index)) ? (taken.max() ?? 0) + 1 + Int64(gpu.index) : Int64(gpu.index)
        // Clock and power of a GPU that MIG has split are also those of the instance that was used.
        let device = byUUID[Self.plain(gpu.uuid)] ?? parts.lazy.compactMap { $0 }.first ?? free
        for (entry, id) in zip(Self.names, ids) {
          guard let value = gpu.answers[entry.quantity]?.value else { continue }
          trace.counters.append(CounterSample(time: sample.time.nanoseconds, counter: id, device: device, value: value))
        }
        for (instance, own) in zip(gpu.instances, parts) {
          if let own { GPUInstances.note(instance.identifier, isDevice: own, in: &trace) }
          for entry in Self.names {
            guard let value = instance.answers[entry.quantity]?.value else { continue }
            let name = trace.names.intern(GPUInstances.name(instance.identifier, entry.name))
            trace.counters.append(
              CounterSample(time: sample.time.nanoseconds, counter: name, device: own ?? device, value: value))
          }
        }
      }
    }
  }

  /// A UUID without what stands before it.
  private static func plain(_ uuid: String) -> Substring {
    uuid.hasPrefix("GPU-") || uuid.hasPrefix("MIG-") ? uuid.dropFirst(4) : uuid[...]
  }

  /// One quantity of a GPU over the recording.
  package struct Mean: Sendable, Hashable {
    package var quantity: GPUReading.Quantity
    package var source: String
    package var mean: Double
    package var count: Int
  }

  /// The GPUs that were read, as the first reading had them.
  package var gpus: [GPUReading] { samples.first?.gpus ?? [] }

  /// What GPU `index` said in each reading, or its GPU instance of that number.
  private func answers(_ index: Int, _ instance: Int?) -> [[GPUReading.Quantity: GPUReading.Answer]] {
    samples.compactMap { sample in
      guard let gpu = sample.gpus.first(where: { $0.index == index }) else { return nil }
      return instance.map { number in gpu.instances.first { $0.identifier == number }?.answers } ?? gpu.answers
    }
  }

  /// GPU instances of GPU `index` that were read at any time, by their numbers.
  package func instances(_ index: Int) -> [(identifier: Int, name: String)] {
    var found: [Int: String] = [:]
    for sample in samples {
      for instance in sample.gpus.first(where: { $0.index == index })?.instances ?? [] { found[instance.identifier] = instance.name }
    }
    return found.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  }

  /// Means of every quantity that GPU `index` answered, or its GPU instance of that number.
  package func means(_ index: Int, instance: Int? = nil) -> [Mean] {
    let all = answers(index, instance)
    return GPUReading.Quantity.allCases.compactMap { quantity in
      var (sum, count, from) = (0.0, 0, "")
      for answers in all {
        guard case .value(let value, let source)? = answers[quantity] else { continue }
        (sum, count, from) = (sum + value, count + 1, source)
      }
      return count == 0 ? nil : Mean(quantity: quantity, source: from, mean: sum / Double(count), count: count)
    }
  }

  private func limits(_ index: Int) -> [(text: String, samples: Int)] {
    var counts: [String: Int] = [:]
    for sample in samples {
      for limit in sample.gpus.first(where: { $0.index == index })?.clockLimits ?? [] { counts[limit, default: 0] += 1 }
    }
    return counts.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  }

  /// What GPU `index` did not answer, or its GPU instance of that number, each with its reason.
  package func refusals(_ index: Int, instance: Int? = nil) -> [String] {
    var seen: [String] = []
    for answers in answers(index, instance) {
      for quantity in GPUReading.Quantity.allCases {
        guard case .refused(let reason)? = answers[quantity] else { continue }
        let text = "\(quantity.rawValue): \(reason)"
        if !seen.contains(text) { seen.append(text) }
      }
    }
    return seen
  }

  package var lines: [String] {
    if let failure { return ["", "counters: \(failure)", ""] }
    if samples.isEmpty { return ["", "counters: the recording was shorter than an interval", ""] }
    var lines = ["", "counters, means of \(samples.count) readings", ""]
    for gpu in gpus {
      lines.append("  GPU \(gpu.index)  \(gpu.name)")
      for mean in means(gpu.index) where mean.quantity.unit != "bytes" {
        lines.append("    \(mean.quantity.rawValue) \(NumberText.fixed(mean.mean, decimals: 1)) \(mean.quantity.unit) (\(mean.source))")
      }
      for limit in limits(gpu.index) { lines.append("    clocks limited by \(limit.text) in \(limit.samples) readings") }
      for refusal in refusals(gpu.index) { lines.append("    not read: \(refusal)") }
      for instance in instances(gpu.index) {
        lines.append("    GPU instance \(instance.identifier)  \(instance.name)")
        for mean in means(gpu.index, instance: instance.identifier) where mean.quantity.unit != "bytes" {
          lines.append("      \(mean.quantity.rawValue) \(NumberText.fixed(mean.mean, decimals: 1)) \(mean.quantity.unit) (\(mean.source))")
        }
        for refusal in refusals(gpu.index, instance: instance.identifier) { lines.append("      not read: \(refusal)") }
      }
    }
    return lines + [""]
  }

  package var json: JSONValue {
    [
      "readings": JSONValue(samples.count), "failure": failure.map { .string($0) } ?? .null,
      "gpus": .array(
        gpus.map { gpu in
          [
            "index": JSONValue(gpu.index), "name": .string(gpu.name), "uuid": .string(gpu.uuid),
            "means": Self.json(means(gpu.index)),
            "clockLimits": .array(limits(gpu.index).map { ["reason": .string($0.text), "readings": JSONValue($0.samples)] }),
            "refused": .array(refusals(gpu.index).map { .string($0) }),
            "gpuInstances": .array(
              instances(gpu.index).map { instance in
                [
                  "identifier": JSONValue(instance.identifier), "name": .string(instance.name),
                  "means": Self.json(means(gpu.index, instance: instance.identifier)),
                  "refused": .array(refusals(gpu.index, instance: instance.identifier).map { .string($0) }),
                ]
              }),
          ]
        }),
    ]
  }

  private static func json(_ means: [Mean]) -> JSONValue {
    .array(
      means.map {
        [
          "name": .string($0.quantity.rawValue), "unit": .string($0.quantity.unit), "source": .string($0.source),
          "mean": JSONValue($0.mean), "readings": JSONValue($0.count),
        ]
      })
  }
}
