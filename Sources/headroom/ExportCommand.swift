import ArgumentParser
import FileAccess
import ModelGraph
import ONNXFormat

struct ExportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export", abstract: "Write a model as ONNX.",
    discussion: """
      Built-in heads get seeded parameters: the same command writes the same bytes on any machine.

      EXAMPLES
        headroom export seqlen -o seqlen.onnx
        headroom export linear --layers 19 --seed 7 -o linear.onnx
        headroom export encoder --layers 2 --hidden 128 --heads 2 --sequence 128 -o bert-tiny.onnx
      """)

  @Argument(help: "linear, stacked, seqlen, encoder, or an .onnx file (rewritten without unused parts).") var model: String
  @Option(name: [.short, .long], help: "File to write.") var output: String
  @OptionGroup var options: ModelOptions

  func run() throws {
    try Files.write(output, try ONNXWriter.write(try options.load(model).graph))
  }
}
