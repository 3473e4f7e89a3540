#define BOTHWAYS_NARROW

namespace bothways {
namespace {
constexpr int kLanes = 8;
constexpr int kTileRows = 6;
}  // namespace
}  // namespace bothways

#include "isa.inc"

namespace bothways {
extern const CellTable kAvx512NarrowCodes;
const CellTable kAvx512NarrowCodes = table_of<Codes>();
}  // namespace bothways
