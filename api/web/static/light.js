/** The light of an HDR photo as numbers, for screens that cannot show it. */

const WIDEST = 1200; // pixels: enough for a preview, and quick to compute
const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
const BYTES = Float32Array.from({ length: 256 }, (_, i) => linear(i / 255));
const FULL = 12; // stops: above any file's headroom, so that its map is applied in full

/** @typedef {{width: number, height: number, rgb: Float32Array}} Light linear, 1 = SDR white */

/**
 * What a screen with enough headroom would show.
 * @param {HTMLImageElement} hdr
 * @param {HTMLImageElement} base
 * @param {CanvasImageSource} map upright
 * @param {object} metadata of the map, by ISO 21496-1's names
 * @returns {Light}
 */
export function light(hdr, base, map, metadata) {
  const [width, height] = sizeOf(base);
  return isNative() ? shown(hdr, width, height) : computed(base, map, metadata, width, height);
}

/** @returns {boolean} whether the browser itself renders for a screen that is not there */
export function isNative() {
  return 'globalHDRHeadroom' in CanvasRenderingContext2D.prototype;
}

/**
 * @param {HTMLImageElement} base
 * @returns {[number, number]} width and height of its preview, pixels
 */
export function sizeOf(base) {
  const width = Math.min(WIDEST, base.naturalWidth);
  return [width, Math.round((width * base.naturalHeight) / base.naturalWidth)];
}

/** The browser's own answer. */
function shown(hdr, width, height) {
  const context = hidden(width, height).getContext('2d', { colorType: 'float16' });
  context.globalHDRHeadroom = FULL;
  context.drawImage(hdr, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height, { pixelFormat: 'rgba-float16' });
  const rgb = new Float32Array(width * height * 3);
  for (let i = 0, j = 0; i < data.length; i += 4) for (let c = 0; c < 3; c += 1, j += 1) rgb[j] = linear(Math.max(0, data[i + c]));
  return { width, height, rgb };
}

/** ISO 21496-1, clause 6: base and map make the alternate image. */
function computed(base, map, metadata, width, height) {
  const [flat, gains] = [pixels(base, width, height), pixels(map, width, height)];
  const rgb = new Float32Array(width * height * 3);
  const factors = [0, 1, 2].map((c) => curve(metadata, c).map((stops) => 2 ** stops));
  const offsets = [0, 1, 2].map((c) => [channel(metadata.base_offset, c), channel(metadata.alternate_offset, c)]);
  for (let i = 0, j = 0; i < flat.length; i += 4) {
    for (let c = 0; c < 3; c += 1, j += 1) rgb[j] = (BYTES[flat[i + c]] + offsets[c][0]) * factors[c][gains[i + c]] - offsets[c][1];
  }
  return { width, height, rgb };
}

/**
 * Stops for each sample value of a map.
 * @param {object} metadata
 * @param {number} c channel
 * @returns {Float32Array} 256 values
 */
export function curve(metadata, c) {
  const [low, high, gamma] = ['gain_map_min', 'gain_map_max', 'gamma'].map((name) => channel(metadata[name], c));
  return Float32Array.from({ length: 256 }, (_, i) => low + (high - low) * (i / 255) ** (1 / gamma));
}

/**
 * @param {CanvasImageSource} image
 * @param {number} width
 * @param {number} height
 * @returns {Uint8ClampedArray} RGBA
 */
export function pixels(image, width, height) {
  return drawnAt(image, width, height).getContext('2d').getImageData(0, 0, width, height).data;
}

/**
 * @param {CanvasImageSource} image
 * @param {number} width
 * @param {number} height
 * @returns {HTMLCanvasElement} the image at that size
 */
export function drawnAt(image, width, height) {
  const canvas = hidden(width, height);
  canvas.getContext('2d').drawImage(image, 0, 0, width, height);
  return canvas;
}

/**
 * A map has its photo's stored pixels and no Exif: turned as the browser turns the photo.
 * @param {HTMLImageElement} map
 * @param {number} orientation Exif's, 1 to 8
 * @returns {CanvasImageSource & {width: number, height: number}}
 */
export function upright(map, orientation) {
  if (orientation === 1) return map;
  const [w, h] = [map.naturalWidth, map.naturalHeight];
  const canvas = orientation > 4 ? hidden(h, w) : hidden(w, h);
  const context = canvas.getContext('2d');
  context.transform(...[[-1, 0, 0, 1, w, 0], [-1, 0, 0, -1, w, h], [1, 0, 0, -1, 0, h], [0, 1, 1, 0, 0, 0], [0, 1, -1, 0, h, 0], [0, -1, -1, 0, h, w], [0, -1, 1, 0, 0, w]][orientation - 2]);
  context.drawImage(map, 0, 0);
  return canvas;
}

/**
 * Draw light as a darker or brighter exposure would have it.
 * @param {HTMLCanvasElement} canvas
 * @param {Light} light
 * @param {number} stops negative: darker, which brings highlights back from white
 */
export function expose(canvas, { width, height, rgb }, stops) {
  const encode = Uint8ClampedArray.from({ length: 4097 }, (_, i) => 255 * (i / 4096 <= 0.0031308 ? (i / 4096) * 12.92 : 1.055 * (i / 4096) ** (1 / 2.4) - 0.055));
  const image = new ImageData(width, height);
  const scale = 4096 * 2 ** stops;
  for (let i = 0, j = 0; i < image.data.length; i += 4) {
    for (let c = 0; c < 3; c += 1, j += 1) image.data[i + c] = encode[Math.min(4096, Math.max(0, Math.round(rgb[j] * scale)))];
    image.data[i + 3] = 255;
  }
  canvas.width = width;
  canvas.height = height;
  canvas.getContext('2d').putImageData(image, 0, 0);
}

const channel = (value, c) => (Array.isArray(value) ? value[Math.min(c, value.length - 1)] : value);

/** A canvas out of sight. */
function hidden(width, height) {
  return Object.assign(document.createElement('canvas'), { width, height });
}
