import ProcessContract
import Calibration
import CheckedNumbers
import DeviceModel
import Diagnosis
import Execution
import FileAccess
import Glibc
import HostModel
import JSONText
import ModelGraph
import Reporting
import Simulation
import Threads
import TimeBase
import Workload

/// `bench --validate`: this machine is measured, the experiment predicted with that, and only then run.
package struct BenchValidation {
  package let experiment: Experiment
  /// Measured before; nil: it is measured now.
  package let host: HostProfile?
  package let binary: String
  package let recordsOSCalls: Bool
  package let progress: @Sendable (String) -> Void

  package struct Outcome {
    package var comparison: SimulationComparison
    package var report: Report
    package var entry: JSONValue
  }

  /// Of an experiment, with `binary` as the servers' and generators' program.
  package init(
    experiment: Experiment, host: HostProfile?, binary: String, recordsOSCalls: Bool, progress: @escaping @Sendable (String) -> Void
  ) {
    self.experiment = experiment
    self.host = host
    self.binary = binary
    self.recordsOSCalls = recordsOSCalls
    self.progress = progress
  }

  package func run() throws -> Outcome {
    let cores = sysconf(Int32(clamping: _SC_NPROCESSORS_ONLN))
    var profile: HostProfile
    if let host {
      profile = host
    } else {
      profile = try HostCalibration(secondsPerPhase: 2) { progress("host: \($0.replacing(":", with: ","))") }.profile(name: "this-host")
      // Another client than the calibration's: this one is the load generator.
      progress("host: the load generator's own cost")
      let cost = try MeasuredSuite.generatorCost(binary: binary, seconds: 3)
      profile = profile.with(.clientPerRequest, cost * 1e6, .measured, "headroom load against a server that does nothing")
        .with(.clientCores, 1, .measured, "headroom load --threads 1")
    }
    let device = try CPUDevice(CPUDeviceOptions(threads: cores))
    var simulation = experiment
    for index in simulation.variants.indices {
      var variant = simulation.variants[index]
      progress("\(variant.name): timing batches")
      let graph = try variant.model.graph().withRowsFirst()
      let maximum = max(1, variant.scheduler.maximumBatchRows)
      // No batch is larger than what all users together ask for.
      var largest = maximum
      if case .closed(let users, _, _) = variant.workload.load {
        largest = min(maximum, Int(saturating: (Double(users) * variant.workload.rows.mean).rounded(.up)))
      }
      let model = try device.load(.graph(graph), LoadOptions(maximumBatchRows: maximum))
      let durations = try BatchTimer.measure(
        model, sizes: BatchDurations.sizes(maximum: max(1, largest)), budget: .milliseconds(5000),
        waiting: { ThreadTimes.all().values.reduce(0) { $0 &+ $1.waiting } }
      ).durations
      variant.processor = ProcessorDevice(
        name: device.description.hardware, durations: durations, threads: cores, sharedCores: cores)
      variant.host = profile
      simulation.variants[index] = variant
    }
    // The prediction is finished before the first request is sent.
    var simulated = ExperimentRunner { progress($0) }
    simulated.explains = false
    let prediction = try simulated.run(simulation)
    var measured = MeasuredRunner(binary: binary) { progress($0) }
    measured.recordsOSCalls = recordsOSCalls
    measured.comparesEqualRows = false
    measured.explains = false
    let real = try measured.run(experiment)
    let comparison = SimulationComparison(predicted: prediction.variants.map(\.compared), measured: real.variants.map(\.compared))
    let name = "\(device.description.hardware), \(cores) threads"
    let report = comparison.report(
      experiment: experiment.name, facts: [("device", name), ("host profile", "\(profile.name): \(profile.about)")],
      notes: real.report.notes)
    return Outcome(
      comparison: comparison, report: report,
      entry: comparison.ledgerEntry(
        version: ProgramVersion.current, epochSeconds: Int64(time(nil)), experiment: experiment.name, host: profile.name, device: name))
  }

  /// Adds a line to a file of such lines.
  package static func append(_ entry: JSONValue, to path: String) throws {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw ExperimentError("\(path): \(String(cString: strerror(errno)))") }
    defer { close(descriptor) }
    // One call: lines of two runs that end together do not mix.
    let bytes = Array((entry.serialized(pretty: false) + "\n").utf8)
    let written = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
    if written != bytes.count { throw ExperimentError("\(path): only \(written) of \(bytes.count) bytes were written") }
  }
}
