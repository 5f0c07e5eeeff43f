import CheckedNumbers
import Execution
import FileAccess
import JSONText
import Reporting

/// A reading of a GPU's counters, printed in 80 columns or as JSON.
package enum TopLines {
  package static func lines(_ gpu: GPUReading, driver: String) -> [String] {
    var lines = ["GPU \(gpu.index)  \(gpu.name)  driver \(driver)"]
    lines.append("  " + [cell(gpu.answers, .gpuBusy), cell(gpu.answers, .memoryBusy)].compactMap { $0 }.joined(separator: "   "))
    if lines.last?.allSatisfy({ $0 == " " }) == true { lines.removeLast() }
    lines += counterLines(gpu.answers, indent: "  ")
    var state: [String] = []
    if let clock = gpu.answers[.smClock]?.value {
      state.append("SM clock \(whole(clock))" + (gpu.answers[.smClockMaximum]?.value.map { " of \(whole($0))" } ?? "") + " MHz")
    }
    if let power = gpu.answers[.power]?.value {
      state.append("power \(whole(power))" + (gpu.answers[.powerLimit]?.value.map { " of \(whole($0))" } ?? "") + " W")
    }
    if let used = gpu.answers[.memoryUsed]?.value, let total = gpu.answers[.memoryTotal]?.value {
      state.append("memory \(gibibytes(used)) of \(gibibytes(total)) GiB")
    }
    if !state.isEmpty { lines.append("  " + state.joined(separator: "   ")) }
    if let limits = gpu.clockLimits, !limits.isEmpty { lines.append("  clocks limited by: \(limits.joined(separator: ", "))") }
    for instance in gpu.instances {
      let memory = instance.answers[.memoryUsed]?.value.flatMap { used in
        instance.answers[.memoryTotal]?.value.map { "   memory \(gibibytes(used)) of \(gibibytes($0)) GiB" }
      }
      lines.append("  GPU instance \(instance.identifier)  \(instance.name)\(memory ?? "")")
      lines += counterLines(instance.answers, indent: "    ")
      for (reason, names) in refusals(instance.answers) { lines += wrapped("not read: \(names.joined(separator: ", ")): \(reason)") }
    }
    for process in gpu.processes {
      let parts = [
        process.gpuInstance.map { "GPU instance \($0)" }, process.busyPercent.map { "busy \(whole($0)) %" },
        process.memoryBytes.map { "memory \(gibibytes(Double($0))) GiB" },
      ].compactMap { $0 }
      lines.append("  process \(process.process) \(name(process.process) ?? "")  \(parts.joined(separator: "   "))")
    }
    for (reason, names) in refusals(gpu.answers) { lines += wrapped("not read: \(names.joined(separator: ", ")): \(reason)") }
    if let reason = gpu.processesRefused { lines += wrapped("not read: processes: \(reason)") }
    return lines
  }

  /// One entry per reason: quantities that one interface refuses share it.
  private static func refusals(_ answers: [GPUReading.Quantity: GPUReading.Answer]) -> [(reason: String, names: [String])] {
    var refused: [(reason: String, names: [String])] = []
    for quantity in GPUReading.Quantity.allCases {
      guard case .refused(let reason)? = answers[quantity] else { continue }
      if let known = refused.firstIndex(where: { $0.reason == reason }) {
        refused[known].names.append(quantity.rawValue)
      } else {
        refused.append((reason, [quantity.rawValue]))
      }
    }
    return refused
  }

  private static func counterLines(_ answers: [GPUReading.Quantity: GPUReading.Answer], indent: String) -> [String] {
    let counters: [GPUReading.Quantity] = [.graphicsActive, .smActive, .smOccupancy, .tensorActive, .dramActive]
    let answered = counters.compactMap { cell(answers, $0) }
    return stride(from: 0, to: answered.count, by: 2).map { start in
      indent + answered[start..<min(start + 2, answered.count)].joined(separator: "   ")
    }
  }

  private static func cell(_ answers: [GPUReading.Quantity: GPUReading.Answer], _ quantity: GPUReading.Quantity) -> String? {
    guard case .value(let value, let source)? = answers[quantity] else { return nil }
    return "\(quantity.rawValue) \(NumberText.fixed(value, decimals: source == "GPM" ? 1 : 0)) % (\(source))"
  }

  private static func whole(_ value: Double) -> String { NumberText.fixed(value, decimals: 0) }
  private static func gibibytes(_ bytes: Double) -> String { NumberText.fixed(bytes / 1_073_741_824, decimals: 1) }

  private static func name(_ process: Int64) -> String? {
    (try? Files.readText("/proc/\(process)/comm", limit: 64)).map { String($0.prefix { $0 != "\n" }) }
  }

  private static func wrapped(_ text: String) -> [String] {
    var lines: [String] = []
    var line = " "
    for word in text.split(separator: " ") {
      if line.count + word.count + 1 > 79 {
        lines.append(line)
        line = "   "
      }
      line += " " + word
    }
    return lines + [line]
  }

  private static func json(_ answers: [GPUReading.Quantity: GPUReading.Answer]) -> JSONValue {
    .array(
      GPUReading.Quantity.allCases.compactMap { quantity -> JSONValue? in
        guard let answer = answers[quantity] else { return nil }
        var (value, source, refusal): (JSONValue, JSONValue, JSONValue) = (.null, .null, .null)
        switch answer {
        case .value(let number, let from): (value, source) = (JSONValue(number), .string(from))
        case .refused(let reason): refusal = .string(reason)
        }
        return ["name": .string(quantity.rawValue), "unit": .string(quantity.unit), "value": value, "source": source, "refused": refusal]
      })
  }

  package static func json(_ gpu: GPUReading) -> JSONValue {
    [
      "index": JSONValue(gpu.index), "name": .string(gpu.name), "uuid": .string(gpu.uuid), "counters": json(gpu.answers),
      "gpuInstances": .array(
        gpu.instances.map {
          [
            "identifier": JSONValue($0.identifier), "name": .string($0.name), "uuids": .array($0.uuids.map { .string($0) }),
            "counters": json($0.answers),
          ]
        }),
      "clockLimits": gpu.clockLimits.map { .array($0.map { .string($0) }) } ?? .null,
      "processes": .array(
        gpu.processes.map {
          [
            "process": JSONValue($0.process), "name": name($0.process).map { .string($0) } ?? .null,
            "memoryBytes": $0.memoryBytes.map { JSONValue($0) } ?? .null, "busyPercent": $0.busyPercent.map { JSONValue($0) } ?? .null,
            "gpuInstance": $0.gpuInstance.map { JSONValue($0) } ?? .null,
          ]
        }),
      "processesRefused": gpu.processesRefused.map { .string($0) } ?? .null,
    ]
  }
}
