public import JSONText
import Reporting

/// What this machine can and cannot answer, and the one command for each missing input.
public struct Doctor: Sendable {
  /// What was found on the machine; nil where it could not be asked.
  public struct Machine: Sendable, Hashable {
    /// Names of GPUs as nvidia-smi lists them; empty where there is none or no nvidia-smi.
    public var gpus: [String] = []
    /// Path of nvidia-smi.
    public var nvidiaSMI: String?
    /// Path of nsys.
    public var nsys: String?
    /// Path of ncu.
    public var ncu: String?
    /// Path of dcgmi.
    public var dcgmi: String?
    /// Path of a CUPTI library.
    public var cupti: String?
    /// Device files of NVIDIA's driver.
    public var hasDeviceFiles = false
    /// Processors that this process may use.
    public var processors = 1
    /// CPU quota of the control group, processors; nil for none.
    public var cpuQuota: Double?
    /// Periods in which the control group was throttled.
    public var throttledPeriods: Int?
    /// NUMA nodes.
    public var numaNodes: Int?
    /// Clocks, power and link as nvidia-smi's query answers them, line by line.
    public var gpuState: [String] = []
    /// MIG mode of any GPU.
    public var hasMIG = false
    /// An MPS control daemon runs.
    public var hasMPS = false

    /// Nothing is known.
    public init() {}
  }

  /// A question somebody may have.
  public struct Answer: Sendable, Hashable {
    /// The question.
    public var question: String
    /// Whether it can be answered here.
    public var isPossible: Bool
    /// How, or why not.
    public var how: String
    /// What to run for what is missing; nil where nothing is.
    public var command: String?
  }

  /// By question.
  public let answers: [Answer]
  /// What to know of the machine before believing a figure.
  public let warnings: [String]
  /// What was found.
  public let machine: Machine

  /// From what was found.
  public init(_ machine: Machine) {
    self.machine = machine
    var answers: [Answer] = []
    var warnings: [String] = []
    let hasGPU = !machine.gpus.isEmpty
    answers.append(
      Answer(
        question: "How fast would my model run, and what would limit it?", isPossible: true,
        how: "planned from the graph, on any GPU of the catalogue",
        command: "headroom plan MODEL.onnx --gpu l40s,h100 --batch 1,8,64"))
    answers.append(
      Answer(
        question: "What limits a running server?", isPossible: true, how: "from its own statistics, nothing restarted",
        command: "headroom explain --url http://HOST:8000 --metrics http://HOST:8002/metrics"))
    answers.append(
      Answer(
        question: "What does a recorded trace say?", isPossible: true, how: "Nsight exports and PyTorch traces of any machine",
        command: machine.nsys == nil
          ? "on the GPU machine: nsys profile -o r COMMAND; nsys export --type sqlite r.nsys-rep" : "nsys export --type sqlite r.nsys-rep"))
    answers.append(
      Answer(
        question: "Where does GPU time go here?", isPossible: hasGPU && machine.nsys != nil,
        how: !hasGPU ? "no GPU is seen" : machine.nsys == nil ? "no nsys on PATH" : "nsys at \(machine.nsys ?? "")",
        command: !hasGPU
          ? "nvidia-smi" : machine.nsys == nil ? "install nsight-systems-cli" : "nsys profile --trace=cuda,nvtx,osrt -o r COMMAND"))
    answers.append(
      Answer(
        question: "What do the hardware counters say?", isPossible: hasGPU && machine.dcgmi != nil,
        how: !hasGPU
          ? "no GPU is seen"
          : machine.dcgmi == nil ? "no dcgmi; a trace's counters are predicted instead" : "dcgmi at \(machine.dcgmi ?? "")",
        command: hasGPU ? machine.dcgmi == nil ? "install datacenter-gpu-manager" : "dcgmi dmon -e 1001,1002,1004,1005" : nil))
    answers.append(
      Answer(
        question: "What does each thread of a program wait in?", isPossible: true, how: "any dynamically linked program, without root",
        command: "headroom profile --os -- COMMAND"))
    if hasGPU {
      if machine.hasMIG { warnings.append("MIG is on: counters and SM counts are those of a slice") }
      if machine.hasMPS { warnings.append("MPS runs: another process may share the SMs") }
    } else if machine.hasDeviceFiles {
      warnings.append("NVIDIA device files are there and nvidia-smi answers no GPU: the driver may be broken")
    }
    if let quota = machine.cpuQuota, quota < Double(machine.processors) {
      warnings.append("the control group allows \(NumberInWords.short(quota)) of \(machine.processors) processors")
    }
    if let throttled = machine.throttledPeriods, throttled > 0 {
      warnings.append("the control group was throttled in \(throttled) periods: launch times here include it")
    }
    if let nodes = machine.numaNodes, nodes > 1 { warnings.append("\(nodes) NUMA nodes: bind a server to its GPU's node") }
    self.answers = answers
    self.warnings = warnings
  }

  /// As printed, 80 columns.
  public var lines: [String] {
    var lines = [machine.gpus.isEmpty ? "No GPU is seen here." : "GPUs: \(machine.gpus.joined(separator: ", "))"]
    lines += machine.gpuState.map { "  " + $0 }
    for answer in answers {
      lines.append("")
      lines += Report.wrap(answer.question, width: 80, indent: "        ", first: answer.isPossible ? "  yes   " : "  no    ")
      lines += Report.wrap(answer.how, width: 80, indent: "        ")
      if let command = answer.command { lines.append("        $ " + command) }
    }
    if !warnings.isEmpty { lines.append("") }
    for warning in warnings { lines += Report.wrap(warning, width: 80, indent: "        ", first: "  note  ") }
    return lines
  }

  /// One object.
  public func json(version: String) -> JSONValue {
    [
      "schema": "headroom.doctor/1", "headroom": .string(version), "mode": "measured", "gpus": .array(machine.gpus.map { .string($0) }),
      "gpuState": .array(machine.gpuState.map { .string($0) }), "processors": JSONValue(machine.processors),
      "cpuQuotaProcessors": JSONValue(machine.cpuQuota), "numaNodes": machine.numaNodes.map { JSONValue($0) } ?? .null,
      "answers": .array(
        answers.map {
          ["question": .string($0.question), "possible": .bool($0.isPossible), "how": .string($0.how), "command": JSONValue($0.command)]
        }), "warnings": .array(warnings.map { .string($0) }),
    ]
  }
}
