"use strict"
/* Brings the parts of a page that is one file; the page's own script is the first. */
const LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;,=>?@^_`{|}~"
/* Base 85, each five letters four bytes, as Python has it, with a comma in place of "<". */
function bytes_of(text) {
  const places = Object.fromEntries([...LETTERS].map((letter, i) => [letter, i])), view = new DataView(new ArrayBuffer(Math.ceil(text.length / 5) * 4))
  for (let at = 0; at < text.length; at += 5) {
    let number = 0
    for (let k = at; k < at + 5; k++) number = 85 * number + (places[text[k]] ?? 84)
    view.setUint32(at / 5 * 4, number)
  }
  return new Uint8Array(view.buffer, 0, Math.floor(text.length * 4 / 5))
}
async function brought(name) {
  try {
    return await new Response(new Blob([bytes_of(document.getElementById(name).textContent)]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer()
  } catch { throw Error("This page is damaged: it was cut short or changed on its way. Get it again.") }
}
addEventListener("DOMContentLoaded", async () => {
  const script = document.createElement("script"), said = document.getElementById("said")
  try { script.textContent = new TextDecoder().decode(await brought("page")) } catch (error) {
    said.textContent = error.message
    said.className = "wrong"
  }
  document.body.append(script)
})
