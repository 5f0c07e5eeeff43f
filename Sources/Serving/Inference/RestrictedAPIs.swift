import CheckedNumbers

/// Groups of calls that need a header with a value (tritonserver's `--http-restricted-api` and `--grpc-restricted-protocol`; server
/// `docs/customization_guide/inference_protocols.md`, `src/restricted_features.h`).
public struct RestrictedAPIs: Sendable, Hashable {
  /// The groups, by the reference server's names.
  public enum Group: String, Sendable, Hashable, CaseIterable {
    case health, metadata, inference
    case sharedMemory = "shared-memory"
    case modelConfiguration = "model-config"
    case modelRepository = "model-repository"
    case statistics, trace, logging
  }

  /// The header that a group asks for.
  public struct Restriction: Sendable, Hashable {
    /// In lower case.
    public var header: String
    /// What it must say.
    public var value: String

    /// Whether a request's value is the right one; every byte is compared whatever the earlier ones were: the time tells nothing.
    public func admits(_ given: String?) -> Bool {
      guard let given else { return false }
      return Secret.isEqual(value, given)
    }
  }

  private var restrictions: [Group: Restriction] = [:]

  /// Nothing is restricted.
  public init() {}

  /// Nothing is restricted.
  public var isEmpty: Bool { restrictions.isEmpty }

  /// What a group asks for; nil for one that is open.
  public subscript(_ group: Group) -> Restriction? { restrictions[group] }

  /// Why an option's value is not taken; in the reference server's words (`src/command_line_parser.cc`).
  public struct Fault: Error, Hashable {
    /// What is wrong, with the option.
    public var message: String
  }

  /// Adds what an option says: `GROUP,GROUP:HEADER=VALUE`. `headerPrefix`: what goes before the header's name ("triton-grpc-protocol-" for
  /// gRPC); `kind`: "api" or "protocol", for the message.
  public mutating func add(_ text: String, option: String, headerPrefix: String, kind: String) throws(Fault) {
    let fault = Fault(message: "\(option) option format is '<config name>:<setting>=<value>'. Got \(text)")
    guard let colon = text.firstIndex(of: ":"), let equals = text[text.index(after: colon)...].firstIndex(of: "=") else { throw fault }
    let (header, value) = (text[text.index(after: colon)..<equals], text[text.index(after: equals)...])
    guard colon > text.startIndex, !header.isEmpty, !value.isEmpty else { throw fault }
    for name in text[..<colon].split(separator: ",", omittingEmptySubsequences: false) {
      guard let group = Group(rawValue: String(name)) else {
        throw Fault(
          message:
            "\(option): unknown restricted \(kind) '\(name)'; there are \(Group.allCases.map(\.rawValue).joined(separator: ", "))")
      }
      if restrictions[group] != nil {
        throw Fault(message: "\(option): restricted \(kind) '\(name)' can not be specified in multiple config groups")
      }
      restrictions[group] = Restriction(header: (headerPrefix + header).lowercased(), value: String(value))
    }
  }
}

/// Comparison of secrets in a time that does not depend on where they differ.
enum Secret {
  static func isEqual(_ expected: String, _ given: String) -> Bool {
    let (expected, given) = (Array(expected.utf8), Array(given.utf8))
    var difference = expected.count ^ given.count
    for index in expected.indices { difference |= Int(expected[index] ^ (index < given.count ? given[index] : 0)) }
    return difference == 0
  }
}
