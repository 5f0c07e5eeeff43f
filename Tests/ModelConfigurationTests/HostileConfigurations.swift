import FileAccess
import Glibc
import JSONText
import Testing
import TimeBase

@testable import ModelConfiguration

/// Texts made to do harm: each must end in an error that says where, or in a configuration; never in a trap or a hang.
@Suite struct HostileConfigurations {
  /// Reads, and takes what could be read through everything else.
  static func exercise(_ text: String) {
    guard let parsed = try? ModelConfiguration.parse(text, file: "c") else { return }
    let normalized = parsed.configuration.normalized(usableGPUs: [0])
    _ = try? normalized.validate()
    _ = try? normalized.completed(from: CompletionTests.signature)
    #expect((try? ModelConfiguration(json: normalized.json())) == normalized, "\(text)")
  }

  @Test(arguments: [servedModel, everyField]) func everyTruncationIsAnErrorOrAConfiguration(text: String) {
    let bytes = Array(text.utf8)
    for length in 0..<bytes.count { Self.exercise(String(decoding: bytes[0..<length], as: UTF8.self)) }
    let inside = reason(String(decoding: bytes[0..<(bytes.count - 1)], as: UTF8.self))
    #expect(inside.contains("the text ends inside the message"))
  }

  @Test(arguments: 0..<400) func mutationsNeverTrap(seed: UInt64) {
    var generator = SplitMix64(seed: seed)
    var bytes = Array((seed % 2 == 0 ? servedModel : everyField).utf8)
    let alphabet = Array("{}<>[]:,;-#\"'\\ \n0189xXuUeEf._az\u{0}\u{7F}".utf8) + [0xC3, 0xFF]
    for _ in 0...Int(clamping: generator.next() % 8) {
      let index = Int(clamping: generator.next() % UInt64(clamping: bytes.count))
      let byte = alphabet[Int(clamping: generator.next() % UInt64(clamping: alphabet.count))]
      switch generator.next() % 4 {
      case 0: bytes[index] = byte
      case 1: bytes.insert(byte, at: index)
      case 2: bytes.remove(at: index)
      default: bytes.insert(contentsOf: bytes[index..<min(bytes.count, index + Int(clamping: generator.next() % 40))], at: index)
      }
    }
    Self.exercise(String(decoding: bytes, as: UTF8.self))
  }

  @Test(arguments: 0..<200) func mutatedJSONNeverTraps(seed: UInt64) throws {
    var generator = SplitMix64(seed: seed)
    let words: [JSONValue] = [
      nil, true, -1, 1.5, "x", "", [], [:], ["key": 1], [1, "2"], "18446744073709551616", "-9223372036854775809", .integer(.min), 1e300,
    ]
    func mutated(_ value: JSONValue) -> JSONValue {
      if generator.next() % 40 == 0 { return words[Int(clamping: generator.next() % UInt64(clamping: words.count))] }
      switch value {
      case .array(let elements): return .array(elements.map(mutated))
      case .object(let members): return .object(members.map { .init($0.name, mutated($0.value)) })
      default: return value
      }
    }
    let json = mutated(try ModelConfiguration.parse(everyField, file: "c").configuration.json())
    guard let read = try? ModelConfiguration(json: json) else { return }
    #expect(try ModelConfiguration(json: read.json()) == read)
  }

  @Test func largeTextsTakeTimeInProportion() throws {
    let clock = ContinuousClock()
    let entry = "input { name: \"a\" dims: [1, 2] format: FORMAT_NHWC } metric_tags { key: \"KEY\" }\n"
    let text = (0..<20_000).map { entry.replacing("KEY", with: "\($0)") }.joined()
    var parsed: ModelConfiguration.Parsed?
    let time = try clock.measure { parsed = try ModelConfiguration.parse(text, file: "c") }
    #expect(parsed?.configuration.inputs.count == 20_000)
    #expect(parsed?.warnings.count == 20_001)
    // Quadratic work would take minutes.
    #expect(time < .seconds(60))
  }

  @Test func committedSeedsAreReadOrRefused() throws {
    var folder = #filePath.split(separator: "/").map(String.init)
    folder.removeLast(3)
    let seeds = "/" + folder.joined(separator: "/") + "/Fuzz/seeds/config"
    let names = try Files.entries(of: seeds)
    for name in names { Self.exercise(try Files.readText("\(seeds)/\(name)")) }
    #expect(names.count >= 4)
  }
}
