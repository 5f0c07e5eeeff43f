/// The program's version: in `--version`, in every JSON output, and what two of its processes compare.
public enum ProgramVersion {
  /// As in CHANGELOG.
  public static let current = "0.1.0"
}
