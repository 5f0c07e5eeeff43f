import ArgumentParser
import Console
import GPUModel

/// What the shell offers behind an option or in place of an argument.
extension CompletionKind {
  /// GPUs as they are typed: "l40s", "rtx-pro-6000-blackwell-ws".
  static var gpus: CompletionKind { .list(gpuNames) }

  /// `--device` of `serve` and `bench`.
  static var devices: CompletionKind { .list(["cpu", "cuda:0"] + gpuNames.map { "sim:" + $0 }) }

  /// A built-in model, an ONNX file, or a folder on the way to one.
  static var model: CompletionKind {
    .custom { _, _, typed in
      ["linear", "stacked", "seqlen", "encoder"].filter { $0.hasPrefix(typed) } + PathCompletion.paths(typed, endings: [".onnx", ".plan"])
    }
  }

  private static var gpuNames: [String] {
    GPUCatalogue().gpus.map { $0.name.lowercased().split { $0 == " " || $0 == "/" }.joined(separator: "-") }
  }
}
