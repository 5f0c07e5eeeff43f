import ArgumentParser
import Execution

/// What `serve --isolate-engines` starts for each model of ONNX Runtime: not for people.
struct EngineHostCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "engine-host", abstract: "Runs one model's engine for a server that started this.", shouldDisplay: false)

  @Option(help: "The server's process.") var parent: Int32

  func run() { EngineHost.run(program: Headroom.version, parent: parent) }
}
