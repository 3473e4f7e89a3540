// Packed weights that outlive a call. A forward pass of few rows over many units takes less time than packing does, and
// weights often stay as they are from call to call.
#pragma once

#include <stdint.h>

#include <memory>

#include "engine.h"

namespace bothways {

// What weights are packed: the digest of their values, and what else decides on the result.
struct PackKey {
  uint32_t kernels;  // a number of those that read them
  CellKind cell;
  int64_t features, edges, units;
  Precision precision;
  Digest digest;

  bool operator==(const PackKey& other) const;
};

// Reads all weights, unless the direction brings their digest.
PackKey key_of(uint32_t kernels, const Input& input, const Direction& direction);

using Pack = std::shared_ptr<float>;

// Packs are the process's own, for all threads: those used last, and no more than fit in kMostPacked floats (32 MB).
// Equal values have equal packs wherever they stand, so nobody has to say that weights have changed. null: there is
// none.
constexpr int64_t kMostPacked = 1 << 23;
Pack find_pack(const PackKey& key);
void keep_pack(const PackKey& key, const Pack& pack, int64_t floats);

// Memory for a pack, which starts a cache line.
Pack new_pack(int64_t floats);

}  // namespace bothways
