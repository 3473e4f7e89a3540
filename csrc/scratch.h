// Memory that calls work in.
#pragma once

#include <stdint.h>

#include <new>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

namespace bothways {

// Keeps its memory from call to call, so that calls do not pay for fresh pages; but no more than kKept of it, and
// threads of the pool none while there is nothing to do.
class Arena {
 public:
  ~Arena() { release(); }

  float* floats(int64_t count) {
    if (count > size_) {
      release();
      const int64_t size = (count + kFloats - 1) / kFloats * kFloats;
      memory_ = static_cast<float*>(::operator new(size * sizeof(float), kPage));
      size_ = size;
    }
#ifdef __SANITIZE_ADDRESS__
    __asan_unpoison_memory_region(memory_, size_ * sizeof(float));  // what this call did not ask for is not its own
    __asan_poison_memory_region(memory_ + count, (size_ - count) * sizeof(float));
#endif
    return memory_;
  }

  void give_back() {
    if (size_ > kKept) release();
  }

  void release() {
    ::operator delete(memory_, kPage);
    memory_ = nullptr;
    size_ = 0;
  }

 private:
  static constexpr std::align_val_t kPage{4096};
  static constexpr int64_t kFloats = 1024;   // of a page
  static constexpr int64_t kKept = 1 << 23;  // 32 MB
  float* memory_ = nullptr;
  int64_t size_ = 0;
};

// Memory of an arena until the end of a piece of work.
class Loan {
 public:
  explicit Loan(Arena& arena) : arena_(arena) {}
  ~Loan() { arena_.give_back(); }
  float* floats(int64_t count) { return arena_.floats(count); }

 private:
  Arena& arena_;
};

}  // namespace bothways
