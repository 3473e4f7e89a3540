/* Drawing: one strip for the labels, one for the probability, one for each input. */
const LEFT = 8, RIGHT = 8, HIGH = 64, TALL = 96, MOST = 12
const colour = k => card.positive === null ? `hsl(${(210 + k * 137.5) % 360} 60% 50%)` : k === card.positive ? "var(--alarm)" : "var(--line)"
const scale = (svg, steps) => step => LEFT + step / Math.max(1, steps) * (svg.clientWidth - LEFT - RIGHT)
function node(tag, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag)
  for (const name in attributes) element.setAttribute(name, attributes[name])
  if (text !== undefined) element.textContent = text
  return element
}
function draw(svg, sequence, steps, cursor) {
  const x = scale(svg, steps), parts = [], end = svg.clientWidth - RIGHT
  const per_step = values => card.per === "step" ? values : Array(steps).fill(values[0])
  let y = 4
  const title = (text, marks = []) => {
    const written = node("text", {x: LEFT, y: y + 12}, text)
    for (const [mark, fill] of marks) written.append(node("tspan", {fill}, " ■ "), mark)
    parts.push(written)
    y += 18
  }
  const ground = height => parts.push(node("rect", {x: LEFT, y, width: end - LEFT, height, fill: "var(--box)"}))
  /* A path for each colour; runs that touch on the screen are one. The alarm's is above the others. */
  const areas = (runs, height, colours) => {
    const found = new Map()
    for (const {from, to, code} of runs) {
      const left = x(from), right = Math.max(left + 1, x(to + 1)), own = found.get(code) ?? found.set(code, []).get(code), last = own.at(-1)
      last && left <= last[1] ? last[1] = right : own.push([left, right])
    }
    for (const [code, own] of [...found].sort(([a], [b]) => (a === card.positive) - (b === card.positive)))
      parts.push(node("path", {d: own.map(([left, right]) => `M${left.toFixed(1)} ${y}H${right.toFixed(1)}v${height}H${left.toFixed(1)}`).join(""), fill: colours(code)}))
  }
  const strip = (codes, colours, height) => {
    const runs = []
    codes.forEach((code, i) => code === codes[i - 1] ? runs.at(-1).to = i : runs.push({from: i, to: i, code}))
    areas(runs.filter(run => run.code !== -1), height, colours)
    y += height + 8
  }
  const line = (values, low, high, height, stroke) => {
    const height_of = value => y + height - 3 - (value - low) / (high - low || 1) * (height - 6)
    const bucket = Math.max(1, Math.floor(steps / (end - LEFT))), points = []
    let open = false
    for (let i = 0; i < values.length; i += bucket) {
      const some = values.slice(i, i + bucket).filter(value => value !== null && value !== undefined)
      if (!some.length) { open = false; continue }
      const extremes = bucket > 1 ? [Math.min(...some), Math.max(...some)] : some
      extremes.forEach(value => { points.push((open ? "L" : "M") + x(i + .5).toFixed(1) + " " + height_of(value).toFixed(1)); open = true })
      if (bucket === 1 && (values[i + 1] ?? null) === null && points.at(-1)[0] === "M") points.push("h2")
    }
    parts.push(node("path", {d: points.join(""), fill: "none", stroke, "stroke-width": 1.6, "stroke-linejoin": "round"}))
  }
  title("label"); ground(16); strip(per_step(codes(sequence)), colour, 16)
  if (card.positive !== null) {
    const limit = threshold()
    title("probability of " + card.classes[card.positive])
    ground(TALL)
    if (card.per === "step") areas(spans(sequence), TALL, () => "var(--alarm-back)")
    const mark = y + TALL - 3 - limit * (TALL - 6)
    parts.push(node("line", {x1: LEFT, x2: end, y1: mark, y2: mark, stroke: "var(--soft)", "stroke-dasharray": "4 4"}))
    line(per_step(sequence.probabilities).map(p => p && p[card.positive]), 0, 1, TALL, "var(--alarm)")
    parts.push(node("text", {x: LEFT + 4, y: mark - 4 < y + 14 ? mark + 14 : mark - 4, fill: "var(--soft)"}, "alarm from " + rounded(limit)))
    y += TALL + 8
  }
  const names = Object.keys(sequence.inputs)
  for (const name of names.slice(0, MOST)) {
    const values = sequence.inputs[name], numbers = values.filter(value => typeof value === "number")
    if (numbers.length || !values.some(value => value !== null)) {
      const low = numbers.reduce((a, b) => Math.min(a, b), Infinity), high = numbers.reduce((a, b) => Math.max(a, b), -Infinity)
      title(name + (numbers.length ? ", " + +low.toPrecision(4) + " to " + +high.toPrecision(4) : ", missing"))
      ground(HIGH); line(values, low, high, HIGH, "var(--input)"); y += HIGH + 8
    } else {
      const kinds = [...new Set(values)].filter(value => value !== null)
      const shade = k => `hsl(${(40 + k * 137.5) % 360} 45% 55%)`
      title(name + ":", kinds.slice(0, 6).map((kind, k) => [kind, shade(k)]))
      ground(16); strip(values.map(value => kinds.indexOf(value)), shade, 16)
    }
  }
  if (names.length > MOST) title("and " + many(names.length - MOST, "more input"))
  const from = node("text", {class: "first", x: LEFT, y: y + 12, fill: "var(--soft)"}, place(sequence, 0)), last = steps_of(sequence) - 1
  const to = node("text", {class: "last", x: Math.max(LEFT + 120, x(last + 1)), y: y + 12, fill: "var(--soft)", "text-anchor": "end"}, last > 0 ? place(sequence, last).split(/[ T]/).pop() : "")
  parts.push(from, to)
  parts.push(node("line", {class: "cursor", x1: x(cursor + .5), x2: x(cursor + .5), y1: 4, y2: y, stroke: "var(--text)", "stroke-width": 1}))
  svg.replaceChildren(...parts.sort((a, b) => (a.tagName === "text") - (b.tagName === "text")))  /* text above lines */
  for (const text of svg.children)  /* no kind of which half would be cut off */
    while (text.childElementCount && text.getComputedTextLength() > end - LEFT) { text.lastChild.remove(); text.lastChild.remove() }
  const narrow = from.getComputedTextLength() + to.getComputedTextLength() + 2 * LEFT > to.getAttribute("x") - LEFT
  if (narrow) to.setAttribute("y", y + 28)
  svg.setAttribute("height", y + (narrow ? 36 : 20))
  svg.setAttribute("aria-label", sequence.name + ": " + many(steps_of(sequence), "step") + (card.positive === null ? "" : ", " + many(alarms(sequence), "alarm")))
}
