/* Labels tables: messages {id, what, ...} in, {id, result} or {id, error} or {progress} out, as thread.js has them. One thread
   reads tables and lets others run the graph; all are this script. */
const MOST_FIELDS = 2e6, BATCH_STEPS = 1 << 14, MOST_THREADS = 8
let model, threads, last = null
const progress = text => postMessage({progress: text})

/* Makes a thread ready to run the graph. Weights are arrays: of all numbers the first byte, of all the second one, and so on. */
async function open_graph(engine, described, weights) {
  const constants = Object.create(null), bytes = new Uint8Array(weights)
  wasm = (await WebAssembly.instantiate(engine)).instance.exports
  let at = 0
  for (const [name, type, shape] of described.constants) {
    const array = new TYPES[type](product(shape)), own = new Uint8Array(array.buffer), size = array.BYTES_PER_ELEMENT
    for (let part = 0; part < size; part++) for (let i = part; i < own.length; i += size) own[i] = bytes[at++]
    constants[name] = value(array, shape)
  }
  forget(described.graph, constants)
  model = {...described, constants}
}
/* Notes for each node the values that no later one reads, and of how many arrays at most what it gives stays an expression:
   of few where it is read more than once, and of none where it becomes a part of several other values. */
const FEW = 4
function forget({nodes, outputs}, constants) {
  const needed = new Set(outputs), times = new Map(), parts = new Map(), reads = node => [...node.inputs, ...node.attributes.body?.nodes.flatMap(reads) ?? []]
  const read = (name, whole) => {
    times.set(name, (times.get(name) ?? 0) + 1)
    parts.set(name, (parts.get(name) ?? new Set()).add(whole))
  }
  for (const name of outputs) read(name, name)
  for (const node of nodes.toReversed()) {
    const [name] = node.outputs, wholes = [...parts.get(name) ?? []]
    const lazy = node.operator in EXPRESSIONS || node.operator === "Gather" && constants[node.inputs[0]]?.s.length === 1
    node.most = wholes.length > 1 ? -1 : times.get(name) > 1 ? FEW : Infinity
    for (const input of reads(node)) read(input, lazy ? wholes.length > 1 ? name : wholes[0] : {})
    node.done = [...reads(node), ...node.outputs].filter(name => name && !needed.has(name))
    node.done.forEach(name => needed.add(name))
    for (const inner of node.attributes.body?.nodes ?? []) Object.assign(inner, {done: [], most: -1})
  }
}

const length_of = ({offsets}, i) => offsets[i + 1] - offsets[i]
/* The codes and probabilities of some sequences, by their numbers: calls use(i, codes, probabilities). */
async function label(data, chosen, use) {
  const length = i => length_of(data, i), sorted = chosen.slice().sort((a, b) => length(a) - length(b)), batches = []
  for (let first = 0, end; first < sorted.length; first = end) {
    for (end = first + 1; end < sorted.length && (end + 1 - first) * length(sorted[end]) <= BATCH_STEPS; end++) ;
    batches.push(sorted.slice(first, end))
  }
  const classes = model.classes.length, step = model.card.per === "step"
  let done = 0
  const work = async thread => {
    for (let batch; batch = batches.pop();) {
      const time = length(batch.at(-1)), {codes, p} = await thread.ask("run", {inputs: inputs_of(data, batch, time)})
      batch.forEach((i, b) => {
        const from = step ? b * time : b, to = from + (step ? length(i) : 1), own = p.subarray(from * classes, to * classes)
        if (own.some(x => x !== x)) throw Error("The outputs overflow: values of the table are too large.")
        use(i, codes.subarray(from, to), own)
      })
      done += batch.length
      progress("Labeling… " + Math.round(100 * done / sorted.length) + " %")
    }
  }
  try { await Promise.all(threads.map(work)) } finally { batches.length = 0 }
}
/* What the graph reads of a batch, by names: [array, shape]. */
function inputs_of(data, batch, time) {
  const lengths = Int32Array.from(batch, i => length_of(data, i))
  const arranged = (column, array) => {
    batch.forEach((i, b) => { for (let t = 0, at = data.offsets[i]; t < lengths[b]; t++) array[b * time + t] = column[data.rows[at + t]] })
    return [array, [batch.length, time]]
  }
  return Object.fromEntries(model.graph.inputs.map(({name, type}) => {
    if (name === "lengths") return [name, [lengths, [batch.length]]]
    const column = name in data.numbers ? data.numbers[name] : type === "text" ? data.columns[name] : data.order
    return [name, arranged(column, type === "text" ? Array(batch.length * time).fill("") : new TYPES[type](batch.length * time))]
  }))
}
/* Made-up sequences to warm up on: what runs often, browsers compile, and so they have done it before a table comes. */
function some_inputs(sequences, time) {
  const rows = Int32Array.from({length: sequences * time}, (_, i) => i), nothing = Array(rows.length).fill("")
  const columns = Object.fromEntries(model.table.texts.map(({name}) => [name, nothing]))
  const data = {rows, order: rows, numbers: {}, columns, offsets: Array.from({length: sequences + 1}, (_, i) => i * time)}
  return inputs_of(data, [...Array(sequences).keys()], time)
}
const all = data => Array.from({length: data.offsets.length - 1}, (_, i) => i)

const WORK = {
  async begin({engine, described, weights, code}) {
    model = JSON.parse(new TextDecoder().decode(described))
    threads = Array.from({length: Math.min(MOST_THREADS, navigator.hardwareConcurrency)}, () => new Thread(code))
    await Promise.all(threads.map(thread => thread.ask("open", {engine, described: model, weights})))
    for (const thread of threads) thread.ask("warm_up")
    return model.card.name
  },
  open: ({engine, described, weights}) => open_graph(engine, described, weights),
  warm_up() { for (const end = performance.now() + 300; performance.now() < end;) WORK.run({inputs: some_inputs(8, 64)}) },
  run({inputs}) {
    const known = Object.create(model.constants)
    for (const name in inputs) known[name] = value(...inputs[name])
    run_nodes(model.graph.nodes, known)
    return {codes: dense(known.label).d, p: dense(known.probabilities).d}
  },
  card: () => model.card,
  async view({file}) {
    last = null
    const data = await read_sequences(file, model.table), {card, table} = model, {features} = table, classes = model.classes.length
    let most = MOST_FIELDS / (features.length + classes), cut = false
    const chosen = all(data).filter(i => { most -= length_of(data, i); cut ||= most < 0 && i > 0; return !cut })
    const sequences = chosen.map(i => {
      const rows = data.rows.subarray(data.offsets[i], data.offsets[i + 1]), own = (column, change = x => x) => Array.from(rows, row => change(column[row]))
      const inputs = features.map(name => [name, name in data.numbers ? own(data.numbers[name], x => x === x ? x : null) : own(data.columns[name], text => text || null)])
      return {name: data.name_of(i), order: table.order === null ? null : own(data.columns[table.order], String), inputs: Object.fromEntries(inputs)}
    })
    await label(data, chosen, (i, codes, p) => {
      sequences[i].codes = [...codes]
      sequences[i].probabilities = Array.from(codes, (_, k) => [...p.subarray(k * classes, (k + 1) * classes)])
    })
    last = data
    return {sequences, cut, notices: data.notices}
  },
  async table({file, threshold}) {
    const data = last ?? await read_sequences(file, model.table), {card} = model, classes = model.classes.length
    const codes = new Int32Array(data.rows.length), probabilities = new Float32Array(data.rows.length)
    await label(data, all(data), (i, found, p) => {
      for (let at = data.offsets[i]; at < data.offsets[i + 1]; at++) {
        const k = card.per === "step" ? at - data.offsets[i] : 0, row = data.rows[at]
        codes[row] = threshold === null ? found[k] : p[k * classes + card.positive] >= threshold ? card.positive : 1 - card.positive
        probabilities[row] = p[k * classes + codes[row]]
      }
    })
    return labeled(file, data.table, model.table.reading, model.classes, codes, probabilities)
  },
}
let before = Promise.resolve()  /* one after the other */
onmessage = ({data: {id, what, ...how}}) => {
  before = before.then(async () => {
    try { postMessage({id, result: await WORK[what](how)}) } catch (error) { postMessage({id, error: error.message}) }
  })
}
