/** One result from every side. */
import { call } from './api.js';
import { make, trouble } from './dom.js';
import { readers, standards } from './findings.js';
import { gainView } from './gainmap.js';
import { expose, isNative, light, upright } from './light.js';
import { maskView } from './mask.js';
import { isHdr } from './screen.js';
import { slider, still } from './slider.js';
import { onUnit } from './unit.js';

/** @type {string[]} addresses of the result on show, given back when the next one comes */
let held = [];

/**
 * Show a job's result.
 * @param {HTMLElement} place
 * @param {object} job
 */
export async function view(place, job) {
  place.hidden = false;
  place.replaceChildren(make('p', { className: 'hint' }, 'Fetching the result…'));
  try {
    const parts = await fetched(job);
    place.replaceChildren(head(place, job), ...tabs(panels(job, parts)));
    place.querySelector('h2').focus();
  } catch (error) {
    place.hidden = true;
    trouble(error.message);
  }
}

async function fetched(job) {
  held.forEach((address) => URL.revokeObjectURL(address));
  const blobs = await Promise.all(['result', 'base', 'gainmap'].map(async (name) => (await call(`/v1/jobs/${job.id}/${name}`)).blob()));
  held = blobs.map((blob) => URL.createObjectURL(blob));
  const mask = job.result?.mask ? URL.createObjectURL(await (await call(`/v1/jobs/${job.id}/mask`)).blob()) : null;
  if (mask) held.push(mask);
  const images = await Promise.all(held.map(async (src) => { const image = new Image(); image.src = src; await image.decode(); return image; }));
  const { metadata, source, orientation } = await (await call(`/v1/jobs/${job.id}/metadata`)).json();
  images[2] = upright(images[2], orientation);
  const audit = await (await call('/v1/audit', { method: 'POST', headers: { 'Content-Type': 'image/jpeg' }, body: blobs[0] })).json();
  return { images, metadata, source, findings: audit.findings };
}

function head(place, job) {
  const close = make('button', { type: 'button', onclick: () => { place.hidden = true; place.replaceChildren(); } }, 'Close');
  return make('div', { className: 'viewer-head' }, make('h2', { id: 'viewer-title', tabIndex: -1 }, job.name ?? 'Photo'), make('span', { className: 'grow' }), close);
}

function panels(job, { images: [hdr, base, map, mask], metadata, source, findings }) {
  const [w, h] = [base.naturalWidth, base.naturalHeight];
  return [
    ['Compare', () => make('div', {}, slider(base.src, hdr.src, w, h), words())],
    ['SDR', () => still(base.src, 'The photo in SDR', w, h)],
    ['HDR', () => make('div', {}, still(hdr.src, 'The photo in HDR', w, h), words())],
    ['Exposure', () => exposure(hdr, base, map, metadata)],
    ['Gain map', () => gainView(map, metadata)],
    ...(mask ? [['Mask', () => maskView(base, mask, job.result.guided)]] : []),
    ['Metadata', () => facts({ ...metadata, 'read from': source, ...(job.result?.guided ?? {}) })],
    ['Audit', () => make('div', {}, readers(findings), standards(findings))],
  ];
}

function words() {
  return make('p', { className: 'hint' }, isHdr() ? 'Both halves are the same up to white; the right one goes on from there.'
    : 'This screen cannot show the difference: it ends at SDR white. See “Exposure” for what is there above it.');
}

/** The browser's own answer where it gives one, else the graphics unit's, else one computed here. */
function painter(hdr, base, map, metadata) {
  const fast = isNative() ? null : onUnit(base, map, metadata);
  if (fast) return fast;
  const scene = light(hdr, base, map, metadata);
  const canvas = make('canvas', { className: 'picture' });
  return { canvas, draw: (stops) => expose(canvas, scene, stops) };
}

function exposure(hdr, base, map, metadata) {
  const { canvas, draw: paint } = painter(hdr, base, map, metadata);
  canvas.setAttribute('role', 'img');
  canvas.setAttribute('aria-label', 'The HDR photo at the chosen exposure');
  const least = -Math.ceil(metadata.alternate_hdr_headroom + 0.5);
  const input = make('input', { type: 'range', id: 'exposure', min: least, max: 1, step: 0.1 });
  const output = make('output', { htmlFor: 'exposure' });
  const draw = () => { paint(Number(input.value)); output.textContent = `${Number(input.value).toFixed(1)} stops`; };
  input.addEventListener('input', draw);
  input.value = String(-Math.round(metadata.alternate_hdr_headroom * 10) / 10);
  draw();
  return make('div', {}, canvas, make('div', { className: 'under' }, make('label', { htmlFor: 'exposure' }, 'Exposure'), input, output),
    make('p', { className: 'hint' }, 'Darken the photo: what would stay a flat patch of white in the flat file keeps its light and its detail here.'));
}

function facts(entries) {
  const show = (value) => (typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value));
  const rows = Object.entries(entries).map(([name, value]) => make('tr', {}, make('th', { scope: 'row' }, name.replaceAll('_', ' ')), make('td', {}, show(value))));
  return make('table', { 'aria-label': 'Metadata of the gain map' }, make('tbody', {}, ...rows));
}

/** Tabs as ARIA has them: arrows move, one is in the tab order. */
function tabs(views) {
  const panel = make('div', { role: 'tabpanel', id: 'panel', tabIndex: 0 });
  const list = make('div', { className: 'tabs', role: 'tablist', 'aria-label': 'Views' });
  const choose = (index) => {
    [...list.children].forEach((tab, i) => { tab.setAttribute('aria-selected', String(i === index)); tab.tabIndex = i === index ? 0 : -1; });
    panel.setAttribute('aria-labelledby', `tab-${index}`);
    panel.replaceChildren(views[index][1]());
  };
  views.forEach(([label], index) => list.append(make('button', { type: 'button', role: 'tab', id: `tab-${index}`, 'aria-controls': 'panel', onclick: () => choose(index) }, label)));
  list.addEventListener('keydown', (event) => {
    const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!move) return;
    const index = ([...list.children].indexOf(document.activeElement) + move + views.length) % views.length;
    choose(index);
    list.children[index].focus();
  });
  choose(0);
  return [list, panel];
}
