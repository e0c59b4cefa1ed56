/** The light of an HDR photo on the graphics unit: moving the slider then costs next to nothing. */
import { drawnAt, sizeOf } from './light.js';
import { make } from './dom.js';

const VERTEX = `#version 300 es
out vec2 at;
void main() { at = vec2(gl_VertexID & 1, gl_VertexID >> 1) * 2.0; gl_Position = vec4(at * 2.0 - 1.0, 0, 1); at.y = 1.0 - at.y; }`;
// ISO 21496-1, clause 6, at full weight; then the exposure, and sRGB's curve back.
const FRAGMENT = `#version 300 es
precision highp float;
in vec2 at;
out vec4 shown;
uniform sampler2D base, map;
uniform vec3 low, high, gamma, baseOffset, alternateOffset;
uniform float exposure;
void main() {
  vec3 flat_ = texture(base, at).rgb;
  vec3 linear_ = mix(flat_ / 12.92, pow((flat_ + 0.055) / 1.055, vec3(2.4)), step(0.04045, flat_));
  vec3 stops = mix(low, high, pow(texture(map, at).rgb, 1.0 / gamma));
  vec3 light = clamp(((linear_ + baseOffset) * exp2(stops) - alternateOffset) * exp2(exposure), 0.0, 1.0);
  shown = vec4(mix(light * 12.92, 1.055 * pow(light, vec3(1.0 / 2.4)) - 0.055, step(0.0031308, light)), 1);
}`;

/**
 * A canvas, and what draws on it at an exposure in stops; null where there is no WebGL 2.
 * @param {HTMLImageElement} base
 * @param {CanvasImageSource} map upright
 * @param {object} metadata of the map, by ISO 21496-1's names
 * @returns {{canvas: HTMLCanvasElement, draw: (stops: number) => void}|null}
 */
export function onUnit(base, map, metadata) {
  const [width, height] = sizeOf(base);
  const canvas = make('canvas', { className: 'picture', width, height });
  const gl = canvas.getContext('webgl2', { alpha: false, antialias: false, preserveDrawingBuffer: true });
  if (!gl || Math.max(width, height) > gl.getParameter(gl.MAX_TEXTURE_SIZE)) return null;
  const program = linked(gl);
  if (!program) return null;
  gl.useProgram(program);
  const place = (name) => gl.getUniformLocation(program, name);
  [['base', base], ['map', map]].forEach(([name, image], i) => { texture(gl, i, drawnAt(image, width, height)); gl.uniform1i(place(name), i); });
  const named = { low: 'gain_map_min', high: 'gain_map_max', gamma: 'gamma', baseOffset: 'base_offset', alternateOffset: 'alternate_offset' };
  for (const [name, field] of Object.entries(named)) gl.uniform3fv(place(name), three(metadata[field]));
  const draw = (stops) => { gl.uniform1f(place('exposure'), stops); gl.drawArrays(gl.TRIANGLES, 0, 3); };
  return { canvas, draw };
}

function linked(gl) {
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  return gl.getProgramParameter(program, gl.LINK_STATUS) ? program : null;
}

function texture(gl, index, source) {
  gl.activeTexture(gl.TEXTURE0 + index);
  gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, source);
  for (const side of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, side, gl.CLAMP_TO_EDGE);
  for (const filter of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, filter, gl.LINEAR);
}

const three = (value) => (Array.isArray(value) ? [0, 1, 2].map((c) => value[Math.min(c, value.length - 1)]) : [value, value, value]);
