// What the engine asks of the processor and of the system: a file a kind of processor, one for Linux.
#pragma once

#include <stdint.h>

namespace bothways {

// Instructions that this process may use.
struct Features {
  bool avx2 = false, avx512 = false, bf16 = false, amx = false, intel = false;
  bool halves = false;  // whether it works on 512 bits as on twice 256
};
Features find_features();

// How arithmetic of a thread treats denormals and rounds. Threads that share a call do it as the caller does.
uint32_t float_mode();
void set_float_mode(uint32_t mode);

void pause_for_a_moment();  // in a loop that waits

// How many threads this process can use at once: the cores that it may run on, not counting one twice for its second
// thread, within the share of them that its control group gives it.
int usable_cores();

}  // namespace bothways
