/// A sentence in which every number is a `Figure`: the compiler refuses an interpolated `Double`, so that nothing reaches a reader
/// without its unit, kind and source. Printers lay the parts out; `text` is the plain form.
public struct Sentence: Sendable, Hashable, ExpressibleByStringInterpolation {
  /// A piece of the sentence.
  public enum Part: Sendable, Hashable {
    case text(String)
    case figure(Figure)
  }

  /// The pieces in reading order.
  public var parts: [Part]

  /// A sentence of `parts`.
  public init(parts: [Part]) { self.parts = parts }

  /// A sentence without numbers.
  public init(stringLiteral value: String) { self.parts = [.text(value)] }

  /// What an interpolated literal was collected into.
  public init(stringInterpolation: StringInterpolation) { self.parts = stringInterpolation.parts }

  /// "1,151 to 2,282 requests/s (+98 %)": absolute beside relative; from a factor of ten on "22x".
  public init(changeOf gain: Gain) {
    let change = gain.change
    self =
      1 + change.value >= 9.95
      ? "\(gain.before) to \(gain.after) (\(Figure.timesText(1 + change.value)))"
      : "\(gain.before) to \(gain.after) (\(change.value > 0 ? "+" : "")\(change))"
  }

  /// The figures in reading order.
  public var figures: [Figure] {
    parts.compactMap { part in
      if case .figure(let figure) = part { return figure }
      return nil
    }
  }

  /// The sentence as plain text.
  public var text: String {
    parts.map { part in
      switch part {
      case .text(let text): text
      case .figure(let figure): figure.text
      }
    }.joined()
  }

  /// Collects a literal's pieces; takes names, settings and figures, and no bare number.
  public struct StringInterpolation: StringInterpolationProtocol {
    var parts: [Part] = []

    /// An empty collector.
    public init(literalCapacity: Int, interpolationCount: Int) { parts.reserveCapacity(2 * interpolationCount + 1) }

    /// Words.
    public mutating func appendLiteral(_ literal: String) {
      if !literal.isEmpty { parts.append(.text(literal)) }
    }

    /// A number with its unit, kind and source.
    public mutating func appendInterpolation(_ figure: Figure) { parts.append(.figure(figure)) }

    /// A name.
    public mutating func appendInterpolation(_ name: String) { appendLiteral(name) }

    /// Another sentence.
    public mutating func appendInterpolation(_ sentence: Sentence) { parts += sentence.parts }

    /// A number that somebody wrote down (a batch size in a configuration): nothing was observed, so it is no figure.
    public mutating func appendInterpolation(setting: Int) { parts.append(.text(String(setting))) }

    /// Several such numbers.
    public mutating func appendInterpolation(settings: [Int]) {
      parts.append(.text(settings.map { String($0) }.joined(separator: ", ")))
    }
  }
}
