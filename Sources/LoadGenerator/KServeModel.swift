import CheckedNumbers
import JSONText
import KServe
import ModelConfiguration
import ProtobufWire
import TimeBase
public import Workload

/// A model as its server describes it, and requests to it.
public struct KServeModel: Sendable {
  /// A tensor of its metadata.
  struct Tensor: Sendable {
    var name: String
    var dataType: TensorDataType
    var shape: [Int64]
  }

  /// What inputs are filled with.
  public enum InputData: Sendable, Hashable {
    /// Drawn from the seed.
    case random
    /// Zeros.
    case zero
    /// Bytes of each input, rows one after the other, begun again at the end.
    case files([String: [UInt8]])
  }

  /// How requests are to be.
  public struct RequestOptions: Sendable {
    /// Rows of each.
    public var rows = RowDistribution.fixed(1)
    /// What inputs are filled with.
    public var data = InputData.random
    /// Tensors as bytes behind the JSON, both ways.
    public var isBinary = true
    /// Of all draws.
    public var seed: UInt64 = 1
    /// Sizes for dimensions the model leaves open, by input; the first dimension of a batching model is rows and not among them.
    public var shapes: [String: [Int64]] = [:]
    /// Of every request.
    public var headers: [String] = []
    /// How many different requests there are.
    public var variety = 16

    /// One row of random numbers, binary.
    public init() {}
  }

  /// Bytes of all prepared requests together.
  private static let byteLimit = 1 << 30

  /// Its name.
  public let name: String
  private let path: String
  private let inputs: [Tensor]
  private let maxBatchSize: Int64
  private let version: String?
  private let transport: KServeTransport

  /// Asks the server for its metadata and configuration over HTTP.
  public init(name: String, version: String?, exchange: BlockingExchange) throws(LoadError) {
    try self.init(name: name, version: version, transport: .http(exchange))
  }

  /// Asks the server for its metadata and configuration.
  public init(name: String, version: String?, transport: KServeTransport) throws(LoadError) {
    switch transport {
    case .http(let exchange): try self.init(name: name, version: version, http: exchange)
    case .grpc(let exchange): try self.init(name: name, version: version, grpc: exchange)
    }
  }

  private init(name: String, version: String?, grpc exchange: GRPCExchange) throws(LoadError) {
    self.name = name
    self.version = version
    transport = .grpc(exchange)
    path = name
    let asked = KServeGRPC.named(name, version: version)
    let metadata = try exchange.call("ModelMetadata", asked)
    do {
      inputs = try KServeGRPC.inputs(of: metadata).map { input in
        guard let type = TensorDataType(kserveName: input.dataType) else {
          throw LoadError("ModelMetadata: input \(input.name) is of the unknown datatype \(input.dataType)")
        }
        return Tensor(name: input.name, dataType: type, shape: input.shape)
      }
    } catch let error as LoadError { throw error } catch { throw LoadError("ModelMetadata: the answer is broken: \(error)") }
    // Other servers have no such call: their models' first open dimension is taken as rows.
    maxBatchSize = (try? KServeGRPC.maxBatchSize(of: exchange.call("ModelConfig", asked))) ?? -1
  }

  private init(name: String, version: String?, http exchange: BlockingExchange) throws(LoadError) {
    self.name = name
    self.version = version
    transport = .http(exchange)
    path = "/v2/models/\(name)" + (version.map { "/versions/\($0)" } ?? "")
    let metadata = try Self.document(path, exchange)
    guard let list = metadata["inputs"]?.arrayValue else { throw LoadError("\(path): the metadata has no inputs") }
    var inputs: [Tensor] = []
    for entry in list {
      guard let name = entry["name"]?.stringValue, let type = entry["datatype"]?.stringValue.flatMap({ TensorDataType(kserveName: $0) }),
        let shape = entry["shape"]?.arrayValue
      else { throw LoadError("\(path): an input of the metadata lacks its name, datatype or shape") }
      inputs.append(Tensor(name: name, dataType: type, shape: shape.compactMap(\.integerValue)))
    }
    self.inputs = inputs
    // Other servers have no such page: their models' first open dimension is taken as rows.
    maxBatchSize = (try? Self.document(path + "/config", exchange))?["max_batch_size"]?.integerValue ?? -1
  }

  private static func document(_ path: String, _ exchange: BlockingExchange) throws(LoadError) -> JSONValue {
    let answer = try exchange.get(path)
    guard answer.status == 200, let tree = try? JSONValue.parse(answer.body) else {
      let text = String(decoding: answer.body.prefix(300), as: UTF8.self)
      throw LoadError("GET \(path): status \(answer.status): \(text)")
    }
    return tree
  }

  /// The requests of a run. Each is sent once, so that a model that cannot answer is found before the run, and its answer kept as what others
  /// must look like.
  public func plan(_ options: RequestOptions, verifiesValues: Bool) throws(LoadError) -> RequestPlan {
    var plan = RequestPlan(name: name)
    var random = SplitMix64(seed: options.seed).split(0x6461_7461)
    let rows = options.rows.largest
    if maxBatchSize >= 0, rows > max(1, maxBatchSize) {
      throw LoadError("\(rows) rows: model \(name) takes \(max(1, maxBatchSize)) rows per request at most")
    }
    let variety = options.data == .zero && options.rows == .fixed(options.rows.largest) ? 1 : max(1, options.variety)
    let headerBlock: [UInt8] =
      switch transport {
      case .http: []
      case .grpc(let exchange): try exchange.headerBlock("ModelInfer")
      }
    for number in 0..<variety {
      // Evenly over the distribution, by steps of the golden ratio: any number of requests has nearly its mean.
      let step = (Double(number) + 0.5) * 0.618_033_988_749_895
      let rows = options.rows.rows(at: step - step.rounded(.down))
      let tensors = try tensors(rows: rows, number: number, options, &random)
      let bytes =
        switch transport {
        case .http(let exchange): try request(tensors, options, exchange)
        case .grpc: headerBlock + (try GRPCRequest.prefixed(message(tensors)))
        }
      if plan.byteCount + bytes.count > Self.byteLimit {
        if plan.count > 0 { break }
        throw LoadError("a request would take \(bytes.count) bytes; ask for fewer rows")
      }
      plan.add(bytes, headerCount: headerBlock.count, rows: rows)
    }
    for index in 0..<plan.count { plan.expect(try expectation(of: plan.bytes(of: index), headerBlock, verifiesValues), of: index) }
    return plan
  }

  private func expectation(of request: [UInt8], _ headers: [UInt8], _ verifiesValues: Bool) throws(LoadError) -> AnswerExpectation {
    switch transport {
    case .http(let exchange):
      let answer = try exchange.send(request)
      guard answer.status == 200 else {
        throw LoadError("POST \(path)/infer: status \(answer.status): \(String(decoding: answer.body.prefix(300), as: UTF8.self))")
      }
      return try AnswerExpectation(answer, verifiesValues: verifiesValues)
    case .grpc(let exchange):
      let answer = try exchange.call("ModelInfer", headers: headers, data: Array(request[headers.count...]))
      return try AnswerExpectation(message: answer, verifiesValues: verifiesValues)
    }
  }

  /// Shape and bytes of each input.
  private func tensors(rows: Int, number: Int, _ options: RequestOptions, _ random: inout SplitMix64) throws(LoadError) -> [(
    shape: [Int64], bytes: [UInt8]
  )] {
    var tensors: [(shape: [Int64], bytes: [UInt8])] = []
    for input in inputs {
      let shape = try self.shape(of: input, rows: rows, options)
      var count: Int64 = 1
      for size in shape {
        let (product, overflow) = count.multipliedReportingOverflow(by: size)
        guard size >= 0, !overflow, product <= 1 << 28 else { throw LoadError("input \(input.name) of shape \(shape) is too large") }
        count = product
      }
      tensors.append((shape, try bytes(of: input, count: Int(count), number: number, options, &random)))
    }
    return tensors
  }

  /// An HTTP request.
  private func request(_ tensors: [(shape: [Int64], bytes: [UInt8])], _ options: RequestOptions, _ exchange: BlockingExchange)
    throws(LoadError) -> [UInt8]
  {
    var json = "{\"inputs\":["
    for (index, (input, tensor)) in zip(inputs, tensors).enumerated() {
      if index > 0 { json += "," }
      json += "{\"name\":"
      JSONValue.quote(input.name, into: &json)
      json += ",\"shape\":[\(tensor.shape.map(String.init).joined(separator: ","))],\"datatype\":\"\(input.dataType.kserveName)\","
      if options.isBinary {
        json += "\"parameters\":{\"binary_data_size\":\(tensor.bytes.count)}}"
      } else {
        json += "\"data\":[" + (try Self.elements(tensor.bytes, input)) + "]}"
      }
    }
    json += options.isBinary ? "],\"parameters\":{\"binary_data_output\":true}}" : "]}"
    var headers = options.headers
    headers.append(options.isBinary ? "Content-Type: application/octet-stream" : "Content-Type: application/json")
    if options.isBinary { headers.append("Inference-Header-Content-Length: \(json.utf8.count)") }
    var body = Array(json.utf8)
    if options.isBinary { for tensor in tensors { body += tensor.bytes } }
    return RequestText.head("POST", path + "/infer", endpoint: exchange.endpoint, headers: headers, bodyLength: body.count) + body
  }

  /// A ModelInferRequest.
  private func message(_ tensors: [(shape: [Int64], bytes: [UInt8])]) -> [UInt8] {
    var writer = WireWriter()
    writer.text(1, name)
    if let version { writer.text(2, version) }
    for (input, tensor) in zip(inputs, tensors) {
      writer.message(5) { writer in
        writer.text(1, input.name)
        writer.text(2, input.dataType.kserveName)
        var packed = WireWriter()
        for size in tensor.shape { packed.varint(UInt64(bitPattern: size)) }
        writer.bytes(3, packed.bytes)
      }
    }
    for tensor in tensors { writer.bytes(7, tensor.bytes) }
    return writer.bytes
  }

  private func shape(of input: Tensor, rows: Int, _ options: RequestOptions) throws(LoadError) -> [Int64] {
    var shape = input.shape
    var start = 0
    if maxBatchSize != 0, let first = shape.first, first < 0 {
      shape[0] = Int64(rows)
      start = 1
    }
    if let given = options.shapes[input.name] {
      guard given.count == shape.count - start else {
        throw LoadError(
          "--shape \(input.name): it takes \(shape.count - start) size\(shape.count - start == 1 ? "" : "s")\(start == 1 ? ", the rows left out" : ""), not \(given.count)"
        )
      }
      shape.replaceSubrange(start..., with: given)
    }
    if shape.contains(where: { $0 < 0 }) {
      // As many sizes as the option takes, those that are known filled in.
      let wanted = shape[start...].map { $0 < 0 ? "SIZE" : String($0) }.joined(separator: ",")
      throw LoadError(
        "input \(input.name) leaves a dimension open (\(input.shape)\(start == 1 ? ", of which the first are the rows" : "")); give --shape \(input.name):\(wanted)"
      )
    }
    return shape
  }

  private func bytes(of input: Tensor, count: Int, number: Int, _ options: RequestOptions, _ random: inout SplitMix64) throws(LoadError)
    -> [UInt8]
  {
    if case .files(let files) = options.data {
      guard let file = files[input.name], !file.isEmpty else { throw LoadError("--data file: give --input \(input.name)=FILE") }
      guard let size = input.dataType.bytesPerElement else {
        throw LoadError("--data file: input \(input.name) holds texts, which files cannot give yet")
      }
      let wanted = count * size
      guard file.count % size == 0 else { throw LoadError("--input \(input.name): \(file.count) bytes are no whole \(size)-byte elements") }
      let start = number * wanted % file.count
      return (0..<wanted).map { file[(start + $0) % file.count] }
    }
    guard let size = input.dataType.bytesPerElement else {
      // A text of BYTES: its length in four bytes, then itself.
      return (0..<count).flatMap { _ in [8, 0, 0, 0] + (0..<8).map { _ in UInt8(clamping: 97 + random.next() % 26) } }
    }
    var bytes = [UInt8](repeating: 0, count: count * size)
    if options.data == .zero { return bytes }
    for index in 0..<count {
      let unit = random.nextUnitDouble()
      let pattern: UInt64 =
        switch input.dataType {
        case .float32: UInt64(Float(unit * 2 - 1).bitPattern)
        case .float64: (unit * 2 - 1).bitPattern
        case .bfloat16: UInt64(Float(unit * 2 - 1).bitPattern >> 16)
        // Between 0.5 and 1: exponent 14, any fraction.
        case .float16: 14 << 10 | UInt64(saturating: unit * 1024)
        case .bool: unit < 0.5 ? 0 : 1
        // Small enough for token and class numbers.
        default: UInt64(saturating: unit * 100)
        }
      for byte in 0..<size { bytes[index * size + byte] = UInt8(truncatingIfNeeded: pattern >> UInt64(clamping: 8 * byte)) }
    }
    return bytes
  }

  /// JSON's elements of little-endian bytes.
  private static func elements(_ bytes: [UInt8], _ input: Tensor) throws(LoadError) -> String {
    guard let size = input.dataType.bytesPerElement else {
      return stride(from: 4, to: bytes.count, by: 12).map { "\"" + String(decoding: bytes[$0..<$0 + 8], as: UTF8.self) + "\"" }
        .joined(separator: ",")
    }
    var texts: [String] = []
    for start in stride(from: 0, to: bytes.count, by: size) {
      let pattern = (0..<size).reduce(UInt64(0)) { $0 | UInt64(bytes[start + $1]) << UInt64(clamping: 8 * $1) }
      switch input.dataType {
      case .float32: texts.append("\(Float(bitPattern: UInt32(truncatingIfNeeded: pattern)))")
      case .float64: texts.append("\(Double(bitPattern: pattern))")
      case .bool: texts.append(pattern == 0 ? "false" : "true")
      case .int8: texts.append("\(Int8(truncatingIfNeeded: pattern))")
      case .int16: texts.append("\(Int16(truncatingIfNeeded: pattern))")
      case .int32: texts.append("\(Int32(truncatingIfNeeded: pattern))")
      case .int64: texts.append("\(Int64(bitPattern: pattern))")
      case .uint8, .uint16, .uint32, .uint64: texts.append("\(pattern)")
      default: throw LoadError("input \(input.name) is \(input.dataType.kserveName), which JSON cannot carry; use --protocol binary")
      }
    }
    return texts.joined(separator: ",")
  }
}
