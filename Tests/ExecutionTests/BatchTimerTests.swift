import Execution
import ModelGraph
import Testing
import TimeBase

@Suite struct BatchTimerTests {
  @Test func everySizeIsTimed() throws {
    let device = try CPUDevice(CPUDeviceOptions(threads: 1, engine: .own))
    let graph = try BuiltInHead.linear(layers: 2, hidden: 64).graph(seed: 1)
    let model = try device.load(.graph(graph), LoadOptions(maximumBatchRows: 64))
    var shares: [Double] = []
    let durations = try BatchTimer.measure(model, sizes: [1, 8, 64], budget: .zero) { shares.append($0) }
    #expect(durations.points.map(\.rows) == [1, 8, 64] && durations.points.allSatisfy { $0.batches == 5 && $0.nanoseconds > 0 })
    #expect(shares.last == 1 && shares == shares.sorted())
    // 64 times the work is more work, however noisy the machine.
    #expect(durations.nanoseconds(rows: 64) > durations.nanoseconds(rows: 1))
  }

  @Test func nothingToTimeIsAnError() throws {
    let device = try CPUDevice(CPUDeviceOptions(threads: 1, engine: .own))
    let model = try device.load(.graph(try BuiltInHead.linear(layers: 1, hidden: 16).graph(seed: 1)), LoadOptions(maximumBatchRows: 4))
    #expect(throws: DeviceError.self) { try BatchTimer.measure(model, sizes: [], budget: .zero) }
  }
}
