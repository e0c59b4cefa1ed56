/** The page `/insights`: the share of visitors and of views that can see HDR. */
import { ApiError, call } from './api.js';
import { course, dots, percent } from './chart.js';
import { by, make, say, trouble } from './dom.js';
import { keyButton } from './key.js';

const TITLES = { day: 'By day', gamut: 'By colour gamut', renderer: 'By graphics unit', browser: 'By browser' };
const ANSWERS = { visitors: 'visitors', events: 'views' };

function answer(name, { share, low, high, hdr, all }) {
  const sure = share === null ? 'nothing counted yet' : `${percent(low)} to ${percent(high)}, ${hdr} of ${all}`;
  return make('div', { className: `answer ${name}` }, `Of ${ANSWERS[name]}`, make('b', {}, percent(share)), make('span', { className: 'hint' }, sure));
}

function group(name, rows) {
  const draw = name === 'day' ? course : dots;
  return make('section', { className: 'group', 'aria-labelledby': `by-${name}` }, make('h2', { id: `by-${name}` }, TITLES[name]), draw(rows, TITLES[name]), table(name, rows));
}

function table(name, rows) {
  const cell = ({ share, low, high, hdr, all }) => make('td', {}, `${percent(share)} `,
    make('span', { className: 'hint' }, share === null ? '' : `${Math.round(low * 100)}–${Math.round(high * 100)}, ${hdr} of ${all}`));
  const head = [TITLES[name].replace('By ', ''), 'Visitors (95 %, HDR of all)', 'Views (95 %, HDR of all)'];
  return make('table', { 'aria-label': TITLES[name] },
    make('thead', {}, make('tr', {}, ...head.map((words) => make('th', { scope: 'col' }, words)))),
    make('tbody', {}, ...rows.map(({ value, visitors, events }) => make('tr', {}, make('th', { scope: 'row' }, value), cell(visitors), cell(events)))));
}

async function show() {
  try {
    const { counting, total, by: groups, first_day: first, last_day: last } = await (await call(`/v1/insights/hdr?days=${by('days').value}`)).json();
    const parts = [make('div', { className: 'answers' }, answer('visitors', total.visitors), answer('events', total.events)),
      make('p', { className: 'hint' }, `${first} to ${last}, UTC. A visitor is counted once a day, by the first view; the two answers differ because some come more often. Intervals are 95 % (Wilson); those of views are too narrow where few visitors make many.`)];
    if (!counting) parts.push(make('p', { className: 'hint' }, 'Counting is switched off at present.'));
    if (total.events.all) parts.push(...Object.keys(TITLES).map((name) => group(name, groups[name])));
    by('answer').replaceChildren(...parts);
    trouble('');
    say(`${percent(total.visitors.share)} of visitors and ${percent(total.events.share)} of views can see HDR`);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    trouble(error.message);
  }
}

keyButton(show);
by('days').addEventListener('change', show);
by('form').addEventListener('submit', (event) => event.preventDefault());
show();
