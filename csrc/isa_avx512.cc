namespace bothways {
namespace {
constexpr int kLanes = 16;
constexpr int kTileRows = 6;
}  // namespace
}  // namespace bothways

#include "isa.inc"

namespace bothways {
extern const CellTable kAvx512Float32;
const CellTable kAvx512Float32 = table_of<Float32>();
extern const CellTable kAvx512Rounded;
const CellTable kAvx512Rounded = table_of<Rounded>();
}  // namespace bothways
