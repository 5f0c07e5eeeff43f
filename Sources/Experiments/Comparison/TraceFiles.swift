import Explanation
import FileAccess
import TraceFormats

/// Where the traces of runs are kept.
package struct TraceFiles: Sendable {
  /// SQLite.
  package var trace: String?
  /// Chrome JSON, for Perfetto.
  package var chrome: String?
  /// Of the Chrome JSON: the whole trace, however large.
  package var writesWholeTrace: Bool

  /// Every part stated.
  package init(trace: String?, chrome: String?, writesWholeTrace: Bool) {
    (self.trace, self.chrome, self.writesWholeTrace) = (trace, chrome, writesWholeTrace)
  }

  /// Each run's trace, in the forms that were asked for; with several runs their names are added.
  package func write(_ runs: [ComparedRun], adding suffix: String, note: (String) -> Void) throws {
    for run in runs {
      if let trace { try write(run, to: trace) { try TraceStore.write(run.trace, to: $0) } }
      if let chrome {
        try write(run, to: chrome) { try ChromeOutput.write(run.trace, to: $0, all: writesWholeTrace, note: note) }
      }
    }
    func write(_ run: ComparedRun, to path: String, _ body: (String) throws -> Void) throws {
      let name = runs.count == 1 && suffix.isEmpty ? path : OutputPath.adding(run.name + suffix, to: path)
      do { try body(name) } catch { throw ExperimentError("\(error)") }
      note("trace of \(run.name): \(name)")
    }
  }
}
