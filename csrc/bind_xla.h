#pragma once

#include <nanobind/nanobind.h>

namespace bothways {

// The XLA handlers by the names under which they are to be registered. A name carries a version, because cached
// executables refer to it: change the version whenever the operands of a handler change.
nanobind::dict xla_handlers();

}  // namespace bothways
