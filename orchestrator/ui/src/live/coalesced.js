/** Many wishes, few requests: the first at once, further ones together, at most once in a second. */

const COALESCE_MS = 1_000;

/**
 * @param {() => Promise<void>} work
 * @returns {{ soon: () => void, cancel: () => void }}
 */
export function coalesced(work) {
  let isRunning = false;
  let isWanted = false;
  let isCancelled = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  function soon() {
    isWanted = true;
    if (!isRunning && timer === undefined) void run();
  }

  async function run() {
    if (document.hidden || isCancelled) return;
    isWanted = false;
    isRunning = true;
    await work().finally(() => (isRunning = false));
    if (isCancelled) return;
    timer = setTimeout(() => {
      timer = undefined;
      if (isWanted) void run();
    }, COALESCE_MS);
  }

  const onVisible = () => isWanted && !document.hidden && soon();
  document.addEventListener("visibilitychange", onVisible);

  function cancel() {
    isCancelled = true;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", onVisible);
  }

  return { soon, cancel };
}
