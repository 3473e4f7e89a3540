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

}  // namespace bothways
