import CheckedNumbers
import KServe
import Serving

/// What a path asks for (kserve/open-inference-protocol `specification/protocol/inference_rest.md`, Triton's extensions in
/// triton-inference-server/server `docs/protocol`).
enum HTTPRoute: Sendable, Hashable {
  case root
  case serverMetadata
  case live
  case ready
  case modelMetadata(model: String, version: String)
  case modelReady(model: String, version: String)
  case modelConfiguration(model: String, version: String)
  case statistics(model: String, version: String)
  case infer(model: String, version: String)
  case generate(model: String, version: String, isStream: Bool)
  case traceSettings(model: String)
  case repositoryIndex
  case load(model: String)
  case unload(model: String)
  case systemSharedMemory(region: String, action: SharedMemoryAction)
  case cudaSharedMemory(region: String, action: SharedMemoryAction)
  case logging
  /// `GET /v2/headroom`, the live answer.
  case headroom
  /// `POST /v2/headroom/profile`: a window of the server, recorded.
  case profile
  /// The page that shows it.
  case headroomPage

  enum SharedMemoryAction: String, Sendable, Hashable { case status, register, unregister }

  /// The route of a path; nil: there is none. A trailing slash is a path of its own, and a version must be digits, as in the reference
  /// server's expressions.
  init?(path: some StringProtocol) {
    if path == "/" {
      self = .root
      return
    }
    guard path.first == "/" else { return nil }
    let parts = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false).map { Self.decoded($0) }
    if parts == ["headroom"] {
      self = .headroomPage
      return
    }
    guard parts.first == "v2", !parts.contains("") else { return nil }
    switch parts.count > 1 ? parts[1] : "" {
    case "" where parts.count == 1: self = .serverMetadata
    case "health" where parts.count == 3 && parts[2] == "live": self = .live
    case "health" where parts.count == 3 && parts[2] == "ready": self = .ready
    case "logging" where parts.count == 2: self = .logging
    case "headroom" where parts.count == 2: self = .headroom
    case "headroom" where parts.count == 3 && parts[2] == "profile": self = .profile
    case "trace" where parts.count == 3 && parts[2] == "setting": self = .traceSettings(model: "")
    case "models":
      guard let route = Self.model(parts) else { return nil }
      self = route
    case "repository" where parts.count == 3 && parts[2] == "index": self = .repositoryIndex
    case "repository" where parts.count == 5 && parts[2] == "models" && parts[4] == "load": self = .load(model: parts[3])
    case "repository" where parts.count == 5 && parts[2] == "models" && parts[4] == "unload": self = .unload(model: parts[3])
    case "systemsharedmemory", "cudasharedmemory":
      let isRegion = parts.count == 5 && parts[2] == "region"
      guard isRegion || parts.count == 3, let action = SharedMemoryAction(rawValue: parts[parts.count - 1]) else { return nil }
      let region = isRegion ? parts[3] : ""
      self =
        parts[1] == "systemsharedmemory"
        ? .systemSharedMemory(region: region, action: action) : .cudaSharedMemory(region: region, action: action)
    default: return nil
    }
  }

  private static func model(_ parts: [String]) -> HTTPRoute? {
    if parts == ["v2", "models", "stats"] { return .statistics(model: "", version: "") }
    guard parts.count >= 3 else { return nil }
    let model = parts[2]
    var rest = parts[3...]
    var version = ""
    if rest.first == "versions" {
      guard rest.count >= 2, let number = rest.dropFirst().first, !number.isEmpty, number.allSatisfy({ $0.isASCII && $0.isNumber }) else {
        return nil
      }
      version = number
      rest = rest.dropFirst(2)
    }
    switch Array(rest) {
    case []: return .modelMetadata(model: model, version: version)
    case ["ready"]: return .modelReady(model: model, version: version)
    case ["config"]: return .modelConfiguration(model: model, version: version)
    case ["stats"]: return .statistics(model: model, version: version)
    case ["infer"]: return .infer(model: model, version: version)
    case ["generate"]: return .generate(model: model, version: version, isStream: false)
    case ["generate_stream"]: return .generate(model: model, version: version, isStream: true)
    case ["trace", "setting"]: return .traceSettings(model: model)
    default: return nil
    }
  }

  /// Percent escapes resolved; a broken one stays as it is.
  private static func decoded(_ part: some StringProtocol) -> String {
    guard part.utf8.contains(UInt8(ascii: "%")) else { return String(part) }
    let bytes = Array(part.utf8)
    var result: [UInt8] = []
    var index = 0
    while index < bytes.count {
      if bytes[index] == UInt8(ascii: "%"), index + 2 < bytes.count,
        let value = UInt8(String(decoding: bytes[(index + 1)...(index + 2)], as: UTF8.self), radix: 16)
      {
        result.append(value)
        index += 3
      } else {
        result.append(bytes[index])
        index += 1
      }
    }
    return String(decoding: result, as: UTF8.self)
  }
}

extension HTTPRoute {
  /// The group of calls that it belongs to, as the reference server's handlers are grouped (`src/http_server.cc`); ours go where what they tell is
  /// told otherwise. nil: a page that tells nothing.
  var group: RestrictedAPIs.Group? {
    switch self {
    case .live, .ready, .modelReady: .health
    case .serverMetadata, .modelMetadata: .metadata
    case .infer, .generate: .inference
    case .systemSharedMemory, .cudaSharedMemory: .sharedMemory
    case .modelConfiguration: .modelConfiguration
    case .repositoryIndex, .load, .unload: .modelRepository
    case .statistics, .headroom: .statistics
    case .traceSettings, .profile: .trace
    case .logging: .logging
    case .root, .headroomPage: nil
    }
  }

  /// A POST to it changes the server.
  var isControl: Bool {
    switch self {
    case .load, .unload, .logging, .traceSettings, .profile: true
    case .systemSharedMemory(_, let action), .cudaSharedMemory(_, let action): action != .status
    default: false
    }
  }
}
