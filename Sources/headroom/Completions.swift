import ArgumentParser
import GPUModel

/// What the shell offers behind an option or in place of an argument.
extension CompletionKind {
  /// GPUs as they are typed: "l40s", "rtx-pro-6000-blackwell-ws".
  static var gpus: CompletionKind { .list(gpuNames) }

  /// `--device` of `serve` and `bench`.
  static var devices: CompletionKind { .list(["cpu", "cuda:0"] + gpuNames.map { "sim:" + $0 }) }

  /// An ONNX file.
  static var model: CompletionKind { .file(extensions: ["onnx"]) }

  private static var gpuNames: [String] {
    GPUCatalogue().gpus.map { $0.name.lowercased().split { $0 == " " || $0 == "/" }.joined(separator: "-") }
  }
}
