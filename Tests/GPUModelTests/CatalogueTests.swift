import JSONText
import Testing

@testable import GPUModel

@Suite struct CatalogueTests {
  let catalogue = GPUCatalogue()

  @Test func thirtyGPUsWithDistinctNamesAndSources() {
    #expect(catalogue.gpus.count == 30)
    #expect(Set(catalogue.gpus.map(\.name)).count == 30)
    #expect(catalogue.gpus.allSatisfy { !$0.source.isEmpty && $0.smCount > 0 && $0.memoryGigabytesPerSecond > 0 })
  }

  /// Rate = SMs x clock x 2 x FMA per SM and clock, which is a power of two: a slip in any of the figures shows. The H100 PCIe and NVL are rated at
  /// lower tensor clocks, and undisclosed clocks cannot be checked.
  @Test func tensorRatesFitTheClocks() throws {
    for gpu in catalogue.gpus where !["H100 PCIe", "H100 NVL"].contains(gpu.name) {
      guard let rate = gpu.fp16Teraflops, let clock = gpu.boostMegahertz else { continue }
      let perClock = rate * 1e6 / (2 * Double(gpu.smCount) * clock)
      var power = 1.0
      while power * 1.5 < perClock { power *= 2 }
      #expect((perClock / power - 1).magnitude < 0.06, "\(gpu.name): \(perClock) FMA per SM and clock")
    }
  }

  @Test(arguments: [
    ("h200", "H200 SXM"), ("H200-SXM", "H200 SXM"), ("RTX PRO 6000 Blackwell WS", "RTX PRO 6000 Blackwell WS"),
    ("rtx pro 6000 blackwell workstation edition", "RTX PRO 6000 Blackwell WS"), ("rtx-pro-6000-server", "RTX PRO 6000 Blackwell Server"),
    ("nvidia l40s", "L40S"), ("L40", "L40"), ("a10", "A10"), ("rtx4090", "RTX 4090"), ("GB200", "GB200"), ("Tesla T4", "T4"),
  ]) func namesAreForgiven(name: String, expected: String) throws {
    let match = try catalogue.find(name)
    #expect(match.gpu.name == expected)
    #expect(match.statedChoice == nil)
  }

  @Test func aliasesStateTheirChoice() throws {
    let match = try catalogue.find("rtx-pro-6000")
    #expect(match.gpu.name == "RTX PRO 6000 Blackwell WS")
    #expect(match.statedChoice?.contains("Workstation edition") == true)
  }

  @Test func ambiguousNamesListTheirCandidates() {
    let error = #expect(throws: GPULookupError.self) { try catalogue.find("a100 80gb") }
    #expect(error == .ambiguous(name: "a100 80gb", candidates: ["A100 PCIe 80GB", "A100 SXM4 80GB"]))
  }

  @Test func unknownNamesListTheNearest() {
    let error = #expect(throws: GPULookupError.self) { try catalogue.find("h20o") }
    guard case .unknown(_, let nearest) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(nearest.contains { $0.hasPrefix("GH200") || $0.hasPrefix("L40") || $0.hasPrefix("H") || $0.hasPrefix("B200") })
    #expect(throws: GPULookupError.self) { try catalogue.find("") }
    #expect(throws: GPULookupError.self) { try catalogue.find(String(repeating: "x", count: 100_000)) }
  }

  static let own: JSONValue = [
    "name": "My GPU", "computeCapability": 8.9, "sms": 58, "boostMegahertz": 2040, "fp32Teraflops": 30.3, "fp16Teraflops": 121,
    "memoryGigabytes": 24, "memoryGigabytesPerSecond": 300, "l2Megabytes": 48, "sharedKilobytesPerSM": 100, "warpsPerSM": 48,
    "blocksPerSM": 24,
    "boardPowerWatts": 72,
  ]

  @Test func aUsersGPUIsFoundAndPredicted() throws {
    var own = GPUCatalogue()
    own.add(try GPU(json: Self.own))
    let gpu = try own.find("my-gpu").gpu
    #expect(gpu.family == .mma)
    let model = KernelModel(gpu: gpu, calibration: KernelCalibrations.calibration(for: gpu))
    #expect(try model.predict(GEMM(m: 256, n: 1024, k: 1024, type: .fp16)).microseconds > 1)
  }

  @Test func fieldsThatAreWrongAreNamed() throws {
    var members = try #require(Self.own.objectValue)
    members.append(.init("smCount", 3))
    #expect(throws: DescriptionError.self) { try GPU(json: .object(members)) }
    for name in ["name", "sms", "memoryGigabytesPerSecond"] {
      let error = #expect(throws: DescriptionError.self) { try GPU(json: .object(Self.own.objectValue?.filter { $0.name != name } ?? [])) }
      #expect(error?.field == name)
    }
    let negative = try JSONValue.parse(Self.own.serialized().replacing("58", with: "-58"))
    #expect(throws: DescriptionError.self) { try GPU(json: negative) }
    #expect(throws: DescriptionError.self) { try GPU(json: [1]) }
  }
}
