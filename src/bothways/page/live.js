/* Live: what programs send to the server, which this page may do, too. Of each sequence the last steps are kept. */
const KEPT = 300, MOST_SEQUENCES = 200, SILENT = 10_000
let live = null
function watch(begun) {
  stop()
  const own = live = {open: new Map(), missed: 0, begun}
  own.socket = engine.watch(card.name, lines => { if (live === own) took(lines) },
    why => { if (live === own) stop(why || "The connection has ended.") })
  $("watch").textContent = "Stop"
  look({sequences: [], live: true})
}
function stop(words = "") {
  if (!live) return
  const {socket, stream, timer} = live
  live = null
  clearInterval(timer)
  stream?.close()
  socket.close()
  $("watch").textContent = "Watch"
  $("live-said").textContent = words
}
/* Steps and labels come as {stream, key, step, inputs} and {stream, key, step, code, probability}; {stream, ended: key} when a
   sequence has ended, or with null all of a stream; {missed: n} were too many. */
function took(lines) {
  const now = performance.now()
  for (const line of lines) {
    const id = line.stream + " " + line.key
    if (line.inputs) arrived(id, line, now)
    else if ("code" in line) labelled(live.open.get(id), line)
    else if ("ended" in line) {
      for (const each of [...live.open.keys()]) if (line.ended === null ? each.startsWith(line.stream + " ") : each === line.stream + " " + line.ended) live.open.delete(each)
    }
    live.missed += line.missed ?? 0
  }
  live.begun?.()
  live.begun = null
  live.frame ??= requestAnimationFrame(() => { if (live) { live.frame = null; judge(); tell() } })
}
const step_name = step => card.columns && !card.columns.order ? "step " + step : step
function arrived(id, {stream, key, step, inputs}, now) {
  const sequence = live.open.get(id) ?? begin(id, stream, key, inputs, now)
  if (!sequence) return live.more = true
  if (sequence.order.length === KEPT) for (const each of [sequence.order, sequence.codes, sequence.probabilities, ...sequence.values]) each.shift()
  sequence.order.push(step_name(step))
  sequence.codes.push(-1)
  sequence.probabilities.push(null)
  sequence.values.forEach((each, i) => each.push(inputs[i]))
  sequence.heard = now
}
/* A new sequence, in the place of one that has ended or is silent if there are many; nothing if there is no such place. */
function begin(id, stream, key, inputs, now) {
  const names = card.columns ? features_of(card.columns) : inputs.map((_, i) => "input " + (i + 1))
  const {sequences} = view, goes_on = new Set(live.open.values())
  const free = sequences.length < MOST_SEQUENCES ? sequences.length
    : sequences.findIndex((each, i) => i !== at && (!goes_on.has(each) || now - each.heard > SILENT))
  if (free < 0) return
  for (const [other, each] of live.open) if (each === sequences[free]) live.open.delete(other)
  const name = sequences.some(each => each.name === key && goes_on.has(each)) ? key + " (stream " + stream + ")" : key
  const values = inputs.map(() => [])
  sequences[free] = {name, order: [], values, inputs: Object.fromEntries(values.map((each, i) => [names[i], each])), codes: [], probabilities: []}
  live.open.set(id, sequences[free])
  return sequences[free]
}
function labelled(sequence, {step, code: chosen, probability: p}) {
  const i = sequence ? sequence.order.lastIndexOf(step_name(step)) : -1
  if (i < 0) return
  sequence.codes[i] = chosen
  sequence.probabilities[i] = card.classes.length > 2 ? {[chosen]: p} : chosen ? [1 - p, p] : [p, 1 - p]
  if (card.positive !== null && code(sequence, i) === card.positive) {
    live.alarm = sequence.name + ", " + place(sequence, i) + " (" + percent(sequence.probabilities[i][card.positive]) + ")"
  }
}
function tell() {
  $("live-said").textContent = [view.sequences.length ? "" : "Nothing has come yet.", live.alarm ? "Newest alarm: " + live.alarm + "." : "",
    live.more ? "There are more than " + MOST_SEQUENCES + " sequences; these are the first." : "",
    live.missed ? many(live.missed, "step or label", "steps and labels") + " came too fast to be shown." : ""].join(" ").trim()
}
function play() {
  $("watch").focus()  /* the button that was pressed is hidden now */
  const source = view.sequences[at], {columns} = card
  watch(() => {
    const own = live
    let sent = 0
    own.stream = engine.stream(card.name, $("late").value, lines => {
      const wrong = lines.find(line => line.error)
      if (wrong && live === own) stop(wrong.error)
    }, why => { if (why && live === own) stop(why) })
    own.timer = setInterval(() => {
      const event = {}
      if (columns.sequence) event[columns.sequence] = source.name
      if (columns.order) event[columns.order] = isNaN(source.order[sent]) ? source.order[sent] : +source.order[sent]
      for (const name in source.inputs) event[name] = source.inputs[name][sent]
      own.stream.send(JSON.stringify(event))
      if (++sent < steps_of(source)) return
      clearInterval(own.timer)
      own.stream.send('["flush"]')
    }, 50)
  })
}
const late = () => $("late-value").textContent = many(+$("late").value, "later step")
$("play").onclick = play
$("watch").onclick = () => live ? stop("Stopped.") : watch()
$("back").onclick = () => { stop(); look(table) }
$("late").oninput = late
late()
