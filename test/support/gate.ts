/** A place where the program waits until the test lets it go on. */

/** Only the first who passes waits. `reached` resolves when it is there. */
export function gate(): { reached: Promise<void>; pass(): Promise<void>; open(): void } {
  let reach: () => void = () => undefined;
  let open: () => void = () => undefined;
  const reached = new Promise<void>((resolve) => { reach = resolve; });
  const opened = new Promise<void>((resolve) => { open = resolve; });
  let isFirst = true;
  return {
    reached,
    open: () => open(),
    async pass() {
      if (!isFirst) return;
      isFirst = false;
      reach();
      await opened;
    },
  };
}
