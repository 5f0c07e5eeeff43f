/// Small numbers for the values in use: equal values have equal numbers, unequal values never, whatever their hash values are.
///
/// A value is kept for as long as somebody uses it, so that the table is as large as the most values that were in use at one time: clients
/// may send as many different ones as they like.
struct InternTable<Value: Hashable> {
  private struct Entry {
    var value: Value?
    var uses = 0
  }

  private var entries: [Entry] = []
  private var free: [Int] = []
  private var numbers: [Value: Int] = [:]
  /// The one asked for last: mostly the next one too.
  private var latest = -1

  /// Values in use.
  var count: Int { numbers.count }

  /// The value's number, used once more: to be given back by `release`.
  mutating func use(_ value: Value) -> Int {
    if entries.indices.contains(latest), entries[latest].value == value {
      entries[latest].uses += 1
      return latest
    }
    if let known = numbers[value] {
      entries[known].uses += 1
      latest = known
      return known
    }
    let number = free.popLast() ?? entries.count
    if number == entries.count { entries.append(Entry()) }
    entries[number] = Entry(value: value, uses: 1)
    numbers[value] = number
    latest = number
    return number
  }

  /// One use is over; after the last one the number may come to mean another value.
  mutating func release(_ number: Int) {
    guard entries.indices.contains(number), entries[number].uses > 0 else { return }
    entries[number].uses -= 1
    guard entries[number].uses == 0, let value = entries[number].value else { return }
    numbers[value] = nil
    entries[number].value = nil
    free.append(number)
  }
}
