public import Diagnosis

/// A finding that a GPU trace shows, with what its fix would buy.
public struct TraceFinding: Sendable, Hashable {
  /// Codes as in `Docs/findings`; a code is never given to another finding.
  public enum Code: String, Sendable, Hashable, CaseIterable {
    case HR101, HR102, HR103, HR111, HR121, HR131, HR132, HR133, HR134, HR141, HR142, HR143, HR201, HR202, HR203, HR204, HR205, HR206,
      HR211,
      HR213,
      HR301, HR302, HR401

    /// What is found, in a few words.
    public var title: String {
      switch self {
      case .HR101: "client-saturated"
      case .HR102: "load-limited"
      case .HR103: "not steady"
      case .HR111: "front-end-saturated"
      case .HR121: "underfilled batches"
      case .HR131: "no batch pipelining"
      case .HR132: "launch-bound"
      case .HR133: "inter-kernel gaps"
      case .HR134: "unnecessary synchronization"
      case .HR141: "pageable copies"
      case .HR142: "non-overlapped memcpy"
      case .HR143: "copies slower than the link"
      case .HR201: "kernels too small to fill the GPU"
      case .HR202: "memory-bandwidth-bound (weights)"
      case .HR203: "wrong kernel class"
      case .HR204: "unfused element-wise kernels"
      case .HR205: "wave quantization"
      case .HR206: "weights exceed L2"
      case .HR211: "redundant work"
      case .HR213: "unfused attention"
      case .HR301: "clock-limited"
      case .HR302: "shared GPU"
      case .HR401: "host gap per decode step"
      }
    }
  }

  /// What a change improves.
  public enum Effect: String, Sendable, Hashable {
    case throughput, latency, gpuTime = "GPU time"
  }

  /// What it would buy.
  public enum Gain: Sendable, Hashable {
    /// By replay of the trace's dependencies with the change made: 0.5 is half as much again.
    case replayed(Figure)
    /// No more than this: a bound, not an estimate.
    case atMost(Figure)
    /// Nothing at the same arrivals; this much where work always waits. The trace does not show which.
    case ifBacklogged(Figure)
    /// Why there is not a number.
    case notQuantified(String)

    /// The change, replayed or bound; nil where it is not quantified.
    public var change: Double? {
      switch self {
      case .replayed(let figure), .atMost(let figure): figure.value
      case .ifBacklogged: 0
      case .notQuantified: nil
      }
    }

    /// "+23 %", "at most +23 %", "not quantified".
    public var text: String {
      // From a factor of ten on a percentage is read wrongly.
      func signed(_ figure: Figure) -> String {
        1 + figure.value >= 9.95 ? Figure.timesText(1 + figure.value) : (figure.value >= 0 ? "+" : "") + figure.text
      }
      return switch self {
      case .replayed(let figure): signed(figure)
      case .atMost(let figure): "at most " + signed(figure)
      case .ifBacklogged(let figure): "0 to " + signed(figure)
      case .notQuantified: "not quantified"
      }
    }

    /// The word in brackets behind it.
    public var kind: String {
      switch self {
      case .replayed: "replayed"
      case .atMost: "bound"
      case .ifBacklogged: "replayed, if backlogged"
      case .notQuantified: "not quantified"
      }
    }
  }

  /// Which.
  public var code: Code
  /// How sure it is that it holds.
  public var confidence: Confidence
  /// What was seen.
  public var seen: [Sentence]
  /// What to do, as something to type or to set.
  public var fix: String
  /// What the fix improves.
  public var effect: Effect
  /// What it buys.
  public var gain: Gain

  /// A finding.
  public init(_ code: Code, _ confidence: Confidence, seen: [Sentence], fix: String, effect: Effect, gain: Gain) {
    self.code = code
    self.confidence = confidence
    self.seen = seen
    self.fix = fix
    self.effect = effect
    self.gain = gain
  }

  /// Changes below this are not worth a line among the recommendations.
  public static let smallestChange = 0.02

  /// The page that explains it.
  public var page: String { Self.page(of: code) }

  /// The page that explains a code: those of runs stand one folder higher.
  public static func page(of code: Code) -> String {
    let isOfRuns = FindingCode(rawValue: code.rawValue).flatMap { FindingRegistry.rule(for: $0) } != nil
    return "Docs/findings/\(isOfRuns ? "" : "traces/")\(code.rawValue)-\(slug(code)).md"
  }

  private static func slug(_ code: Code) -> String {
    switch code {
    case .HR101: "client-saturated"
    case .HR102: "load-limited"
    case .HR103: "not-steady"
    case .HR111: "front-end-saturated"
    case .HR121: "underfilled-batches"
    case .HR131: "no-batch-pipelining"
    case .HR132: "launch-bound"
    case .HR133: "inter-kernel-gaps"
    case .HR134: "unnecessary-sync"
    case .HR141: "pageable-or-scattered-copy"
    case .HR142: "non-overlapped-memcpy"
    case .HR143: "link-or-numa"
    case .HR201: "gemm-too-small"
    case .HR202: "memory-bandwidth-bound-weights"
    case .HR203: "wrong-kernel-class"
    case .HR204: "unfused-elementwise-kernels"
    case .HR205: "wave-quantization"
    case .HR206: "weights-exceed-l2"
    case .HR211: "redundant-work"
    case .HR213: "unfused-attention"
    case .HR301: "clock-limited"
    case .HR302: "shared-gpu"
    case .HR401: "host-gap-per-decode-step"
    }
  }
}
