import FileAccess
import ModelGraph

extension MappedStorage {
  /// A model's file, mapped; an error names it.
  convenience init(onnx path: String) throws(ONNXError) {
    do throws(FileError) { self.init(try MappedFile(path: path)) } catch {
      throw ONNXError(file: path, place: "", reason: "cannot \(error.action) the file: \(error.reason)")
    }
  }
}
