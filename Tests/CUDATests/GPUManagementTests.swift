import Glibc
import Testing

@testable import Execution

extension OnStandIn {
  /// NVML and GPM through the stand-in: what is read, what is refused and what is said then.
  @Suite(.enabled(if: !StandIn.isGPUTested, "needs the stand-in")) struct GPUManagementTests {
    @Test func everyQuantityNamesItsSource() throws {
      let standIn = try #require(StandIn())
      let management = try GPUManagement(standIn.search)
      let gpu = try #require(management.read().first)
      #expect(gpu.name == "stand-in GPU" && gpu.uuid == "GPU-7374616e-642d-696e-2047-505520303030" && gpu.index == 0)
      #expect(Set(gpu.answers.keys) == Set(GPUReading.Quantity.allCases))
      #expect(gpu.answers[.gpuBusy] == .value(42, source: "NVML") && gpu.answers[.memoryBusy] == .value(7, source: "NVML"))
      #expect(gpu.answers[.smActive] == .value(21, source: "GPM") && gpu.answers[.tensorActive] == .value(5, source: "GPM"))
      #expect(gpu.answers[.dramActive] == .value(12, source: "GPM") && gpu.answers[.graphicsActive] == .value(43, source: "GPM"))
      // Milliwatts and MHz.
      #expect(gpu.answers[.power] == .value(350, source: "NVML") && gpu.answers[.smClock] == .value(1500, source: "NVML"))
      #expect(gpu.clockLimits == ["power cap"])
      #expect(gpu.processes == [GPUReading.Process(process: 4242, memoryBytes: 0, busyPercent: 40)])
      #expect(gpu.processesRefused == nil && !management.driverVersion.isEmpty)
    }

    @Test func aCounterThatIsRefusedSaysWhatWouldAllowIt() throws {
      let standIn = try #require(StandIn())
      let management = try GPUManagement(standIn.search)
      standIn.fail("nvmlGpmMetricsGet", code: 4)
      let gpu = try #require(management.read().first)
      guard case .refused(let reason)? = gpu.answers[.smActive] else { return #expect(Bool(false), "SM active was answered") }
      #expect(reason.contains("Insufficient Permissions") && reason.contains("NVreg_RestrictProfilingToAdminUsers"))
      // The others are there all the same, and the next reading has all.
      #expect(gpu.answers[.gpuBusy]?.value == 42)
      #expect(management.read().first?.answers[.smActive]?.value == 21)
    }

    @Test func aGPUWithoutGPMNamesDCGM() throws {
      let standIn = try #require(StandIn())
      standIn.fail("nvmlGpmQueryDeviceSupport", code: 3)
      let gpu = try #require(try GPUManagement(standIn.search).read().first)
      guard case .refused(let reason)? = gpu.answers[.tensorActive] else { return #expect(Bool(false), "tensor active was answered") }
      #expect(reason.contains("Hopper") && reason.contains("dcgmi"))
    }

    @Test func utilizationUnderMIGAndProcessesThatAreNotSaid() throws {
      let standIn = try #require(StandIn())
      let management = try GPUManagement(standIn.search)
      standIn.fail("nvmlDeviceGetUtilizationRates", code: 3)
      standIn.fail("nvmlDeviceGetComputeRunningProcesses_v3", code: 4)
      let gpu = try #require(management.read().first)
      guard case .refused(let reason)? = gpu.answers[.gpuBusy] else { return #expect(Bool(false), "GPU busy was answered") }
      #expect(reason.contains("MIG"))
      #expect(gpu.processesRefused?.contains("Insufficient Permissions") == true)
    }

    /// MIG: each GPU instance is sampled by itself, named, and has its processes; the GPU's own utilization is not defined.
    @Test func everyGPUInstanceHasItsOwnCounters() throws {
      let standIn = try #require(StandIn())
      setenv("HEADROOM_STANDIN_MIG", "2", 1)
      defer { unsetenv("HEADROOM_STANDIN_MIG") }
      let management = try GPUManagement(standIn.search)
      let gpu = try #require(management.read().first)
      #expect(gpu.instances.map(\.identifier) == [1, 2])
      #expect(gpu.instances.map { $0.answers[.smActive] } == [.value(22, source: "GPM"), .value(23, source: "GPM")])
      #expect(gpu.instances.allSatisfy { $0.name == "stand-in GPU MIG 1g.1gb" && $0.uuids.count == 1 && $0.uuids[0].hasPrefix("MIG-") })
      #expect(gpu.instances[0].answers[.memoryTotal] == .value(1_073_741_824, source: "NVML"))
      #expect(gpu.answers[.smActive] == .value(21, source: "GPM") && gpu.answers[.gpuBusy]?.value == nil)
      #expect(gpu.processes.map(\.gpuInstance) == [1])
    }

    /// Instances come and go while somebody looks: a new one has its first difference at the second reading, and a refused one says why.
    @Test func gpuInstancesComeAndGo() throws {
      let standIn = try #require(StandIn())
      let management = try GPUManagement(standIn.search)
      #expect(management.read().first?.instances.isEmpty == true)
      setenv("HEADROOM_STANDIN_MIG", "1", 1)
      defer { unsetenv("HEADROOM_STANDIN_MIG") }
      guard case .refused(let first)? = management.read().first?.instances.first?.answers[.smActive] else {
        return #expect(Bool(false), "a difference with nothing before")
      }
      #expect(first.contains("first sample"))
      #expect(management.read().first?.instances.first?.answers[.smActive]?.value == 22)
      standIn.fail("nvmlGpmMigSampleGet", code: 4)
      guard case .refused(let reason)? = management.read().first?.instances.first?.answers[.smActive] else {
        return #expect(Bool(false), "SM active was answered")
      }
      #expect(reason.contains("nvmlGpmMigSampleGet"))
      unsetenv("HEADROOM_STANDIN_MIG")
      #expect(management.read().first?.instances.isEmpty == true)
    }

    @Test func withoutADriverTheRemedyIsSaid() throws {
      let nowhere = CUDASearch(explicitPath: "/nonexistent", folders: [], asksLinker: false)
      let error = #expect(throws: DeviceError.self) { _ = try GPUManagement(nowhere) }
      #expect(error?.description.contains("libnvidia-ml") == true && error?.description.contains("driver") == true)
      let standIn = try #require(StandIn())
      standIn.fail("nvmlInit_v2", code: 9)
      let unloaded = #expect(throws: DeviceError.self) { _ = try GPUManagement(standIn.search) }
      #expect(unloaded?.description.contains("modprobe") == true)
    }
  }
}
