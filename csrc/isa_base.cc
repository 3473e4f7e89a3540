namespace bothways {
namespace {
constexpr int kLanes = 4;
constexpr int kTileRows = 2;
}  // namespace
}  // namespace bothways

#include "isa.inc"

namespace bothways {
extern const CellTable kBaseFloat32;
const CellTable kBaseFloat32 = table_of<Float32>();
extern const CellTable kBaseRounded;
const CellTable kBaseRounded = table_of<Rounded>();
}  // namespace bothways
