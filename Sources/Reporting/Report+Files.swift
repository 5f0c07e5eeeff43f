public import Diagnosis
public import JSONText

extension Figure {
  /// {"value", "unit", "kind", "source", "low", "high"}; the interval only where there is one.
  public var json: JSONValue {
    var members: [JSONValue.Member] = [
      .init("value", JSONValue(value)), .init("unit", .string(unit.rawValue)), .init("kind", .string(kind.rawValue)),
      .init("source", .string(source)),
    ]
    if let interval {
      members.append(.init("low", JSONValue(interval.lowerBound)))
      members.append(.init("high", JSONValue(interval.upperBound)))
    }
    return .object(members)
  }
}

extension Report {
  /// Every figure on a line of its own: section, row, column, value, unit, kind, source, low, high.
  public var csv: String {
    var rows: [[String]] = []
    for section in sections {
      for block in section.blocks {
        switch block {
        case .table(let table):
          for row in table.rows {
            for (column, cell) in zip(table.columns, row.cells) {
              switch cell {
              case .figure(let figure): rows.append([section.id, row.label, column] + Self.columns(figure))
              case .text(let text): rows.append([section.id, row.label, column, text, "", "", "", "", ""])
              case .unknown: rows.append([section.id, row.label, column, "", "", "", "", "", ""])
              }
            }
          }
        case .bars(let bars):
          for bar in bars.bars {
            for part in bar.parts { rows.append([section.id, part.label, bar.name] + Self.columns(part.figure)) }
          }
        case .histogram(let histogram):
          for series in histogram.series {
            for bin in series.bins where bin.count > 0 {
              rows.append([section.id, "\(bin.low)..\(bin.high)", series.name, "\(bin.count)", "count", "", histogram.title, "", ""])
            }
          }
        case .chart(let chart):
          for series in chart.series {
            for point in series.points {
              rows.append([section.id, "\(point.x)", series.name, "\(point.y)", chart.yLabel, "", chart.title, "", ""])
            }
          }
        case .sentences, .timeline: continue
        }
      }
    }
    return CSVText.table(header: ["section", "row", "column", "value", "unit", "kind", "source", "low", "high"], rows: rows)
  }

  private static func columns(_ figure: Figure) -> [String] {
    [
      figure.value.isFinite ? "\(figure.value)" : "", figure.unit.rawValue, figure.kind.rawValue, figure.source,
      figure.interval.map { "\($0.lowerBound)" } ?? "", figure.interval.map { "\($0.upperBound)" } ?? "",
    ]
  }
}
