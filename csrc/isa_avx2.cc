namespace bothways {
namespace {
constexpr int kLanes = 8;
constexpr int kTileRows = 3;
}  // namespace
}  // namespace bothways

#include "isa.inc"

namespace bothways {
extern const CellTable kAvx2Singles, kAvx2Codes;
const CellTable kAvx2Singles = table_of<Singles>();
const CellTable kAvx2Codes = table_of<Codes>();
}  // namespace bothways
