import Diagnosis
import FileAccess
import Foundation
import Glibc
import LoadModel
import ModelGraph
import Reporting
import Scheduling
import Testing
import TimeBase
import Trace
import Workload

@testable import Experiments

/// `bench` from end to end on a GPU that is none: a server in one process, the load generator in another, as the build put them beside the
/// tests.
@Suite struct StandInRunTests {
  /// Where the build put the tests, and with them the programs: the folder of this process's own file.
  private static let buildFolder: String? = {
    guard let program = try? Files.resolved("/proc/self/exe"), program.contains("PackageTests.xctest") else { return nil }
    return (program as NSString).deletingLastPathComponent
  }()

  private static func experiment() throws -> Experiment {
    var experiment = try Experiment.builtIn("case-study", seconds: 2)
    experiment.variants = [experiment.variants[0]]
    experiment.variants[0].model = .builtIn(.linear(layers: 2, hidden: 16))
    experiment.variants[0].scheduler = SchedulerConfiguration(
      maximumBatchRows: 4, batching: DynamicBatchingPolicy(maximumQueueDelay: .microseconds(500)))
    experiment.variants[0].workload = Workload(
      load: .closed(users: 16, spawnRate: 1000, think: .constant(.zero)), rows: .fixed(1), warmUp: .milliseconds(500),
      duration: .milliseconds(1500))
    return experiment
  }

  private static func runner(_ device: String, _ arguments: [String] = []) throws -> MeasuredRunner {
    let folder = try #require(buildFolder, "the tests' own place could not be found")
    var runner = MeasuredRunner(binary: folder + "/headroom")
    runner.serverBinary = folder + "/stand-in-server"
    runner.device = device
    runner.serverArguments = arguments
    runner.recordsOSCalls = false
    runner.comparesEqualRows = false
    return runner
  }

  @Test func aRunOnAGPUSaysWhatAGPUDid() throws {
    let result = try Self.runner("cuda:0").run(try Self.experiment())
    #expect(result.deviceClass == .gpu && result.device == "Stand-in GPU")
    let variant = try #require(result.variants.first)
    let (trace, evidence) = (variant.compared.trace, variant.compared.evidence)
    #expect(variant.compared.run.answered > 100 && variant.compared.run.refused == 0)
    #expect(trace.kernels.count > 0 && trace.copies.count > 0 && trace.apiCalls.count > 0 && trace.synchronizations.count > 0)
    #expect(evidence.deviceClass == .gpu)
    // Two copies per batch, none hidden from it: what a processor's events do not have.
    let uploads = try #require(evidence.copies.uploadsPerBatch)
    #expect((uploads.value - 1).magnitude < 0.2)
    #expect(try #require(evidence.device.gpuBusy).value > 0.02)
    #expect(evidence.launches.launchesPerBatch != nil)
    #expect(variant.fittedRemark?.contains("GPU") == true, "no gain is made up")
    // It speaks of a GPU, and every section says that it was measured.
    let report = result.report
    let text = report.terminalLines(width: 100).joined(separator: "\n")
    #expect(text.contains("GPU kernel summary") || text.contains("D2H + response"))
    #expect(report.sections.allSatisfy { $0.tag == "MEASURED" && $0.id.hasPrefix("gpu-") })
    #expect(result.json(version: "1")["device"]?.stringValue == "Stand-in GPU")
  }

  /// The same server with one slot per instance: the device waits for the host between batches.
  @Test(.enabled(if: getenv("HEADROOM_SANITIZED") == nil, "a sanitizer makes the host several times slower"))
  func depthTwoKeepsTheDeviceBusier() throws {
    func gap(_ depth: Int) throws -> Double {
      let arguments = ["--stand-in-depth", "\(depth)", "--stand-in-kernel-microseconds", "3000"]
      let result = try Self.runner("cuda:0", arguments).run(try Self.experiment())
      let trace = try #require(result.variants.first).compared.trace
      let batches = trace.batches.sorted { $0.computeStart < $1.computeStart }
      let gaps = zip(batches, batches.dropFirst()).map { $1.computeStart - $0.computeEnd }.sorted()
      #expect(gaps.count > 50)
      return Double(gaps[gaps.count / 2]) / 1000
    }
    let (one, two) = (try gap(1), try gap(2))
    #expect(one >= 200, "both copies lie in it: \(one) us")
    #expect(two < one / 4, "\(two) us against \(one) us")
  }

  @Test func aServerThatEndsIsNamedWithItsLastWords() throws {
    var runner = try Self.runner("cuda:0")
    runner.serverBinary = "/bin/false"
    let experiment = try Self.experiment()
    let error = try #require(throws: ExperimentError.self) { try runner.run(experiment) }
    #expect(error.description.contains("linear") && error.description.contains("exit code 1"))
  }
}
