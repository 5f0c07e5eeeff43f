public import Diagnosis
public import JSONText

extension Summary.Row {
  /// The row with all its columns.
  public var json: JSONValue {
    [
      "name": .string(name), "share": JSONValue(share), "count": JSONValue(count), "totalNanoseconds": JSONValue(totalNanoseconds),
      "averageNanoseconds": JSONValue(averageNanoseconds), "medianNanoseconds": JSONValue(medianNanoseconds),
      "minimumNanoseconds": JSONValue(minimumNanoseconds), "maximumNanoseconds": JSONValue(maximumNanoseconds),
      "deviationNanoseconds": JSONValue(deviationNanoseconds),
    ]
  }
}
