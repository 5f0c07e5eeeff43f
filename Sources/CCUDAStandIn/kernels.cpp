#include "kernels.h"

#include <type_traits>
#include <utility>

#include "primitives.cuh"

#define HR_ELEMENT 0
#include "attention.cuh"
#include "chain.cuh"
#include "elements.cuh"
#include "rows.cuh"
#undef HR_ELEMENT
#define HR_ELEMENT 1
#include "attention.cuh"
#include "chain.cuh"
#include "elements.cuh"
#include "rows.cuh"
#undef HR_ELEMENT
#define HR_ELEMENT 2
#include "attention.cuh"
#include "chain.cuh"
#include "elements.cuh"
#include "rows.cuh"

namespace headroom {
namespace {

template <auto function>
struct Described;

template <class... Parameters, void (*function)(Parameters...)>
struct Described<function> {
  template <size_t... indices>
  static void call(void *const *parameters, std::index_sequence<indices...>) {
    function(*(std::decay_t<Parameters> *)parameters[indices]...);
  }
  static void run(void *const *parameters) { call(parameters, std::index_sequence_for<Parameters...>()); }

  static Kernel kernel(const char *name, int maxThreads) {
    Kernel made{name, maxThreads, sizeof...(Parameters), {sizeof(Parameters)...}, {}, run};
    size_t index = 0;
    ((std::is_pointer_v<Parameters>
        ? made.pointers.push_back({index++, !std::is_const_v<std::remove_pointer_t<Parameters>>})
        : (void)index++),
     ...);
    return made;
  }
};

#define K(name, threads) Described<&name>::kernel(#name, threads)
#define TYPED(name, threads) K(name##_f32, threads), K(name##_f16, threads), K(name##_bf16, threads)
#define HALVES(name, threads) K(name##_f16, threads), K(name##_bf16, threads)
#define CHAINS(tiles) HALVES(chain_t##tiles##_g1, 512), HALVES(chain_t##tiles##_g2, 512), HALVES(chain_t##tiles##_g4, 512)

const std::vector<Kernel> &kernels() {
  static const std::vector<Kernel> all = {
    TYPED(layer_norm, 128), TYPED(softmax, 128), TYPED(reduce, 128), TYPED(unary, 256), TYPED(binary, 256), TYPED(add_scaled, 256),
    HALVES(attention, 128), CHAINS(1), CHAINS(2), CHAINS(4), K(binary_i32, 256), K(binary_i64, 256), K(copy_1, 256), K(copy_2, 256),
    TYPED(logsoftmax, 128), TYPED(hardmax, 128), TYPED(argmax, 128), TYPED(argmin, 128), TYPED(cumsum, 128), TYPED(lpnormalization, 128), TYPED(topk, 128),
    TYPED(instancenormalization, 128), TYPED(groupnormalization, 128), TYPED(rmsnormalization, 128), TYPED(batchnormalization, 128),
    TYPED(clip, 256), TYPED(prelu, 256), K(fill_1, 256), K(fill_2, 256), K(fill_4, 256), K(fill_8, 256), K(copy_4, 256), K(copy_8, 256), K(select_1, 256), K(select_2, 256), K(select_4, 256), K(select_8, 256), K(convert, 256), K(gather, 256),
    K(copy_indexed_1, 256), K(copy_indexed_2, 256), K(copy_indexed_4, 256), K(copy_indexed_8, 256),
  };
  return all;
}
}  // namespace

const Kernel *findKernel(const std::string &name) {
  for (const Kernel &kernel : kernels()) {
    if (kernel.name == name) return &kernel;
  }
  return nullptr;
}
}  // namespace headroom
