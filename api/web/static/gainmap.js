/** The gain map in false colours of stops, with its scale and its histogram. */
import { drawn, make } from './dom.js';
import { curve, pixels } from './light.js';

const BINS = 48;
// Dark to bright as light is: even steps of lightness, readable without colour vision (Inferno, seven points).
const COLOURS = [[0, 0, 4], [51, 10, 95], [120, 28, 109], [187, 55, 84], [237, 105, 37], [252, 180, 25], [252, 255, 164]];

/**
 * @param {CanvasImageSource & {width: number, height: number}} map upright
 * @param {object} metadata
 * @returns {HTMLElement}
 */
export function gainView(map, metadata) {
  const { width, height } = map;
  const samples = pixels(map, width, height);
  const stops = curve(metadata, 1); // green stands for a map of three channels
  const [low, high] = [Math.min(0, stops[0]), Math.max(...stops)];
  const canvas = make('canvas', { className: 'picture', width, height, role: 'img', 'aria-label': 'The gain map in false colours: the brighter, the more stops are added' });
  const image = new ImageData(width, height);
  const bins = new Array(BINS).fill(0);
  const share = (value) => (value - low) / (high - low || 1);
  for (let i = 0; i < samples.length; i += 4) {
    const at = share(stops[samples[i + 1]]);
    image.data.set([...colour(at), 255], i);
    bins[Math.min(BINS - 1, Math.floor(at * BINS))] += 1;
  }
  canvas.getContext('2d').putImageData(image, 0, 0);
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((at) => make('span', {}, `${(low + at * (high - low)).toFixed(2)}`));
  return make('div', {}, canvas,
    make('div', { className: 'under' }, make('strong', {}, 'Stops added')), scale(), make('div', { className: 'ticks' }, ...ticks),
    histogram(bins, width * height),
    make('p', { className: 'hint' }, 'How much of the photo gets how many stops, on the same scale. Heights are square roots, or the dark bulk would hide the rest.'));
}

function colour(at) {
  const place = Math.min(0.9999, Math.max(0, at)) * (COLOURS.length - 1);
  const [a, b] = [COLOURS[Math.floor(place)], COLOURS[Math.floor(place) + 1]];
  return a.map((value, c) => value + (b[c] - value) * (place % 1));
}

function scale() {
  const canvas = make('canvas', { className: 'scale', width: 256, height: 1, 'aria-hidden': true });
  const image = new ImageData(256, 1);
  for (let i = 0; i < 256; i += 1) image.data.set([...colour(i / 255), 255], i * 4);
  canvas.getContext('2d').putImageData(image, 0, 0);
  return canvas;
}

function histogram(bins, total) {
  const lit = 100 * (1 - bins[0] / total);
  const most = Math.sqrt(Math.max(...bins));
  const bars = bins.map((count, i) => {
    const height = (100 * Math.sqrt(count)) / most;
    return drawn('rect', { x: i * 10, y: 100 - height, width: 9, height });
  });
  return drawn('svg', { viewBox: '0 0 480 100', preserveAspectRatio: 'none', class: 'bars', role: 'img', 'aria-label': `Histogram of gain: ${lit.toFixed(0)} % of the photo is brightened` }, ...bars);
}
