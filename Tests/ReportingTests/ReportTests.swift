import Diagnosis
import Reporting
import Testing

@Suite struct ReportTests {
  static let evil = "<img src=x onerror=alert(1)> & \"quoted\" 'single'"

  static var report: Report {
    let figure = Figure(0.5, .share, .estimated, source: evil, interval: 0.4...0.6)
    return Report(
      title: evil, question: evil, banner: evil, facts: [(evil, evil)], notes: [evil],
      sections: [
        Report.Section(
          id: "a\"b", heading: evil, explanation: evil,
          blocks: [
            .table(
              FigureTable(columns: [evil], rows: [.init(evil, [figure, nil], explanation: evil), .init(evil, cells: [.text(evil)])])),
            .sentences(heading: evil, ["\(evil) \(figure) `code <b>`"]),
            .bars(StackedBars(bars: [(evil, [.init(label: evil, figure: figure, style: 1, isEstimated: true)])])),
            .histogram(
              Histogram(title: evil, xLabel: evil, yLabel: evil, series: [.init(name: evil, bins: [(1, 2, 3)])], explanation: evil)),
            .chart(
              LineChart(title: evil, explanation: evil, xLabel: evil, yLabel: evil, series: [.init(name: evil, points: [(0, 1), (1, 2)])])),
            .timeline(
              Timeline(title: evil, explanation: evil, range: 0..<10, lanes: [(evil, [.init(start: 1, end: 2, label: evil, style: 3)])])),
          ])
      ])
  }

  @Test func nothingFromOutsideBecomesMarkup() {
    let html = Self.report.html
    #expect(!html.contains("<img"))
    #expect(!html.contains("<b>"))
    #expect(html.contains("&lt;img src=x onerror=alert(1)&gt; &amp; &quot;quoted&quot; &#39;single&#39;"))
    #expect(html.contains("<code>code &lt;b&gt;</code>"))
    #expect(!html.contains("http"))
  }

  @Test func everyFigureShowsKindSourceAndInterval() {
    let figure = Figure(0.5, .share, .estimated, source: "plan", interval: 0.4...0.6)
    let table = FigureTable(columns: ["x"], rows: [.init("row", [figure])])
    let report = Report(
      title: "t", question: "q", banner: nil, facts: [], sections: [.init(id: "s", heading: "h", explanation: "e", blocks: [.table(table)])]
    )
    #expect(report.html.contains("title=\"estimated: plan; from 40 % to 60 %\""))
    #expect(report.html.contains("50 %<span class=\"kind\">e</span>"))
    #expect(report.csv.contains("s,row,x,0.5,share,estimated,plan,0.4,0.6"))
    #expect(!report.html.contains("SIMULATED"))
  }

  @Test func linesKeepTheirWidth() {
    let long = String(repeating: "word ", count: 60)
    let report = Report(
      title: "t", question: long, banner: nil, facts: [("fact", long)],
      sections: [.init(id: "s", heading: "h", explanation: long, blocks: [.sentences(heading: nil, ["\(long)"])])])
    #expect(report.terminalLines(width: 80).allSatisfy { $0.count <= 80 })
  }

  @Test func barsAreToldWithoutColour() {
    let part = { (label: String, share: Double, style: Int) in
      StackedBars.Part(label: label, figure: Figure(share, .share, .measured, source: "t"), style: style, isEstimated: false)
    }
    let bars = StackedBars(bars: [("a", [part("starved", 0.5, 0), part("held", 0.5, 1)])])
    let report = Report(
      title: "t", question: "q", banner: nil, facts: [], sections: [.init(id: "s", heading: "h", explanation: "e", blocks: [.bars(bars)])])
    let line = report.terminalLines(width: 60).first { $0.hasPrefix("  a  ") } ?? ""
    #expect(line.contains("SSSS") && line.contains("HHHH"))
    #expect((line.filter { $0 == "S" }.count - line.filter { $0 == "H" }.count).magnitude <= 1)
  }

  @Test func chartsAreDrawnAndBinsThatGrowAreDrawnEvenly() {
    let chart = LineChart(title: "t", explanation: "e", xLabel: "x", yLabel: "y", series: [.init(name: "a", points: [(0, 1), (2, 2)])])
    var histogram = Histogram(
      title: "t", xLabel: "x", yLabel: "y", series: [.init(name: "a", bins: [(1, 10, 2), (10, 100, 2)])], explanation: "e")
    histogram.isEven = true
    let report = Report(
      title: "t", question: "q", banner: nil, facts: [],
      sections: [.init(id: "s", heading: "h", explanation: "e", blocks: [.chart(chart), .histogram(histogram)])])
    #expect(
      report.html.contains("<path d=\"M")
        && report.html.contains("role=\"img\" aria-label=\"t: a from 1.00 to 2.00, at most 2.00 y at 2 x\""))
    #expect(report.html.components(of: "width=\"499.00\"") == 2)
    #expect(report.csv.contains("s,2.0,a,2.0,y,,t,,"))
  }
}

extension String {
  /// How often `text` stands in it.
  fileprivate func components(of text: String) -> Int { ranges(of: text).count }
}
