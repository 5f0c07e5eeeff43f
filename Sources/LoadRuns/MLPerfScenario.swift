/// MLPerf LoadGen's scenarios (mlcommons/inference `loadgen/test_settings.h`).
package enum MLPerfScenario: String, CaseIterable, Sendable {
  case singleStream = "single-stream"
  case multiStream = "multi-stream"
  case server, offline
}
