/// How sure a claim is. Printed beside every verdict and finding.
public enum Confidence: Int, Sendable, Hashable, Comparable, CaseIterable {
  case inconclusive
  case medium
  case high

  /// As in JSON, and second in a sentence.
  public var text: String {
    switch self {
    case .inconclusive: "inconclusive"
    case .medium: "medium"
    case .high: "high"
    }
  }

  /// As sentences for people say it.
  public var phrase: String {
    switch self {
    case .inconclusive: "inconclusive"
    case .medium: "medium confidence"
    case .high: "high confidence"
    }
  }

  /// Less sure comes first.
  public static func < (left: Confidence, right: Confidence) -> Bool { left.rawValue < right.rawValue }
}

/// What a claim would need and does not have.
public struct MissingEvidence: Sendable, Hashable {
  /// The quantities that are unknown.
  public var quantities: [String]
  /// The cheapest measurement that would decide.
  public var cheapestMeasurement: String

  /// `quantities` are unknown; `cheapestMeasurement` would decide.
  public init(_ quantities: [String], measure cheapestMeasurement: String) {
    self.quantities = quantities
    self.cheapestMeasurement = cheapestMeasurement
  }
}
