import Execution
import FileAccess
import JSONText
import ModelConfiguration
import ONNXFormat
import Planning

/// A model's configuration before its model is run: read, named, validated, the files it names looked for. Loading and `headroom check`
/// both go through here, so that they say the same.
enum ConfigurationReader {
  /// More than any configuration, so that a wrong file does not fill the memory.
  static let maximumBytes = 1 << 26

  /// Reads `config.pbtxt`; nil where the folder has none.
  static func read(folder: String) throws(ModelConfigurationError) -> ModelConfiguration.Parsed? {
    let path = "\(folder)/config.pbtxt"
    guard Files.kind(of: path) == .file else { return nil }
    return try read(file: path)
  }

  /// Reads a file in protobuf's text format.
  static func read(file path: String) throws(ModelConfigurationError) -> ModelConfiguration.Parsed {
    let bytes: [UInt8]
    do throws(FileError) { bytes = try Files.readRegular(path, limit: maximumBytes) } catch {
      throw ModelConfigurationError(file: path, reason: "cannot \(error.action) the file: \(error.reason)")
    }
    return try ModelConfiguration.parse(bytes: bytes, file: path)
  }

  /// Fills the name in, or throws where it is another's. Source: core `src/model_repository_manager/model_repository_manager.cc`.
  static func name(_ configuration: inout ModelConfiguration, _ name: String) throws(ModelConfigurationError) {
    if configuration.name.isEmpty { configuration.name = name }
    // "model.identity" names its backend (core `src/model_config_utils.cc`, AutoCompleteBackendFields).
    if try configuration.namedBackend() == .identity { configuration.backend = "identity" }
    if configuration.name != name {
      throw configuration.error(
        "unexpected directory name '\(name)' for model '\(configuration.name)', directory name must equal model name", field: "name")
    }
  }

  /// What can be said of the configuration before its model is read.
  static func validate(_ configuration: ModelConfiguration, version: Int?, at place: ModelLocation) throws(ModelConfigurationError) {
    let backend = try configuration.namedBackend()
    try configuration.validateBackend(hasPlan: holdsPlan(configuration, version: version, at: place))
    try configuration.validate(backend == .identity ? .complete : .written)
    if case .folder(let folder) = place, configuration.defaultModelFilename.isEmpty, backend == .onnx, let version {
      try checkOwner(configuration, of: "\(folder)/\(version)")
    }
    if backend == .identity { _ = try configuration.reviewParameters(.identity) }
  }

  /// Warnings about what has no effect where the model is served, whoever runs it.
  static func warnings(_ parsed: ModelConfiguration.Parsed, hasGPU: Bool) -> [ModelConfigurationWarning] {
    parsed.warnings + (hasGPU ? [] : parsed.servingWarnings) + parsed.configuration.warnings(hasGPU: hasGPU)
  }

  /// A version folder that holds no ONNX model and another backend's: "none of model.onnx" would not say whose it is.
  private static func checkOwner(_ configuration: ModelConfiguration, of folder: String) throws(ModelConfigurationError) {
    let names = (try? Files.entries(of: folder)) ?? []
    guard !names.contains("model.onnx"), !names.contains("model.plan") || !isPlan("\(folder)/model.plan") else { return }
    for name in names {
      if let owner = ModelBackend.name(ofFile: name), owner != "onnxruntime" { throw missing(owner, name, configuration) }
    }
  }

  private static func missing(_ owner: String, _ file: String, _ configuration: ModelConfiguration) -> ModelConfigurationError {
    var error = configuration.missingBackend(owner)
    error.reason = "\(file): " + error.reason
    return error
  }

  /// Whether the model's file is a plan of this program.
  private static func holdsPlan(_ configuration: ModelConfiguration, version: Int?, at place: ModelLocation) -> Bool {
    let name = configuration.defaultModelFilename.isEmpty ? "model.plan" : configuration.defaultModelFilename
    switch place {
    case .folder(let folder):
      guard let version, let path = try? modelFile(name, version: version, in: folder) else { return false }
      return isPlan(path)
    case .file(let path): return isPlan(path)
    case .builtIn: return false
    case .sent(let files): return files["\(version ?? 1)/\(name)"]?.starts(with: PlanFile.magic) ?? false
    }
  }

  private static func isPlan(_ path: String) -> Bool {
    guard Files.kind(of: path) == .file, let mapped = try? MappedFile(path: path) else { return false }
    return mapped.withBytes { $0.starts(with: PlanFile.magic) }
  }

  /// The path of a model's file that its configuration names. It stays in the model's folder, or in its version's where that is a link.
  static func modelFile(_ name: String, version: Int, in folder: String) throws(FileError) -> String {
    do throws(FileError) { return try Files.path(of: "\(version)/\(name)", inside: folder) } catch {
      return try Files.path(of: name, inside: "\(folder)/\(version)")
    }
  }

  /// Which of the version folders found are served (common `protobuf/model_config.proto`, ModelVersionPolicy; none stated: the latest).
  static func versions(_ configuration: ModelConfiguration, found: [Int]) throws(ModelConfigurationError) -> [Int] {
    guard let latest = found.last else {
      throw configuration.error(
        "model '\(configuration.name)' has no version folder (a folder named 1, 2, ...) with a model in it", field: "name")
    }
    switch configuration.versionPolicy {
    case nil: return [latest]
    case .latest(let count): return Array(found.suffix(max(1, count)))
    case .all: return found
    case .specific(let wanted):
      for version in wanted where !found.contains(version) {
        throw configuration.error(
          "model '\(configuration.name)' has no version \(version), which its version_policy names; there are \(found)",
          field: "version_policy")
      }
      return Set(wanted).sorted()
    }
  }

  /// Throws where the model's file that the configuration names lies outside the model's folder.
  static func checkModelFile(_ configuration: ModelConfiguration, version: Int, in folder: String) throws(ModelConfigurationError) {
    guard !configuration.defaultModelFilename.isEmpty else { return }
    do throws(FileError) { _ = try modelFile(configuration.defaultModelFilename, version: version, in: folder) } catch {
      // One that is missing has the loader's own words.
      if error.reason.hasPrefix("it is outside") {
        throw configuration.error(
          "the model's file '\(configuration.defaultModelFilename.prefix(80))' is outside model directory", field: "default_model_filename")
      }
    }
  }

  /// Where a version's folder holds no model: what was looked for, and what is there.
  static func missingModelFile(_ configuration: ModelConfiguration, version: Int, in folder: String) -> String {
    let names = configuration.defaultModelFilename.isEmpty ? ["model.onnx", "model.plan"] : [configuration.defaultModelFilename]
    let held = ((try? Files.entries(of: "\(folder)/\(version)")) ?? []).sorted()
    let some = held.prefix(3).map { excerpt($0) }.joined(separator: ", ") + (held.count > 3 ? ", ..." : "")
    return "\(folder)/\(version) has none of \(names.joined(separator: ", ")) (it \(held.isEmpty ? "is empty" : "holds \(some)"))"
  }

  private static func excerpt(_ name: String) -> String { name.count > 60 ? name.prefix(60) + "..." : name }

  /// Looks for the files that a configuration names besides the model's.
  static func checkFiles(_ configuration: ModelConfiguration, at place: ModelLocation) throws(ModelConfigurationError) {
    _ = try labels(configuration, at: place)
    guard case .folder(let folder) = place else { return }
    for (index, sample) in configuration.warmupSamples.enumerated() {
      for (input, given) in sample.inputs.sorted(by: { $0.key < $1.key }) {
        guard case .file(let name) = given.data else { continue }
        do throws(FileError) { _ = try Files.path(of: "warmup/\(name)", inside: folder) } catch {
          throw configuration.warmupError("the data of input '\(input)' in model_warmup '\(sample.name)': \(error)", sample: index)
        }
      }
    }
  }

  /// Labels by output. A file that is missing or lies outside the model's folder is an error.
  /// Source: core `src/model.cc` (Init), `src/label_provider.cc`.
  static func labels(_ configuration: ModelConfiguration, at place: ModelLocation) throws(ModelConfigurationError) -> [String: [String]] {
    var labels: [String: [String]] = [:]
    for (index, output) in configuration.outputs.enumerated() where !output.labelFilename.isEmpty {
      let bytes: [UInt8]
      switch place {
      case .folder(let folder):
        do throws(FileError) {
          bytes = try Files.readRegular(try Files.path(of: output.labelFilename, inside: folder), limit: maximumBytes)
        } catch {
          let isOutside = error.reason.hasPrefix("it is outside")
          throw configuration.labelError(
            isOutside
              ? "label file path '\(error.path)' for output '\(output.name)' in model '\(configuration.name)' is outside model directory"
              : "the label file of output '\(output.name)' cannot be read: cannot \(error.action) \(error.path): \(error.reason)",
            output: index)
        }
      case .sent(let files):
        guard let sent = files[output.labelFilename] else {
          throw configuration.labelError(
            "the label file of output '\(output.name)' cannot be read: the files sent have no \(output.labelFilename)", output: index)
        }
        bytes = sent
      case .file, .builtIn: continue
      }
      labels[output.name] = LabelFile.labels(bytes)
    }
    return labels
  }

  /// Names of files sent with a load call: they stay in the model's folder. Source: core
  /// `src/model_repository_manager/model_repository_manager.cc` (CreateAgentModelListWithLoadAction).
  static func checkSent(_ files: [String: [UInt8]]) throws(ModelLoader.Failure) {
    for name in files.keys.sorted() {
      let parts = name.split(separator: "/", omittingEmptySubsequences: false)
      if parts.contains("..") || parts.contains("") || name.utf8.contains(0) {
        throw ModelLoader.Failure(
          description: "Invalid file parameter 'file:\(name.prefix(80))': it must stay within the model's folder, as in file:1/model.onnx")
      }
    }
  }
}
