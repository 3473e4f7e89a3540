#include "engine.h"

#include <cpuid.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>
#include <vector>

#include "kernels.h"
#include "schedule.h"
#include "threads.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

namespace bothways {
namespace {

// ------------------------------------------------------------------ instruction sets

// The processor's features by CPUID, and the registers that the operating system saves by XGETBV.
struct Machine {
  bool avx2 = false, avx512 = false, bf16 = false, amx = false, intel = false;
  bool halves = false;  // whether it works on 512 bits as on twice 256

  Machine() {
    unsigned a, b, c, d;
    if (!__get_cpuid(0, &a, &b, &c, &d)) return;
    intel = b == signature_INTEL_ebx;
    const bool amd = b == signature_AMD_ebx;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return;
    const bool fma = c & (1u << 12), osxsave = c & (1u << 27), avx = c & (1u << 28);
    if (!(fma && osxsave && avx)) return;
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    const bool ymm = (low & 0x06) == 0x06, zmm = (low & 0xe6) == 0xe6, tiles = (low & 0x60000) == 0x60000;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return;
    avx2 = ymm && (b & (1u << 5));
    const unsigned f_dq_bw_vl = (1u << 16) | (1u << 17) | (1u << 30) | (1u << 31),
                   amx_bf16_tile = (1u << 22) | (1u << 24);
    avx512 = avx2 && zmm && (b & f_dq_bw_vl) == f_dq_bw_vl;
    const bool has_amx = tiles && (d & amx_bf16_tile) == amx_bf16_tile;
    constexpr unsigned kAmdUnits = 0x8000001a, k512 = 1u << 3;
    unsigned units, b8, c8, d8;
    halves = amd && avx512 && __get_cpuid(kAmdUnits, &units, &b8, &c8, &d8) && !(units & k512);
    if (!__get_cpuid_count(7, 1, &a, &b, &c, &d)) return;
    bf16 = avx512 && (a & (1u << 5));
    amx = bf16 && has_amx && allow_tiles();
  }

 private:
  // Linux gives a process the registers for tiles when it asks for them.
  static bool allow_tiles() {
    constexpr long kRequestPermission = 0x1023, kTileData = 18;
    return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  }
};

constexpr Tables all_singles(const CellTable& singles) { return {&singles, &singles, &singles}; }
constexpr Tables kNarrow = {&kAvx512NarrowSingles, &kAvx512NarrowPairs, &kAvx512NarrowPairs};

constexpr Kernels kBase = {"base", all_singles(kBaseSingles), {}};
constexpr Kernels kAvx2 = {"avx2", all_singles(kAvx2Singles), {}};
constexpr Kernels kAvx512 = {"avx512", all_singles(kAvx512Singles), all_singles(kAvx512NarrowSingles)};
constexpr Kernels kAvx512Bf16 = {"avx512_bf16", {&kAvx512Singles, &kAvx512Pairs, &kAvx512Pairs}, kNarrow};
constexpr Kernels kAmx = {"amx", {&kAvx512Singles, &kAmxPairs, &kAvx512Singles}, {}};

const Machine machine;

// What this machine can run, best first.
std::vector<const Kernels*> find_kernels() {
  std::vector<const Kernels*> found;
  if (machine.amx) found.push_back(&kAmx);
  if (machine.bf16 && !machine.intel) found.push_back(&kAvx512Bf16);
  if (machine.avx512) found.push_back(&kAvx512);
  if (machine.bf16 && machine.intel) found.push_back(&kAvx512Bf16);  // whose products take twice as long as float32
  if (machine.avx2) found.push_back(&kAvx2);
  found.push_back(&kBase);
  return found;
}

const std::vector<const Kernels*>& all_kernels() {
  static const std::vector<const Kernels*> found = find_kernels();
  return found;
}

std::atomic<const Kernels*> chosen{nullptr};

const Kernels& kernels() {
  if (!chosen.load()) chosen.store(all_kernels().front());
  return *chosen.load();
}

// Whether vectors half as wide pay: the machine takes half the time for them, and of few units fewer lanes stay empty.
bool narrow_pays(int64_t units) {
  constexpr int64_t kWide = 16, kFew = 128;
  const int64_t left = units % kWide;
  return machine.halves && units <= kFew && left > 0 && left <= kWide / 2;
}

const CellKernels& kernels_for(const Input& input, const Direction& d) {
  const Kernels& k = kernels();
  const Tables& tables = k.narrow.float32 && narrow_pays(d.units) ? k.narrow : k.tables;
  const bool by_gate = (d.dropout && !d.same_dropout) || d.recurrent_dropout;
  const CellTable* table = !input.bfloat16 ? tables.float32 : by_gate ? tables.bfloat16_dropout : tables.bfloat16;
  return (*table)[d.cell];
}

// ------------------------------------------------------------------ scratch memory

// Grows to the largest call that its thread has made, so that calls do not pay for fresh pages.
class Arena {
 public:
  ~Arena() { std::free(memory_); }

  float* floats(int64_t count) {
    if (count > size_) {
      std::free(memory_);
      size_ = (count + kAlign - 1) / kAlign * kAlign;
      memory_ = static_cast<float*>(std::aligned_alloc(kAlign, size_ * sizeof(float)));
      if (!memory_) {
        size_ = 0;
        throw std::bad_alloc();
      }
    }
#ifdef __SANITIZE_ADDRESS__
    __asan_unpoison_memory_region(memory_, size_ * sizeof(float));  // what this call did not ask for is not its own
    __asan_poison_memory_region(memory_ + count, (size_ - count) * sizeof(float));
#endif
    return memory_;
  }

 private:
  static constexpr int64_t kAlign = 4096;
  float* memory_ = nullptr;
  int64_t size_ = 0;
};

thread_local Arena scan_arena, sum_arena;

// Asks for huge pages where much memory is about to be written, which may be fresh: the first touch of each page has a
// price. That the system does not give them is no error.
void ask_for_huge_pages(float* memory, int64_t count) {
  constexpr uintptr_t kHuge = 1 << 21;
  const uintptr_t first = (reinterpret_cast<uintptr_t>(memory) + kHuge - 1) / kHuge * kHuge;
  const uintptr_t last = reinterpret_cast<uintptr_t>(memory + count) / kHuge * kHuge;
  if (memory && last >= first + 2 * kHuge) madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
}

// ------------------------------------------------------------------ the schedule

class ScheduleMemory {
 public:
  explicit ScheduleMemory(const Input& input) {
    const int64_t batch = input.batch, time = input.time;
    ints_.resize(2 * batch + time + batch * time + time + 1);
    base_.resize(time);
    int32_t* row = ints_.data();
    int32_t* count = row + batch;
    int32_t* active = count + batch;
    int32_t* steps = active + time;
    int32_t* starts = steps + batch * time;  // counting sort, longest first
    std::fill(starts, starts + time + 1, 0);
    for (int64_t b = 0; b < batch; ++b) ++starts[time - valid_steps(input, b)];
    for (int64_t n = 0, start = 0; n <= time; ++n) {
      const int64_t rows = starts[n];
      starts[n] = static_cast<int32_t>(start);
      start += rows;
    }
    for (int64_t b = 0; b < batch; ++b) {
      const int64_t n = valid_steps(input, b);
      const int32_t rank = starts[time - n]++;
      row[rank] = static_cast<int32_t>(b);
      count[rank] = static_cast<int32_t>(n);
      int32_t* list = steps + rank * time;
      for (int64_t t = 0; t < time; ++t) {
        if (!input.mask || input.mask[b * time + t]) *list++ = static_cast<int32_t>(t);
      }
    }
    schedule = {batch, time, batch ? count[0] : 0, 0, row, count, active, base_.data(), steps};
    for (int64_t j = 0, ranks = batch; j < schedule.turns; ++j) {
      while (count[ranks - 1] <= j) --ranks;
      active[j] = static_cast<int32_t>(ranks);
      base_[j] = schedule.total;
      schedule.total += ranks;
    }
  }

  Schedule schedule;

 private:
  static int64_t valid_steps(const Input& input, int64_t b) {
    if (!input.mask) return input.time;
    const uint8_t* mask = input.mask + b * input.time;
    return input.time - std::count(mask, mask + input.time, 0);
  }

  std::vector<int32_t> ints_;
  std::vector<int64_t> base_;
};

int64_t total_units(int directions, const Direction* direction) {
  int64_t units = 0;
  for (int i = 0; i < directions; ++i) units += direction[i].units;
  return units;
}

int64_t first_column(const Direction* direction, int i) { return total_units(i, direction); }

// Below this many multiplications a direction, waking a thread costs more than it saves.
constexpr int64_t kWorthAThread = 1 << 17;

void run_directions(const Input& input, int directions, const Direction* direction,
                    const std::function<void(int)>& run) {
  const int64_t columns = shape_of(direction[0].cell).gates * direction[0].units;
  const int64_t work = input.batch * input.time * columns * (input.features + direction[0].units);
  if (work < kWorthAThread) {
    for (int i = 0; i < directions; ++i) run(i);
  } else {
    run_pieces(directions, run);
  }
}

}  // namespace

int instruction_sets(const char** names) {
  int count = 0;
  for (const Kernels* k : all_kernels()) names[count++] = k->name;
  return count;
}

const char* instruction_set() { return kernels().name; }

bool set_instruction_set(const char* name) {
  for (const Kernels* k : all_kernels()) {
    if (std::strcmp(k->name, name) == 0) {
      chosen.store(k);
      return true;
    }
  }
  return false;
}

int64_t packed_floats(const Input& input, const Direction& direction) {
  return kernels_for(input, direction).packed_floats(input, direction);
}

void pack(const Input& input, const Direction& direction, float* packed) {
  kernels_for(input, direction).pack(input, direction, packed);
}

int64_t residual_floats(const Input& input, const Direction& direction) {
  return kernels_for(input, direction).residual_floats(input, direction);
}

void forward(const Input& input, int directions, const Direction* direction, float* outputs,
             const DirectionOutputs* results) {
  const ScheduleMemory memory(input);
  const int64_t stride = total_units(directions, direction);
  run_directions(input, directions, direction, [&](int i) {
    float* columns = outputs ? outputs + first_column(direction, i) : nullptr;
    ForwardJob job{&input, &memory.schedule, &direction[i], columns, stride, &results[i], nullptr};
    const CellKernels& cell = kernels_for(input, direction[i]);
    if (results[i].residuals) ask_for_huge_pages(results[i].residuals, cell.residual_floats(input, direction[i]));
    job.scratch = scan_arena.floats(cell.forward_scratch(job));
    cell.forward(job);
  });
}

void backward(const Input& input, int directions, const Direction* direction, const float* d_outputs, float* d_x,
              const DirectionGradients* results) {
  const ScheduleMemory memory(input);
  const int64_t stride = total_units(directions, direction);
  const int64_t x_floats = input.batch * input.time * input.features;
  // Each direction writes a d_x of its own, and they are added in a fixed order: the same bits for any threads.
  float* other_d_x = d_x && directions > 1 ? sum_arena.floats(x_floats) : nullptr;
  run_directions(input, directions, direction, [&](int i) {
    const float* columns = d_outputs ? d_outputs + first_column(direction, i) : nullptr;
    BackwardJob job{&input, &memory.schedule,         &direction[i], columns,
                    stride, i == 0 ? d_x : other_d_x, &results[i],   nullptr};
    const CellKernels& cell = kernels_for(input, direction[i]);
    job.scratch = scan_arena.floats(cell.backward_scratch(job));
    cell.backward(job);
  });
  if (other_d_x) {
    for (int64_t i = 0; i < x_floats; ++i) d_x[i] += other_d_x[i];
  }
}

}  // namespace bothways
