import GPUModel
import KernelFitting

/// How strongly the constants of a class are held near where their fits start: by what that does to measurements that a fit has not seen.
struct RidgeChoice {
  /// One strength.
  struct Row {
    var ridge: Double
    /// Mean held-out error of each board that has such kernels.
    var boards: [(name: String, error: Double)]
    /// Of all boards, each counting alike.
    var mean: Double
  }

  let kernels: KernelClass
  let rows: [Row]
  /// That of the least error.
  let chosen: Double

  init(_ kernels: KernelClass, _ tried: [StudyResult]) {
    self.kernels = kernels
    rows = tried.map { result in
      let boards = result.study.boards.indices.compactMap { board -> (name: String, error: Double)? in
        let held = result.crossValidated(board, kernels)
        return held.isEmpty ? nil : (result.study.boards[board].gpu.name, ErrorSummary(AccuracyPage.pairs(held)).mean)
      }
      return Row(
        ridge: result.ridges[kernels] ?? 0, boards: boards,
        mean: boards.map(\.error).reduce(0, +) / Double(max(1, boards.count)))
    }
    chosen = rows.min { $0.mean < $1.mean }?.ridge ?? 0
  }
}
