import Explanation
import GPUModel
import Testing

@Suite struct EngineTests {
  static let layers = """
    {"Layers": [
      {"Name": "fc1", "LayerType": "gemm", "Inputs": [{"Name": "x", "Dimensions": [64, 1024], "Format/Datatype": "Half"}],
       "Outputs": [{"Name": "y", "Dimensions": [64, 4096], "Format/Datatype": "Half"}],
       "TacticName": "sm80_xmma_gemm_f16f16_f16f32_f32_tn_n_tilesize64x32x64_stage5_warpsize2x2x1_tensor16x8x16", "StreamId": 0, "Metadata": ""},
      {"Name": "Reformatting CopyNode for Input Tensor 0", "LayerType": "Reformat", "Inputs": [], "Outputs": [], "TacticName": "Reformat"}
    ], "Bindings": ["x", "y"]}
    """
  static let profile = """
    [{"count": 100}, {"name": "fc1", "timeMs": 1.2, "averageMs": 0.012, "medianMs": 0.0119, "percentage": 75},
     {"name": "Reformatting CopyNode for Input Tensor 0", "timeMs": 0.4, "averageMs": 0.004, "medianMs": 0.004, "percentage": 25}]
    """
  static let log = """
    [V] [TRT] Autotuning op fc1(key: 0x1814870c44ff0f85):
    [V] [TRT] Sorted table of all evaluated tactics:
    [V] [TRT] tactic_id, cost(in ms), cost/fastest_cost, prediction_correlation, kernel_name, tactic_hash, tunable_parameter
    [V] [TRT]    3, 0.0100, 1.00000, 0.50673, sm80_xmma_gemm_tilesize32x32x64_stage3_tensor16x8x8, 0x665ded9abbf88,
    [V] [TRT]    5, 0.0120, 1.20000, 0.51157, sm80_xmma_gemm_tilesize64x32x64_stage4_tensor16x8x8, 0x393e4ef8ad243,
    [V] [TRT] The selected tactic is (tactic hash, cost(in ms)):0x393e4ef8ad243,  0.0120
    """
  static let olderLog = """
    [V] [TRT] --------------- Timing Runner: fc1 (CaskGemmConvolution)
    [V] [TRT] Set Tactic Name: turing_h1688cudnn_256x64_ldg8_relu Tactic: 0x105f56cf03ee5549
    [V] [TRT] Tactic: 0x105f56cf03ee5549 Time: 0.0241811
    [V] [TRT] Tactic: 0x017a89ce2d82b850 Time: 0.00878863
    [V] [TRT] Fastest Tactic: 0x017a89ce2d82b850 Time: 0.00878863
    [V] [TRT] >>>>>>>>>>>>>>> Chose Runner Type: CaskGemmConvolution Tactic: 0x017a89ce2d82b850
    """

  func explain(_ texts: [String], gpu: GPU? = nil) throws -> EngineExplanation {
    var files = EngineFiles()
    for text in texts { try files.add(text, path: "file") }
    return EngineExplanation(files, gpu: gpu)
  }

  @Test func filesAreToldByContent() {
    #expect(EngineFiles.kind(ofBeginning: Self.layers) == .layerInfo)
    #expect(EngineFiles.kind(ofBeginning: Self.profile) == .profile)
    #expect(EngineFiles.kind(ofBeginning: Self.log) == .buildLog)
    #expect(EngineFiles.kind(ofBeginning: "{\"traceEvents\": []}") == nil)
    #expect(EngineFiles.kind(ofBeginning: "[{\"ph\": \"X\"}]") == nil)
  }

  @Test func layersTimesAndTacticsAreJoined() throws {
    let gpu = try GPUCatalogue().find("h100").gpu
    let engine = try explain([Self.layers, Self.profile, Self.log], gpu: gpu)
    let row = try #require(engine.rows.first)
    #expect(engine.total == 0.016)
    #expect(row.kernel.tile.map { $0 == (64, 32) } == true)
    // 64 rows by 4,096 columns in tiles of 64 x 32: 128 blocks on 132 SMs.
    #expect(row.residentSMShare.map { ($0 - 128.0 / 132).magnitude < 1e-9 } == true)
    #expect(row.regret.map { ($0 - 0.2).magnitude < 1e-9 } == true)
    #expect(row.fastest?.hash == "0x665ded9abbf88")
    #expect(engine.regrets.map(\.name) == ["fc1"])
    #expect(engine.reformatShare == 0.25)
    #expect(engine.answer.first?.hasPrefix("Largest layer: fc1, 75 %") == true)
    #expect(engine.answer.allSatisfy { $0.count <= 80 })
    #expect(engine.notes.isEmpty)
  }

  @Test func olderLogsAreReadToo() throws {
    let engine = try explain([Self.olderLog])
    let row = try #require(engine.rows.first { $0.name == "fc1" })
    #expect(row.fastest?.milliseconds == 0.00878863)
    #expect(row.regret == 0)
  }

  @Test func bareNamesSayWhatToBuildWith() throws {
    let engine = try explain([#"{"Layers": ["fc1", "fc2"], "Bindings": []}"#])
    #expect(engine.rows.map(\.name) == ["fc1", "fc2"])
    #expect(engine.notes.contains { $0.contains("--profilingVerbosity=detailed") })
    #expect(engine.answer.first?.hasPrefix("No verdict: 2 layers") == true)
  }

  @Test func brokenFilesAreErrorsThatSayWhat() {
    for text in [
      #"{"Layers": 3}"#, #"{"Layers": [{"LayerType": "gemm"}]}"#, #"[{"count": 1}, {"name": "a", "averageMs": "x"}]"#, #"{"Layers": ["#,
      "hello",
    ] {
      #expect(throws: EngineFileError.self) {
        var files = EngineFiles()
        try files.add(text, path: "file")
      }
    }
  }
}
