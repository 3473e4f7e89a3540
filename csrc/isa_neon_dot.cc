namespace bothways {
namespace {
constexpr int kLanes = 4;
constexpr int kTileRows = 6;
}  // namespace
}  // namespace bothways

#include "isa.inc"

namespace bothways {
extern const CellTable kNeonDotCodes;
const CellTable kNeonDotCodes = table_of<Codes>();
}  // namespace bothways
