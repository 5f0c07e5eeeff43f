import CheckedNumbers
import ModelConfiguration
import TimeBase

/// The model that an engine's process is to load.
struct EngineLoad: Sendable, Hashable {
  enum Engine: Sendable, Hashable {
    /// `library`: the file that the server itself found.
    case onnxRuntime(library: String, path: String, threads: Int, options: ONNXRuntimeOptions)
    /// The stand-in of tests: what it gets, it gives, faults as asked for.
    case identity(ModelSignature, hasRows: Bool, delay: TimeSpan, fault: IdentityModel.Fault?)
  }

  var engine: Engine

  init(_ engine: Engine) { self.engine = engine }

  func encode(to writer: inout EngineWriter) {
    switch engine {
    case .onnxRuntime(let library, let path, let threads, let options):
      writer.integer(UInt8(1))
      writer.text(library)
      writer.text(path)
      writer.integer(Int64(clamping: threads))
      options.encode(to: &writer)
    case .identity(let signature, let hasRows, let delay, let fault):
      writer.integer(UInt8(2))
      signature.encode(to: &writer)
      writer.flag(hasRows)
      writer.integer(delay.nanoseconds)
      writer.optional(fault) { writer, fault in
        let (kind, batch, value): (UInt8, Int, Int64) =
          switch fault {
          case .fail(let batch): (1, batch, 0)
          case .hang(let batch, let span): (2, batch, span.nanoseconds)
          case .signal(let batch, let number): (3, batch, Int64(clamping: number))
          case .exit(let batch, let code): (4, batch, Int64(clamping: code))
          }
        writer.integer(kind)
        writer.integer(Int64(clamping: batch))
        writer.integer(value)
      }
    }
  }

  init(_ reader: inout EngineReader) throws(EngineMessageError) {
    switch try reader.integer(UInt8.self) {
    case 1:
      let (library, path) = (try reader.text(), try reader.text())
      let threads = Int(clamping: try reader.integer(Int64.self))
      self.init(.onnxRuntime(library: library, path: path, threads: threads, options: try ONNXRuntimeOptions(&reader)))
    case 2:
      let signature = try ModelSignature(&reader)
      let hasRows = try reader.flag()
      let delay = TimeSpan(nanoseconds: try reader.integer())
      let fault = try reader.optional { reader throws(EngineMessageError) -> IdentityModel.Fault in
        let kind = try reader.integer(UInt8.self)
        let batch = Int(clamping: try reader.integer(Int64.self))
        let value = try reader.integer(Int64.self)
        switch kind {
        case 1: return .fail(batch: batch)
        case 2: return .hang(batch: batch, TimeSpan(nanoseconds: value))
        case 3: return .signal(batch: batch, Int32(truncatingIfNeeded: value))
        case 4: return .exit(batch: batch, Int32(truncatingIfNeeded: value))
        default: throw .malformed("a fault of kind \(kind)")
        }
      }
      self.init(.identity(signature, hasRows: hasRows, delay: delay, fault: fault))
    case let kind: throw .malformed("an engine of kind \(kind)")
    }
  }
}

/// What an engine's process says of the model it loaded.
struct EngineLoaded: Sendable, Hashable {
  var signature: ModelSignature
  var hasRows: Bool
  var weightBytes: Int
  var omissible: [Int]
  var step: String

  func encode(to writer: inout EngineWriter) {
    signature.encode(to: &writer)
    writer.flag(hasRows)
    writer.integer(Int64(clamping: weightBytes))
    writer.list(omissible) { $0.integer(Int64(clamping: $1)) }
    writer.text(step)
  }
}

extension EngineLoaded {
  init(_ reader: inout EngineReader) throws(EngineMessageError) {
    self.init(
      signature: try ModelSignature(&reader), hasRows: try reader.flag(),
      weightBytes: max(0, Int(clamping: try reader.integer(Int64.self))),
      omissible: try reader.list(minimumElementBytes: 8) { reader throws(EngineMessageError) in
        Int(clamping: try reader.integer(Int64.self))
      },
      step: try reader.text())
  }
}

extension ModelSignature {
  fileprivate func encode(to writer: inout EngineWriter) {
    for tensors in [inputs, outputs] {
      writer.list(tensors) { writer, tensor in
        writer.text(tensor.name)
        writer.integer(UInt8(truncatingIfNeeded: tensor.dataType.onnxElement))
        writer.list(tensor.dims) { $0.integer(Int64(clamping: $1)) }
        writer.flag(tensor.isOptional)
      }
    }
  }

  fileprivate init(_ reader: inout EngineReader) throws(EngineMessageError) {
    func tensor(_ reader: inout EngineReader) throws(EngineMessageError) -> Tensor {
      let name = try reader.text()
      let code = try reader.integer(UInt8.self)
      guard let type = TensorDataType(onnxElement: Int32(clamping: code)) else { throw .malformed("a tensor of type \(code)") }
      let dims = try reader.list(minimumElementBytes: 8) { reader throws(EngineMessageError) in
        Int(clamping: try reader.integer(Int64.self))
      }
      guard dims.count <= 1024, dims.allSatisfy({ $0 >= -1 }) else { throw .malformed("a tensor of shape \(dims.prefix(16))") }
      return Tensor(name: name, dataType: type, dims: dims, isOptional: try reader.flag())
    }
    self.init(inputs: try reader.list(minimumElementBytes: 10, tensor), outputs: try reader.list(minimumElementBytes: 10, tensor))
  }
}

extension ONNXRuntimeOptions {
  fileprivate func encode(to writer: inout EngineWriter) {
    writer.optional(intraThreads) { $0.integer(Int64(clamping: $1)) }
    writer.optional(interThreads) { $0.integer(Int64(clamping: $1)) }
    writer.flag(isParallel)
    writer.integer(UInt8(truncatingIfNeeded: optimization.rawValue))
    writer.optional(usesArena) { $0.flag($1) }
    writer.optional(usesMemoryPattern) { $0.flag($1) }
    writer.optional(shrinksArena) { $0.text($1) }
    writer.list(entries) { writer, entry in
      writer.text(entry.key)
      writer.text(entry.value)
    }
  }

  fileprivate init(_ reader: inout EngineReader) throws(EngineMessageError) {
    self.init()
    intraThreads = try reader.optional { reader throws(EngineMessageError) in Int(clamping: try reader.integer(Int64.self)) }
    interThreads = try reader.optional { reader throws(EngineMessageError) in Int(clamping: try reader.integer(Int64.self)) }
    isParallel = try reader.flag()
    let level = try reader.integer(UInt8.self)
    guard let known = Optimization(rawValue: Int(clamping: level)) else { throw .malformed("optimization \(level)") }
    optimization = known
    usesArena = try reader.optional { reader throws(EngineMessageError) in try reader.flag() }
    usesMemoryPattern = try reader.optional { reader throws(EngineMessageError) in try reader.flag() }
    shrinksArena = try reader.optional { reader throws(EngineMessageError) in try reader.text() }
    entries = try reader.list(minimumElementBytes: 8) { reader throws(EngineMessageError) in
      Entry(key: try reader.text(), value: try reader.text())
    }
  }
}
