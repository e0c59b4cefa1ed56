/** Which file is a photo, and which the original of one. */

const RAW = /\.(heic|heif)$/i;
const MARKED = /[-_. ](original|orig|sooc|camera)$/i;
const EDITED = /[-_. ](edit|edited|final|export)$/i;

/** @typedef {{photo: File, original: File|null}} Pair */

/**
 * @param {string} name
 * @returns {string} the name that an edit and its original share
 */
export function stem(name) {
  return name.replace(/\.[^.]+$/, '').replace(MARKED, '').replace(EDITED, '').toLowerCase();
}

/**
 * Pair photos with originals by file stem. Of two dropped files of one stem, the camera's format or the one that calls
 * itself original is the original.
 * @param {File[]} files
 * @param {File[]} originals chosen as such
 * @returns {Pair[]}
 */
export function pair(files, originals) {
  const groups = new Map();
  for (const file of files) groups.set(stem(file.name), [...(groups.get(stem(file.name)) ?? []), file]);
  const known = new Map(originals.map((file) => [stem(file.name), file]));
  return [...groups].flatMap(([name, group]) => {
    const looks = (file) => MARKED.test(file.name.replace(/\.[^.]+$/, '')) || RAW.test(file.name);
    const beside = group.length === 2 && group.some(looks) && !group.every(looks) ? group.find(looks) : null;
    return group.filter((file) => file !== beside).map((photo) => ({ photo, original: known.get(name) ?? beside }));
  });
}
