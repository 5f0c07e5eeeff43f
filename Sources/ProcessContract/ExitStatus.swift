/// How the program's processes end. People's scripts and `headroom bench`, which runs servers and load generators as processes of this
/// program, read the same numbers.
public enum ExitStatus: Int32, Sendable, Hashable, CaseIterable {
  /// All went well.
  case ok = 0
  /// It could not be done; standard error says why.
  case failed = 1
  /// Done, and a threshold that was asked for is crossed.
  case thresholdCrossed = 2
  /// Done, and the answer is that nothing can be told.
  case inconclusive = 3
  /// The run was not valid: a part of it is missing, or it missed its start.
  case runInvalid = 4
  /// Wrong usage (sysexits(3), EX_USAGE).
  case usage = 64
  /// `headroom profile`: its own failure, so that it is not taken for the command's (env(1), timeout(1)).
  case wrapperFailed = 125
  /// `headroom profile`: the command cannot be run.
  case commandNotRunnable = 126
  /// `headroom profile`: there is no such command.
  case commandNotFound = 127
  /// Ended by SIGINT (128 and the signal's number).
  case interrupted = 130
}
