import Testing

@testable import ModelConfiguration

@Suite struct ParameterTests {
  static func review(_ entries: [(String, String)], _ runner: KnownParameter.Runner?) throws -> ModelConfiguration.ParameterReview {
    let text = entries.map { "parameters { key: \"\($0.0)\" value { string_value: \"\($0.1)\" } }" }.joined(separator: "\n")
    return try ModelConfiguration.parse("name: \"m\"\n" + text, file: "c").configuration.reviewParameters(runner)
  }

  /// A value that the parameter takes.
  static func value(_ known: KnownParameter) -> String { if case .integer = known.form { "1" } else { "1" } }

  @Test func everyKnownKeyActsOrIsSaidNotTo() throws {
    #expect(Set(KnownParameter.table.map(\.key)).count == KnownParameter.table.count)
    for known in KnownParameter.table {
      let key = known.key.replacing("*", with: "some_entry")
      #expect(KnownParameter.named(key) == known)
      for runner in [KnownParameter.Runner.onnxRuntime, .identity, .builtIn, .ownKernels] {
        let found = try Self.review([(key, Self.value(known))], runner)
        let said = found.warnings + found.unused
        if known.effect == .acts(runner) { #expect(said.isEmpty, "\(key)") } else { #expect(said.count == 1, "\(key) \(runner)") }
        #expect(said.allSatisfy { $0.place == .position(line: 2, column: 1) && $0.reason.contains("'\(key)'") })
      }
    }
  }

  @Test func keysThatNobodyKnowsAreTheirOwners() throws {
    let found = try Self.review([("tokenizer", "bert"), ("Intra_op_thread_count", "1")], .onnxRuntime)
    #expect(found.unused.map(\.reason) == ["parameter 'tokenizer' is not used by this server"])
    #expect(
      found.warnings.map(\.reason) == [
        "parameter 'Intra_op_thread_count' is not used by this server; did you mean 'intra_op_thread_count'?"
      ])
  }

  @Test func aValueThatActsMustBeReadable() throws {
    for (key, value) in [
      ("intra_op_thread_count", "many"), ("execution_mode", "2"), ("enable_mem_arena", "yes"), ("inter_op_thread_count", "-1"),
    ] {
      let error = #expect(throws: ModelConfigurationError.self) { try Self.review([(key, value)], .onnxRuntime) }
      #expect(error?.description.hasPrefix("c:2:1: parameter '\(key)' of m is '\(value)': ") == true, "\(String(describing: error))")
      // What does not act is not read.
      #expect(throws: Never.self) { try Self.review([(key, value)], .ownKernels) }
    }
  }

  @Test func optimizationOfTheGraphActsInONNXRuntimeAlone() throws {
    let configuration = try ModelConfiguration.parse("name: \"m\" optimization { graph { level: -1 } }", file: "c").configuration
    #expect(configuration.optimization.graphLevel == -1)
    #expect(try configuration.reviewParameters(.onnxRuntime).warnings.isEmpty)
    #expect(
      try configuration.reviewParameters(.ownKernels).warnings.map(\.reason) == [
        "'graph' of ModelOptimizationPolicy is ignored: only ONNX Runtime acts on it"
      ])
  }

  @Test(arguments: [
    (
      "instance_group { kind: KIND_GPU gpus: [0, 1] }",
      ["c:1:18: 'kind' KIND_GPU of ModelInstanceGroup is ignored: this server has no GPU, its instances run on the CPU"]
    ),
    (
      "instance_group { gpus: 0 }",
      ["c:1:18: 'gpus' of ModelInstanceGroup is ignored: this server has no GPU, its instances run on the CPU"]
    ),
    ("instance_group { kind: KIND_CPU } instance_group { }", []),
  ]) func groupsForGPUsAreWarnedOfWhereThereAreNone(text: String, expected: [String]) throws {
    let configuration = try ModelConfiguration.parse(text, file: "c").configuration
    #expect(configuration.warnings(hasGPU: false).map(\.description) == expected)
    #expect(configuration.warnings(hasGPU: true).isEmpty)
  }

  /// The table of what becomes of every field: a new one of the schema has to be put here, with what it does.
  @Test func everyFieldActsIsIgnoredOrIsRefused() {
    var counts = ["acts": 0, "simulated": 0, "ignored": 0, "refused": 0]
    for schema in MessageSchema.named.values {
      for field in schema.fields {
        switch field.disposition {
        case .supported: counts["acts", default: 0] += 1
        case .simulated(let reason):
          counts["simulated", default: 0] += 1
          #expect(!reason.isEmpty)
        case .ignored(let reason):
          counts["ignored", default: 0] += 1
          #expect(!reason.isEmpty)
        case .refused(let reason):
          counts["refused", default: 0] += 1
          #expect(!reason.isEmpty)
        }
      }
    }
    #expect(counts["simulated"] == 3 && counts["ignored"] == 20 && counts["refused"] == 4)
  }
}
