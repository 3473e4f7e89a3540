namespace bothways {
namespace {
constexpr int kLanes = 4;
constexpr int kTileRows = 2;
}  // namespace
}  // namespace bothways

#include "isa.inc"

namespace bothways {
extern const Kernels kBaseKernels;
const Kernels kBaseKernels = kernels_of("base");
}  // namespace bothways
