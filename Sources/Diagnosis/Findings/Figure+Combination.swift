extension Figure {
  /// A figure computed from others: it is of the weakest kind among them (a measured time over an assumed peak is assumed).
  static func combined(
    _ value: Double, _ unit: Unit, _ parts: [Figure], source: String, interval: ClosedRange<Double>? = nil
  ) -> Figure {
    let kind = parts.map(\.kind).min() ?? .assumed
    return Figure(value, unit, kind, source: source, interval: interval)
  }

  /// Ends of what the value may be; the value itself where no interval is known.
  var lowerEnd: Double { interval?.lowerBound ?? value }
  package var upperEnd: Double { interval?.upperBound ?? value }

  /// A time in milliseconds, whatever unit it came in. Only times are asked.
  package var inMilliseconds: Double {
    switch unit {
    case .seconds: value * 1000
    case .microseconds: value / 1000
    case .nanoseconds: value / 1_000_000
    default: value
    }
  }
}
