import CheckedNumbers
import FileAccess
import Glibc

extension Doctor.Machine {
  /// The machine that this program runs on, as far as an ordinary user can ask it.
  package static var here: Doctor.Machine {
    var machine = Doctor.Machine()
    machine.nvidiaSMI = tool("nvidia-smi")
    machine.nsys = tool("nsys")
    machine.ncu = tool("ncu")
    machine.dcgmi = tool("dcgmi")
    machine.hasDeviceFiles = access("/dev/nvidiactl", F_OK) == 0
    machine.processors = max(1, sysconf(Int32(clamping: _SC_NPROCESSORS_ONLN)))
    if let smi = machine.nvidiaSMI {
      let fields = "name,clocks.sm,clocks.max.sm,power.draw,power.limit,pcie.link.gen.current,pcie.link.width.current,mig.mode.current"
      for line in output("'\(smi)' --query-gpu=\(fields) --format=csv,noheader 2>/dev/null") { machine.add(queryLine: line) }
      machine.hasMPS = access("/tmp/nvidia-mps/control", F_OK) == 0
    }
    machine.cpuQuota = (try? Files.readText("/sys/fs/cgroup/cpu.max", limit: 4096)).flatMap(quota)
    machine.throttledPeriods = (try? Files.readText("/sys/fs/cgroup/cpu.stat", limit: 65_536)).flatMap(throttledPeriods)
    machine.numaNodes = (try? Files.readText("/sys/devices/system/node/online", limit: 4096)).map(count)
    return machine
  }

  /// A line of nvidia-smi's query of eight fields; others are passed over.
  package mutating func add(queryLine line: String) {
    let parts = line.split(separator: ",").map { String($0.drop { $0 == " " }) }
    guard parts.count == 8 else { return }
    gpus.append(parts[0])
    gpuState.append(
      "\(parts[0]): SM clock \(parts[1]) of \(parts[2]), power \(parts[3]) of \(parts[4]), PCIe gen \(parts[5]) x\(parts[6])")
    hasMIG = hasMIG || parts[7] == "Enabled"
  }

  /// cgroup v2's cpu.max, "QUOTA PERIOD" in microseconds: processors; nil for "max".
  package static func quota(_ text: String) -> Double? {
    let parts = text.split { $0 == " " || $0 == "\n" }
    guard parts.count == 2, let quota = Double(parts[0]), let period = Double(parts[1]), period > 0 else { return nil }
    return quota / period
  }

  /// Of cgroup v2's cpu.stat.
  package static func throttledPeriods(_ text: String) -> Int? {
    text.split(separator: "\n").first { $0.hasPrefix("nr_throttled ") }.flatMap { Int($0.dropFirst("nr_throttled ".count)) }
  }

  /// Numbers in a list of Linux's: "0", "0-1", "0,2-3".
  package static func count(_ list: String) -> Int {
    list.split { $0 == "," || $0 == "\n" }.reduce(0) { sum, part in
      let ends = part.split(separator: "-").compactMap { Int($0) }
      let (span, isTooLong) = ends.count == 2 ? ends[1].subtractingReportingOverflow(ends[0]) : (0, false)
      return sum.addingSaturated(isTooLong ? 1 : max(1, span.addingSaturated(1)))
    }
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
