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

  @Test func whatTheSystemSaysIsRead() {
    #expect(Doctor.Machine.quota("max 100000\n") == nil && Doctor.Machine.quota("150000 100000\n") == 1.5)
    #expect(Doctor.Machine.quota("1 0\n") == nil && Doctor.Machine.quota("") == nil)
    #expect(Doctor.Machine.throttledPeriods("nr_periods 9\nnr_throttled 7\n") == 7 && Doctor.Machine.throttledPeriods("") == nil)
    #expect(Doctor.Machine.count("0\n") == 1 && Doctor.Machine.count("0-1,4\n") == 3)
    #expect(Doctor.Machine.count("0-9223372036854775807,\(Int.min)-1,9-2") > 0)
    var machine = Doctor.Machine()
    machine.add(queryLine: "NVIDIA H200, 345 MHz, 1980 MHz, 72.31 W, 700.00 W, 5, 16, Enabled")
    machine.add(queryLine: "Failed to initialize NVML")
    #expect(machine.gpus == ["NVIDIA H200"] && machine.hasMIG)
    #expect(machine.gpuState == ["NVIDIA H200: SM clock 345 MHz of 1980 MHz, power 72.31 W of 700.00 W, PCIe gen 5 x16"])
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
