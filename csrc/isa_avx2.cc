namespace bothways {
namespace {
constexpr int kLanes = 8;
constexpr int kTileRows = 3;
}  // namespace
}  // namespace bothways

#include "isa.inc"

namespace bothways {
extern const CellTable kAvx2Float32;
const CellTable kAvx2Float32 = table_of<Float32>();
extern const CellTable kAvx2Rounded;
const CellTable kAvx2Rounded = table_of<Rounded>();
}  // namespace bothways
