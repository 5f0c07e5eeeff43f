extension FindingCode {
  /// Findings that hold for kernels on processor cores too: nothing of launches, copies over a link, streaming multiprocessors or a GPU's
  /// memory.
  public static let ofProcessors: Set<FindingCode> = [.HR101, .HR102, .HR103, .HR111, .HR121, .HR123, .HR124, .HR131, .HR211]
}

extension Prose {
  /// The same of a run on processor cores: texts of the diagnosis speak of a GPU.
  public var ofProcessor: Prose {
    Prose(
      parts: parts.map { part in
        if case .text(let text) = part { .text(Self.ofProcessor(text)) } else { part }
      })
  }

  /// The same for plain text.
  public static func ofProcessor(_ text: String) -> String {
    text.replacing("GPU-bound", with: "device-bound").replacing("gather + H2D", with: "gather").replacing("D2H + response", with: "output")
      .replacing("gather and H2D", with: "gather").replacing("D2H and response", with: "output").replacing("the GPU", with: "the device")
      .replacing("GPU", with: "device")
  }
}
