/// Why a name did not lead to one GPU.
public enum GPULookupError: Error, Equatable, CustomStringConvertible {
  /// Several fit.
  case ambiguous(name: String, candidates: [String])
  /// None fits.
  case unknown(name: String, nearest: [String])

  /// What to write instead.
  public var description: String {
    switch self {
    case .ambiguous(let name, let candidates): "GPU \"\(name)\" may mean \(candidates.joined(separator: ", ")); name one of them"
    case .unknown(let name, let nearest):
      "no GPU is called \"\(name)\"; the nearest names are \(nearest.joined(separator: ", "))"
    }
  }
}

/// A GPU found by name, with the choice that was made where the name alone did not decide.
public struct GPUMatch: Sendable, Hashable {
  /// The GPU.
  public var gpu: GPU
  /// What was chosen and why, to be printed; nil where there was nothing to choose.
  public var statedChoice: String?
}

/// GPUs by name: the built-in table and what a user adds.
public struct GPUCatalogue: Sendable {
  /// All GPUs, built-in ones first.
  public private(set) var gpus: [GPU]

  /// The built-in table.
  public init() { gpus = Self.table }

  /// Adds a GPU; one of the same name is replaced, so that a user can correct the table.
  public mutating func add(_ gpu: GPU) {
    gpus.removeAll { Self.words($0.name) == Self.words(gpu.name) }
    gpus.append(gpu)
  }

  /// Names that mean one of several editions by convention, with the reason that is printed. The case study the project starts from says
  /// "RTX Pro 6000 class"; its measured kernel times fit both editions, and the Workstation edition is the one sold under that name alone.
  static let statedChoices: [(words: [String], name: String, reason: String)] = [
    (
      ["rtx", "pro", "6000"], "RTX PRO 6000 Blackwell WS",
      "rtx-pro-6000 is taken as the Workstation edition (1,792 GB/s); the Server edition (1,597 GB/s) is rtx-pro-6000-server"
    ),
    (["a100"], "A100 SXM4 80GB", "a100 is taken as the SXM4 80 GB board; others: a100-pcie-40gb, a100-pcie-80gb, a100-sxm4-40gb"),
    (["h100"], "H100 SXM", "h100 is taken as the SXM board; others: h100-pcie, h100-nvl"),
    (["v100"], "V100 SXM2 32GB", "v100 is taken as the SXM2 board; the other is v100-pcie"),
  ]

  /// Finds a GPU by name, whatever its case, spaces and dashes; every word of the name must stand in the GPU's.
  public func find(_ name: String) throws(GPULookupError) -> GPUMatch {
    let asked = Self.words(name)
    if let exact = gpus.first(where: { Self.words($0.name) == asked }) { return GPUMatch(gpu: exact) }
    if let choice = Self.statedChoices.first(where: { $0.words == asked }), let gpu = gpus.first(where: { $0.name == choice.name }) {
      return GPUMatch(gpu: gpu, statedChoice: choice.reason)
    }
    if asked.isEmpty { throw .unknown(name: name, nearest: gpus.prefix(3).map(\.name)) }
    // Whole words first ("a10" is not "a100"), then beginnings of words ("blackwell ser").
    for fits in [Self.fitsWords, Self.fitsPrefixes] {
      let found = gpus.filter { fits(asked, Self.words($0.name)) }
      if let only = found.first, found.count == 1 { return GPUMatch(gpu: only) }
      if found.count > 1 { throw .ambiguous(name: name, candidates: found.map(\.name)) }
    }
    let joined = asked.joined()
    // "h101" is nearer to the H100 of "H100 SXM" than to "A10".
    let near = gpus.map { gpu in
      let words = Self.words(gpu.name)
      return (([words.joined()] + words).map { Self.editDistance(joined, $0) }.min() ?? .max, gpu.name)
    }.sorted { $0.0 < $1.0 }
    throw .unknown(name: name, nearest: near.prefix(3).map(\.1))
  }

  private static let fitsWords: @Sendable ([String], [String]) -> Bool = { asked, words in
    asked.allSatisfy(words.contains) || asked.joined() == words.joined()
  }

  private static let fitsPrefixes: @Sendable ([String], [String]) -> Bool = { asked, words in
    asked.allSatisfy { part in words.contains { $0.hasPrefix(part) } } || words.joined().hasPrefix(asked.joined())
  }

  /// Lower-case words of letters and digits. Vendor words that name no board are dropped; "workstation" and "ws" are one word.
  static func words(_ name: String) -> [String] {
    let parts = name.lowercased().split { !($0.isLetter || $0.isNumber) }.map(String.init)
    let meaning = parts.filter { !["nvidia", "geforce", "quadro", "tesla", "edition", "gpu"].contains($0) }
    return meaning.map { $0 == "workstation" ? "ws" : $0 }
  }

  /// Levenshtein's distance: insertions, deletions and substitutions. Names from outside are cut at 64 characters.
  static func editDistance(_ left: String, _ right: String) -> Int {
    let (a, b) = (Array(left.prefix(64)), Array(right.prefix(64)))
    var row = Array(0...b.count)
    for (i, x) in a.enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      for (j, y) in b.enumerated() {
        let next = min(row[j + 1] + 1, row[j] + 1, diagonal + (x == y ? 0 : 1))
        diagonal = row[j + 1]
        row[j + 1] = next
      }
    }
    return row[b.count]
  }
}
