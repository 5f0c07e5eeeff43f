public import Diagnosis

/// What is to be shown, without how: the terminal, HTML, CSV and JSON printers all take this. Every number in it is a `Figure`.
public struct Report: Sendable {
  /// Heading.
  public var title: String
  /// What was asked.
  public var question: String
  /// "SIMULATED ..." where it is; shown above everything and in every header.
  public var banner: String?
  /// Device, host, load: what the figures are about.
  public var facts: [(name: String, text: String)]
  /// Remarks.
  public var notes: [String]
  /// What `facts` are called where cards stand above them.
  public var factsHeading = "Device, load, serving configuration and host profile"
  /// What is said first, one for each thing compared.
  public var cards: [Card] = []
  /// In reading order.
  public var sections: [Section]

  /// An answer in ten lines, with a picture of where time went and the first change as a diff.
  public struct Card: Sendable {
    /// A line of it.
    public struct Line: Sendable {
      /// "Headroom".
      public var name: String
      /// The rest.
      public var text: String
      /// In brackets behind it; nil for nothing.
      public var kind: String?
      /// A finding's heading on this page, where the line belongs to one.
      public var anchor: String?

      /// A line.
      public init(name: String, text: String, kind: String?, anchor: String? = nil) {
        self.name = name
        self.text = text
        self.kind = kind
        self.anchor = anchor
      }
    }

    /// Variant or model.
    public var name: String
    /// Device and host profile.
    public var setting: String
    /// What limits.
    public var title: String
    /// In reading order.
    public var lines: [Line]
    /// One bar of shares of wall time.
    public var parts: [StackedBars.Part]
    /// Lines of a configuration that go and come; empty for none.
    public var diff: [String]

    /// A card.
    public init(name: String, setting: String, title: String, lines: [Line], parts: [StackedBars.Part], diff: [String]) {
      self.name = name
      self.setting = setting
      self.title = title
      self.lines = lines
      self.parts = parts
      self.diff = diff
    }
  }

  /// A report.
  public init(
    title: String, question: String, banner: String?, facts: [(name: String, text: String)], notes: [String] = [], sections: [Section] = []
  ) {
    self.title = title
    self.question = question
    self.banner = banner
    self.facts = facts
    self.notes = notes
    self.sections = sections
  }

  /// A heading with what stands under it.
  public struct Section: Sendable {
    /// For links and CSV: "gpu-utilization".
    public var id: String
    /// Heading.
    public var heading: String
    /// One sentence on how to read it.
    public var explanation: String
    /// In reading order.
    public var blocks: [Block]
    /// "SIMULATED" or "MEASURED", shown beside the heading; nil where the report's banner says it.
    public var tag: String?

    /// A section.
    public init(id: String, heading: String, explanation: String, blocks: [Block]) {
      self.id = id
      self.heading = heading
      self.explanation = explanation
      self.blocks = blocks
    }
  }

  /// Something under a heading.
  public enum Block: Sendable {
    /// Figures side by side.
    case table(FigureTable)
    /// A heading of its own with sentences; a card may lead to it by its anchor.
    case sentences(heading: String?, [Sentence], anchor: String? = nil)
    /// Stacked bars.
    case bars(StackedBars)
    /// Counts by size.
    case histogram(Histogram)
    /// What ran when.
    case timeline(Timeline)
    /// Lines over an axis.
    case chart(LineChart)
  }
}

/// Rows of figures, one column a variant.
public struct FigureTable: Sendable {
  /// Heads of the columns after the first.
  public var columns: [String]
  /// Rows in reading order.
  public var rows: [Row]

  /// A cell.
  public enum Cell: Sendable, Hashable {
    /// A number.
    case figure(Figure)
    /// A name.
    case text(String)
    /// Not known.
    case unknown
  }

  /// A line.
  public struct Row: Sendable, Hashable {
    /// First column.
    public var label: String
    /// One cell a column.
    public var cells: [Cell]
    /// One sentence on what it is; shown as a tooltip and in CSV.
    public var explanation: String

    /// A line; nil figures show as unknown.
    public init(_ label: String, _ figures: [Figure?], explanation: String = "") {
      self.label = label
      self.cells = figures.map { figure in figure.map { .figure($0) } ?? .unknown }
      self.explanation = explanation
    }

    /// A line of names and figures.
    public init(_ label: String, cells: [Cell], explanation: String = "") {
      self.label = label
      self.cells = cells
      self.explanation = explanation
    }
  }

  /// A table.
  public init(columns: [String], rows: [Row]) {
    self.columns = columns
    self.rows = rows
  }
}

/// A bar for each variant, cut into shares.
public struct StackedBars: Sendable {
  /// A share of a bar.
  public struct Part: Sendable {
    /// What it is.
    public var label: String
    /// Its share.
    public var figure: Figure
    /// Position among the parts: gives its colour and pattern.
    public var style: Int
    /// In a terminal's bar; nil: by the style.
    public var letter: Character?
    /// Drawn hatched.
    public var isEstimated: Bool
    /// Time that was lost; the largest loss of a bar is drawn strongest.
    public var isLoss: Bool

    /// A part.
    public init(label: String, figure: Figure, style: Int, letter: Character? = nil, isEstimated: Bool, isLoss: Bool = true) {
      self.label = label
      self.figure = figure
      self.style = style
      self.letter = letter
      self.isEstimated = isEstimated
      self.isLoss = isLoss
    }
  }

  /// Name and parts of every bar.
  public var bars: [(name: String, parts: [Part])]

  /// Bars.
  public init(bars: [(name: String, parts: [Part])]) { self.bars = bars }
}

/// How often each size came up, one series per variant.
public struct Histogram: Sendable {
  /// One variant's counts.
  public struct Series: Sendable {
    /// Whose.
    public var name: String
    /// Lower end and upper end of each bin, and how many fell into it.
    public var bins: [(low: Double, high: Double, count: Int)]

    /// Counts by bin.
    public init(name: String, bins: [(low: Double, high: Double, count: Int)]) {
      self.name = name
      self.bins = bins
    }
  }

  /// Heading.
  public var title: String
  /// What the bins are of, with unit.
  public var xLabel: String
  /// What is counted.
  public var yLabel: String
  /// One a variant.
  public var series: [Series]
  /// One sentence.
  public var explanation: String
  /// Bins are drawn equally wide, whatever their ends: for bins that grow with the value. All series have the same bins then.
  public var isEven = false

  /// A histogram.
  public init(title: String, xLabel: String, yLabel: String, series: [Series], explanation: String) {
    self.title = title
    self.xLabel = xLabel
    self.yLabel = yLabel
    self.series = series
    self.explanation = explanation
  }
}

/// Lanes of intervals over a stretch of time.
public struct Timeline: Sendable {
  /// Something that ran.
  public struct Span: Sendable {
    /// Nanoseconds.
    public var start: Int64
    /// Nanoseconds.
    public var end: Int64
    /// What it was.
    public var label: String
    /// Gives its colour.
    public var style: Int

    /// A span.
    public init(start: Int64, end: Int64, label: String, style: Int) {
      self.start = start
      self.end = end
      self.label = label
      self.style = style
    }
  }

  /// Heading.
  public var title: String
  /// What part of the run it is.
  public var explanation: String
  /// Stretch shown, nanoseconds.
  public var range: Range<Int64>
  /// Lanes from top to bottom.
  public var lanes: [(name: String, spans: [Span])]

  /// A timeline.
  public init(title: String, explanation: String, range: Range<Int64>, lanes: [(name: String, spans: [Span])]) {
    self.title = title
    self.explanation = explanation
    self.range = range
    self.lanes = lanes
  }
}
