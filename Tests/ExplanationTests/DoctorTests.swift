import Diagnosis
import Explanation
import FileAccess
import Testing

@Suite struct DoctorTests {
  @Test func aLaptopIsToldWhatItCanDo() {
    let doctor = Doctor(Doctor.Machine())
    #expect(doctor.lines.first == "No GPU is seen here.")
    #expect(doctor.answers.contains { $0.isPossible && $0.command?.hasPrefix("headroom plan") == true })
    #expect(doctor.answers.contains { !$0.isPossible && $0.how == "no GPU is seen" })
    #expect(doctor.lines.allSatisfy { $0.count <= 100 })
  }

  @Test func whatIsMissingComesWithItsCommand() {
    var machine = Doctor.Machine()
    machine.gpus = ["NVIDIA H200"]
    machine.processors = 16
    machine.cpuQuota = 2
    machine.throttledPeriods = 7
    machine.numaNodes = 2
    machine.hasMIG = true
    let doctor = Doctor(machine)
    #expect(doctor.answers.filter { !$0.isPossible }.allSatisfy { $0.command != nil })
    #expect(doctor.warnings.count == 4)
  }

  @Test func everyFindingHasItsPage() throws {
    var parts = #filePath.split(separator: "/")
    parts.removeLast(3)
    let root = "/" + parts.joined(separator: "/")
    for code in TraceFinding.Code.allCases {
      let text = try Files.readText("\(root)/\(TraceFinding.page(of: code))")
      #expect(text.hasPrefix("# \(code.rawValue) "), "\(code)")
    }
    // No page is left that no finding links to.
    let pages = Set(TraceFinding.Code.allCases.map { TraceFinding.page(of: $0) })
    for name in try Files.entries(of: "\(root)/Docs/findings/traces") where name.hasPrefix("HR") {
      #expect(pages.contains("Docs/findings/traces/\(name)"), "\(name)")
    }
  }
}
