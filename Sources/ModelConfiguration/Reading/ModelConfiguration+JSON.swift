import JSONText

extension ModelConfiguration {
  /// Reads the JSON form, in snake_case as `json` writes it or in protobuf's camelCase.
  public init(json: JSONValue) throws(ModelConfigurationError) {
    self = try Self.parse(json: json, file: "").configuration
  }

  /// Reads the JSON form and tells what has no effect. `file` is its name for errors.
  public static func parse(json: JSONValue, file: String) throws(ModelConfigurationError) -> Parsed {
    try parsed(fields: try JSONTree.fields(of: json, file: file), file: file)
  }

  /// The JSON form, with names and order as Triton's `/v2/models/NAME/config` prints them, and everything that was read, also what has no
  /// effect here: clients ask for it (`format` tells an image client what to send).
  public func json() -> JSONValue { message.json(as: .modelConfig) }
}
