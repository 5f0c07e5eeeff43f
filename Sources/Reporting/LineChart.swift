/// One chart of one or more lines over a common x axis: as SVG and as text for a terminal.
public struct LineChart: Sendable {
  /// A named line; its points in ascending x.
  public struct Series: Sendable {
    /// What the line shows, for the legend.
    public var name: String
    /// (x, y) in ascending x.
    public var points: [(x: Double, y: Double)]

    /// A named line.
    public init(name: String, points: [(x: Double, y: Double)]) {
      self.name = name
      self.points = points
    }
  }

  /// Heading.
  public var title: String
  /// One sentence that says what is to be seen.
  public var explanation: String
  /// Words under the x axis, with the unit.
  public var xLabel: String
  /// Words beside the y axis, with the unit.
  public var yLabel: String
  /// The lines.
  public var series: [Series]
  /// The y axis' top where it is known (1 for a share), else the data's.
  public var top: Double?
  /// On a page: whether the y axis counts decades.
  public var isLogarithmic = false
  /// On a page: marks of the x axis where its numbers are not what is to be read.
  public var xMarks: [(x: Double, text: String)] = []

  /// A chart.
  public init(title: String, explanation: String, xLabel: String, yLabel: String, series: [Series], top: Double? = nil) {
    self.title = title
    self.explanation = explanation
    self.xLabel = xLabel
    self.yLabel = yLabel
    self.series = series
    self.top = top
  }

  var xRange: ClosedRange<Double> {
    let values = series.flatMap { $0.points.map(\.x) }
    guard let low = values.min(), let high = values.max() else { return 0...1 }
    return low...(high > low ? high : low + 1)
  }

  /// The y axis' top: the data's maximum rounded up to a round number.
  var yTop: Double {
    if let top { return top }
    let highest = series.flatMap { $0.points.map(\.y) }.max() ?? 1
    guard highest > 0, highest.isFinite else { return 1 }
    var step = 1.0
    while step * 10 <= highest { step *= 10 }
    while step > highest { step /= 10 }
    for factor in [1.0, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10] where step * factor >= highest { return step * factor }
    return highest
  }
}
