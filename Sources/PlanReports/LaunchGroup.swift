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
    places(launches, launches.indices).map { places in
      LaunchGroup(launch: launches[places.first], lastLayer: launches[places.last].layer, count: places.count)
    }
  }

  private typealias Places = (first: Int, last: Int, count: Int)

  /// The longest stretch that begins here and repeats is taken once, and what repeats within it likewise.
  private static func places(_ launches: [Launch], _ range: Range<Int>) -> [Places] {
    var result: [Places] = []
    var index = range.lowerBound
    while index < range.upperBound {
      var best = (period: 1, repeats: 1)
      let left = range.upperBound - index
      for period in stride(from: 1, through: left / 2, by: 1) {
        var repeats = 1
        while period * (repeats + 1) <= left,
          (0..<period).allSatisfy({ isEqual(launches[index + $0], launches[index + period * repeats + $0]) })
        { repeats += 1 }
        if repeats > 1, repeats * period > best.period * best.repeats { best = (period, repeats) }
      }
      let skipped = best.period * (best.repeats - 1)
      if best.period == 1 {
        result.append((index, index + skipped, best.repeats))
      } else {
        result += places(launches, index..<index + best.period).map { ($0.first, $0.last + skipped, $0.count * best.repeats) }
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
