#include "threads.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

namespace bothways {
namespace {

// Work that comes in bursts (the steps of an epoch) finds the threads still looking; between bursts they sleep. A
// caller in Python takes tens of microseconds from one call to the next.
constexpr std::chrono::microseconds kPatience{100};

int default_threads() {
  if (const char* text = std::getenv("OMP_NUM_THREADS")) {
    const int count = std::atoi(text);
    if (count > 0) return count;
  }
  cpu_set_t allowed;
  if (pthread_getaffinity_np(pthread_self(), sizeof(allowed), &allowed) == 0) return CPU_COUNT(&allowed);
  return std::max(1u, std::thread::hardware_concurrency());
}

class Pool {
 public:
  void run(int count, const std::function<void(int)>& piece, int helpers) {
    helpers = std::min(helpers, add_threads(helpers));
    piece_ = &piece;
    mode_ = __builtin_ia32_stmxcsr();
    count_ = count;
    left_.store(count, std::memory_order_relaxed);
    short_of_memory_.store(false, std::memory_order_relaxed);
    next_.store(0, std::memory_order_relaxed);
    {
      std::lock_guard<std::mutex> lock(mutex_);
      open_ = helpers;
      round_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    take_pieces();
    // No piece is left to take, but helpers may still be at theirs, or about to look for one.
    for (;;) {
      if (left_.load(std::memory_order_acquire) == 0) {
        std::lock_guard<std::mutex> lock(mutex_);
        open_ = 0;
        if (inside_ == 0) break;
      }
      std::this_thread::yield();
    }
    if (short_of_memory_.load(std::memory_order_relaxed)) throw std::bad_alloc();
  }

  std::mutex busy;  // held by the caller whom the pool serves

 private:
  // Starts threads until there are so many; gives how many there are, which may be fewer.
  int add_threads(int count) {
    try {
      while (static_cast<int>(threads_.size()) < count) {
        threads_.emplace_back([this] { work(); });
        threads_.back().detach();
      }
    } catch (const std::system_error&) {  // the system has no more: those that there are do the work
    }
    return static_cast<int>(threads_.size());
  }

  void take_pieces() {
    for (;;) {
      const int i = next_.fetch_add(1, std::memory_order_relaxed);
      if (i >= count_) return;
      try {
        (*piece_)(i);
      } catch (const std::bad_alloc&) {  // the only exception of a piece; for the caller, wherever it came up
        short_of_memory_.store(true, std::memory_order_relaxed);
      }
      left_.fetch_sub(1, std::memory_order_release);
    }
  }

  void work() {
    uint64_t seen = 0;
    for (;;) {
      const auto until = std::chrono::steady_clock::now() + kPatience;
      while (round_.load(std::memory_order_acquire) == seen && std::chrono::steady_clock::now() < until) {
        __builtin_ia32_pause();
      }
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [&] { return round_.load(std::memory_order_relaxed) != seen; });
        seen = round_.load(std::memory_order_relaxed);
        if (open_ == 0) continue;
        --open_;
        ++inside_;
      }
      __builtin_ia32_ldmxcsr(mode_);
      take_pieces();
      std::lock_guard<std::mutex> lock(mutex_);
      --inside_;
    }
  }

  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<uint64_t> round_{0};
  int open_ = 0, inside_ = 0;  // helpers that may still join this round, and those at work in it
  const std::function<void(int)>* piece_ = nullptr;
  int count_ = 0;
  unsigned mode_ = 0;  // the caller's way with denormal numbers, which decides bits
  std::atomic<int> next_{0}, left_{0};
  std::atomic<bool> short_of_memory_{false};
};

std::atomic<int> thread_count{0};
std::atomic<Pool*> pool{nullptr};

// A child after fork has none of its parent's threads: it starts with a new pool, and leaves the old one alone.
void forget_pool() { pool.store(new Pool, std::memory_order_release); }

Pool* the_pool() {
  static const bool once = [] {
    forget_pool();
    pthread_atfork(nullptr, nullptr, forget_pool);
    return true;
  }();
  static_cast<void>(once);
  return pool.load(std::memory_order_acquire);
}

}  // namespace

int threads() {
  if (thread_count.load() == 0) thread_count.store(default_threads());
  return thread_count.load();
}

void set_threads(int count) { thread_count.store(std::max(1, count)); }

void run_pieces(int count, const std::function<void(int)>& piece) {
  const int helpers = std::min(count, threads()) - 1;
  if (helpers > 0) {
    Pool* pool = the_pool();
    std::unique_lock<std::mutex> lock(pool->busy, std::try_to_lock);
    if (lock.owns_lock()) return pool->run(count, piece, helpers);
  }
  for (int i = 0; i < count; ++i) piece(i);
}

}  // namespace bothways
