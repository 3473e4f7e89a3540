"use strict"
/* The page. Another script (server.js, or engine.js in a page that needs no server) says what labels tables, `engine`; draw.js
   draws a sequence; live.js watches what comes. */
const $ = id => document.getElementById(id)
const MOST_LISTED = 12  /* of more labels, only those that occur are listed */
let card, file, view, table = null, shown = [], at = 0

function say(text, wrong = false) { $("said").textContent = text; $("said").className = wrong ? "wrong" : "" }
async function trying(work, words) {
  say(words || "")
  try { await work(); if (words && $("said").textContent === words) say("") } catch (error) {
    if (error.status !== 401) return say(error.message, true)
    $("lock").hidden = false; $("main").hidden = $("results").hidden = true; $("key").focus()
    say(engine.key ? "The server does not take this key." : "", true)
  }
}
const many = (n, one, more) => n.toLocaleString("en") + " " + (n === 1 ? one : more || one + "s")
const percent = p => (100 * p).toFixed(p > 0 && p < .0995 ? 1 : 0) + " %"
let limit = 0.5  /* as the model keeps it, until somebody moves the slider, which has thousandths */
const threshold = () => card.positive === null ? null : limit
const rounded = p => p && p < .001 ? p.toPrecision(2) : p.toFixed(3)
function code(sequence, i) {
  if (card.positive === null) return sequence.codes[i] ?? -1
  const p = sequence.probabilities[i]
  return !p ? -1 : p[card.positive] >= threshold() ? card.positive : 1 - card.positive
}
const codes = sequence => sequence.probabilities.map((_, i) => code(sequence, i))
const alarms = sequence => codes(sequence).filter(k => k === card.positive).length

async function start() {
  const names = await engine.models()
  $("lock").hidden = true; $("main").hidden = false
  $("model").replaceChildren(...names.map(name => new Option(name, name)))
  $("choice").hidden = names.length < 2
  if (!names.length) return say("There is no model on this server yet.", true)
  await describe()
}
const features_of = columns => [...columns.numbers, ...columns.categories]
async function describe() {
  card = await engine.card($("model").value)
  document.title = card.name + " · bothways"
  const {columns} = card, list = card.classes.join(", "), long = card.classes.length > MOST_LISTED
  $("labels").hidden = !long
  $("labels").querySelector("summary").textContent = "The " + card.classes.length + " labels"
  $("labels").querySelector("p").textContent = list
  const what = card.per === "step" ? "each step of a sequence" : "each sequence as a whole"
  $("does").textContent = card.name + " gives " + what + " one of " + many(card.classes.length, "label") + (long ? "." : ": " + list + ".") +
    (columns ? " It looks at " + features_of(columns).join(", ") + "." : "")
  $("needs").textContent = !columns ? "" : "It needs the columns " +
    [columns.sequence, columns.order, ...features_of(columns)].filter(name => name).join(", ") + "."
  $("card").replaceChildren(...Object.entries(card.summary).flatMap(([name, text]) => [made("dt", name), made("dd", text)]))
  $("tables").hidden = !columns
  $("results").hidden = true
  say(columns ? "" : "This model learned from bare numbers, not from a table, so only programs can use it.")
  $("slide").hidden = $("few").hidden = card.positive === null
  if (card.positive !== null) {
    $("slide-name").textContent = "Raise an alarm for “" + card.classes[card.positive] + "” from a probability of"
    $("threshold").value = limit = card.threshold
  }
  $("live-part").hidden = card.per !== "step" || !engine.watch
}
function made(tag, text) { const element = document.createElement(tag); element.textContent = text; return element }

async function open(chosen) {
  if (!chosen) return
  await ready
  file = chosen
  stop()
  $("results").hidden = true
  table = await engine.view(card.name, file)
  look(table)
  say([table.cut ? "The table is large: only its first " + many(table.sequences.length, "sequence") + " are shown; the download has all." : "",
    ...table.notices].join(" "))
  $("results").scrollIntoView({behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth"})
}

/* Shows the sequences of a table, or those that are live. */
function look(now) {
  view = now
  $("what").textContent = view.live ? "What flows now" : "What it says"
  $("saving").hidden = view.live
  $("back").hidden = !view.live || !table
  $("there").setAttribute("aria-live", view.live ? "off" : "polite")
  go(0)
  if (!view.live) $("what").focus({preventScroll: true})  /* from where a screen reader reads on */
}

/* The threshold decides anew: counts, the list of sequences, the drawing. */
function judge() {
  $("results").hidden = !view.sequences.length
  $("value").textContent = card.positive === null ? "" : rounded(threshold())
  const found = view.sequences.map(alarms), things = card.per
  const labels = view.sequences.reduce((sum, each) => sum + each.probabilities.filter(p => p).length, 0)
  let words = many(view.sequences.length, "sequence")
  if (things === "step") words += ", " + many(labels, "step")
  if (card.positive !== null) {
    const raised = found.reduce((sum, n) => sum + n, 0), touched = found.filter(n => n).length
    words += ". Alarms: " + many(raised, things) + " (" + percent(labels ? raised / labels : 0) + ")"
    if (things === "step") words += ", in " + many(touched, "sequence")
  } else {
    const counts = card.classes.map(() => 0)
    view.sequences.forEach(each => each.codes.forEach(k => { if (k >= 0) counts[k]++ }))
    words += ". " + listed(k => counts[k]).map(k => card.classes[k] + ": " + counts[k].toLocaleString("en")).join(", ")
  }
  $("counts").textContent = words + "."
  shown = [...view.sequences.keys()].filter(i => !$("only").checked || card.positive === null || found[i])
  if (!shown.includes(at)) at = shown[0] ?? 0
  choices($("sequence"), shown.map(i => {
    const each = view.sequences[i], steps = steps_of(each)
    return [i, each.name + ": " + (found[i] ? many(found[i], "alarm") + " in " : "") + many(steps, "step")]
  }))
  $("before").disabled = shown.indexOf(at) <= 0
  $("after").disabled = shown.indexOf(at) >= shown.length - 1
  show()
}
/* The codes of the labels that are listed: all if they are few, else those that occur. */
const listed = occurs => [...card.classes.keys()].filter(k => card.classes.length <= MOST_LISTED || occurs(k))
/* Changes a list in place: one that is open stays so. */
function choices(select, entries) {
  entries.forEach(([value, text], i) => {
    const option = select.options[i] ?? select.appendChild(new Option())
    option.value = value
    if (option.textContent !== text) option.textContent = text
  })
  select.length = entries.length
  select.value = at
}
const steps_of = sequence => sequence.order ? sequence.order.length : Math.max(...Object.values(sequence.inputs).map(values => values.length), 0)
const wide = sequence => view.live ? Math.max(60, steps_of(sequence)) : steps_of(sequence)  /* how many steps the drawing has room for */
const place = (sequence, step) => sequence.order ? sequence.order[step].replace(/[.]0+$/, "") : "step " + (step + 1)

function show() {
  const sequence = view.sequences[at], none = !shown.length
  $("drawing").hidden = none
  $("alarms").hidden = none || card.positive === null || card.per !== "step"
  $("replay").hidden = none || view.live || $("live-part").hidden
  if (none) return $("legend").textContent = "No sequence has an alarm."
  const newest = view.live && +$("step").value >= +$("step").max
  $("step").max = Math.max(0, steps_of(sequence) - 1)
  if (newest) $("step").value = $("step").max
  const text = words(sequence), there = new Set(codes(sequence).map(text ? kin : k => k))
  $("words").hidden = !text
  $("chart").toggleAttribute("hidden", !!text)
  if (text) write($("words"), sequence, text)
  else draw($("chart"), sequence, wide(sequence), +$("step").value)
  $("legend").replaceChildren(...(text ? [...there].filter(marked) : listed(k => there.has(k))).map(k => {
    const entry = document.createElement("span"), spot = document.createElement("i")
    spot.style.background = colour(k)
    entry.append(spot, text ? bare(k) : card.classes[k])
    return entry
  }))
  const runs = spans(sequence)
  $("alarms").querySelector("tbody").replaceChildren(...runs.slice(0, 500).map(run => {
    const row = document.createElement("tr")
    row.append(made("td", place(sequence, run.from)), made("td", place(sequence, run.to)), made("td", run.to - run.from + 1), made("td", percent(run.most)))
    return row
  }))
  point()
}
/* Words are shown as the text that they are, each on the colour of its label; the parts of an entity share one. */
const MOST_WORDS = 2000
function words(sequence) {
  const values = sequence.inputs[card.columns?.words]
  return values && card.per === "step" && card.positive === null && values.length <= MOST_WORDS ? values : null
}
const bare = k => card.classes[k].replace(/^[BIESLU]-/, "")
const kin = k => k < 0 ? k : card.classes.findIndex((_, other) => bare(other) === bare(k))
const marked = k => k >= 0 && card.classes[k] !== "O"
function write(line, sequence, text) {
  const found = codes(sequence)
  line.replaceChildren(...text.flatMap((word, i) => {
    const shown = made("span", word ?? "–"), k = kin(found[i] ?? -1)
    if (marked(k)) {
      shown.style.background = `color-mix(in srgb, ${colour(k)} 22%, transparent)`
      shown.style.borderColor = colour(k)
      shown.title = card.classes[found[i]]
    }
    shown.onclick = () => { $("step").value = i; point() }
    return [shown, " "]
  }))
}
const short = value => typeof value === "number" && !Number.isInteger(value) ? +value.toPrecision(6) : value
function point() {
  const sequence = view.sequences[at], step = +$("step").value
  if (!sequence) return
  const label = card.per === "step" ? step : 0, p = sequence.probabilities[label], chosen = code(sequence, label)
  const inputs = Object.entries(sequence.inputs).map(([name, values]) => name + " " + (short(values[step]) ?? "missing"))
  const said = p ? card.classes[chosen] + " (" + percent(p[chosen]) + ")" : "no label yet"
  $("there").textContent = place(sequence, step) + ": " + said + ". " + inputs.join(", ") + "."
  $("words").querySelectorAll("span").forEach((word, i) => word.classList.toggle("here", i === step))
  const cursor = $("chart").querySelector(".cursor")
  if (cursor) { const x = scale($("chart"), wide(sequence))(step + .5); cursor.setAttribute("x1", x); cursor.setAttribute("x2", x) }
}
function spans(sequence) {
  const runs = []
  sequence.probabilities.forEach((p, i) => {
    if (code(sequence, i) !== card.positive) return
    const last = runs.at(-1)
    if (last && last.to === i - 1) { last.to = i; last.most = Math.max(last.most, p[card.positive]) }
    else runs.push({from: i, to: i, most: p[card.positive]})
  })
  return runs
}

$("lock").onsubmit = event => { event.preventDefault(); engine.key = $("key").value; ready = trying(start) }
$("model").onchange = () => { stop(); table = null; ready = trying(describe) }
$("file").onchange = () => { trying(() => open($("file").files[0]), "Reading the table…").then(() => $("file").value = "") }
for (const kind of ["dragover", "dragleave", "drop"]) $("drop").addEventListener(kind, event => {
  event.preventDefault()
  $("drop").classList.toggle("over", kind === "dragover")
  if (kind === "drop") trying(() => open(event.dataTransfer.files[0]), "Reading the table…")
})
$("threshold").oninput = () => { limit = +$("threshold").value; judge() }
$("only").onchange = judge
/* Shows a sequence, with the cursor at its first step, or at the newest one. */
const go = to => { at = to; $("step").value = view.live ? $("step").max : 0; judge() }
$("sequence").onchange = () => go(+$("sequence").value)
$("before").onclick = () => go(shown[shown.indexOf(at) - 1])
$("after").onclick = () => go(shown[shown.indexOf(at) + 1])
$("step").oninput = point
$("chart").onpointermove = $("chart").onpointerdown = event => {
  const box = $("chart").getBoundingClientRect(), steps = wide(view.sequences[at])
  $("step").value = Math.floor((event.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT) * steps)
  point()
}
$("save").onclick = () => trying(async () => {
  const link = document.createElement("a")
  link.href = URL.createObjectURL(await engine.table(card.name, file, threshold()))
  link.download = file.name.replace(/\.gz$/i, "").replace(/(\.[^.]*)$/, " labeled$1")
  link.click()
  URL.revokeObjectURL(link.href)
  say("")
}, "Labeling…")
let width = innerWidth
addEventListener("resize", () => { if ($("chart").clientWidth && innerWidth !== width) { width = innerWidth; show() } })
let ready = Promise.resolve().then(() => {  /* when the scripts behind this one have been read */
  $("file").accept = engine.accept
  for (const name of ["formats", "keeps"]) $(name).textContent = engine[name]
  $("programs").hidden = !engine.programs
  return trying(start)
})
