import CheckedNumbers

/// Numbers as people read them: three significant digits, the unit's prefix chosen so that one to three of them stand before the point.
public enum NumberText {
  /// "6.20", "199", "1,085", "0.0312": `digits` significant, never an exponent below 10^15.
  public static func significant(_ value: Double, digits: Int = 3) -> String {
    guard value.isFinite else { return "unknown" }
    if value == 0 { return "0" }
    var decimals = digits - 1
    var magnitude = value.magnitude
    // By comparison rather than log10: 999.96 must not round to "1000.0" with a decimal too many.
    var edge = 10.0
    while magnitude >= edge && decimals > 0 {
      edge *= 10
      decimals -= 1
    }
    while magnitude < 1 && decimals < 12 {
      magnitude *= 10
      decimals += 1
    }
    // 9.999 at two decimals rounds up to four digits, "10.00": one decimal fewer.
    var scale = 1.0
    for _ in 0..<decimals { scale *= 10 }
    var limit = 1.0
    for _ in 0..<digits { limit *= 10 }
    if decimals > 0 && (value.magnitude * scale).rounded() >= limit { decimals -= 1 }
    return fixed(value, decimals: decimals)
  }

  /// `decimals` places, thousands grouped by commas.
  public static func fixed(_ value: Double, decimals: Int) -> String {
    guard value.isFinite else { return "unknown" }
    guard value.magnitude < 1e15 else { return "\(value)" }
    var scale = 1.0
    for _ in 0..<max(0, min(decimals, 15)) { scale *= 10 }
    let scaled = (value.magnitude * scale).rounded()
    guard scaled < 9e18 else { return "\(value)" }
    let integer = UInt64(saturating: scaled)
    let whole = integer / UInt64(saturating: scale)
    let fraction = integer % UInt64(saturating: scale)
    var text = value < 0 && integer != 0 ? "-" : ""
    text += grouped(whole)
    if decimals > 0 {
      let digits = String(fraction)
      text += "." + String(repeating: "0", count: max(0, decimals - digits.count)) + digits
    }
    return text
  }

  /// "1,048,576".
  public static func grouped(_ value: some BinaryInteger) -> String {
    let digits = String(value.magnitude)
    var text = ""
    for (index, digit) in digits.enumerated() {
      if index > 0 && (digits.count - index) % 3 == 0 { text += "," }
      text.append(digit)
    }
    return value < 0 ? "-" + text : text
  }

  /// "34 %", "0.5 %": a share of one.
  public static func percent(_ share: Double?) -> String {
    guard let share, share.isFinite else { return "unknown" }
    let value = share * 100
    return fixed(value, decimals: value.magnitude < 9.95 && value != 0 ? 1 : 0) + " %"
  }

  /// A rate, to three digits and without a prefix: "435,000", "16,800", "12.3".
  public static func rate(_ value: Double) -> String {
    guard value.magnitude >= 1000, value.magnitude < 1e15 else { return significant(value) }
    var step = 1.0
    while value.magnitude / step >= 1000 { step *= 10 }
    return fixed((value / step).rounded() * step, decimals: 0)
  }

  /// With a decimal prefix: "537 MFLOP", "2.62 MB".
  public static func scaled(_ value: Double, unit: String) -> String {
    let prefixes = ["", "k", "M", "G", "T", "P", "E"]
    var index = 0
    var scaled = value
    while scaled.magnitude >= 999.5 && index < prefixes.count - 1 {
      scaled /= 1000
      index += 1
    }
    return (index == 0 && scaled == scaled.rounded() ? grouped(Int(saturating: scaled)) : significant(scaled)) + " " + prefixes[index]
      + unit
  }

  /// A time from nanoseconds, in the unit that suits it: "850 ns", "6.20 us", "3.78 ms", "1.20 s".
  public static func time(nanoseconds: Double) -> String {
    let steps: [(Double, String)] = [(1e9, "s"), (1e6, "ms"), (1e3, "us")]
    for (scale, unit) in steps where nanoseconds.magnitude >= scale * 0.9995 { return significant(nanoseconds / scale) + " " + unit }
    return significant(nanoseconds) + " ns"
  }
}
