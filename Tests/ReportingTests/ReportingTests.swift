import Reporting
import Testing

@Suite struct ReportingTests {
  @Test(arguments: [
    (6.2, "6.20"), (199.04, "199"), (1085.4, "1,085"), (0.0312, "0.0312"), (0, "0"), (999.96, "1,000"), (-12.345, "-12.3"),
    (9.999, "10.0"),
  ])
  func threeSignificantDigits(value: Double, text: String) {
    #expect(NumberText.significant(value) == text)
  }

  @Test func unknownIsAWordNotANumber() {
    #expect(NumberText.significant(.nan) == "unknown")
    #expect(NumberText.percent(nil) == "unknown")
  }

  @Test func unitsScale() {
    #expect(NumberText.scaled(536_870_912, unit: "FLOP") == "537 MFLOP")
    #expect(NumberText.scaled(12, unit: "B") == "12 B")
    #expect(NumberText.time(nanoseconds: 6_200) == "6.20 us")
    #expect(NumberText.time(nanoseconds: 3_780_000) == "3.78 ms")
    #expect(NumberText.percent(0.341) == "34 %")
    #expect(NumberText.percent(0.005) == "0.5 %")
    #expect(NumberText.grouped(-1_048_576) == "-1,048,576")
  }

  @Test func tablesAlignAndHoldNoTrailingSpace() {
    var table = TextTable([.init("layer", .left), .init("us")])
    table.add(["fc", "6.20"])
    table.addRule()
    table.add(["total", "124.00"])
    #expect(
      table.lines == [
        "layer      us", "-------------", "fc       6.20", "-------------", "total  124.00",
      ])
  }

  @Test func aTableThatIsTooWideShortensOneColumn() {
    var table = TextTable([.init("layer", .left), .init("us")])
    table.add(["encoder.layers.0.attention.query", "6.20"])
    table.add(["fc", "1.00"])
    #expect(table.lines(width: 80, clippingColumn: 0) == table.lines)
    #expect(
      table.lines(width: 26, clippingColumn: 0) == [
        "layer                   us", "--------------------------", "encoder.l...on.query  6.20", "fc                    1.00",
      ])
    // Eight characters of it stay, even where that is too wide.
    #expect(table.lines(width: 10, clippingColumn: 0)[2] == "...query  6.20")
  }

  @Test func csvQuotesWhatNeedsIt() {
    #expect(CSVText.table(header: ["a", "b"], rows: [["x,y", "say \"hi\""]]) == "a,b\n\"x,y\",\"say \"\"hi\"\"\"\n")
  }

  @Test func chartsEscapeNamesAndDrawSteps() {
    let chart = LineChart(
      title: "a < b", explanation: "e", xLabel: "rows", yLabel: "us", series: [.init(name: "\"x\"", points: [(1, 1), (2, 3), (3, 3)])])
    let svg = LineChart.svg([chart])
    #expect(svg.contains("a &lt; b") && svg.contains("&quot;x&quot;") && !svg.contains("a < b"))
    let lines = chart.terminalLines(width: 30, height: 4)
    #expect(lines.contains { $0.contains("█") })
    #expect(LineChart.svg([LineChart(title: "", explanation: "", xLabel: "", yLabel: "", series: [])]).hasSuffix("</svg>\n"))
  }
}
