namespace bothways {
namespace {
constexpr int kLanes = 16;
constexpr int kTileRows = 6;
}  // namespace
}  // namespace bothways

#include "isa.inc"

namespace bothways {
extern const CellTable kAvx512Codes;
const CellTable kAvx512Codes = table_of<Codes>();
}  // namespace bothways
