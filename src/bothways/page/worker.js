/* Labels tables, in a thread of its own: messages {id, what, ...} in, {id, result} or {id, error} or {progress} out. */
const MOST_FIELDS = 2e6, BATCH_STEPS = 1 << 16
let model, last = null
const progress = text => postMessage({progress: text})

/* The model: a length, so many bytes of JSON, and arrays. */
async function begin(engine, bytes) {
  const size = new DataView(bytes).getUint32(0, true)
  model = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, size)))
  wasm = (await WebAssembly.instantiate(engine)).instance.exports
  const constants = Object.create(null)
  let at = 4 + size
  for (const [name, type, shape] of model.constants) {
    at += -at & 7
    constants[name] = value(new TYPES[type](bytes, at, product(shape)), shape)
    at += constants[name].d.byteLength
  }
  model.constants = constants
  forget(model.graph.nodes, model.graph.outputs)
}
/* Notes for each node the values that no later one reads, and whether several read what it gives. */
function forget(nodes, kept) {
  const needed = new Set(kept), times = new Map(), reads = node => [...node.inputs, ...node.attributes.body?.nodes.flatMap(reads) ?? []]
  for (const name of [...kept, ...nodes.flatMap(reads)]) times.set(name, (times.get(name) ?? 0) + 1)
  for (const node of nodes.toReversed()) {
    node.shared = times.get(node.outputs[0]) > 1
    node.done = [...reads(node), ...node.outputs].filter(name => name && !needed.has(name))
    node.done.forEach(name => needed.add(name))
    for (const inner of node.attributes.body?.nodes ?? []) Object.assign(inner, {done: [], shared: true})
  }
}

/* The codes and probabilities of some sequences, by their numbers: calls use(i, codes, probabilities, classes). */
function label(data, chosen, use) {
  const length = i => data.offsets[i + 1] - data.offsets[i], sorted = chosen.slice().sort((a, b) => length(a) - length(b))
  for (let first = 0, done = 0; first < sorted.length;) {
    let end = first + 1
    while (end < sorted.length && (end + 1 - first) * length(sorted[end]) <= BATCH_STEPS) end++
    const batch = sorted.slice(first, end), time = length(batch[batch.length - 1]), known = Object.create(model.constants)
    const arranged = (column, array) => {
      batch.forEach((i, b) => { for (let t = 0, at = data.offsets[i]; t < length(i); t++) array[b * time + t] = column[data.rows[at + t]] })
      return value(array, [batch.length, time])
    }
    for (const {name, type} of model.graph.inputs) {
      const column = type === "text" ? data.columns[name] : type === "float64" ? data.order : data.numbers[name]
      known[name] = name === "lengths" ? value(Int32Array.from(batch, length), [batch.length])
        : arranged(column, type === "text" ? Array(batch.length * time).fill("") : new TYPES[type](batch.length * time))
    }
    run_nodes(model.graph.nodes, known)
    const codes = dense(known.label), p = dense(known.probabilities), classes = model.classes.length, step = model.card.per === "step"
    batch.forEach((i, b) => {
      const from = step ? b * time : b, to = from + (step ? length(i) : 1)
      const own = p.d.subarray(from * classes, to * classes)
      if (own.some(x => x !== x)) throw Error("The scores overflow: values of the table are too large.")
      use(i, codes.d.subarray(from, to), own)
      done++
    })
    first = end
    progress("Labeling… " + Math.round(100 * done / sorted.length) + " %")
  }
}
const all = data => Array.from({length: data.offsets.length - 1}, (_, i) => i)

const WORK = {
  card: () => model.card,
  async view({file}) {
    last = null
    const data = await read_sequences(file, model.table), {card, table} = model, {features} = table, classes = model.classes.length
    let most = MOST_FIELDS / (features.length + classes), cut = false
    const chosen = all(data).filter(i => { most -= data.offsets[i + 1] - data.offsets[i]; cut ||= most < 0 && i > 0; return !cut })
    const sequences = chosen.map(i => {
      const rows = data.rows.subarray(data.offsets[i], data.offsets[i + 1]), own = (column, change = x => x) => Array.from(rows, row => change(column[row]))
      const inputs = features.map(name => [name, name in data.numbers ? own(data.numbers[name], x => x === x ? x : null) : own(data.columns[name], text => text || null)])
      return {name: data.name_of(i), order: table.order === null ? null : own(data.columns[table.order], String), inputs: Object.fromEntries(inputs)}
    })
    label(data, chosen, (i, codes, p) => {
      sequences[i].codes = [...codes]
      sequences[i].probabilities = Array.from(codes, (_, k) => [...p.subarray(k * classes, (k + 1) * classes)])
    })
    last = {file, data}
    return {sequences, cut, notices: data.notices}
  },
  async table({file, threshold}) {
    const data = last?.data ?? await read_sequences(file, model.table), {card} = model, classes = model.classes.length
    const codes = new Int32Array(data.rows.length), probabilities = new Float32Array(data.rows.length)
    label(data, all(data), (i, found, p) => {
      for (let at = data.offsets[i]; at < data.offsets[i + 1]; at++) {
        const k = card.per === "step" ? at - data.offsets[i] : 0, row = data.rows[at]
        codes[row] = threshold === null ? found[k] : p[k * classes + card.positive] >= threshold ? card.positive : 1 - card.positive
        probabilities[row] = p[k * classes + codes[row]]
      }
    })
    return labeled(file, data.table, model.classes, codes, probabilities)
  },
}
let begun
onmessage = async ({data: {id, what, ...how}}) => {
  try {
    if (what === "begin") begun = begin(how.engine, how.model)
    await begun
    postMessage({id, result: what === "begin" ? model.card.name : await WORK[what](how)})
  } catch (error) { postMessage({id, error: error.message}) }
}
