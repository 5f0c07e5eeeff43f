/// The models that come with the program, with their parameters.
public enum BuiltInHead: Sendable, Hashable {
  /// `layers` times Linear(hidden -> hidden) + ReLU, then Linear(hidden -> 2).
  case linear(layers: Int = 20, hidden: Int = 1024)
  /// `heads` linear heads as batched products.
  case stacked(layers: Int = 20, hidden: Int = 1024, heads: Int = 5)
  /// The case study's SeqLenHead: one input copied to `sequence` rows, proj_in, layers - 2 middle layers, projection of row 0.
  case seqlen(layers: Int = 20, hidden: Int = 1024, sequence: Int = 128)
  /// A transformer encoder as BERT has it, token numbers in, hidden states out. The default is bert-tiny.
  case encoder(layers: Int = 2, hidden: Int = 128, heads: Int = 2, sequence: Int = 128)

  /// Name for the command line.
  public var name: String {
    switch self {
    case .linear: "linear"
    case .stacked: "stacked"
    case .seqlen: "seqlen"
    case .encoder: "encoder"
    }
  }

  /// Names for the command line.
  public static let names = ["linear", "stacked", "seqlen", "encoder"]

  /// What there is to know beyond the numbers; empty for most.
  public var notes: [String] {
    switch self {
    case .stacked(_, _, let heads):
      ["stacked holds \(heads) heads and has \(heads) times the parameters of one; the case study calls the heads similar in size"]
    case .linear(let layers, _) where layers == 20:
      ["20 large GEMMs, as the case study's text says; its launch counts are divisible by 19 (--layers 19)"]
    default: []
    }
  }

  /// The graph with seeded parameters.
  public func graph(seed: UInt64 = 1) throws(GraphError) -> Graph {
    for (name, value) in sizes where value < 1 || value > 1 << 20 {
      throw GraphError(node: name, reason: "\(value) is out of range; it must be from 1 to 2^20")
    }
    switch self {
    case .linear(let layers, let hidden): return try Self.linearGraph(layers, hidden, seed)
    case .stacked(let layers, let hidden, let heads): return try Self.stackedGraph(layers, hidden, heads, seed)
    case .seqlen(let layers, let hidden, let sequence): return try Self.seqlenGraph(layers, hidden, sequence, seed)
    case .encoder(let layers, let hidden, let heads, let sequence): return try Self.encoderGraph(layers, hidden, heads, sequence, seed)
    }
  }

  /// Its name with those sizes that are not the usual ones, as options of a command: "linear --layers 4".
  public var command: String {
    let usual: BuiltInHead =
      switch self {
      case .linear: .linear()
      case .stacked: .stacked()
      case .seqlen: .seqlen()
      case .encoder: .encoder()
      }
    let own = zip(sizes, usual.sizes).filter { $0.0.1 != $0.1.1 }.map { " --\($0.0.0) \($0.0.1)" }
    return name + own.joined()
  }

  private var sizes: [(String, Int)] {
    switch self {
    case .linear(let layers, let hidden): [("layers", layers), ("hidden", hidden)]
    case .stacked(let layers, let hidden, let heads): [("layers", layers), ("hidden", hidden), ("heads", heads)]
    case .seqlen(let layers, let hidden, let sequence): [("layers", layers), ("hidden", hidden), ("sequence", sequence)]
    case .encoder(let layers, let hidden, let heads, let sequence):
      [("layers", layers), ("hidden", hidden), ("heads", heads), ("sequence", sequence)]
    }
  }
}
