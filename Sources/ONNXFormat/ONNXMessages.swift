import ProtobufWire

/// The messages of onnx/onnx onnx/onnx.proto that are read, field numbers as there. Payloads stay where they are: a tensor remembers the
/// place of its bytes.
struct ModelMessage {
  var opset: Int64?
  var otherDomains: [String] = []
  var graph: GraphMessage?
  var hasFunctions = false

  init(_ reader: WireReader) throws(WireError) {
    try reader.forEachField { (field, offset) throws(WireError) in
      switch field.number {
      case 7: graph = try GraphMessage(field.message(at: offset))
      case 8:
        var version: Int64 = 0
        var domain = ""
        var entry = try field.message(at: offset)
        while let part = try entry.next() {
          if part.number == 1, let payload = part.payload { domain = try payload.text() }
          if part.number == 2 { version = Int64(bitPattern: part.bits) }
        }
        if domain.isEmpty || domain == "ai.onnx" { opset = version } else { otherDomains.append(domain) }
      case 25: hasFunctions = true
      default: break
      }
    }
  }
}

struct GraphMessage {
  var name = ""
  var nodes: [NodeMessage] = []
  var initializers: [TensorMessage] = []
  var inputs: [ValueMessage] = []
  var outputs: [ValueMessage] = []
  /// What exporters and shape inference noted of values inside.
  var declared: [ValueMessage] = []
  var hasSparseInitializers = false

  init(_ reader: WireReader) throws(WireError) {
    try reader.forEachField { (field, offset) throws(WireError) in
      switch field.number {
      case 1: nodes.append(try NodeMessage(field.message(at: offset)))
      case 2: name = try field.message(at: offset).text()
      case 5: initializers.append(try TensorMessage(field.message(at: offset)))
      case 11: inputs.append(try ValueMessage(field.message(at: offset)))
      case 12: outputs.append(try ValueMessage(field.message(at: offset)))
      case 13: declared.append(try ValueMessage(field.message(at: offset)))
      case 15: hasSparseInitializers = true
      default: break
      }
    }
  }
}

struct NodeMessage {
  var name = ""
  var type = ""
  var domain = ""
  var inputs: [String] = []
  var outputs: [String] = []
  var attributes: [String: AttributeMessage] = [:]

  init(_ reader: WireReader) throws(WireError) {
    try reader.forEachField { (field, offset) throws(WireError) in
      switch field.number {
      case 1: inputs.append(try field.message(at: offset).text())
      case 2: outputs.append(try field.message(at: offset).text())
      case 3: name = try field.message(at: offset).text()
      case 4: type = try field.message(at: offset).text()
      case 5:
        let attribute = try AttributeMessage(field.message(at: offset))
        attributes[attribute.name] = attribute
      case 7: domain = try field.message(at: offset).text()
      default: break
      }
    }
  }

  /// What messages call the node: its name, or its first output where the file gives none.
  var label: String { name.isEmpty ? outputs.first { !$0.isEmpty } ?? type : name }
}

struct AttributeMessage {
  var name = ""
  var float: Float?
  var integer: Int64?
  var text: String?
  var tensor: TensorMessage?
  var integers: [Int64] = []
  var floats: [Float] = []
  /// Place and length of graphs in the file: the bodies of If, Loop and Scan. Read when they are asked for, so that no nesting is followed
  /// unasked.
  var graphs: [(offset: Int, count: Int)] = []

  init(_ reader: WireReader) throws(WireError) {
    try reader.forEachField { (field, offset) throws(WireError) in
      switch field.number {
      case 1: name = try field.message(at: offset).text()
      case 2: float = Float(bitPattern: UInt32(truncatingIfNeeded: field.bits))
      case 3: integer = Int64(bitPattern: field.bits)
      // Strings may hold any bytes; only those that are text matter here.
      case 4: text = try? field.message(at: offset).text()
      case 5: tensor = try TensorMessage(field.message(at: offset))
      case 6, 11:
        let payload = try field.message(at: offset)
        graphs.append((payload.start, payload.count))
      case 7:
        if var packed = field.payload {
          while !packed.isAtEnd { floats.append(Float(bitPattern: UInt32(truncatingIfNeeded: try packed.fixed(4)))) }
        } else {
          floats.append(Float(bitPattern: UInt32(truncatingIfNeeded: field.bits)))
        }
      case 8: try field.integers(into: &integers)
      default: break
      }
    }
  }
}

struct TensorMessage {
  var name = ""
  var sizes: [Int64] = []
  var type: Int64 = 0
  /// Place and length of raw_data in the file.
  var raw: (offset: Int, count: Int)?
  /// Place and length of packed float_data, int32_data, int64_data, double_data; or values written one by one.
  var floats: [UInt32] = []
  var integers: [Int64] = []
  var doubles: [UInt64] = []
  /// How many texts there are.
  var strings = 0
  var externalEntries: [String: String] = [:]
  var isExternal = false

  init(_ reader: WireReader) throws(WireError) {
    try reader.forEachField { (field, offset) throws(WireError) in
      switch field.number {
      case 1: try field.integers(into: &sizes)
      case 2: type = Int64(bitPattern: field.bits)
      case 4:
        if var packed = field.payload {
          while !packed.isAtEnd { floats.append(UInt32(truncatingIfNeeded: try packed.fixed(4))) }
        } else {
          floats.append(UInt32(truncatingIfNeeded: field.bits))
        }
      case 5, 7, 11: try field.integers(into: &integers)
      case 6: strings += 1
      case 8: name = try field.message(at: offset).text()
      case 9:
        let payload = try field.message(at: offset)
        raw = (payload.start, payload.count)
      case 10:
        if var packed = field.payload {
          while !packed.isAtEnd { doubles.append(try packed.fixed(8)) }
        } else {
          doubles.append(field.bits)
        }
      case 13:
        var entry = try field.message(at: offset)
        var (key, value) = ("", "")
        while let part = try entry.next() {
          if part.number == 1, let payload = part.payload { key = try payload.text() }
          if part.number == 2, let payload = part.payload { value = try payload.text() }
        }
        externalEntries[key] = value
      case 14: isExternal = field.bits == 1
      default: break
      }
    }
  }
}

struct ValueMessage {
  enum Size {
    case known(Int64)
    case named(String)
    case unknown
  }

  var name = ""
  var type: Int64 = 0
  var shape: [Size]?
  /// Whether it is a tensor, rather than a sequence, a map or an optional.
  var isTensor = false

  init(_ reader: WireReader) throws(WireError) {
    var reader = reader
    while let field = try reader.next() {
      if field.number == 1, let payload = field.payload { name = try payload.text() }
      guard field.number == 2, var typeMessage = field.payload else { continue }
      while let kind = try typeMessage.next() {
        guard kind.number == 1, var tensor = kind.payload else { continue }
        isTensor = true
        while let part = try tensor.next() {
          if part.number == 1 { type = Int64(bitPattern: part.bits) }
          guard part.number == 2, var list = part.payload else { continue }
          var sizes: [Size] = []
          while let dimension = try list.next() {
            guard dimension.number == 1, var entry = dimension.payload else { continue }
            var size = Size.unknown
            while let item = try entry.next() {
              if item.number == 1 { size = .known(Int64(bitPattern: item.bits)) }
              if item.number == 2, let payload = item.payload { size = .named(try payload.text()) }
            }
            sizes.append(size)
          }
          shape = sizes
        }
      }
    }
  }
}
