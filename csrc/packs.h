// Packed weights that outlive a call. A forward pass of few rows over many units takes less time than packing does, and
// weights often stay as they are from call to call.
#pragma once

#include <stdint.h>

#include <memory>

#include "engine.h"

namespace bothways {

// Tells values apart by all of their bits.
struct DigestOf {
  uint64_t words[2];

  bool operator==(const DigestOf& other) const { return words[0] == other.words[0] && words[1] == other.words[1]; }
};

// Some floats in memory.
struct Floats {
  const float* values;
  int64_t count;
};

DigestOf digest_of(const Floats* arrays, int64_t count);

// What weights are packed: a digest of their values, and what else decides on the result.
struct PackKey {
  uint32_t kernels;  // a number of those that read them
  CellKind cell;
  int64_t features, units;
  Precision precision;
  DigestOf digest;

  bool operator==(const PackKey& other) const;
};

// Reads all weights, which takes about a tenth of the time of packing them.
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
