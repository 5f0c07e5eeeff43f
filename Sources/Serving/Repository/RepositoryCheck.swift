import FileAccess
public import JSONText
import ModelConfiguration
import ONNXFormat

/// What a server would say of configurations, without one: of a whole repository, of one model's folder, or of a file alone. Nothing is
/// loaded; of a model's file no more is read than the inputs and outputs that it declares.
public enum RepositoryCheck {
  /// Something said about a configuration.
  public struct Remark: Sendable, Hashable {
    /// How much it matters.
    public enum Kind: String, Sendable, Hashable, CaseIterable {
      /// The model would not be loaded.
      case refused
      /// A part that has no effect.
      case ignored
      /// Worth knowing.
      case note
    }

    /// How much it matters.
    public var kind: Kind
    /// As it was named; with the line and column of a text.
    public var file: String
    /// 1-based.
    public var line: Int?
    /// 1-based, in bytes.
    public var column: Int?
    /// What is meant, and what to do where that is not obvious.
    public var reason: String
    /// Shown also to those who want to see no notes: it means that less was checked than they may believe.
    public var isKept = false

    /// "config.pbtxt:3:7: refused: ...".
    public var description: String {
      let place = line.map { ":\($0)" + (column.map { ":\($0)" } ?? "") } ?? ""
      return "\(file)\(place): \(kind.rawValue): \(reason)"
    }

    init(_ kind: Kind, file: String, place: ConfigurationPlace?, reason: String) {
      (self.kind, self.file) = (kind, file)
      switch place {
      case .position(let line, let column): (self.line, self.column, self.reason) = (line, column, reason)
      case .member(let path) where !path.isEmpty: self.reason = "\(path): \(reason)"
      default: self.reason = reason
      }
    }
  }

  /// A model and what there is to say of it.
  public struct Result: Sendable {
    /// The model's name.
    public var model: String
    /// Its configuration; its folder where it has none.
    public var file: String
    /// The model's file that the configuration was compared with; nil where there is none.
    public var modelFile: String?
    /// A model's folder without a model that a server could load: it would be refused, for all that was found to be right.
    public var lacksModelFile = false
    /// In the order in which they were found.
    public var remarks: [Remark] = []
    /// As it would be served, defaults filled in; nil for one that is refused.
    public var configuration: JSONValue?

    /// Whether it would be loaded, as far as this can tell.
    public var isAccepted: Bool { !remarks.contains { $0.kind == .refused } }
  }

  /// Checks what lies at `path`: a configuration's file, a model's folder, or a repository of them.
  public static func check(_ path: String) throws(FileError) -> [Result] {
    guard let kind = Files.kind(of: path) else {
      throw FileError(path: path, action: "check", reason: "there is no such file or folder")
    }
    if kind == .file { return [try checkFile(path)] }
    let path = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
    let hasVersions = !(try ModelLocation.folder(path).versions()).isEmpty
    if hasVersions || Files.kind(of: "\(path)/config.pbtxt") == .file {
      return [model(try folderName(path), in: path, file: nil)]
    }
    let names = try Files.entries(of: path).filter { !$0.hasPrefix(".") && Files.kind(of: "\(path)/\($0)") == .folder }
    if names.isEmpty { throw FileError(path: path, action: "check", reason: "it holds no model's folder and no config.pbtxt") }
    return names.map { model($0, in: "\(path)/\($0)", file: nil) }
  }

  private static func folderName(_ path: String) throws(FileError) -> String {
    String(try Files.resolved(path).split(separator: "/").last ?? "")
  }

  /// A file alone has the name that it gives itself, and no model unless its folder is a model's.
  private static func checkFile(_ path: String) throws(FileError) -> Result {
    let folder = path.contains("/") ? String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)]) : "."
    let parent = folder.isEmpty ? "/" : folder
    let name = String(path.split(separator: "/").last ?? "")
    if ModelBackend.name(ofFile: name) != nil || [".onnx", ".plan", ".py"].contains(where: name.hasSuffix) {
      throw FileError(path: path, action: "check", reason: "it is not a config.pbtxt; give that, or the model's folder")
    }
    if !(try ModelLocation.folder(parent).versions()).isEmpty { return model(try folderName(parent), in: parent, file: path) }
    return model(nil, in: parent, file: path)
  }

  /// `name` is nil for a file outside a model's folder; `file` is nil for the folder's own configuration.
  private static func model(_ name: String?, in folder: String, file: String?) -> Result {
    var result = Result(model: name ?? "", file: file ?? "\(folder)/config.pbtxt")
    if file == nil, Files.kind(of: result.file) != .file { result.file = folder }
    do throws(ModelConfigurationError) {
      let parsed =
        if let file { try ConfigurationReader.read(file: file) } else { try ConfigurationReader.read(folder: folder) }
      var configuration = parsed?.configuration ?? ModelConfiguration(name: name ?? "")
      if let parsed { result.add(.ignored, ConfigurationReader.warnings(parsed, hasGPU: false)) }
      if let name { try ConfigurationReader.name(&configuration, name) }
      if configuration.name.isEmpty { configuration.name = "model" }
      result.model = configuration.name
      if parsed == nil { result.noteMisnamed(in: folder) }
      try result.check(configuration, in: folder, isAlone: name == nil)
    } catch {
      result.remarks.append(
        Remark(.refused, file: error.file.isEmpty ? result.file : error.file, place: error.place, reason: error.reason))
    }
    return result
  }
}

extension RepositoryCheck.Result {
  fileprivate mutating func add(_ kind: RepositoryCheck.Remark.Kind, _ warnings: [ModelConfigurationWarning]) {
    // Versions have the same parameters.
    for warning in warnings {
      let remark = RepositoryCheck.Remark(kind, file: warning.file, place: warning.place, reason: warning.reason)
      if !remarks.contains(remark) { remarks.append(remark) }
    }
  }

  private mutating func note(_ reason: String, isKept: Bool = false) {
    var remark = RepositoryCheck.Remark(.note, file: file, place: nil, reason: reason)
    remark.isKept = isKept
    if !remarks.contains(remark) { remarks.append(remark) }
  }

  private mutating func noteMissing(_ reason: String) {
    lacksModelFile = true
    note(reason, isKept: true)
  }

  /// A folder without config.pbtxt that holds something like it.
  fileprivate mutating func noteMisnamed(in folder: String) {
    let names = ((try? Files.entries(of: folder)) ?? []).sorted()
    guard let name = names.first(where: { $0.hasPrefix("config.") || $0.hasSuffix(".pbtxt") || $0.hasSuffix(".pbtext") }) else { return }
    note("\(folder)/\(name) is not read: a configuration is called config.pbtxt", isKept: true)
  }

  fileprivate mutating func check(
    _ configuration: ModelConfiguration, in folder: String, isAlone: Bool
  ) throws(ModelConfigurationError) {
    let place = ModelLocation.folder(folder)
    let backend = try configuration.namedBackend()
    let found = isAlone ? [] : (try? place.versions()) ?? []
    if found.isEmpty {
      try reviewParameters(configuration, backend == .identity ? .identity : backend == .builtIn ? .builtIn : nil)
      try ConfigurationReader.validate(configuration, version: nil, at: isAlone ? .file(file) : place)
      if isAlone { note("checked alone: no model's folder is around it") } else { noteNoVersion(configuration, in: folder) }
      accept(configuration)
      return
    }
    try ConfigurationReader.checkFiles(configuration, at: place)
    for version in try ConfigurationReader.versions(configuration, found: found) {
      try ConfigurationReader.validate(configuration, version: version, at: place)
      if backend == .identity {
        try reviewParameters(configuration, .identity)
        accept(configuration)
      } else if backend == .builtIn {
        try reviewParameters(configuration, .builtIn)
        do { _ = try ModelLoader.builtIn(configuration) } catch {
          throw configuration.error("\(error)", field: "parameters")
        }
        accept(configuration)
      } else {
        try compare(configuration, version: version, in: folder)
      }
    }
  }

  /// What its parameters do where this runs it; nil: it cannot be told, since no model's file is there.
  private mutating func reviewParameters(
    _ configuration: ModelConfiguration, _ runner: KnownParameter.Runner?
  ) throws(ModelConfigurationError) {
    if runner == .onnxRuntime { _ = try configuration.onnxRuntimeOptions() }
    let review = try configuration.reviewParameters(runner)
    add(.ignored, review.warnings)
    add(.note, review.unused)
    guard runner == nil else { return }
    do throws(ModelConfigurationError) { _ = try configuration.onnxRuntimeOptions() } catch {
      var remark = RepositoryCheck.Remark(
        .note, file: error.file.isEmpty ? file : error.file, place: error.place,
        reason: error.reason + "; `headroom serve` refuses it where ONNX Runtime runs the model")
      remark.isKept = true
      remarks.append(remark)
    }
  }

  private mutating func noteNoVersion(_ configuration: ModelConfiguration, in folder: String) {
    let named = configuration.defaultModelFilename
    let misplaced = (named.isEmpty ? ["model.onnx", "model.plan"] : [named]).first { Files.kind(of: "\(folder)/\($0)") != nil }
    let refuses = "no version folder (1, 2, ...): `headroom serve` refuses such a model; checked without a model"
    if let misplaced {
      noteMissing("\(misplaced) lies beside config.pbtxt: move it to 1/\(misplaced); \(refuses)")
    } else {
      noteMissing(file == folder ? "no config.pbtxt and " + refuses : refuses)
    }
  }

  /// Completes the configuration from what the version's file declares, where there is one.
  private mutating func compare(_ configuration: ModelConfiguration, version: Int, in folder: String) throws(ModelConfigurationError) {
    let named = configuration.defaultModelFilename
    try ConfigurationReader.checkModelFile(configuration, version: version, in: folder)
    // A folder in the file's place holds the model beside its weights.
    let path = (named.isEmpty ? ["model.onnx", "model.plan"] : [named]).flatMap { name in
      ["\(folder)/\(version)/\(name)", "\(folder)/\(version)/\(name)/model.onnx"]
    }.first { Files.kind(of: $0) == .file }
    guard let path else {
      try reviewParameters(configuration, nil)
      noteMissing(
        ConfigurationReader.missingModelFile(configuration, version: version, in: folder)
          + ": `headroom serve` refuses it; checked without it")
      return accept(configuration)
    }
    let isPlan = path.hasSuffix(".plan")
    if !isPlan {
      do throws(ONNXError) { try ModelFiles(path: path).check() } catch {
        throw ModelConfigurationError(file: path, reason: error.place.isEmpty ? error.reason : "\(error.place): \(error.reason)")
      }
    }
    let engine = isPlan ? nil : try EngineChoice.reason(ModelFiles(path: path), configuration)
    try reviewParameters(configuration, engine == nil ? .ownKernels : .onnxRuntime)
    if let engine { note("needs ONNX Runtime, which was not asked: \(engine)") }
    guard !isPlan else {
      note("\(path) is not compared with the configuration")
      return accept(configuration)
    }
    modelFile = path
    let interface: ONNXInterface
    do throws(ONNXError) { interface = try ONNXInterface.read(path: path) } catch {
      throw ModelConfigurationError(file: path, reason: error.reason)
    }
    guard let signature = ModelSignature(interface, inputs: Set(configuration.inputs.map(\.name))) else {
      note("\(path) declares no shape for one of its tensors: not compared with the configuration")
      return accept(configuration)
    }
    do throws(ModelLoader.Failure) {
      try ModelLoader.refuseBatching(configuration, defaults: ModelFiles(path: path).survey().overridableInputs)
    } catch { throw configuration.error(error.description, field: "input") }
    let completed = try configuration.completed(from: signature)
    try completed.validate()
    for (index, sample) in completed.warmupSamples.enumerated() where sample.batchSize > 0 {
      do throws(ModelLoader.Failure) { _ = try WarmUp.shapes(sample, of: completed, takesRows: completed.maxBatchSize > 0) } catch {
        throw completed.warmupError(error.description, sample: index)
      }
    }
    accept(completed)
  }

  private mutating func accept(_ configuration: ModelConfiguration) { self.configuration = configuration.normalized().json() }
}
