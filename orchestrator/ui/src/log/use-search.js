/** Searching a log that may still grow. */

import { useEffect, useRef, useState } from "preact/hooks";

/** @typedef {import("./lines.js").LogLines} LogLines */

/**
 * @typedef {object} Search
 * @property {string} words empty where nothing is searched for
 * @property {number} found lines that have them
 * @property {number} place which of these is shown, from 0
 * @property {number} line the number of that line; -1 where there is none
 * @property {(words: string) => void} setWords
 * @property {() => void} next
 * @property {() => void} previous
 */

/** Typing on within this time does not search yet. */
const PAUSE_MS = 150;

/**
 * @param {LogLines} lines
 * @param {number} count of the lines
 * @param {(line: number) => void} show
 * @returns {Search}
 */
export function useSearch(lines, count, show) {
  const [words, setWords] = useState("");
  const [place, setPlace] = useState(0);
  const [matches, setMatches] = useState(/** @type {number[]} */ ([]));
  const searched = useRef({ words: "", count: 0, shifted: 0 });
  const timer = useRef(/** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined));

  useEffect(() => {
    const before = searched.current;
    const { shifted } = lines;
    searched.current = { words, count, shifted };
    if (!words) {
      setMatches([]);
    } else if (before.words === words && before.shifted !== shifted) {
      // Others came before those that are known.
      const found = lines.search(words);
      const earlier = found.filter((line) => line < shifted - before.shifted).length;
      setMatches(found);
      setPlace((known) => known + earlier);
    } else if (before.words === words) {
      const added = lines.search(words, before.count);
      if (added.length > 0) setMatches((known) => [...known, ...added]);
    } else {
      const found = lines.search(words);
      setMatches(found);
      setPlace(0);
      if (found[0] !== undefined) show(found[0]);
    }
  }, [words, count, lines, show]);

  /** @param {number} step */
  function go(step) {
    if (matches.length === 0) return;
    const next = (place + step + matches.length) % matches.length;
    setPlace(next);
    show(/** @type {number} */ (matches[next]));
  }

  /** @param {string} typed */
  function type(typed) {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setWords(typed.trim()), PAUSE_MS);
  }

  const [line, found] = [matches[place] ?? -1, matches.length];
  return { words, place, line, found, setWords: type, next: () => go(1), previous: () => go(-1) };
}
