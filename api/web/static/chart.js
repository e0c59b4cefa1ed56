/** Shares with their intervals: one line a group, a dot for each of two answers and a bar for how sure it is. */
import { drawn } from './dom.js';

const [WIDTH, LEFT, RIGHT, TOP, EDGE] = [480, 92, 26, 22, 56]; // of the drawing, EDGE beside the course
const ANSWERS = ['visitors', 'events'];
const across = (share) => LEFT + share * (WIDTH - LEFT - RIGHT);

/**
 * @typedef {{hdr: number, all: number, share: number|null, low: number|null, high: number|null}} Share
 * @typedef {{value: string, visitors: Share, events: Share}} Group
 */

/**
 * One line a group.
 * @param {Group[]} groups
 * @param {string} title
 * @returns {SVGElement}
 */
export function dots(groups, title) {
  const height = TOP + groups.length * 26 + 4;
  const parts = [];
  for (const tick of [0, 0.25, 0.5, 0.75, 1]) {
    parts.push(drawn('line', { x1: across(tick), x2: across(tick), y1: TOP - 6, y2: height, class: 'grid' }), label(across(tick), 12, percent(tick), 'middle'));
  }
  groups.forEach((group, i) => {
    const y = TOP + i * 26 + 12;
    parts.push(label(LEFT - 8, y + 4, group.value, 'end'));
    ANSWERS.forEach((name, j) => parts.push(...mark(group[name], name, y - 4 + j * 9)));
  });
  return framed(height, title, parts);
}

function mark({ share, low, high }, name, y) {
  if (share === null) return [];
  return [drawn('line', { x1: across(low), x2: across(high), y1: y, y2: y, class: `range ${name}` }), drawn('circle', { cx: across(share), cy: y, r: 4, class: name })];
}

/**
 * The same over time, from left to right.
 * @param {Group[]} groups one a day, in order
 * @param {string} title
 * @returns {SVGElement}
 */
export function course(groups, title) {
  const height = 200;
  const days = groups.map(({ value }) => Date.parse(value) / 864e5);
  const [first, last] = [days[0], days.at(-1)];
  const x = (day) => (last === first ? across(0.5) : EDGE + 8 + ((day - first) / (last - first)) * (WIDTH - EDGE - 48));
  const y = (share) => 12 + (1 - share) * 150;
  const parts = [0, 0.25, 0.5, 0.75, 1].flatMap((tick) => [drawn('line', { x1: EDGE, x2: WIDTH - RIGHT, y1: y(tick), y2: y(tick), class: 'grid' }), label(EDGE - 6, y(tick) + 4, percent(tick), 'end')]);
  for (const [j, name] of ANSWERS.entries()) {
    const known = groups.map((group, i) => ({ at: x(days[i]) + (j ? 3 : -3), ...group[name] })).filter(({ share }) => share !== null);
    parts.push(drawn('path', { d: known.map(({ at, share }, i) => `${i ? 'L' : 'M'}${at} ${y(share)}`).join(''), class: name }));
    for (const { at, share, low, high } of known) parts.push(drawn('line', { x1: at, x2: at, y1: y(low), y2: y(high), class: `range ${name}` }), drawn('circle', { cx: at, cy: y(share), r: 3, class: name }));
  }
  parts.push(label(x(first), 184, groups[0].value, groups.length > 1 ? 'start' : 'middle'));
  if (groups.length > 1) parts.push(label(WIDTH - RIGHT, 184, groups.at(-1).value, 'end'));
  return framed(height, title, parts);
}

/**
 * @param {number|null} share
 * @returns {string}
 */
export function percent(share) {
  return share === null ? '–' : `${Math.round(share * 100)} %`;
}

function framed(height, title, parts) {
  return drawn('svg', { viewBox: `0 0 ${WIDTH} ${height}`, class: 'chart', role: 'img', 'aria-label': `${title}: the table beside it has the numbers` }, ...parts);
}

function label(x, y, words, anchor) {
  return drawn('text', { x, y, 'text-anchor': anchor }, words);
}
