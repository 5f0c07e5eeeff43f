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
    #expect(report.html.contains("50 %<span class=\"kind e\">e</span>"))
    #expect(report.csv.contains("s,row,x,0.5,share,estimated,plan,0.4,0.6"))
    #expect(!report.html.contains("SIMULATED"))
  }

  @Test("a section's tag says the kind of its figures once: only others show their letter")
  func kindsOfASection() {
    let figure = Figure(0.5, .share, .measured, source: "clock")
    func html(_ tag: String?) -> String {
      var section = Report.Section(
        id: "s", heading: "h", explanation: "e", blocks: [.table(FigureTable(columns: ["x"], rows: [.init("row", [figure])]))])
      section.tag = tag
      return Report(title: "t", question: "q", banner: nil, facts: [], sections: [section]).html
    }
    #expect(html("MEASURED").contains("<section id=\"s\" class=\"of-m\">") && html("MEASURED").contains(".of-m .kind.m"))
    #expect(html(nil).contains("<section id=\"s\"><h2>") && html(nil).contains("50 %<span class=\"kind m\">m</span>"))
  }

  @Test func linesKeepTheirWidth() {
    let long = String(repeating: "word ", count: 60)
    let report = Report(
      title: "t", question: long, banner: nil, facts: [("fact", long)],
      sections: [.init(id: "s", heading: "h", explanation: long, blocks: [.sentences(heading: nil, ["\(long)"])])])
    #expect(report.terminalLines(width: 80).allSatisfy { $0.count <= 80 })
  }

  @Test("a line is never broken between a number and its unit")
  func unitsStay() {
    let text = "82 % idle: no requests, 16 % idle: host overhead between batches, 1.5 % busy, 0.6 % non-overlapped memcpy, 3 GiB, 12.5 us."
    for width in 20...80 {
      let lines = Report.wrap(text, width: width, indent: "  ", first: "GPU time   ")
      if width >= 34 { #expect(lines.allSatisfy { $0.count <= width }) }
      #expect(!lines.contains { ["%", "GiB", "us."].contains($0.drop { $0 == " " }.prefix { $0 != " " }) }, "\(lines)")
      #expect(lines.joined(separator: " ").split(separator: " ").joined(separator: " ") == "GPU time " + text)
    }
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

  @Test("a card's legend names all that its bar draws; a phone's names the largest, and sums up the rest", arguments: [1, 4, 5, 7])
  func legends(_ count: Int) {
    // 70 %, then ever less: the smallest of seven is 0.0007 of the wall.
    let shares = [0.7, 0.2, 0.07, 0.02, 0.007, 0.0023, 0.0007].prefix(count)
    let parts = shares.enumerated().map { index, share in
      StackedBars.Part(label: "part\(index)", figure: Figure(share, .share, .measured, source: "t"), style: index, isEstimated: false)
    }
    var report = Report(title: "t", question: "q", banner: nil, facts: [], sections: [])
    report.cards = [Report.Card(name: "a", setting: "", title: "b", lines: [], parts: parts, diff: [])]
    let html = report.html
    #expect(parts.allSatisfy { html.contains(" \($0.label)</span>") })
    #expect(html.components(of: "<span class=\"more\">") == max(0, count > 4 ? count - 3 : 0))
    #expect(html.components(of: "class=\"rest\">") == (count > 4 ? 1 : 0))
    if count == 7 { #expect(html.contains("<span class=\"rest\">3.0 % other (4)</span>"), "\(html)") }
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
