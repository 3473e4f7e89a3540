// Systems other than Linux: that this compiles for macOS and Windows is checked, no more.
#if !defined(_WIN32)
#include <pthread.h>
#endif

#include <algorithm>
#include <thread>

#include "machine.h"

namespace bothways {

int usable_cores(const std::string&) { return std::max(1, static_cast<int>(std::thread::hardware_concurrency())); }

Processors allowed_processors() { return {}; }
int this_processor() { return -1; }
int this_thread() { return 1; }
bool bind_thread(int, const Processors&) { return false; }

#if defined(_WIN32)
void after_fork(void (*)()) {}  // there is none
#else
void after_fork(void (*in_child)()) { pthread_atfork(nullptr, nullptr, in_child); }
#endif

void ask_for_huge_pages(float*, int64_t) {}

bool call_system(long, long, long) { return false; }

}  // namespace bothways
