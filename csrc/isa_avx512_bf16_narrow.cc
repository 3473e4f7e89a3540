#define BOTHWAYS_BFLOAT16
#define BOTHWAYS_NARROW

namespace bothways {
namespace {
constexpr int kLanes = 8;
constexpr int kTileRows = 6;
}  // namespace
}  // namespace bothways

#include "isa.inc"

namespace bothways {
extern const CellTable kAvx512NarrowPairs;
const CellTable kAvx512NarrowPairs = table_of<Pairs>();
}  // namespace bothways
