import Console
import ArgumentParser
import CheckedNumbers
import Explanation
import FileAccess
import Glibc
import JSONText

/// `headroom doctor`: what can be answered on this machine.
struct DoctorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor", abstract: "Say what can and cannot be answered on this machine, and the command for each missing input.",
    discussion: """
      Looks for GPUs, NVIDIA's tools and libraries, processor quotas and NUMA nodes; changes nothing.

      EXAMPLES
        headroom doctor
        headroom doctor --json

      EXIT CODES
        0 looked, 64 usage.
      """)

  @Flag(help: "Print one JSON object (schema headroom.doctor/1).")
  var json = false

  func run() throws {
    let doctor = Doctor(Self.machine())
    Terminal.print(json ? doctor.json(version: Headroom.version).serialized(pretty: true) : doctor.lines.joined(separator: "\n"))
  }

  private static func machine() -> Doctor.Machine {
    var machine = Doctor.Machine()
    machine.nvidiaSMI = tool("nvidia-smi")
    machine.nsys = tool("nsys")
    machine.ncu = tool("ncu")
    machine.dcgmi = tool("dcgmi")
    machine.hasDeviceFiles = access("/dev/nvidiactl", F_OK) == 0
    machine.processors = max(1, sysconf(Int32(clamping: _SC_NPROCESSORS_ONLN)))
    if let smi = machine.nvidiaSMI {
      let fields = "name,clocks.sm,clocks.max.sm,power.draw,power.limit,pcie.link.gen.current,pcie.link.width.current,mig.mode.current"
      for line in output("'\(smi)' --query-gpu=\(fields) --format=csv,noheader 2>/dev/null") {
        let parts = line.split(separator: ",").map { String($0.drop { $0 == " " }) }
        guard parts.count == 8 else { continue }
        machine.gpus.append(parts[0])
        machine.gpuState.append(
          "\(parts[0]): SM clock \(parts[1]) of \(parts[2]), power \(parts[3]) of \(parts[4]), PCIe gen \(parts[5]) x\(parts[6])")
        machine.hasMIG = machine.hasMIG || parts[7] == "Enabled"
      }
      machine.hasMPS = access("/tmp/nvidia-mps/control", F_OK) == 0
    }
    if let text = try? Files.readText("/sys/fs/cgroup/cpu.max", limit: 4096) {
      let parts = text.split { $0 == " " || $0 == "\n" }
      if parts.count == 2, let quota = Double(parts[0]), let period = Double(parts[1]), period > 0 { machine.cpuQuota = quota / period }
    }
    if let text = try? Files.readText("/sys/fs/cgroup/cpu.stat", limit: 65_536) {
      for line in text.split(separator: "\n") where line.hasPrefix("nr_throttled ") {
        machine.throttledPeriods = Int(line.dropFirst("nr_throttled ".count))
      }
    }
    if let text = try? Files.readText("/sys/devices/system/node/online", limit: 4096) {
      // "0", "0-1", "0,2-3".
      machine.numaNodes = text.split { $0 == "," || $0 == "\n" }.reduce(0) { sum, part in
        let ends = part.split(separator: "-").compactMap { Int($0) }
        return sum + (ends.count == 2 ? max(1, ends[1] - ends[0] + 1) : 1)
      }
    }
    return machine
  }

  /// The first of that name on PATH.
  private static func tool(_ name: String) -> String? {
    guard let path = getenv("PATH") else { return nil }
    for folder in String(cString: path).split(separator: ":") where access("\(folder)/\(name)", X_OK) == 0 { return "\(folder)/\(name)" }
    return nil
  }

  /// Lines that a command prints; none where it fails.
  private static func output(_ command: String) -> [String] {
    guard let stream = popen(command, "r") else { return [] }
    defer { pclose(stream) }
    var text: [UInt8] = []
    var byte = fgetc(stream)
    while byte != EOF, text.count < 1 << 20 {
      text.append(UInt8(truncatingIfNeeded: byte))
      byte = fgetc(stream)
    }
    return String(decoding: text, as: UTF8.self).split(separator: "\n").map(String.init)
  }
}
