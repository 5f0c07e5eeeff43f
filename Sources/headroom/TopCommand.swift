import ArgumentParser
import Capture
import Console
import Execution
import JSONText

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

  func validate() throws { try checked(watch.check) }

  func run() throws {
    do throws(DeviceError) {
      let management = try GPUManagement(.standard(before: cudaPath))
      let document = try watch.run(management, version: Headroom.version) { Terminal.print($0) }
      if json { Terminal.print(document.serialized(pretty: true)) }
    } catch { throw failed(Self.self, error) }
  }

  private var watch: CounterWatch { CounterWatch(count: count ?? (json ? 1 : nil), interval: interval, gpu: gpu, isQuiet: json) }
}
