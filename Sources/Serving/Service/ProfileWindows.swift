public import KServe

/// Records what the server does for a while, on request.
public protocol ProfileWindows: Sendable {
  /// Records a window and writes it. `seconds`: its length; nil for the usual one. Takes as long as the window: `whenDone` is called on another
  /// thread. Fails where a window is being recorded already.
  func record(seconds: Double?, whenDone: @escaping @Sendable (Result<ProfileWindow, KServeError>) -> Void)
}

/// A window that was recorded.
public struct ProfileWindow: Sendable, Hashable {
  /// Traces that were written, one per model version.
  public var files: [String]
  /// Its length.
  public var seconds: Double
  /// Requests that were answered in it.
  public var requests: Int
  /// Batches that began in it.
  public var batches: Int
  /// Kernels that began in it, as the device's profiler saw them, else steps as the server did.
  public var kernels: Int
  /// What is missing, in words.
  public var remarks: [String]

  /// Every field stated.
  public init(files: [String], seconds: Double, requests: Int, batches: Int, kernels: Int, remarks: [String]) {
    self.files = files
    self.seconds = seconds
    self.requests = requests
    self.batches = batches
    self.kernels = kernels
    self.remarks = remarks
  }
}
