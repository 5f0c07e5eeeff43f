import Glibc
import JSONText
import KServe

/// What the answer of a request must look like: the one it got before the run.
struct AnswerExpectation: Sendable {
  /// An output's description.
  struct Output: Sendable, Equatable {
    var name: String
    var dataType: String
    var shape: [Int64]
    var byteCount: Int?
  }

  /// Its JSON; whole for a JSON answer. Equal bytes need no reading.
  let header: [UInt8]
  let outputs: [Output]
  /// What follows the JSON.
  let tensors: [UInt8]
  private let values: [JSONValue?]
  let verifiesValues: Bool
  let isBinary: Bool

  /// How far floating-point values may be apart: a batch of another size may sum in another order.
  private static let tolerance = 1e-3

  init(_ answer: BlockingExchange.Answer, verifiesValues: Bool) throws(LoadError) {
    let length = answer.inferenceHeaderLength ?? answer.body.count
    guard length <= answer.body.count else { throw LoadError("the answer is shorter than its Inference-Header-Content-Length") }
    header = Array(answer.body[0..<length])
    tensors = Array(answer.body[length...])
    isBinary = answer.inferenceHeaderLength != nil
    self.verifiesValues = verifiesValues
    guard let (outputs, values) = header.withUnsafeBytes({ Self.outputs($0) }) else {
      throw LoadError("the answer has no outputs in its JSON")
    }
    self.outputs = outputs
    self.values = values
  }

  /// A ModelInferResponse.
  init(message: [UInt8], verifiesValues: Bool) throws(LoadError) {
    header = message
    isBinary = true
    self.verifiesValues = verifiesValues
    guard let (outputs, tensors) = message.withUnsafeBytes({ KServeGRPC.outputs(of: $0) }) else {
      throw LoadError("the answer has no raw outputs")
    }
    self.outputs = outputs
    self.tensors = tensors
    values = []
  }

  /// What is wrong with the length-prefixed answer to the same call.
  func fault(inCall body: UnsafeRawBufferPointer) -> Fault? {
    guard let message = GRPCRequest.message(in: body) else { return .shape }
    // The same bytes, or a message in which only the values may differ.
    if Self.equal(message, header) { return nil }
    guard let (own, ownTensors) = KServeGRPC.outputs(of: message), own == outputs else { return .shape }
    return !verifiesValues || ownTensors.withUnsafeBytes({ binaryValuesAgree($0) }) ? nil : .values
  }

  private static func outputs(_ bytes: UnsafeRawBufferPointer) -> ([Output], [JSONValue?])? {
    guard let tree = try? JSONValue.parse(bytes), let list = tree["outputs"]?.arrayValue else { return nil }
    var outputs: [Output] = []
    for entry in list {
      guard let name = entry["name"]?.stringValue, let type = entry["datatype"]?.stringValue, let shape = entry["shape"]?.arrayValue else {
        return nil
      }
      let size = entry["parameters"]?["binary_data_size"]?.integerValue.flatMap { Int(exactly: $0) }
      outputs.append(Output(name: name, dataType: type, shape: shape.compactMap(\.integerValue), byteCount: size))
    }
    return (outputs, list.map { $0["data"] })
  }

  /// What is wrong with an answer to the same request.
  enum Fault { case shape, values }

  func fault(in body: UnsafeRawBufferPointer, headerLength: Int) -> Fault? {
    let length = headerLength >= 0 ? headerLength : body.count
    guard length <= body.count, isBinary == (headerLength >= 0) else { return .shape }
    let ownHeader = UnsafeRawBufferPointer(rebasing: body[0..<length])
    let ownTensors = UnsafeRawBufferPointer(rebasing: body[length...])
    let sameHeader = Self.equal(ownHeader, header)
    if sameHeader, !verifiesValues { return ownTensors.count == tensors.count ? nil : .shape }
    if sameHeader, Self.equal(ownTensors, tensors) { return nil }
    if !sameHeader, !verifiesValues, !isBinary { return shapesAgree(ownHeader) ? nil : .shape }
    guard let (own, ownValues) = Self.outputs(ownHeader), own == outputs, isBinary == false || ownTensors.count == tensors.count else {
      return .shape
    }
    if !verifiesValues { return nil }
    return isBinary ? (binaryValuesAgree(ownTensors) ? nil : .values) : (zip(values, ownValues).allSatisfy(Self.agree) ? nil : .values)
  }

  private static func equal(_ left: UnsafeRawBufferPointer, _ right: [UInt8]) -> Bool {
    guard left.count == right.count, let pointer = left.baseAddress else { return left.count == right.count }
    return memcmp(pointer, right, right.count) == 0
  }

  /// JSON answers differ in their numbers, hence in length. Their shapes are found without reading the numbers; where that does not settle it, all
  /// is read.
  private func shapesAgree(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var position = 0
    for output in outputs {
      guard let found = Self.find("\"shape\":[", in: bytes, from: position) else { return Self.outputs(bytes)?.0 == outputs }
      position = found
      for (index, size) in output.shape.enumerated() {
        let text = String(size) + (index == output.shape.count - 1 ? "]" : ",")
        guard Self.starts(text, bytes, position) else { return Self.outputs(bytes)?.0 == outputs }
        position += text.utf8.count
      }
    }
    return true
  }

  private static func starts(_ text: String, _ bytes: UnsafeRawBufferPointer, _ position: Int) -> Bool {
    var text = text
    return text.withUTF8 { text in
      position + text.count <= bytes.count && text.indices.allSatisfy { text[$0] == bytes[position + $0] }
    }
  }

  /// The position behind the first occurrence.
  private static func find(_ word: StaticString, in bytes: UnsafeRawBufferPointer, from start: Int) -> Int? {
    var index = start
    while index + word.utf8CodeUnitCount <= bytes.count {
      var matched = 0
      while matched < word.utf8CodeUnitCount, bytes[index + matched] == word.utf8Start[matched] { matched += 1 }
      if matched == word.utf8CodeUnitCount { return index + matched }
      index += 1
    }
    return nil
  }

  private func binaryValuesAgree(_ own: UnsafeRawBufferPointer) -> Bool {
    tensors.withUnsafeBytes { expected in
      var offset = 0
      for output in outputs {
        guard let count = output.byteCount, count >= 0, offset + count <= own.count else { return false }
        let range = offset..<offset + count
        offset += count
        if output.dataType == "FP32" {
          for position in stride(from: range.lowerBound, to: range.upperBound - 3, by: 4) {
            let left = Double(own.loadUnaligned(fromByteOffset: position, as: Float.self))
            let right = Double(expected.loadUnaligned(fromByteOffset: position, as: Float.self))
            if !Self.close(left, right) { return false }
          }
        } else if !own[range].elementsEqual(expected[range]) {
          return false
        }
      }
      return true
    }
  }

  private static func close(_ left: Double, _ right: Double) -> Bool {
    left == right || (left - right).magnitude <= tolerance * max(1, right.magnitude) || (left.isNaN && right.isNaN)
  }

  private static func agree(_ left: JSONValue?, _ right: JSONValue?) -> Bool {
    guard let left, let right else { return left == nil && right == nil }
    if let leftNumber = left.doubleValue, let rightNumber = right.doubleValue { return close(leftNumber, rightNumber) }
    if let leftArray = left.arrayValue, let rightArray = right.arrayValue {
      return leftArray.count == rightArray.count && zip(leftArray, rightArray).allSatisfy { agree($0, $1) }
    }
    return left == right
  }
}
