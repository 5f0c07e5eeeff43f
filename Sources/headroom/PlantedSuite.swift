import Console
import Explanation
import JSONText

/// `headroom bench --suite planted`: worlds with one known limit, explained and scored.
enum PlantedSuite {
  /// Explains every world and prints the confusion matrix; whether both goals are met.
  static func run(json: Bool, quiet: Bool) -> Bool {
    let progress = ProgressLine(isQuiet: quiet)
    var score = PlantedScore()
    let worlds = PlantedWorld.all()
    for (index, world) in worlds.enumerated() {
      progress.report("planted: \(index * 100 / max(1, worlds.count)) %")
      score.add(world, TraceExplanation(of: world.trace(), name: world.cause.rawValue))
    }
    progress.clear()
    let isMet = score.accuracy >= 0.9 && score.falseAlarmShare <= 0.05
    if json {
      let document: JSONValue = [
        "schema": "headroom.bench-planted/1", "headroom": .string(Headroom.version), "mode": "simulated",
        "accuracyShare": JSONValue(score.accuracy),
        "falseAlarmShare": JSONValue(score.falseAlarmShare), "healthyWorlds": JSONValue(score.healthy.all),
        "causes": .array(
          PlantedWorld.Cause.allCases.compactMap { cause in
            guard let counts = score.byCause[cause] else { return nil }
            return ["cause": .string(cause.rawValue), "right": JSONValue(counts.right), "worlds": JSONValue(counts.all)]
          }),
      ]
      Terminal.print(document.serialized(pretty: true))
    } else {
      Terminal.print("SIMULATED: traces of made-up programs, explained without any table of our own")
      Terminal.print(score.lines.joined(separator: "\n"))
    }
    return isMet
  }
}
