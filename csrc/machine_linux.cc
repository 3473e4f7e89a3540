#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <set>
#include <string>

#include "machine.h"

namespace bothways {
namespace {

int allowed_cores(const std::string& root) {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return 1;
  std::set<std::string> cores;  // by the processors that share each
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    std::ifstream file(root + "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list");
    std::string siblings;
    if (!std::getline(file, siblings)) siblings = std::to_string(cpu);
    cores.insert(siblings);
  }
  return std::max(1, static_cast<int>(cores.size()));
}

// Processors that a control group gives: `quota` of every `period`; 0 for no limit.
double processors(std::istream& quota, std::istream& period) {
  double given, of;
  if (!(quota >> given) || !(period >> of) || given <= 0 || of <= 0) return 0;
  return given / of;
}

// The strictest limit of this process's control group and those around it.
double group_limit(const std::string& root) {
  double limit = 0;
  const auto take = [&](double found) {
    if (found > 0) limit = limit > 0 ? std::min(limit, found) : found;
  };
  std::ifstream groups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string kinds = line.substr(first + 1, second - first - 1);
    const bool one_tree = kinds.empty();
    if (!one_tree && ("," + kinds + ",").find(",cpu,") == std::string::npos) continue;
    const std::string tree = root + (one_tree ? "/sys/fs/cgroup" : "/sys/fs/cgroup/cpu");
    for (std::string path = line.substr(second + 1);; path.erase(path.find_last_of('/'))) {
      if (path == "/") path.clear();
      if (one_tree) {
        std::ifstream both(tree + path + "/cpu.max");
        take(processors(both, both));
      } else {
        std::ifstream quota(tree + path + "/cpu.cfs_quota_us"), period(tree + path + "/cpu.cfs_period_us");
        take(processors(quota, period));
      }
      if (path.empty()) break;
    }
  }
  return limit;
}

}  // namespace

int usable_cores(const std::string& root) {
  const int cores = allowed_cores(root);
  const double limit = group_limit(root);
  return limit > 0 ? std::max(1, std::min(cores, static_cast<int>(limit))) : cores;
}

Processors allowed_processors() {
  Processors allowed;
  cpu_set_t found;
  if (sched_getaffinity(getpid(), sizeof(found), &found) != 0) return allowed;
  for (size_t cpu = 0; cpu < allowed.size(); ++cpu) allowed[cpu] = CPU_ISSET(cpu, &found);
  return allowed;
}

int this_processor() {
  const int cpu = sched_getcpu();
  return cpu < static_cast<int>(Processors().size()) ? cpu : -1;
}

int this_thread() { return static_cast<int>(syscall(SYS_gettid)); }

bool bind_thread(int thread, const Processors& to) {
  cpu_set_t place;
  CPU_ZERO(&place);
  for (size_t cpu = 0; cpu < to.size(); ++cpu) {
    if (to[cpu]) CPU_SET(cpu, &place);
  }
  return sched_setaffinity(thread, sizeof(place), &place) == 0;
}

void after_fork(void (*in_child)()) { pthread_atfork(nullptr, nullptr, in_child); }

void ask_for_huge_pages(float* memory, int64_t count) {
  constexpr uintptr_t kHuge = 1 << 21;
  const uintptr_t first = (reinterpret_cast<uintptr_t>(memory) + kHuge - 1) / kHuge * kHuge;
  const uintptr_t last = reinterpret_cast<uintptr_t>(memory + count) / kHuge * kHuge;
  if (memory && last >= first + 2 * kHuge) madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
}

bool call_system(long number, long first, long second) { return syscall(number, first, second) == 0; }

}  // namespace bothways
