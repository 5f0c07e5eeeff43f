import Testing

@testable import LoadGenerator

@Suite struct RunQueueTests {
  @Test(arguments: [
    ("20180403 3150001 42\n", 3_150_001), ("0 0 0\n", 0), ("", nil), ("12", nil), ("12 34", nil), ("12 x 3\n", nil), ("1  3\n", nil),
  ] as [(String, Int64?)]) func theSecondNumberIsTheWait(text: String, wait: Int64?) {
    #expect(Array(text.utf8).withUnsafeBytes { RunQueue.waitedNanoseconds(in: $0) } == wait)
  }

  @Test func thisThreadsWaitNeverShrinks() {
    let queue = RunQueue()
    defer { queue.close() }
    guard let first = queue.waitedNanoseconds else { return }
    #expect(first >= 0)
    #expect((queue.waitedNanoseconds ?? -1) >= first)
  }
}
