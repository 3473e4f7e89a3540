#define BOTHWAYS_BFLOAT16

namespace bothways {
namespace {
constexpr int kLanes = 4;
constexpr int kTileRows = 6;
}  // namespace
}  // namespace bothways

#include "isa.inc"

namespace bothways {
extern const CellTable kNeonPairs;
const CellTable kNeonPairs = table_of<Pairs>();
}  // namespace bothways
