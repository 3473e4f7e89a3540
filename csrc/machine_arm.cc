#include "kernels.h"
#include "machine.h"

#if __has_include(<sys/auxv.h>)
#include <sys/auxv.h>
#endif

namespace bothways {

extern const CellTable kNeonSingles, kNeonPairs, kNeonCodes;

namespace {

// Whether there are instructions for bfloat16; not asked where the system is not Linux.
bool has_bfloat16() {
#if __has_include(<sys/auxv.h>)
  constexpr unsigned long kBfloat16 = 1ul << 14;  // HWCAP2_BF16, which old headers do not have
  return getauxval(AT_HWCAP2) & kBfloat16;
#else
  return false;
#endif
}

}  // namespace

std::vector<Kernels> find_kernels() {
  std::vector<Kernels> found;
  if (has_bfloat16()) found.push_back({"neon_bf16", {&kNeonSingles, &kNeonPairs, &kNeonPairs, &kNeonCodes}, {}});
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
