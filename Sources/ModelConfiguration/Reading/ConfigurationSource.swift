/// What a configuration was read from. Two configurations that say the same are equal wherever they were read, so that this never decides.
struct ConfigurationSource: Sendable, Hashable {
  var file = ""
  var message = CheckedMessage()

  static func == (left: ConfigurationSource, right: ConfigurationSource) -> Bool { true }
  func hash(into hasher: inout Hasher) {}

  /// A step from a message to a part of it.
  enum Step {
    /// A field; of a repeated one its first value.
    case field(String)
    /// One of a repeated field's values.
    case element(String, Int)
    /// A map's entry.
    case entry(String, key: String)
  }

  /// Where the part at the end of the path stands, or as much of it as was written; nil where nothing of it was.
  func place(of path: [Step]) -> ConfigurationPlace? {
    var message = message
    var found: ConfigurationPlace?
    for step in path {
      let (name, index): (String, Int?) =
        switch step {
        case .field(let name): (name, 0)
        case .element(let name, let index): (name, index)
        case .entry(let name, let key):
          (name, message.fields[name]?.firstIndex { $0.message?.fields["key"]?.first?.keyText == key })
        }
      guard let index, let places = message.places[name], places.indices.contains(index) else { return found }
      found = places[index]
      guard let values = message.fields[name], values.indices.contains(index), let inner = values[index].message else { return found }
      message = inner
    }
    return found
  }
}
