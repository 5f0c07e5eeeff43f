/// One value of a list by its rank, without sorting all of it: medians of millions of durations (C. A. R. Hoare, "Algorithm 65: Find", 1961).
public enum Selection {
  /// The value that would stand at `rank` if the list were sorted. The list is reordered: what stands before `rank` is not larger, what stands
  /// behind it not smaller. Nil where the rank is none of the list's.
  public static func value(_ values: inout [Int64], rank: Int) -> Int64? {
    values.withUnsafeMutableBufferPointer { value($0, rank: rank) }
  }

  /// As `value(_:rank:)`, of a part of a list.
  public static func value(_ values: UnsafeMutableBufferPointer<Int64>, rank: Int) -> Int64? {
    guard values.indices.contains(rank) else { return nil }
    var (low, high) = (0, values.count - 1)
    // Three values choose the pivot, so that sorted lists are halved; a list made to defeat that is sorted after all.
    var rounds = 64
    while low < high {
      rounds -= 1
      if rounds == 0 {
        var rest = UnsafeMutableBufferPointer(rebasing: values[low...high])
        rest.sort()
        break
      }
      let pivot = median(values[low], values[low + (high - low) / 2], values[high])
      var (left, right) = (low, high)
      while left <= right {
        while values[left] < pivot { left += 1 }
        while values[right] > pivot { right -= 1 }
        if left <= right {
          values.swapAt(left, right)
          left += 1
          right -= 1
        }
      }
      if rank <= right {
        high = right
      } else if rank >= left {
        low = left
      } else {
        break
      }
    }
    return values[rank]
  }

  private static func median(_ first: Int64, _ second: Int64, _ third: Int64) -> Int64 {
    max(min(first, second), min(max(first, second), third))
  }
}
