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
    let durations = try BatchTimer.measure(model, sizes: [1, 8, 64], budget: .zero, progress: { shares.append($0) }).durations
    #expect(durations.points.map(\.rows) == [1, 8, 64] && durations.points.allSatisfy { $0.batches == 5 && $0.nanoseconds > 0 })
    #expect(shares.last == 1 && shares == shares.sorted())
    // 64 times the work is more work, however noisy the machine.
    #expect(durations.nanoseconds(rows: 64) > durations.nanoseconds(rows: 1))
  }

  @Test func disturbedBatchesAreLeftOut() throws {
    let device = try CPUDevice(CPUDeviceOptions(threads: 1, engine: .own))
    let model = try device.load(.graph(try BuiltInHead.linear(layers: 1, hidden: 16).graph(seed: 1)), LoadOptions(maximumBatchRows: 4))
    // Asked before and after each batch: every second batch waits for an hour.
    var asked: Int64 = 0
    let timing = try BatchTimer.measure(
      model, sizes: [4], budget: .milliseconds(200),
      waiting: {
        asked += 1
        return asked / 4 * 3_600_000_000_000
      })
    #expect(timing.disturbed > 0 && timing.durations.points[0].batches >= 5)
    // Where all are disturbed, they are what there is.
    let all = try BatchTimer.measure(
      model, sizes: [4], budget: .zero,
      waiting: {
        asked += 1
        return asked * 3_600_000_000_000
      })
    #expect(all.disturbed == 0 && all.durations.points[0].batches == 5)
  }

  @Test func nothingToTimeIsAnError() throws {
    let device = try CPUDevice(CPUDeviceOptions(threads: 1, engine: .own))
    let model = try device.load(.graph(try BuiltInHead.linear(layers: 1, hidden: 16).graph(seed: 1)), LoadOptions(maximumBatchRows: 4))
    #expect(throws: DeviceError.self) { try BatchTimer.measure(model, sizes: [], budget: .zero) }
  }
}
