import CheckedNumbers
import JSONText

/// Why a TensorRT file cannot be used.
public struct EngineFileError: Error, Equatable, CustomStringConvertible {
  /// What was wrong and what to do.
  public var description: String

  /// A reason.
  public init(_ description: String) { self.description = description }
}

/// What TensorRT's own tools write of an engine: `trtexec --exportLayerInfo`, `--exportProfile` and a verbose build log. Any of them alone says
/// something; together they say which kernel each layer runs, how long, and whether a faster one was seen while building.
public struct EngineFiles: Sendable, Hashable {
  /// A layer as the engine has it.
  public struct Layer: Sendable, Hashable {
    /// Its name.
    public var name: String
    /// "gemm", "kgen", "Reformat", ...; empty where not exported.
    public var type: String
    /// Name of the kernel; empty where not exported.
    public var tactic: String
    /// Inputs as "[64, 1024] Half".
    public var inputs: [String]
    /// Outputs.
    public var outputs: [String]
  }

  /// A layer's time.
  public struct Time: Sendable, Hashable {
    /// Its name.
    public var name: String
    /// Mean of a run, milliseconds.
    public var averageMilliseconds: Double
    /// Median, milliseconds; nil in older files.
    public var medianMilliseconds: Double?
  }

  /// A kernel that was tried for a layer while building.
  public struct Tactic: Sendable, Hashable {
    /// Kernel or tactic number.
    public var name: String
    /// Hash, as "0x...".
    public var hash: String
    /// Milliseconds.
    public var milliseconds: Double
  }

  /// Layers in execution order.
  public var layers: [Layer] = []
  /// Layers hold names alone: the engine was built without detailed verbosity.
  public var hasNamesOnly = false
  /// Times by layer.
  public var times: [Time] = []
  /// Runs behind the times.
  public var runs: Int64?
  /// Tactics tried, by layer.
  public var tactics: [String: [Tactic]] = [:]
  /// Hash of the chosen one, by layer.
  public var chosen: [String: String] = [:]

  /// Nothing yet.
  public init() {}

  /// What a text is, by its content; nil where it is none of TensorRT's.
  public enum Kind: Sendable, Hashable {
    case layerInfo, profile, buildLog
  }

  /// By the beginning of a file.
  public static func kind(ofBeginning text: String) -> Kind? {
    let start = text.drop { $0 == " " || $0 == "\n" || $0 == "\r" || $0 == "\t" || $0 == "\u{FEFF}" }
    if start.hasPrefix("{"), start.prefix(400).contains("\"Layers\"") { return .layerInfo }
    if start.hasPrefix("["), start.prefix(400).contains("\"count\"") || start.prefix(2_000).contains("\"averageMs\"") { return .profile }
    if text.contains("[TRT]") || text.contains("[TensorRT]") || text.contains("Autotuning op ") || text.contains("Timing Runner: ") {
      return .buildLog
    }
    return nil
  }

  /// Adds a file of either kind.
  public mutating func add(_ text: String, path: String) throws(EngineFileError) {
    switch Self.kind(ofBeginning: text) {
    case .layerInfo: try addLayers(Self.parse(text, path), path)
    case .profile: try addProfile(Self.parse(text, path), path)
    case .buildLog: addLog(text)
    case nil:
      throw EngineFileError("\(path): neither --exportLayerInfo nor --exportProfile nor a verbose build log of TensorRT")
    }
  }

  private static func parse(_ text: String, _ path: String) throws(EngineFileError) -> JSONValue {
    do throws(JSONError) { return try JSONValue.parse(text) } catch { throw EngineFileError("\(path): \(error)") }
  }

  private mutating func addLayers(_ document: JSONValue, _ path: String) throws(EngineFileError) {
    guard let list = document["Layers"]?.arrayValue else { throw EngineFileError("\(path): \"Layers\" is no list") }
    for entry in list {
      if let name = entry.stringValue {
        // An engine built without --profilingVerbosity=detailed names its layers and no more.
        layers.append(Layer(name: name, type: "", tactic: "", inputs: [], outputs: []))
        hasNamesOnly = true
        continue
      }
      guard let name = entry["Name"]?.stringValue else { throw EngineFileError("\(path): Layers[\(layers.count)]: no \"Name\"") }
      func tensors(_ key: String) -> [String] {
        (entry[key]?.arrayValue ?? []).map { tensor in
          let dimensions = (tensor["Dimensions"]?.arrayValue ?? []).compactMap(\.integerValue).map { String($0) }.joined(separator: ", ")
          return "[\(dimensions)] \(tensor["Format/Datatype"]?.stringValue ?? "")"
        }
      }
      let tactic = entry["TacticName"]?.stringValue ?? entry["TacticValue"]?.stringValue ?? ""
      layers.append(
        Layer(
          name: name, type: entry["LayerType"]?.stringValue ?? "", tactic: tactic, inputs: tensors("Inputs"), outputs: tensors("Outputs")))
    }
  }

  private mutating func addProfile(_ document: JSONValue, _ path: String) throws(EngineFileError) {
    guard let list = document.arrayValue else { throw EngineFileError("\(path): no list") }
    for entry in list {
      if let count = entry["count"]?.integerValue { runs = count }
      guard let name = entry["name"]?.stringValue else { continue }
      guard let average = entry["averageMs"]?.doubleValue, average.isFinite, average >= 0 else {
        throw EngineFileError("\(path): \(name): \"averageMs\" is no time")
      }
      times.append(Time(name: name, averageMilliseconds: average, medianMilliseconds: entry["medianMs"]?.doubleValue))
    }
  }

  /// Verbose logs list every kernel that was tried, in one of two forms.
  private mutating func addLog(_ text: String) {
    var layer: String?
    var lastName = ""
    for line in text.split(whereSeparator: { $0 == "\n" || $0 == "\r\n" }) {
      if let range = line.firstRange(of: "Autotuning op ") {
        // Autotuning op NAME(key: 0x...)
        let rest = line[range.upperBound...]
        layer = rest.ranges(of: "(key:").last.map { String(rest[..<$0.lowerBound]) }
      } else if let range = line.firstRange(of: "Timing Runner: ") {
        // Timing Runner: NAME (RUNNER[...])
        let rest = line[range.upperBound...]
        layer = String(rest.ranges(of: " (").last.map { rest[..<$0.lowerBound] } ?? rest)
        lastName = ""
      } else if let range = line.firstRange(of: "The selected tactic is (tactic hash, cost(in ms)):") {
        if let layer { chosen[layer] = String(line[range.upperBound...].prefix { $0 != "," && $0 != " " }) }
      } else if let range = line.firstRange(of: "Chose Runner Type: ") {
        let rest = line[range.upperBound...]
        if let layer, let tactic = rest.firstRange(of: "Tactic: ") {
          chosen[layer] = String(rest[tactic.upperBound...].prefix { $0 != " " })
        }
      } else if let range = line.firstRange(of: "Tactic Name: ") {
        lastName = String(line[range.upperBound...].prefix { $0 != " " })
        addTimed(line, layer, lastName)
      } else if line.contains("Fastest Tactic: ") {
        continue
      } else if line.contains("Tactic: ") {
        addTimed(line, layer, lastName)
      } else if let layer, let row = Self.tableRow(line) {
        tactics[layer, default: []].append(row)
      }
    }
  }

  /// "Tactic: 0x... Time: 0.0123".
  private mutating func addTimed(_ line: Substring, _ layer: String?, _ name: String) {
    guard let layer, let tactic = line.firstRange(of: "Tactic: 0x"), let time = line.firstRange(of: "Time: "),
      let milliseconds = Double(line[time.upperBound...].prefix { $0.isNumber || $0 == "." || $0 == "e" || $0 == "-" }), milliseconds >= 0
    else { return }
    let hash = "0x" + line[tactic.upperBound...].prefix { $0.isHexDigit }
    tactics[layer, default: []].append(Tactic(name: name.isEmpty ? hash : name, hash: hash, milliseconds: milliseconds))
  }

  /// "   3, 0.0112640, 1.00000, 0.50673, KERNEL, 0x665ded9abbf88,".
  private static func tableRow(_ line: Substring) -> Tactic? {
    let parts = line.split(separator: ",", omittingEmptySubsequences: false).map { $0.drop { $0 == " " || $0 == "\t" } }
    guard parts.count >= 6, parts[5].hasPrefix("0x"), let milliseconds = Double(parts[1]), milliseconds.isFinite, milliseconds >= 0,
      let number = parts[0].split(separator: " ").last, number.allSatisfy(\.isNumber)
    else { return nil }
    return Tactic(name: String(parts[4]), hash: String(parts[5].prefix { $0 != " " }), milliseconds: milliseconds)
  }
}
