extension ModelConfiguration {
  /// What reading gives.
  public struct Parsed: Sendable, Hashable {
    /// As written, without defaults: see `normalized`.
    public var configuration: ModelConfiguration
    /// What was written and has no effect here.
    public var warnings: [ModelConfigurationWarning]
    /// What was written, has an effect on experiments, and none where the model is served.
    public var servingWarnings: [ModelConfigurationWarning] = []
  }

  /// Reads `config.pbtxt`, protobuf's text format. `file` is its name for errors. The values are checked for their types and ranges;
  /// whether they go together says `validate`.
  public static func parse(_ text: String, file: String) throws(ModelConfigurationError) -> Parsed {
    try parsed(fields: try TextParser.parse(text, file: file), file: file)
  }

  /// `parse` for a file's bytes: in comments and nowhere else, any byte may stand.
  public static func parse(bytes: [UInt8], file: String) throws(ModelConfigurationError) -> Parsed {
    try parsed(fields: try TextParser.parse(bytes: bytes, file: file), file: file)
  }

  static func parsed(fields: [TextField], file: String) throws(ModelConfigurationError) -> Parsed {
    var checker = SchemaChecker(file: file)
    let message = try checker.check(fields, as: .modelConfig)
    if let refusal = checker.refusal { throw refusal }
    var configuration = ModelConfiguration(message)
    configuration.source = ConfigurationSource(file: file, message: message)
    return Parsed(configuration: configuration, warnings: checker.warnings, servingWarnings: checker.servingWarnings)
  }
}
