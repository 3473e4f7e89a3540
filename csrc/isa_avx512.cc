namespace bothways {
namespace {
constexpr int kLanes = 16;
constexpr int kTileRows = 6;
}  // namespace
}  // namespace bothways

#include "isa.inc"

namespace bothways {
extern const Kernels kAvx512Kernels;
const Kernels kAvx512Kernels = kernels_of("avx512");
}  // namespace bothways
