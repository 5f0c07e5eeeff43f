import TimeBase

/// A plan as a thread's connections read it: one reference in place of its arrays.
final class SharedPlan: Sendable {
  let arena: [UInt8]
  let requests: [RequestPlan.Prepared]
  let expectations: [AnswerExpectation?]
  /// Whether any answer is looked at.
  let hasExpectations: Bool
  private let plan: RequestPlan

  init(_ plan: RequestPlan) {
    self.plan = plan
    arena = plan.arena
    requests = plan.requests
    expectations = plan.expectations
    hasExpectations = plan.expectations.contains { $0 != nil }
  }

  /// Which request comes next.
  func draw(_ random: inout SplitMix64) -> Int { plan.draw(&random) }

  /// A request's bytes from one of them on.
  @inline(__always)
  func withBytes<Result>(of index: Int, from first: Int, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    let prepared = requests[index]
    return arena.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[prepared.start + first..<prepared.start + prepared.count])) }
  }

  /// A gRPC call's header block and message; of plain HTTP the first is empty.
  func withBytes<Result>(of index: Int, _ body: (_ headers: UnsafeRawBufferPointer, _ data: UnsafeRawBufferPointer) -> Result) -> Result {
    withBytes(of: index, from: 0) { bytes in
      let count = requests[index].headerCount
      return body(UnsafeRawBufferPointer(rebasing: bytes[..<count]), UnsafeRawBufferPointer(rebasing: bytes[count...]))
    }
  }
}
