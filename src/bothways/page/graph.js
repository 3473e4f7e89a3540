/* Runs a graph of operators of ONNX: those that bothways.export makes of a model. A value is {d, s, t}: numbers in a typed
   array (whole ones in Int32Array, yes or no in Uint8Array) or text in a plain one, their shape, and the strides. */
const product = numbers => numbers.reduce((a, b) => a * b, 1)
function packed(shape) {
  const strides = Array(shape.length)
  for (let i = shape.length - 1, step = 1; i >= 0; step *= shape[i--]) strides[i] = step
  return strides
}
const value = (d, s, t = packed(s)) => ({d, s, t})
function is_packed(v) {
  let step = 1
  for (let i = v.s.length - 1; i >= 0; step *= v.s[i--]) if (v.s[i] !== 1 && v.t[i] !== step) return false
  return v.d.length === step
}
const dense = v => is_packed(v) ? v.made ?? v : each("a", [v], type_of(v)).make()
const axis_of = (axis, rank) => axis < 0 ? axis + rank : axis

/* expression(a, b, c) of each element of operands that are stretched to one shape, when it is asked for; g is a table, of which
   it takes elements. What other expressions read becomes a part of them, and is computed once in each. Loops are compiled for
   each expression and types of arrays, and go over two axes at once; neighbours that lie one after the other in all operands
   are one. */
const ROUNDED = new Map([[Float32Array, "Math.fround(#)"], [Int32Array, "(#) | 0"], [Uint8Array, "+(#)"], [Float64Array, "#"]])
const MOST_LEAVES = 12
const place_of = (list, one) => list.includes(one) ? list.indexOf(one) : list.push(one) - 1
class Lazy {
  constructor(expression, operands, type, table) {
    Object.assign(this, {s: stretched(operands), type, leaves: [], tables: [], steps: []})
    const name_of = v => {
      if (!(v instanceof Lazy) && v.d.length === 1) return `g${place_of(this.tables, v.d)}[0]`
      if (!(v instanceof Lazy) || v.made || this.leaves.length + v.leaves.length > MOST_LEAVES) return "l" + place_of(this.leaves, v)
      const own = {l: v.leaves.map(leaf => place_of(this.leaves, leaf)), g: v.tables.map(each => place_of(this.tables, each)), n: []}
      for (const step of v.steps) own.n.push(place_of(this.steps, step.replace(/\b([lgn])(\d+)/g, (_, kind, i) => kind + own[kind][i])))
      return "n" + own.n.at(-1)
    }
    const [a, b, c] = operands.map(name_of), names = {a, b, c, g: table && "g" + place_of(this.tables, table)}
    this.steps.push(ROUNDED.get(type).replace("#", () => expression.replace(/\b[abcg]\b/g, letter => names[letter])))
  }
  get d() { return this.make().d }
  get t() { return this.make().t }
  make() {
    this.made ??= computed(this)
    this.leaves = this.tables = this.steps = null
    return this.made
  }
}
const each = (...how) => new Lazy(...how)
const type_of = v => v.type ?? v.d.constructor
const loops = new Map()
function loop({steps, leaves, tables}) {
  const key = [...steps, ...leaves.map(v => type_of(v).name), ...tables.map(table => table.constructor.name)].join()
  if (!loops.has(key)) {
    const every = text => leaves.map((_, i) => text.replaceAll("#", i)).join("")
    const arrays = ["o", ...leaves.keys()].flatMap(i => ["x", "p", "s", "t"].map(what => what + i))
    loops.set(key, Function("m", "n", ...arrays, ...tables.map((_, i) => "g" + i), `
      for (let j = 0; j < m; j++) {
        let i = po; ${every("let q# = p#;")}
        for (let k = 0; k < n; k++) { ${every("const l# = x#[q#];")} ${steps.map((step, i) => `const n${i} = ${step};`).join("")} xo[i] = n${steps.length - 1}; i += to; ${every("q# += t#;")} }
        po += so; ${every("p# += s#;")}
      }`))
  }
  return loops.get(key)
}
function stretched(operands) {
  const rank = Math.max(...operands.map(v => v.s.length)), shape = Array(rank).fill(1)
  for (const v of operands) v.s.forEach((size, i) => { if (size !== 1) shape[i + rank - v.s.length] = size })
  return shape
}
function computed(lazy) {
  const out = value(new lazy.type(product(lazy.s)), lazy.s)
  write(lazy, out, 0)
  return out
}
/* Computes an expression into a part of an array that starts at a place of it. */
function write(lazy, out, place) {
  const {s: shape, leaves, tables} = lazy, rank = shape.length
  const strides = [out, ...leaves].map(v => shape.map((_, i) => {
    const at = i - rank + v.s.length
    return at < 0 || shape[i] === 1 || v.s[at] === 1 ? 0 : v.t[at]
  }))
  const axes = []
  for (let i = rank - 1; i >= 0; i--) {
    const last = axes[0]
    if (shape[i] === 1) continue
    if (last && strides.every((t, k) => t[i] === last.t[k] * last.size)) last.size *= shape[i]
    else axes.unshift({size: shape[i], t: strides.map(t => t[i])})
  }
  while (axes.length < 2) axes.unshift({size: 1, t: strides.map(() => 0)})
  const [outer, inner] = axes.slice(-2), others = axes.slice(0, -2), run = loop(lazy), steps = others.map(() => 0)
  const how = [outer.size, inner.size, ...[out, ...leaves].flatMap((v, k) => [v.d, k ? 0 : place, outer.t[k], inner.t[k]]), ...tables]
  const move = (t, times) => { for (let k = 0; k < t.length; k++) how[3 + 4 * k] += t[k] * times }
  for (let left = product(others.map(axis => axis.size)); left > 0; left--) {
    run(...how)
    for (let k = others.length - 1; k >= 0; k--) {
      move(others[k].t, 1)
      if (++steps[k] < others[k].size) break
      move(others[k].t, -others[k].size)
      steps[k] = 0
    }
  }
}

/* An array, packed, along one of its axes: how many elements are before it, in it and after it. */
function along(v, axis) {
  const {d, s} = dense(v)
  axis = axis_of(axis, s.length)
  return {d, s, axis, before: product(s.slice(0, axis)), size: s[axis], after: product(s.slice(axis + 1)), type: d.constructor}
}
const without = ({s, axis}, keep) => s.toSpliced(axis, 1, ...(keep ? [1] : []))
function reduce(v, axes, keep, start, join) {
  const found = along(axes ? v : value(dense(v).d, [product(v.s)]), axes ? axes[0] : 0), {d, before, size, after, type} = found
  const out = new type(before * after), sums = new Float64Array(after)
  for (let i = 0; i < before; i++) {
    sums.fill(start)
    for (let j = 0, at = i * size * after; j < size; j++) for (let k = 0; k < after; k++, at++) sums[k] = join(sums[k], d[at])
    for (let k = 0; k < after; k++) out[i * after + k] = sums[k]
  }
  return value(out, without(found, keep))
}
function concat(values, axis) {
  if (values.length === 1) return values[0]
  const [{s}] = values, type = type_of(values[0]), at = axis_of(axis, s.length), sizes = values.map(v => v.s[at])
  const shape = s.with(at, sizes.reduce((a, b) => a + b)), out = value(new type(product(shape)), shape)
  let place = 0
  values.forEach((v, i) => {
    write(v instanceof Lazy && !v.made ? v : each("a", [v], type), out, place)
    place += sizes[i] * out.t[at]
  })
  return out
}
function gather(v, places, on) {
  if (v.s.length === 1 && ArrayBuffer.isView(v.d)) return each(`g[a < 0 ? a + ${v.s[0]} : a]`, [places], type_of(v), dense(v).d)
  places = dense(places)
  const {d, s, axis, before, size, after, type} = along(v, on), count = places.d.length, out = new type(before * count * after)
  for (let i = 0, at = 0; i < before; i++) for (let j = 0; j < count; j++) {
    const place = places.d[j], from = (i * size + (place < 0 ? place + size : place)) * after
    for (let k = 0; k < after; k++) out[at++] = d[from + k]
  }
  return value(out, s.toSpliced(axis, 1, ...places.s))
}
function gather_nd(v, places, axis) {  /* along the axis behind those of batches, by one place each */
  const {d, before: batch, size, after, type} = along(v, axis)
  places = dense(places)
  const count = places.d.length / batch
  const out = new type(batch * count * after)
  for (let b = 0, at = 0; b < batch; b++) for (let j = 0; j < count; j++) {
    const from = (b * size + places.d[b * count + j]) * after
    for (let k = 0; k < after; k++) out[at++] = d[from + k]
  }
  return value(out, [...places.s.slice(0, -1), ...v.s.slice(axis + 1)])
}
function gather_elements(v, places) {  /* along the last axis */
  v = dense(v)
  const size = v.s.at(-1)
  v.rows ??= value(Int32Array.from({length: v.d.length / size}, (_, i) => i * size), [...v.s.slice(0, -1), 1])
  return each("g[a + b]", [places, v.rows], type_of(v), v.d)
}
function ascending(v, on) {  /* TopK of all, the least first */
  const {d, s, before, size, after, type} = along(v, on), out = new type(d.length), some = new type(size)
  for (let i = 0; i < before; i++) for (let k = 0; k < after; k++) {
    const from = i * size * after + k
    for (let j = 0; j < size; j++) some[j] = d[from + j * after]
    some.sort()
    for (let j = 0; j < size; j++) out[from + j * after] = some[j]
  }
  return value(out, s)
}
function slice(v, start, end, axis) {
  const count = Math.min(end, v.s[axis]) - start
  if (start === 0) return value(v.d, v.s.with(axis, count), v.t)
  return gather(v, value(Int32Array.from({length: count}, (_, i) => start + i), [count]), axis)
}
function matmul(a, b) {
  a = dense(a); b = dense(b)
  const [inner, columns] = b.s, rows = a.d.length / inner, out = new a.d.constructor(rows * columns), sums = new Float64Array(columns)
  for (let i = 0; i < rows; i++) {
    sums.fill(0)
    for (let k = 0; k < inner; k++) {
      const x = a.d[i * inner + k]
      for (let j = 0, at = k * columns; j < columns; j++) sums[j] += x * b.d[at + j]
    }
    out.set(sums, i * columns)
  }
  return value(out, [...a.s.slice(0, -1), columns])
}
function softmax(v) {
  const {d, s, size, type} = along(v, -1), out = new type(d.length), p = new Float64Array(size)
  for (let i = 0; i < d.length; i += size) {
    let most = -Infinity, sum = 0
    for (let k = 0; k < size; k++) most = Math.max(most, d[i + k])
    for (let k = 0; k < size; k++) sum += p[k] = Math.exp(d[i + k] - most)
    for (let k = 0; k < size; k++) out[i + k] = p[k] / sum
  }
  return value(out, s)
}
function arg_max(v, axis, keep) {
  const found = along(v, axis), {d, before, size, after} = found, out = new Int32Array(before * after)
  for (let i = 0; i < before; i++) for (let k = 0; k < after; k++) {
    let best = 0
    for (let j = 1; j < size; j++) if (d[(i * size + j) * after + k] > d[(i * size + best) * after + k]) best = j
    out[i * after + k] = best
  }
  return value(out, without(found, keep))
}
function cum_sum(v, reverse) {  /* over the steps of (batch, time, features) */
  const {d, s, before, size, after, type} = along(v, 1), out = new type(d.length)
  for (let i = 0; i < before; i++) for (let k = 0; k < after; k++) for (let j = 0, sum = 0; j < size; j++) {
    const at = (i * size + (reverse ? size - 1 - j : j)) * after + k
    out[at] = sum += d[at]
  }
  return value(out, s)
}
function pad(v, pads) {  /* zeros behind */
  const shape = v.s.map((size, i) => size + pads[v.s.length + i])
  const axis = shape.findIndex((size, i) => size !== v.s[i])
  if (axis < 0) return v
  const zeros = v.s.with(axis, shape[axis] - v.s[axis])
  return concat([v, value(new v.d.constructor(product(zeros)), zeros)], axis)
}
function reshape(v, wanted) {
  let shape = [...wanted].map((size, i) => size === 0 ? v.s[i] : size)
  const rest = shape.indexOf(-1)
  if (rest >= 0) shape[rest] = product(v.s) / -product(shape)
  const same = shape.findIndex((size, i) => i === shape.length - 1 || size !== v.s[i]), last = v.s.slice(same)
  if (same === shape.length - 1 && is_packed(value(v.d, last, v.t.slice(same)))) return value(v.d, shape, [...v.t.slice(0, same), 1])
  return value(dense(v).d, shape)
}
function unsqueeze(v, axis) {
  axis = axis_of(axis, v.s.length + 1)
  return value(v.d, v.s.toSpliced(axis, 0, 1), v.t.toSpliced(axis, 0, 0))
}
function label_encoder(v, {keys_strings, keys_int64s, values_int64s, default_int64}) {
  const known = new Map((keys_strings || keys_int64s).map((key, i) => [key, values_int64s[i]]))
  return value(Int32Array.from(v.d, key => known.get(key) ?? default_int64), v.s)
}
function runs_counted(v, {pool_int64s: pool, ngram_counts: starts, ngram_indexes: places}) {  /* TfIdfVectorizer */
  v = dense(v)
  const [batch, time] = v.s, known = new Map()
  let run = 0
  starts.forEach((start, i) => {
    for (let at = start; at < (starts[i + 1] ?? pool.length); at += i + 1) known.set(pool.slice(at, at + i + 1).join(), places[run++])
  })
  const out = new Float32Array(batch * places.length)
  for (let b = 0; b < batch; b++) for (let t = 0; t < time; t++) {
    let key = ""
    for (let length = 1; length <= starts.length && t + length <= time; length++) {
      key += (length > 1 ? "," : "") + v.d[b * time + t + length - 1]
      const place = known.get(key)
      if (place !== undefined) out[b * places.length + place]++
    }
  }
  return value(out, [batch, places.length])
}
const patterns = new Map()
function matches(v, pattern) {
  if (!patterns.has(pattern)) patterns.set(pattern, RegExp("^(?:" + pattern.replace("(?s)", "").replaceAll("\\x{", "\\u{") + ")$", "su"))
  const found = new Map(), test = text => {
    if (!found.has(text)) found.set(text, patterns.get(pattern).test(text))
    return found.get(text)
  }
  return value(Uint8Array.from(v.d, test), v.s)
}

const TYPES = {float32: Float32Array, float64: Float64Array, int64: Int32Array, int32: Int32Array, bool: Uint8Array, text: Array}
const pair = expression => ([a, b]) => each(expression, [a, b], type_of(a))
const asks = expression => operands => each(expression, operands, Uint8Array)
const alone = expression => ([a]) => each(expression, [a], type_of(a))
const EXPRESSIONS = {
  Add: pair("a + b"), Sub: pair("a - b"), Mul: pair("a * b"), Pow: pair("a ** b"),
  Div: ([a, b]) => each(type_of(a) === Int32Array ? "Math.trunc(a / b)" : "a / b", [a, b], type_of(a)),
  Max: pair("a > b ? a : b"), Min: pair("a < b ? a : b"),
  Less: asks("a < b"), LessOrEqual: asks("a <= b"), Greater: asks("a > b"), GreaterOrEqual: asks("a >= b"), Equal: asks("a === b"),
  And: asks("a & b"), Or: asks("a | b"), Not: asks("a ? 0 : 1"), IsNaN: asks("a !== a"),
  Log: alone("Math.log(a)"), Exp: alone("Math.exp(a)"), Sqrt: alone("Math.sqrt(a)"), Floor: alone("Math.floor(a)"), Abs: alone("Math.abs(a)"), Relu: alone("a > 0 ? a : 0"),
  Where: ([condition, yes, no]) => each("a ? b : c", [condition, yes, no], type_of(yes)),
  Clip: ([v, low, high]) => each("a < b ? b : a > c ? c : a", [v, low, high], type_of(v)),
  Cast: ([v], {to}) => type_of(v) === TYPES[to] ? v : each(to.startsWith("int") ? "Math.trunc(a)" : "a", [v], TYPES[to]),
  Expand: ([v, shape]) => each("a", [v, value(new Uint8Array(1), [...shape.d], [...shape.d].fill(0))], type_of(v)),
  GatherElements: ([v, places]) => gather_elements(v, places),
}
const OPERATORS = {
  ...EXPRESSIONS,
  Identity: ([v]) => v,
  Shape: ([v], {start = 0, end}) => value(Int32Array.from(v.s.slice(start, end)), [v.s.slice(start, end).length]),
  Range: ([from, to, step]) => {
    const numbers = Int32Array.from({length: Math.max(0, Math.ceil((to.d[0] - from.d[0]) / step.d[0]))}, (_, i) => from.d[0] + i * step.d[0])
    return value(numbers, [numbers.length])
  },
  Unsqueeze: ([v, axes]) => unsqueeze(v, axes.d[0]),
  Squeeze: ([v, axes]) => {
    const axis = axis_of(axes.d[0], v.s.length)
    return value(v.d, v.s.toSpliced(axis, 1), v.t.toSpliced(axis, 1))
  },
  Transpose: ([v], {perm}) => value(v.d, perm.map(i => v.s[i]), perm.map(i => v.t[i])),
  Reshape: ([v, shape]) => reshape(v, shape.d),
  Concat: (values, {axis}) => concat(values, axis),
  Split: ([v], {axis, num_outputs: parts}) => {
    v = dense(v)
    axis = axis_of(axis, v.s.length)
    const size = v.s[axis] / parts
    return Array.from({length: parts}, (_, i) => slice(v, i * size, (i + 1) * size, axis))
  },
  Slice: ([v, starts, ends, axes]) => slice(v, starts.d[0], ends.d[0], axis_of(axes.d[0], v.s.length)),
  Pad: ([v, pads]) => pad(v, pads.d),
  Gather: ([v, places], {axis = 0}) => gather(v, places, axis),
  GatherND: ([v, places], {batch_dims}) => gather_nd(v, places, batch_dims),
  TopK: ([v], {axis}) => ascending(v, axis),
  ReduceSum: ([v, axes], {keepdims = 1}) => reduce(v, axes && axes.d, keepdims, 0, (a, b) => a + b),
  ReduceMax: ([v, axes], {keepdims = 1}) => reduce(v, axes && axes.d, keepdims, -Infinity, Math.max),
  ReduceMin: ([v, axes], {keepdims = 1}) => reduce(v, axes && axes.d, keepdims, Infinity, Math.min),
  CumSum: ([v], {reverse = 0}) => cum_sum(v, reverse),
  ArgMax: ([v], {axis = 0, keepdims = 1}) => arg_max(v, axis, keepdims),
  MatMul: ([a, b]) => matmul(a, b),
  Softmax: ([v]) => softmax(v),
  LabelEncoder: ([v], how) => label_encoder(v, how),
  TfIdfVectorizer: ([v], how) => runs_counted(v, how),
  RegexFullMatch: ([v], {pattern}) => matches(v, pattern),
  Scan: ([state, ...inputs], how, known) => {
    const steps = inputs[0].s[0], reverse = how.scan_input_directions[0], outputs = Array(steps)
    inputs = inputs.map(dense)
    for (let i = 0; i < steps; i++) {
      const at = reverse ? steps - 1 - i : i
      const parts = inputs.map(v => { const size = v.d.length / steps; return value(v.d.subarray(at * size, (at + 1) * size), v.s.slice(1)) })
      const inner = Object.create(known)
      ;[state, ...parts].forEach((v, k) => inner[how.body.inputs[k].name] = v)
      run_nodes(how.body.nodes, inner)
      state = inner[how.body.outputs[0]]
      outputs[at] = unsqueeze(inner[how.body.outputs[1]], 0)
    }
    return [state, concat(outputs, 0)]
  },
}

/* Adds what the nodes give to the values that are known by name, and forgets what no later node reads. */
function run_nodes(nodes, known) {
  for (const {operator, inputs, outputs, attributes, done, most} of nodes) {
    const found = OPERATORS[operator](inputs.map(name => name ? known[name] : undefined), attributes, known)
    if (Array.isArray(found)) found.forEach((v, i) => known[outputs[i]] = v)
    else known[outputs[0]] = found instanceof Lazy && !(found.leaves?.length <= most) ? found.make() : found
    for (const name of done) delete known[name]
  }
}
