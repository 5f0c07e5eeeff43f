import ModelGraph
import Testing

@testable import Execution

extension OnStandIn {
  /// Single products, timed as `calibrate --device` times them.
  @Suite struct ProductTimerTests {
    @Test(arguments: [DataType.float16, .bfloat16, .float32])
    func aProductHasATimeAndLeavesNothingBehind(type: DataType) throws {
      let standIn = try #require(StandIn())
      let before = standIn.liveCount
      do {
        let timer = try CUDAProductTimer(try standIn.device())
        let small = try timer.time(.init(rows: 2, columns: 16, depth: 24), type)
        #expect(small.shortest > 0 && small.shortest <= small.median && small.median <= small.longest)
        let large = try timer.time(.init(batches: 2, rows: 16, columns: 64, depth: 64), type)
        // 170 times the work.
        #expect(large.median > small.median)
        #expect(standIn.complaints.isEmpty, "\(standIn.complaints)")
      }
      #expect(standIn.liveCount == before, "\(standIn.live)")
    }

    @Test func whatCannotBeMeasuredIsSaid() throws {
      let standIn = try #require(StandIn())
      let timer = try CUDAProductTimer(try standIn.device())
      let empty = #expect(throws: DeviceError.self) { try timer.time(.init(rows: 0, columns: 16, depth: 16), .float16) }
      #expect(empty?.description.contains("sizes are from 1") == true)
      if StandIn.isGPUTested { return }
      standIn.setMemory(1 << 20)
      let large = #expect(throws: DeviceError.self) { try timer.time(.init(rows: 1024, columns: 1024, depth: 1024), .float16) }
      #expect(large?.description.contains("do not fit") == true)
    }
  }
}
