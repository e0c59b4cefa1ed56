// Read one Ultra HDR file with gainmap-js and print what it found as JSON: `node gainmapjs.mjs READERS FILE`.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const [readers, file] = process.argv.slice(2)
const found = createRequire(`${readers}/package.json`).resolve('@monogrid/gainmap-js')
const { extractGainmapFromJPEG } = await import(pathToFileURL(found))
try {
  const { gainMap, metadata } = await extractGainmapFromJPEG(new Uint8Array(readFileSync(file)))
  const map = Buffer.from(gainMap)
  console.log(JSON.stringify({ map: map.toString('base64'), metadata }))
} catch (error) {
  console.log(JSON.stringify({ error: String(error) }))
}
