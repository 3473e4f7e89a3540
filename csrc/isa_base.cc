namespace bothways {
namespace {
constexpr int kLanes = 4;
constexpr int kTileRows = 2;
}  // namespace
}  // namespace bothways

#include "isa.inc"

namespace bothways {
extern const CellTable kBaseSingles, kBaseCodes;
const CellTable kBaseSingles = table_of<Singles>();
const CellTable kBaseCodes = table_of<Codes>();
}  // namespace bothways
