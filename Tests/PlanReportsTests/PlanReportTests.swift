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

  /// The lines of a text that are of one of its tables, whose rules are all dashes.
  private static func tables(_ text: String) -> [[Substring]] {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    return lines.indices.filter { $0 > 0 && lines[$0].contains("-") && lines[$0].allSatisfy { $0 == "-" || $0 == " " } }.map { rule in
      lines[(rule - 1)...].prefix { !$0.isEmpty && !$0.contains(":") }.map { $0 }
    }
  }

  @Test func theAnswerComesBeforeTheTablesItIsMadeOf() throws {
    let report = try PlanReport(
      plans: [try Self.planned(), try Self.planned(gpu: "l40s")], batches: [1, 8, 64], notes: [], type: .fp16, allLayers: false)
    let tables = Self.tables(report.text)
    #expect(tables.count == 7, "a summary, and one per GPU and batch size")
    let summary = try #require(tables.first)
    #expect(summary[0].hasPrefix("GPU") && summary.count == 2 + 6)
    #expect(summary.dropFirst(2).count { $0.hasPrefix("L40S") } == 3)
    #expect(report.text.split(separator: "\n").allSatisfy { $0.count <= 80 }, "\(report.text)")
    // One GPU and one size: nothing to compare.
    let one = try PlanReport(plans: [try Self.planned()], batches: [8], notes: [], type: .fp16, allLayers: false)
    #expect(Self.tables(one.text).count == 1)
  }

  @Test func equalLayersStandOnOneLineAndAreAllCounted() throws {
    let planned = try Self.planned(.encoder(layers: 12))
    let kernels = try planned.plan.at(rows: 8).launches.count
    let two = try Self.planned(.encoder(layers: 2)).plan.at(rows: 8).launches.count
    #expect(kernels > 5 * two / 2)
    func rows(_ planned: PlannedGPU, allLayers: Bool = false) throws -> [Substring] {
      let report = try PlanReport(plans: [planned], batches: [8], notes: [], type: .fp16, allLayers: allLayers)
      return Array(try #require(Self.tables(report.text).first).dropFirst(2))
    }
    let lines = try rows(planned)
    // Twelve layers take no more lines than two.
    #expect(try lines.count == rows(try Self.planned(.encoder(layers: 2))).count)
    let counts = lines.compactMap { line in line.split(separator: " ").dropFirst().first.flatMap { Int($0) } }
    #expect(counts.reduce(0, +) == kernels && counts.contains(36), "\(lines.joined(separator: "\n"))")
    #expect(try rows(planned, allLayers: true).count == kernels)
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
