import HostModel
import DeviceModel
import JSONText
import Simulation
import Testing
import TimeBase

@Suite struct HostMeasurementTests {
  @Test func mediansAndQuartiles() throws {
    let measured = try #require(HostMeasurement(.gatherPerBatch, [5, 1, 2, 4, 3, .nan], how: "by hand"))
    #expect(measured.value == 3 && measured.quartiles == 2...4 && measured.count == 5)
    #expect(measured.entry.source == .measured && measured.entry.note == "by hand; quartiles 2.0 to 4.0 of 5")
    #expect(HostMeasurement(.gatherPerBatch, [], how: "") == nil)
    #expect(HostMeasurement(.gatherPerBatch, [.nan, .infinity], how: "") == nil)
    // Differences of noisy times may be negative; a cost is not.
    #expect(HostMeasurement(.networkLatency, [-3, -1, 1], how: "")?.value == 0)
    #expect(HostMeasurement(.frontEndCores, [0.2], how: "")?.value == 1, "no less than the cost's range")
    #expect(HostMeasurement(.launch, [1e12], how: "")?.value == HostCost.launch.range.upperBound)
  }

  @Test func twoSizesGiveAFixedPartAndOneAByte() throws {
    let (fixed, perByte) = HostMeasurement.affine(small: [11, 12, 13], smallBytes: 100, large: [110, 112, 114], largeBytes: 1100)
    #expect(HostMeasurement.summary(perByte)?.median == 0.1)
    #expect(HostMeasurement.summary(fixed).map { abs($0.median - 2) < 1e-9 } == true)
    // A large size that is faster costs nothing a byte.
    let flat = HostMeasurement.affine(small: [10], smallBytes: 1, large: [8], largeBytes: 2)
    #expect(flat.fixed == [10] && flat.perByte == [0, 0])
    #expect(HostMeasurement.affine(small: [1], smallBytes: 5, large: [2], largeBytes: 5).fixed.isEmpty)
    #expect(HostMeasurement.affine(small: [], smallBytes: 1, large: [2], largeBytes: 5).perByte.isEmpty)
  }

  @Test func aMeasuredProfileSurvivesItsFile() throws {
    let measured = try #require(HostMeasurement(.frontEndPerRequest, [12.5, 13, 13.5], how: "event loops"))
    let profile = HostProfile(name: "here", about: "test", measurements: [measured])
    #expect(profile[.frontEndPerRequest].value == 13 && profile[.frontEndPerRequest].source == .measured)
    #expect(profile[.launch].source == .assumed && profile[.launch].value == HostCost.launch.usual)
    #expect(try HostProfile(json: try JSONValue.parse(profile.json.serialized(pretty: true))) == profile)
  }

  @Test func aMeasuredProcessorSurvivesItsFile() throws {
    let points = [(1, 1000.0), (8, 2500.5), (64, 90_000)].map {
      BatchDurations.Point(rows: $0.0, nanoseconds: $0.1, quartiles: ($0.1 - 10)...($0.1 + 10), batches: 7)
    }
    let device = ProcessorDevice(name: "a processor", durations: try #require(BatchDurations(points)), threads: 2, sharedCores: 2)
    let read = try ProcessorDevice(json: try JSONValue.parse(device.json.serialized()))
    #expect(read.name == device.name && read.threads == 2 && read.sharedCores == 2)
    #expect(read.durations.points.map(\.rows) == [1, 8, 64] && read.durations.points.allSatisfy { $0.spread == [1] })
    for rows in [1, 5, 8, 30, 64, 100] {
      #expect(abs(read.durations.nanoseconds(rows: rows) - device.durations.nanoseconds(rows: rows)) < 1e-6 * 90_000)
    }
  }

  @Test(arguments: [
    ("{}", "schema"), (#"{"schema":"headroom.processor/1"}"#, "name"),
    (#"{"schema":"headroom.processor/1","name":"x","threads":0,"sharedCores":0,"points":[]}"#, "threads"),
    (#"{"schema":"headroom.processor/1","name":"x","threads":1,"sharedCores":0,"points":[]}"#, "points"),
    (#"{"schema":"headroom.processor/1","name":"x","threads":1,"sharedCores":0,"points":[{"rows":0,"microseconds":1}]}"#, "points[0]"),
    (#"{"schema":"headroom.processor/1","name":"x","threads":1,"sharedCores":0,"points":[{"rows":1,"microseconds":-1}]}"#, "points[0]"),
    (
      #"{"schema":"headroom.processor/1","name":"x","threads":1,"sharedCores":0,"points":[{"rows":1,"microseconds":1,"lowerQuartileMicroseconds":3,"upperQuartileMicroseconds":2}]}"#,
      "quartiles"
    ),
  ])
  func badFilesAreNamed(text: String, expected: String) throws {
    let json = try JSONValue.parse(text)
    do throws(HostProfileError) {
      _ = try ProcessorDevice(json: json)
      Issue.record("read")
    } catch { #expect(error.description.contains(expected), "\(error)") }
  }
}
