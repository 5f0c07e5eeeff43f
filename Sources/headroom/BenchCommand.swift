import ArgumentParser
import Experiments
import Reporting

struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "bench", abstract: "run")
  @Option var seconds: Double = 120
  @Argument var name: String = "document"
  func run() throws {
    let result = try ExperimentRunner { Terminal.note($0) }.run(try Experiment.builtIn(name, seconds: seconds))
    Terminal.print(result.report.terminalLines(width: 150).joined(separator: "\n"))
  }
}
