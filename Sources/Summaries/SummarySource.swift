import CheckedNumbers
import Trace

/// Statistics of a trace's tables, group by group.
struct SummarySource {
  let trace: Trace
  let filter: SummaryFilter
  let kernelName: SummaryRequest.KernelName

  // MARK: Host side

  func apiCalls() -> [(Statistics, String)] {
    let calls = trace.apiCalls
    return byName(calls.count, calls.name, { Self.withoutVersion($0) }) { row in
      filter.contains(calls.start[row]) && filter.contains(thread: calls.thread[row])
    } value: {
      calls.end[$0].subtractingSaturated(calls.start[$0])
    }
  }

  func osCalls() -> [(Statistics, String)] {
    let calls = trace.osCalls
    return byName(calls.count, calls.name, { $0 }) { row in
      filter.contains(calls.start[row]) && filter.contains(thread: calls.thread[row])
    } value: {
      calls.end[$0].subtractingSaturated(calls.start[$0])
    }
  }

  func ranges(_ style: Int32) -> [(Statistics, String)] {
    let ranges = trace.ranges
    return byName(ranges.count, ranges.text, { $0 }) { row in
      ranges.type[row] == style && ranges.end[row] != Trace.unknown && filter.contains(ranges.start[row])
        && filter.contains(thread: ranges.thread[row])
    } value: {
      ranges.end[$0].subtractingSaturated(ranges.start[$0])
    }
  }

  func operators() -> [(Statistics, String)] {
    let operators = trace.operators
    return byName(operators.count, operators.name, { $0 }) { row in
      operators.kind[row] == .operator && filter.contains(operators.start[row]) && filter.contains(thread: operators.thread[row])
    } value: {
      operators.end[$0].subtractingSaturated(operators.start[$0])
    }
  }

  func overheads() -> [(Statistics, [String])] {
    let overheads = trace.overheads
    var numbers = Numbering<[String]>()
    let groups = overheads.indices.map { row -> Int in
      guard filter.contains(overheads.start[row]), filter.contains(thread: overheads.thread[row]) else { return -1 }
      return numbers.number([overheads.isProfilers[row] ? "profiler" : "driver", trace.names[overheads.name[row]] ?? "unknown"])
    }
    var grouped = Groups(count: overheads.count, groups: numbers.keys.count, key: { groups[$0] }) {
      overheads.end[$0].subtractingSaturated(overheads.start[$0])
    }
    return grouped.statistics().map { ($0.statistics, numbers.keys[$0.group]) }
  }

  /// Groups rows by the printed form of their names: two ids may print the same.
  private func byName(
    _ count: Int, _ ids: [NameID], _ printed: (String) -> String, isIn: (Int) -> Bool, value: (Int) -> Int64
  ) -> [(Statistics, String)] {
    var numbers = Numbering<String>()
    var groups = [Int](repeating: -1, count: trace.names.count)
    var unknown = -1
    func group(_ row: Int) -> Int {
      let id = Int(ids[row].rawValue)
      if !groups.indices.contains(id) {
        if unknown < 0 { unknown = numbers.number("unknown") }
        return unknown
      }
      if groups[id] < 0 { groups[id] = numbers.number(printed(trace.names[ids[row]] ?? "unknown")) }
      return groups[id]
    }
    for row in 0..<count where isIn(row) { _ = group(row) }
    var grouped = Groups(count: count, groups: numbers.keys.count, key: { isIn($0) ? group($0) : -1 }, value: value)
    return grouped.statistics().map { ($0.statistics, numbers.keys[$0.group]) }
  }

  /// `cudaMalloc_v3020` prints as `cudaMalloc`: a suffix of exactly `_v` and four digits goes; five digits stay.
  static func withoutVersion(_ name: String) -> String {
    let bytes = Array(name.utf8)
    guard bytes.count > 6, bytes[bytes.count - 6] == UInt8(ascii: "_"), bytes[bytes.count - 5] == UInt8(ascii: "v"),
      bytes.suffix(4).allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) })
    else { return name }
    return String(name.dropLast(6))
  }

  // MARK: Device side

  func kernels() -> [(Statistics, String)] { kernelGroups { $0 }.map { ($0.0, $0.1) } }

  func kernelGeometries() -> [(Statistics, [String])] {
    func dimensions(_ x: Int32, _ y: Int32, _ z: Int32) -> String {
      [x, y, z].map { $0 == Trace.unknown32 ? "" : String($0) }.joined(separator: " ")
    }
    var numbers = Numbering<[String]>()
    let groups = trace.kernelDescriptions.map { kernel in
      numbers.number([
        dimensions(kernel.gridX, kernel.gridY, kernel.gridZ), dimensions(kernel.blockX, kernel.blockY, kernel.blockZ), name(of: kernel),
      ])
    }
    return kernelStatistics(groups, count: numbers.keys.count).map { ($0.1, numbers.keys[$0.0]) }
  }

  private func kernelGroups(_ printed: (String) -> String) -> [(Statistics, String)] {
    var numbers = Numbering<String>()
    let groups = trace.kernelDescriptions.map { numbers.number(printed(name(of: $0))) }
    return kernelStatistics(groups, count: numbers.keys.count).map { ($0.1, numbers.keys[$0.0]) }
  }

  func name(of kernel: KernelDescription) -> String {
    let id =
      switch kernelName {
      case .demangled: kernel.demangledName
      case .base: kernel.shortName
      case .mangled: kernel.mangledName
      }
    return trace.names[id] ?? trace.names[kernel.demangledName] ?? trace.names[kernel.shortName] ?? "unknown"
  }

  private func kernelStatistics(_ groups: [Int], count: Int) -> [(Int, Statistics)] {
    let kernels = trace.kernels
    let streams = trace.streams.map { filter.contains(stream: $0) }
    var grouped = Groups(
      count: kernels.count, groups: count,
      key: { row in
        streams[Int(kernels.stream[row].rawValue)] && filter.contains(kernels.start[row])
          ? groups[Int(kernels.description[row].rawValue)] : -1
      }, value: { kernels.end[$0].subtractingSaturated(kernels.start[$0]) })
    return grouped.statistics().map { ($0.group, $0.statistics) }
  }

  /// Copies and fills by label: their durations, or their bytes. Rows of unknown size count as 0 bytes.
  func memoryOperations(bytes: Bool) -> [(Statistics, String)] {
    let (copies, memsets) = (trace.copies, trace.memsets)
    let streams = trace.streams.map { filter.contains(stream: $0) }
    var numbers = Numbering<Int32>()
    let copyGroups = copies.indices.map { row in
      streams[Int(copies.stream[row].rawValue)] && filter.contains(copies.start[row]) ? numbers.number(copies.direction[row]) : -1
    }
    let fill = memsets.isEmpty ? -1 : numbers.number(-1)
    let total = copies.count + memsets.count
    var grouped = Groups(
      count: total, groups: numbers.keys.count,
      key: { row in
        if row < copies.count { return copyGroups[row] }
        let row = row - copies.count
        return streams[Int(memsets.stream[row].rawValue)] && filter.contains(memsets.start[row]) ? fill : -1
      },
      value: { row in
        if row < copies.count {
          return bytes ? max(0, copies.bytes[row]) : copies.end[row].subtractingSaturated(copies.start[row])
        }
        let row = row - copies.count
        return bytes ? max(0, memsets.bytes[row]) : memsets.end[row].subtractingSaturated(memsets.start[row])
      })
    return grouped.statistics().map { ($0.statistics, Self.memoryOperation(numbers.keys[$0.group])) }
  }

  /// Labels of nsys 2023 and later; -1 is a fill.
  static func memoryOperation(_ direction: Int32) -> String {
    switch direction {
    case -1: "[CUDA memset]"
    case 1: "[CUDA memcpy Host-to-Device]"
    case 2: "[CUDA memcpy Device-to-Host]"
    case 3: "[CUDA memcpy Host-to-Array]"
    case 4: "[CUDA memcpy Array-to-Host]"
    case 5: "[CUDA memcpy Array-to-Array]"
    case 6: "[CUDA memcpy Array-to-Device]"
    case 7: "[CUDA memcpy Device-to-Array]"
    case 8: "[CUDA memcpy Device-to-Device]"
    case 9: "[CUDA memcpy Host-to-Host]"
    case 10: "[CUDA memcpy Peer-to-Peer]"
    case 11: "[CUDA memcpy Unified Host-to-Device]"
    case 12: "[CUDA memcpy Unified Device-to-Host]"
    case 13: "[CUDA memcpy Unified Device-to-Device]"
    case 0: "[CUDA memcpy Unknown]"
    default: "[CUDA memcpy kind \(direction)]"
    }
  }
}
