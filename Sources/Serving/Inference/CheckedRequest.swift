/// A request that fits its model.
struct CheckedRequest: Sendable {
  /// One output to answer with.
  struct Output: Sendable {
    /// Of the model.
    var index: Int
    /// Of `InferenceRequest.outputs`; -1 where every output is answered with.
    var requested: Int
  }

  /// Rows as the scheduler counts them: 0 for a model without a row dimension.
  var rows: Int
  /// For each of the model's inputs the request's, -1 for an optional one left out.
  var inputs: [Int]
  /// Shapes as the model takes them, row dimension included, one an input of the model; of one left out the row dimension alone.
  var shapes: [[Int]]
  var outputs: [Output]
  /// "[request id: X] ".
  var logTag: String
}
