import HostModel
import JSONText
import Testing

@Suite struct HostProfileTests {
  @Test func hostProfilesRoundTrip() throws {
    for profile in HostProfile.builtIn {
      let text = profile.json.serialized(pretty: true)
      let read = try HostProfile(json: try JSONValue.parse(text))
      for cost in HostCost.allCases { #expect(read[cost] == profile[cost]) }
      #expect(read.copies == profile.copies)
    }
  }

  @Test(arguments: [
    ("{}", "schema"), (#"{"schema":"headroom.host-profile/2","name":"x"}"#, "entries"),
    (#"{"schema":"headroom.host-profile/2","name":"x","entries":{"speed":{"value":1,"source":"fitted"}}}"#, "entries.speed"),
    (#"{"schema":"headroom.host-profile/2","name":"x","entries":{"launch":{"value":-1,"source":"fitted"}}}"#, "entries.launch.value"),
    (#"{"schema":"headroom.host-profile/2","name":"x","entries":{"launch":{"value":1,"source":"guessed"}}}"#, "entries.launch.source"),
    (#"{"schema":"headroom.host-profile/2","name":"x","entries":{"launch":{"value":1,"unit":"seconds","source":"fitted"}}}"#, "unit"),
    (#"{"schema":"headroom.host-profile/2","name":"x","entries":{},"copies":{"sideways":{}}}"#, "copies.sideways"),
    (
      #"{"schema":"headroom.host-profile/2","name":"x","entries":{},"copies":{"uploadPinned":{"points":[]}}}"#, "copies.uploadPinned.source"
    ),
    (
      #"{"schema":"headroom.host-profile/2","name":"x","entries":{},"copies":{"uploadPinned":{"source":"measured","points":[]}}}"#,
      "copies.uploadPinned.points"
    ),
    (
      #"{"schema":"headroom.host-profile/2","name":"x","entries":{},"copies":{"uploadPinned":{"source":"measured","points":[{"bytes":1}]}}}"#,
      "copies.uploadPinned.points[0]"
    ),
    (
      #"{"schema":"headroom.host-profile/2","name":"x","entries":{},"copies":{"uploadPinned":{"source":"measured","points":[{"bytes":2,"microseconds":1},{"bytes":1,"microseconds":2}]}}}"#,
      "must rise"
    ),
  ])
  func badHostProfilesAreNamed(text: String, place: String) throws {
    let json = try JSONValue.parse(text)
    #expect { _ = try HostProfile(json: json) } throws: { "\($0)".contains(place) }
  }

  /// What launching, waiting, copying and observing cost is never a usual value in a profile that says it was measured.
  @Test(arguments: [HostProfile.h200PyTorch, HostProfile.h200Native])
  func measuredProfilesSayHow(profile: HostProfile) {
    let costs: [HostCost] = [
      .operation, .launch, .graphLaunch, .launchLatency, .graphLatency, .kernelGap, .graphKernelGap, .dependentKernelGap, .eventWakeUp,
      .spinWakeUp, .copyLatency, .copyPerByte, .copyPerBytePageable, .profilerPerLaunch, .profilerPerGraphLaunch, .engineStart,
    ]
    for cost in costs {
      #expect(profile[cost].source == .measured || profile[cost].source == .fitted, "\(cost)")
      #expect(profile[cost].note.count > 20, "\(cost)")
    }
    #expect(profile.copies.count == CopyKind.allCases.count)
    #expect(HostProfile.named(profile.name) == profile)
  }

  @Test func copiesFollowTheirCurve() throws {
    let native = HostProfile.h200Native
    #expect(native.copyMicroseconds(.uploadPinned, bytes: 524_288) == 12.3)
    #expect(native.copyMicroseconds(.uploadPinned, bytes: 1) == 3.1, "no copy is shorter than the smallest measured")
    let large = native.copyMicroseconds(.uploadPinned, bytes: 134_217_728)
    #expect((large / 2424 - 1).magnitude < 0.01, "\(large): beyond the last point at the last rate")
    #expect(native.copyMicroseconds(.uploadPageable, bytes: 2_097_152) > 2 * native.copyMicroseconds(.uploadPinned, bytes: 2_097_152))
    // Without a curve: latency + size / bandwidth.
    let local = HostProfile.local.with(.copyLatency, 4).with(.copyPerByte, 0.02).with(.copyPerBytePageable, 0.1)
    #expect((local.copyMicroseconds(.downloadPinned, bytes: 1e6) - 24).magnitude < 1e-9)
    #expect((local.copyMicroseconds(CopyKind(isUpload: true, isPinned: false), bytes: 1e6) - 104).magnitude < 1e-9)
    #expect(CopyCurve([], .measured, "") == nil)
    #expect(CopyCurve([.init(bytes: 1, microseconds: .nan)], .measured, "") == nil)
    #expect(CopyCurve([.init(bytes: 1, microseconds: 2)], .measured, "")?.microseconds(bytes: 1e9) == 2)
  }
}
