// NumPy arrays -> engine. The friendly checks are in Python (`bothways.engine.arguments`); those here only make
// sure that no call can reach memory that is not its own.

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "bind_xla.h"
#include "engine.h"
#include "threads.h"

namespace nb = nanobind;

namespace bothways {
namespace {

using In = nb::ndarray<const float, nb::c_contig, nb::device::cpu>;
using Out = nb::ndarray<float, nb::c_contig, nb::device::cpu>;
using Mask = nb::ndarray<const bool, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Ins = std::vector<In>;
using Outs = std::vector<Out>;

// cell, kernel, recurrent_kernel, bias, reverse, initial states (or none)
using DirectionTuple = std::tuple<int, In, In, std::optional<In>, bool, Ins>;
// final states, saved
using ResultTuple = std::tuple<Outs, std::optional<Out>>;
// saved, d_final states (or none), d_kernel, d_recurrent_kernel, d_bias, d_initial states
using GradientTuple = std::tuple<Out, Ins, Out, Out, Out, Outs>;

template <class Array>
auto pointer(const Array& array, int64_t size, const char* name) {
  if (static_cast<int64_t>(array.size()) != size) {
    throw std::invalid_argument(std::string(name) + " has " + std::to_string(array.size()) + " elements; " +
                                std::to_string(size) + " are needed");
  }
  return array.data();
}

template <class Array>
auto pointer(const std::optional<Array>& array, int64_t size, const char* name) {
  return array ? pointer(*array, size, name) : nullptr;
}

// The arrays of the states of a cell; `none` allows for there being none at all.
template <class Array, class Pointer>
void set_states(Pointer* to, const std::vector<Array>& arrays, CellKind cell, int64_t size, bool none) {
  if (none && arrays.empty()) return;
  const int states = shape_of(cell).states;
  if (static_cast<int>(arrays.size()) != states) {
    throw std::invalid_argument(std::to_string(arrays.size()) + " states came; the cell has " + std::to_string(states));
  }
  for (int i = 0; i < states; ++i) to[i] = pointer(arrays[i], size, "a state");
}

Input input_of(const In& x, const std::optional<Mask>& mask, bool zero_output_for_mask) {
  if (x.ndim() != 3) throw std::invalid_argument("x needs 3 axes");
  Input input{};
  input.batch = static_cast<int64_t>(x.shape(0));
  input.time = static_cast<int64_t>(x.shape(1));
  input.features = static_cast<int64_t>(x.shape(2));
  input.x = x.data();
  input.mask = reinterpret_cast<const uint8_t*>(pointer(mask, input.batch * input.time, "mask"));
  input.zero_output_for_mask = zero_output_for_mask;
  return input;
}

std::vector<Direction> directions_of(const Input& input, const std::vector<DirectionTuple>& tuples, size_t results) {
  if (tuples.empty() || tuples.size() > kMaxDirections || tuples.size() != results) {
    throw std::invalid_argument("one or two directions are needed, and as many results");
  }
  std::vector<Direction> directions;
  for (const auto& [cell, kernel, recurrent, bias, reverse, states] : tuples) {
    if (cell < 0 || cell >= kCells) throw std::invalid_argument("there is no such cell");
    if (recurrent.ndim() != 2 || recurrent.shape(0) == 0) throw std::invalid_argument("recurrent_kernel needs 2 axes");
    Direction d{};
    d.cell = static_cast<CellKind>(cell);
    d.units = static_cast<int64_t>(recurrent.shape(0));
    d.reverse = reverse;
    const int64_t columns = shape_of(d.cell).gates * d.units;
    d.kernel = pointer(kernel, input.features * columns, "kernel");
    d.recurrent_kernel = pointer(recurrent, d.units * columns, "recurrent_kernel");
    d.bias = pointer(bias, shape_of(d.cell).biases * columns, "bias");
    set_states(d.initial_states, states, d.cell, input.batch * d.units, true);
    directions.push_back(d);
  }
  return directions;
}

int64_t outputs_size(const Input& input, const std::vector<Direction>& directions) {
  int64_t units = 0;
  for (const Direction& d : directions) units += d.units;
  return input.batch * input.time * units;
}

int64_t saved_size(const Input& input, const Direction& d) { return saved_floats(input, d); }

void run_forward(const In& x, const std::optional<Mask>& mask, bool zero_output_for_mask,
                 const std::vector<DirectionTuple>& direction_tuples, const std::optional<Out>& outputs,
                 const std::vector<ResultTuple>& result_tuples) {
  const Input input = input_of(x, mask, zero_output_for_mask);
  const std::vector<Direction> directions = directions_of(input, direction_tuples, result_tuples.size());
  std::vector<DirectionOutputs> results;
  for (size_t i = 0; i < directions.size(); ++i) {
    const auto& [states, saved] = result_tuples[i];
    DirectionOutputs result{};
    set_states(result.final_states, states, directions[i].cell, input.batch * directions[i].units, false);
    result.saved = pointer(saved, saved_size(input, directions[i]), "saved");
    results.push_back(result);
  }
  float* out = pointer(outputs, outputs_size(input, directions), "outputs");
  const nb::gil_scoped_release release;
  forward(input, static_cast<int>(directions.size()), directions.data(), out, results.data());
}

void run_backward(const In& x, const std::optional<Mask>& mask, bool zero_output_for_mask,
                  const std::vector<DirectionTuple>& direction_tuples, const std::optional<In>& d_outputs,
                  const std::optional<Out>& d_x, const std::vector<GradientTuple>& gradient_tuples) {
  const Input input = input_of(x, mask, zero_output_for_mask);
  const std::vector<Direction> directions = directions_of(input, direction_tuples, gradient_tuples.size());
  std::vector<DirectionGradients> results;
  for (size_t i = 0; i < directions.size(); ++i) {
    const auto& [saved, d_states, d_kernel, d_recurrent, d_bias, d_initial_states] = gradient_tuples[i];
    const Direction& d = directions[i];
    const int64_t state = input.batch * d.units, columns = shape_of(d.cell).gates * d.units;
    DirectionGradients result{};
    result.saved = pointer(saved, saved_size(input, d), "saved");
    set_states(result.d_final_states, d_states, d.cell, state, true);
    result.d_kernel = pointer(d_kernel, input.features * columns, "d_kernel");
    result.d_recurrent_kernel = pointer(d_recurrent, d.units * columns, "d_recurrent_kernel");
    result.d_bias = pointer(d_bias, shape_of(d.cell).biases * columns, "d_bias");
    set_states(result.d_initial_states, d_initial_states, d.cell, state, false);
    results.push_back(result);
  }
  const float* d_out = pointer(d_outputs, outputs_size(input, directions), "d_outputs");
  float* d_input = pointer(d_x, input.batch * input.time * input.features, "d_x");
  const nb::gil_scoped_release release;
  backward(input, static_cast<int>(directions.size()), directions.data(), d_out, d_input, results.data());
}

}  // namespace

NB_MODULE(_native, m) {
  m.def("forward", &run_forward, nb::arg("x"), nb::arg("mask").none(), nb::arg("zero_output_for_mask"),
        nb::arg("directions"), nb::arg("outputs").none(), nb::arg("results"));
  m.def("backward", &run_backward, nb::arg("x"), nb::arg("mask").none(), nb::arg("zero_output_for_mask"),
        nb::arg("directions"), nb::arg("d_outputs").none(), nb::arg("d_x").none(), nb::arg("gradients"));
  m.def(
      "saved_floats",
      [](int cell, int64_t batch, int64_t time, int64_t features, int64_t units) {
        if (cell < 0 || cell >= kCells) throw std::invalid_argument("there is no such cell");
        Input input{};
        input.batch = batch;
        input.time = time;
        input.features = features;
        Direction d{};
        d.cell = static_cast<CellKind>(cell);
        d.units = units;
        return saved_floats(input, d);
      },
      nb::arg("cell"), nb::arg("batch"), nb::arg("time"), nb::arg("features"), nb::arg("units"));
  m.def("instruction_sets", [] {
    const char* names[5];
    const int count = instruction_sets(names);
    return std::vector<std::string>(names, names + count);
  });
  m.def("instruction_set", [] { return std::string(instruction_set()); });
  m.def(
      "set_instruction_set", [](const std::string& name) { return set_instruction_set(name.c_str()); },
      nb::arg("name"));
  m.def("threads", &threads);
  m.def("set_threads", &set_threads, nb::arg("count"));
  m.def("xla_handlers", &xla_handlers);
}

}  // namespace bothways
