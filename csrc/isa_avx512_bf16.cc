#define BOTHWAYS_BFLOAT16

namespace bothways {
namespace {
constexpr int kLanes = 16;
constexpr int kTileRows = 6;
}  // namespace
}  // namespace bothways

#include "isa.inc"

namespace bothways {
extern const CellTable kAvx512Pairs;
const CellTable kAvx512Pairs = table_of<Pairs>();
}  // namespace bothways
