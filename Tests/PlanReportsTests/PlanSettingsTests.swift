import FileAccess
import ModelGraph
import ONNXFormat
import PlanReports
import ProcessContract
import Testing

/// Models and GPUs by their names, and what `headroom plan` refuses.
@Suite struct PlanSettingsTests {
  private static func settings(_ change: (inout PlanSettings) -> Void) -> PlanSettings {
    var settings = PlanSettings(models: ["linear"], gpus: GPUSelection(names: "h200"), model: ModelSelection())
    change(&settings)
    return settings
  }

  private static let refused: [(String, @Sendable (inout PlanSettings) -> Void)] = [
    ("--json and --csv", { ($0.isJSON, $0.isCSV) = (true, true) }),
    ("give a model", { $0.models = [] }),
    ("give a model", { $0.gemmFile = "x.csv" }),
    ("one model at a time", { $0.models = ["linear", "seqlen"] }),
    ("--coverage lists files", { ($0.listsCoverage, $0.planFile) = (true, "x.plan") }),
    ("--svg draws a sweep", { $0.sweepFile = "x.svg" }),
  ]

  @Test(arguments: refused.indices) func whatCannotBeTogetherIsNamed(index: Int) throws {
    try Self.settings { _ in }.check()
    let error = #expect(throws: UsageError.self) { try Self.settings(Self.refused[index].1).check() }
    #expect(error?.description.hasPrefix(Self.refused[index].0) == true)
  }

  @Test func aPlanIsPrintedAsAsked() throws {
    func printed(_ change: (inout PlanSettings) -> Void) throws -> String {
      var texts: [String] = []
      try Self.settings(change).run(print: { texts.append($0) }, note: { _ in })
      return texts.joined(separator: "\n")
    }
    #expect(try printed { ($0.batch, $0.isJSON) = ("8", true) }.hasPrefix("{"))
    #expect(try printed { ($0.batch, $0.isCSV) = ("8", true) }.contains(","))
    #expect(throws: UsageError.self) { try printed { $0.rewrites = ["nonsense"] } }
    #expect(throws: UsageError.self) { try printed { $0.gpus = GPUSelection(names: nil) } }
    #expect(throws: UsageError.self) { try printed { ($0.models, $0.fusion) = (["x.plan"], .none) } }
  }

  @Test func batchSizesAreCounts() throws {
    #expect(try Self.settings { $0.batch = "1,8,1048576" }.batchSizes() == [1, 8, 1 << 20])
    #expect(try Self.settings { _ in }.batchSizes() == nil)
    for text in ["", ",", "0", "1,x", "1048577", "-1"] {
      #expect(throws: UsageError.self) { try Self.settings { $0.batch = text }.batchSizes() }
    }
  }

  @Test func sizesThatMeanNothingForAModelAreRefused() throws {
    var sizes = ModelSelection()
    (sizes.layers, sizes.hidden) = (3, 64)
    #expect(try sizes.load("builtin:linear").graph.inputs.count == 1)
    sizes.sequence = 16
    #expect(throws: UsageError.self) { try sizes.load("linear") }
    #expect(throws: Never.self) { try sizes.load("seqlen") }
    sizes.dimensions = ["ids:1=8"]
    #expect(throws: UsageError.self) { try sizes.load("seqlen") }
    for name in ["lienar", "/", "model.onnx"] { #expect(throws: UsageError.self, "\(name)") { try sizes.load(name) } }
  }

  @Test func dynamicSizesAreReadFromTheRight() throws {
    #expect(try ONNXReader.Options.dynamicSizes(["a=b=3", "ids:1=128"]) == ["a=b": 3, "ids:1": 128])
    for text in ["a", "=3", "a=", "a=0", "a=-1", "a=99999999999999999999", "a=1.5"] {
      #expect(throws: UsageError.self) { try ONNXReader.Options.dynamicSizes([text]) }
    }
  }

  @Test func gpusAreFoundOrTheFileIsNamed() throws {
    #expect(try GPUSelection(names: "h200,l40s").choose().map { $0.model.gpu.name }.count == 2)
    for selection in [GPUSelection(names: ""), GPUSelection(names: ","), GPUSelection(names: "no such card")] {
      #expect(throws: UsageError.self) { try selection.choose() }
    }
    #expect(throws: FileError.self) { try GPUSelection(names: "h200", file: "/nowhere.json").choose() }
    #expect(throws: FileError.self) { try GPUSelection(names: "h200", constants: ["/nowhere.json"]).choose() }
  }
}
