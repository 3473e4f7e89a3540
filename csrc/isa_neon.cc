namespace bothways {
namespace {
constexpr int kLanes = 4;
constexpr int kTileRows = 6;
}  // namespace
}  // namespace bothways

#include "isa.inc"

namespace bothways {
extern const CellTable kNeonSingles;
const CellTable kNeonSingles = table_of<Singles>();
}  // namespace bothways
