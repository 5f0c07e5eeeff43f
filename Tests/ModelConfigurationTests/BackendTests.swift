import ModelConfiguration
import Testing

@Suite struct BackendTests {
  static func reason(_ text: String, hasPlan: Bool = false) throws -> String {
    let configuration = try ModelConfiguration.parse("name: \"m\" " + text, file: "c").configuration
    do {
      try configuration.validateBackend(hasPlan: hasPlan)
      return "accepted"
    } catch { return "\(error)" }
  }

  @Test(arguments: [
    "", "backend: \"onnxruntime\"", "platform: \"onnxruntime_onnx\"", "backend: \"onnxruntime\" platform: \"onnxruntime_onnx\"",
    "backend: \"identity\"", "backend: \"identity\" platform: \"anything\"", "platform: \"headroom_builtin\"",
    "default_model_filename: \"model.onnx\"", "default_model_filename: \"ranker.onnx\"",
  ]) func whatIsServedIsTaken(text: String) throws { #expect(try Self.reason(text) == "accepted") }

  @Test(arguments: [
    "python", "vllm", "pytorch", "tensorflow", "dali", "fil", "tensorrtllm", "openvino", "tensorrt", "ensemble", "torch_aoti",
  ]) func aKnownBackendOfOthersIsSaidToBeMissing(name: String) throws {
    let reason = try Self.reason("\nbackend: \"\(name)\"")
    #expect(reason.hasPrefix("c:2:1: this server has no backend '\(name)', which model 'm' names; "), "\(reason)")
  }

  @Test(arguments: [
    ("tensorrt_plan", "tensorrt"), ("pytorch_libtorch", "pytorch"), ("libtorch", "pytorch"), ("tensorflow_savedmodel", "tensorflow"),
    ("tensorflow_graphdef", "tensorflow"), ("torch_aoti", "pytorch"),
  ]) func platformsAreTakenForTheirBackends(platform: String, backend: String) throws {
    #expect(try Self.reason("platform: \"\(platform)\"").contains("c:1:11: this server has no backend '\(backend)'"))
  }

  @Test(arguments: [("model.py", "python"), ("model.pt", "pytorch"), ("model.plan", "tensorrt"), ("model.savedmodel", "tensorflow")])
  func aFilesNameSaysWhoseItIs(file: String, backend: String) throws {
    #expect(try Self.reason("default_model_filename: \"\(file)\"").contains("this server has no backend '\(backend)'"))
  }

  @Test(arguments: [
    ("backend: \"onnxruntim\"", "this server has no backend 'onnxruntim', which model 'm' names; did you mean 'onnxruntime'?"),
    ("backend: \"onnx\"", "which model 'm' names; did you mean 'onnxruntime'?"), ("backend: \"onxruntime\"", "did you mean 'onnxruntime'?"),
    ("backend: \"pyhton\"", "did you mean 'python'?"),
    ("backend: \"somebody_elses\"", "which model 'm' names; it has 'onnxruntime' and 'identity'"),
    ("platform: \"onnxruntim_onnx\"", "unexpected platform type 'onnxruntim_onnx' for m; did you mean 'onnxruntime_onnx'?"),
    ("platform: \"onnxruntime\"", "unexpected platform type 'onnxruntime' for m; did you mean 'onnxruntime"),
    ("platform: \"zzzzzzzzzzz\"", "unexpected platform type 'zzzzzzzzzzz' for m; ONNX models have 'onnxruntime_onnx'"),
    (
      "platform: \"onnxruntim\" default_model_filename: \"model.onnx\"",
      "c:1:11: unexpected 'platform' and 'backend' pair, got:onnxruntim, onnxruntime"
    ), ("backend: \"onnxruntime\" platform: \"tensorrt_plan\"", "unexpected 'platform' and 'backend' pair, got:tensorrt_plan, onnxruntime"),
    ("backend: \"tensorrt\" platform: \"onnxruntime_onnx\"", "unexpected 'platform' and 'backend' pair, got:onnxruntime_onnx, tensorrt"),
    ("backend: \"${backend}\"", "a placeholder that was not filled in"),
  ]) func slipsGetTheNearestName(text: String, expected: String) throws {
    let reason = try Self.reason(text)
    #expect(reason.contains(expected), "\(reason)")
  }

  @Test func aRuntimeIsTheBackendsOwn() throws {
    #expect(try Self.reason("runtime: \"libtriton_onnxruntime.so\"") == "accepted")
    #expect(try Self.reason("backend: \"identity\" runtime: \"libtriton_identity.so\"") == "accepted")
    #expect(try Self.reason("runtime: \"mine.so\"").hasPrefix("c:1:11: unable to find backend library 'mine.so' for model 'm'"))
    #expect(try Self.reason("runtime: \"../mine.so\"").contains("backend library name '../mine.so' escapes backend directory"))
  }

  @Test func aPlanOfOursIsServedUnderTensorRTsName() throws {
    for text in ["backend: \"tensorrt\"", "platform: \"tensorrt_plan\"", "default_model_filename: \"model.plan\""] {
      #expect(try Self.reason(text, hasPlan: true) == "accepted")
      #expect(try Self.reason(text).contains("this server has no backend 'tensorrt'"))
    }
  }

  @Test func aNameMayNameItsBackend() throws {
    let configuration = ModelConfiguration(name: "empty.identity")
    #expect(try configuration.namedBackend() == .identity)
    #expect(try ModelConfiguration(name: "empty").namedBackend() == .onnx)
  }
}
