#define BOTHWAYS_BFLOAT16
#define BOTHWAYS_TILES

namespace bothways {
namespace {
constexpr int kLanes = 16;
constexpr int kTileRows = 16;
}  // namespace
}  // namespace bothways

#include "isa.inc"

namespace bothways {
extern const CellTable kAmxPairs;
const CellTable kAmxPairs = table_of<Pairs>();
}  // namespace bothways
