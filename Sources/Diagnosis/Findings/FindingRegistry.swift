/// Every finding that `explain` and `bench` may print. A test checks that codes are unique, that each is here and that each has its page.
public enum FindingRegistry {
  /// The rules, by code.
  public static let rules: [any FindingRule.Type] = [
    HR101ClientSaturated.self,
    HR102LoadLimited.self,
    HR103NotSteady.self,
    HR104DescheduledGenerator.self,
    HR111FrontEndSaturated.self,
    HR121UnderfilledBatches.self,
    HR123PreferredBatchSizeNeverReached.self,
    HR124QueueRejections.self,
    HR131NoBatchPipelining.self,
    HR132LaunchBound.self,
    HR133InterKernelGaps.self,
    HR141PageableOrScatteredCopy.self,
    HR142NonOverlappedMemcpy.self,
    HR201GEMMTooSmall.self,
    HR202MemoryBandwidthBoundWeights.self,
    HR203WrongKernelClass.self,
    HR205WaveQuantization.self,
    HR206WeightsExceedL2.self,
    HR211RedundantWork.self,
  ]

  /// Their codes.
  public static var codes: [FindingCode] { rules.map { $0.code } }

  /// The rule of a code.
  public static func rule(for code: FindingCode) -> (any FindingRule.Type)? { rules.first { $0.code == code } }
}
