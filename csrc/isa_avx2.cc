namespace bothways {
namespace {
constexpr int kLanes = 8;
constexpr int kTileRows = 3;
}  // namespace
}  // namespace bothways

#include "isa.inc"

namespace bothways {
extern const Kernels kAvx2Kernels;
const Kernels kAvx2Kernels = kernels_of("avx2");
}  // namespace bothways
