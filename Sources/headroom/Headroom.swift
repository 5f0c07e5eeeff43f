import ArgumentParser

/// The program. Commands are registered when they work, not before.
@main
struct Headroom: ParsableCommand {
  /// The program's version, in `--version` and in every JSON output.
  static let version = "0.1.0"

  static let configuration = CommandConfiguration(
    commandName: "headroom",
    abstract: "How much of an accelerator sits idle, why, and what each change would buy.",
    discussion: """
      EXAMPLES
        headroom bench
        headroom plan seqlen --gpu rtx-pro-6000 --batch 256
        headroom plan model.onnx --gpu l40s,h100,rtx-pro-6000 --batch 1,8,64,256
        headroom export linear -o linear.onnx

      EXIT CODES
        0 ok, 1 failed, 3 inconclusive, 64 wrong usage, 130 interrupted
      """,
    version: version,
    subcommands: [BenchCommand.self, PlanCommand.self, ExportCommand.self, CalibrateCommand.self, ServeCommand.self])
}
