import ArgumentParser
import CheckedNumbers
import Console
import Execution
import FileAccess
import JSONText
import ProcessContract
import Reporting
import Threads
import TimeBase

/// `headroom top`: what the GPUs' counters say, each second.
struct TopCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "top", abstract: "Show what this machine's GPUs do: busy, SM, tensor and DRAM active, clocks, power, processes.",
    usage: """
      headroom top [--count N] [--interval SECONDS] [--gpu INDEX] [--json]
      """,
    discussion: """
      Reads NVIDIA's management library (NVML), and on Hopper and later its GPM counters, as an ordinary user; nothing is changed. Each figure \
      names the source that answered; a counter that is refused says why, and what would allow it.

      "GPU busy" (nvidia-smi's GPU-Util) is the share of time in which any kernel ran, however small. "SM active" counts how many SMs had work.

      EXAMPLES
        headroom top
        headroom top --count 1 --json
        headroom top --interval 5 --gpu 0

      EXIT CODES
        0 read, 1 no driver or no such GPU, 64 usage, 130 interrupted.
      """)

  @Option(help: ArgumentHelp("Read so often, then end. (default: until interrupted; 1 with --json)", valueName: "readings"))
  var count: Int?

  @Option(help: ArgumentHelp("Between readings.", valueName: "seconds"))
  var interval = 1.0

  @Option(help: ArgumentHelp("Only this one, by the driver's index.", valueName: "index"))
  var gpu: Int?

  @Flag(help: "Print one JSON object (schema headroom.top/1) in place of lines.")
  var json = false

  @Option(help: ArgumentHelp("Where libnvidia-ml is looked for first: a folder or a file. Also HEADROOM_CUDA_PATH.", valueName: "path"))
  var cudaPath: String?

  func validate() throws {
    if let count, !(1...1_000_000).contains(count) { throw ValidationError("--count \(count): from 1 to 1000000") }
    if !(interval >= 0.1 && interval <= 3600) { throw ValidationError("--interval \(interval): from 0.1 to 3600 seconds") }
  }

  func run() throws {
    var search = CUDASearch.standard
    if let cudaPath { search.explicitPath = cudaPath }
    do throws(DeviceError) {
      let management = try GPUManagement(search)
      var readings: [(time: Instant, gpus: [GPUReading])] = []
      let last = count ?? (json ? 1 : Int.max)
      var number = 0
      var due = MonotonicClock.now
      while number < last {
        // The first one too is of an interval.
        due = due + TimeSpan(clampingSeconds: interval)
        MonotonicClock.sleep(until: due)
        number += 1
        let time = MonotonicClock.now
        let gpus = management.read().filter { gpu == nil || $0.index == gpu }
        if gpus.isEmpty {
          throw DeviceError(.unsupported, gpu.map { "there is no GPU \($0); `nvidia-smi -L` lists them" } ?? "the driver sees no GPU")
        }
        if json {
          readings.append((time, gpus))
        } else {
          if number > 1 { Terminal.print("") }
          Terminal.print(gpus.flatMap { TopLines.lines($0, driver: management.driverVersion) }.joined(separator: "\n"))
        }
      }
      if json { Terminal.print(document(management.driverVersion, readings).serialized(pretty: true)) }
    } catch {
      Terminal.note("headroom top: \(error)")
      throw ExitCode(.failed)
    }
  }

  private func document(_ driver: String, _ readings: [(time: Instant, gpus: [GPUReading])]) -> JSONValue {
    [
      "schema": "headroom.top/1", "headroom": .string(Headroom.version), "mode": "measured", "driverVersion": .string(driver),
      "intervalSeconds": JSONValue(interval),
      "readings": .array(
        readings.map { ["timeNanoseconds": JSONValue($0.time.nanoseconds), "gpus": .array($0.gpus.map(TopLines.json))] }),
    ]
  }
}
