#include "threads.h"

#include <time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <thread>
#include <utility>
#include <vector>

#include "machine.h"

namespace bothways {
namespace {

// Work that comes in bursts (the steps of an epoch) finds the threads still looking; between bursts they sleep. A
// caller in Python takes tens of microseconds from one call to the next.
constexpr std::chrono::microseconds kPatience{100};

// After how long a sleep a thread gives its memory back: sooner, fresh pages would be a part of the price of each
// burst.
constexpr std::chrono::milliseconds kIdle{250};

// How often a thread looks whether others are done before it lets others have its processor.
constexpr int kLooks = 2000;

using Clock = std::chrono::steady_clock;

// How late one of a team may be until the team parts.
constexpr std::chrono::microseconds kLate{500};

// Waits until done() says so; calls late() if it takes long.
template <class Done, class Late>
void look_out(const Done& done, const Late& late) {
  for (int looks = 0; looks < kLooks; ++looks) {
    if (done()) return;
    pause_for_a_moment();
  }
  for (const auto until = Clock::now() + kLate; !done(); std::this_thread::yield()) {
    if (Clock::now() > until) late();
  }
}

template <class Done>
void look_out(const Done& done) {
  look_out(done, [] {});
}

int default_threads() {
  if (const char* text = std::getenv("OMP_NUM_THREADS")) {
    const int count = std::atoi(text);
    if (count > 0) return count;
  }
  return usable_cores();
}

// The work of one call.
struct Round {
  const std::function<void(int)>& piece;
  const int count;
  int places;  // for helpers that may still join
  const uint32_t mode = float_mode();
  std::atomic<int> next{0}, helpers{0};
  std::atomic<bool> short_of_memory{false};

  bool open() const { return places > 0 && next.load(std::memory_order_relaxed) < count; }

  void take_pieces() {
    for (int i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;) {
      try {
        piece(i);
      } catch (const std::bad_alloc&) {  // the only exception of a piece; for the caller, wherever it came up
        short_of_memory.store(true, std::memory_order_relaxed);
      }
    }
  }
};

// Helpers for all callers. Any number of callers have their rounds open at once; a helper joins any of them as long as
// no more threads are at work than there are meant to be, those of the callers among them.
class Pool {
 public:
  void run(Round& round, int most) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      make_helpers(most - 1);
      rounds_.push_back(&round);
      ++at_work_;
      spread_out(round.places);
      version_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    round.take_pieces();
    {
      std::lock_guard<std::mutex> lock(mutex_);
      --at_work_;
      rounds_.erase(std::find(rounds_.begin(), rounds_.end(), &round));
    }
    // No piece is left to take, and no helper can join; some may still be at their last piece.
    look_out([&] { return round.helpers.load(std::memory_order_acquire) == 0; });
    if (round.short_of_memory.load(std::memory_order_relaxed)) throw std::bad_alloc();
  }

 private:
  struct Helper {
    int id = 0;           // 0: not there yet
    bool asleep = false;  // under the mutex, as all of it but `processor`
    bool placed = false;  // whether a caller has bound it to a processor
    std::atomic<int> processor{-1};
  };

  // Where no more threads can be had, or memory for them, there are fewer: callers take all pieces that nobody else
  // takes.
  void make_helpers(int count) {
    if (no_more_) return;
    try {
      helpers_.reserve(count);  // so that it has room for a helper that is at work already
      while (static_cast<int>(helpers_.size()) < count) {
        auto helper = std::make_unique<Helper>();
        std::thread([this, own = helper.get()] { work(*own); }).detach();
        helpers_.push_back(std::move(helper));
      }
    } catch (const std::exception&) {
      no_more_ = true;
    }
  }

  // Sees to it that helpers that will join do not wait for a processor on which one of us works already: left alone,
  // the system may take thousands of calls to part them. A helper that wakes up in its place frees itself again.
  void spread_out(int count) {
    Processors taken;
    if (const int here = this_processor(); here >= 0) taken.set(here);
    for (const auto& helper : helpers_) {
      if (count-- <= 0) return;
      if (helper->id == 0) continue;
      const int at = helper->processor.load(std::memory_order_relaxed);
      if (!helper->asleep && at >= 0 && !taken[at]) {
        taken.set(at);
        continue;
      }
      const int to = free_processor(taken, at);
      if (to < 0) return;
      taken.set(to);
      helper->placed = bind_thread(helper->id, Processors().set(to)) || helper->placed;
    }
  }

  // One that is allowed and not taken, `liked` if possible; below 0 if there is none.
  int free_processor(const Processors& taken, int liked) const {
    const Processors free = allowed_ & ~taken;
    if (liked >= 0 && free[liked]) return liked;
    for (size_t cpu = 0; cpu < free.size(); ++cpu) {
      if (free[cpu]) return static_cast<int>(cpu);
    }
    return -1;
  }

  void work(Helper& own) {
    std::unique_lock<std::mutex> lock(mutex_);
    own.id = this_thread();
    for (;;) {
      if (own.placed) {
        bind_thread(own.id, allowed_);
        own.placed = false;
      }
      own.processor.store(this_processor(), std::memory_order_relaxed);
      if (Round* round = open_round()) {
        --round->places;
        round->helpers.fetch_add(1, std::memory_order_relaxed);
        ++at_work_;
        lock.unlock();
        set_float_mode(round->mode);
        round->take_pieces();
        round->helpers.fetch_sub(1, std::memory_order_release);  // from here on the round may be gone
        lock.lock();
        --at_work_;
        continue;
      }
      if (static_cast<int>(helpers_.size()) >= threads()) return leave(own);
      const uint64_t seen = version_.load(std::memory_order_relaxed);
      lock.unlock();
      const auto until = Clock::now() + kPatience;
      while (version_.load(std::memory_order_acquire) == seen && Clock::now() < until) {
        pause_for_a_moment();
      }
      lock.lock();
      own.asleep = true;
      const auto called = [&] { return version_.load(std::memory_order_relaxed) != seen; };
      if (!wake_.wait_for(lock, kIdle, called)) {
        lock.unlock();
        give_back_memory();
        lock.lock();
        wake_.wait(lock, called);
      }
      own.asleep = false;
    }
  }

  // A helper too many, since fewer threads are wanted now, would only wake up with the others and take their
  // processors.
  void leave(const Helper& own) {
    helpers_.erase(
        std::find_if(helpers_.begin(), helpers_.end(), [&](const auto& each) { return each.get() == &own; }));
  }

  Round* open_round() const {
    if (at_work_ >= threads()) return nullptr;
    const auto found = std::find_if(rounds_.begin(), rounds_.end(), [](const Round* round) { return round->open(); });
    return found == rounds_.end() ? nullptr : *found;
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<uint64_t> version_{0};  // of the rounds
  std::vector<Round*> rounds_;
  std::vector<std::unique_ptr<Helper>> helpers_;
  int at_work_ = 0;  // callers and helpers
  bool no_more_ = false;
  const Processors allowed_ = allowed_processors();
};

std::atomic<int> thread_count{0};
std::atomic<Pool*> pool{nullptr};

// A child after fork has none of its parent's threads: it starts with a new pool, and leaves the old one alone.
void forget_pool() { pool.store(new Pool, std::memory_order_release); }

Pool* the_pool() {
  static const bool once = [] {
    forget_pool();
    after_fork(forget_pool);
    return true;
  }();
  static_cast<void>(once);
  return pool.load(std::memory_order_acquire);
}

thread_local Rehearsal* rehearsal = nullptr;

// For how long no team is formed after one has parted: not long, for it may be chance; each time that the next one
// parts soon after that, twice as long.
class Pause {
 public:
  void begin() {
    const Clock::time_point now = Clock::now(), end = end_;
    if (now < end) return;
    length_ = now - end < kSoon ? std::min(2 * length_.load(), kLongest) : kShortest;
    end_ = now + length_.load();
  }
  bool over() const { return Clock::now() >= end_.load(std::memory_order_relaxed); }

 private:
  using Milliseconds = std::chrono::milliseconds;
  static constexpr Clock::duration kSoon = Milliseconds(50), kShortest = Milliseconds(4), kLongest = Milliseconds(512);

  std::atomic<Clock::time_point> end_{Clock::time_point()};
  std::atomic<Clock::duration> length_{kShortest};
};

Pause pause_of_teams;

// Of this thread, whatever else the machine does.
double thread_seconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

}  // namespace

int threads() {
  if (thread_count.load() == 0) thread_count.store(default_threads());
  return thread_count.load();
}

void set_threads(int count) { thread_count.store(std::max(1, count)); }

void run_pieces(int count, const std::function<void(int)>& piece) {
  if (rehearsal) {
    rehearsal->rounds.emplace_back();
    for (int i = 0; i < count; ++i) {
      const double start = thread_seconds();
      piece(i);
      rehearsal->rounds.back().push_back(thread_seconds() - start);
    }
    return;
  }
  const int most = std::min(count, threads());
  if (most > 1) {
    Round round{piece, count, most - 1};
    return the_pool()->run(round, most);
  }
  for (int i = 0; i < count; ++i) piece(i);
}

void run_team(int wanted, const std::function<void(int, int)>& work) {
  const int most = std::min(wanted, threads());
  if (rehearsal) return run_pieces(most, [&](int i) { work(i, most); });
  constexpr int kNobody = 1 << 20;  // whoever comes when there are so many is too late
  std::atomic<int> joined{0}, members{0};
  run_pieces(most, [&](int) {
    const int member = joined.fetch_add(1);
    if (member >= kNobody) return;
    if (member == 0) {
      const auto until = Clock::now() + kPatience;
      while (joined.load() < most && Clock::now() < until) pause_for_a_moment();
      members.store(joined.fetch_add(kNobody));
    } else {
      look_out([&] { return members.load() != 0; });
    }
    work(member, members.load());
  });
}

Rehearsal rehearse(const std::function<void()>& call) {
  Rehearsal made;
  struct Until {
    ~Until() { rehearsal = nullptr; }
  } end;
  rehearsal = &made;
  call();
  return made;
}

std::pair<double, int> seconds_to_meet(int members) {
  constexpr int kTimes = 10000;
  Barrier barrier;
  std::pair<double, int> found;
  run_team(members, [&](int member, int came) {
    const auto start = Clock::now();
    for (int i = 0; i < kTimes; ++i) wait(barrier, came, false);
    const std::chrono::duration<double> taken = Clock::now() - start;
    if (member == 0) found = {taken.count() / kTimes, came};
  });
  return found;
}

bool wait(Barrier& barrier, int64_t members, bool may_part) {
  if (rehearsal) {
    ++rehearsal->waits;
    return true;
  }
  const int64_t round = barrier.round_.load(std::memory_order_relaxed);
  if (barrier.arrived_.fetch_add(1, std::memory_order_acq_rel) == members - 1) {
    if (may_part && barrier.late_.load(std::memory_order_relaxed)) {
      barrier.parted_ = true;
      pause_of_teams.begin();
    }
    barrier.arrived_.store(0, std::memory_order_relaxed);
    barrier.round_.store(round + 1, std::memory_order_release);
  } else {
    look_out([&] { return barrier.round_.load(std::memory_order_acquire) != round; },
             [&] { barrier.late_.store(true, std::memory_order_relaxed); });
  }
  return !barrier.parted_;
}

bool crowded() { return !rehearsal && !pause_of_teams.over(); }

}  // namespace bothways
