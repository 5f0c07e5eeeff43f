import Execution
import JSONText
import ProcessContract
import Threads
import TimeBase

/// `headroom top`: the GPUs' counters, read again and again.
package struct CounterWatch: Sendable {
  /// Readings until the end; nil for never.
  package var count: Int?
  /// Between readings, seconds.
  package var interval: Double
  /// The only GPU that is read, by the driver's index.
  package var gpu: Int?
  /// No lines: the document alone.
  package var isQuiet: Bool

  /// With every setting.
  package init(count: Int?, interval: Double, gpu: Int?, isQuiet: Bool) {
    (self.count, self.interval, self.gpu, self.isQuiet) = (count, interval, gpu, isQuiet)
  }

  /// - Throws: the option that cannot be meant.
  package func check() throws(UsageError) {
    if let count, !(1...1_000_000).contains(count) { throw UsageError("--count \(count): from 1 to 1000000") }
    if !(interval >= 0.1 && interval <= 3600) { throw UsageError("--interval \(interval): from 0.1 to 3600 seconds") }
  }

  /// Reads until `count` is reached, each reading printed unless `isQuiet`; all readings as one document where it is.
  package func run(_ management: GPUManagement, version: String, print: (String) -> Void) throws(DeviceError) -> JSONValue {
    var readings: [JSONValue] = []
    var number = 0
    var due = MonotonicClock.now
    while count.map({ number < $0 }) ?? true {
      // The first one too is of an interval.
      due = due + TimeSpan(clampingSeconds: interval)
      MonotonicClock.sleep(until: due)
      number += 1
      let time = MonotonicClock.now
      let gpus = try chosen(management.read())
      if isQuiet {
        readings.append(["timeNanoseconds": JSONValue(time.nanoseconds), "gpus": .array(gpus.map(TopLines.json))])
      } else {
        if number > 1 { print("") }
        print(gpus.flatMap { TopLines.lines($0, driver: management.driverVersion) }.joined(separator: "\n"))
      }
    }
    return [
      "schema": "headroom.top/1", "headroom": .string(version), "mode": "measured", "driverVersion": .string(management.driverVersion),
      "intervalSeconds": JSONValue(interval), "readings": .array(readings),
    ]
  }

  /// Those that were asked for.
  ///
  /// - Throws: where there is none.
  package func chosen(_ gpus: [GPUReading]) throws(DeviceError) -> [GPUReading] {
    let chosen = gpus.filter { gpu == nil || $0.index == gpu }
    if chosen.isEmpty {
      throw DeviceError(.unsupported, gpu.map { "there is no GPU \($0); `nvidia-smi -L` lists them" } ?? "the driver sees no GPU")
    }
    return chosen
  }
}
