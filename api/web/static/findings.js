/** What an audit found: each viewer in a line, and the two standards side by side. */
import { sentence } from './api.js';
import { make } from './dom.js';

const READERS = ['Chromium', 'Android (libultrahdr)', 'Android 14 (hdrgm only)', 'Apple (iOS 18, macOS 15)', 'exiftool', 'gainmap-js', 'libvips'];
// These show nothing by themselves; what counts is whether they find the map.
const TOOLS = ['exiftool', 'gainmap-js', 'libvips'];
const LABEL = { error: 'Broken', warning: 'Fragile', note: 'Note' };

/** @typedef {{code: string, severity: string, message: string, readers?: string[], offset?: number|null, mend?: string}} Finding */

/**
 * @param {Finding[]} findings
 * @returns {boolean} whether there is a gain map at all
 */
export function hasMap(findings) {
  return !findings.some(({ code }) => code === 'no_gain_map' || code === 'gain_map_missing');
}

/**
 * @param {Finding[]} findings
 * @param {string} reader
 * @returns {{words: string, mood: string}}
 */
export function verdict(findings, reader) {
  if (!hasMap(findings)) return { words: 'SDR: there is no gain map', mood: '' };
  const of = (severity) => findings.some((finding) => finding.severity === severity && (finding.readers ?? []).includes(reader));
  const tool = TOOLS.includes(reader);
  if (of('error')) return { words: tool ? 'Loses the gain map, or reads it wrongly' : 'Loses the HDR, or shows it wrongly', mood: 'bad' };
  if (of('warning')) return { words: tool ? 'May lose the gain map' : 'May lose the HDR', mood: 'warn' };
  return { words: tool ? 'Reads the gain map' : 'Shows the HDR', mood: 'good' };
}

/**
 * @param {Finding[]} findings
 * @returns {HTMLElement} a table
 */
export function readers(findings) {
  const rows = READERS.map((reader) => {
    const { words, mood } = verdict(findings, reader);
    return make('tr', {}, make('th', { scope: 'row' }, reader), make('td', { className: mood }, words));
  });
  return make('table', { 'aria-label': 'What each viewer makes of the file' }, make('tbody', {}, ...rows));
}

/**
 * @param {Finding[]} findings
 * @returns {HTMLElement} three columns: either standard, and the file around both
 */
export function standards(findings) {
  const part = (title, what, wanted) => {
    const found = findings.filter(({ code }) => side(code) === wanted);
    const list = found.length ? found.map(one) : [make('p', { className: 'finding' }, 'Nothing to say.')];
    return make('div', {}, make('h3', {}, title), make('p', { className: 'hint' }, what), ...list);
  };
  return make('div', { className: 'standards' },
    part('ISO 21496-1', 'Apple, and newer Chromium and Android', 'iso'),
    part('Ultra HDR (hdrgm XMP)', 'Adobe, Android 14, and the web since 2023', 'hdrgm'),
    part('The file around both', 'Image, map, and how one leads to the other', 'file'));
}

function side(code) {
  if (/^(iso|no_iso)/.test(code)) return 'iso';
  return /^(hdrgm|no_hdrgm|container|two_xmp|base_rendition)/.test(code) ? 'hdrgm' : 'file';
}

function one({ code, severity, message, offset, mend }) {
  const where = Number.isInteger(offset) ? ` Byte ${offset}.` : '';
  const after = mend && severity !== 'note' ? ` To mend: ${mend}.` : '';
  return make('p', { className: `finding ${severity}` }, make('b', {}, `${LABEL[severity] ?? severity}: `), `${sentence(message)}${where}${after} `, make('code', {}, code));
}
