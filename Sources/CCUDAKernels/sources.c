#include "CCUDAKernels.h"

#pragma clang diagnostic ignored "-Wc23-extensions"

static const char arguments[] = {
#embed "include/kernel_arguments.h"
  , 0};
static const char primitives[] = {
#embed "kernels/primitives.cuh"
  , 0};
static const char element[] = {
#embed "kernels/element.cuh"
  , 0};
static const char rows[] = {
#embed "kernels/rows.cuh"
  , 0};
static const char elements[] = {
#embed "kernels/elements.cuh"
  , 0};
static const char attention[] = {
#embed "kernels/attention.cuh"
  , 0};
static const char chain[] = {
#embed "kernels/chain.cuh"
  , 0};

static const HRKernelSource sources[] = {
  {"kernel_arguments.h", arguments}, {"primitives.cuh", primitives}, {"element.cuh", element}, {"rows.cuh", rows},
  {"elements.cuh", elements},        {"attention.cuh", attention},   {"chain.cuh", chain},
};

const HRKernelSource *headroom_kernel_sources(int *count) {
  *count = sizeof sources / sizeof sources[0];
  return sources;
}
