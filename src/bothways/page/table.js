/* A table in a file -> columns, as bothways.data reads it; and the same file with labels. Only columns that the
   model needs are kept; the file is read in pieces, and once more to be written. */
const MOST_BYTES = 200e6, MOST_STEPS = 1e6, SEPARATORS = ",;\t|", HEAD_LINES = 21, MOST_COMMENTS = 100, MOST_ALIKE = 0.8
const BLOCK = "block", MOST_IN_ONE = 1000, LOG_HEADER = /^#fields\t/
const megabytes = bytes => Math.round(bytes / 1e6) + " MB"
const count = (n, one) => n.toLocaleString("en") + " " + one + (n === 1 ? "" : "s")

/* What is in a file, decompressed. */
function contents(file) {
  if (!file.name.toLowerCase().endsWith(".gz")) return file.stream().getReader()
  const reader = file.stream().pipeThrough(new DecompressionStream("gzip")).getReader()
  return {read: () => reader.read().catch(() => { throw Error(`${file.name}: this is no gzip file, or it is damaged, cut short or in several parts. ${INSTEAD}`) })}
}
const beginning = async file => (await contents(file).read()).value ?? []
async function* pieces(file, encoding) {
  const reader = contents(file), decoder = new TextDecoder(encoding, {fatal: true})
  for (let bytes = 0, told = 0; ;) {
    const {value: some, done} = await reader.read()
    if (done) break
    bytes += some.length
    if (bytes > MOST_BYTES) throw too_large(file)
    const text = decoder.decode(some, {stream: true})
    if (text.includes("\0")) throw Error(file.name + ": this file holds bytes that are no text.")
    if (bytes > told + 1e7) { told = bytes; progress("Reading the table… " + megabytes(bytes)) }
    yield text
  }
  yield decoder.decode()
}
const too_large = file => Error(`${file.name} is larger than ${megabytes(MOST_BYTES)}, the most that this page reads. Cut it into several files. ${INSTEAD}`)

const times_in = (line, sign) => { let n = 0; for (let at = line.indexOf(sign); at >= 0; at = line.indexOf(sign, at + 1)) n++; return n }
const odd = line => times_in(line, '"') % 2
/* Calls use(lines) with records as they come, until that gives false. Where `quoted`, a record goes on where a quote is open; of a `log` of
   Zeek there are the rows and the header. Lines end as most do in the first piece: notes in `form` whether in CR alone. */
async function records(file, form, use) {
  let rest = "", held = null
  const {quoted, log} = form, take = lines => {
    const out = []
    if (log) lines = lines.filter(line => line[0] !== "#" || LOG_HEADER.test(line)).map(line => line.replace(LOG_HEADER, ""))
    for (const line of lines) {
      if (held !== null) { held += "\n" + line; if (odd(line)) { out.push(held); held = null } }
      else if (quoted && odd(line)) held = line
      else out.push(line)
    }
    return out.length && use(out)
  }
  for await (const text of pieces(file, form.encoding)) {
    form.returns ??= times_in(text, "\r") > 2 * times_in(text, "\n")
    const lines = (rest + text).split(form.returns ? "\r" : "\n")
    rest = lines.pop()
    if (take(lines) === false) return
  }
  if (rest) take([rest])
  if (held !== null) throw Error(file.name + ": a quote is not closed.")
}
/* How a file of fields is read: {encoding, log, quoted}. Quotes are characters as any other if lines with an odd number of them have as many
   tabs as most have. */
async function form_of(file, encoding) {
  let log, tabs, letters = false, fit = true
  await records(file, {encoding}, lines => {
    if (tabs === undefined) {
      const first = lines.filter(line => line.trim())
      log = first.slice(0, MOST_COMMENTS).some(line => LOG_HEADER.test(line))
      tabs = mode(first.slice(log ? 0 : comments_of(first)).slice(0, MOST_COMMENTS).map(line => times_in(line, "\t")))
    }
    for (const line of tabs ? lines : []) if (odd(line) && !(log && line[0] === "#")) {
      letters = true
      fit &&= times_in(line, "\t") === tabs
    }
    return tabs > 0 && fit
  })
  return {encoding, log, quoted: !letters || !fit}
}
const BETWEEN_BLANKS = /"(?:[^"]|"")*"(?!\S)|\S+/g
function fields_of(record, separator, quoted) {
  if (record.endsWith("\r")) record = record.replace(/\r+$/, "")
  if (separator === " ") return (record.match(BETWEEN_BLANKS) ?? [""]).map(field => field[0] === '"' ? field.slice(1, -1).replaceAll('""', '"') : field)
  if (!quoted || !record.includes('"')) return record.split(separator)
  const fields = []
  for (let at = 0; ;) {
    let end
    if (record[at] === '"') {
      for (end = record.indexOf('"', at + 1); end > 0 && record[end + 1] === '"'; end = record.indexOf('"', end + 2)) ;
      fields.push(record.slice(at + 1, end++).replaceAll('""', '"'))
      if (!end || end < record.length && record[end] !== separator) throw Error(`The line ${JSON.stringify(record.slice(0, 60))} has a quote within a field. ${INSTEAD}`)
    } else {
      end = record.indexOf(separator, at)
      if (end < 0) end = record.length
      fields.push(record.slice(at, end))
    }
    if (end >= record.length) return fields
    at = end + 1
  }
}
/* The separator with which most of the first lines have as many fields as the header; of several the one with most fields. */
function separator_of(lines, quoted) {
  const shape = separator => {
    const [header, ...rows] = lines.map(line => { try { return fields_of(line, separator, quoted).length } catch { return 0 } })
    const full = lines.slice(1).map((line, i) => line.trim() ? rows[i] : 0).filter(n => n)
    const share = full.filter(n => n === header).length / Math.max(full.length, 1)
    return [full.length && header > 1 ? share : 0, share, header]
  }
  const shapes = [...SEPARATORS].map(separator => [separator, ...shape(separator)])
  return shapes.reduce((best, each) => {
    for (let i = 1; i < 4; i++) if (each[i] !== best[i]) return each[i] > best[i] ? each : best
    return best
  })[0]
}

/* How many lines that begin with "#" stand before the header, which may begin so itself; and one that names the separator, for Excel. */
function comments_of(lines) {
  const told = /^"?sep=[,;|\t]"?\s*$/i.test(lines[0]) ? 1 : 0
  const first = Math.max(lines.findIndex((line, i) => i >= told && line[0] !== "#"), told), [last, after] = lines.slice(first - 1)
  const fits = separator => last.includes(separator) && last.split(separator).length === after.split(separator).length
  return first > told && [...SEPARATORS].some(fits) ? first - 1 : first
}
/* How many lines of a title stand before the header: with half as many fields as most lines, or fewer, or a number; before the first line of
   which most fields are filled, those that are empty do not count. The header is the first line of as many fields as most; it
   holds no number. By the separator with which most lines are alike after it. */
function title_of(lines, quoted) {
  let title = Math.max(lines.findIndex(line => line.trim()), 0), alike = 0
  for (const separator of SEPARATORS) {
    let rows
    try { rows = lines.map(line => line.trim() ? fields_of(line, separator, quoted) : []) } catch { continue }
    const filled = rows.map(row => row.filter(field => field).length), first = rows.findIndex((row, i) => 2 * filled[i] > row.length)
    const counts = rows.map((row, i) => i < first || first < 0 ? filled[i] : row.length), later = counts.slice(Math.floor(counts.length / 2)).filter(n => n)
    const times = n => later.filter(each => each === n).length
    const most = later.reduce((best, n) => times(n) > times(best) ? n : best, later[0] ?? 0), start = most > 1 ? counts.indexOf(most) : 0
    const table = counts.slice(start).filter(n => n), share = table.filter(n => n === most).length / table.length
    if (most < 2 || share < MOST_ALIKE || share < alike || (share === alike && start >= title)) continue
    const no_numbers = row => row.every(field => isNaN(plain(field.trim()))), short = (row, i) => 2 * counts[i] <= most || !no_numbers(row)
    if (!start || most > 2 && rows.slice(0, start).every(short) && no_numbers(rows[start])) [title, alike] = [start, share]
  }
  return title
}
/* Whether the first row below the names holds units: no number where the other rows have nothing else, and text at one such place
   at least; elsewhere nothing, or text without digits that none of them has. bothways.tables.headers */
const NUMBER = /^[-+(]*[$€£¥]?[-+]?\s*[.,]?\d[\d.,'\u2019 \u00a0\u202f]*(?:[eE][-+]?\d+)?\s*[%$€£¥)]*$/
function are_units([first, ...others]) {
  if (!first?.some(field => field) || others.length < 3) return false
  let shown = 0
  for (const [at, text] of first.entries()) {
    const field = text.trim(), known = text => text && !MISSING.has(text.toLowerCase())
    const below = others.map(row => (row[at] ?? "").trim()).filter(known)
    if (below.length && below.every(text => NUMBER.test(text))) {
      if (NUMBER.test(field)) return false
      shown += known(field) ? 1 : 0
    } else if (below.includes(field) || /\d/.test(field)) return false
  }
  return shown > 0
}
/* The names, those that come again with a number. */
function told_apart(names) {
  const found = []
  for (const [at, name] of names.entries()) {
    let number = 1, free = name
    while (number > 1 ? names.includes(free) || found.includes(free) : names.indexOf(name) < at) free = `${name}_${++number}`
    found.push(free)
  }
  return found
}
/* What the last row is: a total, whose first field says so and not that of the row before, where at least half of the other fields
   are empty that are not in the row before, or the next one is, and those that are not empty hold numbers; or the number of rows
   alone. "" if neither. */
const TOTALS = new Set(("total totals sum sums subtotal summe summen gesamt gesamtsumme insgesamt endsumme zwischensumme ergebnis gesamtergebnis somme " +
  "totaux totale totali suma sous-total").split(" ").concat("grand total"))
const COUNT = /^\(?\d+ (?:rows?|records?)\b.*$/
function what_ends(last, before) {
  const field = (row, at) => (row[at] ?? "").trim(), word = row => field(row, at).replace(/[: ]+$/, "").toLowerCase()
  const at = last.findIndex(text => text.trim()), filled = before.map((_, i) => i).filter(i => i !== at && field(before, i))
  const gone = filled.filter(i => !field(last, i)).length
  const sums = !field(last, filled[0]) && filled.every(i => !field(last, i) || NUMBER.test(field(last, i)))
  if (TOTALS.has(word(last)) && !TOTALS.has(word(before)) && gone > 0 && (sums || 2 * gone >= filled.length)) return "is a total"
  return COUNT.test(word(last)) && gone > 0 && gone === filled.length && !at ? "counts the rows" : ""
}
/* How many of the last rows are notes: a few words in the first field each, and nothing else, below a blank row or a note that begins as such.
   bothways.tables.headers */
const NOTE = /^(?:sources?|notes?|applied filters|quellen?|hinweise?|anmerkung(?:en)?|fuentes?|notas?) ?:/i, SENTENCE = /\p{L}{2}[^]*[\s:]/u
const MOST_NOTES = 10
function notes_in(ends, width) {
  const filled = ({fields}) => fields.filter(field => field).length
  let notes = 0
  for (let i = 1; i < ends.length && i <= MOST_NOTES; i++) {
    const {fields, apart} = ends.at(-i), text = fields[0].trim(), begins = NOTE.test(text) && 2 * filled(ends.at(-i)) <= width
    if (!begins && !(SENTENCE.test(text) && !COUNT.test(text) && fields.slice(1).every(field => !field.trim()))) break
    if (begins || apart) notes = i
  }
  return ends.slice(0, -notes).some(row => filled(row) >= 3) ? notes : 0
}
/* The name in a header without the mark of a comment, which numpy.savetxt writes, or of the order of bytes, as in files that were put together;
   between bars without the blanks that clients of databases put there. */
const unmarked = (name, at, sign) => sign === "|" ? name.trim() : at ? name : name.replace(/^(# |\ufeff)/, "")
/* Whether all fields of a row of several columns are empty; or it is a comment, or repeats the header. */
const is_blank = (fields, header) => header.length > 1 && fields.every(field => !field)
const is_none = (fields, header, separator) => header.length > 1 && (separator === " " && fields[0][0] === "#" ||
  (fields.length > 1 ? fields.length <= header.length && header.every((name, at) => name === unmarked(fields[at] ?? "", at, separator)) : fields[0][0] === "#"))
/* Where the names stand that the model needs: {separator, header, row}. If no separator gives them they are looked for between blanks, also in
   a comment, as numpy.savetxt writes them; or the columns are "column 1" and so on. `row`: the fields of the first line, if it is no header. */
function names_in(lines, comment, needed, quoted) {
  const has = names => needed.every(name => name === BLOCK || names.includes(name)), counted = fields => fields.map((_, i) => `column ${i + 1}`)
  const header_of = sign => fields_of(lines[0], sign, quoted).map((name, at) => unmarked(name, at, sign))
  const cut = sign => { try { return header_of(sign) } catch { return [] } }
  const separator = separator_of(lines, quoted), first = cut(separator), spaced = cut(" "), above = fields_of(comment.replace(/^[# ]+(?:Fields:)? */, ""), " ", quoted)
  const are_data = fields => fields.some(field => !isNaN(plain(field.trim())))
  const found = [{separator, header: first}, {separator: " ", header: spaced}, {separator: " ", header: above, row: spaced},
    {separator, header: counted(first), row: first}, {separator: " ", header: counted(spaced), row: spaced}]
  return found.find(({header, row}) => has(header) && (!row || row.length === header.length && are_data(row))) ??
    {separator, header: header_of(separator)}
}

const FIELDS = /^([ctp]sv|tab|dat|data|txt)$/
const ending = file => file.name.toLowerCase().replace(/\.gz$/, "").split(".").pop()
async function encoding_of(file) {
  const [a, b] = await beginning(file)
  return a === 0xff && b === 0xfe ? "utf-16le" : a === 0xfe && b === 0xff ? "utf-16be" : "utf-8"
}
/* {form, separator, comments, units, parted, header, headless, names, columns, rows, notices}: of each column that is needed the fields, null where nothing
   stands; how many lines of comments stand before the header; whether blank rows part blocks, which a column numbers that is the `sequence`. */
async function read_table(file, needed, sequence) {
  if (!FIELDS.test(ending(file)) && !["jsonl", "ndjson"].includes(ending(file))) throw Error(`This file is no table that can be read here. It must end in .csv, .tsv or .jsonl. ${INSTEAD}`)
  if (file.size > MOST_BYTES) throw too_large(file)
  const encoding = await encoding_of(file)
  try { return await read_as(file, needed, encoding, sequence) } catch (error) {
    if (!(error instanceof TypeError) || encoding !== "utf-8") throw error
  }
  const table = await read_as(file, needed, "windows-1252", sequence)
  return {...table, notices: [file.name + ": this is not UTF-8; it is read as Windows-1252 (Western European), written as UTF-8. If letters look wrong, save it as UTF-8.", ...table.notices]}
}
const read_as = (file, ...how) => (FIELDS.test(ending(file)) ? read_csv : read_json)(file, ...how)
const require_columns = (file, names, needed) => {
  for (const name of ["predicted", "probability"]) if (names.includes(name)) throw Error(`There is a column ${JSON.stringify(name)} already, which the predictions would take. Rename it.`)
  const missing = needed.filter(name => !names.includes(name))
  if (missing.length) {
    const shown = names.slice(0, 20).map(name => JSON.stringify(name)).join(", ") + (names.length > 20 ? ", …" : "")
    throw Error(`${file.name}: there is no column ${missing.map(name => JSON.stringify(name)).join(", nor ")}, which the model needs. The columns are: ${shown}.`)
  }
}
const bare = field => (field = field?.trim())?.[0] === "=" ? field.replace(IN_FORMULA, "$1").trim() || null : field || null
const columns_of = needed => Object.assign(Object.create(null), Object.fromEntries(needed.map(name => [name, []])))
/* What stands before the first row, of {separator, comments, units, parted, header, headless, names} as `read_table` has them; and the
   `lines` behind it. */
function head_of(file, lines, quoted, needed, sequence, notices) {
  lines = lines.slice(lines.findIndex(line => line.trim()))
  let comments = comments_of(lines)
  const comment = lines[comments - 1] ?? ""
  lines = lines.slice(comments)
  const title = lines.slice(0, title_of(lines.slice(0, MOST_COMMENTS), quoted))
  if (title.length) notices.push(`${file.name}: ${count(title.length, "line")} before the header ${title.length === 1 ? "is" : "are"} left out.`)
  comments += title.filter(line => line.trim()).length
  lines = lines.slice(title.length)
  if (!lines.some(line => line.trim())) throw Error(file.name + ": this file is empty.")
  const {separator, header, row} = names_in(lines.slice(0, HEAD_LINES), comment, needed, quoted), headless = row !== undefined
  if (!headless) lines.shift()
  const below = lines.slice(0, HEAD_LINES).map(line => fields_of(line, separator, quoted))
  const names = told_apart(header.map((name, i) => name || (i ? `column ${i + 1}` : "")))
  const units = !headless && are_units(below.filter((row, i) => !i || row.some(field => field) && !is_none(row, header, separator)))
  const more = (name, i) => below[0][i]?.trim() && (!name || header.indexOf(name) !== header.lastIndexOf(name))
  if (units && header.some(more)) throw Error(`${file.name}: the header takes several rows. Write it in one.`)
  if (units) {
    notices.push(`${file.name}: the row of units below the names is left out.`)
    lines.shift()
  }
  const parted = sequence === BLOCK && names.length > 1 && !names.includes(BLOCK)
  require_columns(file, parted ? [...names, BLOCK] : names, needed)
  return {separator, comments, units, parted, header, headless, names, lines}
}
async function read_csv(file, needed, encoding, sequence) {
  let head = [], table, places, rows = 0, blank = 0, none = 0, blocks = 0, inside = false
  const ends = [], notices = [], columns = columns_of(needed), form = await form_of(file, encoding), {quoted} = form
  const begin = () => {
    const {lines, ...found} = head_of(file, head, quoted, needed, sequence, notices)
    table = found
    places = needed.map(name => [columns[name], table.names.indexOf(name)])
    head = null
    add(lines)
  }
  const add = lines => {
    const {separator, header, names} = table
    for (const line of lines) {
      const fields = fields_of(line, separator, quoted)
      if (is_none(fields, header, separator)) { none++; continue }
      if (separator === " " && line.trim() && fields.length !== names.length) {
        throw Error(`${file.name}, data row ${rows + 1}: this line does not have ${names.length} fields between blanks. Put commas between the fields.`)
      }
      if (fields.length > names.length) throw Error(`${file.name}, data row ${rows + 1}: this line has more fields than the header has columns. Quote fields that hold the separator.`)
      if (is_blank(fields, header)) { blank++; inside = false; continue }
      blocks += !inside
      ends.push({fields, apart: !inside})
      if (ends.length > MOST_NOTES + HEAD_LINES) ends.shift()
      inside = true
      for (const [column, place] of places) column.push(place < 0 ? blocks : bare(fields[place]))
      rows++
    }
  }
  await records(file, form, lines => {
    if (!head) return add(lines)
    head.push(...lines)
    if (head.length > MOST_COMMENTS) begin()
  })
  if (head) begin()
  const {names, parted} = table
  const without = many => {
    for (const [column] of places) column.length -= many
    rows -= many
    return ends.splice(-many)[0].fields
  }
  const notes = notes_in(ends, names.length)
  if (notes) {
    const [first] = without(notes)[0].trim().split("\n")
    notices.push(`${file.name}: the last ${notes === 1 ? "row is a note" : `${notes} rows are notes`} ('${first}') and ${notes === 1 ? "is" : "are"} left out.`)
  }
  const end = names.length > 1 && ends.length ? what_ends(ends.at(-1).fields, ends.at(-2)?.fields ?? []) : ""
  if (end) {
    const last = without(1)
    notices.push(`${file.name}: the last row ${end} ('${last.find(text => text.trim()).trim()}') and is left out.`)
  }
  if (!rows) throw Error(`${file.name}: this table has no rows. ${INSTEAD}`)
  if (form.returns) notices.push(`${file.name}: lines end in CR alone, as on old Macs; they are written with LF again.`)
  if (none) notices.push(`${file.name}: left out: ${count(none, "line")} of comments or the header again.`)
  if (parted && (blocks = columns[BLOCK].at(-1)) < 2) {
    if (rows > MOST_IN_ONE) require_columns(file, names, needed)
    notices.push(`${file.name}: no blank rows part blocks here; all rows are one, by the column '${BLOCK}'.`)
  } else if (blank) {
    const become = parted ? `taken for the ends of ${count(blocks, "block")}, which the column '${BLOCK}' numbers` : "left out"
    notices.push(`${file.name}: ${count(blank, "row")} without any value ${blank === 1 ? "is" : "are"} ${become}.`)
  }
  return {form, ...table, columns, rows, notices}
}
const NOT_FINITE = /("(?:[^"\\]|\\.)*")|-?\b(?:NaN|Infinity)\b/g  /* which Python writes, though JSON has no such number; or text */
const parsed_json = text => { try { return JSON.parse(text) } catch { } }
async function read_json(file, needed, encoding) {
  const columns = columns_of(needed), names = new Set(), form = {encoding, quoted: false}
  let rows = 0, number = 0
  await records(file, form, lines => {
    for (const line of lines) {
      number++
      if (!line.trim()) continue
      const entry = parsed_json(line) ?? parsed_json(line.replace(NOT_FINITE, (_, text) => text ?? null))
      if (typeof entry !== "object" || !entry || Array.isArray(entry)) throw Error(`${file.name}, line ${number}: this is no JSON object; there must be one on each line.`)
      Object.keys(entry).forEach(name => names.add(name))
      for (const name of needed) {
        const field = Object.hasOwn(entry, name) ? entry[name] : null
        if (typeof field === "object" && field) throw Error(`${file.name}, line ${number}: ${JSON.stringify(name)} is a list or an object; this page reads a row per line. ${INSTEAD}`)
        columns[name].push(typeof field === "string" ? field.trim() || null : typeof field === "boolean" ? String(field) : field)
      }
      rows++
    }
  })
  if (!rows) throw Error(file.name + ": this table has no rows.")
  require_columns(file, [...names], needed)
  return {form, separator: null, names: [...names], columns, rows, notices: []}
}

/* The file again, each record with a label and its probability: a Blob. */
async function labeled(file, table, reading, classes, codes, probabilities) {
  const {form, parted} = table, sign = table.separator, separator = sign === " " ? "," : sign, comma = reading.decimal === "comma" && separator !== "," && separator !== null
  const [first, second, third] = await beginning(file)
  const marked = first === 239 && second === 187 && third === 191 || first + second === 509  /* by which spreadsheets tell the encoding */
  const parts = separator !== null && marked ? ["\ufeff"] : []
  const cell = text => text.includes(separator) || (form.quoted ? /["\n\r]/ : /[\n\r]/).test(text) ? '"' + text.replaceAll('"', '""') + '"' : text
  const written = classes.map(label => separator === null ? JSON.stringify(label) : cell(String(label)))
  const row_of = fields => fields.map(cell).join(separator), {headless} = table
  const names_of = line => (parted ? BLOCK + separator : "") + (line ?? row_of(table.names)) + separator + "predicted" + separator + "probability"
  const short = p => { for (let digits = 6; ; digits++) { const text = +p.toPrecision(digits); if (digits > 8 || Math.fround(text) === p) return comma ? String(text).replace(".", ",") : text } }
  let row = separator === null ? 0 : (headless ? 0 : -1) - table.comments, {units} = table
  if (headless) parts.push(names_of() + "\n")
  await records(file, form, lines => {
    const out = []
    for (let line of lines) {
      line = line.replace(/\r+$/, "")
      if (row < 0) {
        if (!line.trim()) continue
        if (row === -1 && !headless) out.push(names_of(" |".includes(sign) ? undefined : line.replace(/^("?)# /, "$1")))
      } else if (separator === null) {
        if (!line.trim()) continue
        out.push(`${line.trimEnd().slice(0, -1).trimEnd()},"predicted":${written[codes[row]]},"probability":${short(probabilities[row])}}`)
      } else {
        const fields = fields_of(line, sign, form.quoted)
        if (units) { units = false; continue }
        if (is_blank(fields, table.header) || is_none(fields, table.header, sign) || row === table.rows) continue
        const own = sign === " " ? row_of(fields) : line
        out.push((parted ? table.columns[BLOCK][row] + separator : "") + own + separator.repeat(table.names.length - fields.length + 1) + written[codes[row]] + separator + short(probabilities[row]))
      }
      row++
    }
    if (out.length) parts.push(out.join("\n") + "\n")
  })
  return new Blob(parts, {type: "text/plain"})
}
