/** A ZIP archive that only stores: JPEG does not shrink. */

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k += 1) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c >>> 0;
});

/**
 * @param {Uint8Array} bytes
 * @returns {number} CRC-32 as ZIP has it
 */
export function crc32(bytes) {
  let c = 0xffffffff;
  for (const byte of bytes) c = TABLE[(c ^ byte) & 255] ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}

/**
 * One file after another, so that memory holds one at a time and the browser keeps the rest as blobs.
 * @param {AsyncIterable<{name: string, blob: Blob}>} files
 * @returns {Promise<Blob>}
 */
export async function zip(files) {
  const parts = [];
  const directory = [];
  const used = new Map();
  let offset = 0;
  for await (const { name, blob } of files) {
    const unique = distinct(name, used);
    const encoded = new TextEncoder().encode(unique);
    const crc = crc32(new Uint8Array(await blob.arrayBuffer()));
    const shared = [20, 0x0800, 0, 0, 0x21].flatMap(two).concat(four(crc), four(blob.size), four(blob.size), two(encoded.length));
    parts.push(Uint8Array.from([...four(0x04034b50), ...shared, ...two(0)]), encoded, blob);
    directory.push(Uint8Array.from([...four(0x02014b50), ...two(20), ...shared, ...two(0), ...two(0), ...two(0), ...two(0), ...four(0), ...four(offset)]), encoded);
    offset += 30 + encoded.length + blob.size;
  }
  const count = directory.length / 2;
  const length = directory.reduce((sum, part) => sum + part.length, 0);
  const end = [...four(0x06054b50), ...two(0), ...two(0), ...two(count), ...two(count), ...four(length), ...four(offset), ...two(0)];
  return new Blob([...parts, ...directory, Uint8Array.from(end)], { type: 'application/zip' });
}

const two = (n) => [n & 255, (n >>> 8) & 255];
const four = (n) => [...two(n), ...two(n >>> 16)];

function distinct(name, used) {
  const count = (used.get(name) ?? 0) + 1;
  used.set(name, count);
  return count === 1 ? name : name.replace(/(\.[^.]*)?$/, ` (${count})$1`);
}
