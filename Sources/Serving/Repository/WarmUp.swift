import CheckedNumbers
import Execution
import FileAccess
import KServe
import ModelConfiguration
import ONNXFormat
import TimeBase
import Threads

/// Runs a new model's instances before it is reported ready: first batches are slow (page faults, kernel choice, graphs), and a user should
/// not be the one to find out.
///
/// With `model_warmup` in the configuration: its samples, as core `src/backend_model_instance.cc` runs them; one that fails fails the load.
/// Without: zeros, ones where the model divides integers by them, at one row, every preferred size and the largest batch, because one size alone is not enough under dynamic batching.
/// Nobody asked for those, so a model that takes no zeros is served all the same, with a warning;
/// one with variable dimensions, or whose inputs' values are sizes or become divisors, is left alone, since nothing says what it is good
/// for: an invented zero has ended processes inside engines.
struct WarmUp {
  let model: ServedModel
  let isOn: Bool
  let folder: String?
  /// What the model's file says of its inputs' values.
  var survey = ONNXSurvey()
  let log: ServerLog

  func run(_ instances: [any ModelInstance]) throws(ModelLoader.Failure) {
    let samples = model.configuration.warmupSamples
    if samples.isEmpty, isOn, hasFixedShapes, let reason = survey.unknownValues {
      log.info("model '\(model.name)' is not warmed up: \(reason); model_warmup in its configuration can give it values")
      return
    }
    for instance in instances {
      if !samples.isEmpty {
        for sample in samples where sample.batchSize > 0 { try run(sample, on: instance) }
      } else if isOn, model.configuration.backend != "identity", hasFixedShapes {
        do throws(ModelLoader.Failure) {
          for rows in defaultSizes {
            try run(nil, shapes: shapes(rows), on: instance, name: "of \(rows) rows") { input, memory in
              if survey.divisors.contains(model.configuration.inputs[input].name) {
                Self.ones(memory, model.configuration.inputs[input].dataType)
              }
            }
          }
        } catch {
          log.warning("model '\(model.name)' is not warm: \(error); model_warmup in its configuration can give it other values")
        }
      }
    }
  }

  /// One, in every element.
  private static func ones(_ memory: UnsafeMutableRawBufferPointer, _ type: TensorDataType) {
    func fill<Element: BitwiseCopyable>(_ one: Element) {
      for offset in stride(from: 0, through: memory.count - MemoryLayout<Element>.size, by: MemoryLayout<Element>.size) {
        memory.storeBytes(of: one, toByteOffset: offset, as: Element.self)
      }
    }
    switch type {
    case .bool, .uint8, .int8: fill(UInt8(1))
    case .uint16, .int16: fill(UInt16(1))
    case .uint32, .int32: fill(UInt32(1))
    case .uint64, .int64: fill(UInt64(1))
    case .float16: fill(UInt16(0x3C00))
    case .bfloat16: fill(UInt16(0x3F80))
    case .float32: fill(Float(1))
    case .float64: fill(Double(1))
    case .string, .invalid: break
    }
  }

  private var defaultSizes: [Int] {
    guard model.takesRows else { return [1] }
    let preferred = model.configuration.dynamicBatching?.preferredBatchSizes ?? []
    return Set([1, model.configuration.maxBatchSize] + preferred).filter { $0 > 0 && $0 <= model.configuration.maxBatchSize }.sorted()
  }

  private var hasFixedShapes: Bool { model.configuration.inputs.allSatisfy { ($0.reshape ?? $0.dims).allSatisfy { $0 >= 0 } } }

  private func shapes(_ rows: Int) -> [[Int]] {
    model.configuration.inputs.map { (model.takesRows ? [rows] : []) + ($0.reshape ?? $0.dims) }
  }

  /// What a sample's tensors take at most, all inputs together: nobody sends more than that, and a configuration may come from a load call.
  private static let maximumSampleBytes = 1 << 30
  /// How long the repetitions of one sample (`count`) may take.
  private static let longestRepetition = TimeSpan.seconds(60)

  /// The shapes that a sample has, one per input; throws where it does not fit the configuration.
  static func shapes(_ sample: WarmupSample, of configuration: ModelConfiguration, takesRows: Bool) throws(ModelLoader.Failure) -> [[Int]] {
    func failure(_ reason: String) -> ModelLoader.Failure {
      ModelLoader.Failure(description: "failed to run warmup sample '\(sample.name)': \(reason)")
    }
    if takesRows, sample.batchSize > configuration.maxBatchSize {
      throw failure("its batch_size of \(sample.batchSize) is more than max_batch_size, \(configuration.maxBatchSize)")
    }
    var shapes: [[Int]] = []
    var bytes = 0
    for input in configuration.inputs {
      // What may be left out is, unless the sample gives it.
      if input.isOptional, sample.inputs[input.name] == nil {
        shapes.append(takesRows ? [sample.batchSize] : [])
        continue
      }
      guard let given = sample.inputs[input.name], !given.dims.contains(where: { $0 < 0 }) else {
        throw failure("it gives no input '\(input.name)' with fixed dims")
      }
      guard given.dims.count == input.dims.count, zip(given.dims, input.dims).allSatisfy({ $1 < 0 || $0 == $1 }),
        let inner = input.reshape.map({ TensorReshape.apply(given.dims[...], from: input.dims, to: $0) }) ?? given.dims
      else {
        throw failure("its dims \(given.dims) of input '\(input.name)' do not fit the model's, \(input.dims)")
      }
      shapes.append((takesRows ? [sample.batchSize] : []) + inner)
      let elements = TensorReshape.elements(shapes[shapes.count - 1][...]) ?? .max
      bytes = bytes.addingSaturated(elements.multipliedSaturated(by: input.dataType.bytesPerElement ?? 4))
    }
    guard bytes <= maximumSampleBytes else {
      throw failure(
        "its inputs take \(bytes == .max ? "more bytes than there are" : "\(bytes) bytes"); at most \(maximumSampleBytes) are given")
    }
    return shapes
  }

  private func run(_ sample: WarmupSample, on instance: any ModelInstance) throws(ModelLoader.Failure) {
    let shapes = try Self.shapes(sample, of: model.configuration, takesRows: model.takesRows)
    let end = MonotonicClock.now + Self.longestRepetition
    for repetition in 0..<max(1, sample.count) {
      if MonotonicClock.now > end {
        log.warning(
          "model '\(model.name)': warmup sample '\(sample.name)' ran \(repetition) of \(sample.count) times in "
            + "\(Self.longestRepetition.seconds) s, and no more")
        break
      }
      try run(sample, shapes: shapes, on: instance, name: "'\(sample.name)'") { input, memory throws(ModelLoader.Failure) in
        try fill(memory, input, sample)
      }
    }
  }

  private func fill(_ memory: UnsafeMutableRawBufferPointer, _ input: Int, _ sample: WarmupSample) throws(ModelLoader.Failure) {
    let declared = model.configuration.inputs[input]
    switch sample.inputs[declared.name]?.data {
    case .random:
      var generator = SplitMix64(seed: UInt64(clamping: input) &+ 1)
      // Numbers of a size models see; integers index tables, so that they stay zero.
      if declared.dataType == .float32 {
        let floats = memory.bindMemory(to: Float.self)
        for index in floats.indices { floats[index] = Float(generator.nextUnitDouble() * 2 - 1) }
      }
    case .file(let name):
      guard let folder else {
        throw ModelLoader.Failure(description: "failed to run warmup sample '\(sample.name)': input_data_file needs a model folder")
      }
      let rows = model.takesRows ? sample.batchSize : 1
      do throws(FileError) {
        let bytes = try Files.readRegular(try Files.path(of: "warmup/\(name)", inside: folder))
        guard rows > 0, bytes.count == memory.count / rows else {
          throw FileError(
            path: "\(folder)/warmup/\(name)", action: "use",
            reason: "it has \(bytes.count) bytes; a row of the input takes \(memory.count / max(1, rows))")
        }
        for row in 0..<rows { UnsafeMutableRawBufferPointer(rebasing: memory[(row * bytes.count)...]).copyBytes(from: bytes) }
      } catch {
        throw ModelLoader.Failure(description: "failed to run warmup sample '\(sample.name)': \(error)")
      }
    case .zero, nil: break
    }
  }

  private func run(
    _ sample: WarmupSample?, shapes: [[Int]], on instance: any ModelInstance, name: String,
    fill: (Int, UnsafeMutableRawBufferPointer) throws(ModelLoader.Failure) -> Void
  ) throws(ModelLoader.Failure) {
    let waiter = Waiter()
    let inputs = model.configuration.inputs
    let omitted = inputs.indices.filter { inputs[$0].isOptional && sample?.inputs[inputs[$0].name] == nil }
    let batch = CheckedInstance(instance, model.layout)
    let rows = model.takesRows ? shapes.first?.first ?? 1 : 1
    do throws(DeviceError) {
      try batch.begin(shapes, rows: rows, omitting: omitted)
      for input in inputs.indices where !omitted.contains(input) {
        // Empty strings: a length of zero each.
        let bytes = shapes[input].reduce(inputs[input].dataType.bytesPerElement ?? 4) { $0 &* $1 }
        if batch.isString(input) { try batch.reserve(input, byteCount: bytes) }
        var problem: ModelLoader.Failure?
        let written = try batch.write(input, rows: rows, byteCount: bytes) { memory in
          memory.initializeMemory(as: UInt8.self, repeating: 0)
          do throws(ModelLoader.Failure) { try fill(input, memory) } catch { problem = error }
          return problem == nil
        }
        if let problem { throw DeviceError(.badInput, problem.description) }
        if written != .whole {
          throw DeviceError(.badInput, "input '\(inputs[input].name)' takes no \(bytes) bytes of shape \(shapes[input])")
        }
      }
      batch.run(events: nil) { waiter.finish($0) }
      _ = try waiter.wait().get()
    } catch {
      let prefix = "failed to run warmup sample "
      throw ModelLoader.Failure(description: error.description.hasPrefix(prefix) ? error.description : "\(prefix)\(name): \(error)")
    }
  }
}

/// Waits for one completion.
///
/// `@unchecked Sendable`: guarded by the monitor.
private final class Waiter: @unchecked Sendable {
  private let monitor = Monitor()
  private var result: Result<BatchTimes, DeviceError>?

  func finish(_ result: Result<BatchTimes, DeviceError>) {
    monitor.withLock { self.result = result }
    monitor.signal()
  }

  func wait() -> Result<BatchTimes, DeviceError> {
    monitor.lock()
    defer { monitor.unlock() }
    while true {
      if let result { return result }
      monitor.wait()
    }
  }
}
