/// One line of comma-separated values: fields may stand in double quotes, and a doubled quote inside is one (RFC 4180).
enum CSVFields {
  static func split(_ line: Substring) -> [Substring] {
    guard line.contains("\"") else { return line.split(separator: ",", omittingEmptySubsequences: false).map { trimmed($0) } }
    var fields: [Substring] = []
    var field = ""
    var isQuoted = false
    var wasQuoted = false
    var characters = line[...]
    func finished() -> Substring { wasQuoted ? Substring(field) : trimmed(Substring(field)) }
    while let character = characters.popFirst() {
      switch character {
      case "\"" where isQuoted && characters.first == "\"":
        characters.removeFirst()
        field.append("\"")
      case "\"":
        isQuoted.toggle()
        wasQuoted = true
      case "," where !isQuoted:
        fields.append(finished())
        (field, wasQuoted) = ("", false)
      default: field.append(character)
      }
    }
    fields.append(finished())
    return fields
  }

  private static func trimmed(_ text: Substring) -> Substring {
    var text = text
    while text.first == " " { text.removeFirst() }
    while text.last == " " { text.removeLast() }
    return text
  }
}
