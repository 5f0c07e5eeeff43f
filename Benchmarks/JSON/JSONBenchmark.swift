import Foundation
import JSONReading
import KServe
import ModelConfiguration
import TimeBase

/// How fast a tensor comes out of a request's JSON: text to tape to packed bytes, one core. The judge of the values is KServeTests; of the speed,
/// strtod over the same text in the same run.
@main
enum JSONBenchmark {
  static func main() throws {
    for (name, digits) in [("floats of 9 digits", 9), ("doubles of 17 digits", 17), ("whole numbers", 0)] {
      var random = SplitMix64(seed: 1)
      let numbers = (0..<500_000).map { _ in
        digits == 0
          ? "\(Int.random(in: -30_000...30_000, using: &random))"
          : String(format: "%.\(digits)g", Double.random(in: -4...4, using: &random))
      }
      let text = Array(
        "{\"inputs\":[{\"name\":\"x\",\"shape\":[500000],\"datatype\":\"FP32\",\"data\":[\(numbers.joined(separator: ","))]}]}".utf8)
      var tape = JSONTape()
      var times: [Double] = []
      for _ in 0..<11 {
        let start = ContinuousClock.now
        try text.withUnsafeBytes { raw in
          try tape.read(raw)
          let request = try InferenceRequestJSON(tape, text: raw, model: "m")
          guard case .json(let bytes) = request.inputs[0].source, bytes.count == 2_000_000 else { throw Wrong() }
        }
        times.append(seconds(since: start))
      }
      let start = ContinuousClock.now
      var sum = 0.0
      for number in numbers { sum += strtod(number, nil) }
      let plain = seconds(since: start)
      let megabytes = Double(text.count) / 1e6
      let median = times.sorted()[times.count / 2]
      print(
        String(
          format: "%@: %.1f MB, median %.0f MB/s, best %.0f MB/s, %.1f times strtod alone (checksum %.3f)", name, megabytes,
          megabytes / median,
          megabytes / (times.min() ?? median), plain / median, sum))
    }
  }

  struct Wrong: Error {}

  private static func seconds(since start: ContinuousClock.Instant) -> Double {
    let span = (ContinuousClock.now - start).components
    return Double(span.seconds) + Double(span.attoseconds) / 1e18
  }
}
