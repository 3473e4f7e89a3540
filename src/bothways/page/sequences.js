/* Columns of a table -> sequences, as bothways.data.sequences makes them. */
const WEEK = 7 * 24 * 3600e6, INSTEAD = 'Label such a table with "bothways predict", which reads more.'
/* {numbers, texts, order: arrays by rows, rows: Int32Array, offsets, names, notices} */
async function read_sequences(file, model) {
  const {sequence, joined, order, reading} = model
  const keys = [...(joined.length ? joined : [sequence]), ...model.told.map(part => part.name)]
  const needed = [...new Set([...keys, ...model.features].filter(name => name !== null))]
  const table = await read_table(file, needed, sequence), {columns, notices} = table, place = row => `${file.name}, data row ${row + 1} (the first is 1)`
  const texts = new Set(model.texts.map(each => each.name)), numeric = new Set(model.numbers.map(each => each.name))
  for (const name of needed) if (!numeric.has(name) && columns[name].some(id => typeof id === "number" && Math.abs(id) >= 2 ** 53)) {
    throw Error(`${file.name}: numbers in ${JSON.stringify(name)} have too many digits. ${INSTEAD}`)
  }
  const stood = Object.assign(Object.create(null), columns), absent = new Set([...reading.missing, ...reading.missing.map(plain)])
  if (absent.size) for (const name of needed) columns[name] = columns[name].map(field => absent.has(field) ? null : field)
  if (joined.length) columns[sequence] = columns[joined[0]].map((_, row) => side_by_side(joined.map(name => columns[name][row])))
  const moments = model.told.map(({name, digits, hours}) => hours ? with_colons(columns[name]) : days_of(spelled(columns[name], digits)))
  if (moments.length) columns[order] = moments[0].map((_, row) => moment_text(moments.map(fields => fields[row]), model))
  /* Counted from the first: floats would lose digits. */
  if (order !== null && model.wanted !== "times" && columns[order].every(text => /^\d{16,19}$/.test(text))) columns[order] = columns[order].map((text, _, [first]) => String(BigInt(text) - BigInt(first)))
  const own = [...model.features, ...(joined.length ? [] : [sequence]), order].filter(name => name !== null && !texts.has(name))
  const read = typed(own.reduce((some, name) => { some[name] = columns[name]; return some }, Object.create(null)), reading, numeric)
  for (const name of [sequence, order]) if (name !== null) {
    const values = read[name]?.values, empty = columns[name].findIndex((text, row) => text === null || name === sequence && model.names_things && is_missing(text) || values && Number.isNaN(values[row]))
    if (empty >= 0) throw Error(`${place(empty)}: the column ${JSON.stringify(name)} is empty. ${INSTEAD}`)
  }
  for (const name of new Set(own)) if (name !== sequence) {
    const said = told(read[name], stood[name] ?? columns[name]), {values, note} = read[name]
    if (note && !values) throw Error(`${file.name}: column ${JSON.stringify(name)}: ${note} ${INSTEAD}`)
    if (said) notices.push(`Column ${JSON.stringify(name)}: ${said}${said.endsWith("?") ? "" : "."}`)
  }
  const numbers = Object.create(null)
  for (const {name, filled, flagged} of model.numbers) {
    const {way, values} = read[name], wrong = `the column ${JSON.stringify(name)} must hold numbers`
    if (!NUMERIC.includes(way)) {
      const row = stray(columns[name], [".", ","].map(sign => amounts(columns[name], sign)))
      if (row < 0) throw Error(`${file.name}: ${wrong}; these are ${way === "text" ? "phone numbers or ids" : "times"}, such as ${JSON.stringify(columns[name].find(text => text))}.`)
      throw Error(`${place(row)}: ${wrong}; here stands ${JSON.stringify(columns[name][row])}. ${INSTEAD}`)
    }
    numbers[name] = values
    let gone = 0
    for (let row = 0; row < table.rows; row++) {
      if (!Number.isFinite(Math.fround(values[row])) || absent.has(values[row])) values[row] = NaN
      if (!Number.isNaN(values[row])) continue
      if (!filled) throw Error(`${place(row)}: the column ${JSON.stringify(name)} is empty. The model learned from a table in which it never was; fill it, or remove such rows.`)
      gone++
    }
    if (gone && !flagged) notices.push(`Column ${JSON.stringify(name)}: ${count(gone, "row")} without a finite number, which training never met; filled with the mean of the train part.`)
  }
  for (const each of model.texts) columns[each.name] = texts_of(each, columns[each.name], notices)
  const by = order === null ? null : read[order]?.values, wanted = model.wanted || "numbers or times"
  if (order !== null && !by) {
    const times = [...["abc", "cba", "cab"].map(dates), named, time_of_day], row = stray(columns[order], model.wanted === "times" ? times : model.wanted ? [plain] : [plain, ...times])
    const stands = row < 0 ? "these are written in several ways" : `here stands ${JSON.stringify(columns[order][row])}`
    throw Error(`${row < 0 ? file.name : place(row)}: the column ${JSON.stringify(order)} must hold ${wanted}; ${stands}. ${INSTEAD}`)
  }
  const kind = order === null || NUMERIC.includes(read[order].way) ? "numbers" : "times"
  if (model.wanted && kind !== model.wanted) throw Error(`${file.name}: the order column ${JSON.stringify(order)} is of type ${kind}; the model was trained on ${model.wanted}.`)
  /* As text where numbers would make one id of two: of 1.1 and 1.10, or of too many digits. */
  const names = sequence === null ? null : columns[sequence].map(String), values = names && read[sequence]?.values
  const ids = values && new Set(values).size === new Set(names).size ? values : names
  const grouped = group(file, table.rows, ids, by, order, notices)
  return {...grouped, table, numbers, order: model.wanted === "times" ? since_first(by, grouped, model.clock) : by, columns, notices, name_of: i => names ? names[grouped.rows[grouped.offsets[i]]] : ""}
}
/* The fields of a column as texts, "" where one is missing; notes those that training never saw. */
function texts_of({name, values, spelled}, fields, notices) {
  const known = values && new Set(values), strange = new Map(), texts = fields.map(field => field === null ? "" : String(field))
  for (const text of known ? texts : []) if (text !== "" && !known.has(text)) strange.set(text, (strange.get(text) || 0) + 1)
  const total = [...strange.values()].reduce((a, b) => a + b, 0), more = strange.size > 3 ? ` and ${strange.size - 3} more` : ""
  if (total) notices.push(`Column ${JSON.stringify(name)}: ${count(total, "row")} with values that training never saw (${[...strange.keys()].slice(0, 3).join(", ")}${more}); they are ${spelled ? "known by their spelling" : "read as unknown"}.`)
  return texts
}
/* Fields as one text; null if one of them is empty. */
function side_by_side(fields) {
  return fields.includes(null) ? null : fields.map(field => /,/.test(field) ? `"${field}"` : String(field)).join(",")
}
/* A time in one text: bothways.fields.moments. */
function moment_text(fields, {told, between}) {
  if (fields.length === 1 || fields.includes(null)) return fields.length === 1 ? fields[0] : null
  const texts = fields.map((field, i) => told[i].part ? String(field).padStart(2, "0") : String(field))
  texts[0] = texts[0].replace(/(?:T|,? )(?:00?(?::00){1,2}(?:\.0+)?|12:00(?::00)? ?[Aa]\.?[Mm]\.?)$/, "")
  return texts.map((text, i) => between[i] + (i ? text.replace(/^(\d{1,2})\.(\d{2})\.(\d{2})$/, "$1:$2:$3") : text)).join("") + between.at(-1)
}
/* In seconds since the first step of a sequence, or whole weeks before it: since 1970 they would be too large for microseconds. */
function since_first(times, {rows, offsets}, clock) {
  const out = new Float64Array(times.length)
  for (let i = 0; i + 1 < offsets.length; i++) {
    const first = times[rows[offsets[i]]] - (clock ? times[rows[offsets[i]]] % WEEK : 0)
    for (let at = offsets[i]; at < offsets[i + 1]; at++) out[rows[at]] = (times[rows[at]] - first) / 1e6
  }
  return out
}
function group(file, size, ids, by, order, notices) {
  const rows = Int32Array.from({length: size}, (_, i) => i), same = (a, b) => !ids || ids[a] === ids[b]
  const offsets_of = () => { const out = [0]; for (let i = 1; i < size; i++) if (!same(rows[i], rows[i - 1])) out.push(i); return [...out, size] }
  const compare = (x, y) => x < y ? -1 : x > y ? 1 : 0
  let offsets = offsets_of(), stands = !ids || new Set(offsets.slice(0, -1).map(i => ids[i])).size === offsets.length - 1
  for (let i = 1; by && stands && i < size; i++) stands = !same(i, i - 1) || by[i] >= by[i - 1]
  if (!stands) {
    let falls = !!by, displaced = 0
    rows.sort((a, b) => (ids ? compare(ids[a], ids[b]) : 0) || a - b)
    for (let i = 1; falls && i < size; i++) falls = !same(rows[i], rows[i - 1]) || by[rows[i]] <= by[rows[i - 1]]
    rows.sort((a, b) => (ids ? compare(ids[a], ids[b]) : 0) || (by ? compare(by[a], by[b]) : 0) || (falls ? b - a : a - b))
    offsets = offsets_of()
    for (let i = 1; i < size; i++) displaced += same(rows[i], rows[i - 1]) && rows[i] < rows[i - 1]
    if (by && displaced) notices.push(`${file.name}: the rows are not in the order of ${JSON.stringify(order)} (${displaced.toLocaleString("en")} of ${size.toLocaleString("en")} stand after a later one); they are sorted.`)
  }
  for (let i = 1; i < offsets.length; i++) if (offsets[i] - offsets[i - 1] > MOST_STEPS) {
    throw Error(`${file.name}: a sequence has ${count(offsets[i] - offsets[i - 1], "step")}; this page takes up to ${MOST_STEPS.toLocaleString("en")}. Cut the table into pieces. ${INSTEAD}`)
  }
  return {rows, offsets}
}
