// What Python asks of the machine rather than of a call: threads, instruction sets, digests of memory.
#pragma once

#include <nanobind/nanobind.h>

namespace bothways {

void bind_machine(nanobind::module_& m);

}  // namespace bothways
