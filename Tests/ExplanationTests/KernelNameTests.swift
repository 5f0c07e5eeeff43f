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
    (
      "sm90_xmma_gemm_bf16bf16_bf16f32_f32_tn_n_tilesize128x128x64_warpgroupsize1x1x1_execute_segment_k_off_kernel__5x_cublas", .tensorGEMM,
      128, 128, 64, 90
    ),
    (
      "sm80_xmma_gemm_f32f32_f32f32_f32_tn_n_tilesize64x256x8_stage3_warpsize1x4x1_ffma_aligna4_alignc4_execute_kernel__5x_cublas",
      .plainGEMM, 64, 256, 8, 80
    ),
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
    // Named after all that was fused into it.
    ("triton_poi_fused__scaled_dot_product_flash_attention_add_3", .elementwise), ("triton_per_fused__softmax_1", .softmax),
    ("void cublasLt::splitKreduce_kernel<32, 16, int, float>(int)", .reduction), ("volta_scudnn_128x64_relu_interior_nn_v1", .plainGEMM),
    ("void cudnn::cnn::wgrad_alg0_engine<float, 128, 6, 7, 3, 3, 5, false, 512>(int)", .plainGEMM),
    ("void cutlass::device_kernel<cutlass::gemm::kernel::GemmUniversal<MainloopSm90TmaGmmaWarpSpecialized>>(Params)", .tensorGEMM),
    ("void BatchDecodeWithPagedKVCacheKernel<128>(Params)", .attention), ("_matmul_ogs_NNT_bf16xbf16xmxfp4_16x128x256x1", .tensorGEMM),
    // A library's product that says nothing of its pipes is not called one without tensor cores.
    ("void cutlass::device_kernel<MyKernel>(Params)", .unknownGEMM),
  ])
  func othersAreToldByWhatTheyDo(name: String, role: KernelName.Role) { #expect(KernelName(name).role == role) }

  @Test func tilesWithTheirDepthInOneAndNamesWithoutAnArchitecture() throws {
    let tensile = KernelName("Cijk_Alik_Bljk_BBS_BH_Bias_HA_S_SAV_UserArgs_MT32x64x256_MI16x16x1_SN_LDSB1")
    #expect(try #require(tensile.tile) == (32, 64) && tensile.stepK == 256 && tensile.role == .tensorGEMM)
    let blackwell = KernelName("nvjet_tst_192x208_64x4_1x2_h_bz_coopB_bias_TNT")
    #expect(try #require(blackwell.tile) == (192, 208) && blackwell.stepK == 64 && blackwell.type == .bf16 && blackwell.cluster == (1, 2))
    let triton = KernelName("_matmul_ogs_NNT_bf16xbf16xmxfp4_16x128x256x1_swiglu")
    #expect(try #require(triton.tile) == (16, 128) && triton.stepK == 256)
  }

  @Test func arithmeticIsReadFromTheName() {
    #expect(KernelName("sm90_xmma_gemm_f32f32_tf32f32_f32_tn_n_tilesize64x128x32_warpgroupsize1x1x1").type == .tf32)
    #expect(KernelName("void deep_gemm::fp8_gemm_kernel<128>(Params)").type == nil)
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

  @Test(arguments: [
    ("__myl_FcMulAddResh_myl3_17", KernelName.Role.tensorGEMM), ("_gemm_mha_v2_0x88", .attention),
    ("__myl_MoveCastMulAdd_0x3f1c2b", .elementwise), ("__myl_ResTraMeaSubMul_0xabc", .normalization),
    ("__myl_CastMeanSubMulMean_0x1", .normalization), ("__myl_TranResh_0x12", .layout), ("__myl_MaxSubExpSumDiv_0x2", .softmax),
    ("loop_add_fusion_12", .elementwise), ("input_reduce_fusion_3", .reduction), ("gemm_fusion_dot_17", .tensorGEMM),
    ("wrapped_transpose", .layout), ("input_scatter_fusion_2", .layout), ("triton_softmax_4", .softmax), ("fusion_3", .other),
    ("fusion_kernel_of_mine", .other), ("input_embedding", .layout),
  ])
  func namesOfCompilersSayWhatWasFused(name: String, role: KernelName.Role) { #expect(KernelName(name).role == role) }
}
