import CheckedNumbers
import Trace

/// Calls of a framework's operators whose input shapes a trace tells, by thread: from its operator table (Kineto's input shapes) and from
/// ranges around launches (PyTorch's emit_nvtx writes "aten::mm, op_id = 3, sizes = [[50, 1024], [1024, 1024]]").
struct OperatorCalls<Payload> {
  /// One call, and what its name, shapes and types came to.
  struct Call {
    var start: Int64
    var end: Int64
    var payload: Payload
  }

  private struct Key: Hashable {
    var name: NameID
    var shapes: NameID
    var types: NameID
  }

  /// By thread, in order of start.
  private var calls: [Int64: [Call]] = [:]

  /// Whether no call was found.
  var isEmpty: Bool { calls.isEmpty }

  /// Of a whole trace. `wants` tells by a name alone whether an operator counts; `payload` gets name, shapes and types as the trace has them,
  /// once for each combination, since most operators repeat.
  init(
    _ trace: Trace, wants: (String) -> Bool, payload: (_ name: String, _ shapes: [[Int64]], _ types: String) -> Payload?
  ) {
    var wanted: [NameID: Bool] = [:]
    var known: [Key: Payload?] = [:]
    let table = trace.operators
    for row in 0..<table.count where table.inputShapes[row] != .unknown && table.kind[row] == .operator {
      let name = table.name[row]
      let isWanted = wanted[name] ?? wants(trace.names[name] ?? "")
      wanted[name] = isWanted
      guard isWanted else { continue }
      let key = Key(name: name, shapes: table.inputShapes[row], types: table.inputTypes[row])
      let found: Payload?
      if let before = known[key] {
        found = before
      } else {
        found = payload(trace.names[name] ?? "", OperatorShapes.parse(trace.names[key.shapes] ?? "") ?? [], trace.names[key.types] ?? "")
        known[key] = .some(found)
      }
      if let found, table.end[row] >= table.start[row] {
        calls[table.thread[row], default: []].append(Call(start: table.start[row], end: table.end[row], payload: found))
      }
    }
    var texts: [NameID: Payload?] = [:]
    let ranges = trace.ranges
    for row in 0..<ranges.count where ranges.end[row] != Trace.unknown && ranges.end[row] >= ranges.start[row] {
      let text = ranges.text[row]
      let found: Payload?
      if let before = texts[text] {
        found = before
      } else {
        found = trace.names[text].flatMap { Self.ofRange($0, wants: wants, payload: payload) }
        texts[text] = .some(found)
      }
      if let found { calls[ranges.thread[row], default: []].append(Call(start: ranges.start[row], end: ranges.end[row], payload: found)) }
    }
    for thread in calls.keys { calls[thread]?.sort { ($0.start, $1.end) < ($1.start, $0.end) } }
  }

  /// "aten::addmm, seq = 12, op_id = 3, sizes = [[1024], [50, 1024], [1024, 1024]]".
  private static func ofRange(
    _ text: String, wants: (String) -> Bool, payload: (String, [[Int64]], String) -> Payload?
  ) -> Payload? {
    guard text.utf8.count < 4096, let comma = text.firstIndex(of: ","), let place = text.firstRange(of: "sizes = ") else { return nil }
    let name = String(text[..<comma])
    guard wants(name) else { return nil }
    let rest = text[place.upperBound...]
    guard let end = rest.lastIndex(of: "]"), let shapes = OperatorShapes.parse(String(rest[...end])) else { return nil }
    return payload(name, shapes, "")
  }

  /// The call of a thread that began last before a moment and holds it: calls nest, so few must be looked at.
  func innermost(thread: Int64, at time: Int64) -> Call? {
    guard let list = calls[thread] else { return nil }
    var (low, high) = (0, list.count)
    while low < high {
      let middle = (low + high) / 2
      if list[middle].start <= time { low = middle + 1 } else { high = middle }
    }
    var index = low - 1
    while index >= max(0, low - 8) {
      if list[index].end >= time { return list[index] }
      index -= 1
    }
    return nil
  }

  /// The call that launched a piece of device work; nil where the trace does not join them. `key` tells calls apart.
  func launching(_ event: DeviceEvent, _ trace: Trace, _ host: HostActivity) -> (call: Call, key: Int64)? {
    guard let join = IdleTime.join(event, trace), let row = host.launches.apiCall(process: join.process, correlation: join.correlation),
      let call = innermost(thread: trace.apiCalls.thread[row], at: trace.apiCalls.start[row])
    else { return nil }
    return (call, trace.apiCalls.thread[row] &* 1_000_003 &+ call.start)
  }
}
