/** Where a guided map comes from: the original's own, or predicted. */
import { make } from './dom.js';
import { pixels } from './light.js';

const WIDEST = 900; // pixels
// Blue and orange: told apart without colour vision, and by lightness.
const TRANSFERRED = [38, 110, 200];
const PREDICTED = [255, 170, 60];
const TINT = 0.6; // of the colour; the rest is the photo in grey

/**
 * @param {HTMLImageElement} base
 * @param {HTMLImageElement} mask white where predicted
 * @param {{transferred: number, predicted: number, confidence: number}} guided shares of the photo
 * @returns {HTMLElement}
 */
export function maskView(base, mask, guided) {
  const width = Math.min(WIDEST, base.naturalWidth);
  const height = Math.round((width * base.naturalHeight) / base.naturalWidth);
  const [photo, where] = [pixels(base, width, height), pixels(mask, width, height)];
  const image = new ImageData(width, height);
  for (let i = 0; i < photo.length; i += 4) {
    const grey = 0.3 * photo[i] + 0.6 * photo[i + 1] + 0.1 * photo[i + 2];
    for (let c = 0; c < 3; c += 1) {
      const tint = TRANSFERRED[c] + (PREDICTED[c] - TRANSFERRED[c]) * (where[i] / 255);
      image.data[i + c] = grey + (tint - grey) * TINT;
    }
    image.data[i + 3] = 255;
  }
  const share = (part) => `${Math.round(part * 100)} %`;
  const words = `${share(guided.transferred)} transferred from the original, ${share(guided.predicted)} predicted`;
  const canvas = make('canvas', { className: 'picture', width, height, role: 'img', 'aria-label': `Where the gain map comes from: ${words}` });
  canvas.getContext('2d').putImageData(image, 0, 0);
  return make('div', {}, canvas,
    make('ul', { className: 'legend' },
      make('li', { className: 'transferred' }, `Transferred from the original: ${share(guided.transferred)}`),
      make('li', { className: 'predicted' }, `Predicted: ${share(guided.predicted)}`)),
    make('p', { className: 'hint' }, `The original’s own map holds where the edit left the photo alone; elsewhere the network’s, fitted to this photo, stands in. Confidence ${guided.confidence.toFixed(2)}.`));
}
