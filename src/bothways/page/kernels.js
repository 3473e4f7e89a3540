/* Recurrent layers, convolutions and trees on the engine, which is WebAssembly (csrc/bind_wasm.cc). */
let wasm
const LSTM = 0, GRU = 1, RNN = 2, RELU = 3, RESET_BEFORE = 4  /* as in csrc/engine.h */
const GATES = {LSTM: [0, 2, 3, 1], GRU: [0, 1, 2], RNN: [0]}  /* where ONNX has the gates of Keras */

const TOO_LONG = "This sequence is too long for the memory of this page. Cut the table into pieces."

function room_for(floats) {
  const at = wasm.take(4 * floats) >>> 0
  if (!at) throw Error(TOO_LONG)
  return at
}
function into(array) {
  const at = room_for(Math.ceil(array.byteLength / 4))
  new array.constructor(wasm.memory.buffer, at, array.length).set(array)
  return at
}
const floats_at = (at, count) => new Float32Array(wasm.memory.buffer, at, count).slice()
/* Runs work with memory of the engine, and gives that back. */
function lent(work) {
  const before = wasm.mark()
  try { return work() } finally { wasm.release(before) }
}
function forward(...how) { if (!wasm.forward(...how)) throw Error(TOO_LONG) }
const CELLS = {
  LSTM: () => LSTM,
  GRU: how => how.linear_before_reset ? GRU : RESET_BEFORE,
  RNN: how => how.activations ? RELU : RNN,
}
/* A matrix (directions, gates * units, columns) of ONNX as Keras has it: (columns, gates * units) of one direction. */
function turned(matrix, direction, gates, units, columns) {
  const out = new Float32Array(columns * gates.length * units), rows = gates.length * units
  gates.forEach((gate, g) => {
    for (let u = 0; u < units; u++) for (let c = 0; c < columns; c++) {
      out[c * rows + g * units + u] = matrix.d[(direction * rows + gate * units + u) * columns + c]
    }
  })
  return out
}
function recurrent(operator, [x, W, R, B, lengths, bins], how) {
  const gates = GATES[operator], units = how.hidden_size, [directions, , features] = W.s, width = directions * units
  const rows = dense(OPERATORS.Transpose([x], {perm: [1, 0, 2]})), [batch, time] = rows.s, cell = CELLS[operator](how)
  const mask = new Uint8Array(batch * time)
  for (let b = 0; b < batch; b++) mask.fill(1, b * time, b * time + (lengths ? lengths.d[b] : time))
  return lent(() => {
    const at = into(rows.d), masked = into(mask), outputs = room_for(batch * time * width), ends = room_for(directions * batch * units)
    const through = bins ? [bins.s[2], bins.s[1], into(bins.d)] : []
    for (let d = 0; d < directions; d++) {
      const both = turned(B, d, [...gates, ...gates.map(gate => gate + gates.length)], units, 1), half = both.length / 2
      const bias = cell === GRU ? both : both.subarray(0, half).map((b, i) => b + both[half + i])
      const reverse = how.direction === "reverse" || d === 1
      lent(() => forward(cell, batch, time, features, units, reverse, at, masked, into(turned(W, d, gates, units, features)),
        into(turned(R, d, gates, units, units)), into(bias), outputs + d * units * 4, width, ends + d * batch * units * 4, ...through))
    }
    const y = floats_at(outputs, batch * time * width), last = floats_at(ends, directions * batch * units)
    return [value(y, [time, directions, batch, units], [width, units, time * width, 1]), value(last, [directions, batch, units])]
  })
}
for (const operator in GATES) OPERATORS[operator] = (operands, how) => recurrent(operator, operands, how)

/* A convolution, for the engine, is a simple recurrent layer that reads all steps of a window and no state; Relu follows
   every convolution of a model, so that it does not matter that it is done here already. */
OPERATORS.Conv = ([x, kernel, bias], {pads: [before, after], strides: [stride]}) => {
  const rows = dense(OPERATORS.Transpose([x], {perm: [0, 2, 1]})), [batch, time, channels] = rows.s, [units, , taps] = kernel.s
  const steps = Math.max(0, Math.floor((time + before + after - taps) / stride) + 1), windows = new Float32Array(batch * steps * taps * channels)
  for (let b = 0; b < batch; b++) for (let t = 0; t < steps; t++) for (let k = 0; k < taps; k++) {
    const from = t * stride - before + k
    if (from < 0 || from >= time) continue
    const source = (b * time + from) * channels, to = ((b * steps + t) * taps + k) * channels
    for (let c = 0; c < channels; c++) windows[to + c] = rows.d[source + c]
  }
  const weights = dense(OPERATORS.Transpose([kernel], {perm: [2, 1, 0]}))
  return lent(() => {
    const outputs = room_for(batch * steps * units)
    forward(RELU, batch, steps, taps * channels, units, false, into(windows), 0, into(weights.d), into(new Float32Array(units * units)),
      into(bias.d), outputs, units, 0)
    return value(floats_at(outputs, batch * steps * units), [batch, units, steps], [steps * units, 1, units])
  })
}

/* The values of the leaves that each row comes to; see export/trees.py. */
const ROWS_AT_ONCE = 1024
OPERATORS.Leaves = ([v, roots, ...nodes]) => {
  const {d, s} = dense(v), inputs = s.at(-1), trees = roots.d.length, [, , values, , kinds] = nodes, out = new values.d.constructor(d.length / inputs * trees)
  return lent(() => {
    const model = [roots, ...nodes].map(each => into(each === values ? Float64Array.from(values.d) : each.d))
    const x = room_for(2 * ROWS_AT_ONCE * inputs), found = room_for(2 * ROWS_AT_ONCE * trees)
    for (let from = 0, to = 0; from < d.length; from += ROWS_AT_ONCE * inputs, to += ROWS_AT_ONCE * trees) {
      const some = d.subarray(from, from + ROWS_AT_ONCE * inputs), rows = some.length / inputs
      new Float64Array(wasm.memory.buffer, x, some.length).set(some)
      wasm.leaves(rows, inputs, trees, kinds.s[1], x, ...model, found)
      out.set(new Float64Array(wasm.memory.buffer, found, rows * trees), to)
    }
    return value(out, [...s.slice(0, -1), trees])
  })
}
