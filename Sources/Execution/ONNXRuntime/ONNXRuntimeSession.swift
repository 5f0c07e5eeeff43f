import CheckedNumbers
import Glibc
import ModelConfiguration

/// An ONNX Runtime session, shared by the instances of a model, with what it says about its inputs and outputs.
///
/// Sendable unchecked: every field is set once in `init`, the name tables are only read, and ONNX Runtime allows `Run` on one session from
/// any number of threads at one time.
final class ONNXRuntimeSession: @unchecked Sendable {
  let library: ONNXRuntimeLibrary
  let path: String
  let fileBytes: Int
  /// Full shapes.
  let signature: ModelSignature
  /// NULL-free C strings, one an input or output, in the signature's order.
  let inputNames: UnsafeMutablePointer<UnsafePointer<CChar>?>
  let outputNames: UnsafeMutablePointer<UnsafePointer<CChar>?>
  private let handle: OpaquePointer
  /// Set where the model's configuration asks for something at each run.
  private let runOptions: OpaquePointer?

  init(_ library: ONNXRuntimeLibrary, path: String, threads: Int, settings: ONNXRuntimeOptions = ONNXRuntimeOptions()) throws(DeviceError) {
    self.library = library
    self.path = path
    var status = stat()
    guard stat(path, &status) == 0 else {
      throw DeviceError(.unsupported, "\(path): \(String(cString: strerror(errno)))")
    }
    fileBytes = Int(clamping: status.st_size)
    let table = library.table
    let options = try library.made(.unsupported, "\(path): session options") { table.createOptions($0) }
    defer { table.releaseOptions(options) }
    try Self.apply(settings, to: options, library, path, threads: threads)
    var run: OpaquePointer?
    if let arenas = settings.shrinksArena {
      let made = try library.made(.unsupported, "\(path): run options") { table.createRunOptions($0) }
      run = made
      do throws(DeviceError) {
        try library.check(
          table.addRunConfigEntry(made, "memory.enable_memory_arena_shrinkage", arenas), .unsupported,
          "\(path): memory.enable_memory_arena_shrinkage")
      } catch {
        table.releaseRunOptions(made)
        throw error
      }
    }
    runOptions = run
    let session: OpaquePointer
    do throws(DeviceError) {
      session = try library.made(.unsupported, "ONNX Runtime does not load \(path)") {
        table.createSession(library.environment, path, options, $0)
      }
    } catch {
      table.releaseRunOptions(run)
      throw error
    }
    do throws(DeviceError) {
      var defaults = try Self.tensors(
        library, session, path, "input", table.optionalCount, table.optionalName, table.optionalTypeInfo)
      for index in defaults.indices { defaults[index].isOptional = true }
      signature = ModelSignature(
        inputs: try Self.tensors(library, session, path, "input", table.inputCount, table.inputName, table.inputTypeInfo) + defaults,
        outputs: try Self.tensors(library, session, path, "output", table.outputCount, table.outputName, table.outputTypeInfo))
    } catch {
      table.releaseSession(session)
      table.releaseRunOptions(run)
      throw error
    }
    handle = session
    inputNames = Self.cStrings(signature.inputs)
    outputNames = Self.cStrings(signature.outputs)
  }

  deinit {
    library.table.releaseSession(handle)
    library.table.releaseRunOptions(runOptions)
    Self.free(inputNames, signature.inputs.count)
    Self.free(outputNames, signature.outputs.count)
  }

  /// Runs the model on `count` inputs; `outputs` receives values that the caller releases.
  func run(
    _ names: UnsafePointer<UnsafePointer<CChar>?>, _ inputs: UnsafePointer<OpaquePointer?>, count: Int,
    _ outputs: UnsafeMutablePointer<OpaquePointer?>
  ) throws(DeviceError) {
    let status = library.table.run(handle, runOptions, names, inputs, count, outputNames, signature.outputs.count, outputs)
    try library.checkRun(status, "\(name): ONNX Runtime")
  }

  var name: String { Self.name(of: path) }

  /// The model's name for people: `resnet` of `models/resnet/1/model.onnx`, else the file's own name.
  static func name(of path: String) -> String {
    var parts = path.split(separator: "/").map(String.init)
    // A folder in the file's place, weights beside the model.
    if parts.count >= 2, parts.suffix(2) == ["model.onnx", "model.onnx"] { parts.removeLast() }
    if parts.count >= 3, parts[parts.count - 1] == "model.onnx", Int(parts[parts.count - 2]) != nil { return parts[parts.count - 3] }
    return parts.last ?? path
  }

  private static func apply(
    _ settings: ONNXRuntimeOptions, to options: OpaquePointer, _ library: ONNXRuntimeLibrary, _ path: String, threads: Int
  ) throws(DeviceError) {
    let table = library.table
    func check(_ status: OpaquePointer?, _ what: String) throws(DeviceError) {
      try library.check(status, .unsupported, "\(path): \(what)")
    }
    // Set on purpose, 0 would pin threads to cores and take all of them.
    try check(table.setIntraThreads(options, Int32(clamping: settings.intraThreads ?? threads)), "threads")
    try check(table.setInterThreads(options, Int32(clamping: settings.interThreads ?? (settings.isParallel ? threads : 1))), "threads")
    try check(table.setExecutionMode(options, settings.isParallel ? 1 : 0), "execution_mode")
    try check(table.setOptimization(options, Int32(clamping: settings.optimization.rawValue)), "optimization.graph.level")
    if let arena = settings.usesArena { try check(arena ? table.enableArena(options) : table.disableArena(options), "enable_mem_arena") }
    if let pattern = settings.usesMemoryPattern {
      try check(pattern ? table.enablePattern(options) : table.disablePattern(options), "enable_mem_pattern")
    } else if settings.isParallel {
      // ONNX Runtime's own rule: a pattern holds for one order of operators only.
      try check(table.disablePattern(options), "enable_mem_pattern")
    }
    // Spinning threads cost several times the run time beside a busy neighbour, and wake-ups when idle.
    for key in ["session.intra_op.allow_spinning", "session.inter_op.allow_spinning"]
    where !settings.entries.contains(where: { $0.key == key }) {
      try check(table.addConfigEntry(options, key, "0"), key)
    }
    for entry in settings.entries { try check(table.addConfigEntry(options, entry.key, entry.value), entry.key) }
  }

  /// The type of a tensor and its sizes, -1 for one left open.
  static func typeAndShape(_ library: ONNXRuntimeLibrary, _ info: OpaquePointer, _ kind: DeviceError.Kind, _ what: String)
    throws(DeviceError) -> (type: Int32, shape: [Int])
  {
    let table = library.table
    var type: Int32 = 0
    try library.check(table.elementType(info, &type), kind, what)
    var rank = 0
    try library.check(table.dimensionsCount(info, &rank), kind, what)
    // ONNX itself sets no limit on the rank; nobody has seen a hundred.
    guard rank >= 0, rank <= 1024 else { throw DeviceError(kind, "\(what): rank \(rank)") }
    var dimensions = [Int64](repeating: 0, count: rank)
    let status = dimensions.withUnsafeMutableBufferPointer { table.dimensions(info, $0.baseAddress, rank) }
    try library.check(status, kind, what)
    return (type, dimensions.map { $0 < 0 ? -1 : Int(clamping: $0) })
  }

  private static func tensors(
    _ library: ONNXRuntimeLibrary, _ session: OpaquePointer, _ path: String, _ word: String, _ count: ONNXRuntimeTable.Count,
    _ name: ONNXRuntimeTable.Name, _ info: ONNXRuntimeTable.Indexed
  ) throws(DeviceError) -> [ModelSignature.Tensor] {
    let table = library.table
    var total = 0
    try library.check(count(session, &total), .unsupported, "\(path): \(word)s")
    var tensors: [ModelSignature.Tensor] = []
    for index in 0..<max(total, 0) {
      var text: UnsafeMutablePointer<CChar>?
      try library.check(name(session, index, library.allocator, &text), .unsupported, "\(path): \(word) \(index)")
      guard let text else { throw DeviceError(.unsupported, "\(path): \(word) \(index) has no name") }
      let tensorName = String(cString: text)
      try library.check(table.free(library.allocator, text), .unsupported, "\(path): \(word) \(index)")
      let what = "\(path): \(word) '\(tensorName)'"
      let typeInfo = try library.made(.unsupported, what) { info(session, index, $0) }
      defer { table.releaseTypeInfo(typeInfo) }
      // Borrowed from the type info; NULL for sequences and maps.
      var borrowed: OpaquePointer?
      try library.check(table.castToTensorInfo(typeInfo, &borrowed), .unsupported, what)
      guard let borrowed else {
        throw DeviceError(.unsupported, "\(what) is a sequence, map or optional; only tensors can be served: export the model without it")
      }
      let (type, shape) = try typeAndShape(library, borrowed, .unsupported, what)
      guard let dataType = TensorDataType(onnxElement: type) else {
        throw DeviceError(.unsupported, "\(what) has ONNX element type \(type), which no KServe type stands for")
      }
      tensors.append(ModelSignature.Tensor(name: tensorName, dataType: dataType, dims: shape))
    }
    return tensors
  }

  private static func cStrings(_ tensors: [ModelSignature.Tensor]) -> UnsafeMutablePointer<UnsafePointer<CChar>?> {
    let names = UnsafeMutablePointer<UnsafePointer<CChar>?>.allocate(capacity: max(tensors.count, 1))
    for (index, tensor) in tensors.enumerated() { (names + index).initialize(to: strdup(tensor.name).map { UnsafePointer($0) }) }
    return names
  }

  private static func free(_ names: UnsafeMutablePointer<UnsafePointer<CChar>?>, _ count: Int) {
    for index in 0..<count { Glibc.free(UnsafeMutableRawPointer(mutating: names[index])) }
    names.deallocate()
  }
}
