#include <arm_neon.h>

#include <cstring>

#include "kernels.h"
#include "machine.h"

#if __has_include(<sys/auxv.h>)
#include <sys/auxv.h>
#endif

namespace bothways {

extern const CellTable kNeonSingles, kNeonPairs, kNeonCodes, kNeonDotCodes;

namespace {

// Instructions that this process may use: for bfloat16, and for four products of int8. None where the system is not
// Linux, which alone is asked.
struct Features {
  bool bf16 = false, dot = false;
};

Features find_features() {
  Features f;
#if __has_include(<sys/auxv.h>)
  constexpr unsigned long kDot = 1ul << 20, kBfloat16 = 1ul << 14;  // HWCAP_ASIMDDP, HWCAP2_BF16: not in old headers
  f.dot = getauxval(AT_HWCAP) & kDot;
  f.bf16 = getauxval(AT_HWCAP2) & kBfloat16;
#endif
  return f;
}

}  // namespace

std::vector<Kernels> find_kernels() {
  const Features f = find_features();
  const CellTable& codes = f.dot ? kNeonDotCodes : kNeonCodes;
  std::vector<Kernels> found;
  if (f.bf16) found.push_back({"neon_bf16", {&kNeonSingles, &kNeonPairs, &kNeonPairs, &codes}, {}});
  if (f.dot) found.push_back({"neon_dot", all_singles(kNeonSingles, kNeonDotCodes), {}});
  found.push_back({"neon", all_singles(kNeonSingles, kNeonCodes), {}});
  found.push_back({"base", all_singles(kBaseSingles, kBaseCodes), {}});
  return found;
}

uint32_t float_mode() {
  uint64_t mode;
  __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
  return static_cast<uint32_t>(mode);
}

void set_float_mode(uint32_t mode) { __asm__ volatile("msr fpcr, %0" ::"r"(uint64_t{mode})); }

void pause_for_a_moment() { __asm__ volatile("yield"); }

void fold(const char* from, int64_t blocks, uint64_t* lanes) {
  constexpr int kVecs = kWords / 2;
  const uint32x2_t low = vdup_n_u32(kLow), high = vdup_n_u32(kHigh);
  uint64x2_t all[kVecs];
  std::memcpy(all, lanes, sizeof(all));
  for (; blocks > 0; --blocks) {
#pragma GCC unroll 8
    for (int i = 0; i < kVecs; ++i, from += sizeof(uint64x2_t)) {
      const uint64x2_t t = veorq_u64(all[i], vreinterpretq_u64_u8(vld1q_u8(reinterpret_cast<const uint8_t*>(from))));
      const uint64x2_t of_high = vmull_u32(vshrn_n_u64(t, 32), high);
      const uint64x2_t swapped = vreinterpretq_u64_u32(vrev64q_u32(vreinterpretq_u32_u64(of_high)));
      all[i] = vmlal_u32(swapped, vmovn_u64(t), low);
    }
  }
  std::memcpy(lanes, all, sizeof(all));
}

}  // namespace bothways
