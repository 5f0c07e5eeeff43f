import HostModel
import JSONText
import Reporting
import Simulation

/// A measured host profile, as it is printed.
package struct HostCalibrationReport {
  package let calibration: HostCalibration
  package let profile: HostProfile

  /// What was measured, and the profile made of it.
  package init(calibration: HostCalibration, profile: HostProfile) {
    self.calibration = calibration
    self.profile = profile
  }

  private func unit(_ cost: HostCost) -> String {
    switch cost.unit {
    case .count: ""
    case .microseconds: "us"
    case .nanosecondsPerByte: "ns/byte"
    }
  }

  private func number(_ value: Double) -> String { NumberText.significant(value) }

  package var lines: [String] {
    var table = TextTable([
      .init("cost", .left), .init("value"), .init("unit", .left), .init("quartiles"), .init("source", .left), .init("what it is", .left),
    ])
    for cost in HostCost.allCases {
      let entry = profile[cost]
      let measured = calibration.measurements.first { $0.cost == cost }
      let spread = measured.map { $0.count > 1 ? "\(number($0.quartiles.lowerBound)) to \(number($0.quartiles.upperBound))" : "" } ?? ""
      table.add([cost.rawValue, number(entry.value), unit(cost), spread, entry.source.rawValue, cost.explanation])
    }
    var machine = TextTable([.init("machine", .left), .init("value"), .init("unit", .left), .init("quartiles"), .init("what it is", .left)])
    for fact in calibration.facts {
      guard let summary = HostMeasurement.summary(fact.values) else { continue }
      let spread = summary.count > 1 ? "\(number(summary.quartiles.lowerBound)) to \(number(summary.quartiles.upperBound))" : ""
      let unit = ["nanoseconds": "ns", "microseconds": "us", "nanosecondsPerByte": "ns/byte"][fact.unit] ?? ""
      machine.add([fact.name, number(summary.median), unit, spread, fact.how])
    }
    return table.lines + [""] + machine.lines + [
      "",
      "measured in \(number(calibration.seconds)) s. Costs marked assumed need a GPU or another generator, and keep their usual values.",
    ]
  }

  package func json(version: String, files: [String]) -> JSONValue {
    let entries = HostCost.allCases.map { cost -> JSONValue in
      let measured = calibration.measurements.first { $0.cost == cost }
      let entry = profile[cost]
      return [
        "cost": .string(cost.rawValue), "value": JSONValue(entry.value), "unit": .string(cost.unit.rawValue),
        "source": .string(entry.source.rawValue), "lowerQuartile": JSONValue(measured?.quartiles.lowerBound),
        "upperQuartile": JSONValue(measured?.quartiles.upperBound), "samples": JSONValue(measured?.count ?? 0), "how": .string(entry.note),
      ]
    }
    let machine = calibration.facts.compactMap { fact -> JSONValue? in
      HostMeasurement.summary(fact.values).map {
        [
          "name": .string(fact.name), "value": JSONValue($0.median), "unit": .string(fact.unit),
          "lowerQuartile": JSONValue($0.quartiles.lowerBound),
          "upperQuartile": JSONValue($0.quartiles.upperBound), "samples": JSONValue($0.count), "how": .string(fact.how),
        ]
      }
    }
    return [
      "schema": "headroom.calibrate-host/1", "headroom": .string(version), "mode": "measured", "seconds": JSONValue(calibration.seconds),
      "entries": .array(entries), "machine": .array(machine), "profile": profile.json, "files": .array(files.map { .string($0) }),
    ]
  }
}
