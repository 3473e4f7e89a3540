// XLA buffers -> engine, through the typed FFI. The Python side is `bothways/layers/ops/jax.py`, which gives the
// operands in the same order.

#include "bind_xla.h"

#include <cstring>
#include <string>

#include "engine.h"
#include "xla/ffi/api/ffi.h"

namespace nb = nanobind;
namespace ffi = xla::ffi;

namespace bothways {
namespace {

constexpr int64_t kGates = 4;  // of an LSTM, whose states are h and c

using F32 = ffi::Buffer<ffi::F32>;
using Integers = ffi::Span<const int64_t>;

// Hands out operands and results one after the other, and remembers the first that is not as it should be.
class Operands {
 public:
  Operands(ffi::RemainingArgs args, ffi::RemainingRets rets) : args_(args), rets_(rets) {}

  const float* next(int64_t size) { return checked<ffi::F32>(args_.get<F32>(arg_), size, "operand", arg_); }

  const uint8_t* next_mask(int64_t size) {
    return reinterpret_cast<const uint8_t*>(
        checked<ffi::PRED>(args_.get<ffi::Buffer<ffi::PRED>>(arg_), size, "operand", arg_));
  }

  float* next_result(int64_t size) {
    auto result = rets_.get<F32>(ret_);
    if (!result.has_value()) return fail("result", ret_);
    return checked<ffi::F32>(ffi::ErrorOr<F32>(*result.value()), size, "result", ret_);
  }

  bool good() const { return error_.empty(); }
  ffi::Error error() const { return ffi::Error(ffi::ErrorCode::kInvalidArgument, error_); }

 private:
  template <ffi::DataType kType>
  ffi::NativeType<kType>* checked(ffi::ErrorOr<ffi::Buffer<kType>> buffer, int64_t size, const char* kind, size_t& i) {
    if (!buffer.has_value() || static_cast<int64_t>(buffer.value().element_count()) != size) {
      fail(kind, i);
      return nullptr;
    }
    ++i;
    return buffer.value().typed_data();
  }

  std::nullptr_t fail(const char* kind, size_t i) {
    if (good()) error_ = "bothways: " + std::string(kind) + " " + std::to_string(i) + " has the wrong type or size";
    return nullptr;
  }

  ffi::RemainingArgs args_;
  ffi::RemainingRets rets_;
  size_t arg_ = 0, ret_ = 0;
  std::string error_;
};

ffi::Error input_of(F32 x, bool masked, bool zero_output_for_mask, Integers units, Integers reverse, Operands& operands,
                    Input& input) {
  if (x.dimensions().size() != 3 || units.size() < 1 || units.size() > kMaxDirections ||
      units.size() != reverse.size()) {
    return ffi::Error(ffi::ErrorCode::kInvalidArgument, "bothways: x needs 3 axes, and there are 1 or 2 directions");
  }
  const auto shape = x.dimensions();
  const uint8_t* mask = masked ? operands.next_mask(shape[0] * shape[1]) : nullptr;
  input = {shape[0], shape[1], shape[2], x.typed_data(), mask, zero_output_for_mask};
  return ffi::Error::Success();
}

// x, [mask], then for each direction kernel, recurrent_kernel, bias, initial h, initial c
//   -> [outputs], then for each direction final h, final c, [saved]
ffi::Error xla_forward(F32 x, ffi::RemainingArgs args, ffi::RemainingRets rets, Integers units, Integers reverse,
                       bool masked, bool zero_output_for_mask, bool sequences, bool saves) {
  Operands operands(args, rets);
  Input input{};
  ffi::Error error = input_of(x, masked, zero_output_for_mask, units, reverse, operands, input);
  if (error.failure()) return error;
  const int n = static_cast<int>(units.size());
  int64_t width = 0;
  for (const int64_t u : units) width += u;
  float* outputs = sequences ? operands.next_result(input.batch * input.time * width) : nullptr;
  Direction directions[kMaxDirections] = {};
  DirectionOutputs results[kMaxDirections] = {};
  for (int i = 0; i < n; ++i) {
    const int64_t columns = kGates * units[i], state = input.batch * units[i];
    Direction& d = directions[i];
    d.units = units[i];
    d.reverse = reverse[i] != 0;
    d.kernel = operands.next(input.features * columns);
    d.recurrent_kernel = operands.next(units[i] * columns);
    d.bias = operands.next(columns);
    for (const float*& initial : d.initial_states) initial = operands.next(state);
    for (float*& final : results[i].final_states) final = operands.next_result(state);
    if (saves) {
      results[i].saved = operands.next_result(saved_floats(input.batch, input.time, input.features, units[i]));
    }
  }
  if (!operands.good()) return operands.error();
  forward(input, n, directions, outputs, results);
  return ffi::Error::Success();
}

// x, [mask], [d_outputs], then for each direction kernel, recurrent_kernel, saved, d_final h, d_final c
//   -> [d_x], then for each direction saved (aliased), d_kernel, d_recurrent_kernel, d_bias, d_initial h, d_initial c
ffi::Error xla_backward(F32 x, ffi::RemainingArgs args, ffi::RemainingRets rets, Integers units, Integers reverse,
                        bool masked, bool zero_output_for_mask, bool sequences, bool wants_d_x) {
  Operands operands(args, rets);
  Input input{};
  ffi::Error error = input_of(x, masked, zero_output_for_mask, units, reverse, operands, input);
  if (error.failure()) return error;
  const int n = static_cast<int>(units.size());
  int64_t width = 0;
  for (const int64_t u : units) width += u;
  const float* d_outputs = sequences ? operands.next(input.batch * input.time * width) : nullptr;
  float* d_x = wants_d_x ? operands.next_result(input.batch * input.time * input.features) : nullptr;
  Direction directions[kMaxDirections] = {};
  DirectionGradients results[kMaxDirections] = {};
  for (int i = 0; i < n; ++i) {
    const int64_t columns = kGates * units[i], state = input.batch * units[i];
    const int64_t saved_size = saved_floats(input.batch, input.time, input.features, units[i]);
    Direction& d = directions[i];
    DirectionGradients& g = results[i];
    d.units = units[i];
    d.reverse = reverse[i] != 0;
    d.kernel = operands.next(input.features * columns);
    d.recurrent_kernel = operands.next(units[i] * columns);
    const float* saved = operands.next(saved_size);
    for (const float*& d_final : g.d_final_states) d_final = operands.next(state);
    g.saved = operands.next_result(saved_size);
    g.d_kernel = operands.next_result(input.features * columns);
    g.d_recurrent_kernel = operands.next_result(units[i] * columns);
    g.d_bias = operands.next_result(columns);
    for (float*& d_initial : g.d_initial_states) d_initial = operands.next_result(state);
    if (!operands.good()) return operands.error();
    if (g.saved != saved) std::memcpy(g.saved, saved, saved_size * sizeof(float));
  }
  backward(input, n, directions, d_outputs, d_x, results);
  return ffi::Error::Success();
}

XLA_FFI_DEFINE_HANDLER(kForward, xla_forward,
                       ffi::Ffi::Bind()
                           .Arg<F32>()
                           .RemainingArgs()
                           .RemainingRets()
                           .Attr<Integers>("units")
                           .Attr<Integers>("reverse")
                           .Attr<bool>("masked")
                           .Attr<bool>("zero_output_for_mask")
                           .Attr<bool>("sequences")
                           .Attr<bool>("saves"));

XLA_FFI_DEFINE_HANDLER(kBackward, xla_backward,
                       ffi::Ffi::Bind()
                           .Arg<F32>()
                           .RemainingArgs()
                           .RemainingRets()
                           .Attr<Integers>("units")
                           .Attr<Integers>("reverse")
                           .Attr<bool>("masked")
                           .Attr<bool>("zero_output_for_mask")
                           .Attr<bool>("sequences")
                           .Attr<bool>("wants_d_x"));

}  // namespace

nb::dict xla_handlers() {
  nb::dict handlers;
  handlers["bothways_lstm_forward_v1"] = nb::capsule(reinterpret_cast<void*>(kForward));
  handlers["bothways_lstm_backward_v1"] = nb::capsule(reinterpret_cast<void*>(kBackward));
  return handlers;
}

}  // namespace bothways
