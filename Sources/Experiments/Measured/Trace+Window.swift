import Trace

extension Trace {
  /// Batches that began to be gathered, kernels, copies and calls that started, and requests that were answered in `window`; times stay what they
  /// are.
  func within(_ window: Range<Int64>) -> Trace {
    var cut = self
    cut.measurementWindow = window
    cut.batches = BatchTable()
    for batch in batches where window.contains(batch.gatherStart) { cut.batches.append(batch) }
    cut.requests = RequestTable()
    for request in requests where window.contains(request.responseEnd) { cut.requests.append(request) }
    cut.kernels = KernelTable()
    for kernel in kernels where window.contains(kernel.start) { cut.kernels.append(kernel) }
    cut.copies = CopyTable()
    for copy in copies where window.contains(copy.start) { cut.copies.append(copy) }
    cut.apiCalls = APICallTable()
    for call in apiCalls where window.contains(call.start) { cut.apiCalls.append(call) }
    cut.synchronizations = SynchronizationTable()
    for wait in synchronizations where window.contains(wait.start) { cut.synchronizations.append(wait) }
    cut.osCalls = OSCallTable()
    for call in osCalls where window.contains(call.start) { cut.osCalls.append(call) }
    return cut
  }
}
