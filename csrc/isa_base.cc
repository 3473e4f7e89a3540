namespace bothways {
namespace {
constexpr int kLanes = 4;
constexpr int kTileRows = 2;
}  // namespace
}  // namespace bothways

#include "isa.inc"

namespace bothways {
extern const CellTable kBaseSingles;
const CellTable kBaseSingles = table_of<Singles>();
}  // namespace bothways
