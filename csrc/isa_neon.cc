namespace bothways {
namespace {
constexpr int kLanes = 4;
constexpr int kTileRows = 6;
}  // namespace
}  // namespace bothways

#include "isa.inc"

namespace bothways {
extern const CellTable kNeonSingles, kNeonCodes;
const CellTable kNeonSingles = table_of<Singles>();
const CellTable kNeonCodes = table_of<Codes>();
}  // namespace bothways
