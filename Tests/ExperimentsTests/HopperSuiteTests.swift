import JSONText
import Testing

@testable import Experiments

/// Known programs on Hopper GPUs, predicted beside what was read.
@Suite struct HopperSuiteTests {
  static let suite = Result { try HopperSuite(steps: 20) }

  /// A change of the model or the simulator that loses a figure shows here, with its name.
  @Test func figuresStayWithinTheirLimits() throws {
    let suite = try Self.suite.get()
    let (hits, claims) = suite.score
    #expect(hits >= 38 && claims >= 55, "\(hits) of \(claims)")
    func isWithin(_ name: String, _ figure: String) throws -> Bool? {
      try #require(suite.entries.first { $0.situation.name == name }?.comparisons.first { $0.figure == figure }).isHit
    }
    for name in ["linear, needless sync", "pinned copy", "linear, graph", "one block"] {
      #expect(try isWithin(name, "steps/s") == true, "\(name)")
    }
    for name in ["linear, paced", "linear, closed loop", "stacked, closed loop", "seqlen, paced", "one block"] {
      for figure in ["kernel-busy", "graphics", "SM", "tensor"] { #expect(try isWithin(name, figure) == true, "\(name): \(figure)") }
    }
    #expect(try isWithin("linear, paced", "steps/s") == nil, "a timer's rate is no prediction")
  }

  /// One block all the time: nvidia-smi's figure is temporal, SM active is not.
  @Test func temporalAndSpatialUtilizationAreApart() throws {
    let entry = try #require(try Self.suite.get().entries.first { $0.situation.name == "one block" })
    #expect(entry.counters.utilizationGPU > 0.75 && entry.counters.smActive < 0.01)
    #expect(entry.counters.utilizationRange.contains(entry.counters.graphicsActive))
  }

  /// The range of polled values that is printed holds nearly all that were polled.
  @Test func polledValuesLieInTheRange() throws {
    let suite = try Self.suite.get()
    let near = suite.entries.filter {
      $0.situation.reading.polled != nil && ($0.comparisons.first { $0.figure == "graphics" }?.isHit ?? false)
    }
    let inside = near.count { entry in
      guard let polled = entry.situation.reading.polled else { return false }
      let range = entry.counters.utilizationRange
      return polled.lowerBound >= range.lowerBound * 100 - 2 && polled.upperBound <= range.upperBound * 100 + 4
    }
    #expect(near.count >= 7 && inside >= near.count - 1, "\(inside) of \(near.count)")
  }

  @Test func powerLimitsALargeProductAlone() throws {
    let limited = try Self.suite.get().entries.filter { $0.powerLimitedMegahertz != nil }
    #expect(limited.map(\.situation.name) == ["large product"])
    #expect((1300...1700).contains(try #require(limited.first?.powerLimitedMegahertz)))
  }

  @Test func tableAndDocumentHoldEverySituation() throws {
    let suite = try Self.suite.get()
    #expect(Set(suite.entries.map(\.situation.name)).count == suite.entries.count)
    #expect(suite.lines(width: 120).allSatisfy { $0.count <= 120 } && suite.markdown.count == suite.entries.count + 2)
    let json = try JSONValue.parse(suite.json(version: "1").serialized())
    #expect(json["schema"]?.stringValue == "headroom.bench-hopper/1" && json["situations"]?.arrayValue?.count == suite.entries.count)
  }
}
