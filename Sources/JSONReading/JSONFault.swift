/// Why a text is not JSON, in the words of RapidJSON (Tencent/rapidjson `include/rapidjson/error/en.h`), which clients of the reference
/// server see in its errors.
public struct JSONFault: Error, Sendable, Hashable, CustomStringConvertible {
  /// What is wrong.
  public enum Reason: String, Sendable, Hashable {
    case documentEmpty = "The document is empty."
    case rootNotSingular = "The document root must not be followed by other values."
    case valueInvalid = "Invalid value."
    case missingName = "Missing a name for object member."
    case missingColon = "Missing a colon after a name of object member."
    case missingCommaOrBrace = "Missing a comma or } after an object member."
    case missingCommaOrBracket = "Missing a comma or ] after an array element."
    case invalidHex = "Incorrect hex digit after \\u escape in string."
    case invalidSurrogate = "The surrogate pair in string is invalid."
    case invalidEscape = "Invalid escape character in string."
    case missingQuote = "Missing a closing quotation mark in string."
    case invalidEncoding = "Invalid encoding in string."
    case numberTooBig = "Number too big to be stored in double."
    case missingFraction = "Miss fraction part in number."
    case missingExponent = "Miss exponent in number."
    /// Ours: RapidJSON recurses without a limit.
    case tooDeep = "The document is nested too deeply."
  }

  /// See `Reason`.
  public var reason: Reason
  /// Byte offset in the text.
  public var offset: Int

  /// A fault at a place.
  public init(reason: Reason, offset: Int) {
    self.reason = reason
    self.offset = offset
  }

  /// "Invalid value. at 12", as the reference server prints it.
  public var description: String { "\(reason.rawValue) at \(offset)" }
}
