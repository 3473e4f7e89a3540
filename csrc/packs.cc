#include "packs.h"

#include <cstring>
#include <list>
#include <mutex>
#include <new>

#include "machine.h"

namespace bothways {
namespace {

// Words go to lanes in turn.
class Folded {
 public:
  void add(const float* values, int64_t count) {
    const char* from = reinterpret_cast<const char*>(values);
    const int64_t bytes = count * static_cast<int64_t>(sizeof(float)), blocks = bytes / kBlock;
    fold(from, blocks, lanes_);
    char rest[kBlock] = {};
    std::memcpy(rest, from + blocks * kBlock, bytes - blocks * kBlock);
    fold(rest, 1, lanes_);
    lanes_[0] = mixed(lanes_[0], count);
  }

  Digest finished() const {
    Digest digest{};
    auto& words = digest.words;
    for (int round = 0; round < 2; ++round) {
      for (int i = 0; i < kWords; ++i) words[i % 2] = mixed(words[i % 2], lanes_[i] + words[(i + 1) % 2]);
    }
    return digest;
  }

 private:
  static constexpr int64_t kBlock = kWords * sizeof(uint64_t);

  static uint64_t mixed(uint64_t lane, uint64_t word) {
    constexpr uint64_t kOdd = 0x9e3779b97f4a7c15;
    const uint64_t product = (lane ^ word) * kOdd;
    return product << 29 | product >> 35;
  }

  uint64_t lanes_[kWords] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
};

struct Kept {
  PackKey key;
  Pack pack;
  int64_t floats;
};

std::mutex mutex;
std::list<Kept>& kept() {  // the one used last first
  static std::list<Kept>* const all = new std::list<Kept>;
  return *all;
}

}  // namespace

bool PackKey::operator==(const PackKey& o) const {
  return kernels == o.kernels && cell == o.cell && features == o.features && edges == o.edges && units == o.units &&
         precision == o.precision && digest == o.digest;
}

// Few weights are packed within a core's cache, in no more time than a digest takes.
bool wants_digest(int64_t steps, int64_t weights, Precision precision) {
  constexpr int64_t kFewSteps = 512, kManyWeights = 1 << 16;
  return precision == Precision::kInt8 || (steps <= kFewSteps && weights >= kManyWeights);
}

Digest digest_of(const Floats* arrays, int64_t count) {
  Folded folded;
  for (int64_t i = 0; i < count; ++i) folded.add(arrays[i].values, arrays[i].count);
  return folded.finished();
}

PackKey key_of(uint32_t kernels, const Input& input, const Direction& d) {
  const Sizes sizes = sizes_of(input, d);
  const Floats weights[] = {
      {d.kernel, sizes.kernel}, {d.recurrent_kernel, sizes.recurrent_kernel}, {d.bias, sizes.bias}};
  const Digest digest = d.digest ? *d.digest : digest_of(weights, d.bias ? 3 : 2);
  return {kernels, d.cell, input.features, input.bins.edges(), d.units, input.precision, digest};
}

// Where the lock is taken, for a moment by another thread or for good by one that a fork has left behind, a call does
// without.
Pack find_pack(const PackKey& key) {
  const std::unique_lock<std::mutex> lock(mutex, std::try_to_lock);
  if (!lock) return nullptr;
  for (auto each = kept().begin(); each != kept().end(); ++each) {
    if (!(each->key == key)) continue;
    kept().splice(kept().begin(), kept(), each);
    return each->pack;
  }
  return nullptr;
}

void keep_pack(const PackKey& key, const Pack& pack, int64_t floats) {
  const std::unique_lock<std::mutex> lock(mutex, std::try_to_lock);
  if (!lock) return;
  kept().push_front({key, pack, floats});
  int64_t room = kMostPacked;
  for (auto each = kept().begin(); each != kept().end();) {
    room -= each->floats;
    each = room < 0 ? kept().erase(each) : std::next(each);
  }
}

Pack new_pack(int64_t floats) {
  constexpr std::align_val_t kLine{64};
  auto* const memory = static_cast<float*>(operator new(floats * sizeof(float), kLine));
  return Pack(memory, [](float* each) { operator delete(each, kLine); });
}

}  // namespace bothways
