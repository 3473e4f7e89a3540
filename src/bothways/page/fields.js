/* What fields of text mean: bothways.fields.reader. */
const MISSING = new Set(["?", "-", "--", "---", ".", "n/a", "#n/a", "na", "<na>", "null", "none", "nan", "-nan", "nat", "\\n", "(null)", "<null>",
  "#value!", "#div/0!", "#ref!", "#num!", "#name?", "#na", "#n/a n/a", "#null!", "#nv", "#wert!", "#bezug!", "#zahl!",
  "#n/d", "#valeur!", "#nombre!", "#valor!", "#valore!", "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan",
  "nil", "missing", "n.a.", "no data", "not available", "..", "...", ":", "\u2013", "\u2014",
  ...["0000-00-00", "00.00.0000", "00/00/0000"].flatMap(date => [date, date + " 00:00:00"]), "inf", "+inf", "-inf",
  "infinity", "+infinity", "-infinity"])
const PLAIN = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/, LONE = /^[+-]?(?:0|[1-9]\d{0,2}(?:\.\d{3})*)$/, THOUSANDS = [/^[+-]?\d+$/, /\.\d\d0$/]
const ADDRESS = /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.|$)){4}$/, LISTED = /^\(\d{1,3}\)$/, PHONE = /^\+\d{8,15}$/, LONG = /^\d{17,}$/
const SIGNS = "$€£¥₹₽₩₺", CURRENCY = `(?:[A-Z]{0,2}[${SIGNS}]|(?:USD|EUR|GBP|CHF|JPY|CNY|INR|BRL|CAD|AUD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|MXN|ZAR|SGD|HKD|KRW|TRY)\\b)`
const UNIT = RegExp(CURRENCY + "|%"), AMOUNT = RegExp(`^([-+]?)\\s*(${CURRENCY})?\\s*(.*?)\\s*([${SIGNS}%])?$`)
const IN_PARENTHESES = RegExp(`^\\((${CURRENCY}?)\\s*([\\d.,].*)\\)$`), NOTHING = RegExp(`^(${CURRENCY})\\s*-$`)
const BEHIND = /^(\d[\d.,]*)-$/, BEHIND_FRACTION = /^\d[\d.,]*[.,]\d+-$/, EXPONENT = /^([-+]?[\d.,]+)[dD]([-+]\d+)$/, IN_FORMULA = /^="(.*)"$/
const WITH_UNIT = /^([-+]?[\d.,]*\d(?:[ \u00a0\u202f]\d{3})*(?:[.,]\d+)?(?:[eE][-+]?\d+)?)(\s*)([\p{L}°℃℉/²³%]{1,8}|;)$/u
const SECONDS = new Map([["ms msec msecs", 1e-3], ["s sec secs second seconds Sek", 1], ["min mins minute minutes Min", 60], ["h hr hrs hour hours Std", 3600],
  ["day days", 86400]].flatMap(([units, factor]) => units.split(" ").map(unit => [unit, factor])))
const plain = text => typeof text === "number" ? text : PLAIN.test(text) ? +text : NaN
const is_missing = text => MISSING.has(String(text).toLowerCase())
/* The numbers of fields, NaN where one is missing; null if a field is none. */
function converted(fields, convert) {
  const out = new Float64Array(fields.length)
  for (let i = 0; i < fields.length; i++) {
    out[i] = fields[i] === null ? NaN : convert(fields[i])
    if (fields[i] !== null && Number.isNaN(out[i])) return null
  }
  return out
}
/* What occurs most often; of several the first in order. */
function mode(values) {
  const times = new Map()
  for (const value of values) times.set(value, (times.get(value) ?? 0) + 1)
  return [...times].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))[0]?.[0]
}
/* How a field of a column is read as a number with a decimal sign, thousands set apart, and perhaps one unit for all. */
function amounts(fields, sign) {
  const texts = fields.filter(text => text !== null)
  if (texts.length && texts.every(text => LISTED.test(text))) return () => NaN
  const behind = texts.some(text => BEHIND_FRACTION.test(text)) ? BEHIND : /$^/
  const signed = text => String(text).replace(/[\u2212\u2013]/g, "-").replace(IN_PARENTHESES, "$1-$2").replace(behind, "-$1").replace(EXPONENT, "$1e$2")
  const parts = text => {
    const [, minus, before, number, after] = AMOUNT.exec(signed(text).replace(NOTHING, (_, unit) => unit + 0)) ?? []
    return [before ?? after, minus + number]
  }
  const units = texts.some(text => UNIT.test(text)), unit = units ? mode(texts.map(text => parts(text)[0]).filter(each => each)) : undefined
  const apart = "'’ \u00a0\u202f" + (sign === "," ? "." : ","), lakhs = sign === "." ? "|[1-9]\\d?(?:,\\d\\d)+,\\d{3}" : ""
  const grouped = `(?:[1-9]\\d{0,2}(?:[${apart}]\\d{3})+${lakhs})(?:[${sign}]\\d*)?`, bare = `\\d*(?:[${sign}]\\d*)?(?:[eE][+-]?\\d+)?`
  const fits = RegExp(`^[+-]?(?:${grouped}|${bare})$`), between = RegExp(`[${apart}]`, "g")
  return text => {
    const [own, number] = units ? parts(text) : [unit, signed(text)]
    return own === unit && fits.test(number) && !ADDRESS.test(number) ? plain(number.replace(between, "").replace(",", ".")) : NaN
  }
}
/* The numbers without the unit after each of them, and the unit; the fields as they are and "" where there is none. */
function split_unit(fields) {
  const none = [fields, ""], numbers = fields.slice()
  let unit = "", apart = true
  for (const [row, text] of fields.entries()) {
    if (text === null || is_missing(text)) continue
    const [, number, blank, own] = WITH_UNIT.exec(text) ?? []
    if (!own || own !== (unit ||= own)) return none
    numbers[row] = number
    apart &&= blank !== ""
  }
  const rest = numbers.filter(text => text !== null && !is_missing(text))
  const shown = apart || unit.length > 1 || !/^\p{L}*$/u.test(unit)
  return unit && unit !== "%" && shown && (converted(rest, amounts(rest, ".")) || converted(rest, amounts(rest, ","))) ? [numbers, unit] : none
}
/* The first row that keeps a column from being read in that one of these ways which fits most of its fields; -1 if none does. */
function stray(fields, ways) {
  const some = [...fields.keys()].filter(row => fields[row] !== null && !is_missing(fields[row]))
  const [rows] = ways.map(read => some.filter(row => Number.isNaN(read(fields[row])))).sort((a, b) => a.length - b.length)
  return rows[0] ?? -1
}
const CLOCK = "(?<hour>\\d{1,2}):(?<minute>\\d{2})(?::(?<second>\\d{2})(?:[.,](?<fraction>\\d+))?)?(?: ?(?<half>[AaPp])\\.?[Mm]\\.?| Uhr)?"
const CLOCK_OF_DATE = CLOCK.replace("):", ")(?:[:.h]").replace("(?::", "(?:[:.]").replace("(?: ?(?<half>", ")?(?: ?(?<half>")
const TIME = RegExp(`^${CLOCK}$`)
const NAME = "\\p{L}{3,12}\\.?", ZONE = "(?: ?(?<zone>Z|UTC|GMT|[+-]\\d{2}:?\\d{2})(?:\\[[\\w/+-]+\\])?)?"
const DATE = RegExp(`^\\[?(?:\\p{L}{3},? )?(?<a>\\d{1,4})[-/. ] ?(?<b>\\d{1,2}|${NAME})[-/. ] ?(?<c>\\d{1,4})(?:(?:T|,? |:| à )${CLOCK_OF_DATE})?${ZONE}\\]?$`, "u")
const FIRST = `^(?:${NAME},? )?(?<month>${NAME}) {1,2}(?<day>\\d{1,2})`, AT = `(?:(?:,|,? at)? ${CLOCK})?`
const NAMED = [RegExp(`${FIRST}${AT}(?: [A-Z]{3,4})?${ZONE} (?<year>\\d{4})$`, "u"), RegExp(`${FIRST},? (?<year>\\d{4})${AT}${ZONE}$`, "u")]
const SYSLOG = RegExp(`^(?<month>${NAME}) {1,2}(?<day>\\d{1,2}) ${CLOCK}${ZONE}$`, "u")
const COMPACT = RegExp("^(?<year>\\d{4})(?<month>\\d{2})(?<day>\\d{2})[T ]?(?<hour>\\d{2}):?(?<minute>\\d{2})(?::?(?<second>\\d{2}))?(?:[.,](?<fraction>\\d+))?" + ZONE + "$", "u")
const ZONED = /(?:[\d.Mm] ?(?:Z|UTC|GMT)|:\d.*[+-]\d\d:?\d\d)(?:\[.*)?\]?(?: \d{4})?$/
const ELAPSED = /^(?:(\d+) days?,? )?(?:(\d+):)?(\d{1,2}):(\d{2}(?:\.\d+)?)$/
const DURATIONS = /^(duration|elapsed|runtime|laptime|wait|waiting|delay|latency|dwell|uptime|downtime|took|talk|hold|handle|break|pause|dauer|laufzeit|fahrzeit|wartezeit|durée|duree|attente|duración|duracion|espera)$/, NO_DURATIONS = /^(start|end|begin|off|at|from|to|until|since|room)$/
/* What the names of months, and of terms, begin with. */
const MONTHS = {}
;["jan jän ene gen sty oca win", "feb fév fev lut şub", "mar mär mrz maa spr", "apr avr abr kwi nis", "may mai mag maj mei", "jun juin giu cze haz sum",
  "jul juil lug lip tem", "aug aoû aou ago sie ağu", "sep set wrz eyl fal aut", "oct okt ott out paź eki", "nov lis kas", "dec dez déc dic gru ara"
].forEach((names, k) => names.split(" ").forEach(name => MONTHS[name] = k + 1))
function microseconds_of({hour = "0", minute = "0", second = "0", fraction = "", half}) {
  const hours = half ? +hour % 12 + (half.toLowerCase() === "p" ? 12 : 0) : +hour
  return (hours < 24 || hours === 24 && !+minute && !+second) && +minute < 60 && +second < 60 ? 1e6 * (hours * 3600 + minute * 60 + +second) + +fraction.slice(0, 6).padEnd(6, "0") : NaN
}
function month_of(text) {
  const lower = text.toLowerCase()
  return /\d/.test(text) ? +text : MONTHS[lower.slice(0, lower.startsWith("jui") ? 4 : 3)] ?? NaN
}
/* Times are whole microseconds, of which a number holds all. */
function moment_of({year, month, day, zone, ...clock}) {
  const at = Date.UTC(year, month_of(month) - 1, day)
  if (year.length !== 4 || new Date(at).getUTCMonth() !== month_of(month) - 1 || new Date(at).getUTCDate() !== +day) return NaN
  const shift = /([+-])(\d\d):?(\d\d)/.exec(zone || "")
  return 1000 * at + microseconds_of(clock) - (shift ? (shift[1] === "-" ? -60e6 : 60e6) * (shift[2] * 60 + +shift[3]) : 0)
}
const JOINED = [[/^(\d{1,2})(\p{L}{3})(\d{2})/u, "$1-$2-$3"], [/^(\d{4})年 ?(\d{1,2})月 ?(\d{1,2})日 ?/, "$1-$2-$3 "], [/[時时](\d\d)分(?:(\d\d)秒)?$/, ":$1:$2"]]
const SHORT_YEAR = /^\d\d[-/. ] ?\d\d?[-/. ]\d\d(?:\D|$)/
const dates = (order, short = order !== "abc") => text => {
  for (const [pattern, signs] of JOINED) text = String(text).replace(pattern, signs)
  const parts = DATE.exec(text.replace(/[ :]+$/, ""))?.groups
  if (!parts) return NaN
  let [year, month, day] = [...order].map(name => parts[name])
  if (short && year.length === 2) year = (+year < 70 ? "20" : "19") + year
  return moment_of({...parts, year, month, day})
}
const parsed = (pattern, more) => text => { const parts = typeof text === "string" && pattern.exec(text)?.groups; return parts ? moment_of({...parts, ...more}) : NaN }
const named = text => { const first = parsed(NAMED[0])(text); return first === first ? first : parsed(NAMED[1])(text) }
const seconds_of = lasts => text => {
  const [, days = lasts ? 0 : NaN, hours = 0, minutes, seconds] = ELAPSED.exec(text) ?? []
  return 86400 * days + 3600 * hours + 60 * minutes + +seconds
}
const time_of_day = text => { const parts = TIME.exec(text)?.groups; return parts && +parts.hour < 24 ? microseconds_of(parts) : NaN }

/* The first days of quarters, weeks, months and seasons: what stands before and after a year, and the day of both. */
const first_of = (year, month) => month >= 1 && month <= 12 ? 1000 * Date.UTC(year, month - 1) : NaN
const monday_of = (year, week) => week > 53 ? NaN : 1000 * Date.UTC(year, 0, 4) + 864e8 * (7 * (week - 1) - (new Date(Date.UTC(year, 0, 4)).getUTCDay() || 7) + 1)
const PERIODS = [
  [/^(?<year>(?:19|20)\d{2})[-/. ]?[Qq]0?(?<part>[1-4])$/, /^[Qq](?<part>[1-4])[-/. ]?(?<year>(?:19|20)\d{2})$/, (year, part) => first_of(year, 3 * part - 2)],
  [/^(?<year>(?:19|20)\d{2})[-/. ]?[Kk]?[Ww](?<part>\d{1,2})$/, /^[Kk]?[Ww] ?(?<part>\d{1,2})[-/. ](?<year>(?:19|20)\d{2})$/, monday_of],
  [/^(?<year>(?:19|20)\d{2})(?:[-/ ]|-?M)(?<part>\d{1,2}|\p{L}{3,12}\.?)$/u, /^(?<part>\d{1,2}|\p{L}{3,12}\.?)[-/ ](?<year>(?:19|20)\d{2})$/u, (year, part) => first_of(year, month_of(part))],
  [/^(?<year>(?:19|20)\d{2})[-/](?<part>\d{2}|\d{4})$/, /^$/, (year, part) => part % 100 === (+year + 1) % 100 ? first_of(year, 1) : NaN],
].map(([before, after, day]) => text => {
  const {year, part} = (before.exec(text) ?? after.exec(text))?.groups ?? {}
  return year ? day(year, part) : NaN
})
/* The first days of quarters, weeks and months, beside which times of day may stand; other fields as they are. */
function days_of(fields) {
  const days = PERIODS.slice(0, 3).map(read => converted(fields, read)).find(all => all)
  return days ? fields.map((field, row) => field === null ? null : new Date(days[row] / 1000).toISOString().slice(0, 10)) : fields
}
/* The ways to read the fields of a column, {name: values}; none for text. Hours and minutes are times of day, unless they are `lasting`. */
function ways_of(fields, lasts) {
  const plainly = converted(fields, plain), rest = plainly ? fields : fields.map(text => is_missing(text) ? null : text)
  const texts = rest.filter(text => typeof text === "string"), first = texts[0] ?? "", all = pattern => texts.every(text => pattern.test(text))
  const lasting = lasts || /^\d+:\d\d\.\d/.test(first)
  if (first && (all(PHONE) || all(LONG) && texts.some(text => BigInt(text) >> 64n))) return {}
  const compact = /^(?:19|20)\d{6}/.test(first) && converted(rest, parsed(COMPACT))
  if (compact) return {times: compact}
  const numbers = plainly ?? converted(rest, plain), thousands = numbers && texts.some(text => /[.eE]/.test(text)) && rest.slice(0, 100).every(text => text === null || LONE.test(text))
  if (numbers && !thousands) return {numbers}
  const point = !numbers && converted(rest, amounts(rest, ".")), comma = converted(rest, amounts(rest, ","))
  if (numbers || point || comma) return {...numbers && {numbers}, ...point && {point}, ...comma && {comma}}
  const zones = texts.filter(text => ZONED.test(text)).length
  if (zones && zones < texts.length) return {}
  for (const [kind, read] of [["truth", text => ({true: 1, false: 0})[String(text).toLowerCase()] ?? NaN], ["seconds", seconds_of(lasting)],
    ...[dates("abc"), time_of_day, named, ...PERIODS].map(read => ["times", read]), ["no year", parsed(SYSLOG, {year: "2000"})]]) {
    const values = converted(rest, read)
    if (values) return {[kind]: values}
  }
  const day = converted(rest, dates("cba")), month = /^\d{1,2}[-/ ]/.test(first) && converted(rest, dates("cab"))
  const year = all(SHORT_YEAR) && converted(rest, dates("abc", true))
  return {...day && {"day-first": day}, ...month && {"month-first": month}, ...year && {"year-first": year}}
}
/* Dates of that many digits with signs between: bothways.fields.times.spelled; the fields if they are none. */
function spelled(fields, digits) {
  const signs = "$1-$2-$3", last = /^(\d\d)(\d\d)((?:19|20)\d\d)$/
  const ways = digits === 6 ? [[/^((?:19|20)\d\d)(\d\d)$/, "$1-$2", PERIODS[2]]] : [[/^((?:19|20)\d\d)(\d\d)(\d\d)$/, signs, dates("abc")],
    [/^((?:19|20)\d\d)(\d\d)(\d\d)(\d\d)$/, signs + " $4", dates("abc")], [last, signs, dates("cba")], [last, signs, dates("cab")]]
  const whole = fields.map(field => field === null ? null : String(field).padStart(digits, "0"))
  for (const [pattern, signs, read] of digits ? ways : []) {
    const apart = whole.map(text => text && text.replace(pattern, signs))
    if (whole.every(text => text === null || pattern.test(text)) && converted(apart, read)) return apart
  }
  return fields
}
/* Times of day of 3 to 6 digits with colons: with_colons. */
function with_colons(fields) {
  const longest = Math.max(0, ...fields.map(field => String(field ?? "").length)), pattern = /^([01]\d|2[0-4])([0-5]\d)([0-5]\d)?$/
  const whole = fields.map(field => field === null ? null : String(field).padStart(longest > 4 ? 6 : 4, "0"))
  if (longest < 3 || longest > 6 || !whole.every(text => text === null || pattern.test(text))) return fields
  return whole.map(text => text && text.replace(pattern, (_, ...parts) => parts.slice(0, 3).filter(part => part).join(":")))
}
const words_of = name => name.match(/\p{Lu}+(?!\p{Ll})|\p{Lu}?\p{Ll}+/gu)?.map(word => word.toLowerCase()) ?? []  /* as in bothways.fields.names */
const lasts = name => words_of(name).some(word => DURATIONS.test(word)) && !words_of(name).some(word => NO_DURATIONS.test(word))
const NUMERIC = ["numbers", "point", "comma", "truth", "seconds"], AMERICAN = /\/.*\d ?[AaPp]\.?[Mm]/
const CHOICES = {numbers: ["decimal", "point"], point: ["decimal", "point"], comma: ["decimal", "comma"], "day-first": ["dates", "day-first"], "month-first": ["dates", "month-first"], "year-first": ["dates", "year-first"]}
const SAID = {point: "separators of thousands or units left out", comma: "decimal comma", seconds: "read in seconds", "no year": "times of one year, as none is there",
  "day-first": "dates are day/month/year", "month-first": "dates are month/day/year", "year-first": "dates are year/month/day"}
const asked = way => `"bothways predict --${CHOICES[way].join(" ")}"`
const differ = (ours, theirs) => ours.findIndex((x, row) => !Object.is(x, theirs[row]))
/* Which of two readings of dates is likelier, above 0 for ours: bothways.fields.times.likelier. */
function likelier(...readings) {
  const [ours, theirs] = readings.map(values => values.filter(at => !Number.isNaN(at))), gaps = values => values.slice(1).map((at, k) => at - values[k])
  const turns = values => Math.min(...[1, -1].map(sign => gaps(values).filter(gap => sign * gap > 0).length))
  const years = values => new Set(Array.from(values, at => new Date(at / 1000).getUTCFullYear())).size
  const jumps = values => {
    const seconds = gaps([...new Set(values)].sort((a, b) => a - b)).map(gap => Math.trunc(gap / 1e6)), usual = mode(seconds)
    return usual < 86400 ? seconds.filter(gap => gap !== usual).length : 0
  }
  const measures = [[turns, 2], [years, ours.every(at => at % 864e8 === 0) ? 10 : 2], [jumps, 1]]
  return measures.reduce((sum, [of, least]) => sum + (of(theirs) >= 2 * of(ours) + least) - (of(ours) >= 2 * of(theirs) + least), 0)
}
/* The likeliest order of dates; a note says what else they may be. */
function order_of_dates(fields, ways) {
  const order = ways["month-first"] && fields.some(text => AMERICAN.test(text)) ? "month-first" : Object.keys(ways)[0]
  const others = Object.keys(ways).filter(way => differ(ways[way], ways[order]) >= 0), shown = way => likelier(ways[way], ways[order])
  const better = others.find(way => shown(way) > 0)
  return better ? [better] : [order, others.filter(way => !shown(way)).map(way => `or ${SAID[way].slice(10)}? (${asked(way)})`).join("; ")]
}
/* How columns are read, by their names: {way, values, unit, note, fields}; `numbers` are those that the model takes for numbers. Where two
   ways fit, the other columns decide, then how the table was read that the model learned from. */
function typed(columns, reading, numbers) {
  const found = Object.create(null), shown = {decimal: new Set(), dates: new Set()}
  const take = (each, way, note = "") => {
    const [option, choice] = CHOICES[way] ?? [], values = each.ways[way] ?? null, factor = SECONDS.get(each.unit) ?? 1
    Object.assign(each, {way, note, values: factor === 1 ? values : values.map(x => factor * x)})
    if (option && (way !== "numbers" || factor !== 1 || each.fields.some(text => typeof text === "string" && /[.eE]|\d{20}/.test(text)))) shown[option].add(choice)
  }
  for (const name in columns) {
    const [fields, unit] = numbers.has(name) ? split_unit(columns[name]) : [columns[name], ""]
    const each = found[name] = {fields, unit, ways: ways_of(fields, numbers.has(name) || lasts(name))}, [way = "text", other] = Object.keys(each.ways)
    if (!other) take(each, way)
  }
  for (const each of Object.values(found)) if (!each.way) {
    const [[first, ours], [second, theirs]] = Object.entries(each.ways), [option] = CHOICES[second]
    const chosen = shown[option].size === 1 ? [...shown[option]][0] : reading[option], at = differ(ours, theirs)
    const fitting = Object.keys(each.ways).find(way => CHOICES[way][1] === chosen)
    if (fitting || (first === "numbers" && !THOUSANDS.every(part => each.fields.some(text => part.test(text))))) take(each, fitting ?? first)
    else if (option === "dates") take(each, ...order_of_dates(each.fields, each.ways))
    else if (at < 0) take(each, first)
    else take(each, "text", `numbers in doubt: ${ours[at]} (${asked(first)}) or ${theirs[at]} (${asked(second)})?`)
  }
  return found
}
/* What to say of a column of which this is `read`; `stood` has its fields with the words for missing values. "" if nothing. */
function told({way, values, unit, note, fields}, stood) {
  const gone = values ? stood.filter((text, row) => text !== null && Number.isNaN(values[row])) : [], some = []
  const written = pattern => way !== "numbers" && fields.some(text => pattern.test(text))
  for (let rest = gone; rest.length && some.length < 3; rest = rest.filter(word => word !== some.at(-1))) some.push(mode(rest))
  const texts = [SAID[way], gone.length && `${gone.length.toLocaleString("en")} ${gone.length === 1 ? "field is" : "fields are"} missing (${some.map(word => `'${word}'`).join(", ")})`,
    unit && `unit '${unit}'${SECONDS.has(unit) ? ", read in seconds" : " left out"}`, note,
    NUMERIC.includes(way) && (written(BEHIND_FRACTION) ? "amounts with a minus after them are negative"
      : written(IN_PARENTHESES) ? "amounts in parentheses are negative"
      : fields.some(text => /^0\d/.test(text)) && !fields.some(text => /[.,:eE]/.test(text)) && "zeros in front are left out")]
  return texts.filter(text => text).join("; ")
}
