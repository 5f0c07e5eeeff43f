import FileAccess
import Testing
import Trace
import TraceFormats

/// What a fuzzing campaign starts from: every file reads, or says why not, and the seeds reach what they were written for.
@Suite struct SeedTests {
  static let folder: String = {
    var parts = #filePath.split(separator: "/")
    parts.removeLast(3)
    return "/" + parts.joined(separator: "/") + "/Fuzz/seeds"
  }()

  @Test(arguments: ["kineto", "nsight", "triton"]) func everySeedEndsInATraceOrAnError(kind: String) throws {
    let names = try Files.entries(of: "\(Self.folder)/\(kind)")
    #expect(!names.isEmpty)
    for name in names {
      do { _ = try TraceImporters.read("\(Self.folder)/\(kind)/\(name)") } catch { #expect(!"\(error)".isEmpty) }
    }
  }

  @Test func threadSchedulingAndWholeGraphsAreAmongThem() throws {
    let trace = try TraceImporters.read("\(Self.folder)/nsight/schedule.sqlite").trace
    #expect(trace.kernels.count == 6 && trace.graphExecutions.count == 1)
    #expect(trace.offCPU.count > 0)
  }

  @Test(arguments: ["merged.json", "merged-labels.json"]) func mergedRecordingsAreAmongThem(name: String) throws {
    let trace = try TraceImporters.read("\(Self.folder)/kineto/\(name)").trace
    #expect(Set(trace.streams.map(\.process)).count == 2, "\(trace.streams)")
  }
}
