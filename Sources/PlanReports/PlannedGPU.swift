import GPUModel
import Planning

/// A plan with what was assumed to make it.
package struct PlannedGPU {
  package var plan: Plan
  /// What the user's name for the GPU was taken to mean, where it could mean several.
  package var statedChoice: String?

  /// A GPU with the model of its kernels.
  package struct Choice {
    package var model: KernelModel
    package var statedChoice: String?

    /// Both stated.
    package init(model: KernelModel, statedChoice: String?) {
      self.model = model
      self.statedChoice = statedChoice
    }
  }

  /// Both stated.
  package init(plan: Plan, statedChoice: String?) {
    self.plan = plan
    self.statedChoice = statedChoice
  }
}
