/// How sure a claim is. Printed beside every verdict and finding.
public enum Certainty: Int, Sendable, Hashable, Comparable, CaseIterable {
  case cannotTell
  case likely
  case certain

  /// As printed.
  public var text: String {
    switch self {
    case .cannotTell: "cannot tell"
    case .likely: "likely"
    case .certain: "certain"
    }
  }

  /// As sentences for people say it.
  public var confidence: String {
    switch self {
    case .cannotTell: "inconclusive"
    case .likely: "medium confidence"
    case .certain: "high confidence"
    }
  }

  /// The same, second in a sentence.
  public var shortConfidence: String {
    switch self {
    case .cannotTell: "inconclusive"
    case .likely: "medium"
    case .certain: "high"
    }
  }

  /// Less sure comes first.
  public static func < (left: Certainty, right: Certainty) -> Bool { left.rawValue < right.rawValue }
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
