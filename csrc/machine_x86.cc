#include <cpuid.h>
#include <emmintrin.h>

#include <cstring>

#include "kernels.h"
#include "machine.h"

namespace bothways {

extern const CellTable kAvx2Singles, kAvx512Singles, kAvx512Pairs, kAmxPairs;
extern const CellTable kAvx512NarrowSingles, kAvx512NarrowPairs;
extern const CellTable kAvx2Codes, kAvx512Codes, kAvx512NarrowCodes;

namespace {

// Instructions that this process may use.
struct Features {
  bool avx2 = false, avx512 = false, vnni = false, bf16 = false, amx = false, intel = false;
  bool halves = false;  // whether it works on 512 bits as on twice 256
};

// Asks Linux for the registers for tiles.
bool allow_tiles() {
  constexpr long kArchPrctl = 158, kRequestPermission = 0x1023, kTileData = 18;
  return call_system(kArchPrctl, kRequestPermission, kTileData);
}

// The processor's features by CPUID, and the registers that the operating system saves by XGETBV.
Features find_features() {
  Features f;
  unsigned a, b, c, d;
  if (!__get_cpuid(0, &a, &b, &c, &d)) return f;
  f.intel = b == signature_INTEL_ebx;
  const bool amd = b == signature_AMD_ebx;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return f;
  const bool fma = c & (1u << 12), osxsave = c & (1u << 27), avx = c & (1u << 28);
  if (!(fma && osxsave && avx)) return f;
  unsigned low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  const bool ymm = (low & 0x06) == 0x06, zmm = (low & 0xe6) == 0xe6, tiles = (low & 0x60000) == 0x60000;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return f;
  f.avx2 = ymm && (b & (1u << 5));
  const unsigned f_dq_bw_vl = (1u << 16) | (1u << 17) | (1u << 30) | (1u << 31),
                 amx_bf16_tile = (1u << 22) | (1u << 24);
  f.avx512 = f.avx2 && zmm && (b & f_dq_bw_vl) == f_dq_bw_vl;
  f.vnni = f.avx512 && (c & (1u << 11));
  const bool has_amx = tiles && (d & amx_bf16_tile) == amx_bf16_tile;
  constexpr unsigned kAmdUnits = 0x8000001a, k512 = 1u << 3;
  unsigned units, b8, c8, d8;
  f.halves = amd && f.avx512 && __get_cpuid(kAmdUnits, &units, &b8, &c8, &d8) && !(units & k512);
  if (!__get_cpuid_count(7, 1, &a, &b, &c, &d)) return f;
  f.bf16 = f.avx512 && (a & (1u << 5));
  f.amx = f.bf16 && has_amx && allow_tiles();
  return f;
}

}  // namespace

std::vector<Kernels> find_kernels() {
  const Features f = find_features();
  // Where 512 bits are worked on as twice 256, half as wide vectors take half the time.
  const CellTable &codes = f.vnni ? kAvx512Codes : kAvx2Codes, &narrow_codes = f.vnni ? kAvx512NarrowCodes : kAvx2Codes;
  const Tables narrow = f.halves ? all_singles(kAvx512NarrowSingles, narrow_codes) : Tables{};
  const Tables narrow_bf16 =
      f.halves ? Tables{&kAvx512NarrowSingles, &kAvx512NarrowPairs, &kAvx512NarrowPairs, &narrow_codes} : Tables{};
  const Kernels bf16 = {"avx512_bf16", {&kAvx512Singles, &kAvx512Pairs, &kAvx512Pairs, &codes}, narrow_bf16};
  std::vector<Kernels> found;
  if (f.amx) found.push_back({"amx", {&kAvx512Singles, &kAmxPairs, &kAvx512Singles, &codes}, {}});
  if (f.bf16 && !f.intel) found.push_back(bf16);
  if (f.avx512) found.push_back({"avx512", all_singles(kAvx512Singles, codes), narrow});
  if (f.bf16 && f.intel) found.push_back(bf16);  // whose products take twice as long as float32
  if (f.avx2) found.push_back({"avx2", all_singles(kAvx2Singles, kAvx2Codes), {}});
  found.push_back({"base", all_singles(kBaseSingles, kBaseCodes), {}});
  return found;
}

uint32_t float_mode() { return __builtin_ia32_stmxcsr(); }

void set_float_mode(uint32_t mode) { __builtin_ia32_ldmxcsr(mode); }

void pause_for_a_moment() { __builtin_ia32_pause(); }

void fold(const char* from, int64_t blocks, uint64_t* lanes) {
  constexpr int kVecs = kWords / 2, kSwapped = 0xb1;
  const __m128i low = _mm_set1_epi64x(kLow), high = _mm_set1_epi64x(kHigh);
  __m128i all[kVecs];
  std::memcpy(all, lanes, sizeof(all));
  for (; blocks > 0; --blocks) {
#pragma GCC unroll 8
    for (int i = 0; i < kVecs; ++i, from += sizeof(__m128i)) {
      const __m128i t = _mm_xor_si128(all[i], _mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
      const __m128i of_high = _mm_mul_epu32(_mm_srli_epi64(t, 32), high);
      all[i] = _mm_add_epi64(_mm_mul_epu32(t, low), _mm_shuffle_epi32(of_high, kSwapped));
    }
  }
  std::memcpy(lanes, all, sizeof(all));
}

}  // namespace bothways
