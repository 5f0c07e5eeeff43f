extension Histogram {
  /// Every value that was recorded, to the histogram's precision and ascending, with how often.
  public var recordedValues: [(value: Int64, count: Int64)] {
    counts.indices.compactMap { index in
      guard counts[index] > 0 else { return nil }
      let bucket = bucket(at: index)
      // The middle, as HdrHistogram's own mean takes it; never beyond what was seen.
      return (min(max(bucket.low + bucket.width / 2, minimum ?? 0), maximum ?? .max), counts[index])
    }
  }
}
