import CheckedNumbers
import Execution
import FileAccess
import JSONText
import Reporting

/// A reading of a GPU's counters, printed in 80 columns or as JSON.
package enum TopLines {
  package static func lines(_ gpu: GPUReading, driver: String) -> [String] {
    var lines = ["GPU \(gpu.index)  \(gpu.name)  driver \(driver)"]
    lines.append("  " + [cell(gpu, .gpuBusy), cell(gpu, .memoryBusy)].compactMap { $0 }.joined(separator: "   "))
    let counters: [GPUReading.Quantity] = [.graphicsActive, .smActive, .smOccupancy, .tensorActive, .dramActive]
    let answered = counters.compactMap { cell(gpu, $0) }
    for start in stride(from: 0, to: answered.count, by: 2) {
      lines.append("  " + answered[start..<min(start + 2, answered.count)].joined(separator: "   "))
    }
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
    for process in gpu.processes {
      let parts = [
        process.busyPercent.map { "busy \(whole($0)) %" }, process.memoryBytes.map { "memory \(gibibytes(Double($0))) GiB" },
      ].compactMap { $0 }
      lines.append("  process \(process.process) \(name(process.process) ?? "")  \(parts.joined(separator: "   "))")
    }
    // One line a reason: quantities that one interface refuses share it.
    var refused: [(reason: String, names: [String])] = []
    for quantity in GPUReading.Quantity.allCases {
      guard case .refused(let reason)? = gpu.answers[quantity] else { continue }
      if let known = refused.firstIndex(where: { $0.reason == reason }) {
        refused[known].names.append(quantity.rawValue)
      } else {
        refused.append((reason, [quantity.rawValue]))
      }
    }
    for entry in refused { lines += wrapped("not read: \(entry.names.joined(separator: ", ")): \(entry.reason)") }
    if let reason = gpu.processesRefused { lines += wrapped("not read: processes: \(reason)") }
    return lines
  }

  private static func cell(_ gpu: GPUReading, _ quantity: GPUReading.Quantity) -> String? {
    guard case .value(let value, let source)? = gpu.answers[quantity] else { return nil }
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

  package static func json(_ gpu: GPUReading) -> JSONValue {
    let counters: [JSONValue] = GPUReading.Quantity.allCases.compactMap { quantity in
      guard let answer = gpu.answers[quantity] else { return nil }
      var (value, source, refusal): (JSONValue, JSONValue, JSONValue) = (.null, .null, .null)
      switch answer {
      case .value(let number, let from): (value, source) = (JSONValue(number), .string(from))
      case .refused(let reason): refusal = .string(reason)
      }
      return ["name": .string(quantity.rawValue), "unit": .string(quantity.unit), "value": value, "source": source, "refused": refusal]
    }
    return [
      "index": JSONValue(gpu.index), "name": .string(gpu.name), "uuid": .string(gpu.uuid), "counters": .array(counters),
      "clockLimits": gpu.clockLimits.map { .array($0.map { .string($0) }) } ?? .null,
      "processes": .array(
        gpu.processes.map {
          [
            "process": JSONValue($0.process), "name": name($0.process).map { .string($0) } ?? .null,
            "memoryBytes": $0.memoryBytes.map { JSONValue($0) } ?? .null, "busyPercent": $0.busyPercent.map { JSONValue($0) } ?? .null,
          ]
        }),
      "processesRefused": gpu.processesRefused.map { .string($0) } ?? .null,
    ]
  }
}
