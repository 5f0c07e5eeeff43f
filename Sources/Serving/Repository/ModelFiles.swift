import Execution
import FileAccess
import ModelGraph
import ONNXFormat

/// An ONNX model's bytes, wherever they came from, for our reader and for engines that read files.
final class ModelFiles: Sendable {
  /// The model's file.
  let path: String
  /// What the file lives in, where it came in a call.
  let folder: TemporaryFolder?

  /// A file of the repository, or of the command line.
  init(path: String) { (self.path, folder) = (path, nil) }

  /// What came in a call, with the weights beside it, put where an engine can read it: Triton does the same
  /// (triton-inference-server/core `src/model_repository_manager/model_repository_manager.cc`, LocalizePath of override files).
  init(sent files: [String: [UInt8]], version: Int, file: String) throws(FileError) {
    let folder = try TemporaryFolder("headroom-model")
    for (name, bytes) in files where name.hasPrefix("\(version)/") { try folder.write(name, bytes) }
    self.folder = folder
    path = "\(folder.path)/\(file)"
  }

  /// What is refused whoever would run the model: weights outside its folder, links resolved, a file that is no model, and a graph without
  /// outputs. ONNX Runtime would load that one and fail every request ("At least one output should be requested").
  func check() throws(ONNXError) {
    try ONNXExternalData.check(path: path)
    try ONNXInterface.checkOutputs(path: path)
  }

  /// As this program reads it.
  func graph() throws(ONNXError) -> Graph { try ONNXReader.read(path: path) }

  /// What the file declares of its inputs and outputs; nil for one that declares nothing readable.
  func interface() -> ONNXInterface? { try? ONNXInterface.read(path: path) }

  /// What the file says of itself. A file that cannot be surveyed is one that nothing can run: who loads it says why.
  func survey() -> ONNXSurvey { (try? ONNXSurvey.read(path: path)) ?? ONNXSurvey() }

  /// For engines.
  var source: ModelSource { .onnxFile(path, keeping: folder) }

  /// What tells its bytes from other models', weights that lie beside it included.
  func digest(_ survey: ONNXSurvey) throws(FileError) -> String {
    let parent = path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
    return try ModelDigest.sha256(of: [path] + survey.externalFiles.map { parent + $0 })
  }
}
