import Glibc

/// The one transcendental function the generators need, so that modules above need no C library.
public enum Logarithm {
  /// ln x; -infinity for 0.
  public static func natural(_ value: Double) -> Double { log(value) }
}
