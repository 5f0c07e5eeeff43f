import CheckedNumbers

/// How long a command will take, said in one line before it begins.
public struct TimeEstimate: Sendable, Hashable {
  /// Wall time, seconds.
  public var seconds: Double
  /// What takes it, and where: "3 variants, 3 runs each, and what changes would buy".
  public var work: String

  /// An estimate.
  public init(seconds: Double, work: String) {
    self.seconds = seconds
    self.work = work
  }

  /// An estimate and what it was an estimate of differ by no more, where the cores have nothing else to do.
  public static let factor = 2.0

  /// Commands that end sooner say nothing: the result is there before the line is read.
  public static let shortest = 3.0

  /// "about 40 s: 3 variants, ..."; nil for a short command.
  public var line: String? {
    guard seconds.isFinite, seconds >= Self.shortest else { return nil }
    return "about \(Self.text(seconds: seconds)): \(work)"
  }

  /// "8 s", "40 s", "3 min", "2 h": no more digits than an estimate has.
  static func text(seconds: Double) -> String {
    switch seconds {
    case ..<9.5: "\(Int(saturating: seconds.rounded())) s"
    case ..<100: "\(Int(saturating: (seconds / 5).rounded() * 5)) s"
    case ..<5700: "\(Int(saturating: (seconds / 60).rounded())) min"
    default: "\(Int(saturating: (seconds / 3600).rounded())) h"
    }
  }
}
