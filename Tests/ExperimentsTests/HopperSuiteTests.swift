import FileAccess
import HostModel
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
    #expect(hits >= 55 && claims >= 57, "\(hits) of \(claims)")
    func isWithin(_ name: String, _ figure: String) throws -> Bool? {
      try #require(suite.entries.first { $0.situation.name == name }?.comparisons.first { $0.figure == figure }).isHit
    }
    for name in ["linear, needless sync", "pinned copy", "linear, graph", "two streams, graphs", "one block", "BERT base"] {
      #expect(try isWithin(name, "steps/s") == true, "\(name)")
    }
    for name in [
      "linear, paced", "linear, closed loop", "stacked, closed loop", "seqlen, paced", "one block", "large product", "two streams, graphs",
      "MiniLM", "BERT base", "seqlen, compiled",
    ] {
      for figure in ["GPU busy time", "graphics", "SM", "tensor"] { #expect(try isWithin(name, figure) == true, "\(name): \(figure)") }
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
    #expect((1300...1460).contains(try #require(limited.first?.powerLimitedMegahertz)))
  }

  /// What a model library does beside its operators is fitted to one model and predicts another; what it does once per call, once.
  @Test func hostTimeBesideKernelsIsAnEntryOfTheProfile() throws {
    let host = HostProfile.h200PyTorch
    #expect(host[.forwardPass].source == .fitted && host[.compiledCall].source == .measured)
    #expect(HostProfile.h200Native[.forwardPass].value == 0 && HostCost.compiledCall.usual == 0)
    let suite = try Self.suite.get()
    #expect(suite.entries.first { $0.situation.name == "MiniLM" }?.situation.isInput == true)
    #expect(suite.entries.first { $0.situation.name == "BERT base" }?.situation.isInput == false)
  }

  @Test func tableAndDocumentHoldEverySituation() throws {
    let suite = try Self.suite.get()
    #expect(Set(suite.entries.map(\.situation.name)).count == suite.entries.count)
    #expect(suite.lines(width: 80).allSatisfy { $0.count <= 80 } && suite.markdown.count == suite.entries.count + 2)
    let json = try JSONValue.parse(suite.json(version: "1").serialized())
    #expect(json["schema"]?.stringValue == "headroom.bench-hopper/2" && json["situations"]?.arrayValue?.count == suite.entries.count)
  }
}

/// The three heads on an H200, kernel by kernel.
@Suite struct HeadsOnH200Tests {
  static let path = "../shared/gpu/heads-h200-torch.json"

  @Test func plansMeetTheMeasuredKernels() throws {
    let comparisons = try HeadsOnH200.compare()
    #expect(comparisons.count == 9 && comparisons.allSatisfy { $0.kernels.allSatisfy { $0.predicted.isFinite } })
    let near = comparisons.count { ($0.kernelMicroseconds / $0.head.kernelMicroseconds - 1).magnitude < 0.25 }
    #expect(near >= 8, "\(comparisons.map { $0.kernelMicroseconds / $0.head.kernelMicroseconds })")
    let kernels = comparisons.flatMap(\.kernels)
    let errors = kernels.map { ($0.predicted / $0.kernel.microseconds - 1).magnitude }.sorted()
    #expect(errors[errors.count / 2] < 0.15, "median \(errors[errors.count / 2])")
  }

  /// The figures that are written down are those of the file they come from, where it is at hand.
  @Test(.enabled(if: Files.kind(of: HeadsOnH200Tests.path) == .file)) func factsAreTheFiles() throws {
    let rows = try #require(try JSONValue.parse(try Files.readText(Self.path))["rows"]?.arrayValue)
    for head in HeadsOnH200.measured {
      let row = try #require(
        rows.first {
          $0["head"]?.stringValue == head.head.name && $0["batch"]?.doubleValue == Double(head.rows)
            && $0["dtype"]?.stringValue == "float16"
        })
      let (kernels, graph) = (try #require(row["eager_kernel_us"]?.doubleValue), try #require(row["graph_b2b_us"]?.doubleValue))
      #expect((kernels - head.kernelMicroseconds).magnitude < 0.1 && (graph - head.graphMicroseconds).magnitude < 0.1)
      let table = try #require(row["table"]?.arrayValue).compactMap { $0["us"]?.doubleValue }
      for kernel in head.kernels where kernel.count > 1 {
        #expect(table.contains { ($0 - kernel.microseconds).magnitude < 0.01 }, "\(head.head.name) \(head.rows) \(kernel.label)")
      }
    }
  }
}

/// A Triton on an H200, from a profile that was fitted on one head.
@Suite struct TritonSuiteTests {
  @Test func otherHeadsAreWithinTenPercent() throws {
    let suite = try TritonSuite(seconds: 1)
    let (hits, claims) = suite.score
    // What counters show of the linear head is a tenth off, as its products are (Docs/validation.md); all of seqlen holds.
    #expect(claims == 18 && hits >= 12, "\(hits) of \(claims)")
    let seqlen = suite.entries.filter { $0.run.name.hasPrefix("seqlen") }
    let held = seqlen.flatMap { entry in TritonSuite.figures.compactMap { TritonSuite.isHit($0, entry) } }
    #expect(held == Array(repeating: true, count: 12))
    let saturated = try #require(suite.entries.first { $0.run.name == "linear 3,000 u" })
    #expect(saturated.counters.gpuBusy < 0.12 && suite.verdict.contains("no batch pipelining"))
    // A second instance doubles what the loop limits and adds less where the GPU is busy.
    let gains = suite.secondInstance
    #expect(gains.map(\.head) == ["linear", "stacked", "seqlen"] && gains[0].gain > 0.7 && gains[2].gain < 0.5 && gains[2].gain > 0.1)
    #expect(suite.lines(width: 80).allSatisfy { $0.count <= 80 } && suite.markdown.count == suite.entries.count + 2)
  }
}
