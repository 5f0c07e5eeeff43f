import FileAccess
import GPUModel
import Glibc
import JSONText
import ModelGraph
import ONNXFormat
import PlanReports
import Planning
import ProcessContract
import Testing

/// Text, JSON and CSV of a plan say the same; lists and sweeps refuse what they cannot mean, by name.
@Suite struct PlanReportTests {
  static func model(_ name: String = "h200") throws -> KernelModel {
    let gpu = try GPUCatalogue().find(name).gpu
    return KernelModel(gpu: gpu, calibration: KernelCalibrations.calibration(for: gpu))
  }

  static func planned(_ head: BuiltInHead = .linear(layers: 3), gpu: String = "h200") throws -> PlannedGPU {
    PlannedGPU(plan: try PlanBuilder(model: try model(gpu), type: .fp16).plan(try head.graph()), statedChoice: nil)
  }

  @Test func theJSONHoldsThePlansOwnTimes() throws {
    let planned = try Self.planned()
    let report = try PlanReport(plans: [planned], batches: [1, 256], notes: ["a note"], type: .fp16, allLayers: true)
    let batches = try #require(report.json["plans"]?.arrayValue?.first?["batches"]?.arrayValue)
    for (index, rows) in [1, 256].enumerated() {
      let batch = try planned.plan.at(rows: rows)
      let kernels = try #require(batches[index]["launches"]?.arrayValue)
      #expect(kernels.count == batch.launches.count)
      let sum = kernels.compactMap { $0["predictedMicroseconds"]?.doubleValue }.reduce(0, +)
      #expect(abs(sum * 1e3 - batch.predictedNanoseconds) <= 1e-6 * batch.predictedNanoseconds)
    }
    #expect(report.text.contains("note: a note"))
  }

  @Test func aSweepHasAtMost512SizesAndBothEnds() throws {
    let planned = try Self.planned(.linear(layers: 1))
    let all = try Sweep(text: "1:100", plans: [planned])
    #expect(all.sizes == Array(1...100))
    let wide = try Sweep(text: "1:100000", plans: [planned])
    #expect(wide.sizes.count <= 512 && wide.sizes.first == 1)
    for text in ["", "1", "0:5", "5:1", "1:2:3", "a:b", "1:2000000", "-1:4"] {
      #expect(throws: UsageError.self) { try Sweep(text: text, plans: [planned]) }
    }
  }

  @Test func aListOfGEMMsNamesTheLineThatIsWrong() throws {
    try Self.withTemporary("gemms.csv", "batch,m,n,k,dtype\n1,16,32,64,fp16\n1,x,32,64,fp16\n") { file in
      do {
        _ = try GEMMList(file: file, chosen: [], json: false)
        Issue.record("a size that is not a number was taken")
      } catch let error as UsageError {
        #expect(error.description.hasPrefix(file) && error.description.contains("3"), "\(error)")
      }
    }
  }

  @Test func coverageCountsAFolderAndRefusesOneWithoutModels() throws {
    let folder = Self.data + "/onnx"
    let list = try CoverageList(
      paths: [folder], options: ONNXReader.Options(), model: try Self.model(), type: .fp16, rows: 1)
    #expect(list.entries.count == (try Files.entries(of: folder)).count { $0.hasSuffix(".onnx") })
    #expect(list.entries.allSatisfy { $0.outcome == .planned }, "\(list.text)")
    #expect(list.json["counts"]?["planned"]?.doubleValue == Double(list.entries.count))
    try Self.withTemporary("readme.txt", "nothing here") { file in
      #expect(throws: UsageError.self) {
        try CoverageList(
          paths: [String(file.dropLast("/readme.txt".count))], options: ONNXReader.Options(), model: try Self.model(), type: .fp16, rows: 1)
      }
    }
  }

  static let data = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(2).joined(separator: "/") + "/Data"

  /// A file in a folder of its own, while `body` runs.
  static func withTemporary(_ name: String, _ text: String, _ body: (String) throws -> Void) throws {
    let root = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    var template = Array((root + "/headroom-plan-reports-XXXXXX").utf8CString)
    let folder = String(cString: try #require(mkdtemp(&template)))
    let path = folder + "/" + name
    defer {
      unlink(path)
      rmdir(folder)
    }
    try Files.write(path, text)
    try body(path)
  }
}
