import Explanation
import GPUModel
import Testing

@Suite struct KernelNameTests {
  @Test(arguments: [
    ("nvjet_sm90_hsh_48x64_64x15_4x2_h_bz_bias_TNN", KernelName.Role.tensorGEMM, 48, 64, 64, 90),
    ("nvjet_sm90_tst_256x128_64x4_1x2_h_bz_coopA_bias_TNT", .tensorGEMM, 256, 128, 64, 90),
    (
      "sm80_xmma_gemm_f16f16_f16f32_f32_tn_n_tilesize64x32x64_stage4_warpsize2x2x1_tensor16x8x16_execute_kernel__5x_cublas", .tensorGEMM,
      64, 32,
      64, 80
    ),
    (
      "void cutlass::Kernel2<cutlass_80_wmma_tensorop_f16_s161616gemm_f16_32x32_128x2_tn_align2>(cutlass_80::Params)", .tensorGEMM, 32, 32,
      128,
      80
    ),
    ("ampere_fp16_s16816gemm_fp16_128x64_ldg8_f2f_stages_64x3_tn", .tensorGEMM, 128, 64, 64, 80),
    ("ampere_sgemm_128x64_tn", .plainGEMM, 128, 64, 0, 80),
    ("volta_sgemm_32x128_nn", .plainGEMM, 32, 128, 0, 70),
  ])
  func productsCarryTileDepthAndArchitecture(name: String, role: KernelName.Role, m: Int, n: Int, depth: Int, architecture: Int) throws {
    let parsed = KernelName(name)
    let tile = try #require(parsed.tile)
    #expect(parsed.role == role)
    #expect(tile.m == m && tile.n == n)
    #expect(parsed.stepK == depth)
    #expect(parsed.architecture == architecture)
  }

  @Test(arguments: [
    (
      "void at::native::vectorized_elementwise_kernel<8, at::native::GeluCUDAKernelImpl(at::TensorIteratorBase&)>(int)",
      KernelName.Role.elementwise
    ),
    ("void at::native::(anonymous namespace)::vectorized_layer_norm_kernel<c10::Half, float, false>(int, float)", .normalization),
    ("void (anonymous namespace)::softmax_warp_forward<float, float, float, 8, false, false>(float*)", .softmax),
    ("cudnn_generated_fort_native_sdpa_sm90_flash_fprop_wgmma_f16_knob_7_64x128x64", .attention),
    ("ncclDevKernel_AllReduce_Sum_f16_RING_LL(ncclDevComm*)", .communication),
    ("triton_poi_fused_add_gelu_0", .elementwise), ("void at::native::vectorized_gather_kernel<16, long>(char*)", .layout),
    ("my_own_kernel", .other), ("", .other),
  ])
  func othersAreToldByWhatTheyDo(name: String, role: KernelName.Role) { #expect(KernelName(name).role == role) }

  @Test func arithmeticIsReadFromTheName() {
    #expect(KernelName("nvjet_sm90_hsh_48x64_64x15_4x2_h_bz_TNN").type == .fp16)
    #expect(KernelName("nvjet_sm90_tst_48x64_64x15_4x2_h_bz_TNN").type == .bf16)
    #expect(KernelName("ampere_sgemm_128x64_tn").type == .fp32)
  }

  @Test func hostileNamesDoNotTrap() {
    for name in [
      "nvjet_", "nvjet_sm_x_x_x", "tilesizexx_gemm_99999999999999999999x1", "sm999999999999999999999_xmma", "cutlass_",
      "x".repeated(100_000),
    ] {
      _ = KernelName(name)
    }
  }
}

extension String {
  fileprivate func repeated(_ count: Int) -> String { String(repeating: self, count: count) }
}
