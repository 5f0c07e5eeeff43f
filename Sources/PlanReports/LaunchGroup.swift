import Planning

/// Equal kernels of a batch, on one line of a table: neighbours, and those of the layers that repeat, as the blocks of a transformer do.
struct LaunchGroup {
  /// The first of them.
  let launch: Launch
  /// The last one's layer.
  let lastLayer: String
  let count: Int

  /// "layer.0.query .. layer.11.value (36 x)".
  var label: String { count == 1 ? launch.layer : "\(launch.layer) .. \(lastLayer) (\(count) x)" }

  /// Every launch in exactly one group, groups in the order of their first launch.
  static func groups(_ launches: [Launch]) -> [LaunchGroup] {
    let kinds = Kinds(launches)
    return places(kinds, launches.indices).map { places in
      LaunchGroup(launch: launches[places.first], lastLayer: launches[places.last].layer, count: places.count)
    }
  }

  /// Launches as numbers, equal where the launches are equal, so that a model of 100,000 layers is compared by numbers.
  private struct Kinds {
    let numbers: [Int]
    /// The next launch of the same kind; past the end where there is none.
    let next: [Int]

    init(_ launches: [Launch]) {
      var firstOfKernel: [String: [Int]] = [:]
      var numbers: [Int] = []
      numbers.reserveCapacity(launches.count)
      for (index, launch) in launches.enumerated() {
        let first = firstOfKernel[launch.kernelName]?.first { LaunchGroup.isEqual(launches[$0], launch) }
        if first == nil { firstOfKernel[launch.kernelName, default: []].append(index) }
        numbers.append(first ?? index)
      }
      var next = [Int](repeating: launches.count, count: launches.count)
      var last: [Int: Int] = [:]
      for index in launches.indices.reversed() {
        next[index] = last[numbers[index]] ?? launches.count
        last[numbers[index]] = index
      }
      (self.numbers, self.next) = (numbers, next)
    }
  }

  private typealias Places = (first: Int, last: Int, count: Int)

  /// How often a block's first kernel may stand in it. More is no layer of a model, and would make the search quadratic.
  private static let maximumOccurrences = 1_000

  /// The longest stretch that begins here and repeats is taken once, and what repeats within it likewise.
  private static func places(_ kinds: Kinds, _ range: Range<Int>) -> [Places] {
    let numbers = kinds.numbers
    var result: [Places] = []
    var index = range.lowerBound
    while index < range.upperBound {
      var best = (period: 1, repeats: 1)
      let left = range.upperBound - index
      var (candidate, tried) = (kinds.next[index], 0)
      // Nothing is longer than all that is left.
      while candidate - index <= left / 2, tried < maximumOccurrences, best.period * best.repeats < left {
        let period = candidate - index
        var repeats = 1
        while period * (repeats + 1) <= left, (0..<period).allSatisfy({ numbers[index + $0] == numbers[index + period * repeats + $0] }) {
          repeats += 1
        }
        if repeats > 1, repeats * period > best.period * best.repeats { best = (period, repeats) }
        (candidate, tried) = (kinds.next[candidate], tried + 1)
      }
      let skipped = best.period * (best.repeats - 1)
      if best.period == 1 {
        result.append((index, index + skipped, best.repeats))
      } else {
        result += places(kinds, index..<index + best.period).map { ($0.first, $0.last + skipped, $0.count * best.repeats) }
      }
      index += best.period * best.repeats
    }
    return result
  }

  private static func isEqual(_ left: Launch, _ right: Launch) -> Bool {
    left.kernelName == right.kernelName && left.gemm == right.gemm && left.bytes == right.bytes
      && left.redundantFloatingPointOperations == right.redundantFloatingPointOperations
  }
}
