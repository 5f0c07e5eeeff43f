import ArgumentParser
import FileAccess
import ModelGraph
import ONNXFormat
import PlanReports
import ProcessContract

struct ExportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export", abstract: "Write a model as ONNX.",
    usage: """
      headroom export MODEL --output FILE [--rewrite NAME ...] [options]
      """,
    discussion: """
      Built-in heads get seeded parameters: the same command writes the same bytes on any machine.

      EXAMPLES
        headroom export seqlen -o seqlen.onnx
        headroom export linear --layers 19 --seed 7 -o linear.onnx
        headroom export encoder --layers 2 --hidden 128 --heads 2 --sequence 128 \\
          -o bert-tiny.onnx
        # copied rows are computed once
        headroom export classifier.onnx --rewrite sink-broadcast -o lean.onnx
      """)

  @Argument(help: "linear, stacked, seqlen, encoder, or an .onnx file (rewritten without unused parts).", completion: .model)
  var model: String
  @Option(name: [.short, .long], help: "File to write.") var output: String
  @Option(
    help: ArgumentHelp("Rewrite that keeps the answers: stack-heads, sink-broadcast. May be repeated, applied in order.", valueName: "name")
  )
  var rewrite: [String] = []
  @OptionGroup var options: ModelOptions

  func validate() throws { _ = try checked { () throws(UsageError) in try Rewrites.passes(named: rewrite) } }

  func run() throws {
    let graph = try options.selection.load(model).graph.rewritten(by: try Rewrites.passes(named: rewrite))
    try Files.write(output, try ONNXWriter.write(graph))
  }
}
