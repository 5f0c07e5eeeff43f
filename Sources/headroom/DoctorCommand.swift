import ArgumentParser
import Console
import Explanation
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
    let doctor = Doctor(.here)
    Terminal.print(json ? doctor.json(version: Headroom.version).serialized(pretty: true) : doctor.lines.joined(separator: "\n"))
  }
}
