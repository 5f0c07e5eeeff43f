import JSONText
import Testing

@testable import ModelConfiguration

/// Every field that a client can write comes back: a configuration is made from the schema itself, so that a new field is here by itself.
@Suite struct RoundTripTests {
  /// A message with every field given and saying something, as text and as the JSON that must come back. Of a choice the field of this
  /// turn is given; what is refused is left out.
  struct Filled {
    var turn: Int
    var count = 0

    mutating func message(_ schema: MessageSchema) -> (text: String, json: JSONValue) {
      var (text, members) = ("", [JSONValue.Member]())
      let choices = Dictionary(grouping: schema.fields.filter { $0.oneof != nil && !isRefused($0) }) { $0.oneof ?? "" }
      for field in schema.fields {
        if let choice = field.oneof {
          let fields = choices[choice] ?? []
          guard !fields.isEmpty, fields[turn % fields.count].name == field.name else { continue }
        } else if isRefused(field) {
          members.append(.init(field.name, false))
          continue
        }
        switch field.label {
        case .singular:
          let value = value(field)
          text += "\(field.name): \(value.text) "
          members.append(.init(field.name, value.json))
        case .repeated:
          let values = [value(field), value(field)]
          text += values.map { "\(field.name): \($0.text) " }.joined()
          members.append(.init(field.name, .array(values.map(\.json))))
        case .map(let key):
          let values = [value(field), value(field)]
          let entries = values.enumerated().map { index, value in
            "\(field.name) { key: \(key == .string ? "\"k\(index + 1)\"" : "\(index + 1)") value: \(value.text) } "
          }
          text += entries.joined()
          let names = ["1", "2"].map { key == .string ? "k" + $0 : $0 }
          members.append(.init(field.name, .object(zip(names, values).map { .init($0, $1.json) })))
        }
      }
      return ("{ \(text)}", .object(members))
    }

    private func isRefused(_ field: FieldSchema) -> Bool { if case .refused = field.disposition { true } else { false } }

    private mutating func value(_ field: FieldSchema) -> (text: String, json: JSONValue) {
      count += 1
      switch field.type {
      case .bool: return field.usual == true ? ("false", false) : ("true", true)
      case .int32, .uint32, .int64, .uint64: return ("\(count)", JSONValue(count))
      case .float, .double: return ("\(count).5", .number(Double(count) + 0.5))
      case .string: return ("\"t\(count)\"", .string("t\(count)"))
      case .enumeration(let schema):
        let name = schema.names[min(1, schema.names.count - 1)]
        return (name, .string(name))
      case .message(let name): return message(MessageSchema.named[name] ?? MessageSchema("", []))
      }
    }
  }

  @Test(arguments: 0..<6) func everyFieldIsGivenBack(turn: Int) throws {
    var filled = Filled(turn: turn)
    let (braced, json) = filled.message(.modelConfig)
    let text = String(braced.dropFirst().dropLast())
    let configuration = try ModelConfiguration.parse(text, file: "c").configuration
    #expect(Self.differences(json, configuration.json()) == [])
    // Once more through JSON, as a load call sends what the configuration call gave.
    let again = try ModelConfiguration(json: try JSONValue.parse(configuration.json().serialized()))
    #expect(again == configuration)
    #expect(Self.differences(json, again.json()) == [])
  }

  @Test func whatIsAbsentIsPrintedAsTritonPrintsIt() throws {
    let json = try ModelConfiguration.parse("name: \"m\" input { name: \"x\" }", file: "c").configuration.normalized().json()
    #expect(json["input"]?.arrayValue?.first?["format"] == "FORMAT_NONE")
    #expect(json["optimization"]?["cuda"] == nil && json["dynamic_batching"] == nil && json["model_metrics"] == nil)
    #expect(json["batch_input"] == [] && json["metric_tags"] == [:] && json["runtime"] == "")
  }

  @Test func completionKeepsWhatItDoesNotKnow() throws {
    let text = "name: \"m\" max_batch_size: 4 output { name: \"z\" } input { name: \"mask\" } input { name: \"x\" format: FORMAT_NCHW }"
    let completed = try ModelConfiguration.parse(text, file: "c").configuration.completed(from: CompletionTests.signature).normalized()
    let inputs = completed.json()["input"]?.arrayValue ?? []
    #expect(inputs.map { $0["name"] } == ["mask", "x"])
    #expect(inputs.map { $0["format"] } == ["FORMAT_NONE", "FORMAT_NCHW"])
    #expect(inputs.last?["dims"] == [512])
  }

  /// Paths at which two trees differ; order of members does not matter.
  static func differences(_ expected: JSONValue, _ found: JSONValue, path: String = "") -> [String] {
    switch (expected, found) {
    case (.object(let left), .object(let right)):
      let names = Set(left.map(\.name)).union(right.map(\.name))
      return names.sorted().flatMap { name -> [String] in
        guard let one = expected[name] else { return ["\(path).\(name) is new: \(found[name]?.serialized() ?? "")"] }
        guard let other = found[name] else { return ["\(path).\(name) is lost"] }
        return differences(one, other, path: "\(path).\(name)")
      }
    case (.array(let left), .array(let right)) where left.count == right.count:
      return zip(left, right).enumerated().flatMap { differences($1.0, $1.1, path: "\(path)[\($0)]") }
    default: return expected == found ? [] : ["\(path): \(expected.serialized()) became \(found.serialized())"]
    }
  }
}
