// sleep(seconds): a pause that other promises do not notice.  Plain script over the bridge `timer`, with no privilege.
if (typeof timer === 'object' && 'sleep' in timer) {
  const pause = timer.sleep;
  Object.defineProperty(globalThis, 'sleep', {
    value: function sleep(seconds) { return pause(seconds); },
    writable: true, configurable: true, enumerable: false,
  });
}
