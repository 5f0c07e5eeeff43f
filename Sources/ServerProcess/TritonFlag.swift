/// A flag as tritonserver takes it: true, false, 1, 0.
package enum TritonFlag: String, Sendable, CaseIterable {
  /// As `rawValue`.
  case `true`, `false`

  /// As it is written.
  package init?(argument: String) {
    switch argument.lowercased() {
    case "true", "1", "on": self = .true
    case "false", "0", "off": self = .false
    default: return nil
    }
  }

  /// Whether it is `true`.
  package var isOn: Bool { self == .true }
}
