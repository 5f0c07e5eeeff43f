import CheckedNumbers
public import GPUModel
import TimeBase

/// One measured GEMM.
public struct Measurement: Sendable, Hashable {
  /// The GPU's name as the file gives it.
  public var gpu: String
  /// The product.
  public var gemm: GEMM
  /// Median of its runs.
  public var microseconds: Double
  /// What was timed.
  public var quantity: Quantity
  /// Longest less shortest run, over the median; 0 where not known.
  public var spread: Double

  /// What a time counts.
  public enum Quantity: String, Sendable, Hashable {
    /// Period of a replayed CUDA graph: kernel and gap to the next one.
    case replay
    /// A profiler's record: the kernel alone, summed over the kernels of a product.
    case kernel
  }

  /// A measured product.
  public init(gpu: String, gemm: GEMM, microseconds: Double, quantity: Quantity = .replay, spread: Double = 0) {
    self.gpu = gpu
    self.gemm = gemm
    self.microseconds = microseconds
    self.quantity = quantity
    self.spread = spread
  }

  /// How much it counts in a fit: half where its runs lie 15 % apart.
  public var weight: Double { 1 / (1 + (spread / 0.15) * (spread / 0.15)) }

  /// Weights taken in turn while products are timed by kernel records: B stands among so many equals.
  static let weightsInTurn = 4.0
}

/// A table that cannot be used: where and why.
public struct MeasurementError: Error, Equatable, CustomStringConvertible {
  /// Line in the file, 1-based.
  public var line: Int
  /// What was wrong, naming the column.
  public var reason: String
  /// "line 7: ...".
  public var description: String { "line \(line): \(reason)" }
}

extension Measurement {
  /// Reads comma-separated lines with a header. Columns: m, n, k, and a time: kernel_us_median or kernel_us (a profiler's record), else
  /// median_us or us (a graph replay's period); optional gpu, batch (or b), dtype (bf16 where absent) and the shortest and longest run
  /// (kernel_us_min, kernel_us_max or min_us, max_us). Other columns are ignored; fields may stand in double quotes. With `timed` false the
  /// time column may be missing: a list of shapes to predict.
  public static func read(csv: String, timed: Bool = true) throws(MeasurementError) -> [Measurement] {
    var lines: [(number: Int, cells: [Substring])] = []
    // Spreadsheets put a byte order mark in front.
    let csv = csv.unicodeScalars.first == "\u{FEFF}" ? String(csv.unicodeScalars.dropFirst()) : csv
    for (index, line) in csv.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
      // Swift takes "\r\n" for one character: splitting at "\n" alone would see a single line.
      let text = line
      if text.allSatisfy({ $0 == " " }) || text.hasPrefix("#") { continue }
      lines.append((index + 1, CSVFields.split(text)))
    }
    guard let header = lines.first else { throw MeasurementError(line: 1, reason: "the file is empty; it needs a header with m, n, k") }
    var columns: [Substring: Int] = [:]
    for (index, name) in header.cells.enumerated() {
      if columns.updateValue(index, forKey: name) != nil {
        throw MeasurementError(line: header.number, reason: "column \"\(name)\" stands twice")
      }
    }
    for name in ["m", "n", "k"] where columns[Substring(name)] == nil {
      throw MeasurementError(line: header.number, reason: "no column \"\(name)\" in the header")
    }
    let record = columns["kernel_us_median"] ?? columns["kernel_us"]
    let time = record ?? columns["median_us"] ?? columns["us"]
    if timed && time == nil {
      throw MeasurementError(line: header.number, reason: "no column \"kernel_us_median\", \"median_us\" or \"us\" in the header")
    }
    let extremes = record == nil ? (columns["min_us"], columns["max_us"]) : (columns["kernel_us_min"], columns["kernel_us_max"])
    var rows: [Measurement] = []
    for (number, cells) in lines.dropFirst() {
      if cells.count != header.cells.count {
        throw MeasurementError(line: number, reason: "\(cells.count) fields where the header has \(header.cells.count)")
      }
      func size(_ name: String) throws(MeasurementError) -> Int {
        guard let column = columns[Substring(name)] else { return 1 }
        guard let value = Int(cells[column]), value > 0, value <= 1 << 40 else {
          throw MeasurementError(line: number, reason: "\(name) is \"\(cells[column])\"; it must be a whole number from 1 to 2^40")
        }
        return value
      }
      var type = ComputeType.bf16
      if let column = columns["dtype"] {
        guard let known = ComputeType(rawValue: String(cells[column])) else {
          let names = ComputeType.allCases.map(\.rawValue).joined(separator: ", ")
          throw MeasurementError(line: number, reason: "dtype is \"\(cells[column])\"; known are \(names)")
        }
        type = known
      }
      var microseconds = 0.0
      if timed, let time {
        guard let value = Double(cells[time]), value.isFinite, value > 0 else {
          throw MeasurementError(line: number, reason: "the time is \"\(cells[time])\"; it must be a positive number of microseconds")
        }
        microseconds = value
      }
      var spread = 0.0
      if let low = extremes.0, let high = extremes.1, let minimum = Double(cells[low]), let maximum = Double(cells[high]), microseconds > 0,
        minimum.isFinite, maximum.isFinite, maximum >= minimum
      {
        spread = (maximum - minimum) / microseconds
      }
      var gemm = GEMM(
        batch: try size(columns["batch"] == nil ? "b" : "batch"), m: try size("m"), n: try size("n"), k: try size("k"), type: type)
      if record != nil {
        gemm.footprintBytes = weightsInTurn * Double(gemm.batch) * Double(gemm.n) * Double(gemm.k) * Double(type.bytesPerElement)
      }
      rows.append(
        Measurement(
          gpu: columns["gpu"].map { String(cells[$0]) } ?? "", gemm: gemm, microseconds: microseconds,
          quantity: record == nil ? .replay : .kernel, spread: spread))
    }
    if rows.isEmpty { throw MeasurementError(line: header.number, reason: "no rows after the header") }
    return rows
  }

  /// The 24 products that tell most about a GPU in a few seconds: six heights from a vector to a compute-bound block, against four weight
  /// shapes (square, wide, tall, small), so that fixed cost, steps, L2, memory, math and power each dominate somewhere.
  public static let designedShapes: [(m: Int, n: Int, k: Int)] = [(1024, 1024), (8192, 2048), (2048, 8192), (256, 512)].flatMap { shape in
    [1, 16, 64, 256, 1024, 8192].map { (m: $0, n: shape.0, k: shape.1) }
  }
}
