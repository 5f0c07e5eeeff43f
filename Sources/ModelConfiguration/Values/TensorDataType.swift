/// Element types as configurations name them.
public enum TensorDataType: String, Sendable, Hashable, CaseIterable {
  /// Not given.
  case invalid = "TYPE_INVALID"
  /// One byte, 0 or 1.
  case bool = "TYPE_BOOL"
  /// Unsigned, one byte.
  case uint8 = "TYPE_UINT8"
  /// Unsigned, two bytes.
  case uint16 = "TYPE_UINT16"
  /// Unsigned, four bytes.
  case uint32 = "TYPE_UINT32"
  /// Unsigned, eight bytes.
  case uint64 = "TYPE_UINT64"
  /// Signed, one byte.
  case int8 = "TYPE_INT8"
  /// Signed, two bytes.
  case int16 = "TYPE_INT16"
  /// Signed, four bytes.
  case int32 = "TYPE_INT32"
  /// Signed, eight bytes.
  case int64 = "TYPE_INT64"
  /// IEEE 754 binary16.
  case float16 = "TYPE_FP16"
  /// IEEE 754 binary32.
  case float32 = "TYPE_FP32"
  /// IEEE 754 binary64.
  case float64 = "TYPE_FP64"
  /// Texts of any length.
  case string = "TYPE_STRING"
  /// The upper half of a binary32.
  case bfloat16 = "TYPE_BF16"
}
